"""HTTPS requests whose failures read as Go's net/http tells them.

The journal lines that the tool diagnoses end in Go's error texts, so every way a connection can fail is translated
here, once. An agent of K3s speaks through a balancer in its own process: its errors name 127.0.0.1:6444, a refused
connection reaches it as an EOF, and the server's certificate is checked for the name 127.0.0.1. `balancer` on an
Endpoint gives that view without running a balancer.
"""

import errno
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from common import settings

TIMEOUT = 10.0
_NEXT_SERVER = 2.0

Address = tuple[str, int]


class TransportError(Exception):
    """No answer came; the text is Go's, with method and address."""

    def __init__(self, method: str, url: str, detail: str, refused: bool = False) -> None:
        super().__init__(f'{method.capitalize()} "{url}": {detail}')
        self.detail = detail
        self.refused = refused


@dataclass(frozen=True)
class Endpoint:
    """A server's address, and the port of the balancer that it appears to stand behind (None: spoken to directly).

    Behind a balancer may be several servers, which are tried in order.
    """

    url: str
    balancer: int | None = None
    servers: Callable[[], list[Address]] | None = field(default=None, compare=False)

    @property
    def address(self) -> Address:
        """Where to connect to."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 443

    @property
    def shown(self) -> str:
        """The address as K3s would print it."""
        return self.url.rstrip("/") if self.balancer is None else f"https://127.0.0.1:{self.balancer}"

    @property
    def tls_name(self) -> str:
        """The name that the server's certificate must carry."""
        return self.address[0] if self.balancer is None else "127.0.0.1"


@dataclass(frozen=True)
class Trust:
    """Whom to believe and who we are: a CA bundle (None: believe anyone), and a certificate and key of our own."""

    ca: bytes | None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """The TLS settings for this trust."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context.load_verify_locations(cadata=self.ca.decode())
        if self.certificate and self.key:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    reason: str
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is of the 2xx family."""
        return 200 <= self.status < 300


class Client:
    """One server, one trust; keeps its connection open between requests. Not for use by several threads at once."""

    def __init__(self, endpoint: Endpoint, trust: Trust, timeout: float = TIMEOUT) -> None:
        self.endpoint = endpoint
        self._trust = trust
        self._context = trust.context()
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Reply:
        """Send a request; TransportError when no answer came."""
        try:
            return self._attempt(method, path, headers or {}, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            detail, refused = self._explain(error)
            raise TransportError(method, self.endpoint.shown + path, detail, refused) from error

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        if self._connection is not None:
            try:
                return _exchange(self._connection, method, path, headers, body)
            except (ConnectionError, http.client.HTTPException, ssl.SSLError):
                self.close()  # An idle connection that the server closed meanwhile says nothing about the server.
        self._connection = self._connect()
        return _exchange(self._connection, method, path, headers, body)

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self.endpoint.address
        plain = self._dial()
        plain.settimeout(self._timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure = self._context.wrap_socket(plain, server_hostname=self.endpoint.tls_name)
        if self._trust.ca is not None:
            _check_clock(secure.getpeercert() or {})
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        connection.sock = secure
        return connection

    def _dial(self) -> socket.socket:
        """A connection to the first server that takes one."""
        *others, last = self.endpoint.servers() if self.endpoint.servers else [self.endpoint.address]
        for address in others:
            with suppress(OSError):
                return socket.create_connection(address, timeout=min(_NEXT_SERVER, self._timeout))
        return socket.create_connection(last, timeout=self._timeout)

    def _explain(self, error: Exception) -> tuple[str, bool]:
        """Go's words for an error, and whether the connection was refused."""
        if isinstance(error, ssl.SSLError):
            return self._explain_tls(error), False
        if isinstance(error, TimeoutError):
            return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)", False
        if isinstance(error, ConnectionResetError) and not isinstance(error, http.client.RemoteDisconnected):
            peer = self.endpoint.shown.removeprefix("https://")
            return f"read tcp 127.0.0.1:{_some_port()}->{peer}: read: connection reset by peer", False
        refused = isinstance(error, ConnectionRefusedError)
        if isinstance(error, http.client.HTTPException) or self.endpoint.balancer is not None:
            return "EOF", refused
        host, port = self.endpoint.address
        if isinstance(error, socket.gaierror):
            return f"dial tcp: lookup {host}: no such host", False
        cause = {errno.ECONNREFUSED: "connection refused", errno.EHOSTUNREACH: "no route to host"}
        words = cause.get(getattr(error, "errno", None) or 0, str(error))
        return f"dial tcp {host}:{port}: connect: {words}", refused

    def _explain_tls(self, error: ssl.SSLError) -> str:
        from common import pki  # late: most connections need no explanation

        if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return "EOF"
        if not isinstance(error, ssl.SSLCertVerificationError):
            return f"remote error: tls: {(error.reason or 'internal error').lower().replace('_', ' ')}"
        failed = "tls: failed to verify certificate: x509: "
        if isinstance(error, _ClockError):
            return failed + str(error)
        if error.verify_code in (9, 10):  # not yet valid, expired
            known = pki.describe(self._peer_certificate())
            return failed + _outside(time.time(), known.not_before, known.not_after)
        if error.verify_code in (62, 64):  # another name, another address
            wanted = self.endpoint.tls_name
            names = pki.describe(self._peer_certificate()).names
            comparable = sorted(name for name in names if _is_address(name) == _is_address(wanted))
            return failed + f"certificate is valid for {', '.join(comparable)}, not {wanted}"
        return failed + "certificate signed by unknown authority"

    def _peer_certificate(self) -> bytes:
        return ssl.get_server_certificate(self.endpoint.address, timeout=self._timeout).encode()


class _ClockError(ssl.SSLCertVerificationError):
    """A certificate outside its time by this process's skewed clock."""

    def __str__(self) -> str:
        return str(self.args[0])


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes
) -> Reply:
    connection.request(method, path, body or None, headers)
    response = connection.getresponse()
    return Reply(response.status, response.reason, response.read())


def _check_clock(certificate: Mapping[str, object]) -> None:
    """OpenSSL judged by the real clock; judge again by ours when it is meant to be wrong."""
    if not settings.CLOCK_SKEW or not certificate:
        return
    now = time.time() + settings.CLOCK_SKEW
    start, end = (ssl.cert_time_to_seconds(str(certificate[name])) for name in ("notBefore", "notAfter"))
    if not start <= now <= end:
        raise _ClockError(_outside(now, start, end))


def _outside(now: float, start: float, end: float) -> str:
    side, bound = ("before", start) if now < start else ("after", end)
    shape = "%Y-%m-%dT%H:%M:%SZ"
    current, limit = time.strftime(shape, time.gmtime(now)), time.strftime(shape, time.gmtime(bound))
    return f"certificate has expired or is not yet valid: current time {current} is {side} {limit}"


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _some_port() -> int:
    """A port as the kernel would have chosen it; no balancer runs whose real one could be told."""
    return 32768 + time.monotonic_ns() // 1000 % 28000
