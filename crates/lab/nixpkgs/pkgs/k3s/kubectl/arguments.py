"""kubectl's command line: flags anywhere among the words, as pflag reads them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_TEXT = {
    "output": "o",
    "namespace": "n",
    "selector": "l",
    "raw": "",
    "timeout": "",
    "grace-period": "",
    "kubeconfig": "",
    "request-timeout": "",
    "context": "",
    "field-selector": "",
    "cascade": "",
    "dry-run": "",
    "skip-wait-for-delete-timeout": "",
}
_SWITCH = {
    "all-namespaces": "A",
    "overwrite": "",
    "ignore-daemonsets": "",
    "delete-emptydir-data": "",
    "force": "",
    "disable-eviction": "",
    "ignore-not-found": "",
    "wait": "",
    "now": "",
    "no-headers": "",
    "show-labels": "",
    "client": "",
    "minify": "",
}


class Failure(Exception):
    """A command failed; the text goes to stderr, the code becomes kubectl's."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Arguments:
    """A parsed command line. `raw` is also a switch, for `config view`."""

    words: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    switches: dict[str, bool] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """A flag's value."""
        return self.texts.get(name, default)

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.switches.get(name, False)


def parse(argv: Sequence[str], command: str) -> Arguments:
    """Parse what follows `kubectl`; Failure for an unknown flag."""
    result = Arguments()
    words = iter(argv)
    for word in words:
        if word == "--":
            result.words += words
        elif word.startswith("--"):
            _long(result, word[2:], words, command)
        elif word.startswith("-") and word != "-" and not _is_number(word):
            _short(result, word[1:], words, command)
        else:
            result.words.append(word)
    return result


def _long(result: Arguments, given: str, words: Iterator[str], command: str) -> None:
    name, has_value, value = given.partition("=")
    if name == "raw" and command == "config":
        result.switches["raw"] = value != "false"
    elif name in _SWITCH:
        result.switches[name] = value != "false"
    elif name in _TEXT:
        result.texts[name] = value if has_value else _next(words, f"--{name}")
    else:
        raise Failure(f"error: unknown flag: --{name}\nSee 'kubectl {command} --help' for usage.")


def _short(result: Arguments, given: str, words: Iterator[str], command: str) -> None:
    for name, letter in _SWITCH.items():
        if letter and given == letter:
            result.switches[name] = True
            return
    for name, letter in _TEXT.items():
        if letter and given.startswith(letter):
            rest = given[1:].removeprefix("=")
            result.texts[name] = rest if len(given) > 1 else _next(words, f"-{letter}")
            return
    text = f"error: unknown shorthand flag: '{given[0]}' in -{given}\nSee 'kubectl {command} --help' for usage."
    raise Failure(text)


def _next(words: Iterator[str], flag: str) -> str:
    value = next(words, None)
    if value is None:
        raise Failure(f"error: flag needs an argument: {flag}")
    return value


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-\d+", word) is not None
