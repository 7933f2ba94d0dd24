"""Nodes: their first moments, their silence, their end."""

import json

from harness import StandInTest, until

from server import patches
from server.tables import duration

UNREACHABLE = "node.kubernetes.io/unreachable"


class Life(StandInTest):
    def test_own_node_of_a_server(self) -> None:
        server = self.server().up()
        until(lambda: server.readiness("ocean") == "True", "ocean to be Ready")
        labels = until(lambda: _role(server.node("ocean")), "the role label")
        self.assertNotIn("node-role.kubernetes.io/master", labels)

    def test_older_servers_are_masters_too(self) -> None:
        server = self.server(K3S_STANDIN_VERSION="v1.33.4+k3s1").up()
        labels = until(lambda: _role(server.node("ocean")), "the role label")
        self.assertEqual(labels["node-role.kubernetes.io/master"], "true")

    def test_versions_are_those_of_each_machine(self) -> None:
        server = self.server(K3S_STANDIN_VERSION="v1.34.2+k3s1").up()
        self.agent(server, K3S_STANDIN_VERSION="v1.33.5+k3s1").begin(token="swordfish").joined()
        until(lambda: server.node("ocean"), "the server's node")
        told = {name: (server.node(name) or {})["status"]["nodeInfo"]["kubeletVersion"] for name in ("ocean", "maia")}
        self.assertEqual(told, {"ocean": "v1.34.2+k3s1", "maia": "v1.33.5+k3s1"})
        self.assertEqual(server.kubectl("get", "--raw", "/version").stdout.count("v1.34.2+k3s1"), 1)

    def test_silence_and_return(self) -> None:
        server = self.server(K3S_STANDIN_NODE_GRACE="1.5").up("--disable-agent")
        agent = self.agent(server).begin(token="swordfish").joined()
        agent.stop(kill=True)
        until(lambda: server.readiness("maia") == "Unknown", "maia to be Unknown")
        node = server.node("maia") or {}
        self.assertIn("Kubelet stopped posting node status.", str(node["status"]["conditions"]))
        keys = until(lambda: (k := _taint_keys(server.node("maia"))) and k, "the taints")
        self.assertIn(UNREACHABLE, keys)
        self.assertIn("NotReady", server.kubectl("get", "nodes").stdout)
        agent.begin(token="swordfish").joined()
        until(lambda: not _taint_keys(server.node("maia")), "the taints to go")

    def test_signs_of_life(self) -> None:
        server = self.server().up("--disable-agent")
        agent = self.agent(server).begin(token="swordfish").joined()
        first = until(lambda: server.renewed("maia"), "a Lease")
        second = until(lambda: (now := server.renewed("maia")) != first and now, "its renewal")
        ready = server.ready_condition("maia")
        until(lambda: server.renewed("maia") not in (first, second), "the next one")
        self.assertEqual(server.ready_condition("maia"), ready)
        agent.stop()
        last = server.renewed("maia")
        # One that comes again tells so by its Lease, and says when it was heard of.
        agent.begin(token="swordfish")
        until(lambda: server.renewed("maia") != last, "a Lease")
        again = until(lambda: (now := server.ready_condition("maia")) != ready and now, "a report")
        self.assertEqual((again["status"], again["lastTransitionTime"]), ("True", ready["lastTransitionTime"]))

    def test_nodes_outlive_a_restart_of_the_server(self) -> None:
        server = self.server().up("--disable-agent")
        self.agent(server).begin(token="swordfish").joined()
        uid = (server.node("maia") or {})["metadata"]["uid"]
        server.stop(kill=True)
        server.up("--disable-agent")
        self.assertEqual((server.node("maia") or {})["metadata"]["uid"], uid)
        self.assertEqual(server.readiness("maia"), "True")

    def test_deletion(self) -> None:
        server = self.server().up("--disable-agent")
        agent = self.agent(server).begin(token="swordfish").joined()
        done = server.kubectl("delete", "node", "maia")
        self.assertEqual((done.returncode, done.stdout), (0, 'node "maia" deleted\n'))
        agent.logs("Error updating node status, will retry")
        self.assertIsNone(server.node("maia"))
        secret = "/api/v1/namespaces/kube-system/secrets/maia.node-password.k3s"
        until(lambda: server.request("GET", secret, **server.admin)[0] == 404, "the node password to go too")
        agent.stop()
        agent.begin(token="swordfish").joined()


