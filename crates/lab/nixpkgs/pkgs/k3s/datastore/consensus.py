"""How several servers agree: Raft, cut down to what a few servers with little state need.

One leader at a time, elected by a majority; an operation counts once a majority has stored it. What is left of Raft's
log is its end: each member holds the state as of `index`, and at most one operation beyond it (`pending`) that is not
yet known to count. A member that lags behind gets the whole state. The rules that keep this safe are Raft's: a vote
goes only to a candidate whose (term, index), its pending operation included, is not behind; a new leader that finds a
pending operation proposes it again, in its own term.

No network and no thread here: `member.py` brings messages in and out. Everything runs under the lock of the keys.
Unlike etcd's, a read is answered from the local copy while the leader is heard, so it may be a moment old.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from common import settings
from datastore.keys import Keys, Operation

Message = dict[str, Any]
MEMBERS = "/etcd/members/"


@dataclass(frozen=True)
class Pending:
    """An operation that is stored and not yet known to count."""

    index: int
    term: int
    operation: Operation
    durable: bool


@dataclass
class Progress:
    """What the leader knows of a member. The index is None until the member answered."""

    index: int | None = None
    accepted: tuple[int, int] | None = None
    contact: float = float("-inf")


class Consensus:
    """One member's part. `save` is called whenever something must survive a crash before it is answered."""

    def __init__(self, name: str, keys: Keys, state: Message | None, save: Callable[[Message], None]) -> None:
        """Take up a saved state, or begin without one: then a leader's state is waited for."""
        self.name, self.keys, self._save = name, keys, save
        self.term, self.voted, self.index, self.index_term = 0, "", 0, 0
        self.pending: Pending | None = None
        self.leader = ""
        self.removed = False
        self.progress: dict[str, Progress] = {}
        self.heard = self._elected = time.monotonic()
        self._leader_is_well = False
        self._patience = _patience()
        if state is not None:
            self._load(state)

    def _load(self, state: Message) -> None:
        self.term, self.voted = state["term"], state["voted"]
        self.index, self.index_term = state["index"], state["index_term"]
        if state["pending"] is not None:
            self.pending = Pending(**{**state["pending"], "operation": Operation(**state["pending"]["operation"])})
        self.keys.restore(state["keys"])

    def dump(self) -> Message:
        """Everything, for the file."""
        pending = self.pending
        shown = None if pending is None else {**vars(pending), "operation": pending.operation.json()}
        state = {"term": self.term, "voted": self.voted, "index": self.index, "index_term": self.index_term}
        return {**state, "pending": shown, "keys": self.keys.dump()}

    # Members

    def members(self) -> dict[str, Message]:
        """All members by name."""
        return {key.removeprefix(MEMBERS): value for key, _, value in self.keys.under(MEMBERS)}

    def voters(self) -> set[str]:
        """The names of those whose votes count."""
        return {name for name, member in self.members().items() if not member["learner"]}

    @property
    def leading(self) -> bool:
        """Whether we lead."""
        return self.leader == self.name and not self.removed

    def well(self) -> bool:
        """Whether a majority is in contact, as far as we can know: then reads and writes are answered."""
        with self.keys.changed:
            now = time.monotonic()
            if self.removed or self.name not in self.voters():
                return False
            if not self.leading:
                return bool(self.leader) and self._leader_is_well and now - self.heard < settings.ETCD_LEASE
            return self._in_contact(settings.ETCD_LEASE) and (self.pending is None or self.pending.term == self.term)

    def _in_contact(self, age: float) -> bool:
        now, voters = time.monotonic(), self.voters()
        heard = {name for name, one in self.progress.items() if now - one.contact < age}
        return 2 * len(voters & (heard | {self.name})) > len(voters)

    # Elections

    def last(self) -> tuple[int, int]:
        """Term and index of the newest operation that we hold."""
        return (self.pending.term, self.pending.index) if self.pending else (self.index_term, self.index)

    def ballot(self, trial: bool, forced: bool = False) -> Message | None:
        """A request for votes, if it is time for one; a trial asks how a vote would go and changes nothing.

        A ballot for good follows a trial that was won, or is forced: the leader itself asked us to stand.
        """
        with self.keys.changed:
            late = forced or not trial or time.monotonic() - self.heard > self._patience
            if self.removed or self.leading or not late or self.name not in self.voters():
                return None
            self.leader = ""
            if not trial:
                self.term, self.voted = self.term + 1, self.name
                self._save(self.dump())
            self.heard, self._patience = time.monotonic(), _patience()
            term = self.term + 1 if trial else self.term
            return {"term": term, "candidate": self.name, "last": self.last(), "trial": trial, "forced": forced}

    def vote(self, ballot: Message) -> Message:
        """Answer a request for votes."""
        with self.keys.changed:
            candidate, term = ballot["candidate"], ballot["term"]
            members = self.members()
            if members and candidate not in members:
                return {"term": self.term, "granted": False, "removed": True}
            lately = time.monotonic() - self.heard < settings.ETCD_ELECTION or self.leading
            if self.leader and lately and not ballot["forced"]:
                return {"term": self.term, "granted": False}
            fresh = tuple(ballot["last"]) >= self.last()
            if ballot["trial"]:
                return {"term": self.term, "granted": fresh and term > self.term}
            self._see(term)
            granted = fresh and term == self.term and self.voted in ("", candidate)
            if granted:
                self.voted, self.heard = candidate, time.monotonic()
                self._save(self.dump())
            return {"term": self.term, "granted": granted}

    def won(self, ballot: Message, granted: set[str]) -> bool:
        """Whether these votes are a majority; if the ballot was no trial and still holds, we lead from here on."""
        with self.keys.changed:
            voters = self.voters()
            majority = 2 * len(voters & (granted | {self.name})) > len(voters)
            if not majority or ballot["trial"] or ballot["term"] != self.term or self.leader:
                return majority
            self.leader, self._elected = self.name, time.monotonic()
            self.progress = {}
            if self.pending is not None:
                self.pending = replace(self.pending, term=self.term)
                self._save(self.dump())
            self._advance()
            self.keys.changed.notify_all()
            return True

    def tick(self) -> None:
        """Step down if a majority was not in contact for long."""
        with self.keys.changed:
            age = time.monotonic() - self._elected
            if self.leading and age > settings.ETCD_ELECTION and not self._in_contact(settings.ETCD_ELECTION):
                self.leader, self.heard = "", time.monotonic()
                self.keys.changed.notify_all()

    def _see(self, term: int) -> None:
        """Follow a newer term."""
        if term > self.term:
            self.term, self.voted, self.leader = term, "", ""
            self._save(self.dump())
            self.keys.changed.notify_all()

    # Replication

    def news(self, name: str) -> Message | None:
        """What to send to a member now, if we lead and it is one."""
        with self.keys.changed:
            if not self.leading or name not in self.members():
                return None
            known = self.progress.setdefault(name, Progress())
            message: Message = {"term": self.term, "leader": self.name, "well": self.well()}
            message |= {"index": self.index, "index_term": self.index_term}
            if known.index is None:
                return message
            is_last = known.index == self.index - 1 and known.accepted == (self.index_term, self.index)
            if known.index < self.index and not is_last:
                message["state"] = self.keys.dump()
            if self.pending is not None:
                message["pending"] = {"operation": self.pending.operation.json(), "durable": self.pending.durable}
            return message

    def lags(self, name: str) -> bool:
        """Whether a member has something to be told before the next heartbeat."""
        known = self.progress.get(name)
        if not self.leading or known is None or known.index is None:
            return self.leading
        pending = self.pending
        waits = pending is not None and known.accepted != (pending.term, pending.index)
        return waits or known.index < self.index

    def follow(self, message: Message) -> Message:
        """Take what the leader sent; the answer says how far we are."""
        with self.keys.changed:
            if message["term"] < self.term:
                return {"term": self.term}
            self._see(message["term"])
            self.leader, self.heard, self._leader_is_well = message["leader"], time.monotonic(), message["well"]
            index, index_term, pending = message["index"], message["index_term"], self.pending
            if "state" in message and index > self.index:
                self.index, self.index_term, self.pending = index, index_term, None
                self.keys.restore(message["state"])
                self._save(self.dump())
            elif pending is not None and (pending.term, pending.index) == (index_term, index) and index > self.index:
                self._apply(pending)
            elif index == self.index:
                self.index_term = index_term
            accepted = self._accept(message)
            return {"term": self.term, "index": self.index, "accepted": accepted}

    def _accept(self, message: Message) -> tuple[int, int] | None:
        given, place = message.get("pending"), message["index"] + 1
        if given is not None and place == self.index + 1:
            pending = Pending(place, self.term, Operation(**given["operation"]), given["durable"])
            if pending != self.pending:
                self.pending = pending
                if pending.durable:
                    self._save(self.dump())
        if self.pending is not None:
            return self.pending.term, self.pending.index
        # What we applied already is stored all the more.
        return (self.term, place) if given is not None and place == self.index else (self.index_term, self.index)

    def heard_from(self, name: str, answer: Message) -> None:
        """Take a member's answer, as its leader."""
        with self.keys.changed:
            if answer["term"] > self.term:
                self._see(answer["term"])
            elif self.leading and "index" in answer:
                accepted = tuple(answer["accepted"]) if answer["accepted"] else None
                self.progress[name] = Progress(answer["index"], accepted, time.monotonic())
                self._advance()

    def propose(self, operation: Operation, durable: bool) -> Pending | None:
        """Begin to store an operation, as the leader; None while another one is on its way. Conflict if it is void."""
        with self.keys.changed:
            if self.pending is not None or not self.leading:
                return None
            self.keys.check(operation)
            pending = self.pending = Pending(self.index + 1, self.term, operation, durable)
            if durable:
                self._save(self.dump())
            self._advance()
            self.keys.changed.notify_all()
            return pending

    def _advance(self) -> None:
        """Apply what a majority has stored."""
        pending = self.pending
        if pending is None or not self.leading:
            return
        stored = {name for name, one in self.progress.items() if one.accepted == (pending.term, pending.index)}
        voters = self.voters()
        if 2 * len(voters & (stored | {self.name})) > len(voters):
            self._apply(pending)

    def _apply(self, pending: Pending) -> None:
        self.index, self.index_term, self.pending = pending.index, pending.term, None
        self.keys.apply(pending.operation)


def _patience() -> float:
    """How long silence is borne: more for some than for others, or they would all stand for election at once."""
    return settings.ETCD_ELECTION * (1 + random.random())
