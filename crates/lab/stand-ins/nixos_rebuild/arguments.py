"""The command line as data: which action, on which system, where, and the flags that go on to Nix.

Nix' flags are kept in the real one's groups, since each of its commands gets its own selection: a build host is not
told about flake inputs, and a copy is not told about builds.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NoReturn

ACTIONS = ("switch", "boot", "test", "build", "dry-activate", "dry-build")
ACTIVATIONS = ("switch", "boot", "test", "dry-activate")
# What the real one builds itself anew for.
REEXECUTED = ("switch", "boot", "test")

DESCRIPTION = """\
STAND-IN for nixos-rebuild, for the rehearsal lab only. It takes the real one's arguments and does with Debian's
Nix what the real one does: same commands, same order, same exit codes, one line on stdout."""

EPILOG = """\
environment: NIX_SSHOPTS (before its own ssh options), NIX_SUDOOPTS, LOCALE_ARCHIVE and NIXOS_NO_CHECK (passed on to a
local activation), NIXOS_REBUILD_I_UNDERSTAND_THE_CONSEQUENCES_PLEASE_BREAK_MY_SYSTEM (no look at nixos-version),
_NIXOS_REBUILD_REEXEC (set for its successor)."""


class Kind(Enum):
    """How often a flag of Nix may come, and with what."""

    SWITCH = auto()
    COUNT = auto()
    VALUE = auto()
    VALUES = auto()
    PAIRS = auto()


TO_ARGPARSE: dict[Kind, dict[str, Any]] = {
    Kind.SWITCH: {"action": "store_true"},
    Kind.COUNT: {"action": "count", "default": 0},
    Kind.VALUE: {},
    Kind.VALUES: {"action": "append"},
    Kind.PAIRS: {"action": "append", "nargs": 2},
}


@dataclass(frozen=True)
class NixFlag:
    """A flag that goes on to Nix under its long name."""

    long: str
    kind: Kind
    short: str | None = None

    @property
    def attribute(self) -> str:
        return self.long.removeprefix("--").replace("-", "_")

    def words(self, value: Any) -> list[str]:
        if not value:
            return []
        match self.kind:
            case Kind.SWITCH:
                return [self.long]
            case Kind.COUNT:
                return ["-" + "v" * value] if self.long == "--verbose" else [self.long] * value
            case Kind.VALUE:
                return [self.long, value]
            case Kind.VALUES:
                return [word for one in value for word in (self.long, one)]
            case Kind.PAIRS:
                return [word for pair in value for word in (self.long, *pair)]


# In the real one's order, which is the order on Nix' command line.
GROUPS: dict[str, list[NixFlag]] = {
    "common": [
        NixFlag("--verbose", Kind.COUNT, "-v"),
        NixFlag("--quiet", Kind.COUNT),
        NixFlag("--max-jobs", Kind.VALUE, "-j"),
        NixFlag("--cores", Kind.VALUE),
        NixFlag("--log-format", Kind.VALUE),
        NixFlag("--keep-going", Kind.SWITCH, "-k"),
        NixFlag("--keep-failed", Kind.SWITCH, "-K"),
        NixFlag("--fallback", Kind.SWITCH),
        NixFlag("--repair", Kind.SWITCH),
        NixFlag("--option", Kind.PAIRS),
    ],
    "building": [
        NixFlag("--builders", Kind.VALUE),
        NixFlag("--include", Kind.VALUES, "-I"),
        NixFlag("--print-build-logs", Kind.SWITCH, "-L"),
        NixFlag("--show-trace", Kind.SWITCH),
    ],
    "network": [NixFlag("--offline", Kind.SWITCH), NixFlag("--no-net", Kind.SWITCH)],
    "flake": [
        NixFlag("--accept-flake-config", Kind.SWITCH),
        NixFlag("--refresh", Kind.SWITCH),
        NixFlag("--impure", Kind.SWITCH),
        NixFlag("--recreate-lock-file", Kind.SWITCH),
        NixFlag("--no-update-lock-file", Kind.SWITCH),
        NixFlag("--no-write-lock-file", Kind.SWITCH),
        NixFlag("--no-registries", Kind.SWITCH),
        NixFlag("--commit-lock-file", Kind.SWITCH),
        NixFlag("--update-input", Kind.VALUES),
        NixFlag("--override-input", Kind.PAIRS),
    ],
}

REFUSED_WITH_VALUE = ("--file", "-f", "--attr", "-A", "--profile-name", "-p", "--specialisation", "-c",
                      "--image-variant")  # fmt: skip
REFUSED_SWITCHES = ("--upgrade", "--upgrade-all", "--json", "--diff", "--run0")
DEPRECATED = {
    "--use-remote-sudo": "use --elevate=sudo instead",
    "--fast": "use --no-reexec instead",
    "--install-grub": "use --install-bootloader instead",
    "--no-ssh-tty": "SSH's TTY is never used anymore",
    "--no-build-nix": "we do not build nix anymore",
}


@dataclass(frozen=True)
class NixFlags:
    """Nix' flags, as words, and the selection that each of its commands gets."""

    common: tuple[str, ...]
    building: tuple[str, ...]
    network: tuple[str, ...]
    flake: tuple[str, ...]
    substitute: bool
    no_link: bool

    def local_build(self, no_link: bool, dry_run: bool) -> list[str]:
        return [*self.remote_build(no_link, dry_run), *self.flake]

    def remote_build(self, no_link: bool, dry_run: bool) -> list[str]:
        link = ["--no-link"] if no_link or self.no_link else []
        dry = ["--dry-run"] if dry_run else []
        return [*link, *dry, *self.common, *self.building, *self.network]

    def evaluation(self) -> list[str]:
        # `nix eval` knows no --no-link and says so, exit code 1: the real one too refuses `build --no-link` with a
        # build host, by this accident.
        link = ["--no-link"] if self.no_link else []
        return [*self.common, *self.building, *self.network, *link, *self.flake]

    def classic_build(self, no_link: bool, dry_run: bool) -> list[str]:
        link = ["--no-out-link"] if no_link else []
        dry = ["--dry-run"] if dry_run else []
        return [*link, *dry, *self.common, *self.building, *(["--no-build-output"] if self.no_link else [])]

    def copying(self) -> list[str]:
        return [*self.common, *(["-s"] if self.substitute else [])]


