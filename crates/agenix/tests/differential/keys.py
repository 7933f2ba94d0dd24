"""The keys of the cases: real ones, made anew for each run and gone with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

SSH = {"user1": "ed25519", "user2": "rsa", "system1": "ed25519"}
AGE = ["ageuser"]
NAMES = [*SSH, *AGE]


class Keys:
    """A folder with a private key under each name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name, kind in SSH.items():
            bits = ["-b", "2048"] if kind == "rsa" else []
            must("ssh-keygen", "-q", "-t", kind, *bits, "-N", "", "-C", name, "-f", str(self.private(name)))
        for name in AGE:
            must("age-keygen", "-o", str(self.private(name)))
        self._public = {name: self._read_public(name) for name in NAMES}

    def private(self, name: str) -> Path:
        return self.folder / name

    def public(self, name: str) -> str:
        """As it stands in a rule, an ssh key with its comment. What is no name is a key itself."""
        return self._public.get(name, name)

    def encrypt(self, plaintext: bytes, to: list[str], armor: bool) -> bytes:
        arguments = [word for name in to for word in ("-r", self.public(name))]
        return must("age", "--encrypt", *(["--armor"] if armor else []), *arguments, stdin=plaintext)

    def opened(self, ciphertext: bytes) -> dict[str, bytes]:
        """The plaintext by the name of each key that opens it."""
        tried = {name: self._try(name, ciphertext) for name in NAMES}
        return {name: plaintext for name, plaintext in tried.items() if plaintext is not None}

    def _try(self, name: str, ciphertext: bytes) -> bytes | None:
        command = ["age", "--decrypt", "--identity", str(self.private(name))]
        done = subprocess.run(command, input=ciphertext, capture_output=True)
        return done.stdout if done.returncode == 0 else None

    def _read_public(self, name: str) -> str:
        if name in AGE:
            return must("age-keygen", "-y", str(self.private(name))).decode().strip()
        return self.folder.joinpath(f"{name}.pub").read_text().strip()


def must(*command: str, stdin: bytes = b"") -> bytes:
    """The output of a program that has to succeed."""
    done = subprocess.run(command, input=stdin, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout
