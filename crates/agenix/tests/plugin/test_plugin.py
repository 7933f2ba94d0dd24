#!/usr/bin/python3
"""Tests of the test plugin: its own protocol word by word, and with Debian's age. Run: `python3 test_plugin.py`."""

import importlib.machinery
import importlib.util
import os
import pty
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLUGIN = HERE / "age-plugin-xtasktest"
PATIENCE = 20

sys.dont_write_bytecode = True
_loader = importlib.machinery.SourceFileLoader("plugin", str(PLUGIN))
_spec = importlib.util.spec_from_loader("plugin", _loader)
assert _spec is not None
plugin = importlib.util.module_from_spec(_spec)
sys.modules["plugin"] = plugin
_loader.exec_module(plugin)


def talk(state_machine: str, said: str) -> subprocess.CompletedProcess[str]:
    """What the plugin answers to a client that says everything at once."""
    argv = [str(PLUGIN), f"--age-plugin={state_machine}"]
    return subprocess.run(argv, input=said, capture_output=True, text=True, timeout=PATIENCE, check=False)


class Bech32(unittest.TestCase):
    """Vectors of BIP-173, and two of our own for what fills up."""

    def test_valid(self) -> None:
        """What is valid stays the same there and back."""
        self.assertEqual(plugin.bech32_decode("a", "A12UEL5L"), b"")
        text = "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"
        self.assertEqual(plugin.bech32_encode("abcdef", plugin.bech32_decode("abcdef", text)), text)
        age = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
        self.assertEqual(plugin.bech32_encode("age", plugin.bech32_decode("age", age)), age)

    def test_invalid(self) -> None:
        """Each is refused."""
        for prefix, text in [
            ("a", "a12ueL5L"),  # mixed case
            ("A", "A1G7SGD8"),  # the checksum of the upper case prefix
            ("a", "a12uel5m"),  # another checksum
            ("x", "x1b4n0q5v"),  # not of the charset
            ("li", "li1dgmt3"),  # a short checksum
            ("abc", "a12uel5l"),  # another prefix
            ("a", "a1vyqqsueva"),  # seven bits to fill up
            ("a", "a1v9yq839f"),  # filled up with another bit than zero
        ]:
            with self.subTest(text), self.assertRaises(ValueError):
                plugin.bech32_decode(prefix, text)


class Protocol(unittest.TestCase):
    """Against a client of a few lines."""

    def setUp(self) -> None:
        """Make a recipient and its identity."""
        made = subprocess.run([PLUGIN, "--generate"], capture_output=True, text=True, check=True).stdout.splitlines()
        self.recipient, self.identity = made[1].removeprefix("# public key: "), made[2]

    def test_a_file_key_there_and_back(self) -> None:
        """With grease in between, and a stanza of somebody else."""
        said = (
            f"-> a-grease b\nAAAA\n-> add-recipient {self.recipient}\n\n-> wrap-file-key\nMDEyMzQ1Njc4OWFiY2RlZg\n"
            "-> extension-labels\n\n-> done\n\n-> unsupported\n\n-> ok\n\n"
        )
        answer = talk("recipient-v1", said)
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        grease, _, stanza, body, *rest = answer.stdout.split("\n")
        self.assertEqual((grease, rest), ("-> xtasktest-grease a b", ["-> done", "", ""]))
        self.assertTrue(stanza.startswith("-> recipient-stanza 0 xtasktest "), stanza)

        stanza = stanza.replace("-> recipient-stanza 0", "-> recipient-stanza 7")
        said = (
            f"-> add-identity {self.identity}\n\n-> recipient-stanza 7 X25519 AAAA\nAAAA\n{stanza}\n{body}\n"
            "-> done\n\n-> unsupported\n\n-> ok\n\n"
        )
        answer = talk("identity-v1", said)
        self.assertEqual(answer.stdout.split("\n")[2:], ["-> file-key 7", "MDEyMzQ1Njc4OWFiY2RlZg", "-> done", "", ""])

    def test_what_is_no_key_is_said_and_nothing_is_wrapped(self) -> None:
        """By its index."""
        said = (
            f"-> add-recipient {self.recipient}\n\n-> add-recipient age1xtasktest1qqqqqq\n\n"
            "-> wrap-file-key\nMDEyMzQ1Njc4OWFiY2RlZg\n-> done\n\n-> unsupported\n\n-> ok\n\n"
        )
        answer = talk("recipient-v1", said).stdout.split("\n")
        self.assertEqual((answer[2], answer[4]), ("-> error recipient 1", "-> done"))
        self.assertEqual(plugin.decode(answer[3]), b"the checksum is wrong")

    def test_a_damaged_stanza_is_said(self) -> None:
        """One with our name; and its file is not opened."""
        said = (
            f"-> add-identity {self.identity}\n\n-> recipient-stanza 0 xtasktest AAAA\nAAAA\n-> done\n\n"
            "-> unsupported\n\n-> ok\n\n"
        )
        answer = talk("identity-v1", said).stdout.split("\n")
        self.assertEqual((answer[2], answer[4]), ("-> error stanza 0 0", "-> done"))

    def test_a_client_that_breaks_the_protocol(self) -> None:
        """Ends it with a line on stderr and no traceback."""
        for said, why in [
            ("", "the client is gone"),
            ("hello\n", "a line that starts no stanza: 'hello'"),
            ("-> done\n\n-> ok\n\n", "the client answers 'ok' in place of 'unsupported'"),
            ("-> a\nAB\n", "the body of 'a': not canonical base64"),
            ("-> wrap-file-key\nAAAA\n-> done\n\n", "a file key of 3 bytes"),
        ]:
            with self.subTest(said):
                answer = talk("recipient-v1", said)
                self.assertEqual((answer.returncode, answer.stderr), (1, f"age-plugin-xtasktest: {why}\n"))

    def test_other_state_machines_are_refused(self) -> None:
        """As the specification wants it."""
        answer = talk("recipient-v2", "")
        self.assertEqual((answer.returncode, answer.stdout), (2, ""))


