"""kubectl's side of the API: which server, with which certificate, and how its failures read.

Only kubeconfigs of K3s' own shape are understood. The key of the client certificate reaches OpenSSL through a memory
file and never lies on a disk a second time.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from common import kubeconfig, settings
from common.httpclient import Client, Endpoint, Reply, TransportError, Trust
from kubectl.arguments import Arguments, Failure

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_NOWHERE = "http://localhost:8080"


def config_path(arguments: Arguments) -> Path | None:
    """The kubeconfig to use: flag, environment, K3s' own; None where there is none."""
    named = arguments.text("kubeconfig") or os.environ.get("KUBECONFIG", "")
    path = Path(named) if named else settings.KUBECONFIG
    if path.exists():
        return path
    if named and arguments.text("kubeconfig"):
        raise Failure(f"error: stat {named}: no such file or directory")
    return None


class Api:
    """The API server of a kubeconfig."""

    def __init__(self, arguments: Arguments) -> None:
        """Read the kubeconfig. Without one, kubectl turns to localhost:8080, where nothing is on a K3s node."""
        path = config_path(arguments)
        if path is None:
            _complain_of_discovery(_NOWHERE, "dial tcp 127.0.0.1:8080: connect: connection refused")
            raise Failure(_refused("localhost:8080"))
        try:
            config = kubeconfig.read(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None)
            detail = f"open {path}: {reason.lower()}" if reason else str(error)
            raise Failure(f'error: error loading config file "{path}": {detail}') from error
        self._endpoint = Endpoint(config.server)
        with _in_memory(config.certificate) as certificate, _in_memory(config.key) as key:
            self._client = Client(self._endpoint, Trust(config.ca, certificate, key))
        self._discovers = True
        self.answered = False

    def table(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        """A collection or object as a Table."""
        return self._object("GET", path, query, {"Accept": TABLE})

    def get(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        """A collection or object."""
        return self._object("GET", path, query or {}, {"Accept": "application/json"})

    def patch(self, path: str, change: dict[str, Any]) -> dict[str, Any]:
        """Merge a change into an object, strategically."""
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        return self._object("PATCH", path, {}, headers, json.dumps(change).encode())

    def delete(self, path: str) -> None:
        """Remove an object."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        self._object("DELETE", path, {}, {"Content-Type": "application/json"}, json.dumps(options).encode())

    def raw(self, path: str) -> bytes:
        """The body at a path. This asks for no discovery first, and fails with fewer words."""
        self._discovers = False
        reply = self._send("GET", path, {}, b"")
        if not reply.ok:
            raise _failure(reply)
        return reply.body

    def _object(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes = b""
    ) -> dict[str, Any]:
        reply = self._send(method, path + (f"?{urlencode(query)}" if query else ""), headers, body)
        if not reply.ok:
            raise _failure(reply)
        return dict(json.loads(reply.body))

    def _send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        try:
            reply = self._client.request(method, path, headers, body)
            self.answered = True
            return reply
        except TransportError as error:
            if self._discovers:
                _complain_of_discovery(self._endpoint.url, error.detail)
            host, port = self._endpoint.address
            text = _refused(f"{host}:{port}") if error.refused else f"Unable to connect to the server: {error.detail}"
            raise Failure(text) from error


def _failure(reply: Reply) -> Failure:
    """What kubectl says of an error that the server sent."""
    try:
        status = json.loads(reply.body)
    except ValueError:
        status = {}
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = reply.body.decode(errors="replace").strip() or "unknown"
        if reply.status == 500:
            # Go's %q; the words are client-go's.
            quoted = json.dumps(text, ensure_ascii=False)
            said = f"an error on the server ({quoted}) has prevented the request from succeeding"
            return Failure(f"Error from server (InternalError): {said}")
        return Failure(f"Error from server: {text}")
    if status.get("code") == 401:
        return Failure("error: You must be logged in to the server (Unauthorized)")
    reason = f" ({status['reason']})" if status.get("reason") else ""
    return Failure(f"Error from server{reason}: {status['message']}")


def _refused(address: str) -> str:
    return f"The connection to the server {address} was refused - did you specify the right host or port?"


def _complain_of_discovery(server: str, detail: str) -> None:
    """The five lines that kubectl writes before it gives up on a server; who reads its stderr meets them."""
    for _ in range(5):
        stamp = time.strftime("%m%d %H:%M:%S") + f".{time.time_ns() // 1000 % 1000000:06d}"
        cause = f'couldn\'t get current server API group list: Get \\"{server}/api?timeout=32s\\": {detail}'
        line = f'E{stamp} {os.getpid():7d} memcache.go:265] "Unhandled Error" err="{cause}"'
        print(line, file=sys.stderr)


@contextmanager
def _in_memory(content: bytes) -> Iterator[Path]:
    handle = os.memfd_create("kubectl")
    try:
        os.write(handle, content)
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
