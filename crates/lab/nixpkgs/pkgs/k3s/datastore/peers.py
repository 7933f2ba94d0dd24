"""Messages between members, over TLS on etcd's own ports: 2380 among members, 2379 for who wants something of one.

Both ends show certificates of etcd's CAs, as in K3s. A member that does not answer within a second is away.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import settings
from common.httpclient import Client, Endpoint, TransportError, Trust
from common.pki import Authority, Subject, ensure_leaf
from server.listener import Listener
from server.messages import Refusal, Reply, Request, json_reply

Message = dict[str, Any]
Answer = Callable[[str, Message], Message]


@dataclass(frozen=True)
class Certificates:
    """Those of `tls/etcd`."""

    folder: Path

    @property
    def authorities(self) -> tuple[Authority, Authority]:
        """The CAs for clients and for peers."""
        return Authority(self.folder / "server-ca"), Authority(self.folder / "peer-ca")

    def ensure(self, names: list[str]) -> None:
        """Make what is missing."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        server, peer = self.authorities
        server.ensure("etcd-server-ca")
        peer.ensure("etcd-peer-ca")
        both = "serverAuth,clientAuth"
        ensure_leaf(server, self.folder / "client", Subject("etcd-client"), "clientAuth", [])
        ensure_leaf(server, self.folder / "server-client", Subject("etcd-server"), both, names)
        ensure_leaf(peer, self.folder / "peer-server-client", Subject("etcd-peer"), both, names)

    def pair(self, name: str) -> tuple[Path, Path]:
        """A certificate and its key."""
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"


class Peers:
    """Connections to other members, kept open between messages."""

    def __init__(self, certificates: Certificates) -> None:
        """Show these certificates."""
        self._certificates = certificates
        self._idle: dict[str, list[Client]] = {}
        self._lock = threading.Lock()

    def send(self, url: str, path: str, message: Message, timeout: float = 1.0) -> Message | None:
        """A member's answer; None if there is none."""
        key = f"{url} {timeout}"
        with self._lock:
            idle = self._idle.setdefault(key, [])
            client = idle.pop() if idle else None
        try:
            client = client or self._client(url, timeout)
            reply = client.request("POST", path, {"Content-Type": "application/json"}, json.dumps(message).encode())
        except (TransportError, OSError):
            return None
        with self._lock:
            self._idle[key].append(client)
        return dict(json.loads(reply.body)) if reply.ok else None

    def _client(self, url: str, timeout: float) -> Client:
        among_members = url.endswith(f":{settings.ETCD_PEER_PORT}")
        server, peer = self._certificates.authorities
        ca, own = (peer, "peer-server-client") if among_members else (server, "client")
        trust = Trust(ca.certificate.read_bytes(), *self._certificates.pair(own))
        return Client(Endpoint(url), trust, timeout)


def listen(address: str, certificates: Certificates, answer: Answer) -> None:
    """Answer messages on both ports of an address; OSError if one is taken."""

    def handle(request: Request) -> Reply:
        if request.method != "POST":
            raise Refusal(405, "method not allowed")
        return json_reply(answer(request.path, request.json()))

    server, peer = certificates.authorities
    for port, name, ca in (
        (settings.ETCD_CLIENT_PORT, "server-client", server),
        (settings.ETCD_PEER_PORT, "peer-server-client", peer),
    ):
        pair = certificates.pair(name)
        Listener((address, port), *pair, ca.certificate, handle, certificate_required=True).start()
