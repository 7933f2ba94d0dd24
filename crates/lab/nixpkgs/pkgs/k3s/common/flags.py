"""The command line as urfave/cli parses it, with K3s' own flags.

K3s refuses what it does not know, so a typing error in a NixOS option must stop the stand-in too: hence the real tables
and not a parser that lets everything pass. Most flags are accepted and have no effect; those with one are read by
server/run.py and node/agent.py. Left out: the YAML file of --config, which is accepted and ignored.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from common import settings


class UsageError(Exception):
    """The command line is wrong; the text is urfave's."""


class Kind(Enum):
    """What a flag takes."""

    TEXT = "text"
    NUMBER = "number"
    LIST = "list"
    BOOL = "bool"


Value = str | int | bool | list[str]
_EMPTY: dict[Kind, Value] = {Kind.TEXT: "", Kind.NUMBER: 0, Kind.LIST: [], Kind.BOOL: False}


@dataclass
class Flags:
    """A table of flags: kinds by name, other names, defaults, and the variables that stand in for a flag."""

    kinds: dict[str, Kind]
    short: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Value] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class Parsed:
    """The values of a command line."""

    values: dict[str, Value]
    args: list[str]

    def text(self, name: str) -> str:
        """The value of a text flag; empty when absent."""
        return str(self.values[name])

    def number(self, name: str) -> int:
        """The value of a number flag."""
        return int(self.values[name])  # type: ignore[arg-type]

    def list(self, name: str) -> list[str]:
        """The values of a repeatable flag."""
        return list(self.values[name])  # type: ignore[arg-type]

    def bool(self, name: str) -> bool:
        """Whether a switch is on."""
        return bool(self.values[name])


def parse(table: Flags, argv: Sequence[str]) -> Parsed:
    """Parse argv. Like urfave/cli without reordering, the first word that is no flag ends the flags."""
    values = _initial(table)
    words = iter(argv)
    for word in words:
        if word == "--" or not word.startswith("-") or word == "-":
            return Parsed(values, ([] if word == "--" else [word]) + list(words))
        _take(table, values, word, words)
    return Parsed(values, [])


def _initial(table: Flags) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, kind in table.kinds.items():
        default = table.defaults.get(name, _EMPTY[kind])
        values[name] = list(default) if isinstance(default, list) else default
        variable = os.environ.get(table.env.get(name, ""), "")
        if variable:
            _store(values, name, kind, variable)
    return values


def _take(table: Flags, values: dict[str, Value], word: str, words: Iterator[str]) -> None:
    found = re.fullmatch(r"--?([^-=][^=]*)(?:=(.*))?", word, re.DOTALL)
    if not found:
        raise UsageError(f"bad flag syntax: {word}")
    given, text = found.group(1), found.group(2)
    name = table.short.get(given, given)
    kind = table.kinds.get(name)
    if kind is None:
        raise UsageError(f"flag provided but not defined: -{given}")
    if text is None and kind is not Kind.BOOL:
        text = next(words, None)
        if text is None:
            raise UsageError(f"flag needs an argument: -{given}")
    _store(values, name, kind, "true" if text is None else text)


def _store(values: dict[str, Value], name: str, kind: Kind, text: str) -> None:
    if kind is Kind.LIST:
        values[name].append(text)  # type: ignore[union-attr]
    elif kind is Kind.BOOL:
        if text.lower() not in ("1", "t", "true", "0", "f", "false"):
            raise UsageError(f'invalid boolean value "{text}" for -{name}: parse error')
        values[name] = text.lower() in ("1", "t", "true")
    elif kind is Kind.NUMBER:
        if not re.fullmatch(r"[+-]?\d+", text):
            raise UsageError(f'invalid value "{text}" for flag -{name}: parse error')
        values[name] = int(text)
    else:
        values[name] = text


def _kinds(text: str = "", number: str = "", many: str = "", switch: str = "") -> dict[str, Kind]:
    """A table of kinds from words, which keeps the lists below short enough to compare with K3s' source."""
    pairs = ((text, Kind.TEXT), (number, Kind.NUMBER), (many, Kind.LIST), (switch, Kind.BOOL))
    return {name: kind for names, kind in pairs for name in names.split()}


_NODE = _kinds(
    text="""config log vmodule token token-file server data-dir node-name image-credential-provider-bin-dir
        image-credential-provider-config container-runtime-endpoint image-service-endpoint default-runtime pause-image
        snapshotter private-registry resolv-conf flannel-iface flannel-conf flannel-cni-conf vpn-auth vpn-auth-file
        bind-address cluster-secret""",
    number="v lb-server-port",
    many="""node-label node-taint node-ip node-external-ip node-internal-dns node-external-dns kubelet-arg
        kube-proxy-arg airgap-extra-registry""",
    switch="""debug alsologtostderr with-node-id docker selinux protect-kernel-defaults rootless prefer-bundled-bin
        disable-default-registry-endpoint nonroot-devices disable-apiserver-lb enable-pprof disable-selinux
        no-flannel""",
)

