"""What of a running node shows on its machine: the kubelet's port, flannel's interface, and its configuration for containerd.

Only where the machine is the node's own: several nodes of a test on one machine would quarrel about both. The port answers
every request with 401, as a kubelet does to strangers. The interface carries nothing; it is a bridge where the kernel has
no VXLAN.
"""

import subprocess
from contextlib import suppress
from pathlib import Path

from common import log, settings
from common.files import write_atomic
from common.httpclient import Trust
from server.listener import Listener
from server.messages import Refusal, Reply, Request

_FLANNEL = "flannel.1"
_CNI = Path(settings.DATA_DIR, "agent/etc/cni/net.d/10-flannel.conflist")
_CONFIGURATION = '{"name":"cbr0","cniVersion":"1.0.0","plugins":[{"type":"flannel"}]}\n'


def show(trust: Trust, name: str) -> None:
    """Open the port, make the interface and write the configuration."""
    if not settings.HAS_MACHINE:
        return
    _make_interface()
    _CNI.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(_CNI, _CONFIGURATION)
    if trust.certificate is None:
        return
    folder = trust.certificate.parent
    serving = folder / "serving-kubelet.crt", folder / "serving-kubelet.key"
    with suppress(OSError):
        Listener(("0.0.0.0", settings.KUBELET_PORT), *serving, folder / "client-ca.crt", _refuse).start()
        log.klog("I", "server.go:180", "Starting to listen", address="0.0.0.0", port=str(settings.KUBELET_PORT), node=name)


def _refuse(_: Request) -> Reply:
    raise Refusal(401, "Unauthorized")


def _make_interface() -> None:
    if Path("/sys/class/net", _FLANNEL).exists():
        return
    for kind in (["vxlan", "id", "1", "dstport", "8472"], ["bridge"]):
        made = subprocess.run(["ip", "link", "add", _FLANNEL, "type", *kind], capture_output=True, check=False)
        if made.returncode == 0:
            return
    log.warning(f"the stand-in made no {_FLANNEL}")
