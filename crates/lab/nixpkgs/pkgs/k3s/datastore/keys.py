"""Keys and values with revisions: the part of etcd's model that the stand-in needs, and nothing that stores them.

An Operation is a small transaction: changes that happen together, if each key that it names still has the revision that
its author saw. So a server can prepare a change from its own copy and let another one decide. The names are K3s' own:
`/registry/…` for Kubernetes objects, `/bootstrap/…` for the sealed identity; `/etcd/members/…` is the stand-in's.
"""

import threading
from dataclasses import dataclass, field
from typing import Any, Protocol

Value = Any


class Conflict(Exception):
    """A key has another revision than the operation expects."""


class Unavailable(Exception):
    """The datastore does not answer; the text is etcd's."""

    def __init__(self, message: str = "etcdserver: request timed out") -> None:
        super().__init__(message)


@dataclass(frozen=True)
class Operation:
    """Changes (None: remove) and the revisions that are expected before them (0: no such key)."""

    changes: dict[str, Value]
    expected: dict[str, int] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The form that travels and is stored."""
        return {"changes": self.changes, "expected": self.expected}


class Keys:
    """A copy of the state, in memory. `changed` is its lock, and is notified of every change."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.revision = 1
        self._entries: dict[str, tuple[int, Value]] = {}

    def get(self, key: str) -> tuple[int, Value]:
        """A key's revision and value; (0, None) if there is none."""
        with self.changed:
            return self._entries.get(key, (0, None))

    def under(self, prefix: str) -> list[tuple[str, int, Value]]:
        """All keys with a prefix, in order."""
        with self.changed:
            return [(key, *self._entries[key]) for key in sorted(self._entries) if key.startswith(prefix)]

    def check(self, operation: Operation) -> None:
        """Raise Conflict unless the operation can be applied."""
        with self.changed:
            for key, revision in operation.expected.items():
                if self.get(key)[0] != revision:
                    raise Conflict(key)

    def apply(self, operation: Operation) -> None:
        """Apply an operation that was checked."""
        with self.changed:
            self.revision += 1
            for key, value in operation.changes.items():
                if value is None:
                    self._entries.pop(key, None)
                else:
                    self._entries[key] = (self.revision, value)
            self.changed.notify_all()

    def wait(self, revision: int, timeout: float) -> bool:
        """Wait until something is newer than revision; False when the time is up first."""
        with self.changed:
            return self.changed.wait_for(lambda: self.revision > revision, timeout)

    def dump(self) -> dict[str, Any]:
        """Everything, for a file or for another member."""
        with self.changed:
            return {"revision": self.revision, "entries": dict(self._entries)}

    def restore(self, state: dict[str, Any]) -> None:
        """Replace everything by a dump."""
        with self.changed:
            self.revision = state["revision"]
            self._entries = {key: (revision, value) for key, (revision, value) in state["entries"].items()}
            self.changed.notify_all()


class Datastore(Protocol):
    """What the server needs of either datastore."""

    keys: Keys

    @property
    def leading(self) -> bool:
        """Whether this server is the one that does what only one may do."""

    def commit(self, operation: Operation, durable: bool = True) -> None:
        """Apply an operation for good; Conflict or Unavailable. What is not durable may be lost in a crash."""

    def available(self, timeout: float = 0.0) -> bool:
        """Whether reads and writes are answered, or come to be within a time."""

    def close(self) -> None:
        """Write what is not written yet, and end."""
