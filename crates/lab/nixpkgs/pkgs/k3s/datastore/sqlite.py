"""The datastore of a single server: `db/state.db`, an SQLite database with kine's table and kine's habit of a WAL.

Hence what people meet with K3s: the newest changes are in `state.db-wal`, so a copy of `state.db` alone, taken while
the server runs, may lack them. Copy the folder, or stop the server first. Left out: kine's history of each key.
"""

import json
import sqlite3
from pathlib import Path

from datastore.keys import Keys, Operation

NAME = "state.db"


class Sqlite:
    """A datastore in one file."""

    leading = True

    def __init__(self, directory: Path) -> None:
        """Open `directory/state.db`, or begin empty."""
        self.keys = Keys()
        self._late: set[str] = set()
        self._database = sqlite3.connect(directory / NAME, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("CREATE TABLE IF NOT EXISTS kine (id INTEGER, name TEXT PRIMARY KEY, value BLOB)")
        rows = self._database.execute("SELECT name, id, value FROM kine")
        entries = {name: (revision, json.loads(value)) for name, revision, value in rows}
        (revision,) = self._database.execute("PRAGMA user_version").fetchone()
        self.keys.restore({"revision": max(1, revision), "entries": entries})

    def commit(self, operation: Operation, durable: bool = True) -> None:
        """Apply an operation, and write it unless it is not durable."""
        with self.keys.changed:
            self.keys.check(operation)
            self.keys.apply(operation)
            self._late.update(operation.changes)
            if durable:
                self._write()

    def available(self, timeout: float = 0.0) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Write the late changes too."""
        with self.keys.changed:
            self._write()
            self._database.close()

    def _write(self) -> None:
        self._database.execute("BEGIN")
        for name in self._late:
            revision, value = self.keys.get(name)
            if value is None:
                self._database.execute("DELETE FROM kine WHERE name = ?", (name,))
            else:
                row = (revision, name, json.dumps(value, separators=(",", ":")).encode())
                self._database.execute("INSERT OR REPLACE INTO kine VALUES (?, ?, ?)", row)
        self._database.execute(f"PRAGMA user_version = {self.keys.revision}")
        self._database.execute("COMMIT")
        self._late.clear()
