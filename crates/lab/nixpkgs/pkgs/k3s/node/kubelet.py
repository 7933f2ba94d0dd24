"""The kubelet: registers this machine as a Node and keeps saying that it lives.

Its Lease says so. The Node's status is written when it says something new, else every five minutes, so the times in it
say little. A new Node has no Lease for its first moments; one that comes again has it with the first report.

A kubelet that cannot run, for its arguments or for want of a container runtime, takes K3s with it.
Taints given as flags reach a Node only when it is created; labels are merged into it at each start, added and changed
but never removed. The Node is NotReady for its first moments, as a real one is until its network is up. A Node that is
deleted while its kubelet runs stays away until the kubelet restarts. On a machine of its own it also has a port 10250
and flannel's interface (see `presence`). Left out: pods.
"""

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from common import log, settings, stopping
from common.clock import now, now_micro
from common.httpclient import Client, Endpoint, Reply, TransportError, Trust
from common.log import CommandError
from node import host, kubeletflags, presence

_NETWORK_DELAY = 0.7
_RETRY_PERIOD = 1.0
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_MERGE = {"Content-Type": "application/strategic-merge-patch+json"}
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class NodeSettings:
    """What the command line says of the node."""

    name: str
    addresses: list[str]
    external: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    taints: list[dict[str, str]] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    runtime_socket: str = ""
    kubelet_arguments: list[str] = field(default_factory=list)


class Kubelet:
    """A kubelet; `run` in a thread of its own."""

    def __init__(self, node: NodeSettings, endpoint: Endpoint, trust: Trust) -> None:
        """Be this node, against that API server, with a kubelet's certificate."""
        self._node, self._trust = node, trust
        self._api = Client(endpoint, trust, timeout=5.0)
        self._is_new = False
        self._reported_at = float("-inf")
        self._troubled: set[str] = set()
        self.has_reported = threading.Event()

    def prepare(self) -> None:
        """Look at arguments and runtime. To be called by the main thread, which a kubelet that cannot run ends with 1."""
        node = self._node
        log.info(f"Running kubelet --hostname-override={node.name} --node-ip={','.join(node.addresses)}")
        for name in (one.partition("=")[0] for one in node.kubelet_arguments):
            if name not in kubeletflags.KNOWN:
                _die(f"failed to parse kubelet flag: unknown flag: --{name}")
        path = node.runtime_socket.removeprefix("unix://")
        trouble = _dial(path) if path else ""
        if trouble:
            what = f'validate service connection: validate CRI v1 runtime API for endpoint "unix://{path}"'
            cause = f'connection error: desc = "transport: Error while dialing: dial unix {path}: {trouble}"'
            _die(f"failed to run Kubelet: {what}: rpc error: code = Unavailable desc = {cause}")

    def run(self) -> None:
        """Register, and say for ever that this node lives."""
        self._register()
        presence.show(self._trust, self._node.name)
        while True:
            self._try("Failed to update lease", self._renew_lease)
            self._try("Error updating node status, will retry", self._report)
            time.sleep(settings.LEASE_PERIOD)

    def _register(self) -> None:
        """Create the Node, or take up the one that exists."""
        while not self._try("Unable to register node with API server", self._register_once):
            time.sleep(_RETRY_PERIOD)
        log.klog("I", "kubelet_node_status.go:78", "Successfully registered node", node=self._node.name)
        if self._is_new:
            time.sleep(_NETWORK_DELAY)
            self._try("Error updating node status, will retry", self._report)
            time.sleep(settings.LEASE_PERIOD)
            # Something is new once more by then.
            self._reported_at = float("-inf")

    def _register_once(self) -> None:
        name = self._node.name
        labels = _default_labels(name) | self._node.labels
        fresh: dict[str, Any] = {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": name, "labels": labels, "annotations": self._annotations()},
            "spec": {"taints": self._node.taints} if self._node.taints else {},
            "status": self._status(ready=False),
        }
        reply = self._api.request("POST", "/api/v1/nodes", _JSON, json.dumps(fresh).encode())
        self._is_new = reply.status != 409
        if self._is_new:
            _require(reply)
            return
        changes = {"metadata": {"labels": labels, "annotations": self._annotations()}}
        _require(self._api.request("PATCH", f"/api/v1/nodes/{name}", _MERGE, json.dumps(changes).encode()))

    def _report(self) -> None:
        """Write the status if it says something new, or was not written for long."""
        before = _require(self._api.request("GET", f"/api/v1/nodes/{self._node.name}"))
        known = before.get("status", {}).get("conditions", [])
        status = self._status(ready=_has_network(self._node.runtime_socket), before=known)
        is_news = _said(status["conditions"]) - _said(known)
        if not is_news and time.monotonic() - self._reported_at < settings.STATUS_PERIOD:
            return
        path = f"/api/v1/nodes/{self._node.name}/status"
        _require(self._api.request("PATCH", path, _MERGE, json.dumps({"status": status}).encode()))
        self._reported_at = time.monotonic()
        self.has_reported.set()

    def _renew_lease(self) -> None:
        name = self._node.name
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now_micro()}
        lease = {"metadata": {"name": name}, "spec": spec}
        reply = self._api.request("PUT", f"{_LEASES}/{name}", _JSON, json.dumps(lease).encode())
        if reply.status == 404:
            reply = self._api.request("POST", _LEASES, _JSON, json.dumps(lease).encode())
        _require(reply)

    def _try(self, what: str, action: Callable[[], None]) -> bool:
        """Run an action; log its failure, but only the first of a row."""
        try:
            action()
        except (TransportError, ApiError) as error:
            if what not in self._troubled:
                log.klog("E", "kubelet.go:2412", what, node=self._node.name, err=str(error))
            self._troubled.add(what)
            return False
        self._troubled.discard(what)
        return True

    def _status(self, ready: bool, before: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        node = self._node
        addresses = [{"type": "InternalIP", "address": one} for one in node.addresses]
        addresses += [{"type": "ExternalIP", "address": one} for one in node.external]
        return {
            "addresses": [*addresses, {"type": "Hostname", "address": node.name}],
            "allocatable": host.capacity(),
            "capacity": host.capacity(),
            "conditions": _conditions(ready, before or []),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.KUBELET_PORT}},
            "nodeInfo": host.node_info(settings.VERSION, settings.ARCHITECTURE),
        }

    def _annotations(self) -> dict[str, str]:
        return {
            "alpha.kubernetes.io/provided-node-ip": ",".join(self._node.addresses),
            "k3s.io/hostname": self._node.name,
            "k3s.io/internal-ip": ",".join(self._node.addresses),
            "k3s.io/node-args": json.dumps(_masked(self._node.arguments), separators=(",", ":")),
        }


