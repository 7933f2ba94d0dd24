"""A stand-in for K3s, for rehearsals: NOT K3s, and it runs no containers.

It follows K3s where a tool that operates clusters can tell the difference: the join protocol over real TLS, the files,
the unit's readiness, status codes, journal lines, node objects and their heartbeats, `k3s kubectl`. It is written in
another language than the tool and shares no code with it, so that a misreading of K3s cannot hide in both.

Run as `python3 DIRECTORY ARGUMENTS…`, with Python 3.11 and the `openssl` command line and nothing else. What can be
configured from outside is listed in common/settings.py. Each module says what it leaves out; as a whole the stand-in
leaves out workloads, networking, `--cluster-reset` and restoring snapshots, `secrets-encrypt`, `crictl` and `ctr`.
"""

import sys
from collections.abc import Callable

from common import log, settings, stopping
from common.flags import UsageError

Command = Callable[[list[str]], int | None]


def main(argv: list[str]) -> int:
    """Run the command; the exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print("NAME:\n   k3s - Kubernetes, but small and simple (stand-in)\n\nCOMMANDS:")
        print("   server, agent, kubectl, token rotate, certificate check, etcd-snapshot save|ls|delete")
        return 0
    if argv[0] in ("-v", "--version"):
        print(f"k3s version {settings.VERSION} (stand-in)\ngo version none (stand-in)")
        return 0
    command = _find(argv)
    if command is None:
        print(f"No help topic for '{argv[0]}'", file=sys.stderr)
        return 3
    run, words = command
    try:
        return run(argv[words:]) or 0
    except UsageError as error:
        print(f"Incorrect Usage: {error}\n\nNAME:\n   k3s {' '.join(argv[:words])}\n")
        log.fatal(str(error))
    except log.CommandError as error:
        log.fatal(str(error))


def _find(argv: list[str]) -> tuple[Command, int] | None:
    """The command, and how many words name it. Imports are made late: `k3s kubectl` is called often."""
    match argv:
        case ["server", *_]:
            stopping.on_signals()
            from server.run import run as server

            return server, 1
        case ["agent", *_]:
            stopping.on_signals()
            from node.agent import run as agent

            return agent, 1
        case ["kubectl", *_]:
            from kubectl.main import run as kubectl

            return kubectl, 1
        case ["token", "rotate", *_]:
            from admin.tokens import rotate

            return rotate, 2
        case ["certificate", "check", *_]:
            from admin.certificates import check

            return check, 2
        case ["etcd-snapshot", *_]:
            return _snapshots(argv)
        case _:
            return None


def _snapshots(argv: list[str]) -> tuple[Command, int] | None:
    from admin import snapshots

    word = argv[1] if len(argv) > 1 else ""
    commands = {"save": snapshots.save, "ls": snapshots.listed, "list": snapshots.listed, "l": snapshots.listed}
    command = (commands | {"delete": snapshots.delete}).get(word)
    return (command, 2) if command else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