@dataclass(frozen=True)
class Request:
    """A command line that was checked."""

    action: str
    # A reference, True for the current folder, False for "no flake", None for /etc/nixos if there is one.
    flake: str | bool | None
    store_path: str | None
    rollback: bool
    target: str | None
    builder: str | None
    elevated: bool
    ask_password: bool
    reexec: bool
    install_bootloader: bool
    verbose: bool
    nix: NixFlags


def parse(words: Sequence[str]) -> Request:
    """Exits with code 2 where the arguments contradict each other, and with 0 after printing help."""
    parser = make_parser()
    args = parser.parse_args(words)
    if args.help or args.action is None:
        parser.print_help()
        parser.exit()
    for option, advice in DEPRECATED.items():
        if getattr(args, option.removeprefix("--").replace("-", "_")):
            print(f"{parser.prog}: warning: {option} is deprecated, {advice}", file=sys.stderr)
    action = "dry-build" if args.action == "dry-run" else args.action
    if args.store_path:
        check_store_path(parser, args, action)
    return Request(
        action=action,
        # A system that is built already needs no flake, not even the one in /etc/nixos.
        flake=False if args.store_path else args.flake,
        store_path=args.store_path,
        rollback=args.rollback,
        target=args.target_host,
        builder=args.build_host,
        elevated=args.sudo or args.use_remote_sudo or args.elevate == "sudo",
        ask_password=args.ask_elevate_password,
        reexec=action in REEXECUTED and not (args.no_reexec or args.fast),
        install_bootloader=args.install_bootloader or args.install_grub,
        verbose=args.debug or args.verbose > 0,
        nix=nix_flags(args),
    )


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nixos-rebuild",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("action", choices=[*ACTIONS, "dry-run"], nargs="?")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--debug", action="store_true", help="print each command on stderr")
    parser.add_argument("--flake", "-F", nargs="?", const=True, metavar="REF#NAME")
    parser.add_argument("--no-flake", dest="flake", action="store_false")
    parser.add_argument("--store-path", metavar="PATH", help="a system that is built already; excludes --flake")
    parser.add_argument("--rollback", action="store_true")
    parser.add_argument("--target-host", metavar="[USER@]HOST")
    parser.add_argument("--build-host", metavar="[USER@]HOST")
    parser.add_argument("--elevate", choices=["none", "sudo"], default="none")
    parser.add_argument("--sudo", action="store_true", help="same as --elevate=sudo")
    parser.add_argument(
        "--ask-elevate-password", "--ask-sudo-password", "-S", action="store_true", help="ask once for sudo's password"
    )
    parser.add_argument("--no-reexec", action="store_true", help="do not build and run its own successor first")
    parser.add_argument("--install-bootloader", action="store_true")
    for option, advice in DEPRECATED.items():
        parser.add_argument(option, action="store_true", help=f"deprecated: {advice}")
    add_nix_flags(parser)
    for option in (*REFUSED_WITH_VALUE, *REFUSED_SWITCHES):
        arguments = 1 if option in REFUSED_WITH_VALUE else 0
        parser.add_argument(option, action=Refuse, nargs=arguments, dest="refused", help=argparse.SUPPRESS)
    return parser


def add_nix_flags(parser: argparse.ArgumentParser) -> None:
    passed_on = parser.add_argument_group("passed on to Nix")
    for flags in GROUPS.values():
        for flag in flags:
            names = [flag.long] if flag.short is None else [flag.long, flag.short]
            passed_on.add_argument(*names, **TO_ARGPARSE[flag.kind])
    passed_on.add_argument("--no-link", "--no-build-output", "-Q", action="store_true")
    passed_on.add_argument("--use-substitutes", "--substitute-on-destination", "-s", action="store_true")


class Refuse(argparse.Action):
    """An option of the real one that this one does not imitate."""

    def __call__(self, parser: argparse.ArgumentParser, _namespace: Any, _values: Any, option: Any = None) -> NoReturn:
        parser.error(f"{option} is not imitated by this stand-in")


def check_store_path(parser: argparse.ArgumentParser, args: argparse.Namespace, action: str) -> None:
    if args.rollback:
        parser.error("--store-path and --rollback are mutually exclusive")
    if args.flake:
        parser.error("--store-path cannot be used with --flake, --file, or --attr")
    if action not in ACTIVATIONS:
        parser.error(f"--store-path cannot be used with '{action}'")


def nix_flags(args: argparse.Namespace) -> NixFlags:
    words = {
        group: tuple(word for flag in flags for word in flag.words(getattr(args, flag.attribute)))
        for group, flags in GROUPS.items()
    }
    return NixFlags(**words, substitute=args.use_substitutes, no_link=args.no_link)
