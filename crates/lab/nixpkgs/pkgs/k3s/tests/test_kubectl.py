"""`k3s kubectl`: its words and exit codes, and the same questions asked by a real kubectl where one is installed."""

import json
import os
import shutil
import subprocess
import unittest

from harness import Server, StandInTest, until

REAL = shutil.which("kubectl") or ""


class Verbs(StandInTest):
    def setUp(self) -> None:
        super().setUp()
        self.cluster = self.server().up("--disable-agent")
        self.agent(self.cluster).begin(token="swordfish").joined()

    def expect(self, command: str, out: str = "", error: str = "", code: int = 0) -> None:
        done = self.cluster.kubectl(*command.split())
        self.assertEqual((done.stdout, done.stderr, done.returncode), (out, error, code), command)

    def test_editing(self) -> None:
        self.expect("label node maia x=1", "node/maia labeled\n")
        self.expect("label node maia x=2", "", "error: 'x' already has a value (1), and --overwrite is false\n", 1)
        self.expect("label node maia x=2 --overwrite", "node/maia labeled\n")
        self.expect("label node maia x- y-", 'label "y" not found.\nnode/maia unlabeled\n')
        self.expect("taint nodes maia k=v:NoSchedule", "node/maia tainted\n")
        text = "error: node maia already has k taint(s) with same effect(s) and --overwrite is false\n"
        self.expect("taint nodes maia k=v:NoSchedule", "", text, 1)
        self.expect("taint nodes maia k=w:NoSchedule --overwrite", "node/maia modified\n")
        self.expect("taint nodes maia k-", "node/maia untainted\n")
        self.expect("taint nodes maia k-", "", 'error: taint "k" not found\n', 1)
        self.expect("cordon maia", "node/maia cordoned\n")
        self.expect(
            "drain maia --ignore-daemonsets --delete-emptydir-data --timeout=5s",
            "node/maia already cordoned\nnode/maia drained\n",
        )
        self.assertIn("Ready,SchedulingDisabled", self.cluster.kubectl("get", "nodes").stdout)
        self.expect("uncordon maia", "node/maia uncordoned\n")
        self.expect("uncordon maia", "node/maia already uncordoned\n")

    def test_reading_and_failing(self) -> None:
        self.expect("get --raw /readyz", "ok")
        self.expect("get nodes -o name", "node/maia\n")
        self.expect("get secrets", "", "No resources found in default namespace.\n")
        missing = 'Error from server (NotFound): nodes "x" not found\n'
        self.expect("get node x", "", missing, 1)
        self.expect("delete node x", "", missing, 1)
        self.expect("delete node x --ignore-not-found")
        self.expect("get nodes --frob", "", "error: unknown flag: --frob\nSee 'kubectl get --help' for usage.\n", 1)
        self.expect("get frobs", "", 'error: the server doesn\'t have a resource type "frobs"\n', 1)
        table = self.cluster.kubectl("get", "nodes").stdout
        self.assertRegex(table, r"\ANAME +STATUS +ROLES +AGE +VERSION\nmaia +Ready +<none> +\d+s +v1.34.2\+k3s1\n\Z")
        self.assertIn("Unschedulable:      false", self.cluster.kubectl("describe", "node", "maia").stdout)
        shown = json.loads(self.cluster.kubectl("config", "view", "--raw", "-o", "json").stdout)
        self.assertEqual(shown["clusters"][0]["cluster"]["server"], self.cluster.url)

    def test_server_away(self) -> None:
        self.cluster.stop()
        line = f"The connection to the server 127.0.0.1:{self.cluster.port} was refused - "
        line += "did you specify the right host or port?\n"
        self.expect("get --raw /readyz", "", line, 1)
        done = self.cluster.kubectl("get", "nodes")
        self.assertEqual((done.stdout, done.returncode), ("", 1))
        self.assertTrue(done.stderr.endswith(line))
        self.assertEqual(done.stderr.count("couldn't get current server API group list"), 5)

    @unittest.skipUnless(REAL, "no real kubectl installed")
    def test_real_kubectl(self) -> None:
        for command in (
            "get nodes -o name",
            "get node maia -o json",
            "get node x",
            "get secrets",
            "get --raw /readyz",
            "label node maia a=1",
            "cordon maia",
            "cordon maia",
            "get secrets -n kube-system -o name",
            "drain maia",
            "uncordon maia",
            "taint node maia k=v:NoSchedule",
            "taint node maia k-",
            "label node maia a-",
            "wait --for=condition=Ready node/maia --timeout=3s",
            "delete node maia",
        ):
            with self.subTest(command):
                done = _real(self.cluster, *command.split())
                self.assertEqual(done.returncode, 1 if command == "get node x" else 0, done.stderr)
        until(lambda: self.cluster.node("maia") is None, "maia to be gone")


class Without(StandInTest):
    def test_kubeconfig(self) -> None:
        done = self.server().kubectl("get", "nodes")
        self.assertEqual(done.returncode, 1)
        last = "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n"
        self.assertTrue(done.stderr.endswith(last))


def _real(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(server.root), "KUBECONFIG": str(server.etc / "k3s" / "k3s.yaml")}
    return subprocess.run([REAL, *arguments], env=env, capture_output=True, text=True, timeout=15, check=False)
