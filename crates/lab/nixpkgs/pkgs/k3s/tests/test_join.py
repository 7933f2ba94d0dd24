"""Joining: the way in, and the journal's words for every way of failing."""

import re
import time

from harness import Agent, Server, StandInTest, free_port, until

DAY = 86400


class Joining(StandInTest):
    def test_full_token(self) -> None:
        server = self.server().up("--disable-agent")
        agent = self.agent(server).begin(
            "--node-label=a/b=c",
            "--node-taint=ncrmro.com/region=us-south-2:NoSchedule",
            token=(server.dir / "token").read_text().strip(),
        )
        agent.joined()
        node = server.node("maia") or {}
        self.assertEqual(node["metadata"]["labels"]["a/b"], "c")
        taint = {"key": "ncrmro.com/region", "value": "us-south-2", "effect": "NoSchedule"}
        until(lambda: (server.node("maia") or {})["spec"]["taints"] == [taint], "the not-ready taints to go")
        self.assertIn({"type": "InternalIP", "address": "127.0.0.2"}, node["status"]["addresses"])
        self.assertEqual(node["status"]["nodeInfo"]["kubeletVersion"], "v1.34.2+k3s1")
        password = agent.etc / "node" / "password"
        self.assertRegex(password.read_text(), r"\A[0-9a-f]{32}\n\Z")
        self.assertEqual(password.stat().st_mode & 0o777, 0o600)
        self.assertNotIn("does not include a CA hash", agent.journal())
        self.assertIn("127.0.0.1:6444 -> [] [default: 127.0.0.2:", agent.journal())
        self.assertNotIn(password.read_text().strip(), agent.journal() + server.journal())
        self.assertNotIn("swordfish", agent.journal() + server.journal() + str(node))
        self.assertEqual(agent.stop(), 0)

    def test_short_token_is_warned_of(self) -> None:
        server = self.server().up("--disable-agent")
        agent = self.agent(server).begin(token="swordfish").joined()
        line = agent.logs("the token does not include a CA hash")
        self.assertIn('level=warning msg="Cluster CA certificate is not trusted by the host CA bundle, but', line)

    def test_flags_at_a_second_start(self) -> None:
        server = self.server().up("--disable-agent")
        agent = self.agent(server).begin("--node-label=a=1", "--node-label=b=1", token="swordfish").joined()
        agent.stop()
        agent.begin("--node-label=a=2", "--node-label=c=1", "--node-taint=late=x:NoExecute", token="swordfish")
        node = until(lambda: (n := server.node("maia")) and n["metadata"]["labels"].get("c") and n, "the new label")
        labels = node["metadata"]["labels"]
        self.assertEqual((labels["a"], labels["b"], labels["c"]), ("2", "1", "1"))
        self.assertNotIn("late", str(node["spec"]))


class Failing(StandInTest):
    def refused(self, server: Server, *arguments: str, token: str, text: str, **env: str) -> Agent:
        """Start an agent that cannot join; its unit runs on, and its journal says why."""
        agent = self.agent(server, **env).begin(*arguments, token=token)
        agent.logs(text)
        assert agent.process is not None
        self.assertIsNone(agent.process.poll())
        return agent

    def test_wrong_token(self) -> None:
        server = self.server().up("--disable-agent")
        agent = self.refused(server, token="wrong", text="not authorized")
        self.assertIn(
            'level=info msg="Waiting to retrieve agent configuration; server is not ready: '
            'failed to retrieve configuration from server: not authorized"',
            agent.journal(),
        )
        self.assertRegex(
            server.journal(), r"level=error msg=\"Sending HTTP/1.1 401 response to 127.0.0.\S+ not authorized"
        )

    def test_token_of_another_cluster(self) -> None:
        server = self.server().up("--disable-agent")
        digest = re.match(r"K10([0-9a-f]{64})", (server.dir / "token").read_text())
        assert digest is not None
        claimed = "0" * 64
        self.refused(
            server,
            token=f"K10{claimed}::server:swordfish",
            text='level=error msg="token CA hash does not match the Cluster CA certificate hash: '
            f'{claimed} != {digest.group(1)}"',
        )

    def test_malformed_token(self) -> None:
        server = self.server().up("--disable-agent")
        self.refused(server, token="K10abc::x:y", text='level=error msg="invalid token CA hash length"')

    def test_empty_token_file(self) -> None:
        server = self.server().up("--disable-agent")
        self.refused(server, token="", text='level=error msg="token must not be empty"')

    def test_server_away(self) -> None:
        server = self.server()
        server.port = free_port()
        self.refused(
            server,
            token="swordfish",
            text=r'level=error msg="failed to get CA certs: Get \"https://127.0.0.1:6444/cacerts\": EOF"',
        )

    def test_clock(self) -> None:
        server = self.server().up("--disable-agent")
        agent = self.refused(
            server,
            token="swordfish",
            text="certificate has expired or is not yet valid: current time",
            K3S_STANDIN_CLOCK_SKEW=str(-30 * DAY),
        )
        then = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 30 * DAY))
        pattern = r"CA cert validation failed: Get .+: tls: failed to verify certificate: x509: .+ current time "
        self.assertRegex(agent.journal(), pattern + rf"{then}T\S+ is before ")

    def test_missing_interface(self) -> None:
        server = self.server().up("--disable-agent")
        self.refused(
            server,
            "--flannel-iface=tailscale0",
            token="swordfish",
            text="server is not ready: unable to find interface tailscale0: route ip+net: no such network interface",
        )

    def test_reinstalled_node(self) -> None:
        server = self.server().up("--disable-agent")
        agent = self.agent(server).begin(token="swordfish").joined()
        agent.stop()
        password = agent.etc / "node" / "password"
        password.unlink()
        agent.begin(token="swordfish")
        agent.logs(
            f"{agent.data}/agent/serving-kubelet.crt: Node password rejected, duplicate hostname or contents of "
            f"'{password}' may not match server node-passwd entry, try enabling a unique node name"
        )
        agent.stop()
        server.kubectl("delete", "secret", "-n", "kube-system", "maia.node-password.k3s")
        agent.begin(token="swordfish")
        agent.logs("Successfully registered node")

    def test_no_token(self) -> None:
        done = self.agent(self.server()).run("agent", "--server", "https://127.0.0.1:1")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r'level=fatal msg="--token is required"\n\Z')


class TokenChanges(StandInTest):
    def test_a_registered_agent_goes_on_by_its_certificate(self) -> None:
        server = self.server().up("--disable-agent", "--agent-token=one")
        agent = self.agent(server).begin(token="one").joined()
        server.stop()
        server.up("--disable-agent", "--agent-token=two")
        before = until(lambda: server.renewed("maia"), "a Lease")
        until(lambda: server.renewed("maia") > before, "a sign of life after the change")
        agent.stop()
        # It presents its kubelet's certificate as well, and then the password does not matter.
        agent.begin(token="one")
        agent.logs("Successfully registered node")
        agent.stop()
        # So did K3s not before 2023, and so it is with an agent that joins for the first time.
        agent.begin(token="one", K3S_STANDIN_NODE_IDENTITY="0")
        agent.logs("failed to retrieve configuration from server: not authorized")
        agent.stop()
        (agent.data / "agent" / "client-kubelet.crt").unlink()
        agent.begin(token="one")
        agent.logs("failed to retrieve configuration from server: not authorized")
        agent.stop()
        agent.begin(token="two").joined()
