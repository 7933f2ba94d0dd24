"""`k3s token rotate`: asks the server to change its token.

The tokens come as K3s takes them: the current one from --token, $K3S_TOKEN or the server's own token file, the new one
from --new-token only (without it the server makes one up). Unlike K3s this process cannot hide its own argv from `ps`.
"""

import time

from admin import access
from common import flags

_PROPAGATION = 1.0


def rotate(argv: list[str]) -> None:
    """Change the server's token; CommandError with the server's words if it refuses."""
    given = flags.parse(flags.TOKEN_ROTATE, argv)
    print(
        "\033[33mWARNING\033[0m: Recommended to keep a record of the old token. If restoring from a snapshot, you must "
        "use the token associated with that snapshot.",
        flush=True,
    )
    body = {"newToken": given.text("new-token")}
    access.ask(given.text("server"), given.text("token"), given.text("data-dir"), "PUT", "/v1-k3s/token", body)
    time.sleep(_PROPAGATION)
    print("Token rotated, restart k3s nodes with new token")
