"""Version, paths and periods of the stand-in.

Everything a lab may want to bend is read here and nowhere else, so that the list below is complete: from the
environment, or from lines NAME=VALUE of the file `/etc/rancher/stand-in.env`, which is quicker to reach on a machine
that runs:

K3S_STANDIN_VERSION        the version to claim (the wrapper bakes it; two versions can live in one lab)
K3S_STANDIN_ETC            in place of /etc/rancher (tests run several nodes on one machine; not from the file)
K3S_STANDIN_NODE_GRACE     seconds without a renewed lease until a node is Unknown; real: 50, here: 6
K3S_STANDIN_CLOCK_SKEW     seconds added to this process's idea of now when it judges certificates, because machines
                           of one lab share one kernel clock and none of them can really be set wrong
K3S_STANDIN_NODE_IDENTITY  0: a restarting agent logs in with its token alone, as K3s before 2023 did: a wrong one shows
                           at once. Else it presents its kubelet's certificate as well, and gets in with a wrong token.
K3S_STANDIN_CERT_DAYS      NAME=DAYS,…: how long the certificates of these file names (`client-admin`,
                           `serving-kubelet`) hold when they are next made, which is then at each start; below zero
                           they are expired.
                           For all others there is K3s' own CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS, else 365.
K3S_STANDIN_NO_ROUTES      NAME,…: routes of the supervisor (`server-bootstrap`) that this K3s lacks, as older ones do; a server
                           that is a node itself does not start without `config`
K3S_STANDIN_KUBELET_PORT   where a kubelet on a machine of its own listens: elsewhere is as if a firewall had closed 10250
"""

import os
import re
from pathlib import Path

ETC = Path(os.environ.get("K3S_STANDIN_ETC", "/etc/rancher"))


def _given() -> dict[str, str]:
    """The file's lines, then the environment, which wins."""
    try:
        lines = (ETC / "stand-in.env").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs} | dict(os.environ)


_GIVEN = _given()
VERSION = _GIVEN.get("K3S_STANDIN_VERSION", "v1.34.2+k3s1")
NODE_GRACE = float(_GIVEN.get("K3S_STANDIN_NODE_GRACE", "6"))
CLOCK_SKEW = float(_GIVEN.get("K3S_STANDIN_CLOCK_SKEW", "0"))
NODE_IDENTITY = _GIVEN.get("K3S_STANDIN_NODE_IDENTITY") != "0"
NO_ROUTES = frozenset(filter(None, _GIVEN.get("K3S_STANDIN_NO_ROUTES", "").split(",")))
_CERT_DAYS = dict(one.split("=") for one in _GIVEN.get("K3S_STANDIN_CERT_DAYS", "").split(",") if "=" in one)

# A machine of its own, whose interfaces and ports are this node's and nobody else's.
HAS_MACHINE = Path("/etc/xtask-rehearsal").exists()

DATA_DIR = "/var/lib/rancher/k3s"
KUBECONFIG = ETC / "k3s" / "k3s.yaml"
NODE_PASSWORD = ETC / "node" / "password"

# A Lease is quicker than the real 10 s, so that a rehearsal sees a dead node within its patience. A status that says
# nothing new is reported as seldom as by a real kubelet: who takes its time for a sign of life has to be found out.
LEASE_PERIOD = 1.0
STATUS_PERIOD = 300.0
# How long a kubelet runs that cannot.
KUBELET_START = 1.0
# A server that starts again is ready a moment after its kubelet has reported.
READY_AFTER_REPORT = 1.0
# A server that is stopped ends with 1 once it leads the election of controllers; real: after some 10 s.
LEADS_AFTER = 3.0
# An agent that is stopped within its first second ends with 1.
AGENT_IS_NEW = 1.0

# etcd among servers. Real: a heartbeat each 0.5 s, elections after 5 s to 10 s, requests given up after 7 s.
ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380
ETCD_METRICS_PORT = 2381
ETCD_GATEWAY_PORT = 2382
ETCD_HEARTBEAT = 0.25
ETCD_LEASE = 2.5
ETCD_ELECTION = 2.5
ETCD_REQUEST = 7.0

HTTPS_PORT = 6443
BALANCER_PORT = 6444
KUBELET_PORT = int(_GIVEN.get("K3S_STANDIN_KUBELET_PORT", "10250"))
CLUSTER_CIDR = "10.42.0.0/16"
SERVICE_CIDR = "10.43.0.0/16"
SERVICE_ADDRESS = "10.43.0.1"

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def certificate_days(name: str) -> int | None:
    """How long a certificate of this file name shall hold; None if nobody said."""
    days = _CERT_DAYS.get(name)
    return None if days is None else int(days)


def leaf_days() -> int:
    """How long all other leaf certificates hold when they are made."""
    days = _GIVEN.get("CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS", "")
    return int(days) if days.isdecimal() and int(days) > 0 else 365


def kubernetes_minor() -> int:
    """The minor Kubernetes version claimed: some texts and labels changed between minors."""
    found = re.match(r"v?\d+\.(\d+)", VERSION)
    return int(found.group(1)) if found else 34
