"""Who the cluster and this server are: tokens, CAs, passwords and certificates, and the files that say so."""

from dataclasses import dataclass
from pathlib import Path

from common import jointoken, kubeconfig, log, pki, settings
from common.files import ensure_symlink, write_atomic
from common.flags import Parsed
from common.pki import Authority, Subject
from node.kubelet import NodeSettings
from server import passwd
from server.passwd import Passwords


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

    @property
    def token_file(self) -> Path:
        """The server token's file."""
        return self.dir / "token"

    @property
    def password(self) -> str:
        """The server token's password, as this process knows it."""
        return self.passwords.get(passwd.SERVER)

    def leaf(self, name: str, end: str) -> Path:
        """A certificate (`crt`) or key (`key`) of the server's own."""
        return self.dir / "tls" / f"{name}.{end}"


def read_tokens(given: Parsed) -> Tokens:
    """The tokens, from flags or from files that are waited for."""
    agent, server = given.text("agent-token"), given.text("token")
    if given.text("agent-token-file"):
        agent = jointoken.read_file(given.text("agent-token-file"))
    if given.text("token-file"):
        server = jointoken.read_file(given.text("token-file"))
    return Tokens(server, agent)


def make_folders(directory: Path) -> None:
    """The folders of `server`, private."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    for name in ("tls", "cred", "db"):
        (directory / name).mkdir(mode=0o700, exist_ok=True)


def prepare(directory: Path, tokens: Tokens) -> Identity:
    """Make what was not restored: CAs and passwords."""
    server_ca, client_ca = (Authority(directory / "tls" / f"{name}-ca") for name in ("server", "client"))
    client_ca.ensure("k3s-client-ca")
    server_ca.ensure("k3s-server-ca")
    passwords = Passwords(directory / "cred" / "passwd")
    server_token = tokens.server or passwords.get(passwd.SERVER) or passwd.random_password()
    agent_token = tokens.agent or jointoken.server_password(server_token)
    passwords.ensure(passwd.NODE, agent_token)
    passwords.ensure(passwd.SERVER, server_token)
    passwords.save()
    return Identity(directory, server_ca, client_ca, passwords)


def ensure_certificates(given: Parsed, identity: Identity, node: NodeSettings) -> None:
    """The server's own certificate, and the admin's for the kubeconfig."""
    names = [part for one in given.list("tls-san") for part in one.split(",")]
    names += ["127.0.0.1", "::1", "localhost", node.name, *node.addresses, *node.external, settings.SERVICE_ADDRESS]
    service = "kubernetes.default.svc"
    names += ["kubernetes", "kubernetes.default", service, f"{service}.{domain(given)}"]
    tls = identity.dir / "tls"
    unique = list(dict.fromkeys(name for name in names if name))
    pki.ensure_leaf(identity.server_ca, tls / "serving-kube-apiserver", Subject("k3s", "k3s"), "serverAuth", unique)
    admin = Subject("system:admin", "system:masters")
    pki.ensure_leaf(identity.client_ca, tls / "client-admin", admin, "clientAuth", [])


def write_token_files(identity: Identity, tokens: Tokens, url: str) -> None:
    """`token`, `node-token` and `agent-token`, rewritten at each start."""
    ca = identity.server_ca.certificate.read_bytes()
    token, agent = identity.token_file, identity.dir / "agent-token"
    write_atomic(token, jointoken.full(ca, passwd.SERVER, identity.password) + "\n")
    ensure_symlink(identity.dir / "node-token", token)
    log.info(f"Server node token is available at {token}")
    log.info(f"To join server node to cluster: k3s server -s {url} -t ${{SERVER_NODE_TOKEN}}")
    if settings.kubernetes_minor() < 25:
        return
    if tokens.agent:
        write_atomic(agent, jointoken.full(ca, passwd.NODE, identity.passwords.get(passwd.NODE)) + "\n")
    else:
        ensure_symlink(agent, token)
    log.info(f"Agent node token is available at {agent}")
    log.info(f"To join agent node to cluster: k3s agent -s {url} -t ${{AGENT_NODE_TOKEN}}")


def write_kubeconfig(given: Parsed, identity: Identity, url: str) -> None:
    """The admin's kubeconfig, where --write-kubeconfig says."""
    path = Path(given.text("write-kubeconfig") or settings.KUBECONFIG)
    config = kubeconfig.Kubeconfig(
        server=url,
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


def rotate_files(identity: Identity, tokens: Tokens, new: str) -> str:
    """Put a new server token into the files; its password. What is in memory stays, until the next start."""
    on_disk = Passwords(identity.dir / "cred" / "passwd")
    old, new = on_disk.get(passwd.SERVER), new or passwd.random_password()
    if not tokens.agent and on_disk.get(passwd.NODE) == old:
        on_disk.ensure(passwd.NODE, jointoken.server_password(new))
    on_disk.ensure(passwd.SERVER, new)
    on_disk.save()
    password = on_disk.get(passwd.SERVER)
    ca = identity.server_ca.certificate.read_bytes()
    write_atomic(identity.token_file, jointoken.full(ca, passwd.SERVER, password) + "\n")
    return password


def domain(given: Parsed) -> str:
    """The cluster's domain."""
    return given.text("cluster-domain") or "cluster.local"


def _mode(octal: str, path: Path) -> int:
    """The kubeconfig's mode; one that cannot be read leaves it private."""
    try:
        return int(octal, 8) if octal else 0o600
    except ValueError:
        log.error(f"Failed to set {path} to mode {octal}")
        return 0o600
