"""One place that starts processes, on this machine or over ssh on a host, as the real one starts them.

A command on a host gets a clean environment: its PATH and what is named, nothing else. It is wrapped in `/bin/sh -c`
so that the host's login shell does not matter, and each word is quoted for the shell that ssh hands it to.
"""

import getpass
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from typing import Self, TextIO

# A variable's value: None for "whatever it is where the command runs".
Environment = Mapping[str, str | None]

# A socket's path has at most 107 bytes, and ssh adds the host's name and a suffix of its own.
LONGEST_FOLDER = 60


class Failed(Exception):
    """nixos-rebuild itself gives up: one line on stderr, exit code 1."""

    def __str__(self) -> str:
        return f"error: {self.args[0]}"


@dataclass(frozen=True)
class Host:
    """Another machine. Two are the same only if they are spelled the same."""

    # As Nix wants it.
    name: str
    store: str

    @classmethod
    def parse(cls, word: str | None) -> Self | None:
        """`[user@]host`, or a store such as `ssh-ng://[user@]host`; an empty word is this machine."""
        if not word:
            return None
        store, separator, name = word.partition("://")
        return cls(name, store) if separator else cls(word, "ssh")

    @property
    def url(self) -> str:
        return f"{self.store}://{self.name}"

    @property
    def ssh_name(self) -> str:
        """As ssh wants it: an IPv6 address without brackets."""
        user, at, address = self.name.rpartition("@")
        bare = address.strip("[]").replace("%25", "%")
        try:
            IPv6Address(bare)
        except AddressValueError:
            return self.name
        return f"{user}{at}{bare}"


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


