"""What etcd says of itself on its machine: its health in the clear on 2381, its members by the JSON gateway on 2382.

As in K3s the first answers from the beginning, the second only once the member has had a leader. Only where the machine is
the server's own: several servers of a test on one machine would quarrel about both. Of the gateway there is
`/v3/cluster/member/list`.
"""

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from common import settings
from datastore.etcd import Etcd
from datastore.peers import Certificates
from server.listener import Listener
from server.membership import shown
from server.messages import Refusal, Reply, Request, json_reply

_LOOPBACK = "127.0.0.1"


def health(etcd: Etcd) -> None:
    """Answer `/health`."""
    if not settings.HAS_MACHINE:
        return

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            well = etcd.available()
            told = {"health": "true", "reason": ""} if well else {"health": "false", "reason": "RAFT NO LEADER"}
            body = json.dumps(told, separators=(",", ":")).encode()
            self.send_response(200 if well else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """etcd keeps no access log."""

    with suppress(OSError):
        server = ThreadingHTTPServer((_LOOPBACK, settings.ETCD_METRICS_PORT), Handler)
        threading.Thread(target=server.serve_forever, name="etcd-health", daemon=True).start()


def members(etcd: Etcd, certificates: Certificates) -> None:
    """Answer the gateway's clients."""
    if not settings.HAS_MACHINE:
        return

    def handle(request: Request) -> Reply:
        if (request.method, request.path) != ("POST", "/v3/cluster/member/list"):
            raise Refusal(404, "Not Found")
        listed = [{**one, "ID": str(one["ID"])} for one in shown(etcd)["members"]]
        return json_reply({"header": {"member_id": str(int(etcd.name[-8:], 16))}, "members": listed})

    ca, _ = certificates.authorities
    pair = certificates.pair("server-client")
    with suppress(OSError):
        address = (_LOOPBACK, settings.ETCD_GATEWAY_PORT)
        Listener(address, *pair, ca.certificate, handle, certificate_required=True).start()
