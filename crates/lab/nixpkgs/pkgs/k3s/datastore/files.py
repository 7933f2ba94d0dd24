"""`db/etcd`: where a member keeps its name and its state, and how one tells which datastore a server has.

The folder `db/etcd` with a file `name` is made on every server, with sqlite too, as by K3s: it proves nothing. What
proves etcd is `db/etcd/member/wal`. The state is one file, `member/snap/db`, JSON in place of etcd's own format.
"""

import json
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from common import log
from common.files import write_atomic
from datastore import sqlite


class MemberFiles:
    """The files of one member."""

    def __init__(self, directory: Path) -> None:
        """Take the folder `db` of a server."""
        self.sqlite = directory / sqlite.NAME
        self.folder = directory / "etcd"
        self._state = self.folder / "member" / "snap" / "db"
        self._wal = self.folder / "member" / "wal"
        self._tombstone = self.folder / "tombstone"

    @property
    def initialized(self) -> bool:
        """Whether this server is or was a member of a cluster."""
        return self._wal.is_dir()

    def member_name(self, node: str) -> str:
        """The member's name: the node's and eight hex digits, made once."""
        path = self.folder / "name"
        if not path.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(path, f"{node}-{secrets.token_hex(4)}")
        return path.read_text(encoding="utf-8")

    def forget_name(self) -> None:
        """Let the next start make another name."""
        (self.folder / "name").unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """The saved state; None for a member that has none."""
        return json.loads(self._state.read_text(encoding="utf-8")) if self._state.exists() else None

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state."""
        for folder in (self._wal, self._state.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self._state, json.dumps(state, separators=(",", ":")))

    def bury(self) -> None:
        """Leave the sign that this member was removed from its cluster."""
        write_atomic(self._tombstone, b"")

    def clear_grave(self) -> None:
        """After a removal, put everything aside: the server joins as a new member."""
        if self._tombstone.exists():
            log.info("tombstone file has been detected, removing data dir to rejoin the cluster")
            shutil.move(self.folder, self.folder.with_name(f"{self.folder.name}-backup-{int(time.time())}"))
