"""How members agree, without a network: messages get lost, members crash, anyone may stand for election at any time."""

import random
import unittest
from typing import Any

from datastore.consensus import MEMBERS, Consensus
from datastore.keys import Keys, Operation

NAMES = ("a", "b", "c")


class Simulation:
    """Three members and a careless world."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.disk: dict[str, dict[str, Any]] = {}
        keys = Keys()
        keys.apply(Operation({MEMBERS + name: {"learner": False} for name in NAMES}))
        state = {"term": 1, "voted": "", "index": 1, "index_term": 1, "pending": None, "keys": keys.dump()}
        self.members = {name: self.member(name, state) for name in NAMES}
        self.proposed: dict[str, tuple[int, int]] = {}
        self.acknowledged: set[str] = set()

    def member(self, name: str, state: dict[str, Any]) -> Consensus:
        self.disk[name] = state
        return Consensus(name, Keys(), state, lambda new: self.disk.update({name: new}))

    def elect(self, name: str, loss: float) -> None:
        ballot = self.members[name].ballot(False, forced=True)
        if ballot is not None:
            heard = [other for other in NAMES if other != name and self.chance.random() > loss]
            self.members[name].won(ballot, {one for one in heard if self.members[one].vote(ballot)["granted"]})

    def replicate(self, leader: str, loss: float) -> None:
        for other in NAMES:
            message = self.members[leader].news(other) if other != leader else None
            if message is not None and self.chance.random() > loss:
                answer = self.members[other].follow(message)
                if self.chance.random() > loss:
                    self.members[leader].heard_from(other, answer)

    def propose(self, leader: str) -> None:
        key = f"/registry/{len(self.proposed)}"
        pending = self.members[leader].propose(Operation({key: leader}, {key: 0}), durable=True)
        if pending is not None:
            self.proposed[key] = (pending.term, pending.index)

    def note(self) -> None:
        """What a leader has applied, its clients were told."""
        for one in self.members.values():
            if one.leading:
                self.acknowledged |= {key for key in self.proposed if one.keys.get(key)[0]}

    def step(self) -> None:
        name = self.chance.choice(NAMES)
        match self.chance.randrange(40):
            case 0:
                self.elect(name, 0.3)
            case 1:
                self.members[name] = self.member(name, self.disk[name])
            case 2 | 3 | 4 | 5 | 6 | 7:
                self.propose(name)
            case _:
                self.replicate(name, 0.3)
        self.note()


class Agreement(unittest.TestCase):
    def test_what_counted_once_counts_for_ever(self) -> None:
        total = 0
        for seed in range(100):
            with self.subTest(seed=seed):
                world = Simulation(seed)
                for _ in range(400):
                    world.step()
                    leaders = [one.term for one in world.members.values() if one.leading]
                    self.assertEqual(len(leaders), len(set(leaders)), "two leaders of one term")
                while not any(one.leading and one.well() for one in world.members.values()):
                    world.elect(world.chance.choice(NAMES), 0)
                    for name in NAMES:
                        world.replicate(name, 0)
                leader = max((one for one in world.members.values() if one.leading), key=lambda one: one.term).name
                for _ in range(6):
                    world.replicate(leader, 0)
                states = [one.keys.dump()["entries"] for one in world.members.values()]
                self.assertEqual(states[0], states[1])
                self.assertEqual(states[0], states[2])
                self.assertLessEqual(world.acknowledged, set(states[0]))
                total += len(world.acknowledged)
        self.assertGreater(total, 500, "the world was too careless to show anything")
