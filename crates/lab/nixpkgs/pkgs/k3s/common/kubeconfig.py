"""The admin kubeconfig: written exactly as K3s writes it, and read back by `k3s kubectl`.

The reader is not a YAML parser. It takes the four values that matter from files of this one shape, whatever the names
in them; with several contexts in a file, the last wins. For anything richer there is the real kubectl.
"""

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import settings
from common.files import write_atomic

NAME = "default"
_VALUE = re.compile(r"^[\s-]*(server|[a-z-]+-data):\s*(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Kubeconfig:
    """A server and the credentials for it, all PEM."""

    server: str
    ca: bytes
    certificate: bytes
    key: bytes


def write(path: Path, config: Kubeconfig, mode: int = 0o600) -> None:
    """Write a kubeconfig, block YAML, every name `default`. Its parent is made 0755, as K3s makes /etc/rancher/k3s."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    preferences = "preferences: {}\n" if _with_preferences() else ""
    text = (
        "apiVersion: v1\n"
        "clusters:\n"
        "- cluster:\n"
        f"    certificate-authority-data: {_encode(config.ca)}\n"
        f"    server: {config.server}\n"
        f"  name: {NAME}\n"
        "contexts:\n"
        "- context:\n"
        f"    cluster: {NAME}\n"
        f"    user: {NAME}\n"
        f"  name: {NAME}\n"
        f"current-context: {NAME}\n"
        "kind: Config\n"
        f"{preferences}"
        "users:\n"
        f"- name: {NAME}\n"
        "  user:\n"
        f"    client-certificate-data: {_encode(config.certificate)}\n"
        f"    client-key-data: {_encode(config.key)}\n"
    )
    write_atomic(path, text, mode)


def read(path: Path) -> Kubeconfig:
    """Read a kubeconfig of this shape; ValueError when something is missing."""
    values = dict(_VALUE.findall(path.read_text(encoding="utf-8")))
    try:
        return Kubeconfig(
            server=values["server"].strip("\"'"),
            ca=base64.b64decode(values["certificate-authority-data"]),
            certificate=base64.b64decode(values["client-certificate-data"]),
            key=base64.b64decode(values["client-key-data"]),
        )
    except KeyError as error:
        raise ValueError(f"the stand-in needs {error.args[0]} in {path}") from error


def as_json(path: Path, raw: bool) -> dict[str, Any]:
    """The kubeconfig as `kubectl config view -o json` shows it; without raw, its data is left out."""
    config = read(path)

    def data(pem: bytes) -> str:
        return _encode(pem) if raw else "DATA+OMITTED"

    user = {"client-certificate-data": data(config.certificate), "client-key-data": data(config.key)}
    cluster = {"server": config.server, "certificate-authority-data": data(config.ca)}
    return {
        "kind": "Config",
        "apiVersion": "v1",
        **({"preferences": {}} if _with_preferences() else {}),
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": user}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    }


def dump(value: Any) -> str:
    """JSON as kubectl prints it."""
    return json.dumps(value, indent=4, ensure_ascii=False)


def _with_preferences() -> bool:
    """Whether the empty preferences are written: client-go left that with 1.34."""
    return settings.kubernetes_minor() < 34


def _encode(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