_CONTROL = _kinds(
    text="""advertise-address service-node-port-range cluster-domain flannel-backend egress-selector-mode
        servicelb-namespace write-kubeconfig write-kubeconfig-mode write-kubeconfig-group helm-job-image agent-token
        agent-token-file cluster-reset-restore-path datastore-endpoint datastore-cafile datastore-certfile
        datastore-keyfile kine-tls etcd-snapshot-name etcd-snapshot-schedule-cron etcd-snapshot-dir etcd-s3-endpoint
        etcd-s3-endpoint-ca etcd-s3-access-key etcd-s3-secret-key etcd-s3-session-token etcd-s3-bucket
        etcd-s3-bucket-lookup-type etcd-s3-region etcd-s3-folder etcd-s3-proxy etcd-s3-config-secret etcd-s3-timeout
        default-local-storage-path secrets-encryption-provider system-default-registry""",
    number="""https-listen-port advertise-port etcd-snapshot-retention etcd-s3-retention datastore-max-open-connections
        datastore-max-idle-connections""",
    many="""tls-san cluster-cidr service-cidr cluster-dns kube-apiserver-arg etcd-arg kube-controller-manager-arg
        kube-scheduler-arg kube-cloud-controller-manager-arg kube-controller-arg kube-cloud-controller-arg disable
        no-deploy""",
    switch="""tls-san-security flannel-ipv6-masq flannel-external-ip cluster-init cluster-reset etcd-expose-metrics
        etcd-disable-snapshots etcd-snapshot-compress etcd-s3 etcd-s3-skip-ssl-verify etcd-s3-insecure
        disable-scheduler disable-cloud-controller disable-kube-proxy disable-network-policy disable-helm-controller
        disable-apiserver disable-controller-manager disable-etcd disable-agent embedded-registry supervisor-metrics
        secrets-encryption""",
)

_SHORT = {"t": "token", "s": "server", "d": "data-dir", "i": "node-ip", "l": "log", "o": "write-kubeconfig"}
_DEFAULTS: dict[str, Value] = {
    "data-dir": settings.DATA_DIR,
    "lb-server-port": settings.BALANCER_PORT,
    "https-listen-port": settings.HTTPS_PORT,
    "tls-san-security": True,
    "flannel-backend": "vxlan",
}
_ENV = {
    "token": "K3S_TOKEN",
    "token-file": "K3S_TOKEN_FILE",
    "agent-token": "K3S_AGENT_TOKEN",
    "agent-token-file": "K3S_AGENT_TOKEN_FILE",
    "server": "K3S_URL",
    "node-name": "K3S_NODE_NAME",
    "data-dir": "K3S_DATA_DIR",
    "write-kubeconfig": "K3S_KUBECONFIG_OUTPUT",
    "write-kubeconfig-mode": "K3S_KUBECONFIG_MODE",
    "cluster-init": "K3S_CLUSTER_INIT",
    "lb-server-port": "K3S_LB_SERVER_PORT",
}

SERVER = Flags(_NODE | _CONTROL, _SHORT, _DEFAULTS, _ENV)
AGENT = Flags(_NODE, _SHORT, _DEFAULTS, _ENV)
TOKEN_ROTATE = Flags(
    _kinds(text="data-dir kubeconfig token new-token server"),
    _SHORT,
    {"data-dir": settings.DATA_DIR, "server": f"https://127.0.0.1:{settings.HTTPS_PORT}"},
    {"token": "K3S_TOKEN", "server": "K3S_URL", "data-dir": "K3S_DATA_DIR"},
)
ETCD_SNAPSHOT = Flags(
    _kinds(
        text="config log node-name data-dir etcd-token etcd-server name etcd-snapshot-dir output",
        switch="debug etcd-snapshot-compress",
    ),
    {
        "d": "data-dir",
        "t": "etcd-token",
        "s": "etcd-server",
        "dir": "etcd-snapshot-dir",
        "snapshot-compress": "etcd-snapshot-compress",
        "o": "output",
    },
    {"data-dir": settings.DATA_DIR, "etcd-server": f"https://127.0.0.1:{settings.HTTPS_PORT}"},
    {"etcd-token": "K3S_TOKEN", "etcd-server": "K3S_URL", "data-dir": "K3S_DATA_DIR"},
)
CERTIFICATE_CHECK = Flags(
    _kinds(text="data-dir config output", many="service", switch="debug"),
    {"d": "data-dir", "s": "service", "o": "output"},
    {"data-dir": settings.DATA_DIR, "output": "text"},
    {"data-dir": "K3S_DATA_DIR"},
)