class Patches(StandInTest):
    def test_kinds(self) -> None:
        node = {"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"taints": [{"key": "x"}]}}
        merged = patches.apply("application/merge-patch+json", node, {"metadata": {"labels": {"a": None, "c": "3"}}})
        self.assertEqual(merged["metadata"]["labels"], {"b": "2", "c": "3"})
        strategic = "application/strategic-merge-patch+json"
        replaced = patches.apply(strategic, node, {"spec": {"taints": [{"key": "y"}]}})
        self.assertEqual(replaced["spec"]["taints"], [{"key": "y"}])
        status = {"conditions": [{"type": "Ready", "status": "True", "reason": "r"}, {"type": "Disk", "status": "x"}]}
        patch = {"conditions": [{"type": "Ready", "status": "False"}], "$setElementOrder/conditions": []}
        after = patches.apply(strategic, status, patch)
        self.assertEqual(after["conditions"][0], {"type": "Ready", "status": "False", "reason": "r"})
        self.assertEqual(len(after["conditions"]), 2)
        steps = [
            {"op": "add", "path": "/metadata/labels/d~1e", "value": "4"},
            {"op": "remove", "path": "/spec/taints/0"},
        ]
        stepped = patches.apply("application/json-patch+json", node, steps)
        self.assertEqual((stepped["metadata"]["labels"]["d/e"], stepped["spec"]["taints"]), ("4", []))
        self.assertEqual(node["spec"]["taints"], [{"key": "x"}])

    def test_over_http(self) -> None:
        server = self.server().up("--disable-agent")
        admin = server.admin
        made = json.dumps({"metadata": {"name": "maia"}, "status": {"phase": "x"}}).encode()
        self.assertEqual(server.request("POST", "/api/v1/nodes", body=made, **admin)[0], 201)
        self.assertEqual(server.request("POST", "/api/v1/nodes", body=made, **admin)[0], 409)
        kind = {"Content-Type": "application/merge-patch+json"}
        change = json.dumps({"spec": {"unschedulable": True}, "status": {"phase": "y"}}).encode()
        status, node = server.request("PATCH", "/api/v1/nodes/maia", "", kind, change, **admin)
        self.assertEqual((status, node["spec"]["unschedulable"], node["status"]["phase"]), (200, True, "x"))
        status, node = server.request("PATCH", "/api/v1/nodes/maia/status", "", kind, change, **admin)
        self.assertEqual(node["status"]["phase"], "y")
        node["metadata"]["resourceVersion"] = "1"
        self.assertEqual(server.request("PUT", "/api/v1/nodes/maia", body=json.dumps(node).encode(), **admin)[0], 409)
        self.assertEqual(server.request("PATCH", "/api/v1/nodes/maia", "", {}, b"{}", **admin)[0], 415)
        listed = server.request("GET", "/api/v1/nodes?labelSelector=a%3Db", **admin)[1]
        self.assertEqual((listed["kind"], listed["items"]), ("NodeList", []))

    def test_durations(self) -> None:
        cases = {5: "5s", 119: "119s", 120: "2m", 125: "2m5s", 3600: "60m", 11000: "3h3m", 90000: "25h", 200000: "2d7h"}
        for seconds, expected in cases.items():
            self.assertEqual(duration(seconds), expected)


def _role(node: dict | None) -> dict:  # type: ignore[type-arg]
    labels = node["metadata"]["labels"] if node else {}
    return labels if labels.get("node-role.kubernetes.io/control-plane") == "true" else {}


def _taint_keys(node: dict | None) -> list[str]:  # type: ignore[type-arg]
    return [taint["key"] for taint in (node or {}).get("spec", {}).get("taints", [])]