class Processes:
    """Starts them, and holds the folder of this run's ssh masters."""

    def __init__(self, elevated: bool, ask_password: bool, verbose: bool) -> None:
        self.elevated = elevated
        self.ask_password = ask_password
        self.password: str | None = None
        self.verbose = verbose
        self.folder = tempfile.TemporaryDirectory(prefix="nixos-rebuild.")
        if len(self.folder.name) >= LONGEST_FOLDER:
            self.folder.cleanup()
            self.folder = tempfile.TemporaryDirectory(prefix="nixos-rebuild.", dir="/tmp")
        sockets = Path(self.folder.name) / "ssh-%n"
        own = ["ControlMaster=auto", f"ControlPath={sockets}", "ControlPersist=60"]
        # ssh takes the first value that it is given of an option: the caller's come first and win.
        self.own_ssh_options = [word for option in own for word in ("-o", option)]

    def ask_for_password(self, target: Host | None) -> None:
        """At the terminal; from stdin, with a warning, where there is none. Only commands on a host are given it."""
        if self.ask_password and target is not None:
            self.password = getpass.getpass(f"[sudo] password for {target.name}: ")

    def close(self) -> None:
        """Ends the ssh masters, which would otherwise stay for a minute."""
        for socket in Path(self.folder.name).glob("ssh-*"):
            argv = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "dummyhost"]
            subprocess.run(argv, check=False, capture_output=True)
        self.folder.cleanup()

    def capture(self, host: Host | None, argv: Sequence[str], *, elevated: bool = False) -> str:
        """Runs it to its end and returns what it printed. A failure is a CalledProcessError with its code."""
        command = self.command(host, argv, None, elevated)
        return self.start(command, host, argv, elevated, stdout=subprocess.PIPE).stdout.strip()

    def run(
        self, host: Host | None, argv: Sequence[str], *, env: Environment | None = None, elevated: bool = False
    ) -> None:
        """Runs it to its end. Its stdout goes to stderr: ours holds one line and nothing else."""
        command = self.command(host, argv, env, elevated)
        local_env = resolve(env) if env is not None and host is None and not elevated else None
        self.start(command, host, argv, elevated, env=local_env, stdout=sys.stderr)

    def succeeds(self, host: Host | None, argv: Sequence[str]) -> bool:
        """Whether it exits with 0. An ssh that fails says no, as a host does: so does the real one's."""
        command = self.command(host, argv, None, elevated=False)
        return self.start(command, host, argv, elevated=False, check=False, stdout=sys.stderr).returncode == 0

    def copy(self, argv: Sequence[str]) -> None:
        """Runs a program of Nix that starts ssh on its own."""
        given = os.environ.get("NIX_SSHOPTS", "")
        options = " ".join(filter(None, [given, *self.own_ssh_options]))
        env = {**os.environ, "NIX_SSHOPTS": options}
        self.start(list(argv), None, argv, elevated=False, env=env, stdout=sys.stderr)

    def command(self, host: Host | None, argv: Sequence[str], env: Environment | None, elevated: bool) -> list[str]:
        sudo = ["sudo", *shlex.split(os.environ.get("NIX_SUDOOPTS", ""))] if elevated else []
        if sudo and host is not None and self.password:
            sudo[1:1] = ["--prompt=", "--stdin"]
        if host is None:
            # sudo drops the environment it is given, so what has to arrive becomes part of its command.
            kept = ["env", "-i", *(f"{k}={v}" for k, v in resolve(env).items())] if sudo and env is not None else []
            return [*sudo, *kept, *argv]
        there = [*sudo, "/bin/sh", "-c", clean_environment(env), "sh", *argv]
        return [*self.ssh(host), *(shlex.quote(word) for word in there)]

    def ssh(self, host: Host) -> list[str]:
        given = shlex.split(os.environ.get("NIX_SSHOPTS", ""))
        return ["ssh", *given, *self.own_ssh_options, host.ssh_name, "--"]

    def start(
        self, command: list[str], host: Host | None, argv: Sequence[str], elevated: bool, *,
        check: bool = True, env: Mapping[str, str] | None = None, stdout: int | TextIO | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        if self.verbose:
            print(f"debug: calling {shlex.join(command)}", file=sys.stderr, flush=True)
        try:
            # Without a password stdin is inherited, and eaten: the real one does it too.
            password = f"{self.password}\n" if elevated and host is not None and self.password else None
            return subprocess.run(
                command, check=check, env=env, stdout=stdout, input=password, text=True, errors="surrogateescape"
            )
        except KeyboardInterrupt:
            if host is not None and not elevated:
                self.interrupt_there(host, argv)
            raise
        except subprocess.CalledProcessError:
            if host is not None and elevated and self.password is None:
                hint = "while running command with remote sudo, did you forget to use --ask-elevate-password?"
                print(f"error: {hint}", file=sys.stderr)
            raise

    def interrupt_there(self, host: Host, argv: Sequence[str]) -> None:
        """ssh without a terminal passes no signal on, so the process on the host is looked for by its command line.

        The pattern is that of the real one, with the quotes of words that needed some. No process has those in its
        command line, so a build on a host, whose words include 'nix-command flakes', is never found.
        """
        print("cleaning-up remote process, please wait...", file=sys.stderr, flush=True)
        pattern = re.escape(shlex.join(argv))
        command = [*self.ssh(host), "pkill", "--signal", "SIGINT", "--full", "--", pattern]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            what = f"the command {list(argv)} may still be running in host '{host.name}'"
            warn(f"could not clean-up remote process, {what}")


def resolve(env: Environment | None) -> dict[str, str]:
    """The clean environment of a command on this machine."""
    wanted: Environment = {"PATH": None, **(env or {})}
    values = {name: os.environ.get(name) if value is None else value for name, value in wanted.items()}
    return {name: value for name, value in values.items() if value is not None}


def clean_environment(env: Environment | None) -> str:
    """A shell script that runs its arguments in the clean environment of a host."""
    wanted: Environment = {"PATH": None, **(env or {})}
    values = {name: f'"${{{name}-}}"' if value is None else shlex.quote(value) for name, value in wanted.items()}
    assignments = " ".join(f"{name}={value}" for name, value in values.items())
    return f'exec env -i {assignments} "$@"'
