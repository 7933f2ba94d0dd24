"""Stand-in for containerd, of the rehearsal lab: a socket that answers, and a unit that gets ready.

K3s with an external runtime waits for /run/containerd/containerd.sock. Nothing speaks CRI here: what
connects is accepted and closed. The arguments are containerd's (--config FILE, config dump, --version).
"""

import os
import signal
import socket
import sys

SOCKET = "/run/containerd/containerd.sock"


def main() -> int:
    arguments = sys.argv[1:]
    if "--version" in arguments:
        print("containerd (stand-in of the rehearsal lab) 2.2.0")
        return 0
    if arguments[-2:] == ["config", "dump"]:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: end())
    os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(SOCKET)
        os.chmod(SOCKET, 0o660)
        listener.listen()
        print("containerd stand-in: serving on " + SOCKET, flush=True)
        notify(b"READY=1\nSTATUS=stand-in of the rehearsal lab")
        while True:
            connection, _ = listener.accept()
            connection.close()


def end() -> None:
    """The real one takes its socket along."""
    os.unlink(SOCKET)
    sys.exit(0)


def notify(message: bytes) -> None:
    """What sd_notify does, for a unit with Type=notify."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message, address)


sys.exit(main())
