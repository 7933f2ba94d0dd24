"""`kubectl drain`: cordons, and evicts what would run there.

There are no pods here. For tests of what takes long or fails, a label on the Node stands for one: with
`k3s-stand-in/drain-seconds=N` a pod `default/stand-in` takes N seconds to go. Left out: refusals for the sake of
DaemonSets and local data, so --ignore-daemonsets and --delete-emptydir-data make no difference.
"""

import re
import sys
import time
from typing import Any

from kubectl.arguments import Arguments, Failure
from kubectl.client import Api
from kubectl.edit import node_names, set_unschedulable
from kubectl.resources import NODES

_LABEL = "k3s-stand-in/drain-seconds"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def drain(arguments: Arguments) -> None:
    """`drain NAME… [--timeout=DURATION]`."""
    names = node_names(arguments, "drain")
    timeout = _seconds(arguments.text("timeout", "0s"))
    api = Api(arguments)
    for name in names:
        set_unschedulable(api, name, True)
    for i, name in enumerate(names):
        _evict(api.get(NODES.path(name=name)), timeout, arguments.text("timeout"), names[i:])
        print(f"node/{name} drained")


def _evict(node: dict[str, Any], timeout: float, shown: str, remaining: list[str]) -> None:
    takes = float(node["metadata"].get("labels", {}).get(_LABEL, 0))
    if not takes:
        return
    print("evicting pod default/stand-in", flush=True)
    time.sleep(min(takes, timeout) if timeout else takes)
    if not timeout or takes <= timeout:
        print("pod/stand-in evicted")
        return
    error = f'error when evicting pods/"stand-in" -n "default": global timeout reached: {shown}'
    name = node["metadata"]["name"]
    print(f'error: unable to drain node "{name}" due to error: {error}, continuing command...', file=sys.stderr)
    print("There are pending nodes to be drained:", *(f" {one}" for one in remaining), sep="\n", file=sys.stderr)
    raise Failure(f"error: {error}")


def _seconds(text: str) -> float:
    """A duration as Go writes it."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if text not in ("0", "".join(map("".join, parts))):
        value = f'invalid argument "{text}" for "--timeout" flag: time: invalid duration "{text}"'
        raise Failure(f"error: {value}\nSee 'kubectl drain --help' for usage.")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
