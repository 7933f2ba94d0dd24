"""Token rules: what a token means, and what a server makes of the one it is given."""

import hashlib
import json
import os
import time
import unittest

from harness import StandInTest, until

from common import jointoken
from common.jointoken import JoinToken, TokenError

HASH = "a" * 64


class Grammar(unittest.TestCase):
    def test_tokens_taken_apart(self) -> None:
        cases = {
            "secret": JoinToken("", "", "secret"),
            "K3S10::server:x": JoinToken("", "", "K3S10::server:x"),
            f"K10{HASH}::server:pw": JoinToken(HASH, "server", "pw"),
            f"K10{HASH}::node:a:b::c": JoinToken(HASH, "node", "a:b::c"),
            "K10::node:pw": JoinToken("", "node", "pw"),
            "abcdef.0123456789abcdef": JoinToken("", "", "", bearer="abcdef.0123456789abcdef"),
        }
        for token, expected in cases.items():
            self.assertEqual(jointoken.parse(token), expected, token)

    def test_refusals(self) -> None:
        cases = {
            "": "token must not be empty",
            "K10abc::x:y": "invalid token CA hash length",
            "K10::": "invalid token format",
            "K10::x:": "invalid token format",
            "K10x": "invalid token format",
        }
        for token, expected in cases.items():
            with self.assertRaises(TokenError, msg=token) as raised:
                jointoken.parse(token)
            self.assertEqual(str(raised.exception), expected)


class ServerToken(StandInTest):
    def refused(self, token: str, text: str) -> None:
        server = self.server()
        server.begin(token=token)
        self.assertEqual(server.exit_code(), 1)
        self.assertIn(
            f'level=fatal msg="preparing server: failed to bootstrap cluster data: {text}', server.journal()
        )
        server.close()

    def test_malformed(self) -> None:
        self.refused("K10abc::server:x", "failed to normalize server token; must be in format K10<CA-HASH>::")

    def test_bootstrap_shaped(self) -> None:
        self.refused("abcdef.0123456789abcdef", "failed to normalize server token")

    def test_full_token_before_there_is_a_ca(self) -> None:
        self.refused(f"K10{HASH}::server:x", "the token includes a CA hash, but the cluster CA does not exist yet")

    def test_files(self) -> None:
        server = self.server().up("--disable-agent", token="  K3S10::server:x  ")
        digest = hashlib.sha256((server.dir / "tls" / "server-ca.crt").read_bytes()).hexdigest()
        self.assertEqual((server.dir / "token").read_text(), f"K10{digest}::server:K3S10::server:x\n")
        for name in ("node-token", "agent-token"):
            self.assertEqual((server.dir / name).readlink(), server.dir / "token")
        rows = sorted((server.dir / "cred" / "passwd").read_text().splitlines())
        self.assertEqual(rows, ["K3S10::server:x,node,node,k3s:agent", "K3S10::server:x,server,server,k3s:server"])
        self.assertEqual(server.dir.stat().st_mode & 0o777, 0o700)
        for name in ("token", "cred/passwd", "tls/server-ca.key", "tls/client-admin.key"):
            self.assertEqual((server.dir / name).stat().st_mode & 0o777, 0o600, name)

    def test_missing_file_is_waited_for(self) -> None:
        server = self.server()
        server.begin(token=None)
        line = server.logs("Waiting for")
        self.assertIn(rf'level=info msg="Waiting for {server.token_file} to be available\n"', line)
        server.token_file.write_text("late\n")
        self.assertTrue(server.ready())

    def test_empty_file_makes_a_password_once(self) -> None:
        server = self.server().up("--disable-agent", token="")
        first = (server.dir / "token").read_text()
        self.assertRegex(first, r"\AK10[0-9a-f]{64}::server:[0-9a-f]{32}\n\Z")
        server.stop()
        server.up("--disable-agent", token="")
        self.assertEqual((server.dir / "token").read_text(), first)

    def test_another_token_is_fatal_and_its_own_full_token_is_not(self) -> None:
        server = self.server().up("--disable-agent")
        full = (server.dir / "token").read_text().strip()
        server.stop()
        server.begin("--disable-agent", token="other")
        self.assertEqual(server.exit_code(), 1)
        self.assertIn("bootstrap data already found and encrypted with different token", server.journal())
        server.close()
        server.up("--disable-agent", token=full)

    def test_no_secret_in_datastore_or_journal(self) -> None:
        server = self.server().up("--disable-agent", token="canary-in-a-coal-mine")
        kept = b"".join(path.read_bytes() for path in (server.dir / "db").rglob("*") if path.is_file())
        self.assertNotIn(b"canary", kept + server.log.read_bytes())
        self.assertNotIn(b"BEGIN EC PRIVATE KEY", kept)
        self.assertIn("canary", (server.dir / "cred" / "passwd").read_text())


