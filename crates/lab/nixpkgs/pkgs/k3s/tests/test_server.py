"""The server: its flags, its readiness, and whom its supervisor answers what."""

import calendar
import time
import unittest

from harness import StandInTest, until

from common import flags, pki
from common.flags import UsageError


class Flags(StandInTest):
    def test_both_forms_and_repetition(self) -> None:
        parsed = flags.parse(
            flags.SERVER, ["--disable=a", "-disable", "b", "--token-file", "/x", "--disable-agent", "-t", "s"]
        )
        self.assertEqual(parsed.list("disable"), ["a", "b"])
        self.assertEqual((parsed.text("token-file"), parsed.text("token")), ("/x", "s"))
        self.assertTrue(parsed.bool("disable-agent"))

    def test_refusals(self) -> None:
        cases = {
            "--frob": "flag provided but not defined: -frob",
            "--frob=1": "flag provided but not defined: -frob",
            "--token": "flag needs an argument: -token",
            "--https-listen-port=x": 'invalid value "x" for flag -https-listen-port: parse error',
            "---x": "bad flag syntax: ---x",
        }
        for word, expected in cases.items():
            with self.assertRaises(UsageError) as raised:
                flags.parse(flags.SERVER, [word])
            self.assertEqual(str(raised.exception), expected)

    def test_server_flags_are_unknown_to_agents(self) -> None:
        with self.assertRaises(UsageError):
            flags.parse(flags.AGENT, ["--agent-token-file=/x"])

    def test_unknown_flag_ends_the_unit(self) -> None:
        done = self.server().run("server", "--frob")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Incorrect Usage: flag provided but not defined: -frob", done.stdout)
        self.assertIn('level=fatal msg="flag provided but not defined: -frob"', done.stderr)

    def test_version(self) -> None:
        done = self.server(K3S_STANDIN_VERSION="v1.33.4+k3s1").run("--version")
        self.assertEqual(done.stdout, "k3s version v1.33.4+k3s1 (stand-in)\ngo version none (stand-in)\n")


