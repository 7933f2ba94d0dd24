"""All tests of the K3s stand-in. Run: `python3 tests/test_k3s.py [-v] [-k NAME]`.

They start real processes on loopback and on free ports, and touch nothing outside a temporary directory. Most of their
time is waiting for periods that K3s has, so they run a few at a time; hence no test uses a class or module fixture.
"""

import importlib
import sys
import unittest
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

MODULES = (
    "test_consensus",
    "test_cluster",
    "test_cluster_tokens",
    "test_join",
    "test_nodes",
    "test_kubectl",
    "test_tokens",
    "test_server",
)
AT_ONCE = 6


class Parallel(unittest.TestSuite):
    """Runs its tests on a few threads."""

    def run(self, result: unittest.TestResult, debug: bool = False) -> unittest.TestResult:
        """Run all tests into one result: each only adds to its lists."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda test: test.run(result), _flat(self)))
        return result


def load_tests(loader: unittest.TestLoader, _tests: object, _pattern: object) -> unittest.TestSuite:
    """The tests of the sibling modules."""
    return Parallel(loader.loadTestsFromModule(importlib.import_module(name)) for name in MODULES)


def _flat(suite: Iterable[unittest.TestCase | unittest.TestSuite]) -> Iterator[unittest.TestCase]:
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from _flat(one)
        else:
            yield one


if __name__ == "__main__":
    unittest.main()
