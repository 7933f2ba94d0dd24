"""The Kubernetes API, as much of it as operating nodes needs.

Clients are who their certificate says: `system:masters` may do everything, a kubelet may change its own Node and lease
and read nodes (the node authorizer and NodeRestriction in short). Without a certificate the answer is 401, whatever
password came along, as in K3s. Left out: every other user and RBAC, pods, server-side apply, field validation.
"""

import json
from collections.abc import Iterator
from typing import Any

from common import settings
from datastore.keys import Unavailable
from server import health, patches, resources
from server.messages import Refusal, Reply, Request, json_reply
from server.objects import Exists, Missing, Object, Store, Worth
from server.resources import Target
from server.selectors import matches
from server.tables import table

_WATCH_LIMIT = 300.0
_HEALTH_PATIENCE = 2.0


class Api:
    """Answers requests for /api, /apis, /version and the health paths."""

    def __init__(self, store: Store) -> None:
        """Serve the objects of a store; not before `ready` is set."""
        self._store = store
        self.ready = False

    def handle(self, request: Request) -> Reply:
        """Answer a request or raise a Refusal."""
        if not self.ready:
            raise Refusal(503, "apiserver not ready")
        if request.identity is None:
            raise Refusal(401, "Unauthorized")
        if request.path in health.PATHS:
            return health.answer(request.path, request.query, self._store.available(_HEALTH_PATIENCE))
        if request.path == "/version":
            return json_reply(resources.version())
        document = resources.discovery(request.path.rstrip("/") or "/")
        if document is not None:
            return json_reply(document)
        target = resources.target(request.path)
        if target is None:
            raise Refusal(404, "the server could not find the requested resource", details={})
        _authorize(request, target)
        try:
            if not self._store.available(settings.ETCD_REQUEST):
                raise Unavailable
            return self._dispatch(request, target)
        except Missing as error:
            raise _not_found(target, str(error)) from error
        except Unavailable as error:
            raise Refusal(500, str(error), reason="") from error

    def _dispatch(self, request: Request, target: Target) -> Reply:
        named = bool(target.name)
        if request.method in ("GET", "HEAD"):
            if request.query.get("watch") in ("1", "true"):
                return Reply(200, b"", stream=self._watch(request, target))
            return self._get(request, target) if named else self._list(request, target)
        if target.resource.empty or target.resource.name == "namespaces":
            raise Refusal(405, "the server does not allow this method on the requested resource")
        if request.method == "POST" and not named:
            return self._create(request, target)
        if request.method == "PUT" and named:
            return self._replace(request, target)
        if request.method == "PATCH" and named:
            return self._patch(request, target)
        if request.method == "DELETE" and named:
            return self._delete(target)
        raise Refusal(405, "the server does not allow this method on the requested resource")

    def _objects(self, target: Target, query: dict[str, str]) -> list[Object]:
        if target.resource.name == "namespaces":
            found = resources.namespaces()
        else:
            found = self._store.list(target.resource.name)
        if target.namespace:
            found = [one for one in found if one["metadata"].get("namespace") == target.namespace]
        selected = [one for one in found if matches(one, query)]
        return [_typed(target, one) for one in selected]

    def _list(self, request: Request, target: Target) -> Reply:
        found = self._objects(target, request.query)
        version = str(self._store.version)
        if _wants_table(request):
            return json_reply(table(target.resource.name, found, version, request.query.get("includeObject", "")))
        kind = f"{target.resource.kind}List"
        metadata = {"resourceVersion": version}
        return json_reply(
            {"kind": kind, "apiVersion": target.resource.api_version, "metadata": metadata, "items": found}
        )

    def _get(self, request: Request, target: Target) -> Reply:
        if target.resource.name == "namespaces":
            known = {one["metadata"]["name"]: one for one in resources.namespaces()}
            found = known.get(target.name)
        else:
            found = self._store.find(target.resource.name, target.key)
        if found is None:
            raise _not_found(target, target.name)
        found = _typed(target, found)
        if _wants_table(request):
            version = found["metadata"]["resourceVersion"]
            return json_reply(table(target.resource.name, [found], version, request.query.get("includeObject", "")))
        return json_reply(found)

    def _create(self, request: Request, target: Target) -> Reply:
        given = request.json()
        name = given.get("metadata", {}).get("name", "")
        if not name:
            raise Refusal(422, f"{target.resource.kind} is invalid: metadata.name: Required value", "Invalid")
        if target.resource.namespaced:
            given["metadata"]["namespace"] = target.namespace
        placed = Target(target.resource, target.namespace, name, "")
        _authorize(request, placed)
        try:
            made = self._store.create(target.resource.name, placed.key, given, durable=target.resource.name != "leases")
        except Exists as error:
            details = {"name": name, "kind": target.resource.name}
            text = f'{target.resource.qualified} "{name}" already exists'
            raise Refusal(409, text, "AlreadyExists", details) from error
        return json_reply(_typed(placed, made), 201)

    def _replace(self, request: Request, target: Target) -> Reply:
        given = request.json()

        def replace(before: Object) -> Object:
            wanted = given.get("metadata", {}).get("resourceVersion")
            if wanted and wanted != before["metadata"]["resourceVersion"]:
                text = f'Operation cannot be fulfilled on {target.resource.qualified} "{target.name}": the object has '
                text += "been modified; please apply your changes to the latest version and try again"
                raise Refusal(409, text)
            return _scoped(target, before, given)

        changed = self._store.change(target.resource.name, target.key, replace, _worth(target))
        return json_reply(_typed(target, changed))

    def _patch(self, request: Request, target: Target) -> Reply:
        kind = request.header("Content-Type").split(";")[0].strip()
        patch = request.json()

        def apply(before: Object) -> Object:
            return _scoped(target, before, patches.apply(kind, before, patch))

        changed = self._store.change(target.resource.name, target.key, apply, _worth(target))
        return json_reply(_typed(target, changed))

    def _delete(self, target: Target) -> Reply:
        gone = self._store.delete(target.resource.name, target.key)
        details = {"name": target.name, "kind": target.resource.name, "uid": gone["metadata"]["uid"]}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return json_reply(status)

    def _watch(self, request: Request, target: Target) -> Iterator[bytes]:
        """Events of a collection, made by comparing its states: no history is kept, so none can be asked for."""
        version, limit = self._store.version, float(request.query.get("timeoutSeconds") or _WATCH_LIMIT)
        seen: dict[str, Object] = {}
        if request.query.get("resourceVersion") not in (None, "", "0"):
            seen = {one["metadata"]["uid"]: one for one in self._objects(target, request.query)}
        while True:
            current = {one["metadata"]["uid"]: one for one in self._objects(target, request.query)}
            for uid, one in current.items():
                if uid not in seen:
                    yield _event(request, target, "ADDED", one)
                elif one["metadata"]["resourceVersion"] != seen[uid]["metadata"]["resourceVersion"]:
                    yield _event(request, target, "MODIFIED", one)
            for uid in seen.keys() - current.keys():
                yield _event(request, target, "DELETED", seen[uid])
            seen = current
            if not self._store.wait(version, limit):
                return
            version = self._store.version


