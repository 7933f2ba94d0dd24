"""Servers and agents as processes on loopback, each with a directory of its own, for the tests.

A Machine is what a host of the lab is to the stand-in: a data directory, an /etc/rancher, a token file and a journal.
Whatever a test starts is ended by its process id when the test ends.
"""

import http.client
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

STAND_IN = Path(__file__).resolve().parent.parent
PATIENCE = 20.0

# Compiled modules are shared by all processes of a run, outside the source: half of a start is compiling.
_CACHE_DIRECTORY = tempfile.TemporaryDirectory(prefix="k3s-stand-in-cache.")
_CACHE = _CACHE_DIRECTORY.name


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition to give something true, and return that."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.08)
    raise AssertionError(f"waited {PATIENCE} s in vain for {what}")


class Machine:
    """One host."""

    def __init__(self, root: Path, name: str, address: str, **env: str) -> None:
        self.root, self.name, self.address = root / name, name, address
        self.root.mkdir()
        self.data, self.etc = self.root / "data", self.root / "etc"
        self.log = self.root / "log"
        self.token_file = self.root / "token-file"
        self.env = {"PATH": os.environ["PATH"], "K3S_STANDIN_ETC": str(self.etc), "PYTHONPYCACHEPREFIX": _CACHE, **env}
        self.process: subprocess.Popen[bytes] | None = None
        self._notify: socket.socket | None = None

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command of k3s to its end."""
        command = [sys.executable, str(STAND_IN), *arguments]
        return subprocess.run(
            command,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *arguments: str, **env: str) -> None:
        """Start a server or agent; its stderr becomes the journal, emptied first."""
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self.root / "notify"
        path.unlink(missing_ok=True)
        self._notify.bind(str(path))
        common = ["--data-dir", str(self.data), "--node-name", self.name]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(STAND_IN), *arguments, *common],
                env=self.env | env | {"NOTIFY_SOCKET": str(path)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ready(self, timeout: float = PATIENCE) -> bool:
        """Whether READY=1 comes in time."""
        assert self._notify is not None and self.process is not None
        deadline = time.monotonic() + timeout
        self._notify.settimeout(0.05)
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return self._notify.recv(64) == b"READY=1\n"
            except TimeoutError:
                continue
        return False

    def stop(self, kill: bool = False) -> int:
        """End the process; its exit code."""
        assert self.process is not None
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        code = self.process.wait(timeout=PATIENCE)
        if self._notify is not None:
            self._notify.close()
        self.process = None
        return code

    def exit_code(self) -> int:
        """Wait for the process to end by itself."""
        assert self.process is not None
        return self.process.wait(timeout=PATIENCE)

    def journal(self) -> str:
        """What it logged since its last start."""
        return self.log.read_text()

    def logs(self, text: str) -> str:
        """Wait for a text in the journal; the line with it."""
        until(lambda: text in self.journal(), f"{text!r} in the journal of {self.name}:\n{self.journal()}")
        return next(line for line in self.journal().splitlines() if text in line)

    def close(self) -> None:
        """End whatever still runs."""
        if self.process is not None:
            self.stop(kill=True)


class Server(Machine):
    """A server, with the clients a test needs."""

    def __init__(self, root: Path, name: str = "ocean", address: str = "127.0.0.1", **env: str) -> None:
        super().__init__(root, name, address, **env)
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.dir = self.data / "server"

    def begin(self, *arguments: str, token: str | None = "swordfish", **env: str) -> None:
        """Start the server; a token of None leaves the token file as it is."""
        if token is not None:
            self.token_file.write_text(token + "\n")
        where = ["--https-listen-port", str(self.port), "--node-ip", self.address]
        self.start("server", "--token-file", str(self.token_file), *where, *arguments, **env)

    def up(self, *arguments: str, token: str | None = "swordfish", **env: str) -> "Server":
        """Start the server and wait until it is ready."""
        self.begin(*arguments, token=token, **env)
        if not self.ready():
            raise AssertionError(f"{self.name} did not get ready:\n{self.journal()}")
        return self

    def joins(self, other: "Server") -> str:
        """The flag by which this server joins another one."""
        return f"--server=https://{other.address}:{other.port}"

    @property
    def admin(self) -> dict[str, Path]:
        """The admin's certificate, for `request`."""
        tls = self.dir / "tls"
        return {"certificate": tls / "client-admin.crt", "key": tls / "client-admin.key"}

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`k3s kubectl …` on this server."""
        return self.run("kubectl", *arguments)

    def node(self, name: str) -> dict[str, Any] | None:
        """A Node, or None."""
        status, node = self.request("GET", f"/api/v1/nodes/{name}", **self.admin)
        return node if status == 200 else None

    def ready_condition(self, name: str) -> dict[str, str]:
        """A node's condition Ready; empty while there is none."""
        node = self.node(name)
        conditions = node["status"]["conditions"] if node else []
        return next((one for one in conditions if one["type"] == "Ready"), {})

    def readiness(self, name: str) -> str:
        """A node's Ready status; empty while there is none."""
        return self.ready_condition(name).get("status", "")

    def renewed(self, name: str) -> str:
        """When a node's Lease was renewed; empty while there is none."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}"
        status, lease = self.request("GET", path, **self.admin)
        return str(lease["spec"]["renewTime"]) if status == 200 else ""

    def request(
        self,
        method: str,
        path: str,
        login: str = "",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> tuple[int, Any]:
        """A request with a password or a certificate: status, and the body as JSON where it is JSON."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if certificate and key:
            context.load_cert_chain(certificate, key)
        given = dict(headers or {})
        if login:
            given["Authorization"] = "Basic " + b64encode(login.encode()).decode()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=5)
        try:
            connection.request(method, path, body or None, given)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        return response.status, json.loads(data) if data.startswith(b"{") else data.decode()


class Agent(Machine):
    """An agent of a server."""

    def __init__(self, root: Path, server: Server, name: str = "maia", address: str = "127.0.0.2", **env: str) -> None:
        super().__init__(root, name, address, **env)
        self.server = server

    def begin(self, *arguments: str, token: str, url: str = "", **env: str) -> "Agent":
        """Start the agent with this token."""
        self.token_file.write_text(token + "\n")
        # The server is reached at another address than its own, which only the balancer's view of TLS allows.
        where = ["--server", url or f"https://{self.address}:{self.server.port}", "--node-ip", self.address]
        self.start("agent", "--token-file", str(self.token_file), *where, *arguments, **env)
        return self

    def joined(self) -> "Agent":
        """Wait until this node is Ready."""
        until(lambda: self.server.readiness(self.name) == "True", f"{self.name} to be Ready:\n{self.journal()}")
        return self


class StandInTest(unittest.TestCase):
    """A test with a temporary directory; machines made through it are ended with it."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="k3s-stand-in.")
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)

    def server(self, name: str = "ocean", **env: str) -> Server:
        """A server, not started."""
        machine = Server(self.root, name, **env)
        self.addCleanup(machine.close)
        return machine

    def cluster_server(self, name: str, **env: str) -> Server:
        """A server with a loopback address of its own, because etcd's ports are fixed."""
        address = f"127.{random.randint(2, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
        machine = Server(self.root, name, address, **env)
        self.addCleanup(machine.close)
        return machine

    def agent(self, server: Server, name: str = "maia", **env: str) -> Agent:
        """An agent, not started."""
        machine = Agent(self.root, server, name, **env)
        self.addCleanup(machine.close)
        return machine
