"""The TLS listener: one port for the supervisor and the Kubernetes API, a thread for each connection.

A client certificate is asked for and, but among etcd's members, never demanded: agents come first with a password and
later with a certificate. The handshake runs in the connection's own thread, so that a client which never speaks holds
up nobody. A certificate outside its time is let in and counts as none, so it is answered with 401, as by K3s.
Difference to K3s: one of a foreign CA fails the handshake.
"""

import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from common import log
from server.messages import Identity, Refusal, Reply, Request

_HANDSHAKE_TIMEOUT = 10.0
_IDLE_TIMEOUT = 120.0
_BODY_LIMIT = 3 * 1024 * 1024
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python does not name.

Handle = Callable[[Request], Reply]


class Listener(ThreadingHTTPServer):
    """Listens from its making on, and answers from `start` on."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        certificate: Path,
        key: Path,
        client_ca: Path,
        handle: Handle,
        certificate_required: bool = False,
    ) -> None:
        """Bind address; OSError if that fails."""
        self.handle = handle
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if certificate_required else ssl.CERT_OPTIONAL
        if not certificate_required:
            context.verify_flags |= _NO_CHECK_TIME
        super().__init__(address, _Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def start(self) -> None:
        """Answer requests in the background."""
        threading.Thread(target=self.serve_forever, name="listener", daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are the client's business; their traces would only hide what matters in the journal."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Shake hands before anything is read."""
        super().setup()
        self.connection.settimeout(_HANDSHAKE_TIMEOUT)
        self.connection.do_handshake()
        self.connection.settimeout(_IDLE_TIMEOUT)

    def handle_any(self) -> None:
        """Answer one request, whatever its method."""
        try:
            reply = self.server.handle(self._read())
        except Refusal as refusal:
            reply = refusal.reply()
        except Exception as error:  # A fault of the stand-in must show, and must not take the server down.
            log.error(f"stand-in fault at {self.command} {self.path}: {error!r}")
            reply = Refusal(500, f"Internal error occurred: {error!r}").reply()
        self._write(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

    def log_message(self, format: str, *args: Any) -> None:
        """K3s keeps no access log."""

    def _read(self) -> Request:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _BODY_LIMIT:
            self.close_connection = True
            raise Refusal(413, "limit on request body exceeded", "RequestEntityTooLarge")
        parts = urlsplit(self.path)
        return Request(
            method=self.command,
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length) if length else b"",
            remote="{}:{}".format(*self.client_address[:2]),
            identity=_identity(self.connection.getpeercert() or {}),
        )

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        if reply.stream is None:
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in reply.stream:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")


def _identity(certificate: dict[str, Any]) -> Identity | None:
    """The user and groups of a verified client certificate within its time: common name and organizations."""
    if not certificate or not _now_within(certificate):
        return None
    fields = [pair for part in certificate.get("subject", ()) for pair in part]
    name = next((value for key, value in fields if key == "commonName"), "")
    groups = tuple(value for key, value in fields if key == "organizationName")
    return Identity(name, groups) if name else None


def _now_within(certificate: dict[str, Any]) -> bool:
    start, end = (ssl.cert_time_to_seconds(str(certificate[name])) for name in ("notBefore", "notAfter"))
    return start <= time.time() <= end
