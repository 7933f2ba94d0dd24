"""From argv to an exit code.

    0    done (or the unit was stopped half-way: systemd-run cannot tell)
    1    evaluation, build or copy failed; this program gave up
    2    bad arguments
    130  SIGINT; SIGTERM ends it as it ends any process, 143 to a shell
    else the code of the program that failed: 255 is ssh's or a killed unit's, 4 and 100 are switch-to-configuration's
"""

import os
import shlex
import sys
from collections.abc import Sequence
from subprocess import CalledProcessError

from .activate import activate, roll_back
from .arguments import ACTIVATIONS, Request, parse
from .build import Flake, build_successor, build_system, copy_closure, find_flake
from .processes import Failed, Host, Processes, warn

REEXECUTED = "_NIXOS_REBUILD_REEXEC"


def main(argv: Sequence[str]) -> int:
    request = parse(argv[1:])
    processes = Processes(elevated=request.elevated, ask_password=request.ask_password, verbose=request.verbose)
    try:
        execute(processes, request, argv)
    except KeyboardInterrupt:
        return 130
    except CalledProcessError as error:
        # As one line that can be pasted into a shell.
        print(CalledProcessError(error.returncode, shlex.join(error.cmd)), file=sys.stderr)
        return error.returncode
    except (Failed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        processes.close()
    return 0


def execute(processes: Processes, request: Request, argv: Sequence[str]) -> None:
    target = Host.parse(request.target)
    builder = Host.parse(request.builder)
    processes.ask_for_password(target)
    if request.reexec and not os.environ.get(REEXECUTED):
        run_successor(processes, request, argv, find_flake(processes, request, target))
    flake = find_flake(processes, request, target)

    print("building the system configuration...", file=sys.stderr, flush=True)
    if request.store_path:
        system = request.store_path
        copy_closure(processes, request, system, source=None, destination=target)
    elif request.rollback:
        system = roll_back(processes, request, target)
    else:
        system = build_system(processes, request, flake, builder, target)

    if request.action in ACTIVATIONS:
        activate(processes, request, system, target)
    # A dry build has nothing to show for it.
    if request.action != "dry-build":
        print("Done. The new configuration is", end=" ", file=sys.stderr, flush=True)
        print(system, flush=True)


def run_successor(processes: Processes, request: Request, argv: Sequence[str], flake: Flake | None) -> None:
    """Becomes the configuration's own nixos-rebuild. That it cannot be built is an error, as with the real one."""
    successor = build_successor(processes, request, flake) / "bin/nixos-rebuild"
    if os.access(successor, os.X_OK):
        # exec runs no cleanup.
        processes.close()
        os.execve(successor, list(argv), {**os.environ, REEXECUTED: "1"})
    warn("could not re-exec in a newer version of nixos-rebuild, using current version")
