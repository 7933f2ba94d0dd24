"""Readiness for systemd (`Type=notify`): one datagram to $NOTIFY_SOCKET, nothing without it."""

import os
import socket


def ready() -> None:
    """Tell systemd that the service is up. Agents are `Type=exec`: nobody listens there, and this does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(b"READY=1\n", address)
