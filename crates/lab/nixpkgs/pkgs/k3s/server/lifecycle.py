"""The node controller: notices nodes that fell silent, keeps the taints that follow, clears up after deleted nodes.

A node is silent when its lease was not renewed and its status not posted for the grace time, counted on this server's
own clock from the last change it saw; real: 40 s, here `settings.NODE_GRACE`. So a restarted server, or another one
that takes over the lead, gives every node a fresh start. The `node.kubernetes.io/…` taints are kept because whoever
compares a Node's taints with a fleet file must meet them. Left out: evicting pods, and K3s' ten minutes of patience
with passwords of nodes that never came.
"""

import threading
import time
from contextlib import suppress
from typing import Any

from common import log, settings
from common.clock import now
from datastore.keys import Datastore, Unavailable
from server import nodepassword
from server.objects import Missing, Object, Store

_PERIOD = 0.25
_UNREACHABLE = "node.kubernetes.io/unreachable"
_NOT_READY = "node.kubernetes.io/not-ready"
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_OF_KUBELET = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_OURS = (_UNREACHABLE, _NOT_READY, _UNSCHEDULABLE)


class NodeController:
    """Looks at all nodes a few times a second."""

    def __init__(self, store: Store, datastore: Datastore) -> None:
        """Watch over the nodes of a store, from `start` on, while this server is the one to do so."""
        self._store, self._datastore = store, datastore
        self._seen: dict[str, tuple[Any, float]] = {}
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin, in the background."""
        threading.Thread(target=self._run, name="node-controller", daemon=True).start()

    def stop(self) -> None:
        """End at the next look."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            if not self._datastore.leading:
                self._seen.clear()
                continue
            nodes = self._store.list("nodes")
            with suppress(Unavailable):
                for node in nodes:
                    with suppress(Missing):  # Deleted meanwhile; the next look clears up.
                        self._look_at(node)
                self._clear_up({node["metadata"]["name"] for node in nodes})

    def _look_at(self, node: Object) -> None:
        name = node["metadata"]["name"]
        lease = self._store.find("leases", f"kube-node-lease/{name}") or {}
        ready = _condition(node, "Ready")
        heartbeat = (lease.get("spec", {}).get("renewTime"), ready.get("lastHeartbeatTime"))
        known = self._seen.get(name)
        if known is None or known[0] != heartbeat:
            known = self._seen[name] = (heartbeat, time.monotonic())
        if time.monotonic() - known[1] > settings.NODE_GRACE and ready.get("status") != "Unknown":
            log.klog("I", "node_lifecycle_controller.go:1014", "Node is not responding", node=name)
            node = self._store.change("nodes", name, _silenced)
        if _without_times(_tainted(node)) != _without_times(node):
            self._store.change("nodes", name, _tainted)

    def _clear_up(self, names: set[str]) -> None:
        for gone in self._seen.keys() - names:
            del self._seen[gone]
            for resource, key in (("leases", f"kube-node-lease/{gone}"), ("secrets", nodepassword.secret_key(gone))):
                with suppress(Missing):
                    self._store.delete(resource, key)


def _condition(node: Object, kind: str) -> Object:
    conditions = node.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})


def _silenced(node: Object) -> Object:
    """The node with all that its kubelet says unknown. Its last heartbeat stays what it was."""
    status = node.setdefault("status", {})
    conditions = status.setdefault("conditions", [])
    if not _condition(node, "Ready"):
        conditions.append({"type": "Ready"})
    for condition in conditions:
        if condition["type"] in _OF_KUBELET:
            condition.update(
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                lastTransitionTime=now(),
            )
    return node


def _tainted(node: Object) -> Object:
    """The node with the taints that its state calls for, and everybody else's left alone."""
    spec = {**node.get("spec", {})}
    ready = _condition(node, "Ready").get("status")
    wanted = []
    if spec.get("unschedulable"):
        wanted.append((_UNSCHEDULABLE, "NoSchedule"))
    if ready != "True":
        key = _UNREACHABLE if ready == "Unknown" else _NOT_READY
        wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    present = spec.get("taints", [])
    kept = [t for t in present if t["key"] not in _OURS or (t["key"], t["effect"]) in wanted]
    missing = [pair for pair in wanted if pair not in {(t["key"], t["effect"]) for t in kept}]
    taints = kept + [{"key": key, "effect": effect, "timeAdded": now()} for key, effect in missing]
    if taints:
        spec["taints"] = taints
    else:
        spec.pop("taints", None)
    return {**node, "spec": spec}


def _without_times(node: Object) -> list[tuple[Any, ...]]:
    taints = node.get("spec", {}).get("taints", [])
    return [(one["key"], one.get("value"), one["effect"]) for one in taints]
