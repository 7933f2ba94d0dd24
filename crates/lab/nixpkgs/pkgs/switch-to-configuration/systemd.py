"""Talking to systemd, by systemctl. NixOS speaks D-Bus; the jobs are the same ones."""

import re
import subprocess
from dataclasses import dataclass


@dataclass
class State:
    active: str
    sub: str
    exit_status: int


def states() -> dict[str, State]:
    """Every loaded unit that is not inactive."""
    shown = subprocess.run(
        ["systemctl", "show", "*", "--property=Id,ActiveState,SubState,ExecMainStatus,Following"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = {}
    for block in shown.split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if properties.get("Following") or properties.get("ActiveState", "inactive") == "inactive":
            continue
        status = properties.get("ExecMainStatus", "0")
        found[properties["Id"]] = State(
            properties["ActiveState"], properties["SubState"], int(status) if status.isdigit() else 0
        )
    return found


def running(found: dict[str, State]) -> set[str]:
    return {name for name, state in found.items() if state.active in ("active", "activating", "reloading")}


def job(verb: str, units: set[str]) -> set[str]:
    """Runs one job on all of them and waits, without a bound, as NixOS does. → the units that failed."""
    if not units:
        return set()
    done = subprocess.run(
        ["systemctl", verb, "--", *sorted(units)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode == 0:
        return set()
    return set(re.findall(r"ob for (\S+) (?:failed|canceled)", done.stderr)) | set(
        re.findall(r"Failed to \S+ (\S+\.\S+): ", done.stderr)
    )


def call(*arguments: str) -> None:
    subprocess.run(["systemctl", *arguments], stdin=subprocess.DEVNULL, check=True)


def show_status(units: list[str]) -> None:
    subprocess.run(["systemctl", "status", "--no-pager", "--full", *units], stdin=subprocess.DEVNULL, check=False)
