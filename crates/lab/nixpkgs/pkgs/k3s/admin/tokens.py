"""`k3s token rotate`: asks the server to change its token.

The tokens come as K3s takes them: the current one from --token, $K3S_TOKEN or the server's own token file, the new one
from --new-token only (without it the server makes one up). Unlike K3s this process cannot hide its own argv from `ps`.
"""

import json
import time
from pathlib import Path

from common import flags, jointoken
from common.httpclient import Client, Endpoint, TransportError, Trust
from common.jointoken import TokenError
from common.log import CommandError
from node import join

_PATH = "/v1-k3s/token"
_PROPAGATION = 1.0


def rotate(argv: list[str]) -> None:
    """Change the server's token; CommandError with the server's words if it refuses."""
    given = flags.parse(flags.TOKEN_ROTATE, argv)
    print(
        "\033[33mWARNING\033[0m: Recommended to keep a record of the old token. If restoring from a snapshot, you must "
        "use the token associated with that snapshot.",
        flush=True,
    )
    endpoint = Endpoint(given.text("server"))
    try:
        token = jointoken.parse(given.text("token") or _token_on_disk(Path(given.text("data-dir"))))
        client = Client(endpoint, Trust(join.validate(endpoint, token)))
        headers = join.login(token, "server") | {"Content-Type": "application/json"}
        reply = client.request("PUT", _PATH, headers, json.dumps({"newToken": given.text("new-token")}).encode())
    except (TokenError, TransportError, join.JoinError) as error:
        raise CommandError(str(error)) from error
    if not reply.ok:
        raise CommandError(_words(reply.body, f"{endpoint.shown}{_PATH}: {reply.status} {reply.reason}"))
    time.sleep(_PROPAGATION)
    print("Token rotated, restart k3s nodes with new token")


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
