"""The supervisor: what K3s adds to the Kubernetes API on the same port, for nodes that join.

Who may do what follows K3s' router: the paths for agents take the password user `node` or a kubelet's certificate,
those for servers the password user `server`. A wrong password is 401 even where nothing else would be missing, no
credentials or the wrong role 403. Left out: bearer tokens, the tunnel (`/v1-k3s/connect`), and handing out keys made
by the server to agents too old to send a signing request.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from common import log, settings
from common.jointoken import TokenError, server_password
from common.pki import Authority, PkiError, Subject
from datastore.etcd import Etcd
from datastore.keys import Unavailable
from node.kubelet import NodeSettings
from server import membership, nodepassword, snapshots
from server.bootstrap import Files
from server.messages import Refusal, Reply, Request, json_reply, text_reply
from server.objects import Store
from server.passwd import NODE, ROLES, SERVER, Passwords

_PREFIX = "/v1-k3s/"
_NODES = "system:nodes"
_NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Site:
    """What the supervisor answers from."""

    server_ca: Authority
    client_ca: Authority
    store: Store
    etcd: Etcd | None
    passwords: Passwords
    https_port: int
    critical: dict[str, Any]
    node: NodeSettings
    snapshots: snapshots.Snapshots
    hand_out: Callable[[str, str], Files]
    rotate: Callable[[str], None]


class Supervisor:
    """Answers /ping, /cacerts and /v1-k3s/…; None for every other path."""

    def __init__(self, site: Site) -> None:
        """Serve a site. The core, which node passwords need, counts as not ready until `core_ready` is set."""
        self._site = site
        self.core_ready = False
        self._agent_paths: dict[str, Callable[[Request], Reply]] = {
            "config": self._config,
            "client-ca.crt": lambda _: text_reply(site.client_ca.certificate.read_bytes()),
            "server-ca.crt": lambda _: text_reply(site.server_ca.certificate.read_bytes()),
            "serving-kubelet.crt": self._serving_certificate,
            "client-kubelet.crt": self._client_certificate,
            "apiservers": self._apiservers,
            "readyz": self._readyz,
        }
        self._server_paths: dict[str, Callable[[Request], Reply]] = {
            "server-bootstrap": self._server_bootstrap,
            "token": self._rotate,
            "/db/info": self._members,
            "/db/snapshot": lambda request: snapshots.answer(site.etcd, site.snapshots, site.node.name, request.json()),
        }

        # Without etcd, K3s before 1.24 had no such route, and the API server answered in its place.
        old = {"server-bootstrap"} if site.etcd is None and settings.kubernetes_minor() < 24 else set()
        for name in settings.NO_ROUTES | old:
            self._agent_paths.pop(name, None)
            self._server_paths.pop(name, None)

    def handle(self, request: Request) -> Reply | None:
        """Answer a request, refuse it, or leave it to the Kubernetes API."""
        if request.path == "/ping":
            return text_reply("pong")
        if request.path == "/cacerts":
            return text_reply(self._site.server_ca.certificate.read_bytes())
        name = request.path.removeprefix(_PREFIX) if request.path.startswith((_PREFIX, "/db/")) else ""
        try:
            if name in self._server_paths:
                self._authorize(request, {ROLES[SERVER]})
                return self._server_paths[name](request)
            if name in self._agent_paths:
                self._authorize(request, {ROLES[NODE], _NODES})
                return self._agent_paths[name](request)
        except (Refusal, Unavailable) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(500, str(error))
            log.error(f"Sending HTTP/1.1 {refusal.status} response to {request.remote}: {refusal}")
            raise refusal from error
        return None

    def _authorize(self, request: Request, roles: set[str]) -> None:
        """Find out the client's groups: a right password first, else a certificate, as K3s unites the two."""
        groups: set[str] = set()
        given = request.header("Authorization")
        role = self._password_role(given)
        if role:
            groups = {role}
        elif request.identity is not None:
            groups = set(request.identity.groups)
        elif given:
            raise Refusal(401, "not authorized")
        if not groups & roles:
            raise Refusal(403, "forbidden")

    def _password_role(self, header: str) -> str:
        user, password = _basic(header)
        return ROLES.get(user, "") if user and self._site.passwords.accepts(user, password) else ""

    def _config(self, _: Request) -> Reply:
        port = self._site.https_port
        ports = {"HTTPSPort": port, "SupervisorPort": port, "APIServerPort": port + 1, "AdvertisePort": port}
        return json_reply({**ports, "DisableKubeProxy": False, **self._site.critical})

    def _apiservers(self, _: Request) -> Reply:
        """Where API servers are: what the balancers of agents learn of."""
        site = self._site
        if site.etcd is None:
            return json_reply([f"{site.node.addresses[0]}:{site.https_port}"])
        return json_reply(sorted(one["api"] for one in site.etcd.members().values() if not one["learner"]))

    def _members(self, _: Request) -> Reply:
        etcd = self._site.etcd
        if etcd is None:
            raise Refusal(400, "etcd datastore disabled")
        if not etcd.available(2.0):
            raise Refusal(500, "failed to get etcd MemberList: context deadline exceeded")
        return json_reply(membership.shown(etcd))

    def _serving_certificate(self, request: Request) -> Reply:
        node = self._node(request)
        addresses = [part for part in request.header("k3s-Node-IP").split(",") if part]
        if not all(map(_is_address, addresses)):
            raise Refusal(500, "invalid node IP address <nil>")
        names = [node, "localhost", "127.0.0.1", *addresses]
        return self._sign(request, self._site.server_ca, Subject(node), "serverAuth", names, "serving-kubelet")

    def _client_certificate(self, request: Request) -> Reply:
        subject = Subject(f"system:node:{self._node(request)}", _NODES)
        return self._sign(request, self._site.client_ca, subject, "clientAuth", [], "client-kubelet")

    def _sign(
        self, request: Request, ca: Authority, subject: Subject, usage: str, names: list[str], file: str
    ) -> Reply:
        if request.method != "POST" or not request.body:
            raise Refusal(400, "the stand-in signs only what comes with a signing request")
        try:
            return text_reply(ca.sign(request.body, subject, usage, names, name=file))
        except PkiError as error:
            raise Refusal(500, f"Internal error occurred: {error}") from error

    def _node(self, request: Request) -> str:
        """The node that asks, its password checked."""
        name, password = request.header("k3s-Node-Name").lower(), request.header("k3s-Node-Password")
        if not name:
            raise Refusal(400, "node name not set")
        if not _NODE_NAME.fullmatch(name):
            raise Refusal(400, "node name is not a DNS subdomain")
        if not password:
            raise Refusal(400, "node password not set")
        self._check_identity(request, name)
        # The server's own node comes before the core is ready and must get in, or the core never would be.
        local = not self.core_ready and name == self._site.node.name
        if not self.core_ready and not local:
            raise Refusal(503, "runtime core not ready")
        try:
            nodepassword.ensure(self._site.store, name, password)
        except nodepassword.PasswordRejected as error:
            if not local:
                raise Refusal(403, str(error)) from error
            log.info(f"Password verified locally for node {name}")
        return name

    def _check_identity(self, request: Request, name: str) -> None:
        """With a kubelet's certificate in place of a password, the Node must be its own and must exist."""
        identity = request.identity
        if identity is None or not identity.node or self._password_role(request.header("Authorization")):
            return
        if identity.node != name:
            raise Refusal(400, "header node name does not match auth node name")
        if self._site.store.find("nodes", name) is None:
            raise Refusal(401, f'unable to verify node identity: nodes "{name}" not found')

    def _readyz(self, _: Request) -> Reply:
        if not self.core_ready:
            raise Refusal(503, "runtime core not ready")
        return text_reply("ok")

    def _server_bootstrap(self, request: Request) -> Reply:
        if self._site.etcd is None:
            log.warning(f"Received HTTP bootstrap request from {request.remote}, but embedded etcd is not enabled.")
            raise Refusal(400, "etcd disabled")
        return json_reply(self._site.hand_out(_basic(request.header("Authorization"))[1], request.remote))

    def _rotate(self, request: Request) -> Reply:
        if request.method != "PUT":
            raise Refusal(405, "method not allowed")
        try:
            new = str(request.json().get("newToken") or "")
            if new:
                server_password(new)
            self._site.rotate(new)
        except TokenError as error:
            # K3s has kept such a token half rotated (k3s#12982); the stand-in refuses before it changes anything.
            raise Refusal(500, f"Internal error occurred: {error}") from error
        return text_reply("")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _basic(header: str) -> tuple[str, str]:
    """User and password of an Authorization header; empty if it has none."""
    kind, _, encoded = header.partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (user, password) if kind.lower() == "basic" else ("", "")
