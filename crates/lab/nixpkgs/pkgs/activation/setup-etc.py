"""Stand-in for NixOS' setup-etc: /etc becomes what the new system says, through /etc/static.

    setup-etc.py /nix/store/…-nixos-system-…/etc

/etc/static points to the system's etc; each file there gets a link in /etc that goes through it, so most
of /etc changes in one rename. Links into /etc/static that lead nowhere any more are removed. Files with a
mode are copied, and remembered in /etc/.clean.

Two things differ from NixOS, because below the system there is Debian. /etc/systemd/system stays a real
folder, into which units are linked one by one. And the files on which the rehearsal machine itself
stands are left alone, with a line that says so.
"""

import grp
import os
import pwd
import shutil
import sys
from pathlib import Path

ETC = Path("/etc")
STATIC = ETC / "static"
CLEAN = ETC / ".clean"
# Folders of the system's etc that are entered, not linked as a whole.
ENTERED = {"systemd/system"}
THE_MACHINES_OWN = {
    "NIXOS",
    "fstab",
    "group",
    "gshadow",
    "hostname",
    "hosts",
    "machine-id",
    "mtab",
    "nix/nix.conf",
    "os-release",
    "passwd",
    "resolv.conf",
    "shadow",
    "ssh/sshd_config",
    "subgid",
    "subuid",
    "xtask-rehearsal",
}


def main(new_etc: Path) -> int:
    replace_link(STATIC, new_etc)
    remove_obsolete_links()
    copied_before = CLEAN.read_text().split("\n") if CLEAN.exists() else []
    copied = []
    failed = False
    for name in files_of(new_etc):
        try:
            if place(new_etc, name):
                copied.append(name)
        except OSError as error:
            print(f"could not create target /etc/{name}: {error}", file=sys.stderr)
            failed = True
    for name in copied_before:
        target = ETC / name
        if name and name not in copied and not target.is_symlink():
            print(f"removing obsolete file ‘{target}’...", file=sys.stderr)
            target.unlink(missing_ok=True)
    CLEAN.write_text("".join(f"{name}\n" for name in sorted(copied)))
    (ETC / "NIXOS").touch()
    return 1 if failed else 0


def files_of(new_etc: Path):
    """Every path below the system's etc that gets a link, relative to it."""
    for folder, subfolders, files in os.walk(new_etc, followlinks=True):
        here = Path(folder).relative_to(new_etc)
        for name in list(subfolders):
            path = str(here / name)
            if (new_etc / path).is_symlink() and path not in ENTERED:
                subfolders.remove(name)
                yield path
        for name in files:
            if not name.endswith((".mode", ".uid", ".gid")):
                yield str(here / name)


def place(new_etc: Path, name: str) -> bool:
    """Links or copies one file. True: copied."""
    target = ETC / name
    if name in THE_MACHINES_OWN:
        print(f"leaving /etc/{name} alone: it belongs to the rehearsal machine", file=sys.stderr)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    mode_file = new_etc / f"{name}.mode"
    mode = mode_file.read_text().strip() if mode_file.exists() else "symlink"
    if mode == "symlink":
        if target.is_dir() and not target.is_symlink():
            print(f"{target} directory contains user files. Symlinking may fail.", file=sys.stderr)
        replace_link(target, STATIC / name)
        return False
    temporary = target.with_name(target.name + ".tmp")
    shutil.copyfile(new_etc / name, temporary)
    os.chown(
        temporary,
        number(new_etc / f"{name}.uid", lambda n: pwd.getpwnam(n).pw_uid),
        number(new_etc / f"{name}.gid", lambda n: grp.getgrnam(n).gr_gid),
    )
    temporary.chmod(int(mode, 8))
    temporary.rename(target)
    return True


def number(file: Path, by_name) -> int:
    """"+0" is a number, "root" a name."""
    text = file.read_text().strip()
    return int(text) if text.startswith("+") else by_name(text)


def replace_link(link: Path, target: Path) -> None:
    temporary = link.with_name(link.name + ".tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(link)


def remove_obsolete_links() -> None:
    prefix = f"{STATIC}/"
    for folder, subfolders, files in os.walk(ETC):
        for name in subfolders + files:
            path = Path(folder) / name
            if not path.is_symlink() or not os.readlink(path).startswith(prefix):
                continue
            if not os.path.lexists(STATIC / path.relative_to(ETC)):
                # In NixOS all units are behind one link, so nothing is said about single ones.
                if "systemd/system" not in folder:
                    print(f"removing obsolete symlink ‘{path}’...", file=sys.stderr)
                path.unlink()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