class AgentTokenOnServer(StandInTest):
    def test_configured_agent_token(self) -> None:
        server = self.server()
        (self.root / "agent").write_text("apart\n")
        server.up("--disable-agent", "--agent-token-file", str(self.root / "agent"))
        agent_token = server.dir / "agent-token"
        self.assertFalse(agent_token.is_symlink())
        self.assertEqual(agent_token.stat().st_mode & 0o777, 0o600)
        self.assertRegex(agent_token.read_text(), r"\AK10[0-9a-f]{64}::node:apart\n\Z")
        self.assertEqual(server.request("GET", "/v1-k3s/config", "node:apart")[0], 200)
        self.assertEqual(server.request("GET", "/v1-k3s/config", "node:swordfish")[0], 401)

    def test_a_server_token_as_agent_token_locks_agents_out(self) -> None:
        server = self.server()
        server.up("--disable-agent", "--agent-token", f"K10{HASH}::server:pw")
        self.assertEqual(server.request("GET", "/v1-k3s/config", "node:pw")[0], 401)

    def later(self, server: object, *arguments: str) -> None:
        """Restart with more flags, and make cred/passwd look as if that had been a while after the first start."""
        server.stop()  # type: ignore[attr-defined]
        server.up("--disable-agent", *arguments)  # type: ignore[attr-defined]
        passwd = server.dir / "cred" / "passwd"  # type: ignore[attr-defined]
        os.utime(passwd, (time.time() + 60, time.time() + 60))

    def test_trap_of_an_agent_token_added_later(self) -> None:
        server = self.server().up("--disable-agent")
        self.later(server, "--agent-token", "apart")
        server.stop()
        server.begin("--disable-agent", "--agent-token", "apart")
        self.assertEqual(server.exit_code(), 1)
        text = (
            f"{server.dir}/cred/passwd newer than datastore and could cause a cluster outage. Remove the file(s) from"
        )
        self.assertIn(f'level=fatal msg="{text} disk and restart to be recreated from datastore."', server.journal())

    def test_rotating_to_the_same_token_opens_the_trap(self) -> None:
        server = self.server().up("--disable-agent")
        self.later(server, "--agent-token", "apart")
        done = server.run("token", "rotate", "--new-token", "swordfish", "--server", server.url, K3S_TOKEN="swordfish")
        self.assertEqual(done.returncode, 0, done.stderr)
        server.stop()
        server.up("--disable-agent", "--agent-token", "apart")


class Rotation(StandInTest):
    def test_rotate(self) -> None:
        server = self.server().up("--disable-agent")

        def status(password: str) -> int:
            return server.request("GET", "/v1-k3s/server-bootstrap", f"server:{password}")[0]

        wrong = server.run("token", "rotate", "--token", "wrong", "--new-token", "next", "--server", server.url)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn('level=fatal msg="not authorized"', wrong.stderr)
        done = server.run(
            "token", "rotate", "--new-token", "next", "--server", server.url, "--data-dir", str(server.data)
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("WARNING\033[0m: Recommended to keep a record of the old token.", done.stdout)
        self.assertTrue(done.stdout.endswith("Token rotated, restart k3s nodes with new token\n"))
        self.assertTrue((server.dir / "token").read_text().endswith("::server:next\n"))
        self.assertEqual((status("swordfish"), status("next")), (400, 401))
        server.stop()
        server.begin("--disable-agent", token="swordfish")
        self.assertEqual(server.exit_code(), 1)
        server.close()
        server.up("--disable-agent", token="next")
        self.assertEqual((status("swordfish"), status("next")), (401, 400))

    def test_a_token_no_server_could_have_is_refused(self) -> None:
        server = self.server().up("--disable-agent")
        body = json.dumps({"newToken": "abcdef.0123456789abcdef"}).encode()
        status, answer = server.request("PUT", "/v1-k3s/token", "server:swordfish", body=body)
        self.assertEqual(status, 500)
        self.assertIn("failed to normalize server token", answer["message"])
        self.assertTrue((server.dir / "token").read_text().endswith("::server:swordfish\n"))

    def test_restore_from_datastore(self) -> None:
        server = self.server().up("--disable-agent")
        ca = (server.dir / "tls" / "server-ca.crt").read_bytes()
        server.stop()
        for path in [*(server.dir / "tls").iterdir(), *(server.dir / "cred").iterdir()]:
            path.unlink()
        server.up("--disable-agent")
        self.assertEqual((server.dir / "tls" / "server-ca.crt").read_bytes(), ca)
        until(lambda: server.kubectl("get", "--raw", "/readyz").stdout == "ok", "the API")
