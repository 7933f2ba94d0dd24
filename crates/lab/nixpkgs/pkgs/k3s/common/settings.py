"""Version, paths and periods of the stand-in.

Everything a lab may want to bend is an environment variable read here and nowhere else, so that the list below is
complete:

K3S_STANDIN_VERSION        the version to claim (the wrapper bakes it; two versions can live in one lab)
K3S_STANDIN_ETC            in place of /etc/rancher (tests run several nodes on one machine)
K3S_STANDIN_NODE_GRACE     seconds without a renewed lease until a node is Unknown; real: 40, here: 6
K3S_STANDIN_CLOCK_SKEW     seconds added to this process's idea of now when it judges certificates, because machines
                           of one lab share one kernel clock and none of them can really be set wrong
K3S_STANDIN_NODE_IDENTITY  1: a restarting agent also presents its kubelet certificate to the supervisor, as K3s since
                           2023 does, and then gets in even with a wrong token. Off: a wrong token shows at restart.
"""

import os
import platform
import re
from pathlib import Path

VERSION = os.environ.get("K3S_STANDIN_VERSION", "v1.34.2+k3s1")
ETC = Path(os.environ.get("K3S_STANDIN_ETC", "/etc/rancher"))
NODE_GRACE = float(os.environ.get("K3S_STANDIN_NODE_GRACE", "6"))
CLOCK_SKEW = float(os.environ.get("K3S_STANDIN_CLOCK_SKEW", "0"))
NODE_IDENTITY = os.environ.get("K3S_STANDIN_NODE_IDENTITY") == "1"

DATA_DIR = "/var/lib/rancher/k3s"
KUBECONFIG = ETC / "k3s" / "k3s.yaml"
NODE_PASSWORD = ETC / "node" / "password"

# Heartbeats are quicker than the real 10 s and 5 min, so that a rehearsal sees a dead node within its patience.
LEASE_PERIOD = 1.0
STATUS_PERIOD = 2.0

HTTPS_PORT = 6443
BALANCER_PORT = 6444
CLUSTER_CIDR = "10.42.0.0/16"
SERVICE_CIDR = "10.43.0.0/16"
SERVICE_ADDRESS = "10.43.0.1"

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def kubernetes_minor() -> int:
    """The minor Kubernetes version claimed: some texts and labels changed between minors."""
    found = re.match(r"v?\d+\.(\d+)", VERSION)
    return int(found.group(1)) if found else 34
