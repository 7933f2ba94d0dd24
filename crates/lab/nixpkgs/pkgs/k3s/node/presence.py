"""What of a running node shows on its machine: the kubelet's port, and flannel's interface.

Only where the machine is the node's own: several nodes of a test on one machine would quarrel about both. The port answers
every request with 401, as a kubelet does to strangers. The interface carries nothing; it is a bridge where the kernel has
no VXLAN.
"""

import subprocess
from contextlib import suppress
from pathlib import Path

from common import log, settings
from common.httpclient import Trust
from server.listener import Listener
from server.messages import Refusal, Reply, Request

_FLANNEL = "flannel.1"


def show(trust: Trust, name: str) -> None:
    """Open the port and make the interface."""
    if not settings.HAS_MACHINE:
        return
    _make_interface()
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
