"""`k3s kubectl`: its words and exit codes, and the same questions asked by a real kubectl where one is installed."""

import json
import os
import shutil
import subprocess
import unittest

from harness import Server, StandInTest, until

REAL = shutil.which("kubectl") or ""
_NODE_AND_LEASE = [("Node", "maia"), ("Lease", "maia")]


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
        self.expect("annotate node maia x/y=1,2", "node/maia annotated\n")
        text = "error: --overwrite is false but found the following declared annotation(s): 'x/y'\n"
        self.expect("annotate node maia x/y=3", "", text, 1)
        self.expect("annotate node maia x/y=3 --overwrite", "node/maia annotated\n")
        self.assertEqual((self.cluster.node("maia") or {})["metadata"]["annotations"]["x/y"], "3")
        self.expect("annotate node maia x/y-", "node/maia annotated\n")
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

    def test_a_drain_that_takes_long(self) -> None:
        self.expect("label node maia k3s-stand-in/drain-seconds=0.2", "node/maia labeled\n")
        self.expect(
            "drain maia --ignore-daemonsets --delete-emptydir-data --timeout=1m",
            "node/maia cordoned\nevicting pod default/stand-in\npod/stand-in evicted\nnode/maia drained\n",
        )
        error = 'error when evicting pods/"stand-in" -n "default": global timeout reached: 100ms'
        self.expect(
            "drain maia --timeout=100ms",
            "node/maia already cordoned\nevicting pod default/stand-in\n",
            f'error: unable to drain node "maia" due to error: {error}, continuing command...\n'
            f"There are pending nodes to be drained:\n maia\nerror: {error}\n",
            1,
        )
        text = 'error: invalid argument "5" for "--timeout" flag: time: invalid duration "5"\n'
        self.expect("drain maia --timeout=5", "", text + "See 'kubectl drain --help' for usage.\n", 1)

    def test_health(self) -> None:
        for name in ("readyz", "livez", "healthz"):
            done = self.cluster.kubectl("get", "--raw", f"/{name}?verbose")
            self.assertTrue(done.stdout.startswith("[+]ping ok\n[+]log ok\n[+]etcd ok\n"), done)
            self.assertTrue(done.stdout.endswith(f"ok\n{name} check passed\n"), done)
        self.assertIn("[+]etcd-readiness ok\n", self.cluster.kubectl("get", "--raw", "/readyz?verbose").stdout)

    def test_node_password_and_wide_table(self) -> None:
        where = "-n", "kube-system", "maia.node-password.k3s"
        secret = json.loads(self.cluster.kubectl("get", "secret", *where, "-o", "json").stdout)
        self.assertEqual((secret["type"], secret["immutable"]), ("Opaque", True))
        self.assertEqual(self.cluster.kubectl("delete", "secret", *where).returncode, 0)
        done = self.cluster.kubectl("get", "secret", *where)
        text = 'Error from server (NotFound): secrets "maia.node-password.k3s" not found\n'
        self.assertEqual((done.returncode, done.stderr), (1, text))
        wide = self.cluster.kubectl("get", "nodes", "-o", "wide").stdout.splitlines()
        self.assertRegex(wide[0], r" INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +KERNEL-VERSION +CONTAINER-RUNTIME\Z")
        self.assertRegex(wide[1], r"\Amaia .* 127.0.0.2 +<none> .* containerd://")

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

    def test_several_types_are_one_list(self) -> None:
        where = "--namespace", "kube-node-lease", "--output", "json"
        command = "get", "nodes,leases.coordination.k8s.io", *where
        until(lambda: self.cluster.kubectl("get", "lease", "maia", *where).returncode == 0, "the lease")
        answers = [self.cluster.kubectl(*command)] + ([_real(self.cluster, *command)] if REAL else [])
        for done in answers:
            listed = json.loads(done.stdout)
            self.assertEqual((listed["kind"], listed["apiVersion"]), ("List", "v1"), done.stderr)
            self.assertEqual([(one["kind"], one["metadata"]["name"]) for one in listed["items"]], _NODE_AND_LEASE)
            self.assertEqual([one["apiVersion"] for one in listed["items"]], ["v1", "coordination.k8s.io/v1"])
        text = "node/maia\nlease.coordination.k8s.io/maia\n"
        self.expect("get nodes,leases --namespace kube-node-lease --output name", text)
        self.expect("get nodes,frobs", "", 'error: the server doesn\'t have a resource type "frobs"\n', 1)

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
