"""What etcd's members have to do with Nodes: labels and annotations, the condition `EtcdIsVoter`, the way in and out.

Each server marks its own Node. The leader alone looks after members: it makes a voter of a learner that has caught up,
writes each member's condition, and removes the member of a Node that was deleted. K3s looks every 15 s, this every
second.
"""

import threading
import time
from contextlib import suppress
from typing import Any

from common import log, settings
from common.clock import now
from datastore.consensus import MEMBERS
from datastore.etcd import Etcd
from datastore.keys import Conflict, Operation, Unavailable
from server.objects import Missing, Object, Store

_PERIOD = 1.0
_ROLE = "node-role.kubernetes.io/"
_NAME, _ADDRESS = "etcd.k3s.cattle.io/node-name", "etcd.k3s.cattle.io/node-address"

_STATES = {
    "voter": ("True", "MemberNotLearner", "Node is a voting member of the etcd cluster"),
    "learner": ("False", "MemberIsLearner", "Node has not been promoted to voting member of the etcd cluster"),
    "unhealthy": ("False", "Unhealthy", "failed to check etcd member status: context deadline exceeded"),
    "unjoined": ("False", "NotAMember", "Node is not a member of the etcd cluster"),
}


def mark(store: Store, node: str, etcd: Etcd | None) -> None:
    """Give our own Node its roles, once it is there. K3s stopped adding `master` with 1.34."""
    roles = ["control-plane"] + (["master"] if settings.kubernetes_minor() < 34 else []) + (["etcd"] if etcd else [])

    def marked(value: Object) -> Object:
        metadata = value["metadata"]
        metadata.setdefault("labels", {}).update({_ROLE + role: "true" for role in roles})
        if etcd is not None:
            address = etcd.members()[etcd.name]["api"].rpartition(":")[0]
            metadata.setdefault("annotations", {}).update({_NAME: etcd.name, _ADDRESS: address})
        return value

    while True:
        version = store.version
        try:
            store.change("nodes", node, marked)
        except (Missing, Unavailable, KeyError):
            store.wait(version, 5.0)
        else:
            log.info(f"Labels and annotations have been set successfully on node: {node}")
            return


class MemberController:
    """Looks after members while this server leads."""

    def __init__(self, store: Store, etcd: Etcd) -> None:
        """Look after the members of a cluster, from `start` on."""
        self._store, self._etcd = store, etcd

    def start(self) -> None:
        """Begin, in the background."""
        threading.Thread(target=self._run, name="member-controller", daemon=True).start()

    def _run(self) -> None:
        while not self._etcd.removed:
            if self._etcd.leading:
                with suppress(Unavailable, Conflict, Missing):
                    self._look()
            time.sleep(_PERIOD)

    def _look(self) -> None:
        nodes = {one["metadata"]["name"]: one for one in self._store.list("nodes")}
        members = self._etcd.members()
        for name, member in members.items():
            if member["learner"] and self._etcd.progressed(name):
                self._change(name, member, learner=False)
                log.info(f"Promoted learner {name}")
        members = self._etcd.members()
        self._remove_gone(nodes, members)
        by_node = {one["node"]: name for name, one in members.items()}
        for node, value in nodes.items():
            if _ROLE + "etcd" in value["metadata"].get("labels", {}):
                self._set_condition(node, self._state(by_node.get(node, ""), members))

    def _state(self, name: str, members: dict[str, dict[str, Any]]) -> str:
        if name not in members:
            return "unjoined"
        if members[name]["learner"]:
            return "learner"
        return "voter" if self._etcd.reaches(name) else "unhealthy"

    def _remove_gone(self, nodes: dict[str, Object], members: dict[str, dict[str, Any]]) -> None:
        """Remove the members whose Nodes were there and are deleted. That they were is recorded with the member."""
        for name, member in members.items():
            node = nodes.get(member["node"])
            if node is not None and not member.get("registered") and _NAME in node["metadata"].get("annotations", {}):
                self._change(name, member, registered=True)
            elif node is None and member.get("registered"):
                log.info(f"Removing etcd member {member['node']} from cluster")
                address = member["api"].rpartition(":")[0]
                log.info(f"Removing name={name} id={int(name[-8:], 16)} address={address} from etcd")
                self._etcd.remove(name)

    def _change(self, name: str, member: dict[str, Any], **changes: bool) -> None:
        """Change a member's record, unless another server did so meanwhile."""
        key = MEMBERS + name
        revision, current = self._etcd.keys.get(key)
        if current == member:
            self._etcd.commit(Operation({key: {**member, **changes}}, {key: revision}))

    def _set_condition(self, node: str, state: str) -> None:
        if settings.kubernetes_minor() < 28:
            return
        status, reason, message = _STATES[state]

        def conditioned(value: Object) -> Object:
            conditions = value.setdefault("status", {}).setdefault("conditions", [])
            known = next((one for one in conditions if one["type"] == "EtcdIsVoter"), None)
            if known is None:
                conditions.append(known := {"type": "EtcdIsVoter"})
            elif (known["status"], known["reason"]) == (status, reason):
                return value
            known.update(
                status=status, reason=reason, message=message, lastHeartbeatTime=now(), lastTransitionTime=now()
            )
            return value

        self._store.change("nodes", node, conditioned)
