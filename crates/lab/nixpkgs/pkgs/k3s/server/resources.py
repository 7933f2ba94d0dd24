"""Which resources the API has, how their paths read, and what discovery says of them."""

import re
from dataclasses import dataclass
from typing import Any

from common import settings
from common.clock import now
from server.objects import Object

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_BORN = now()
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_SUB_VERBS = ["get", "patch", "update"]


@dataclass(frozen=True)
class Resource:
    """A kind of object. An empty one is known to discovery and never has objects."""

    name: str
    kind: str
    group: str = ""
    namespaced: bool = True
    short: tuple[str, ...] = ()
    empty: bool = False
    subresources: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """The name in error texts: with its group, if it has one."""
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/v1" if self.group else "v1"


RESOURCES = (
    Resource("nodes", "Node", namespaced=False, short=("no",), subresources=("status",)),
    Resource("secrets", "Secret"),
    Resource("leases", "Lease", group="coordination.k8s.io"),
    Resource("namespaces", "Namespace", namespaced=False, short=("ns",)),
    Resource("pods", "Pod", short=("po",), empty=True),
    Resource("events", "Event", short=("ev",), empty=True),
)

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/v1(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<subresource>[^/]+))?/?"
)


@dataclass(frozen=True)
class Target:
    """What a path names. The name is empty for a whole collection."""

    resource: Resource
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> str:
        """The store's key."""
        return f"{self.namespace}/{self.name}" if self.resource.namespaced else self.name


def target(path: str) -> Target | None:
    """What a path names, or None."""
    found = _PATH.fullmatch(path)
    if not found:
        return None
    for resource in RESOURCES:
        if resource.name == found["resource"] and resource.group == (found["group"] or ""):
            subresource = found["subresource"] or ""
            if subresource and subresource not in resource.subresources:
                return None
            return Target(resource, found["namespace"] or "", found["name"] or "", subresource)
    return None


def namespaces() -> list[Object]:
    """The namespaces; they are fixed here."""
    return [
        {
            "metadata": {"name": name, "creationTimestamp": _BORN, "uid": name, "resourceVersion": "1"},
            "status": {"phase": "Active"},
        }
        for name in NAMESPACES
    ]


def discovery(path: str) -> dict[str, Any] | None:
    """The discovery document at a path, or None."""
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group("coordination.k8s.io")]}
    if path == "/apis/coordination.k8s.io":
        return {"kind": "APIGroup", "apiVersion": "v1", **_group("coordination.k8s.io")}
    if path == "/api/v1":
        return _resource_list("")
    if path == "/apis/coordination.k8s.io/v1":
        return _resource_list("coordination.k8s.io")
    return None


def version() -> dict[str, str]:
    """The document at /version."""
    return {
        "major": "1",
        "minor": str(settings.kubernetes_minor()),
        "gitVersion": settings.VERSION,
        "gitCommit": "stand-in",
        "gitTreeState": "clean",
        "buildDate": _BORN,
        "goVersion": "none",
        "compiler": "none",
        "platform": f"linux/{settings.ARCHITECTURE}",
    }


def _group(name: str) -> dict[str, Any]:
    only = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [only], "preferredVersion": only}


def _resource_list(group: str) -> dict[str, Any]:
    entries = []
    for resource in (one for one in RESOURCES if one.group == group):
        entries.append(_entry(resource, resource.name, _VERBS))
        entries += [_entry(resource, f"{resource.name}/{sub}", _SUB_VERBS) for sub in resource.subresources]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/v1" if group else "v1",
        "resources": entries,
    }


def _entry(resource: Resource, name: str, verbs: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "singularName": "" if "/" in name else resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs,
        **({"shortNames": list(resource.short)} if resource.short and "/" not in name else {}),
    }
