"""`k3s server`: brings one server up in K3s' order, and keeps it until it is told to stop.

Token → comparison of datastore and disk → certificates and passwords → listener → the server's own node joins → API
ready, token files and kubeconfig written → READY. The node joins its own server over TLS like any other, before the
API is ready: so a server whose --flannel-iface is missing logs that and never becomes ready, while one whose container
runtime is missing becomes ready and only its Node stays away.

Left out: several servers (--cluster-init, --server), which are refused; packaged components, so --disable has nothing
to disable. To grow: a second server would get its BootstrapData from /v1-k3s/server-bootstrap instead of from disk.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

from common import flags, jointoken, kubeconfig, log, pki, sdnotify, settings, stopping
from common.files import ensure_symlink, write_atomic
from common.flags import Parsed
from common.httpclient import Endpoint
from common.jointoken import TokenError
from common.log import CommandError
from common.pki import Authority, Subject
from node import join
from node.agent import node_settings
from node.kubelet import Kubelet, NodeSettings
from server import passwd
from server.api import Api
from server.bootstrap import BootstrapData, WrongToken
from server.lifecycle import NodeController
from server.listener import Listener
from server.messages import Reply, Request
from server.objects import Missing, Object, Store
from server.passwd import Passwords
from server.supervisor import Site, Supervisor

_ROLE = "node-role.kubernetes.io/"


@dataclass(frozen=True)
class Tokens:
    """The tokens as configured; empty when not."""

    server: str
    agent: str


@dataclass(frozen=True)
class Identity:
    """The cluster's keys and passwords, on disk below `dir`."""

    dir: Path
    server_ca: Authority
    client_ca: Authority
    passwords: Passwords
    bootstrap: BootstrapData

    @property
    def token_file(self) -> Path:
        """The server token's file."""
        return self.dir / "token"

    def leaf(self, name: str, end: str) -> Path:
        """A certificate (`crt`) or key (`key`) of the server's own."""
        return self.dir / "tls" / f"{name}.{end}"


def run(argv: list[str]) -> None:
    """Run a server with these arguments; returns when SIGTERM or SIGINT comes."""
    given = flags.parse(flags.SERVER, argv)
    stopping.on_signals()
    if given.bool("cluster-init") or given.text("server"):
        raise CommandError("the K3s stand-in does not run several servers yet: no --cluster-init, no --server")
    tokens = _read_tokens(given)
    node = node_settings(given, ["server", *argv])
    log.info(f"Starting k3s {settings.VERSION} (stand-in)")
    identity = _prepare(Path(given.text("data-dir")).absolute() / "server", tokens)
    _ensure_certificates(given, identity, node)
    store = Store(identity.dir / "db" / "state.json")
    try:
        _serve(given, identity, tokens, node, store)
    finally:
        store.save()


def _read_tokens(given: Parsed) -> Tokens:
    agent, server = given.text("agent-token"), given.text("token")
    if given.text("agent-token-file"):
        agent = jointoken.read_file(given.text("agent-token-file"))
    if given.text("token-file"):
        server = jointoken.read_file(given.text("token-file"))
    return Tokens(server, agent)


