"""Unit files: which ones the system owns, how two of them differ, and what a switch does about it.

Pure but for reading files: systemd is asked in systemd.py. The rules are those of NixOS'
switch-to-configuration, because a deploy's outcome hangs on them: which units are stopped under the old
configuration, restarted in one step, reloaded, left alone, and which difference counts as none.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

INSTALLED = Path("/etc/systemd/system")
# Keys of [Unit] whose change is no reason to touch a running unit.
COSMETIC = {
    "Description", "Documentation", "OnFailure", "OnSuccess", "OnFailureJobMode", "IgnoreOnIsolate",
    "StopWhenUnneeded", "RefuseManualStart", "RefuseManualStop", "AllowIsolate", "CollectMode", "SourcePath",
}  # fmt: skip

Unit = dict[str, dict[str, list[str]]]


@dataclass
class Plan:
    """What a switch is going to do. `start_quietly` is what targets pull in: it is not announced."""

    stop: set[str] = field(default_factory=set)
    start: set[str] = field(default_factory=set)
    restart: set[str] = field(default_factory=set)
    reload: set[str] = field(default_factory=set)
    skip: set[str] = field(default_factory=set)
    start_quietly: set[str] = field(default_factory=set)


def plan_switch(new_system: Path, active: set[str]) -> Plan:
    """`active`: the units that systemd has running now."""
    plan = Plan()
    new_units = new_system / "etc/systemd/system"
    for name in sorted(active):
        base = owned_base(name)
        if base is None:
            continue
        old_file, new_file = INSTALLED / base, new_units / base
        if is_gone(new_file):
            if boolean(parse(old_file), "Unit", "X-StopOnRemoval", True):
                plan.stop.add(name)
        elif name.endswith(".target"):
            plan_target(plan, name, parse(new_file))
        else:
            old, new = parse(old_file), parse(new_file)
            difference = compare(old, new)
            if difference == "restart":
                plan_changed(plan, name, new, new_units, active)
            elif difference == "reload":
                plan.reload.add(name)
    plan.reload -= plan.restart | plan.stop
    plan.start_quietly |= wanted(new_system, active) - active - plan.skip - plan.start
    return plan


def plan_target(plan: Plan, name: str, new: Unit) -> None:
    if not boolean(new, "Unit", "RefuseManualStart", False) and not boolean(new, "Unit", "X-OnlyManualStart", False):
        plan.start_quietly.add(name)
    if boolean(new, "Unit", "X-StopOnReconfiguration", False):
        plan.stop.add(name)


def plan_changed(plan: Plan, name: str, new: Unit, new_units: Path, active: set[str]) -> None:
    if name.endswith((".path", ".slice", ".socket")):
        return
    if boolean(new, "Service", "X-ReloadIfChanged", False):
        plan.reload.add(name)
    elif (
        not boolean(new, "Service", "X-RestartIfChanged", True)
        or boolean(new, "Unit", "RefuseManualStop", False)
        or boolean(new, "Unit", "X-OnlyManualStart", False)
    ):
        plan.skip.add(name)
    elif not boolean(new, "Service", "X-StopIfChanged", True) or not name.endswith(".service"):
        plan.restart.add(name)
    else:
        socket = re.sub(r"@?[^@]*\.service$", ".socket", name) if "@" in name else name[: -len(".service")] + ".socket"
        by_socket = (new_units / socket).exists() and not boolean(new, "Service", "X-NotSocketActivated", False)
        if by_socket and socket in active:
            plan.stop.add(socket)
            plan.start.add(socket)
        plan.stop.add(name)
        if not by_socket:
            plan.start.add(name)


def wanted(new_system: Path, active: set[str]) -> set[str]:
    """What those of the new system's targets want that are up."""
    found = set()
    for folder in (new_system / "etc/systemd/system").iterdir():
        target, _, kind = folder.name.rpartition(".")
        if kind not in ("wants", "requires", "upholds") or not target.endswith(".target"):
            continue
        if target in active:
            found |= {link.name for link in folder.iterdir() if not is_gone(link)}
    return found


def owned_base(name: str) -> str | None:
    """The unit's file if it came from a configuration, never from the Debian base; foo@x → foo@."""
    candidates = [name]
    if "@" in name:
        candidates.append(re.sub(r"@.*\.", "@.", name))
    for candidate in candidates:
        link = INSTALLED / candidate
        if link.is_symlink() and os.readlink(link).startswith("/etc/static/"):
            return candidate
    return None


def is_gone(file: Path) -> bool:
    return not file.exists() or os.path.realpath(file) == "/dev/null"


def parse(file: Path) -> Unit:
    """systemd's unit syntax: keys repeat and add up, an empty value clears, a backslash continues."""
    unit: Unit = {}
    section: dict[str, list[str]] = {}
    text = file.read_text() if file.exists() else ""
    for line in text.replace("\\\n", " ").split("\n"):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = unit.setdefault(line[1:-1], {})
            continue
        key, equals, value = line.partition("=")
        if not equals:
            continue
        if value.strip():
            section.setdefault(key.strip(), []).append(value.strip())
        else:
            section[key.strip()] = []
    unit.pop("Install", None)
    return unit


def boolean(unit: Unit, section: str, key: str, default: bool) -> bool:
    values = unit.get(section, {}).get(key, [])
    return values[-1] in TRUE if values else default


TRUE = {"1", "yes", "true", "on"}


def compare(old: Unit, new: Unit) -> str:
    """"same", "reload" or "restart"."""
    result = "same"
    for section in old.keys() | new.keys():
        before, after = old.get(section, {}), new.get(section, {})
        for key in before.keys() | after.keys():
            if before.get(key) == after.get(key):
                continue
            if section == "Unit" and key in COSMETIC:
                continue
            if (section == "Unit" and key == "X-Reload-Triggers") or (section == "Mount" and key == "Options"):
                result = "reload"
            elif section == "Service" and key == "ExecReload" and key not in before:
                result = "reload"
            else:
                return "restart"
    return result
