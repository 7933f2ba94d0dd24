"""The settings that all servers of a cluster must share. They travel in `/v1-k3s/config`; who joins compares.

The agent token is not among them, here as in K3s: a server with another one joins, skips this comparison because its
own token is refused, and accepts other agents than the rest does.
"""

import base64
from ipaddress import ip_address, ip_network
from typing import Any

from common import log, settings
from common.flags import Parsed
from server.identity import domain

# Names as in K3s' configuration, with the flag that its complaint names.
_FLAGS = {
    "ClusterDNSs": "cluster-dns",
    "ClusterIPRanges": "cluster-cidr",
    "ClusterDNS": "cluster-dns",
    "ClusterDomain": "cluster-domain",
    "ClusterIPRange": "cluster-cidr",
    "DisableCCM": "disable-cloud-controller",
    "DisableHelmController": "disable-helm-controller",
    "DisableNPC": "disable-network-policy",
    "DisableServiceLB": "disable-service-lb",
    "EncryptSecrets": "secrets-encryption",
    "EmbeddedRegistry": "embedded-registry",
    "FlannelBackend": "flannel-backend",
    "FlannelIPv6Masq": "flannel-ipv6-masq",
    "FlannelExternalIP": "flannel-external-ip",
    "EgressSelectorMode": "egress-selector-mode",
    "ServiceIPRange": "service-cidr",
    "ServiceIPRanges": "service-cidr",
    "SupervisorMetrics": "supervisor-metrics",
}
_DNS_PLACE = 10


class Mismatch(Exception):
    """This server and the cluster differ in a critical setting."""

    def __str__(self) -> str:
        return "critical configuration value mismatch between servers"


def arguments(given: Parsed) -> dict[str, Any]:
    """The critical settings of a command line."""
    pods = _split(given.list("cluster-cidr")) or [settings.CLUSTER_CIDR]
    services = _split(given.list("service-cidr")) or [settings.SERVICE_CIDR]
    names = _split(given.list("cluster-dns")) or [str(ip_network(one)[_DNS_PLACE]) for one in services]
    names = [str(ip_address(one)) for one in names]
    return {
        "ClusterDNSs": names,
        "ClusterIPRanges": [_network(one) for one in pods],
        "ClusterDNS": names[0],
        "ClusterDomain": domain(given),
        "ClusterIPRange": _network(pods[0]),
        "DisableCCM": given.bool("disable-cloud-controller"),
        "DisableHelmController": given.bool("disable-helm-controller"),
        "DisableNPC": given.bool("disable-network-policy"),
        "DisableServiceLB": "servicelb" in _split(given.list("disable")),
        "EncryptSecrets": given.bool("secrets-encryption"),
        "EmbeddedRegistry": given.bool("embedded-registry"),
        "FlannelBackend": given.text("flannel-backend"),
        "FlannelIPv6Masq": given.bool("flannel-ipv6-masq"),
        "FlannelExternalIP": given.bool("flannel-external-ip"),
        "EgressSelectorMode": given.text("egress-selector-mode") or "agent",
        "ServiceIPRange": _network(services[0]),
        "ServiceIPRanges": [_network(one) for one in services],
        "SupervisorMetrics": given.bool("supervisor-metrics"),
    }


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Warn of each difference, and raise Mismatch if there is one."""
    different = [flag for name, flag in _FLAGS.items() if ours[name] != theirs.get(name)]
    for flag in different:
        log.warning(f"critical configuration mismatched: {flag}")
    if different:
        raise Mismatch


def _split(given: list[str]) -> list[str]:
    return [part.strip() for one in given for part in one.split(",") if part.strip()]


def _network(cidr: str) -> dict[str, Any]:
    """A network as Go's encoding/json shows a net.IPNet."""
    network = ip_network(cidr)
    return {"IP": str(network.network_address), "Mask": base64.b64encode(network.netmask.packed).decode()}
