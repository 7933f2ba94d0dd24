"""`k3s etcd-snapshot save`, `ls` and `delete`: the server does it, this asks and prints.

Left out: prune, S3, and the output formats other than table and json.
"""

import json
from typing import Any

from admin import access
from common import flags, log
from common.flags import Parsed
from common.log import CommandError

_PATH = "/db/snapshot"
_ON_DEMAND = "on-demand"


def save(argv: list[str]) -> None:
    """Take a snapshot."""
    given = flags.parse(flags.ETCD_SNAPSHOT, argv)
    if given.args:
        raise CommandError("this command does not take any arguments")
    for name in _ask(given, "save", [given.text("name") or _ON_DEMAND])["created"]:
        log.info(f"Snapshot {name} saved.")


def listed(argv: list[str]) -> None:
    """Print what snapshots there are."""
    given = flags.parse(flags.ETCD_SNAPSHOT, argv)
    if given.text("output") not in ("", "json", "yaml", "table"):
        raise CommandError(f"invalid output format: {given.text('output')}")
    items = _ask(given, "list", [])["items"]
    if given.text("output") == "json":
        print(json.dumps({"kind": "ETCDSnapshotFileList", "apiVersion": "k3s.cattle.io/v1", "items": items}, indent=4))
        return
    lines = [["Name", "Location", "Size", "Created"]]
    for one in items:
        spec, status = one["spec"], one["status"]
        lines.append([spec["snapshotName"], spec["location"], status["size"], status["creationTime"]])
    widths = [max(len(line[i]) for line in lines) + 1 for i in range(3)]
    for line in lines:
        print("".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)) + line[3])


def delete(argv: list[str]) -> None:
    """Remove snapshots by name."""
    given = flags.parse(flags.ETCD_SNAPSHOT, argv)
    if not given.args:
        raise CommandError("no snapshots given for removal")
    deleted = _ask(given, "delete", given.args)["deleted"]
    for name in deleted:
        log.info(f"Snapshot {name} deleted.")
    for name in given.args:
        if name not in deleted:
            log.warning(f"Snapshot {name} not found.")


def _ask(given: Parsed, operation: str, names: list[str]) -> dict[str, Any]:
    body = {"operation": operation, "name": names, "dir": given.text("etcd-snapshot-dir") or None}
    where = given.text("etcd-server"), given.text("etcd-token"), given.text("data-dir")
    try:
        return dict(json.loads(access.ask(*where, "POST", _PATH, body)))
    except access.Refused as error:
        raise CommandError(f"see server log for details: {error}") from error
