"""Stand-in for the boot loader: one entry a generation in /boot/loader, in systemd-boot's own format.

The rehearsal machine's early boot unit reads `default` from loader.conf and runs the `init=` of that
entry. So "the boot default was never moved" can be looked at, and a reboot goes where it says.
"""

import os
import re
from pathlib import Path

LOADER = Path("/boot/loader")
PROFILES = Path("/nix/var/nix/profiles")


def install(system: Path) -> None:
    entries = LOADER / "entries"
    entries.mkdir(parents=True, exist_ok=True)
    if os.environ.get("NIXOS_INSTALL_BOOTLOADER") == "1":
        (LOADER / "installed").write_text("by NIXOS_INSTALL_BOOTLOADER=1; a stand-in of the rehearsal lab\n")
        print("installing the boot loader... (a stand-in of the rehearsal lab)", flush=True)
    generations = {
        int(match[1]): Path(os.path.realpath(link))
        for link in PROFILES.glob("system-*-link")
        if (match := re.fullmatch(r"system-(\d+)-link", link.name))
    }
    for number, target in generations.items():
        replace(entries / f"nixos-generation-{number}.conf", entry(f"Generation {number}", target))
    for file in entries.glob("nixos-generation-*.conf"):
        if int(file.stem.rsplit("-", 1)[1]) not in generations:
            file.unlink()
    # nixos-rebuild has already moved the profile; without one (an activation by hand) there is no number.
    ours = [number for number, target in generations.items() if target == system]
    if ours:
        default = f"nixos-generation-{max(ours)}.conf"
    else:
        default = "nixos-without-generation.conf"
        replace(entries / default, entry("no generation", system))
    replace(LOADER / "loader.conf", f"timeout 5\ndefault {default}\n")


def entry(version: str, system: Path) -> str:
    return f"title NixOS\nversion {version}, {system.name}\noptions init={system}/init\n"


def replace(file: Path, content: str) -> None:
    temporary = file.with_name(file.name + ".tmp")
    temporary.write_text(content)
    temporary.rename(file)
