"""Evaluate, build and copy: from a flake to a system's store path on the machine that shall run it."""

import json
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError

from .arguments import ACTIVATIONS, Request
from .processes import Failed, Host, Processes

NIX = ("nix", "--extra-experimental-features", "nix-command flakes")
TOPLEVEL = "config.system.build.toplevel"
SUCCESSOR = "config.system.build.nixos-rebuild"
WITH_OUTPUTS = (2, 13)
DEFAULT_FLAKE = Path("/etc/nixos/flake.nix")
REFERENCE = re.compile(r'(?P<path>[^#]*)#?(?P<name>[^#"]*)')


@dataclass(frozen=True)
class Flake:
    """A flake and one system in it."""

    path: str
    name: str

    def attribute(self, path: str) -> str:
        return f'{self.path}#nixosConfigurations."{self.name}".{path}'


def find_flake(processes: Processes, request: Request, target: Host | None) -> Flake | None:
    """Without a name it is the target's, which costs a login; where that fails it is "default"."""
    match request.flake:
        case str(text):
            reference = text
        case True:
            reference = "."
        case None if DEFAULT_FLAKE.exists():
            # It can be a link into the flake's own folder.
            reference = str(DEFAULT_FLAKE.resolve().parent)
        case _:
            return None
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise Failed(f"got no matches for {reference}")
    return Flake(match["path"], match["name"] or host_name(processes, target) or "default")


def host_name(processes: Processes, target: Host | None) -> str | None:
    if target is None:
        return platform.node()
    try:
        return processes.capture(target, ["uname", "-n"])
    except CalledProcessError:
        return None


def build_successor(processes: Processes, request: Request, flake: Flake | None) -> Path:
    """The nixos-rebuild of the configuration, which the real one runs in its own place."""
    if flake is None:
        return Path(build_classic(processes, request, SUCCESSOR, no_link=True))
    return Path(build_here(processes, request, flake, SUCCESSOR, no_link=True))


def build_system(
    processes: Processes, request: Request, flake: Flake | None, builder: Host | None, target: Host | None
) -> str:
    """Builds where it shall be built, and brings the closure where it shall run."""
    # The other actions leave a `result` link: in this folder, or on a build host in the login's home.
    no_link = request.action in ACTIVATIONS
    if flake is None:
        if builder is not None:
            raise Failed("this stand-in builds only flakes on a build host")
        path = build_classic(processes, request, TOPLEVEL, no_link)
    elif builder is None:
        path = build_here(processes, request, flake, TOPLEVEL, no_link)
    else:
        path = build_there(processes, request, flake, no_link, builder)
    if request.action != "dry-build":
        copy_closure(processes, request, path, source=builder, destination=target)
    return path


def build_here(processes: Processes, request: Request, flake: Flake, attribute: str, no_link: bool) -> str:
    flags = request.nix.local_build(no_link, request.action == "dry-build")
    return output_path(processes.capture(None, [*NIX, "build", "--json", flake.attribute(attribute), *flags]))


def build_there(processes: Processes, request: Request, flake: Flake, no_link: bool, builder: Host) -> str:
    """Evaluates here, sends the derivation, builds there."""
    evaluate = [*NIX, "eval", "--raw", flake.attribute(f"{TOPLEVEL}.drvPath"), *request.nix.evaluation()]
    derivation = processes.capture(None, evaluate)
    copy_closure(processes, request, derivation, source=None, destination=builder)
    flags = request.nix.remote_build(no_link, request.action == "dry-build")
    # Without the outputs' names a newer Nix means the derivation itself, and Nix 2.8 knows no such names.
    what = derivation if nix_version(processes) < WITH_OUTPUTS else f"{derivation}^*"
    return output_path(processes.capture(builder, [*NIX, "build", what, "--json", *flags]))


def nix_version(processes: Processes) -> tuple[int, ...]:
    """That of this machine, which is the hosts' in the lab."""
    match = re.search(r"(\d+)\.(\d+)", processes.capture(None, ["nix", "--version"]))
    return tuple(map(int, match.groups())) if match else WITH_OUTPUTS


def build_classic(processes: Processes, request: Request, attribute: str, no_link: bool) -> str:
    """No flake: whatever <nixpkgs/nixos> is. In the lab it is nothing, and this fails as it does out there."""
    flags = request.nix.classic_build(no_link, request.action == "dry-build")
    return processes.capture(None, ["nix-build", "<nixpkgs/nixos>", "--attr", attribute, *flags])


def output_path(text: str) -> str:
    """Reads what `nix build --json` printed."""
    try:
        [built] = json.loads(text)
        return str(built["outputs"]["out"])
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"nix build named no output path; this stand-in knows Nix 2.8 to 2.26. It said: {text}") from error


def copy_closure(
    processes: Processes, request: Request, path: str, source: Host | None, destination: Host | None
) -> None:
    """Between two hosts the closure travels through this machine, without entering its store."""
    if source == destination:
        return
    flags = request.nix.copying()
    host = destination or source
    # Between two hosts, or to a store that only the new command knows.
    if (source and destination) or (host and host.store != "ssh"):
        origin = ["--from", source.url] if source else []
        goal = ["--to", destination.url] if destination else []
        processes.copy([*NIX, "copy", *flags, *origin, *goal, path])
    elif host:
        processes.copy(["nix-copy-closure", *flags, "--to" if destination else "--from", host.name, path])
