"""Node passwords: the first password a node name comes with is remembered, and every later one must equal it.

The hash lies in a secret `kube-system/<node>.node-password.k3s`, where `kubectl delete secret` can remove it. With the
Node gone its secret goes too (K3s: an owner reference and the garbage collector; here: server/lifecycle.py).
"""

import base64
import hashlib
import hmac
import os

from server.objects import Exists, Store

NAMESPACE = "kube-system"
_COST = 2**12  # K3s takes 2**15; the stand-in shares a small machine with many others.


class PasswordRejected(Exception):
    """Another password is on record for this node."""


def secret_key(node: str) -> str:
    """The store's key of a node's secret."""
    return f"{NAMESPACE}/{node.lower()}.node-password.k3s"


def ensure(store: Store, node: str, password: str) -> None:
    """Check a node's password, or remember it if none is known; PasswordRejected if it differs."""
    key = secret_key(node)
    known = store.find("secrets", key)
    if known is None:
        try:
            store.create("secrets", key, _secret(key, password))
            return
        except Exists:
            known = store.get("secrets", key)
    recorded = base64.b64decode(known.get("data", {}).get("hash", "")).decode()
    if not _verify(recorded, password):
        text = f"unable to verify password for node {node}: hash does not match"
        raise PasswordRejected(text)


def _secret(key: str, password: str) -> dict[str, object]:
    namespace, _, name = key.partition("/")
    encoded = base64.b64encode(_hash(password, os.urandom(8)).encode()).decode()
    return {
        "metadata": {"name": name, "namespace": namespace},
        "immutable": True,
        "type": "Opaque",
        "data": {"hash": encoded},
    }


def _hash(password: str, salt: bytes) -> str:
    digest = hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=8, p=1, dklen=64)
    return f"$1:{salt.hex()}:{_COST.bit_length() - 1}:8:1:{base64.b64encode(digest).decode()}"


def _verify(recorded: str, password: str) -> bool:
    parts = recorded.split(":")
    return len(parts) == 6 and hmac.compare_digest(_hash(password, bytes.fromhex(parts[1])), recorded)
