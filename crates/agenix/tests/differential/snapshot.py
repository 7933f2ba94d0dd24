"""What a folder holds, and what a step changed in it."""

from __future__ import annotations

import base64
import hashlib
import stat
from pathlib import Path
from typing import Any, NamedTuple

from world import World

ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
BINARY = b"age-encryption.org/v1\n"
# Longer texts would only fill the recording.
SHOWN_BYTES = 4096


class Entry(NamedTuple):
    """A file, a folder or a symlink, with all that can change about it."""

    kind: str
    mode: str
    content: bytes


def taken(folder: Path) -> dict[str, Entry]:
    return {str(path.relative_to(folder)): entry(path) for path in folder.rglob("*")}


def entry(path: Path) -> Entry:
    if path.is_symlink():
        return Entry("symlink", "", str(path.readlink()).encode())
    mode = f"{stat.S_IMODE(path.stat().st_mode):04o}"
    return Entry("folder", mode, b"") if path.is_dir() else Entry("file", mode, path.read_bytes())


def changes(before: dict[str, Entry], after: dict[str, Entry], world: World) -> dict[str, Any]:
    """Each path that is not as it was: what it is now, `null` when it is gone."""
    changed = [path for path in sorted(before | after) if before.get(path) != after.get(path)]
    return {path: described(after[path], world) if path in after else None for path in changed}


def described(entry: Entry, world: World) -> dict[str, Any]:
    if entry.kind == "symlink":
        return {"kind": "symlink", "target": world.emptied(entry.content.decode())}
    described = {"kind": entry.kind, "mode": entry.mode}
    if entry.content.startswith((ARMOR, BINARY)):
        return {**described, **secret(entry.content, world)}
    return {**described, "text": shown(entry.content)} if entry.kind == "file" else described


def secret(ciphertext: bytes, world: World) -> dict[str, Any]:
    opened = world.keys.opened(ciphertext)
    plaintexts = sorted({shown(plaintext) for plaintext in opened.values()})
    return {
        "armored": ciphertext.startswith(ARMOR),
        "plaintext": plaintexts[0] if len(plaintexts) == 1 else plaintexts,
        "for": list(opened),
        "stanzas": stanzas(ciphertext),
    }


def stanzas(ciphertext: bytes) -> int:
    """How many recipients the header has. A key that is named twice opens the file just as well."""
    if ciphertext.startswith(ARMOR):
        ciphertext = base64.b64decode(b"".join(ciphertext.strip().splitlines()[1:-1]))
    header = ciphertext.split(b"\n---", 1)[0].splitlines()
    kinds = [line.split()[1] for line in header if line.startswith(b"-> ")]
    # Some implementations add a stanza that means nothing, to keep readers honest; ours adds one that names readers.
    return sum(not kind.endswith(b"-grease") and kind != b"agenix-readers" for kind in kinds)


def shown(content: bytes) -> str:
    """As text where it is one that can be read."""
    try:
        if len(content) <= SHOWN_BYTES:
            return content.decode()
    except UnicodeDecodeError:
        pass
    return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
