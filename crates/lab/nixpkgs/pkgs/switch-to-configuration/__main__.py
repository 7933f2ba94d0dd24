"""Stand-in for NixOS' switch-to-configuration, for rehearsal machines only.

    switch-to-configuration check|switch|boot|test|dry-activate

The order of things, the lines on stderr and the exit codes are NixOS' (switch-to-configuration-ng):

    0    done
    1    bad arguments, or the boot loader failed
    2    the activation script failed; everything else was still done
    4    a unit failed, ours or another
    11   another switch holds the lock
    100  the new system needs a reboot

OUT and TOPLEVEL, set by the wrapper in bin/, name the system.
"""

import errno
import fcntl
import os
import subprocess
import sys
import syslog
import time
from pathlib import Path

import bootloader
import systemd
from units import Plan, plan_switch

ACTIONS = ("check", "switch", "boot", "test", "dry-activate")
LOCK = Path("/run/nixos/switch-to-configuration.lock")
START_LIST = Path("/run/nixos/start-list")
REHEARSAL = Path("/etc/xtask-rehearsal")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in ACTIONS:
        say(f"Usage: switch-to-configuration [{'|'.join(ACTIONS)}]")
        return 1
    action = arguments[0]
    if os.geteuid() != 0:
        say("Error: switch-to-configuration must be run as the root user")
        return 1
    if not REHEARSAL.exists():
        say("This is not a NixOS installation!")
        say(f"It is no rehearsal machine either (no {REHEARSAL}), and this system was built for one.")
        return 1
    system = Path(os.environ["OUT"])
    os.environ["NIXOS_ACTION"] = action

    LOCK.parent.mkdir(mode=0o755, exist_ok=True)
    with LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("Could not acquire lock")
            return errno.EAGAIN
        return run(action, system)


def run(action: str, system: Path) -> int:
    if action == "check":
        return 0
    if action in ("switch", "boot"):
        try:
            bootloader.install(system)
        except OSError as error:
            say(str(error))
            say("Failed to install bootloader")
            return 1
    if action == "boot":
        return 0

    # A machine that never ran a configuration has no interface to be incompatible with.
    current = Path("/run/current-system/init-interface-version")
    if current.exists() and current.read_text() != (system / "init-interface-version").read_text():
        say("Warning: the new NixOS configuration has an ‘init’ that is")
        say("incompatible with the current configuration.  The new configuration")
        say("won't take effect until you reboot the system.")
        return 100

    before = systemd.states()
    plan = plan_switch(system, systemd.running(before))
    if action == "dry-activate":
        return dry_activate(system, plan)
    syslog.openlog("nixos", 0, syslog.LOG_USER)
    syslog.syslog(f"switching to system configuration {system}")
    code = apply(system, plan, before)
    if code == 0:
        syslog.syslog(f"finished switching to system configuration {system}")
    else:
        syslog.syslog(syslog.LOG_ERR, f"switching to system configuration {system} failed (status {code})")
    return code


def dry_activate(system: Path, plan: Plan) -> int:
    announce("would stop the following units", plan.stop)
    announce("would NOT stop the following changed units", plan.skip)
    say("would activate the configuration...")
    subprocess.run([system / "dry-activate", system], stdin=subprocess.DEVNULL, check=False)
    announce("would reload the following units", plan.reload)
    announce("would restart the following units", plan.restart)
    announce("would start the following units", plan.start)
    return 0


def apply(system: Path, plan: Plan, before: dict[str, systemd.State]) -> int:
    code = 0
    # If we are killed between stop and start, the next switch starts what this one stopped.
    left_over = set(START_LIST.read_text().split()) if START_LIST.exists() else set()
    plan.start |= left_over
    START_LIST.write_text("".join(f"{unit}\n" for unit in sorted(plan.start)))

    announce("stopping the following units", plan.stop)
    systemd.job("stop", plan.stop)
    announce("NOT restarting the following changed units", plan.skip)

    say("activating the configuration...")
    if subprocess.run([system / "activate", system], stdin=subprocess.DEVNULL, check=False).returncode != 0:
        say("Failed to run activate script")
        code = 2

    systemd.call("reset-failed")
    systemd.call("daemon-reload")
    say("restarting sysinit-reactivation.target")
    systemd.job("restart", {"sysinit-reactivation.target"})

    # A unit to reload may have gone down with one it requires; then it is started.
    up = systemd.running(systemd.states())
    plan.start |= plan.reload - up
    plan.reload &= up
    for verb, units, line in (
        ("reload", plan.reload, "reloading the following units"),
        ("restart", plan.restart, "restarting the following units"),
        ("start", plan.start, "starting the following units"),
    ):
        announce(line, units)
        quietly = plan.start_quietly if verb == "start" else set()
        for failed in sorted(systemd.job(verb, units | quietly) & units):
            say(f"Failed to {verb} {failed}")
            code = 4
    START_LIST.unlink(missing_ok=True)
    return report(before) or code


def report(before: dict[str, systemd.State]) -> int:
    """Names new and failed units. A unit that fails at once and is restarted for ever counts as failed."""
    time.sleep(0.25)
    after = systemd.states()
    failed = {
        name
        for name, state in after.items()
        if state.active == "failed"
        or (state.sub == "auto-restart" and name.endswith(".service") and state.exit_status != 0)
    }
    new = {name for name in after.keys() - before.keys() - failed if not name.endswith(".scope")}
    announce("the following new units were started", new)
    if not failed:
        return 0
    announce("warning: the following units failed", failed)
    systemd.show_status(sorted(failed))
    return 4


def announce(line: str, units: set[str]) -> None:
    if units:
        say(f"{line}: {', '.join(sorted(units, key=str.lower))}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


sys.exit(main(sys.argv[1:]))
