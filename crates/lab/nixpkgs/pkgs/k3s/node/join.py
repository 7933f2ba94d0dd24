"""Joining: from a token to a kubelet's certificate, with K3s' steps, waits and words.

First the server's CA is fetched without trust, used to check the server, and compared with the token's hash: every 2 s
until that holds. Then configuration and certificates are asked for: every 5 to 10 s until all of it succeeds, the CA
checked again each time. Nothing here gives up; an agent that cannot join runs, and logs why. Left out: trying the
system's own CAs first, and the certificates of kube-proxy and of the agent controller, which nobody would use.
"""

import base64
import json
import random
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from common import jointoken, log, pki, settings, stopping
from common.files import write_atomic
from common.httpclient import Client, Endpoint, Reply, TransportError, Trust
from common.jointoken import JoinToken, TokenError
from node import host

_VALIDATE_PERIOD = 2.0
_CONFIG_PERIOD = 5.0
_USER = "node"


class JoinError(Exception):
    """A step failed; the text ends up in the journal."""


@dataclass(frozen=True)
class Joining:
    """Who joins what, from where."""

    endpoint: Endpoint
    token: str
    agent_dir: Path
    name: str
    addresses: list[str]
    flannel_iface: str


@dataclass(frozen=True)
class Membership:
    """What joining yields: files for the kubelet, under agent_dir."""

    agent_dir: Path

    @property
    def trust(self) -> Trust:
        """The kubelet's trust and identity."""
        ca = (self.agent_dir / "server-ca.crt").read_bytes()
        return Trust(ca, self.agent_dir / "client-kubelet.crt", self.agent_dir / "client-kubelet.key")


def join(joining: Joining) -> Membership:
    """Join, however long it takes."""
    joining.agent_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    token = _validated_for_good(joining)
    while True:
        try:
            return _configure(joining, token)
        except (JoinError, TransportError) as error:
            log.info(f"Waiting to retrieve agent configuration; server is not ready: {error}")
        stopping.pause(_CONFIG_PERIOD * (1 + random.random()))


def validate(endpoint: Endpoint, token: JoinToken, warn: bool = True) -> bytes:
    """The server's CA bundle, proved to be that of the server and, if the token says so, of the token."""
    try:
        bundle = _cacerts(endpoint, Trust(None))
    except (TransportError, JoinError) as error:
        raise JoinError(f"failed to get CA certs: {error}") from error
    try:
        _cacerts(endpoint, Trust(bundle))
    except (TransportError, JoinError) as error:
        raise JoinError(f"CA cert validation failed: {error}") from error
    actual = jointoken.ca_hash(bundle)
    if token.ca_hash and token.ca_hash != actual:
        text = f"token CA hash does not match the Cluster CA certificate hash: {token.ca_hash} != {actual}"
        raise JoinError(text)
    if warn and not token.ca_hash:
        log.warning(
            "Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. "
            "Use the full token from the server's node-token file to enable Cluster CA validation."
        )
    return bundle


def login(token: JoinToken, user: str) -> dict[str, str]:
    """The header that presents a token's password as this user's, or a bearer token as it is."""
    if token.bearer:
        return {"Authorization": f"Bearer {token.bearer}"}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{token.password}".encode()).decode()}


def _cacerts(endpoint: Endpoint, trust: Trust) -> bytes:
    with closing(Client(endpoint, trust)) as client:
        return body(endpoint, "/cacerts", client.request("GET", "/cacerts"))


def _validated_for_good(joining: Joining) -> JoinToken:
    """The token, with the hash that its server turned out to have: from here on it is held to that."""
    while True:
        try:
            token = jointoken.parse(joining.token)
            return replace(token, ca_hash=jointoken.ca_hash(validate(joining.endpoint, token)))
        except (JoinError, TokenError) as error:
            log.error(str(error))
        stopping.pause(_VALIDATE_PERIOD)


def _configure(joining: Joining, token: JoinToken) -> Membership:
    """Ask for everything once, in K3s' order."""
    endpoint, agent_dir = joining.endpoint, joining.agent_dir
    bundle = validate(endpoint, token)
    headers = login(token, _USER)
    with closing(Client(endpoint, _trust(joining, bundle))) as client:

        def fetch(path: str) -> bytes:
            return body(endpoint, path, client.request("GET", path, headers))

        try:
            json.loads(fetch("/v1-k3s/config"))
        except (JoinError, TransportError) as error:
            raise JoinError(f"failed to retrieve configuration from server: {error}") from error
        if joining.flannel_iface and not host.has_interface(joining.flannel_iface):
            missing = f"unable to find interface {joining.flannel_iface}"
            raise JoinError(f"{missing}: route ip+net: no such network interface")
        for name in ("client-ca.crt", "server-ca.crt"):
            write_atomic(agent_dir / name, fetch(f"/v1-k3s/{name}"))
        for name in ("serving-kubelet", "client-kubelet"):
            _fetch_certificate(joining, client, headers, name)
    return Membership(agent_dir)


def _trust(joining: Joining, bundle: bytes) -> Trust:
    certificate, key = (joining.agent_dir / f"client-kubelet.{end}" for end in ("crt", "key"))
    if settings.NODE_IDENTITY and certificate.exists() and key.exists():
        return Trust(bundle, certificate, key)
    return Trust(bundle)


def _fetch_certificate(joining: Joining, client: Client, headers: dict[str, str], name: str) -> None:
    certificate, key = (joining.agent_dir / f"{name}.{end}" for end in ("crt", "key"))
    pki.ensure_key(key)
    path = f"/v1-k3s/{name}.crt"
    headers = headers | {
        "k3s-Node-Name": joining.name,
        "k3s-Node-Password": _node_password(),
        "k3s-Node-IP": ",".join(joining.addresses),
    }
    try:
        reply = client.request("POST", path, headers, pki.request_der(key))
    except TransportError as error:
        raise JoinError(f"{certificate}: {error}") from error
    if reply.status == 403:
        raise JoinError(
            f"{certificate}: Node password rejected, duplicate hostname or contents of '{settings.NODE_PASSWORD}' may "
            "not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag"
        )
    if not reply.ok:
        raise JoinError(f"{certificate}: {joining.endpoint.shown}{path}: {reply.status} {reply.reason}")
    write_atomic(certificate, reply.body)


def _node_password() -> str:
    """The machine's node password, made at first use. Losing the file is what a reinstall does."""
    path = settings.NODE_PASSWORD
    if not path.exists():
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_atomic(path, random.SystemRandom().randbytes(16).hex() + "\n")
    return path.read_text(encoding="utf-8").strip()


def body(endpoint: Endpoint, path: str, reply: Reply) -> bytes:
    """The body of a good reply; otherwise what the server said, or its status."""
    if reply.ok:
        return reply.body
    try:
        status = json.loads(reply.body)
    except ValueError:
        status = {}
    if isinstance(status, dict) and status.get("kind") == "Status":
        raise JoinError(str(status["message"]))
    raise JoinError(f"{endpoint.shown}{path}: {reply.status} {reply.reason}")
