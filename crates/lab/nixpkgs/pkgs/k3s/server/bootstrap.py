"""The datastore's sealed copy of the cluster's identity, and the ways it stops a server.

K3s keeps its CA keys and `cred/passwd` in the datastore, encrypted with the server token, under a key that is a hash of
the token. At each start it decrypts them and compares them with the disk. Hence the fatal errors that this project must
steer around, all reproduced:

* another token than the one the copy was sealed with: `… encrypted with different token`;
* a file on disk that differs and is at least three seconds newer: `… newer than datastore …`. That is the trap of an
  agent token added later: the first restart rewrites `cred/passwd` after the comparison, the second one finds it.

A server that joins others gets the same files over HTTP, in the clear but over TLS, if it knows the server token.

It is really sealed (PBKDF2, an HMAC-SHA256 key stream, an HMAC tag), because a rehearsal proves that secrets lie
nowhere in the clear; but the construction is home-made for want of AES in Python's standard library, and is no example
to follow.
"""

import base64
import calendar
import hashlib
import hmac
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from common import log
from common.files import write_atomic
from datastore.keys import Keys, Operation

_ROOT = "/bootstrap/"
_SKEW = 3
_ROUNDS = 4096
_TIME = "%Y-%m-%dT%H:%M:%SZ"

Files = dict[str, dict[str, str]]


class WrongToken(Exception):
    """The copy was sealed with another token."""

    def __str__(self) -> str:
        return "bootstrap data already found and encrypted with different token"


class BootstrapFiles:
    """The files on disk that the copy is a copy of."""

    def __init__(self, server_dir: Path) -> None:
        """Take the files of a server's directory."""
        tls = server_dir / "tls"
        self._paths = {"PasswdFile": server_dir / "cred" / "passwd"}
        authorities = {"ClientCA": "client-ca", "ServerCA": "server-ca"}
        authorities |= {"ETCDServerCA": "etcd/server-ca", "ETCDPeerCA": "etcd/peer-ca"}
        for name, stem in authorities.items():
            self._paths |= {name: tls / f"{stem}.crt", f"{name}Key": tls / f"{stem}.key"}

    def read(self) -> Files:
        """The files as they are now, in the form in which K3s stores and sends them."""
        return {name: _read(path) for name, path in self._paths.items() if path.exists()}

    def reconcile(self, files: Files) -> None:
        """Compare a copy and the disk as a start does: restore what is missing or older, die of what is newer."""
        log.info("Reconciling bootstrap data between datastore and disk")
        missing_folder = not all(self._paths[name].parent.is_dir() for name in files)
        newer: list[str] = []
        older: list[str] = []
        for name, saved in files.items():
            path = self._paths[name]
            if not path.exists():
                if not missing_folder:
                    log.warning(f"{path} doesn't exist. continuing...")
                older.append(name)
            elif path.read_bytes() != base64.b64decode(saved["Content"]):
                if int(path.stat().st_mtime) - _seconds(saved) >= _SKEW:
                    newer.append(name)
                else:
                    log.warning(f"{path} will be updated from the datastore.")
                    older.append(name)
        if newer:
            names = ", ".join(str(self._paths[name]) for name in newer)
            log.fatal(
                f"{names} newer than datastore and could cause a cluster outage. "
                "Remove the file(s) from disk and restart to be recreated from datastore."
            )
        if older and not missing_folder:
            log.warning("Updating bootstrap data on disk from datastore")
        for name in older:
            _restore(self._paths[name], files[name])


def saved(keys: Keys) -> bool:
    """Whether a datastore has a sealed copy."""
    return bool(keys.under(_ROOT))


def find(keys: Keys, password: str) -> Files | None:
    """The copy that was sealed with a password; None if there is no copy at all, WrongToken if there is another."""
    if not saved(keys):
        return None
    _, record = keys.get(_key(password))
    if record is None:
        raise WrongToken
    return dict(json.loads(_unseal(password, record)))


def seal(keys: Keys, password: str, files: Files) -> Operation:
    """The operation that seals the files with a password, in place of what was sealed before."""
    changes: dict[str, Any] = {key: None for key, _, _ in keys.under(_ROOT)}
    return Operation(changes | {_key(password): _seal(password, json.dumps(files).encode())})


def _key(password: str) -> str:
    return _ROOT + hashlib.sha256(password.encode()).hexdigest()[:12]


def _read(path: Path) -> dict[str, str]:
    changed = time.strftime(_TIME, time.gmtime(int(path.stat().st_mtime)))
    return {"Timestamp": changed, "Content": base64.b64encode(path.read_bytes()).decode()}


def _seconds(saved_file: dict[str, str]) -> int:
    return calendar.timegm(time.strptime(saved_file["Timestamp"], _TIME))


def _restore(path: Path, saved_file: dict[str, str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, base64.b64decode(saved_file["Content"]))
    os.utime(path, (_seconds(saved_file), _seconds(saved_file)))


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
