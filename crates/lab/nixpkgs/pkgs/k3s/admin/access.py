"""How the administrative commands reach their own server: as the user `server`, with a token given or found on disk."""

import json
from pathlib import Path
from typing import Any

from common import jointoken
from common.httpclient import Client, Endpoint, TransportError, Trust
from common.jointoken import TokenError
from common.log import CommandError
from node import join


def ask(url: str, token: str, data_dir: str, method: str, path: str, body: Any) -> bytes:
    """Send a request to the server at a URL; CommandError with the server's words, or with why there are none."""
    endpoint = Endpoint(url)
    try:
        parsed = jointoken.parse(token or _token_on_disk(Path(data_dir)))
        client = Client(endpoint, Trust(join.validate(endpoint, parsed)))
        headers = join.login(parsed, "server") | {"Content-Type": "application/json"}
        reply = client.request(method, path, headers, json.dumps(body).encode())
    except (TokenError, TransportError, join.JoinError) as error:
        raise CommandError(str(error)) from error
    if not reply.ok:
        raise Refused(_words(reply.body, f"{endpoint.shown}{path}: {reply.status} {reply.reason}"))
    return reply.body


class Refused(CommandError):
    """The server answered, and refused."""


def _token_on_disk(data_dir: Path) -> str:
    path = data_dir / "server" / "token"
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CommandError(f"open {path}: {(error.strerror or str(error)).lower()}") from error


def _words(body: bytes, otherwise: str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return otherwise
