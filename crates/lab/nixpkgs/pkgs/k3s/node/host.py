"""What this machine is: its name, addresses, interfaces and system."""

import fcntl
import os
import socket
import struct
from ipaddress import ip_address
from pathlib import Path

from common.log import CommandError

_SIOCGIFADDR = 0x8915


def node_name(given: str) -> str:
    """The node's name: as given, or the host's, in lower case."""
    return (given or socket.gethostname()).lower()


def addresses(given: list[str]) -> list[str]:
    """The node's addresses: as given, or the one that the default route would use."""
    found = [part.strip() for one in given for part in one.split(",")]
    for one in found:
        try:
            ip_address(one)
        except ValueError as error:
            raise CommandError(f"invalid node-ip: invalid ip format '{one}'") from error
    return found or [_default_address()]


def has_interface(name: str) -> bool:
    """Whether a network interface exists."""
    return any(known == name for _, known in socket.if_nameindex())


def interface_address(name: str) -> str:
    """The IPv4 address of an interface: what --flannel-iface stands in for without --node-ip."""
    complaint = f"interface {name} does not have a correct global unicast ip"
    if not has_interface(name):
        raise CommandError(f"{complaint}: route ip+net: no such network interface")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError as error:
            raise CommandError(f"{complaint}: can't find ip for interface {name}") from error
    return socket.inet_ntoa(answer[20:24])


def node_info(version: str, architecture: str) -> dict[str, str]:
    """The nodeInfo of a Node's status."""
    return {
        "architecture": architecture,
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": "containerd://2.1.5-k3s1",
        "kernelVersion": os.uname().release,
        "kubeProxyVersion": "",
        "kubeletVersion": version,
        "machineID": _read("/etc/machine-id"),
        "operatingSystem": "linux",
        "osImage": _os_name(),
        "systemUUID": _read("/etc/machine-id"),
    }


def capacity() -> dict[str, str]:
    """What the machine has to give."""
    kibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    return {"cpu": str(os.cpu_count() or 1), "memory": f"{kibibytes}Ki", "pods": "110", "ephemeral-storage": "10Gi"}


def _default_address() -> str:
    # Connecting a datagram socket chooses a route and sends nothing.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _os_name() -> str:
    for line in _read("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