class WithAge(unittest.TestCase):
    """Both directions with Debian's age."""

    def setUp(self) -> None:
        """Make a folder, and put the plugin on PATH."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log = self.folder / "log"
        self.environment = {"PATH": f"{HERE}:{os.environ['PATH']}", "XTASKTEST_LOG": str(self.log)}

    def key(self, name: str, *options: str) -> tuple[str, str]:
        """Make a recipient, and the file of its identity."""
        text = subprocess.run([PLUGIN, "--generate", *options], capture_output=True, check=True).stdout
        (self.folder / name).write_bytes(text)
        return text.decode().splitlines()[1].removeprefix("# public key: "), str(self.folder / name)

    def age(self, *arguments: str, stdin: bytes) -> tuple[int, bytes, str]:
        """Run it without a terminal."""
        done = subprocess.run(
            ["age", *arguments],
            input=stdin,
            capture_output=True,
            env=self.environment,
            timeout=PATIENCE,
            start_new_session=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr.decode()

    def test_round_trip(self) -> None:
        """To a recipient, to two, and to an identity; who is not named cannot read."""
        (one, mine), (two, other) = self.key("mine"), self.key("other")
        for to, readers in [
            (["-r", one], [mine]),
            (["-r", one, "-r", two], [mine, other]),
            (["-e", "-i", mine], [mine]),
        ]:
            code, file, why = self.age("-a", *to, stdin=b"token")
            self.assertEqual(code, 0, why)
            for identity in (mine, other):
                code, plaintext, why = self.age("-d", "-i", identity, stdin=file)
                self.assertEqual((code == 0, plaintext), (identity in readers, b"token" * (identity in readers)), why)

    def test_starts_are_logged(self) -> None:
        """With what the client had."""
        recipient, identity = self.key("mine")
        _, file, _ = self.age("-r", recipient, stdin=b"token")
        self.age("-d", "-i", identity, stdin=file)
        wrapped, unwrapped = self.log.read_text().splitlines()
        self.assertEqual(wrapped, "recipient-v1 identities=0 stanzas=0 recipients=1")
        self.assertRegex(unwrapped, r"^identity-v1 identities=1 stanzas=[12] recipients=0$")

    def test_message(self) -> None:
        """It is shown to who opens a file, and not to who is none of its readers."""
        recipient, identity = self.key("talker", "--message")
        _, file, _ = self.age("-r", recipient, stdin=b"token")
        code, plaintext, shown = self.age("-d", "-i", identity, stdin=file)
        self.assertEqual((code, plaintext), (0, b"token"))
        self.assertIn("the test plugin says hello", shown)
        _, stranger, _ = self.age("-r", self.key("other")[0], stdin=b"token")
        self.assertNotIn("hello", self.age("-d", "-i", identity, stdin=stranger)[2])

    def test_passphrase(self) -> None:
        """The right one opens, a wrong one and none do not."""
        recipient, identity = self.key("locked", "--message", "--ask-passphrase", "correct horse")
        _, file, _ = self.age("-r", recipient, stdin=b"token")
        (self.folder / "file.age").write_bytes(file)
        for typed, expected in [("correct horse", "token"), ("wrong", "the passphrase is wrong")]:
            with self.subTest(typed):
                shown = self.at_a_terminal(["-d", "-i", identity, str(self.folder / "file.age")], typed)
                self.assertIn(expected, shown)
                self.assertEqual("token" in shown, expected == "token", shown)
        code, plaintext, shown = self.age("-d", "-i", identity, stdin=file)
        self.assertEqual((code == 0, plaintext), (False, b""))
        self.assertIn("no passphrase was given", shown)

    def at_a_terminal(self, arguments: list[str], typed: str) -> str:
        """Run age on a terminal of its own and answer its question."""
        child, terminal = pty.fork()
        if child == 0:
            try:
                os.execvpe("age", ["age", *arguments], {**os.environ, **self.environment})
            finally:
                os._exit(127)
        shown, answered, until = "", False, time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                read = os.read(terminal, 4096)
            except OSError:  # Linux's end of a terminal
                break
            if not read:
                break
            shown += read.decode()
            if "passphrase of the test plugin" in shown and not answered:
                answered = True
                os.write(terminal, typed.encode() + b"\n")
        os.close(terminal)
        os.waitpid(child, 0)
        self.assertTrue(answered, shown)
        return shown


if __name__ == "__main__":
    unittest.main()
