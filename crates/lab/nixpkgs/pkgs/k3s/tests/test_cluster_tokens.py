"""Tokens with several servers: rotating them, and what a server says that comes back with the wrong one."""

import os
import time

from harness import Server, StandInTest

DIFFERENT = "bootstrap data already found and encrypted with different token"


class Rotation(StandInTest):
    def pair(self, *arguments: str) -> tuple[Server, Server]:
        """Two servers, up."""
        first, second = self.cluster_server("ocean"), self.cluster_server("reef")
        first.up("--cluster-init", "--disable-agent", *arguments)
        second.up(second.joins(first), "--disable-agent", *arguments)
        return first, second

    def rotate(self, server: Server, new: str) -> None:
        done = server.run("token", "rotate", "--token", "swordfish", "--new-token", new, "--server", server.url)
        self.assertEqual(
            (done.returncode, done.stdout.splitlines()[-1]), (0, "Token rotated, restart k3s nodes with new token")
        )

    def status(self, server: Server, password: str) -> int:
        return int(server.request("GET", "/v1-k3s/server-bootstrap", f"server:{password}")[0])

    def test_one_after_another(self) -> None:
        first, second = self.pair()
        self.rotate(first, "next")
        for one in (first, second):
            self.assertEqual((self.status(one, "swordfish"), self.status(one, "next")), (200, 401))
        self.assertTrue((first.dir / "token").read_text().endswith("::server:next\n"))
        self.assertTrue((second.dir / "token").read_text().endswith("::server:swordfish\n"))
        first.stop()
        first.up("--cluster-init", "--disable-agent", token="next")
        second.stop()
        second.up(second.joins(first), "--disable-agent", token="next")
        for one in (first, second):
            self.assertEqual((self.status(one, "swordfish"), self.status(one, "next")), (401, 200))
            self.assertTrue((one.dir / "token").read_text().endswith("::server:next\n"))

    def test_the_old_token_after_the_first_server_has_the_new_one(self) -> None:
        first, second = self.pair()
        self.rotate(first, "next")
        first.stop()
        first.begin("--cluster-init", "--disable-agent", token="swordfish")
        self.assertEqual(first.exit_code(), 1)
        self.assertIn(f'level=fatal msg="Failed to reconcile with temporary etcd: {DIFFERENT}"', first.journal())
        first.close()
        first.up("--cluster-init", "--disable-agent", token="next")
        second.stop()
        second.begin(second.joins(first), "--disable-agent", token="swordfish")
        self.assertEqual(second.exit_code(), 1)
        self.assertIn('msg="Unable to reconcile with remote datastore: not authorized"', second.journal())
        self.assertIn(f'level=fatal msg="Failed to reconcile with temporary etcd: {DIFFERENT}"', second.journal())

    def test_the_old_token_while_the_first_server_still_takes_it_arms_the_trap(self) -> None:
        first, second = self.pair()
        self.rotate(first, "next")
        second.stop()
        second.begin(second.joins(first), "--disable-agent", token="swordfish")
        self.assertEqual(second.exit_code(), 1)
        text = f'level=error msg="Shutdown request received: failed to save bootstrap data: {DIFFERENT}"'
        self.assertIn(text, second.journal())
        self.assertIn(
            "Failed to retrieve HTTP bootstrap data from datastore; falling back to disk for", first.journal()
        )
        second.close()
        passwd = second.dir / "cred" / "passwd"
        os.utime(passwd, (time.time() + 60, time.time() + 60))
        first.stop()
        first.begin("--cluster-init", "--disable-agent", token="next")
        first.logs("Failed to test etcd connection")
        second.begin(second.joins(first), "--disable-agent", token="next")
        self.assertEqual(second.exit_code(), 1)
        self.assertIn(f"{passwd} newer than datastore and could cause a cluster outage", second.journal())
        second.close()
        passwd.unlink()
        (second.dir / "token").unlink()
        second.up(second.joins(first), "--disable-agent", token="next")

    def test_a_wrong_current_token(self) -> None:
        server = self.cluster_server("ocean").up("--cluster-init", "--disable-agent")
        done = server.run("token", "rotate", "--token", "wrong", "--new-token", "next", "--server", server.url)
        self.assertEqual(done.returncode, 1)
        self.assertIn('level=fatal msg="not authorized"', done.stderr)

    def test_another_agent_token_on_the_second_server_is_not_noticed(self) -> None:
        first, second = self.cluster_server("ocean"), self.cluster_server("reef")
        first.up("--cluster-init", "--disable-agent", "--agent-token=apart")
        second.up(second.joins(first), "--disable-agent", "--agent-token=other", "--cluster-domain=odd.example")
        self.assertIn('level=warning msg="Skipping cluster configuration validation: not authorized"', second.journal())
        self.assertEqual(first.request("GET", "/v1-k3s/config", "node:other")[0], 401)
        self.assertEqual(second.request("GET", "/v1-k3s/config", "node:other")[0], 200)
