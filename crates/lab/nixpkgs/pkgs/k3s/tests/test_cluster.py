"""Several servers: joining, losing some, coming back; and what tells their datastore apart from a single server's."""

import json
import time

from harness import Server, StandInTest, until


class Cluster(StandInTest):
    def trio(self, *arguments: str) -> list[Server]:
        """Three servers with etcd, all up."""
        first, *others = servers = [
            self.cluster_server(name, K3S_STANDIN_NODE_GRACE="2") for name in ("ocean", "reef", "atoll")
        ]
        first.up("--cluster-init", *arguments)
        for one in others:
            one.up(one.joins(first), *arguments)
        return servers

    def write(self, server: Server, key: str) -> tuple[int, str]:
        done = server.kubectl("label", "node", "ocean", f"{key}=yes")
        return done.returncode, done.stderr

    def label(self, server: Server, key: str) -> str:
        return str((server.node("ocean") or {"metadata": {"labels": {}}})["metadata"]["labels"].get(key, ""))


class Majority(Cluster):
    def test_one_may_be_down_two_may_not(self) -> None:
        first, second, third = self.trio()
        names = "node/atoll\nnode/ocean\nnode/reef\n"
        until(lambda: second.kubectl("get", "nodes", "-o", "name").stdout == names, "all nodes on the second")
        self.assertEqual(self.write(second, "one")[0], 0)
        until(lambda: self.label(third, "one") == "yes", "the write to arrive")
        first.stop(kill=True)
        until(lambda: self.write(third, "two")[0] == 0, "a write without the first")
        self.assertEqual(second.kubectl("get", "--raw", "/readyz").stdout, "ok")
        until(lambda: second.readiness("ocean") == "Unknown", "the first to be missed")
        second.stop(kill=True)
        until(lambda: third.kubectl("get", "--raw", "/readyz").returncode == 1, "the last one to notice")
        failed = third.kubectl("get", "--raw", "/readyz")
        self.assertTrue(
            failed.stderr.startswith('Error from server (InternalError): an error on the server ("[+]ping ok')
        )
        self.assertIn(r"\n[-]etcd failed: reason withheld\n[-]etcd-readiness failed: reason withheld\n", failed.stderr)
        self.assertTrue(failed.stderr.endswith('readyz check failed") has prevented the request from succeeding\n'))
        timed_out = "Error from server: etcdserver: request timed out\n"
        self.assertEqual(self.write(third, "three"), (1, timed_out))
        done = third.kubectl("get", "nodes")
        self.assertEqual((done.stdout, done.stderr), ("", timed_out))
        done = third.kubectl("get", "nodes", "-o", "json")
        self.assertEqual((json.loads(done.stdout)["items"], done.stderr, done.returncode), ([], timed_out, 1))
        first.up("--cluster-init")
        until(lambda: self.label(first, "two") == "yes", "the first to catch up")
        self.assertEqual(self.write(first, "four")[0], 0)

    def test_servers_restart_one_by_one_without_a_gap(self) -> None:
        servers = self.trio()
        for one, flag in zip(servers, ("--cluster-init", *(s.joins(servers[0]) for s in servers[1:])), strict=True):
            other = servers[(servers.index(one) + 1) % 3]
            one.stop()
            self.assertEqual(self.write(other, f"without-{one.name}")[0], 0)
            one.up(flag)
            self.assertEqual(self.label(one, f"without-{one.name}"), "yes")

    def test_all_servers_start_again_without_the_first(self) -> None:
        servers = self.trio()
        until(lambda: self.write(servers[0], "x")[0] == 0, "the node")
        for one in servers:
            one.stop(kill=True)
        second, third = servers[1:]
        second.begin(second.joins(servers[0]))
        third.begin(third.joins(servers[0]))
        self.assertTrue(second.ready() and third.ready(), second.journal())
        self.assertEqual(self.label(third, "x"), "yes")
        self.assertIn("Starting temporary etcd to reconcile with datastore", second.journal())

    def test_agents_go_on_with_another_server(self) -> None:
        first, second, _ = self.trio("--disable-agent")
        agent = self.agent(second)
        agent.begin(token="swordfish", url=f"https://{first.address}:{first.port}").joined()
        line = agent.logs("Updated load balancer")
        self.assertIn(f"{second.address}:{second.port}", line)
        first.stop(kill=True)
        before = (second.node("maia") or {})["status"]["conditions"]
        until(lambda: (second.node("maia") or {})["status"]["conditions"] != before, "a heartbeat without the first")
        agent.stop()
        agent.begin(token="swordfish", url=f"https://{first.address}:{first.port}").joined()


