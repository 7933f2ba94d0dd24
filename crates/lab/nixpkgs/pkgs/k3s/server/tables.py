"""What `kubectl get` prints: the server makes the table, kubectl only lays it out.

Columns of priority 1 are those of `-o wide`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from server.objects import Object

_ROLE = "node-role.kubernetes.io/"


@dataclass(frozen=True)
class _Layout:
    """Columns of a resource, those of `-o wide` last, and the cells of an object."""

    columns: tuple[str, ...]
    wide: tuple[str, ...]
    cells: Callable[[Object], list[Any]]


def table(resource: str, objects: list[Object], version: str, include: str) -> dict[str, Any]:
    """A meta.k8s.io/v1 Table of objects; include says how much of each object comes along (`Metadata`, `Object`)."""
    layout = _LAYOUTS.get(resource, _Layout(("Name", "Age"), (), lambda o: [o["metadata"]["name"], age(o)]))
    named = [(name, 0) for name in layout.columns] + [(name, 1) for name in layout.wide]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [_column(name, priority) for name, priority in named],
        "rows": [{"cells": layout.cells(one), "object": _included(one, include)} for one in objects],
    }


def _column(name: str, priority: int) -> dict[str, Any]:
    form = "name" if name == "Name" else ""
    return {"name": name, "type": "string", "format": form, "description": "", "priority": priority}


def age(value: Object) -> str:
    """How old an object is, in kubectl's words."""
    created = datetime.strptime(value["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return duration(int((datetime.now(UTC) - created).total_seconds()))


def duration(seconds: int) -> str:
    """Seconds as Kubernetes shortens them: two units at most, and fewer the longer it is."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    if minutes < 10:
        return f"{minutes}m" + (f"{seconds % 60}s" if seconds % 60 else "")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d" + (f"{hours % 24}h" if hours % 24 else "")
    return f"{days}d"


def roles(node: Object) -> str:
    """A node's roles, from its labels."""
    found = sorted(label.removeprefix(_ROLE) for label in node["metadata"].get("labels", {}) if label.startswith(_ROLE))
    return ",".join(found) or "<none>"


def status(node: Object) -> str:
    """A node's status: Ready or not, and whether it takes pods."""
    conditions = node.get("status", {}).get("conditions", [])
    ready = next((c["status"] for c in conditions if c["type"] == "Ready"), None)
    words = "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    return words + (",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else "")


def _node_cells(node: Object) -> list[Any]:
    info = node.get("status", {}).get("nodeInfo", {})
    cells = [node["metadata"]["name"], status(node), roles(node), age(node), info.get("kubeletVersion", "")]
    cells += [_address(node, "InternalIP"), _address(node, "ExternalIP")]
    return cells + [info.get(key) or "<unknown>" for key in ("osImage", "kernelVersion", "containerRuntimeVersion")]


def _address(node: Object, kind: str) -> str:
    addresses = node.get("status", {}).get("addresses", [])
    return next((a["address"] for a in addresses if a["type"] == kind), "<none>")


def _secret_cells(secret: Object) -> list[Any]:
    return [secret["metadata"]["name"], secret.get("type", "Opaque"), len(secret.get("data", {})), age(secret)]


def _lease_cells(lease: Object) -> list[Any]:
    return [lease["metadata"]["name"], lease.get("spec", {}).get("holderIdentity", ""), age(lease)]


_LAYOUTS = {
    "nodes": _Layout(
        ("Name", "Status", "Roles", "Age", "Version"),
        ("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"),
        _node_cells,
    ),
    "secrets": _Layout(("Name", "Type", "Data", "Age"), (), _secret_cells),
    "leases": _Layout(("Name", "Holder", "Age"), (), _lease_cells),
    "namespaces": _Layout(("Name", "Status", "Age"), (), lambda o: [o["metadata"]["name"], "Active", age(o)]),
}


def _included(value: Object, include: str) -> Object | None:
    if include == "Object":
        return value
    if include == "None":
        return None
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]}