class Readiness(StandInTest):
    def test_restart_is_quick_and_the_end_clean(self) -> None:
        server = self.server().up()
        server.stop()
        start = time.monotonic()
        server.up()
        self.assertLess(time.monotonic() - start, 5)
        self.assertNotIn("Traceback", server.journal())

    def test_missing_interface_with_address_never_gets_ready(self) -> None:
        server = self.server()
        server.begin("--flannel-iface=tailscale0")
        line = server.logs("unable to find interface")
        self.assertIn(
            'level=info msg="Waiting to retrieve agent configuration; server is not ready: '
            'unable to find interface tailscale0: route ip+net: no such network interface"',
            line,
        )
        self.assertFalse(server.ready(timeout=0.3))
        headers = {"k3s-Node-Name": "maia", "k3s-Node-Password": "x"}
        login = "node:swordfish"
        status, answer = server.request("POST", "/v1-k3s/client-kubelet.crt", login, headers, b"csr")
        self.assertEqual((status, answer["message"]), (503, "runtime core not ready"))
        self.assertEqual(server.request("GET", "/api/v1/nodes")[0], 503)

    def test_missing_interface_without_address_is_fatal(self) -> None:
        server = self.server()
        server.token_file.write_text("x")
        server.start("server", "--token-file", str(server.token_file), "--flannel-iface=tailscale0")
        self.assertEqual(server.exit_code(), 1)
        text = "interface tailscale0 does not have a correct global unicast ip: route ip+net: no such network interface"
        self.assertIn(f'msg="{text}"', server.journal())

    def test_a_kubelet_that_cannot_run_ends_its_server_before_it_is_ready(self) -> None:
        path = self.root / "containerd.sock"
        cases = {
            f"--container-runtime-endpoint={path}": f"dial unix {path}: connect: no such file or directory",
            "--kubelet-arg=no-such-flag=1": "failed to parse kubelet flag: unknown flag: --no-such-flag",
        }
        server = self.server()
        for argument, reason in cases.items():
            server.begin(argument)
            self.assertEqual(server.exit_code(), 1)
            error, said = server.journal().splitlines()[-2:]
            self.assertTrue(error.startswith("Error: failed to ") and reason in error, error)
            self.assertTrue("level=error msg=\"kubelet exited: failed to " in said and reason in said, said)
            self.assertFalse(server.ready(timeout=0.2))
            server.close()

    def test_a_server_that_comes_again_is_ready_after_its_kubelet_has_reported(self) -> None:
        server = self.server().up()
        until(lambda: server.readiness("ocean") == "True", "ocean to be Ready")
        before = server.ready_condition("ocean")
        server.stop(kill=True)
        server.up()
        up = time.time()
        after = server.ready_condition("ocean")
        self.assertEqual((after["status"], after["lastTransitionTime"]), ("True", before["lastTransitionTime"]))
        heard = calendar.timegm(time.strptime(after["lastHeartbeatTime"], "%Y-%m-%dT%H:%M:%SZ"))
        self.assertLess(heard, int(up))
        time.sleep(3)
        self.assertEqual(server.ready_condition("ocean"), after)

    def test_a_leader_is_told_to_end_and_ends_with_one(self) -> None:
        server = self.server().up("--disable-agent")
        time.sleep(3.5)
        self.assertEqual(server.stop(), 1)
        told, lost = server.journal().splitlines()[-2:]
        self.assertIn(r'level=warning msg="signal received: \"terminated\", canceling context..."', told)
        self.assertTrue(lost.startswith("E") and lost.endswith('"leaderelection lost"'), lost)

    def test_names_of_the_serving_certificate(self) -> None:
        server = self.server().up("--disable-agent", "--tls-san=ocean.mercury", "--tls-san=100.64.0.6")
        leaf = server.dir / "tls" / "serving-kube-apiserver.crt"
        names = pki.describe(leaf.read_bytes()).names
        self.assertLessEqual({"ocean.mercury", "100.64.0.6", "127.0.0.1", "::1", "localhost", "kubernetes"}, names)
        before = leaf.read_bytes()
        server.stop()
        server.up("--disable-agent", "--tls-san=ocean.mercury")
        self.assertEqual(leaf.read_bytes(), before)
        server.stop()
        server.up("--disable-agent", "--tls-san=new.mercury")
        self.assertIn("new.mercury", pki.describe(leaf.read_bytes()).names)

    def test_kubeconfig(self) -> None:
        server = self.server().up("--disable-agent")
        path = server.etc / "k3s" / "k3s.yaml"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        lines = [line.split(": ")[0] if "-data" in line else line for line in path.read_text().splitlines()]
        expected = f"""apiVersion: v1
clusters:
- cluster:
    certificate-authority-data
    server: {server.url}
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
users:
- name: default
  user:
    client-certificate-data
    client-key-data"""
        self.assertEqual("\n".join(lines), expected)

    def test_certificate_check(self) -> None:
        server = self.server().up("--disable-agent")
        done = server.run("certificate", "check", "--data-dir", str(server.data))
        self.assertEqual(done.returncode, 0)
        self.assertRegex(
            done.stderr,
            r'level=info msg="client-admin.crt: certificate system:admin \(ClientAuth\) is ok, expires at \S+Z"\n'
            r'.+ msg="client-admin.crt: certificate k3s-client-ca@\d+ \(CertSign\) is ok, expires at',
        )
        late = server.run(
            "certificate", "check", "--data-dir", str(server.data), K3S_STANDIN_CLOCK_SKEW=str(400 * 86400)
        )
        self.assertIn(
            'level=error msg="client-admin.crt: certificate system:admin (ClientAuth) expired at', late.stderr
        )
        wrong = server.run("certificate", "check", "--output=xml")
        self.assertIn('level=fatal msg="invalid output format xml"', wrong.stderr)

    def test_certificates_near_and_past_their_end(self) -> None:
        server = self.server()
        server.etc.mkdir()
        bent = server.etc / "stand-in.env"
        bent.write_text("# for a test\nK3S_STANDIN_CERT_DAYS=client-admin=-1,serving-kube-apiserver=30\n")
        server.up("--disable-agent")
        done = server.run("certificate", "check", "-o", "table", "--data-dir", str(server.data))
        self.assertRegex(
            done.stdout, r"\A\nFILENAME +SUBJECT +USAGES +EXPIRES +RESIDUAL TIME +STATUS\n-------- +------- "
        )
        self.assertRegex(done.stdout, r"client-admin.crt +system:admin +ClientAuth +\w+ \d\d, \d{4} .+ EXPIRED\n")
        self.assertRegex(done.stdout, r"serving-kube-apiserver.crt +k3s +ServerAuth +.+ UTC +4 weeks +WARNING\n")
        refused = "error: You must be logged in to the server (Unauthorized)\n"
        self.assertEqual(server.kubectl("get", "--raw", "/readyz").stderr, refused)
        bent.unlink()
        server.stop()
        server.up("--disable-agent")
        self.assertEqual(server.kubectl("get", "--raw", "/readyz").stdout, "ok")
        server.stop()
        server.up("--disable-agent", CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS="20")
        self.assertGreater(
            pki.describe((server.dir / "tls" / "client-admin.crt").read_bytes()).not_after, time.time() + 9e6
        )


