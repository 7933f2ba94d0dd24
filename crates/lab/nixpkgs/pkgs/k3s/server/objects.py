"""The Kubernetes objects of the cluster: nodes, secrets and leases, in memory and in `db/state.json`.

One lock, whole objects in and out as copies, a counter as resource version. What must survive a crash is written at
once; mere heartbeats are not, since the next one is never far. Left out: everything of etcd that no client
here can see.
"""

import copy
import json
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.clock import now
from common.files import write_atomic

Object = dict[str, Any]
Worth = Callable[[Object, Object], bool]


class Missing(Exception):
    """No such object."""


class Exists(Exception):
    """An object of that name exists."""


class Store:
    """Objects by resource and key. A key is a name, or `namespace/name`."""

    def __init__(self, path: Path) -> None:
        """Load path, or begin empty."""
        self._path = path
        self._changed = threading.Condition(threading.RLock())
        self._version = 1
        self._objects: dict[str, dict[str, Object]] = {}
        if path.exists():
            state = json.loads(path.read_text(encoding="utf-8"))
            self._version, self._objects = state["version"], state["objects"]

    @property
    def version(self) -> int:
        """The version of the newest change."""
        with self._changed:
            return self._version

    def find(self, resource: str, key: str) -> Object | None:
        """A copy of an object, or None."""
        with self._changed:
            return copy.deepcopy(self._objects.get(resource, {}).get(key))

    def get(self, resource: str, key: str) -> Object:
        """A copy of an object; Missing if there is none."""
        found = self.find(resource, key)
        if found is None:
            raise Missing(key)
        return found

    def list(self, resource: str) -> list[Object]:
        """Copies of all objects of a resource, by name."""
        with self._changed:
            found = self._objects.get(resource, {})
            return [copy.deepcopy(found[key]) for key in sorted(found)]

    def create(self, resource: str, key: str, given: Object, durable: bool = True) -> Object:
        """Add an object; Exists if its name is taken."""
        with self._changed:
            if key in self._objects.setdefault(resource, {}):
                raise Exists(key)
            fresh = copy.deepcopy(given)
            metadata = fresh.setdefault("metadata", {})
            metadata["uid"] = str(uuid.uuid4())
            metadata["creationTimestamp"] = now()
            return self._put(resource, key, fresh, durable)

    def change(
        self, resource: str, key: str, change: Callable[[Object], Object], durable: Worth = lambda _before, _after: True
    ) -> Object:
        """Replace an object by change(copy of it). Nothing counts as changed if the result is the same."""
        with self._changed:
            before = self.get(resource, key)
            after = change(copy.deepcopy(before))
            for fixed in ("uid", "creationTimestamp", "resourceVersion", "name", "namespace"):
                if fixed in before["metadata"]:
                    after["metadata"][fixed] = before["metadata"][fixed]
            return before if after == before else self._put(resource, key, after, durable(before, after))

    def delete(self, resource: str, key: str) -> Object:
        """Remove an object; Missing if there is none."""
        with self._changed:
            gone = self.get(resource, key)
            del self._objects[resource][key]
            self._version += 1
            self.save()
            self._changed.notify_all()
            return gone

    def wait(self, version: int, timeout: float) -> bool:
        """Wait until something is newer than version; False when the time is up first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._version > version, timeout)

    def save(self) -> None:
        """Write everything to disk."""
        with self._changed:
            state = {"saved": time.time(), "version": self._version, "objects": self._objects}
            write_atomic(self._path, json.dumps(state, separators=(",", ":")))

    def _put(self, resource: str, key: str, value: Object, durable: bool) -> Object:
        self._version += 1
        value["metadata"]["resourceVersion"] = str(self._version)
        self._objects.setdefault(resource, {})[key] = value
        if durable:
            self.save()
        self._changed.notify_all()
        return copy.deepcopy(value)
