"""The datastore of several servers: a member of an embedded etcd cluster, as far as operating it can tell.

`consensus.py` decides, this brings messages in and out and is what the server sees: operations go to the leader,
wherever it is, and are answered when a majority has them. Threads: one that stands for election when the leader is
silent, and one for each other member that tells it what we, as the leader, have. Left out: compaction, alarms, and
watches of etcd's own.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from common import log, settings
from datastore.consensus import MEMBERS, Consensus
from datastore.files import MemberFiles
from datastore.keys import Conflict, Keys, Operation, Unavailable
from datastore.peers import Message, Peers

_LOOK = 0.05


class Etcd:
    """A member; it takes part from `start` on."""

    def __init__(self, files: MemberFiles, peers: Peers, name: str) -> None:
        """Be this member, with what it saved."""
        self.keys = Keys()
        self.name = name
        self._files, self._peers = files, peers
        self._consensus = Consensus(name, self.keys, files.load(), self._save)
        self._stop = threading.Event()
        self._speakers: set[str] = set()

    # What the server needs

    @property
    def leading(self) -> bool:
        """Whether this member leads."""
        return self._consensus.leading and self._consensus.well()

    @property
    def removed(self) -> bool:
        """Whether this member was removed from its cluster."""
        return self._consensus.removed

    def members(self) -> dict[str, Message]:
        """All members by name."""
        return self._consensus.members()

    def available(self, timeout: float = 0.0) -> bool:
        """Whether a majority is in contact, or comes to be within a time."""
        deadline = time.monotonic() + timeout
        while not self._consensus.well():
            if time.monotonic() >= deadline or self._stop.wait(_LOOK):
                return False
        return True

    def commit(self, operation: Operation, durable: bool = True) -> None:
        """Have a majority store an operation, and see it applied here; Conflict or Unavailable."""
        deadline = time.monotonic() + settings.ETCD_REQUEST
        while time.monotonic() < deadline and not self._stop.is_set():
            leader = self._consensus.leader
            if leader == self.name:
                if self._commit_here(operation, durable, deadline):
                    return
            elif leader and leader in self.members():
                if self._commit_there(self.members()[leader], operation, durable, deadline):
                    return
            else:
                self._stop.wait(_LOOK)
        raise Unavailable

    def close(self) -> None:
        """Hand over the lead, write everything, and end."""
        self._hand_over()
        self._stop.set()
        with self.keys.changed:
            if not self.removed:
                self._save(self._consensus.dump())
            self.keys.changed.notify_all()

    # Taking part

    def found(self, member: dict[str, Any], operation: Operation) -> None:
        """Begin a cluster of one, with a first operation."""
        changes = {MEMBERS + self.name: member, **operation.changes}
        with self.keys.changed:
            self._consensus.term = self._consensus.index = self._consensus.index_term = 1
            self.keys.apply(Operation(changes))
            self._files.save(self._consensus.dump())

    def start(self) -> None:
        """Take part, in the background. The listener must be up."""
        if self._consensus.voters() == {self.name}:
            self._stand(forced=True)
        threading.Thread(target=self._watch, name="etcd", daemon=True).start()

    def answer(self, path: str, message: Message) -> Message:
        """Answer another member or a client of etcd."""
        if self._stop.is_set() or self.removed or message.pop("to", self.name) != self.name:
            # Whoever has the address of a former member is not that member.
            return {"term": 0, "granted": False, "error": "etcdserver: no such member here"}
        if path == "/raft/vote":
            return self._consensus.vote(message)
        if path == "/raft/append":
            return self._consensus.follow(message)
        if path == "/raft/stand":
            threading.Thread(target=self._stand, args=(True,), daemon=True).start()
            return {}
        if path == "/raft/removed":
            self._bury()
            return {}
        if path == "/v3/commit":
            return self._commit_for_other(message)
        return {"error": "etcdserver: unknown method"}

    def remove(self, name: str) -> None:
        """Remove a member from the cluster, and tell it. Conflict or Unavailable."""
        member = self.members().get(name)
        if member is not None:
            self.commit(Operation({MEMBERS + name: None}))
            self._tell(name, member, "/raft/removed", {})

    def progressed(self, name: str) -> bool:
        """Whether a member has all that we, as the leader, have."""
        with self.keys.changed:
            known = self._consensus.progress.get(name)
            return known is not None and known.index == self._consensus.index

    def reaches(self, name: str) -> bool:
        """Whether a member answered lately, as far as we, as the leader, know."""
        known = self._consensus.progress.get(name)
        return name == self.name or (
            known is not None and time.monotonic() - known.contact < settings.ETCD_LEASE + settings.ETCD_HEARTBEAT
        )

    def _save(self, state: Message) -> None:
        """Save a state; one without content would make a member of a server that never was one."""
        if state["index"]:
            self._files.save(state)

    def _commit_here(self, operation: Operation, durable: bool, deadline: float) -> bool:
        with self.keys.changed:
            pending = self._consensus.propose(operation, durable)
            if pending is None:
                self.keys.changed.wait(_LOOK)
                return False
            while self._consensus.pending is pending and self._consensus.leading:
                if time.monotonic() >= deadline or self._stop.is_set():
                    raise Unavailable
                self.keys.changed.wait(_LOOK)
            if self._consensus.index < pending.index or not self._consensus.leading:
                raise Unavailable("etcdserver: leader changed")
            return True

    def _commit_there(self, leader: Message, operation: Operation, durable: bool, deadline: float) -> bool:
        message = {"operation": operation.json(), "durable": durable}
        answer = self._peers.send(leader["client"], "/v3/commit", message, settings.ETCD_REQUEST) or {}
        if "conflict" in answer:
            raise Conflict(answer["conflict"])
        if "index" not in answer:
            self._stop.wait(_LOOK)
            return False
        with self.keys.changed:
            self.keys.changed.wait_for(lambda: self._consensus.index >= answer["index"], deadline - time.monotonic())
        return True

    def _commit_for_other(self, message: Message) -> Message:
        if not self._consensus.leading:
            return {"error": "etcdserver: not leader"}
        deadline = time.monotonic() + settings.ETCD_REQUEST / 2
        try:
            while not self._commit_here(Operation(**message["operation"]), message["durable"], deadline):
                if time.monotonic() >= deadline or not self._consensus.leading:
                    return {"error": "etcdserver: request timed out"}
        except Conflict as conflict:
            return {"conflict": str(conflict)}
        except Unavailable as error:
            return {"error": str(error)}
        return {"index": self._consensus.index}

    def _watch(self) -> None:
        """Stand for election when it is time, and have a speaker for each other member."""
        while not self._stop.wait(_LOOK) and not self.removed:
            self._consensus.tick()
            if not self._consensus.leading:
                self._stand()
            for name in self.members().keys() - {self.name} - self._speakers:
                self._speakers.add(name)
                threading.Thread(target=self._speak, args=(name,), name=f"to {name}", daemon=True).start()

    def _stand(self, forced: bool = False) -> None:
        """Ask for votes: how they would go, then for good."""
        for trial in (False,) if forced else (True, False):
            ballot = self._consensus.ballot(trial, forced)
            if ballot is None or not self._consensus.won(ballot, self._collect(ballot)):
                return

    def _collect(self, ballot: Message) -> set[str]:
        others = {name: one for name, one in self.members().items() if name != self.name}
        if not others:
            return set()
        with ThreadPoolExecutor(len(others)) as pool:
            answers = pool.map(lambda name: self._tell(name, others[name], "/raft/vote", ballot), others)
            votes = dict(zip(others, answers, strict=True))
        if any(vote and vote.get("removed") for vote in votes.values()):
            self._bury()
        return {name for name, vote in votes.items() if vote and vote["granted"]}

    def _speak(self, name: str) -> None:
        """Tell a member what there is to tell, for as long as it is one."""
        while not self._stop.is_set() and name in self.members():
            message, member = self._consensus.news(name), self.members().get(name)
            answer = self._tell(name, member, "/raft/append", message) if message and member else None
            if answer is None:
                self._stop.wait(settings.ETCD_HEARTBEAT)
                continue
            self._consensus.heard_from(name, answer)
            with self.keys.changed:
                self.keys.changed.wait_for(lambda: self._consensus.lags(name), settings.ETCD_HEARTBEAT)
        self._speakers.discard(name)

    def _tell(self, name: str, member: Message, path: str, message: Message) -> Message | None:
        return self._peers.send(member["peer"], path, {"to": name, **message})

    def _hand_over(self) -> None:
        """As the leader, ask the member that is furthest to stand at once: a restart then costs no election's wait."""
        if not self.leading:
            return
        for name in self._consensus.voters() - {self.name}:
            if self.progressed(name) and self.reaches(name):
                self._tell(name, self.members()[name], "/raft/stand", {})
                self._stop.wait(0.2)
                return

    def _bury(self) -> None:
        with self.keys.changed:
            if self.removed:
                return
            self._consensus.removed = True
            self._files.bury()
        log.info("this node has been removed from the cluster please restart k3s to rejoin the cluster")