def _prepare(directory: Path, tokens: Tokens) -> Identity:
    """Make or check what the cluster is: directories, datastore against disk, CAs, passwords."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    for name in ("tls", "cred", "db"):
        (directory / name).mkdir(mode=0o700, exist_ok=True)
    bootstrap = BootstrapData(directory)
    try:
        _bootstrap(directory, bootstrap, tokens.server)
    except (TokenError, WrongToken) as error:
        raise CommandError(f"preparing server: failed to bootstrap cluster data: {error}") from error
    server_ca, client_ca = (Authority(directory / "tls" / f"{name}-ca") for name in ("server", "client"))
    client_ca.ensure("k3s-client-ca")
    server_ca.ensure("k3s-server-ca")
    passwords = Passwords(directory / "cred" / "passwd")
    server_token = tokens.server or passwords.get(passwd.SERVER) or passwd.random_password()
    agent_token = tokens.agent or jointoken.server_password(server_token)
    passwords.ensure(passwd.NODE, agent_token)
    passwords.ensure(passwd.SERVER, server_token)
    passwords.save()
    return Identity(directory, server_ca, client_ca, passwords, bootstrap)


def _bootstrap(directory: Path, bootstrap: BootstrapData, token: str) -> None:
    """Check the token's form, and the datastore's copy with it; TokenError or WrongToken if one does not fit."""
    password = jointoken.server_password(token) if token else ""
    if bootstrap.exists:
        if not token and (directory / "token").exists():
            password = jointoken.server_password((directory / "token").read_text(encoding="utf-8").strip())
        bootstrap.reconcile(password)
        return
    log.info("Bootstrap key locked for initial create")
    if token and jointoken.parse(token).ca_hash and not (directory / "tls" / "server-ca.crt").exists():
        raise TokenError("the token includes a CA hash, but the cluster CA does not exist yet: use a short token")


def _ensure_certificates(given: Parsed, identity: Identity, node: NodeSettings) -> None:
    names = [part for one in given.list("tls-san") for part in one.split(",")]
    names += ["127.0.0.1", "::1", "localhost", node.name, *node.addresses, *node.external, settings.SERVICE_ADDRESS]
    service = "kubernetes.default.svc"
    names += ["kubernetes", "kubernetes.default", service, f"{service}.{_domain(given)}"]
    tls = identity.dir / "tls"
    unique = list(dict.fromkeys(name for name in names if name))
    pki.ensure_leaf(identity.server_ca, tls / "serving-kube-apiserver", Subject("k3s", "k3s"), "serverAuth", unique)
    admin = Subject("system:admin", "system:masters")
    pki.ensure_leaf(identity.client_ca, tls / "client-admin", admin, "clientAuth", [])


def _serve(given: Parsed, identity: Identity, tokens: Tokens, node: NodeSettings, store: Store) -> None:
    """Listen, get ready, and wait for the end."""
    port = given.number("https-listen-port")
    supervisor = Supervisor(
        Site(
            server_ca=identity.server_ca,
            client_ca=identity.client_ca,
            store=store,
            passwords=identity.passwords,
            https_port=port,
            flannel_backend=given.text("flannel-backend"),
            cluster_domain=_domain(given),
            local_node=node.name,
            rotate=lambda new: _rotate(identity, tokens, new),
        )
    )
    api = Api(store)
    address = given.text("bind-address")
    _listen((address or "0.0.0.0", port), identity, supervisor, api)
    endpoint = Endpoint(f"https://{address or '127.0.0.1'}:{port}")
    kubelet = None if given.bool("disable-agent") else _own_kubelet(given, identity, node, endpoint)
    _write_token_files(identity, tokens, endpoint)
    if not identity.bootstrap.exists:
        log.info("Saving cluster bootstrap data to datastore")
        identity.bootstrap.save(identity.passwords.get(passwd.SERVER))
    _write_kubeconfig(given, identity, endpoint)
    api.ready = supervisor.core_ready = True
    log.info("Kube API server is now running")
    NodeController(store).start()
    if kubelet is not None:
        threading.Thread(target=kubelet.run, name="kubelet", daemon=True).start()
        threading.Thread(target=_label_control_plane, args=(store, node.name), daemon=True).start()
    log.info("k3s is up and running")
    sdnotify.ready()
    stopping.wait()


def _listen(address: tuple[str, int], identity: Identity, supervisor: Supervisor, api: Api) -> None:
    def handle(request: Request) -> Reply:
        return supervisor.handle(request) or api.handle(request)

    serving = identity.leaf("serving-kube-apiserver", "crt"), identity.leaf("serving-kube-apiserver", "key")
    try:
        Listener(address, *serving, identity.client_ca.certificate, handle).start()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        text = f"listen tcp {address[0]}:{address[1]}: bind: {reason}"
        raise CommandError(f"preparing server: failed to start supervisor listener: {text}") from error


def _own_kubelet(given: Parsed, identity: Identity, node: NodeSettings, endpoint: Endpoint) -> Kubelet:
    """Join our own server, as its first node."""
    token = jointoken.full(
        identity.server_ca.certificate.read_bytes(), passwd.NODE, identity.passwords.get(passwd.NODE)
    )
    agent_dir = identity.dir.parent / "agent"
    joining = join.Joining(endpoint, token, agent_dir, node.name, node.addresses, given.text("flannel-iface"))
    return Kubelet(node, endpoint, join.join(joining).trust)


def _write_token_files(identity: Identity, tokens: Tokens, endpoint: Endpoint) -> None:
    ca = identity.server_ca.certificate.read_bytes()
    token, agent = identity.token_file, identity.dir / "agent-token"
    write_atomic(token, jointoken.full(ca, passwd.SERVER, identity.passwords.get(passwd.SERVER)) + "\n")
    ensure_symlink(identity.dir / "node-token", token)
    log.info(f"Server node token is available at {token}")
    log.info(f"To join server node to cluster: k3s server -s {endpoint.url} -t ${{SERVER_NODE_TOKEN}}")
    if tokens.agent:
        write_atomic(agent, jointoken.full(ca, passwd.NODE, identity.passwords.get(passwd.NODE)) + "\n")
    else:
        ensure_symlink(agent, token)
    log.info(f"Agent node token is available at {agent}")
    log.info(f"To join agent node to cluster: k3s agent -s {endpoint.url} -t ${{AGENT_NODE_TOKEN}}")


def _write_kubeconfig(given: Parsed, identity: Identity, endpoint: Endpoint) -> None:
    path = Path(given.text("write-kubeconfig") or settings.KUBECONFIG)
    config = kubeconfig.Kubeconfig(
        server=endpoint.url,
        ca=identity.server_ca.certificate.read_bytes(),
        certificate=identity.leaf("client-admin", "crt").read_bytes(),
        key=identity.leaf("client-admin", "key").read_bytes(),
    )
    kubeconfig.write(path, config, _mode(given.text("write-kubeconfig-mode"), path))
    log.info(f"Wrote kubeconfig {path}")
    if path != settings.KUBECONFIG:
        settings.KUBECONFIG.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        ensure_symlink(settings.KUBECONFIG, path)
    log.info("Run: k3s kubectl")


def _mode(octal: str, path: Path) -> int:
    """The kubeconfig's mode; one that cannot be read leaves it private."""
    try:
        return int(octal, 8) if octal else 0o600
    except ValueError:
        log.error(f"Failed to set {path} to mode {octal}")
        return 0o600


