"""`server/cred/passwd`: who may log in to the supervisor.

A CSV of `password,user,uid,role` with the users `server` and `node`. The password is the secret part of the token, so
the file says the same as `server/token` in another form; K3s compares logins with the copy it read at its start, which
is why a running server keeps accepting the old token after a rotation.
"""

import csv
import hmac
import io
import secrets
from pathlib import Path

from common.files import write_atomic
from common.jointoken import PREFIX

SERVER, NODE = "server", "node"
ROLES = {SERVER: "k3s:server", NODE: "k3s:agent"}


class Passwords:
    """The passwords of a file, in memory."""

    def __init__(self, path: Path) -> None:
        """Read path; a missing file has no users."""
        self._path = path
        self._entries: dict[str, str] = {}
        self._changed = False
        if path.exists():
            for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))):
                if len(row) >= 2:
                    self._entries[row[1]] = row[0]

    def get(self, user: str) -> str:
        """A user's password; empty for an unknown user."""
        return self._entries.get(user, "")

    def ensure(self, user: str, password: str) -> None:
        """Set a user's password.

        Of a full token only the password is kept, but only if it names this very user: `K10…::server:x` for the user
        `node` becomes the whole password, and agents that hold it are locked out. K3s does the same.
        """
        found = password.find(f"::{user}:")
        if found > 0 and password.startswith(PREFIX):
            password = password[found + len(f"::{user}:") :]
        if self.get(user) != password:
            self._entries[user] = password
            self._changed = True

    def save(self) -> None:
        """Write the file if something changed: its time of change is what K3s compares with the datastore's."""
        if not self._changed:
            return
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([password, user, user, ROLES[user]] for user, password in self._entries.items())
        write_atomic(self._path, out.getvalue())
        self._changed = False

    def accepts(self, user: str, password: str) -> bool:
        """Whether a login is right."""
        expected = self._entries.get(user)
        return expected is not None and hmac.compare_digest(expected.encode(), password.encode())


def random_password() -> str:
    """A password such as K3s makes for a server that was given none."""
    return secrets.token_hex(16)
