"""Make a system the profile's newest generation and activate it, on a host or here."""

import os
from pathlib import Path

from .arguments import Request
from .processes import Failed, Host, Processes

PROFILE = Path("/nix/var/nix/profiles/system")
NO_LOOK = "NIXOS_REBUILD_I_UNDERSTAND_THE_CONSEQUENCES_PLEASE_BREAK_MY_SYSTEM"

# The name is fixed: while a unit of that name is loaded, systemd refuses a second one. It belongs to systemd and not
# to this session, so it goes on when the link dies.
UNIT = (
    "systemd-run",
    "-E", "LOCALE_ARCHIVE",
    "-E", "NIXOS_INSTALL_BOOTLOADER",
    "-E", "NIXOS_NO_CHECK",
    "--collect",
    "--no-ask-password",
    "--pipe",
    "--quiet",
    "--service-type=exec",
    "--unit=nixos-rebuild-switch-to-configuration",
)  # fmt: skip


def activate(processes: Processes, request: Request, system: str, target: Host | None) -> None:
    """The profile first, as the real one: what follows may fail, and then the profile has moved all the same."""
    if request.action in ("switch", "boot") and not request.rollback:
        set_profile(processes, system, target)
    switch_to_configuration(processes, request, system, target)


def set_profile(processes: Processes, system: str, target: Host | None) -> None:
    if not os.environ.get(NO_LOOK) and not processes.succeeds(target, ["test", "-f", f"{system}/nixos-version"]):
        raise Failed(
            "your NixOS configuration path seems to be missing essential files.\n"
            "To avoid corrupting your current NixOS installation, the activation will abort.\n"
            f"\nThis is the evaluated NixOS configuration path: {system}."
        )
    processes.run(target, ["nix-env", "-p", str(PROFILE), "--set", system], elevated=processes.elevated)


def switch_to_configuration(processes: Processes, request: Request, system: str, target: Host | None) -> None:
    # A login that fails at this question reads as "no systemd there", and the activation runs on the bare session,
    # where it dies with the link. It is the real one's way, and what a deployer has to survive.
    unit = UNIT if processes.succeeds(target, ["test", "-d", "/run/systemd/system"]) else ()
    processes.run(
        target,
        [*unit, f"{system}/bin/switch-to-configuration", request.action],
        env={
            "LOCALE_ARCHIVE": None,
            "NIXOS_NO_CHECK": None,
            "NIXOS_INSTALL_BOOTLOADER": "1" if request.install_bootloader else "0",
        },
        elevated=processes.elevated,
    )


def roll_back(processes: Processes, request: Request, target: Host | None) -> str:
    """The previous generation, whether or not it ever worked. switch and boot move the profile, the others look."""
    match request.action:
        case "switch" | "boot":
            processes.run(target, ["nix-env", "--rollback", "-p", str(PROFILE)], elevated=processes.elevated)
            return str(PROFILE)
        case "test" | "build":
            return previous_generation(processes, target)
        case action:
            raise Failed(f"--rollback is incompatible with '{action}'")


def previous_generation(processes: Processes, target: Host | None) -> str:
    # The real one looks at this machine's profile even for another host.
    if not PROFILE.exists():
        raise Failed(f"no profile '{PROFILE.name}' found")
    argv = ["nix-env", "-p", str(PROFILE), "--list-generations"]
    lines = processes.capture(target, argv, elevated=processes.elevated).splitlines()
    others = [int(line.split()[0]) for line in lines if "(current)" not in line]
    if not others:
        raise Failed("could not find previous generation")
    # The newest that is not the current one, so after a rollback it is the one that was left.
    return str(PROFILE.parent / f"{PROFILE.name}-{max(others)}-link")