class Supervisor(StandInTest):
    def test_a_route_that_is_not_there_is_the_api_servers(self) -> None:
        # K3s 1.21: 401 to whoever asks. With the route a login that is wrong is told from none.
        server = self.server(K3S_STANDIN_VERSION="v1.21.3+k3s1").up("--disable-agent", "--agent-token=apart")
        for login in ("", "server:swordfish", "server:wrong", "node:apart"):
            status, answer = server.request("GET", "/v1-k3s/server-bootstrap", login)
            self.assertEqual((status, answer["kind"]), (401, "Status"), login)
        self.assertEqual(server.request("GET", "/v1-k3s/config", "node:apart")[0], 200)
        self.assertFalse((server.dir / "agent-token").exists())
        server.stop()
        server.up("--disable-agent", "--agent-token=apart", K3S_STANDIN_NO_ROUTES="config")
        for login in ("", "node:apart", "node:wrong"):
            self.assertEqual(server.request("GET", "/v1-k3s/config", login)[0], 401, login)

    def test_statuses(self) -> None:
        server = self.server()
        server.up("--disable-agent", "--agent-token=apart")
        node = {"k3s-Node-Name": "maia"}
        cases = [
            ("GET", "/ping", "", {}, 200, "pong"),
            ("GET", "/cacerts", "", {}, 200, "-----BEGIN CERTIFICATE-----"),
            ("GET", "/v1-k3s/config", "", {}, 403, "forbidden"),
            ("GET", "/v1-k3s/config", "node:wrong", {}, 401, "not authorized"),
            ("GET", "/v1-k3s/config", "nobody:apart", {}, 401, "not authorized"),
            ("GET", "/v1-k3s/config", "server:swordfish", {}, 403, "forbidden"),
            ("GET", "/v1-k3s/config", "node:apart", {}, 200, ""),
            ("GET", "/v1-k3s/server-bootstrap", "node:apart", {}, 403, "forbidden"),
            ("GET", "/v1-k3s/server-bootstrap", "server:apart", {}, 401, "not authorized"),
            ("GET", "/v1-k3s/server-bootstrap", "server:swordfish", {}, 400, "etcd disabled"),
            ("POST", "/v1-k3s/client-kubelet.crt", "node:apart", {}, 400, "node name not set"),
            ("POST", "/v1-k3s/client-kubelet.crt", "node:apart", node, 400, "node password not set"),
            ("GET", "/api/v1/nodes", "", {}, 401, "Unauthorized"),
            ("GET", "/readyz", "server:swordfish", {}, 401, "Unauthorized"),
        ]
        for method, path, login, headers, expected, text in cases:
            with self.subTest(path=path, login=login):
                status, answer = server.request(method, path, login, headers)
                self.assertEqual(status, expected)
                self.assertTrue((answer["message"] if status >= 400 else str(answer)).startswith(text) or not text)

    def test_node_password(self) -> None:
        server = self.server()
        server.up("--disable-agent")
        key = self.root / "key"
        pki.ensure_key(key)
        request = pki.request_der(key)

        def ask(password: str) -> tuple[int, object]:
            headers = {"k3s-Node-Name": "Maia", "k3s-Node-Password": password}
            return server.request("POST", "/v1-k3s/client-kubelet.crt", "node:swordfish", headers, request)

        status, certificate = ask("first")
        self.assertEqual(status, 200)
        self.assertEqual(pki.describe(str(certificate).encode()).subject, "CN=system:node:maia,O=system:nodes")
        self.assertEqual(ask("second")[0], 403)
        self.assertEqual(ask("first")[0], 200)
        done = server.kubectl("delete", "secret", "-n", "kube-system", "maia.node-password.k3s")
        self.assertEqual(done.stdout, 'secret "maia.node-password.k3s" deleted from kube-system namespace\n')
        self.assertEqual(ask("second")[0], 200)

    def test_a_kubelet_keeps_to_its_own_node(self) -> None:
        server = self.server().up()
        agent = server.data / "agent"
        identity = {"certificate": agent / "client-kubelet.crt", "key": agent / "client-kubelet.key"}
        until(lambda: server.node("ocean"), "the node")
        self.assertEqual(server.request("GET", "/api/v1/nodes", **identity)[0], 200)
        self.assertEqual(server.request("DELETE", "/api/v1/nodes/maia", **identity)[0], 403)
        self.assertEqual(server.request("GET", "/api/v1/namespaces/kube-system/secrets", **identity)[0], 403)



if __name__ == "__main__":
    unittest.main()
