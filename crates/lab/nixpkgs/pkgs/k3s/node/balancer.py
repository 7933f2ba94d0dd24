"""An agent's load balancer, as far as its effect goes: which servers there are, and trying the next when one is away.

K3s runs one on 127.0.0.1:6444; here each connection chooses by itself, and errors read as if there were one. The
servers are learned from whichever server answers, and kept in `agent/etc` so that an agent starts without the one in
its flags.
"""

import json
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from common import log
from common.files import write_atomic
from common.httpclient import Address, Client, Endpoint, TransportError, Trust

_NAME = "k3s-agent-load-balancer"
_PERIOD = 3.0


class Balancer:
    """The servers that an agent knows."""

    def __init__(self, url: str, port: int, agent_dir: Path) -> None:
        """Begin with the server of the command line, and with what an earlier start learned."""
        self._file = agent_dir / "etc" / f"{_NAME}.json"
        self._servers: list[str] = []
        self.endpoint = Endpoint(url, balancer=port, servers=self._addresses)
        with suppress(OSError, ValueError, KeyError):
            known = json.loads(self._file.read_text(encoding="utf-8"))
            if known["ServerURL"] == url:
                self._servers = list(known["ServerAddresses"])
        log.info(f"Running load balancer {_NAME} 127.0.0.1:{port} -> {self._shown()}")

    def watch(self, trust: Callable[[], Trust]) -> None:
        """Learn of servers, in the background, with a kubelet's certificate."""
        threading.Thread(target=self._watch, args=(trust,), name="balancer", daemon=True).start()

    def _watch(self, trust: Callable[[], Trust]) -> None:
        while True:
            with suppress(TransportError, ValueError), closing(Client(self.endpoint, trust())) as client:
                reply = client.request("GET", "/v1-k3s/apiservers")
                if reply.ok:
                    self._learn(json.loads(reply.body))
            time.sleep(_PERIOD)

    def _learn(self, servers: list[str]) -> None:
        if not servers or servers == self._servers:
            return
        self._servers = servers
        self._file.parent.mkdir(mode=0o755, exist_ok=True)
        content = {"ServerURL": self.endpoint.url, "ServerAddresses": servers}
        write_atomic(self._file, json.dumps(content, indent=2), 0o644)
        log.info(f"Updated load balancer {_NAME} server addresses -> {self._shown()}")

    def _addresses(self) -> list[Address]:
        """All servers, the one of the command line first."""
        first = self.endpoint.address
        others = [(host, int(port)) for host, _, port in (one.rpartition(":") for one in self._servers)]
        return [first, *(one for one in others if one != first)]

    def _shown(self) -> str:
        host, port = self.endpoint.address
        return f"[{' '.join(self._servers)}] [default: {host}:{port}]"