def _rotate(identity: Identity, tokens: Tokens, new: str) -> None:
    """`k3s token rotate`: files and datastore take the new token now, logins at the next start.

    The passwords in memory stay what they were: that is why a running server still accepts the old token.
    """
    on_disk = Passwords(identity.dir / "cred" / "passwd")
    old, new = on_disk.get(passwd.SERVER), new or passwd.random_password()
    if not tokens.agent and on_disk.get(passwd.NODE) == old:
        on_disk.ensure(passwd.NODE, jointoken.server_password(new))
    on_disk.ensure(passwd.SERVER, new)
    on_disk.save()
    password = on_disk.get(passwd.SERVER)
    ca = identity.server_ca.certificate.read_bytes()
    write_atomic(identity.token_file, jointoken.full(ca, passwd.SERVER, password) + "\n")
    log.info("Saving cluster bootstrap data to datastore")
    identity.bootstrap.save(password)


def _label_control_plane(store: Store, name: str) -> None:
    """Give our own Node its role, once it is there. K3s stopped adding `master` with 1.34."""
    roles = ("control-plane",) if settings.kubernetes_minor() >= 34 else ("control-plane", "master")

    def label(node: Object) -> Object:
        node["metadata"].setdefault("labels", {}).update({_ROLE + role: "true" for role in roles})
        return node

    while True:
        version = store.version
        try:
            store.change("nodes", name, label)
        except Missing:
            store.wait(version, 5.0)
        else:
            log.info(f"Labels and annotations have been set successfully on node: {name}")
            return


def _domain(given: Parsed) -> str:
    return given.text("cluster-domain") or "cluster.local"
