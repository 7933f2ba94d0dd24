"""`k3s server`: brings one server up in K3s' order, and keeps it until it is told to stop.

Token → the cluster's identity, compared with the disk → certificates and passwords → listener → datastore → the
server's own node joins → API ready, token files and kubeconfig written → READY. The node joins its own server over TLS
like any other, before the API is ready: so a server whose --flannel-iface is missing logs that and never becomes ready.
A server that starts again is READY after its kubelet has reported, one that starts first before that.

Left out: packaged components, so --disable has nothing to disable.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from common import flags, jointoken, log, sdnotify, settings, stopping
from common.flags import Parsed
from common.httpclient import Endpoint
from common.log import CommandError
from datastore.etcd import Etcd
from datastore.keys import Datastore
from node import join
from node.agent import node_settings
from node.kubelet import Kubelet, NodeSettings
from server import critical, etcdnodes, identity, passwd, snapshots
from server.api import Api
from server.cluster import Cluster
from server.identity import Identity, Tokens
from server.lifecycle import NodeController
from server.listener import Listener
from server.messages import Reply, Request
from server.objects import Store
from server.supervisor import Site, Supervisor

# A kubelet whose server has no majority cannot report.
_REPORT_PATIENCE = 5.0


def run(argv: list[str]) -> None:
    """Run a server with these arguments; returns when SIGTERM or SIGINT comes."""
    given = flags.parse(flags.SERVER, argv)
    tokens = identity.read_tokens(given)
    node = node_settings(given, ["server", *argv])
    log.info(f"Starting k3s {settings.VERSION} (stand-in)")
    directory = Path(given.text("data-dir")).absolute() / "server"
    identity.make_folders(directory)
    cluster = Cluster(given, tokens, node, directory)
    cluster.bootstrap()
    known = identity.prepare(directory, tokens)
    identity.ensure_certificates(given, known, node)
    datastore = cluster.open()
    try:
        _serve(given, tokens, node, cluster, known, datastore)
    finally:
        datastore.close()


def _serve(
    given: Parsed, tokens: Tokens, node: NodeSettings, cluster: Cluster, known: Identity, datastore: Datastore
) -> None:
    """Listen, get ready, and wait for the end."""
    store, etcd = Store(datastore), datastore if isinstance(datastore, Etcd) else None
    port = given.number("https-listen-port")

    def rotate(new: str) -> None:
        cluster.reseal(datastore, identity.rotate_files(known, tokens, new))

    supervisor = Supervisor(
        Site(
            server_ca=known.server_ca,
            client_ca=known.client_ca,
            store=store,
            etcd=etcd,
            passwords=known.passwords,
            https_port=port,
            critical=critical.arguments(given),
            node=node,
            snapshots=snapshots.settings_of(given, known.dir),
            hand_out=lambda password, remote: cluster.hand_out(datastore.keys, password, remote),
            rotate=rotate,
        )
    )
    api = Api(store)
    address = given.text("bind-address")
    _listen((address or "0.0.0.0", port), known, supervisor, api)
    endpoint = Endpoint(f"https://{address or '127.0.0.1'}:{port}")
    cluster.start(datastore, known)
    kubelet = None if given.bool("disable-agent") else _own_kubelet(given, known, node, endpoint)
    identity.write_token_files(known, tokens, endpoint.url)
    identity.write_kubeconfig(given, known, endpoint.url)
    api.ready = supervisor.core_ready = True
    log.info("Kube API server is now running")
    NodeController(store, datastore).start()
    if etcd is not None:
        etcdnodes.MemberController(store, etcd).start()
    if kubelet is not None:
        has_been = store.find("nodes", node.name) is not None
        threading.Thread(target=kubelet.run, name="kubelet", daemon=True).start()
        threading.Thread(target=etcdnodes.mark, args=(store, node.name, etcd), daemon=True).start()
        if has_been:
            _wait_for_report(kubelet)
    log.info("k3s is up and running")
    stopping.last_act(_end_of_a_leader(datastore, time.monotonic()))
    sdnotify.ready()
    stopping.wait()


def _wait_for_report(kubelet: Kubelet) -> None:
    deadline = time.monotonic() + _REPORT_PATIENCE
    while not kubelet.has_reported.is_set() and time.monotonic() < deadline:
        stopping.pause(0.05)
    stopping.pause(settings.READY_AFTER_REPORT)


def _end_of_a_leader(datastore: Datastore, start: float) -> Callable[[], None]:
    """The controllers of a server that leads take the loss of the lead for a failure, also when it is told to end."""

    def end() -> None:
        if datastore.leading and time.monotonic() - start > settings.LEADS_AFTER:
            log.klog("E", "controllermanager.go:368", "leaderelection lost")
            raise SystemExit(1)

    return end


def _listen(address: tuple[str, int], known: Identity, supervisor: Supervisor, api: Api) -> None:
    def handle(request: Request) -> Reply:
        return supervisor.handle(request) or api.handle(request)

    serving = known.leaf("serving-kube-apiserver", "crt"), known.leaf("serving-kube-apiserver", "key")
    try:
        Listener(address, *serving, known.client_ca.certificate, handle).start()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        text = f"listen tcp {address[0]}:{address[1]}: bind: {reason}"
        raise CommandError(f"preparing server: failed to start supervisor listener: {text}") from error


def _own_kubelet(given: Parsed, known: Identity, node: NodeSettings, endpoint: Endpoint) -> Kubelet:
    """Join our own server, as its first node."""
    token = jointoken.full(known.server_ca.certificate.read_bytes(), passwd.NODE, known.passwords.get(passwd.NODE))
    agent_dir = known.dir.parent / "agent"
    joining = join.Joining(endpoint, token, agent_dir, node.name, node.addresses, given.text("flannel-iface"))
    kubelet = Kubelet(node, endpoint, join.join(joining).trust)
    kubelet.prepare()
    return kubelet
