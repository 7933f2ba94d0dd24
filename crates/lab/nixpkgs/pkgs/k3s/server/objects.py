"""The Kubernetes objects of the cluster: nodes, secrets and leases, as keys of a datastore.

Whole objects in and out, as copies. An object's resource version is the datastore's revision of its key, so it is the
same on every server. A change is prepared from this server's copy and tried again if another server was quicker. Left
out: everything of etcd that no client here can see.
"""

import copy
import uuid
from collections.abc import Callable
from typing import Any

from common.clock import now
from datastore.keys import Conflict, Datastore, Operation, Unavailable

Object = dict[str, Any]
Worth = Callable[[Object, Object], bool]

_ROOT = "/registry/"
_TRIES = 20
_FIXED = ("uid", "creationTimestamp", "resourceVersion", "name", "namespace")


class Missing(Exception):
    """No such object."""


class Exists(Exception):
    """An object of that name exists."""


class Store:
    """Objects by resource and key. A key is a name, or `namespace/name`."""

    def __init__(self, datastore: Datastore) -> None:
        """Keep the objects in a datastore."""
        self._datastore = datastore

    @property
    def version(self) -> int:
        """The version of the newest change."""
        return self._datastore.keys.revision

    def available(self, timeout: float = 0.0) -> bool:
        """Whether the datastore answers, or comes to within a time."""
        return self._datastore.available(timeout)

    def find(self, resource: str, key: str) -> Object | None:
        """A copy of an object, or None."""
        revision, value = self._datastore.keys.get(_path(resource, key))
        return None if value is None else _object(revision, value)

    def get(self, resource: str, key: str) -> Object:
        """A copy of an object; Missing if there is none."""
        found = self.find(resource, key)
        if found is None:
            raise Missing(key)
        return found

    def list(self, resource: str) -> list[Object]:
        """Copies of all objects of a resource, by name."""
        return [_object(revision, value) for _, revision, value in self._datastore.keys.under(_path(resource, ""))]

    def create(self, resource: str, key: str, given: Object, durable: bool = True) -> Object:
        """Add an object; Exists if its name is taken."""
        fresh = copy.deepcopy(given)
        fresh.setdefault("metadata", {}).update(uid=str(uuid.uuid4()), creationTimestamp=now())
        try:
            self._commit(resource, key, fresh, 0, durable)
        except Conflict as conflict:
            raise Exists(key) from conflict
        return self.get(resource, key)

    def change(
        self, resource: str, key: str, change: Callable[[Object], Object], durable: Worth = lambda _before, _after: True
    ) -> Object:
        """Replace an object by change(copy of it). Nothing counts as changed if the result is the same."""
        for _ in range(_TRIES):
            before = self.get(resource, key)
            after = change(copy.deepcopy(before))
            for fixed in _FIXED:
                if fixed in before["metadata"]:
                    after["metadata"][fixed] = before["metadata"][fixed]
            if after == before:
                return before
            try:
                self._commit(resource, key, after, int(before["metadata"]["resourceVersion"]), durable(before, after))
                return self.get(resource, key)
            except Conflict:
                continue
        raise Unavailable("etcdserver: too many requests")

    def delete(self, resource: str, key: str) -> Object:
        """Remove an object; Missing if there is none."""
        for _ in range(_TRIES):
            gone = self.get(resource, key)
            try:
                self._commit(resource, key, None, int(gone["metadata"]["resourceVersion"]))
                return gone
            except Conflict:
                continue
        raise Unavailable("etcdserver: too many requests")

    def wait(self, version: int, timeout: float) -> bool:
        """Wait until something is newer than version; False when the time is up first."""
        return self._datastore.keys.wait(version, timeout)

    def _commit(self, resource: str, key: str, value: Object | None, revision: int, durable: bool = True) -> None:
        path = _path(resource, key)
        self._datastore.commit(Operation({path: value}, {path: revision}), durable)


def _path(resource: str, key: str) -> str:
    return f"{_ROOT}{resource}/{key}"


def _object(revision: int, value: Object) -> Object:
    found = copy.deepcopy(value)
    found["metadata"]["resourceVersion"] = str(revision)
    return found