def _authorize(request: Request, target: Target) -> None:
    user = request.identity
    assert user is not None  # handle() has seen to it
    if "system:masters" in user.groups:
        return
    reads = request.method in ("GET", "HEAD")
    own = target.name == user.node
    if user.node and target.resource.name == "nodes" and (reads or own or not target.name):
        return
    if user.node and target.resource.name == "leases" and (own or not target.name):
        return
    verb = "get" if reads else request.method.lower()
    text = f'{target.resource.qualified} "{target.name}" is forbidden: User "{user.name}" cannot {verb} resource '
    text += f'"{target.resource.name}" in API group "{target.resource.group}"'
    raise Refusal(403, text, details={"name": target.name, "kind": target.resource.name})


def _scoped(target: Target, before: Object, after: Object) -> Object:
    """What a write may change: through /status only the status, otherwise everything but the status."""
    if target.resource.subresources:
        kept, given = (before, after) if target.subresource == "status" else (after, before)
        after = {**kept, "status": given.get("status", {})}
    return after


def _worth(target: Target) -> Worth:
    """Which changes go to disk at once: all but renewed leases, and statuses that say nothing new."""

    def said(value: Object) -> list[Any]:
        return [(one["type"], one.get("status")) for one in value.get("status", {}).get("conditions", [])]

    if target.subresource == "status":
        return lambda before, after: said(before) != said(after)
    return lambda _before, _after: target.resource.name != "leases"


def _typed(target: Target, value: Object) -> Object:
    return {"kind": target.resource.kind, "apiVersion": target.resource.api_version, **value}


def _event(request: Request, target: Target, kind: str, value: Object) -> bytes:
    shown: Any = value
    if _wants_table(request):
        version = value["metadata"]["resourceVersion"]
        shown = table(target.resource.name, [value], version, request.query.get("includeObject", ""))
    return (json.dumps({"type": kind, "object": shown}, separators=(",", ":")) + "\n").encode()


def _wants_table(request: Request) -> bool:
    return "as=Table" in request.header("Accept")


def _not_found(target: Target, key: str) -> Refusal:
    name = key.rpartition("/")[2]
    text = f'{target.resource.qualified} "{name}" not found'
    return Refusal(404, text, details={"name": name, "kind": target.resource.name, "group": target.resource.group})
