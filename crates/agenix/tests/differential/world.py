"""What a case starts from: its files, rules and secrets, a home and a temporary folder of its own.

In the texts of a case `{user1.pub}` is a public key, `{user1}` the path of its private key, `{case}` the
case's folder, `{home}` the home folder, `{PATH}` that of the environment. Output gets the same names back in
place of what they stand for.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from keys import NAMES, SSH, Keys


class World:
    """The folders of one case."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.keys = keys
        self.case = folder / "case"
        self.home = folder / "home"
        self.temporary = [folder / "tmp", folder / "run"]
        self._names = {
            **{f"{{{name}.pub}}": keys.public(name) for name in NAMES},
            **{f"{{{name}}}": str(keys.private(name)) for name in NAMES},
            "{case}": str(self.case),
            "{home}": str(self.home),
            "{tmp}": str(self.temporary[0]),
            "{run}": str(self.temporary[1]),
            "{PATH}": os.environ["PATH"],
        }

    def set_up(self, setup: dict[str, Any]) -> None:
        for made in (self.case, self.home / ".ssh", *self.temporary):
            made.mkdir(parents=True)
            made.chmod(0o700)
        for name in setup["home"]:
            self.home.joinpath(".ssh", f"id_{SSH[name]}").write_bytes(self.keys.private(name).read_bytes())
        for path in self.home.glob(".ssh/*"):
            path.chmod(0o600)  # As ssh wants it.
        if "rules" in setup:
            self._write(setup.get("rules_at", "secrets.nix"), self._rules(setup["rules"]).encode())
        for path, content in setup.get("files", {}).items():
            self._write(path, self.filled(content).encode())
        for path, secret in setup.get("secrets", {}).items():
            armor = secret.get("armor", False)
            self._write(path, self.keys.encrypt(plaintext(secret), secret["to"], armor))
            self.case.joinpath(path).chmod(int(secret.get("mode", "0644"), 8))
        for path, target in setup.get("links", {}).items():
            self.case.joinpath(path).symlink_to(target)

    def environment(self) -> dict[str, str]:
        tmp, runtime = map(str, self.temporary)
        return {"HOME": str(self.home), "TMPDIR": tmp, "XDG_RUNTIME_DIR": runtime}

    def left(self) -> list[str]:
        """Every file in the temporary folders: after a run there should be none."""
        found = [path for folder in self.temporary for path in folder.rglob("*") if not path.is_dir()]
        return sorted(map(str, found))

    def filled(self, text: str) -> str:
        # One pass, and only names that there are: rules are full of braces.
        known = "|".join(map(re.escape, self._names))
        return re.sub(known, lambda found: self._names[found[0]], text)

    def emptied(self, text: str) -> str:
        for name, value in sorted(self._names.items(), key=lambda item: -len(item[1])):
            text = text.replace(value, name)
        return text

    def _write(self, path: str, content: bytes) -> None:
        file = self.case / self.filled(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if content.startswith(b"#!"):
            file.chmod(0o755)

    def _rules(self, rules: dict[str, Any]) -> str:
        lines = ["{"]
        for name, rule in rules.items():
            rule = rule if isinstance(rule, dict) else {"to": rule}
            keys = " ".join(nix_string(self.keys.public(key)) for key in rule["to"])
            lines.append(f"  {nix_string(self.filled(name))}.publicKeys = [ {keys} ];")
            if "armor" in rule:
                lines.append(f"  {nix_string(self.filled(name))}.armor = {str(rule['armor']).lower()};")
        return "\n".join([*lines, "}", ""])


def plaintext(secret: dict[str, Any]) -> bytes:
    """`text`, or `size` bytes of every value, which are no text in any encoding."""
    return secret["text"].encode() if "text" in secret else bytes(i % 256 for i in range(secret["size"]))


def nix_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${") + '"'
