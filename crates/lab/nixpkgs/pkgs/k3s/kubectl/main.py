"""`k3s kubectl VERB …`: a small kubectl whose words, exit codes and requests are the real one's.

Known: get, describe node, label, annotate, taint, cordon, uncordon, drain, delete, config view, version. Left out: everything
else, watching, and outputs other than table, wide, json and name.
"""

import sys
from collections.abc import Callable

from common import settings
from kubectl import edit, show
from kubectl.arguments import Arguments, Failure, parse
from kubectl.drain import drain

_VERBS: dict[str, Callable[[Arguments], None]] = {
    "get": show.get,
    "describe": show.describe,
    "label": edit.label,
    "annotate": edit.annotate,
    "taint": edit.taint,
    "cordon": lambda arguments: edit.cordon(arguments, True),
    "uncordon": lambda arguments: edit.cordon(arguments, False),
    "drain": drain,
    "delete": edit.delete,
}


def run(argv: list[str]) -> int:
    """Run a kubectl command; its exit code."""
    try:
        _run(argv)
    except Failure as failure:
        sys.stdout.flush()
        print(failure, file=sys.stderr)
        return failure.code
    return 0


def _run(argv: list[str]) -> None:
    words = [word for word in argv if not word.startswith("-")]
    verb = next((word for word in words if word in (*_VERBS, "config", "version")), "")
    if not verb:
        named = words[0] if words else ""
        raise Failure(f'error: unknown command "{named}" for "kubectl"' if named else "kubectl controls the cluster")
    arguments = parse(argv, verb)
    arguments.words.remove(verb)
    if verb == "version":
        print(f"Client Version: {settings.VERSION} (stand-in)")
    elif verb == "config":
        if arguments.words != ["view"]:
            raise Failure("error: the stand-in knows `config view` only")
        show.config_view(arguments)
    else:
        _VERBS[verb](arguments)