class Joining(Cluster):
    def test_members_and_nodes(self) -> None:
        first = self.cluster_server("ocean").up("--cluster-init", "--agent-token=apart")
        status, identity = first.request("GET", "/v1-k3s/server-bootstrap", "server:swordfish")
        self.assertEqual((status, set(identity["ServerCAKey"])), (200, {"Timestamp", "Content"}))
        self.assertEqual(first.request("GET", "/v1-k3s/server-bootstrap", "server:wrong")[0], 401)
        self.assertEqual(first.request("GET", "/v1-k3s/server-bootstrap", "node:apart")[0], 403)
        second = self.cluster_server("reef")
        second.up(second.joins(first), "--agent-token=apart")
        for name in ("token", "agent-token", "tls/server-ca.key", "tls/client-ca.crt", "tls/etcd/peer-ca.key"):
            self.assertEqual((first.dir / name).read_bytes(), (second.dir / name).read_bytes(), name)
        self.assertIn(
            f"Adding member {(second.dir / 'db/etcd/name').read_text()}=https://{second.address}:2380", second.journal()
        )
        listed = first.request("GET", "/db/info", "server:swordfish")[1]["members"]
        self.assertEqual({one["peerURLs"][0] for one in listed}, {f"https://{s.address}:2380" for s in (first, second)})
        node = until(lambda: (n := first.node("reef")) and _voter(n) and n, "the second's Node")
        labels, annotations = node["metadata"]["labels"], node["metadata"]["annotations"]
        self.assertEqual(labels["node-role.kubernetes.io/etcd"], "true")
        self.assertEqual(annotations["etcd.k3s.cattle.io/node-name"], (second.dir / "db/etcd/name").read_text())
        self.assertEqual(annotations["etcd.k3s.cattle.io/node-address"], second.address)
        self.assertEqual(_voter(node)["message"], "Node is a voting member of the etcd cluster")
        roles = first.kubectl("get", "nodes").stdout
        self.assertIn("control-plane,etcd", roles)
        second.stop(kill=True)
        until(lambda: not first.kubectl("get", "--raw", "/readyz").stdout, "two servers to need both")

    def refused(self, first: Server, *arguments: str, token: str, text: str) -> Server:
        second = self.cluster_server("reef")
        second.begin(second.joins(first), *arguments, token=token)
        self.assertEqual(second.exit_code(), 1)
        self.assertIn(text, second.journal())
        return second

    def test_refusals(self) -> None:
        first = self.cluster_server("ocean").up("--cluster-init", "--disable-agent")
        fatal = 'level=fatal msg="preparing server: failed to bootstrap cluster data: '
        self.refused(first, token="wrong", text=f'{fatal}not authorized"').close()

    def test_another_cluster_and_no_cluster(self) -> None:
        first = self.cluster_server("ocean").up("--cluster-init", "--disable-agent")
        what = "failed to check if bootstrap data has been initialized: failed to validate token: "
        other = f"K10{'0' * 64}::server:swordfish"
        self.refused(
            first, token=other, text=f"{what}token CA hash does not match the Cluster CA certificate hash: 0000"
        )
        first.stop()

    def test_no_server_to_join(self) -> None:
        first = self.cluster_server("ocean")
        text = f'failed to get CA certs: Get \\"https://{first.address}:{first.port}/cacerts\\": dial tcp '
        self.refused(first, token="swordfish", text=f"{text}{first.address}:{first.port}: connect: connection refused")

    def test_critical_settings(self) -> None:
        first = self.cluster_server("ocean").up("--cluster-init", "--disable-agent")
        second = self.refused(
            first,
            "--cluster-cidr=10.99.0.0/16",
            "--disable=servicelb",
            token="swordfish",
            text='level=fatal msg="preparing server: failed to bootstrap cluster data: '
            'failed to validate server configuration: critical configuration value mismatch between servers"',
        )
        for flag in ("cluster-cidr", "disable-service-lb"):
            self.assertIn(f'level=warning msg="critical configuration mismatched: {flag}"', second.journal())

    def test_sqlite_cannot_be_joined(self) -> None:
        first = self.cluster_server("ocean").up("--disable-agent")
        self.refused(first, token="swordfish", text="failed to bootstrap cluster data: etcd disabled")

    def test_an_empty_token_makes_a_cluster_of_its_own(self) -> None:
        first = self.cluster_server("ocean").up("--cluster-init", "--disable-agent")
        second = self.cluster_server("reef").up(f"--server={first.url}", "--disable-agent", token="")
        self.assertTrue((second.dir / "db" / "state.db").exists())
        ours, theirs = ((one.dir / "tls" / "server-ca.crt").read_bytes() for one in (first, second))
        self.assertNotEqual(ours, theirs)

    def test_a_reinstalled_server(self) -> None:
        first = self.cluster_server("ocean").up("--cluster-init")
        second = self.cluster_server("reef")
        second.up(second.joins(first))
        third = self.cluster_server("atoll")
        third.up(third.joins(first))
        until(lambda: (n := first.node("reef")) and _voter(n), "the second's Node")
        second.stop(kill=True)
        again = Server(self.root, "reef-again", second.address)
        again.name, again.etc, again.env = "reef", second.etc, second.env
        self.addCleanup(again.close)
        again.begin(again.joins(first))
        self.assertEqual(again.exit_code(), 1)
        duplicate = "duplicate node name found, please use a unique name for this node"
        self.assertIn(f"etcd cluster join failed: {duplicate}", again.journal())
        self.assertEqual(first.kubectl("delete", "node", "reef").returncode, 0)
        until(lambda: len(first.request("GET", "/db/info", "server:swordfish")[1]["members"]) == 2, "the member to go")
        again.close()
        again.up(again.joins(first))

    def test_a_server_that_was_removed_joins_anew(self) -> None:
        first = self.cluster_server("ocean").up("--cluster-init")
        second = self.cluster_server("reef")
        second.up(second.joins(first))
        until(lambda: (n := first.node("reef")) and _voter(n), "the second's Node")
        old = (second.dir / "db/etcd/name").read_text()
        time.sleep(1.5)
        first.kubectl("delete", "node", "reef")
        second.logs("this node has been removed from the cluster please restart k3s to rejoin the cluster")
        self.assertEqual(first.kubectl("get", "--raw", "/readyz").stdout, "ok")
        second.stop()
        second.up(second.joins(first))
        self.assertIn("tombstone file has been detected, removing data dir to rejoin the cluster", second.journal())
        self.assertNotEqual((second.dir / "db/etcd/name").read_text(), old)