class ApiError(Exception):
    """The API server refused."""


def parse_labels(given: list[str]) -> dict[str, str]:
    """The labels of --node-label flags; a label without a value gets an empty one."""
    return {key: value for key, _, value in (one.partition("=") for one in given)}


def parse_taints(given: list[str]) -> list[dict[str, str]]:
    """The taints of --node-taint flags, `key=value:Effect` or `key:Effect`."""
    taints = []
    for one in given:
        pair, _, effect = one.rpartition(":")
        key, _, value = pair.partition("=")
        if not key or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            raise CommandError(f"kubelet exited: failed to run Kubelet: invalid taint spec: {one}")
        taints.append({"key": key, **({"value": value} if value else {}), "effect": effect})
    return taints


def _default_labels(name: str) -> dict[str, str]:
    labels = {"node.kubernetes.io/instance-type": "k3s", "beta.kubernetes.io/instance-type": "k3s"}
    for prefix in ("kubernetes.io", "beta.kubernetes.io"):
        labels |= {f"{prefix}/arch": settings.ARCHITECTURE, f"{prefix}/os": "linux"}
    return labels | {"kubernetes.io/hostname": name}


def _conditions(ready: bool, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    cold = (
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        "message:Network plugin returns error: cni plugin not initialized"
    )
    stated = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
        if ready
        else ("Ready", "False", "KubeletNotReady", cold),
    ]
    known = {one["type"]: one for one in before}
    stamp = now()
    result = []
    for kind, status, reason, message in stated:
        same = known.get(kind, {}).get("status") == status
        since = known[kind].get("lastTransitionTime", stamp) if same else stamp
        entry = {"type": kind, "status": status, "reason": reason, "message": message}
        result.append(entry | {"lastHeartbeatTime": stamp, "lastTransitionTime": since})
    return result


def _said(conditions: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """What conditions say, without their times."""
    return {(one["type"], one.get("status", ""), one.get("reason", "")) for one in conditions}


def _die(reason: str) -> NoReturn:
    """End with a kubelet's last words, and K3s' own; after a moment, as a start takes: until then the unit is active."""
    stopping.pause(settings.KUBELET_START)
    print(f"Error: {reason}", file=sys.stderr, flush=True)
    log.error(f"kubelet exited: {reason}")
    raise SystemExit(1)


def _masked(arguments: list[str]) -> list[str]:
    """The command line as the Node's annotation shows it: split at `=`, and without what is secret."""
    words = [word for one in arguments for word in (one.split("=", 1) if one.startswith("--") else [one])]
    secret = {"--token", "-t", "--agent-token", "--vpn-auth", "--cluster-secret"}
    return ["********" if i and words[i - 1] in secret else word for i, word in enumerate(words)]


def _require(reply: Reply) -> dict[str, Any]:
    """The object in a good reply; otherwise what the server said."""
    try:
        body = json.loads(reply.body)
    except ValueError:
        body = {}
    if not reply.ok:
        raise ApiError(body.get("message") or f"{reply.status} {reply.reason}")
    return dict(body)


def _has_network(runtime_socket: str) -> bool:
    """Whether the container runtime says that it has one; what does not say has."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(runtime_socket.removeprefix("unix://"))
            return not probe.recv(64).startswith(b"cni plugin")
        except OSError:
            return True


def _dial(path: str) -> str:
    """What is wrong with a Unix socket; empty when it accepts connections."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(path)
        except OSError as error:
            return f"connect: {(error.strerror or str(error)).lower()}"
    return ""
