"""`k3s agent`: reads the token, joins, and is a node until it is told to stop.

The unit is `Type=exec`: it counts as started before any of this ran, and goes on counting so while joining fails.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from common import flags, jointoken, log, settings, stopping
from common.flags import Parsed
from common.log import CommandError
from node import host, join
from node.balancer import Balancer
from node.kubelet import Kubelet, NodeSettings, parse_labels, parse_taints


def run(argv: list[str]) -> None:
    """Run an agent with these arguments; returns when SIGTERM or SIGINT comes."""
    stopping.last_act(_end_of_a_new_one(time.monotonic()))
    given = flags.parse(flags.AGENT, argv)
    token = given.text("token")
    if given.text("token-file"):
        token = jointoken.read_file(given.text("token-file"))
    elif not token:
        raise CommandError("--token is required")
    if not given.text("server"):
        raise CommandError("--server is required")
    if not given.text("server").startswith("https://"):
        raise CommandError(f"only https:// URLs are supported, invalid scheme: {given.text('server')}")
    node = node_settings(given, ["agent", *argv])
    log.info(f"Starting k3s agent {settings.VERSION} (stand-in)")
    agent_dir = Path(given.text("data-dir")) / "agent"
    balancer = Balancer(given.text("server"), given.number("lb-server-port"), agent_dir)
    endpoint = balancer.endpoint
    membership = join.join(
        join.Joining(endpoint, token, agent_dir, node.name, node.addresses, given.text("flannel-iface"))
    )
    balancer.watch(lambda: membership.trust)
    kubelet = Kubelet(node, endpoint, membership.trust)
    kubelet.prepare()
    threading.Thread(target=kubelet.run, name="kubelet", daemon=True).start()
    stopping.wait()


def _end_of_a_new_one(start: float) -> Callable[[], None]:
    """An agent that is told to end before its tunnel is up takes that for a failure."""

    def end() -> None:
        if time.monotonic() - start < settings.AGENT_IS_NEW:
            log.fatal("Tunnel watches failed to wait for RBAC: context canceled, context canceled")

    return end


def node_settings(given: Parsed, arguments: list[str]) -> NodeSettings:
    """What the flags say of the node, for agents and servers alike."""
    addresses = given.list("node-ip")
    if given.text("flannel-iface") and not addresses:
        addresses = [host.interface_address(given.text("flannel-iface"))]
        log.info(f"Found ip {addresses[0]} from iface {given.text('flannel-iface')}")
    external = given.list("node-external-ip")
    return NodeSettings(
        name=host.node_name(given.text("node-name")),
        addresses=host.addresses(addresses),
        external=host.addresses(external) if external else [],
        labels=parse_labels(given.list("node-label")),
        taints=parse_taints(given.list("node-taint")),
        arguments=arguments,
        runtime_socket=given.text("container-runtime-endpoint"),
        kubelet_arguments=given.list("kubelet-arg"),
    )