class Datastores(Cluster):
    def test_sqlite_is_told_apart_and_can_be_copied(self) -> None:
        server = self.cluster_server("ocean").up()
        until(lambda: self.write(server, "x")[0] == 0, "the node")
        database = server.dir / "db"
        self.assertTrue((database / "state.db").read_bytes().startswith(b"SQLite format 3\0"))
        self.assertTrue((database / "etcd" / "name").exists())
        self.assertFalse((database / "etcd" / "member").exists())
        labels = until(lambda: (server.node("ocean") or {})["metadata"]["labels"], "labels")
        self.assertNotIn("node-role.kubernetes.io/etcd", labels)
        server.stop()
        self.assertFalse((database / "state.db-wal").exists())

    def snapshot(self, server: Server, *arguments: str) -> tuple[int, str, str]:
        where = "--data-dir", str(server.data), "--etcd-server", server.url
        done = server.run("etcd-snapshot", arguments[0], *where, *arguments[1:])
        return done.returncode, done.stdout, done.stderr

    def test_snapshots(self) -> None:
        server = self.cluster_server("ocean").up("--cluster-init", "--disable-agent")
        code, _, said = self.snapshot(server, "save")
        self.assertEqual(code, 0, said)
        (made,) = (server.dir / "db" / "snapshots").iterdir()
        self.assertRegex(made.name, r"\Aon-demand-ocean-\d{10}\Z")
        self.assertEqual(made.stat().st_mode & 0o777, 0o600)
        self.assertIn(f'level=info msg="Snapshot {made.name} saved."', said)
        server.logs(f"Saving etcd snapshot to {made}")
        self.assertEqual(self.snapshot(server, "save", "--name=before-upgrade")[0], 0)
        table = self.snapshot(server, "ls")[1]
        self.assertRegex(table, r"\AName +Location +Size +Created\n")
        self.assertIn(f" file://{made} {made.stat().st_size} ", " ".join(table.split()))
        self.assertIn("before-upgrade-ocean-", table)
        self.assertIn(f"Snapshot {made.name} deleted.", self.snapshot(server, "delete", made.name)[2])
        self.assertFalse(made.exists())

    def test_no_snapshots_of_sqlite(self) -> None:
        server = self.cluster_server("ocean").up("--disable-agent")
        for command in ("save", "ls"):
            code, _, said = self.snapshot(server, command)
            self.assertEqual(code, 1)
            self.assertIn('level=fatal msg="see server log for details: etcd datastore disabled"', said)

    def test_a_single_server_is_taken_over(self) -> None:
        server = self.cluster_server("ocean").up()
        until(lambda: self.write(server, "x")[0] == 0, "the node")
        server.stop()
        server.up("--cluster-init")
        self.assertEqual(self.label(server, "x"), "yes")
        self.assertIn("Migrating content from sqlite to etcd", server.journal())
        self.assertTrue((server.dir / "db" / "state.db.migrated").exists())
        server.stop()
        server.up()
        self.assertEqual(server.request("GET", "/v1-k3s/server-bootstrap", "server:swordfish")[0], 200)


def _voter(node: dict) -> dict:  # type: ignore[type-arg]
    found = {one["type"]: one for one in node["status"]["conditions"]}.get("EtcdIsVoter", {})
    return found if found.get("status") == "True" else {}
