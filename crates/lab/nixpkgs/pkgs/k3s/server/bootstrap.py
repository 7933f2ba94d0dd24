"""The datastore's sealed copy of the cluster's identity, and the two ways it stops a server.

K3s keeps its CA keys and `cred/passwd` in the datastore, encrypted with the server token. At each start it decrypts
them and compares them with the disk. Hence the two fatal errors that this project must steer around, both reproduced:

* another token than the one the copy was sealed with: `… encrypted with different token`;
* a file on disk that differs and is at least three seconds newer: `… newer than datastore …`. That is the trap of an
  agent token added later: the first restart rewrites `cred/passwd` after the comparison, the second one finds it.

The copy is one file, `db/bootstrap.json`. It is really sealed (PBKDF2, an HMAC-SHA256 key stream, an HMAC tag), because
a rehearsal proves that secrets lie nowhere in the clear; but the construction is home-made for want of AES in Python's
standard library, and is no example to follow.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from common import log
from common.files import write_atomic

_SKEW = 3
_ROUNDS = 4096


class WrongToken(Exception):
    """The copy was sealed with another token."""

    def __str__(self) -> str:
        return "bootstrap data already found and encrypted with different token"


@dataclass(frozen=True)
class _File:
    content: bytes
    changed: int


class BootstrapData:
    """The sealed copy in `db`, and the files it is a copy of."""

    def __init__(self, server_dir: Path) -> None:
        """Take the copy and the files of a server's directory."""
        tls, self._cred = server_dir / "tls", server_dir / "cred"
        self._record = server_dir / "db" / "bootstrap.json"
        self._paths = {
            "ClientCA": tls / "client-ca.crt",
            "ClientCAKey": tls / "client-ca.key",
            "ServerCA": tls / "server-ca.crt",
            "ServerCAKey": tls / "server-ca.key",
            "PasswdFile": self._cred / "passwd",
        }

    @property
    def exists(self) -> bool:
        """Whether anything was ever saved."""
        return self._record.exists()

    def save(self, password: str) -> None:
        """Seal the files as they are now, in place of what was saved before."""
        files = {
            name: {"content": base64.b64encode(path.read_bytes()).decode(), "changed": int(path.stat().st_mtime)}
            for name, path in self._paths.items()
        }
        write_atomic(self._record, json.dumps(_seal(password, json.dumps(files).encode())))

    def check(self, password: str) -> None:
        """Raise WrongToken unless this password opens the copy."""
        self._open(password)

    def reconcile(self, password: str) -> None:
        """Compare copy and disk as a start does: restore what is missing or older, die of what is newer."""
        files = self._open(password)
        log.info("Reconciling bootstrap data between datastore and disk")
        newer: list[str] = []
        older: list[str] = []
        for name, saved in files.items():
            path = self._paths[name]
            if not path.exists():
                log.warning(f"{path} doesn't exist. continuing...")
                older.append(name)
            elif path.read_bytes() != saved.content:
                is_newer = int(path.stat().st_mtime) - saved.changed >= _SKEW
                (newer if is_newer else older).append(name)
        if newer:
            names = ", ".join(str(self._paths[name]) for name in newer)
            log.fatal(
                f"{names} newer than datastore and could cause a cluster outage. "
                "Remove the file(s) from disk and restart to be recreated from datastore."
            )
        if older:
            log.warning("Updating bootstrap data on disk from datastore")
        for name in older:
            _restore(self._paths[name], files[name])

    def _open(self, password: str) -> dict[str, _File]:
        clear = json.loads(_unseal(password, json.loads(self._record.read_text(encoding="utf-8"))))
        return {name: _File(base64.b64decode(file["content"]), file["changed"]) for name, file in clear.items()}


def _restore(path: Path, saved: _File) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, saved.content)
    os.utime(path, (saved.changed, saved.changed))


def _seal(password: str, clear: bytes) -> dict[str, str]:
    salt = secrets.token_bytes(16)
    stream, tag = _keys(password, salt)
    sealed = _crypt(stream, clear)
    return {"salt": salt.hex(), "tag": hmac.digest(tag, sealed, "sha256").hex(), "sealed": sealed.hex()}


def _unseal(password: str, record: dict[str, str]) -> bytes:
    stream, tag = _keys(password, bytes.fromhex(record["salt"]))
    sealed = bytes.fromhex(record["sealed"])
    if not hmac.compare_digest(hmac.digest(tag, sealed, "sha256").hex(), record["tag"]):
        raise WrongToken
    return _crypt(stream, sealed)


def _keys(password: str, salt: bytes) -> tuple[bytes, bytes]:
    both = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS, dklen=64)
    return both[:32], both[32:]


def _crypt(key: bytes, data: bytes) -> bytes:
    blocks = range(-(-len(data) // 32))
    stream = b"".join(hmac.digest(key, block.to_bytes(8, "big"), "sha256") for block in blocks)
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))
