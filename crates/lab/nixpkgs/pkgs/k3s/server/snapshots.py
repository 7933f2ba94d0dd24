"""`/db/snapshot`: copies of a member's state, as `k3s etcd-snapshot` asks for them.

A snapshot is this member's own copy, so it can be taken without a majority too. Its name is K3s': what was asked for,
the node, and the time in seconds. Left out: S3, schedules, compression, and the objects in which K3s records snapshots.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import log
from common.files import write_atomic
from common.flags import Parsed
from datastore.etcd import Etcd
from server.messages import Refusal, Reply, json_reply


@dataclass(frozen=True)
class Snapshots:
    """Where snapshots lie unless a request says otherwise."""

    folder: Path


def settings_of(given: Parsed, directory: Path) -> Snapshots:
    """The settings of a server."""
    named = given.text("etcd-snapshot-dir")
    return Snapshots(Path(named) if named else directory / "db" / "snapshots")


def answer(etcd: Etcd | None, snapshots: Snapshots, node: str, request: dict[str, Any]) -> Reply:
    """Answer a request of `k3s etcd-snapshot`."""
    if etcd is None:
        raise Refusal(400, "etcd datastore disabled")
    folder = Path(request["dir"]) if request.get("dir") else snapshots.folder
    names = request.get("name") or []
    match request.get("operation"):
        case "save":
            return json_reply({"created": [_save(etcd, folder, f"{names[0]}-{node}")]})
        case "list":
            return json_reply({"items": [_shown(path, node) for path in _all(folder)]})
        case "delete":
            found = [path for path in _all(folder) if path.name in names]
            for path in found:
                path.unlink()
            return json_reply({"deleted": [path.name for path in found]})
        case _:
            raise Refusal(400, "invalid snapshot operation")


def _save(etcd: Etcd, folder: Path, prefix: str) -> str:
    path = folder / f"{prefix}-{int(time.time())}"
    log.info(f"Saving etcd snapshot to {path}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = {"members": etcd.members(), "keys": etcd.keys.dump()}
    write_atomic(path, json.dumps(state, separators=(",", ":")))
    return path.name


def _all(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: (path.stat().st_mtime, path.name)) if folder.is_dir() else []


def _shown(path: Path, node: str) -> dict[str, Any]:
    known = path.stat()
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(known.st_mtime))
    spec = {"snapshotName": path.name, "nodeName": node, "location": f"file://{path}"}
    return {
        "metadata": {"name": f"local-{path.name}"},
        "spec": spec,
        "status": {"size": str(known.st_size), "creationTime": created, "readyToUse": True},
    }
