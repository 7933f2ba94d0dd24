"""Stand-in for containerd, of the rehearsal lab: a socket that answers, and a unit that gets ready.

K3s with an external runtime waits for /run/containerd/containerd.sock. Nothing speaks CRI here: what
connects is told whether there is a network, and closed. As the real one it makes conf_dir at its start and
watches that very folder: once somebody has deleted it, what is put there later is not seen. The arguments are
containerd's (--config FILE, config dump, --version).
"""

import os
import signal
import socket
import sys
import tomllib
from contextlib import suppress

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
    folder = conf_dir(arguments)
    if folder:
        os.makedirs(folder, exist_ok=True)
    watched = os.open(folder, os.O_DIRECTORY) if folder else None
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
            sees = watched is None or sees_network(folder, watched)
            # Whoever only wanted to know whether we are there is gone.
            with connection, suppress(OSError):
                connection.sendall(b"network\n" if sees else b"cni plugin not initialized\n")


def conf_dir(arguments: list[str]) -> str:
    """Where the configuration says that the network's is; empty if it does not say."""
    if "--config" not in arguments[:-1]:
        return ""
    with open(arguments[arguments.index("--config") + 1], "rb") as file:
        plugins = tomllib.load(file).get("plugins", {})
    return str(plugins.get("io.containerd.grpc.v1.cri", {}).get("cni", {}).get("conf_dir", ""))


def sees_network(folder: str, watched: int) -> bool:
    """Is there a configuration, and in the folder that is watched?"""
    try:
        return os.path.samestat(os.fstat(watched), os.stat(folder)) and bool(os.listdir(folder))
    except OSError:
        return False


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
