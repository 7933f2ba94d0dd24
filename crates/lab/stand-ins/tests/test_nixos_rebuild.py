"""What the nixos-rebuild stand-in starts, in which order, and what it says and exits with.

    python3 -m unittest discover crates/lab/stand-ins/tests

Every program that it starts is a recording fake on PATH, so nothing is built, reached or activated.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from unittest import mock

sys.dont_write_bytecode = True
STAND_INS = Path(__file__).resolve().parent.parent
LAUNCHER = STAND_INS / "nixos-rebuild"
sys.path.insert(0, str(STAND_INS))

from nixos_rebuild import activate, arguments, processes  # noqa: E402

FAKED = ("nix", "nix-build", "nix-copy-closure", "nix-env", "ssh", "sudo", "systemd-run", "test")

# A call is NIX_SSHOPTS, the name and the arguments, 0x1f after each, then 0x1e. `answer` may say something and set
# the exit code; it sees the whole command line in $all. All goes by $0, since the environment may be a clean one.
FAKE = """\
#!/bin/sh
folder="${0%/bin/*}"
printf '%s\\037' "${NIX_SSHOPTS-}" "${0##*/}" "$@" >> "$folder/calls"
printf '\\036' >> "$folder/calls"
all="${0##*/} $*"
. "$folder/answers"
answer
"""

P = "/nix/store/vbdg1hza2d6p8mhzvqkq70s8wzr3fv3q-nixos-system-ocean"
DRV = "/nix/store/rvk1g12y9bigjg48q2r77h08cmicgnsh-nixos-system-ocean.drv"
ANSWERS = f"""\
answer() {{
  case "$all" in
    *" eval "*) printf '%s' {DRV} ;;
    "nix --version") echo "nix (Nix) 2.8.0" ;;
    *" build "*) echo '[{{"drvPath":"{DRV}","outputs":{{"out":"{P}"}}}}]' ;;
    nix-build*) echo {P} ;;
    *" uname -n") echo ocean ;;
    *switch-to-configuration*) echo "noise of a unit" ;;
  esac
}}
"""

NIX = ["nix", "--extra-experimental-features", "nix-command flakes"]
ATTRIBUTE = '/conf#nixosConfigurations."ocean".config.system.build.toplevel'
OWN = ["-o", "ControlMaster=auto", "-o", "ControlPath=TMP/ssh-%n", "-o", "ControlPersist=60"]
OWN_TEXT = " ".join(OWN)
UNIT = [
    "systemd-run", "-E", "LOCALE_ARCHIVE", "-E", "NIXOS_INSTALL_BOOTLOADER", "-E", "NIXOS_NO_CHECK", "--collect",
    "--no-ask-password", "--pipe", "--quiet", "--service-type=exec", "--unit=nixos-rebuild-switch-to-configuration",
]  # fmt: skip
SWITCHER = f"{P}/bin/switch-to-configuration"
PROFILE = "/nix/var/nix/profiles/system"
CLEAN = """'exec env -i PATH="${PATH-}" "$@"'"""
PASSED_ON = 'LOCALE_ARCHIVE="${LOCALE_ARCHIVE-}" NIXOS_NO_CHECK="${NIXOS_NO_CHECK-}" NIXOS_INSTALL_BOOTLOADER=0'
FOR_UNIT = f"""'exec env -i PATH="${{PATH-}}" {PASSED_ON} "$@"'"""


def there(
    host: str, *words: str, env: str = CLEAN, given: tuple[str, ...] = (), sudo: tuple[str, ...] = ()
) -> list[str]:
    return ["ssh", *given, *OWN, host, "--", *sudo, "/bin/sh", "-c", env, "sh", *words]


class Outcome(NamedTuple):
    code: int
    stdout: str
    stderr: str
    calls: list[list[str]]
    nix_sshopts: list[str]


class Case(unittest.TestCase):
    """A folder with the fakes, and what they were called with."""

    maxDiff = None

    def setUp(self) -> None:
        # Folders in /tmp: the real TMPDIR could be too long for a socket, and the stand-in would then leave it.
        folder = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "fake").write_text(FAKE)
        (bin_folder / "fake").chmod(0o755)
        for name in FAKED:
            (bin_folder / name).symlink_to("fake")
        self.answers(ANSWERS)
        self.environment = {"PATH": str(bin_folder), "TMPDIR": str(self.folder)}

    def answers(self, text: str) -> None:
        (self.folder / "answers").write_text(text)

    def answer_first(self, pattern: str, reaction: str) -> None:
        """Before the usual answers: what the first match does."""
        self.answers(ANSWERS.replace('case "$all" in', f'case "$all" in\n    {pattern}) {reaction} ;;', 1))

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-B", str(LAUNCHER), *words],
            env={**self.environment, **(env or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Outcome:
        stdout, stderr = process.communicate(timeout=10)
        records = self.records()
        return Outcome(
            process.returncode,
            stdout,
            self.stable(stderr),
            [call[1:] for call in records],
            [call[0] for call in records],
        )

    def run_it(self, *words: str, env: Mapping[str, str] | None = None) -> Outcome:
        return self.finish(self.start(*words, env=env))

    def records(self) -> list[list[str]]:
        calls = self.folder / "calls"
        text = self.stable(calls.read_text()) if calls.exists() else ""
        return [record.split("\x1f")[:-1] for record in text.split("\x1e")[:-1]]

    def stable(self, text: str) -> str:
        return re.sub(rf"{self.folder}/nixos-rebuild\.[^/ ]+", "TMP", text)

    def wait_for(self, word: str) -> None:
        deadline = time.monotonic() + 5
        while not any(word in call for call in self.records()):
            self.assertLess(time.monotonic(), deadline, f"nothing was called with {word}")
            time.sleep(0.01)


class Arguments(Case):
    def refused(self, *words: str) -> str:
        outcome = self.run_it(*words)
        self.assertEqual((outcome.code, outcome.stdout, outcome.calls), (2, "", []))
        return outcome.stderr.splitlines()[-1]

    def test_a_store_path_cannot_be_built(self) -> None:
        said = self.refused("build", "--store-path", "/x")
        self.assertEqual(said, "nixos-rebuild: error: --store-path cannot be used with 'build'")

    def test_a_store_path_excludes_a_flake_and_a_rollback(self) -> None:
        self.assertIn("cannot be used with --flake", self.refused("test", "--store-path", P, "--flake", "/conf"))
        self.assertIn("mutually exclusive", self.refused("test", "--store-path", P, "--rollback"))

    def test_unknown_arguments_are_refused(self) -> None:
        self.assertIn("unrecognized arguments: --nope", self.refused("build", "--nope"))
        # Abbreviations too.
        self.assertIn("unrecognized arguments: --roll", self.refused("switch", "--roll"))

    def test_what_is_not_imitated_says_so(self) -> None:
        self.assertIn("--upgrade is not imitated by this stand-in", self.refused("switch", "--upgrade"))
        self.assertIn("-A is not imitated by this stand-in", self.refused("switch", "-A", "x"))
        self.assertIn("invalid choice: 'repl'", self.refused("repl"))

    def test_help_says_what_it_is(self) -> None:
        for words in (["--help"], []):
            outcome = self.run_it(*words)
            self.assertEqual(outcome.code, 0)
            self.assertIn("STAND-IN for nixos-rebuild", outcome.stdout)

    def test_it_can_be_executed(self) -> None:
        self.assertTrue(os.access(LAUNCHER, os.X_OK))
        self.assertTrue(LAUNCHER.read_text().startswith("#!/usr/bin/python3\n"))

    def test_flags_go_on_to_the_commands_that_know_them(self) -> None:
        words = "build -vv --quiet --quiet -j 2 --cores 3 --keep-going --option a b --option c d -I x=y --show-trace"
        words += " --offline --impure --no-write-lock-file --override-input n path:/n --override-input m path:/m -s"
        nix = arguments.parse(words.split()).nix
        common = "-vv --quiet --quiet --max-jobs 2 --cores 3 --keep-going --option a b --option c d".split()
        building = [*common, "--include", "x=y", "--show-trace"]
        overrides = ["--override-input", "n", "path:/n", "--override-input", "m", "path:/m"]
        flake = ["--impure", "--no-write-lock-file", *overrides]
        self.assertEqual(nix.evaluation(), [*building, "--offline", *flake])
        self.assertEqual(nix.local_build(True, True), ["--no-link", "--dry-run", *building, "--offline", *flake])
        self.assertEqual(nix.remote_build(False, False), [*building, "--offline"])
        self.assertEqual(nix.copying(), [*common, "-s"])


class Building(Case):
    def test_here(self) -> None:
        outcome = self.run_it("build", "--flake", "/conf#ocean")
        self.assertEqual(outcome.code, 0)
        self.assertEqual(outcome.stdout, f"{P}\n")
        self.assertEqual(outcome.stderr, "building the system configuration...\nDone. The new configuration is ")
        self.assertEqual(outcome.calls, [[*NIX, "build", "--json", ATTRIBUTE]])

    def test_here_for_a_target(self) -> None:
        words = ["build", "--no-link", "--flake", "/conf#ocean", "--target-host", "root@ocean", "--use-substitutes"]
        outcome = self.run_it(*words, env={"NIX_SSHOPTS": "-p 2222"})
        self.assertEqual(outcome.stdout, f"{P}\n")
        self.assertEqual(
            outcome.calls,
            [[*NIX, "build", "--json", ATTRIBUTE, "--no-link"], ["nix-copy-closure", "-s", "--to", "root@ocean", P]],
        )
        # Ours come first, in Nix' ssh as well.
        self.assertEqual(outcome.nix_sshopts[1], f"-p 2222 {OWN_TEXT}")

    def test_on_the_target(self) -> None:
        words = ["--build-host", "root@ocean", "--target-host", "root@ocean", "--override-input", "n", "path:/n"]
        given = ("-p", "2222", "-o", "BatchMode=yes")
        outcome = self.run_it("build", "--flake", "/conf#ocean", *words, env={"NIX_SSHOPTS": " ".join(given)})
        build = ["nix", "--extra-experimental-features", "'nix-command flakes'", "build", DRV, "--json"]
        self.assertEqual(outcome.stdout, f"{P}\n")
        self.assertEqual(
            outcome.calls,
            [
                [*NIX, "eval", "--raw", f"{ATTRIBUTE}.drvPath", "--override-input", "n", "path:/n"],
                ["nix-copy-closure", "--to", "root@ocean", DRV],
                ["nix", "--version"],
                there("root@ocean", *build, given=given),
            ],
        )

    def test_a_newer_nix_is_told_the_outputs(self) -> None:
        self.answer_first('"nix --version"', "echo 'nix (Nix) 2.26.3'")
        words = ["--build-host", "root@ocean", "--target-host", "root@ocean"]
        outcome = self.run_it("build", "--flake", "/conf#ocean", *words)
        self.assertEqual(outcome.stdout, f"{P}\n")
        build = ["nix", "--extra-experimental-features", "'nix-command flakes'", "build", f"'{DRV}^*'", "--json"]
        self.assertEqual(outcome.calls[-1], there("root@ocean", *build))

    def test_elsewhere_travels_through_this_machine(self) -> None:
        words = ["--build-host", "root@maia", "--target-host", "root@ocean"]
        outcome = self.run_it("build", "--flake", "/conf#ocean", *words)
        copy = [*NIX, "copy", "--from", "ssh://root@maia", "--to", "ssh://root@ocean", P]
        self.assertEqual(outcome.calls[-1], copy)
        self.assertEqual(outcome.nix_sshopts[-1], OWN_TEXT)

    def test_elsewhere_for_this_machine(self) -> None:
        outcome = self.run_it("build", "--flake", "/conf#ocean", "--build-host", "root@maia")
        self.assertEqual(outcome.calls[-1], ["nix-copy-closure", "--from", "root@maia", P])

    def test_no_link_with_a_build_host_trips_over_nix_eval(self) -> None:
        self.answer_first('*" eval "*--no-link*', "return 1")
        outcome = self.run_it("build", "--no-link", "--flake", "/conf#ocean", "--build-host", "root@maia")
        self.assertEqual((outcome.code, outcome.stdout, len(outcome.calls)), (1, "", 1))

    def test_a_dry_build_copies_nothing_and_names_nothing(self) -> None:
        outcome = self.run_it("dry-build", "--flake", "/conf#ocean", "--target-host", "root@ocean")
        self.assertEqual((outcome.code, outcome.stdout), (0, ""))
        self.assertEqual(outcome.calls, [[*NIX, "build", "--json", ATTRIBUTE, "--dry-run"]])

    def test_the_target_is_asked_for_its_name(self) -> None:
        outcome = self.run_it("build", "--flake", "/conf", "--target-host", "root@ocean")
        self.assertEqual(outcome.calls[0], there("root@ocean", "uname", "-n"))
        self.assertEqual(outcome.calls[1][5], ATTRIBUTE)

    def test_a_target_that_does_not_tell_is_default(self) -> None:
        self.answer_first('*" uname -n"', "return 255")
        outcome = self.run_it("build", "--flake", "/conf", "--target-host", "root@ocean")
        self.assertIn('nixosConfigurations."default"', outcome.calls[1][5])

    def test_a_failed_build_is_1_and_shows_the_command(self) -> None:
        self.answer_first('*" build "*', "echo error: no >&2; return 1")
        outcome = self.run_it("build", "--flake", "/conf#ocean", "--target-host", "root@ocean")
        self.assertEqual((outcome.code, outcome.stdout, len(outcome.calls)), (1, "", 1))
        self.assertTrue(outcome.stderr.endswith("returned non-zero exit status 1.\n"), outcome.stderr)

    def test_a_failed_copy_is_1(self) -> None:
        self.answer_first("nix-copy-closure*", "return 1")
        outcome = self.run_it("switch", "--no-reexec", "--flake", "/conf#ocean", "--target-host", "root@ocean")
        self.assertEqual((outcome.code, len(outcome.calls)), (1, 2))

    def test_another_nix_is_told(self) -> None:
        self.answer_first('*" build "*', "echo '[{}]'")
        outcome = self.run_it("build", "--flake", "/conf#ocean")
        self.assertEqual(outcome.code, 1)
        self.assertIn("this stand-in knows Nix 2.8", outcome.stderr)


class Activating(Case):
    def store_path(self, action: str, *words: str, env: Mapping[str, str] | None = None) -> Outcome:
        return self.run_it(action, "--no-reexec", "--store-path", P, *words, env=env)

    def test_test_leaves_the_profile_alone(self) -> None:
        outcome = self.store_path("test", "--target-host", "root@ocean")
        self.assertEqual((outcome.code, outcome.stdout), (0, f"{P}\n"))
        self.assertIn("noise of a unit\n", outcome.stderr)
        self.assertEqual(
            outcome.calls,
            [
                ["nix-copy-closure", "--to", "root@ocean", P],
                there("root@ocean", "test", "-d", "/run/systemd/system"),
                there("root@ocean", *UNIT, SWITCHER, "test", env=FOR_UNIT),
            ],
        )

    def test_boot_and_switch_move_the_profile_first(self) -> None:
        for action in ("boot", "switch"):
            with self.subTest(action):
                (self.folder / "calls").unlink(missing_ok=True)
                outcome = self.store_path(action, "--target-host", "root@ocean")
                self.assertEqual((outcome.code, outcome.stdout), (0, f"{P}\n"))
                self.assertEqual(
                    outcome.calls[1:],
                    [
                        there("root@ocean", "test", "-f", f"{P}/nixos-version"),
                        there("root@ocean", "nix-env", "-p", PROFILE, "--set", P),
                        there("root@ocean", "test", "-d", "/run/systemd/system"),
                        there("root@ocean", *UNIT, SWITCHER, action, env=FOR_UNIT),
                    ],
                )

    def test_a_flake_is_built_before(self) -> None:
        words = ["--flake", "/conf#ocean", "--target-host", "root@ocean", "--install-bootloader"]
        outcome = self.run_it("dry-activate", *words)
        self.assertEqual(outcome.calls[0], [*NIX, "build", "--json", ATTRIBUTE, "--no-link"])
        loud = FOR_UNIT.replace("BOOTLOADER=0", "BOOTLOADER=1")
        self.assertEqual(outcome.calls[-1], there("root@ocean", *UNIT, SWITCHER, "dry-activate", env=loud))

    def test_here_in_a_clean_environment(self) -> None:
        self.answer_first("systemd-run*", '/usr/bin/env > "$folder/env"')
        outcome = self.store_path("switch", env={"LOCALE_ARCHIVE": "/l", "HOME": "/root"})
        self.assertEqual((outcome.code, outcome.stdout), (0, f"{P}\n"))
        self.assertEqual(
            outcome.calls,
            [
                ["test", "-f", f"{P}/nixos-version"],
                ["nix-env", "-p", PROFILE, "--set", P],
                ["test", "-d", "/run/systemd/system"],
                [*UNIT, SWITCHER, "switch"],
            ],
        )
        names = {line.split("=")[0] for line in (self.folder / "env").read_text().splitlines()}
        # The shell of the fake adds PWD.
        self.assertEqual(names - {"PWD"}, {"PATH", "LOCALE_ARCHIVE", "NIXOS_INSTALL_BOOTLOADER"})

    def test_sudo_there(self) -> None:
        for flag in (["--sudo"], ["--use-remote-sudo"], ["--elevate", "sudo"]):
            with self.subTest(flag):
                (self.folder / "calls").unlink(missing_ok=True)
                outcome = self.store_path("boot", *flag, "--target-host", "me@ocean", env={"NIX_SUDOOPTS": "-n"})
                sudo = ("sudo", "-n")
                self.assertEqual(
                    outcome.calls[1:],
                    [
                        there("me@ocean", "test", "-f", f"{P}/nixos-version"),
                        there("me@ocean", "nix-env", "-p", PROFILE, "--set", P, sudo=sudo),
                        there("me@ocean", "test", "-d", "/run/systemd/system"),
                        there("me@ocean", *UNIT, SWITCHER, "boot", env=FOR_UNIT, sudo=sudo),
                    ],
                )

    def test_sudo_here(self) -> None:
        outcome = self.store_path("test", "--sudo")
        kept = ["env", "-i", f"PATH={self.environment['PATH']}", "NIXOS_INSTALL_BOOTLOADER=0"]
        self.assertEqual(outcome.calls[-1], ["sudo", *kept, *UNIT, SWITCHER, "test"])

    def test_a_login_that_fails_at_the_question_activates_without_a_unit(self) -> None:
        self.answer_first('*" test -d "*', "return 255")
        outcome = self.store_path("test", "--target-host", "root@ocean")
        self.assertEqual((outcome.code, outcome.stdout), (0, f"{P}\n"))
        self.assertEqual(outcome.calls[-1], there("root@ocean", SWITCHER, "test", env=FOR_UNIT))

    def test_the_activation_s_own_code_is_passed_on(self) -> None:
        for code in (1, 4, 100, 255):
            with self.subTest(code):
                (self.folder / "calls").unlink(missing_ok=True)
                self.answer_first("*switch-to-configuration*", f"return {code}")
                outcome = self.store_path("switch", "--target-host", "root@ocean")
                self.assertEqual((outcome.code, outcome.stdout), (code, ""))
                # The profile has moved all the same.
                self.assertEqual(outcome.calls[2], there("root@ocean", "nix-env", "-p", PROFILE, "--set", P))

    def test_a_login_that_fails_at_a_plain_step_is_255(self) -> None:
        self.answer_first('*" nix-env "*', "return 255")
        outcome = self.store_path("switch", "--target-host", "root@ocean")
        self.assertEqual((outcome.code, outcome.stdout, len(outcome.calls)), (255, "", 3))

    def test_no_profile_is_set_to_what_is_no_system(self) -> None:
        self.answer_first('*" test -f "*', "return 1")
        outcome = self.store_path("boot", "--target-host", "root@ocean")
        self.assertEqual((outcome.code, len(outcome.calls)), (1, 2))
        self.assertIn("error: your NixOS configuration path seems to be missing essential files.", outcome.stderr)
        sure = self.store_path("boot", "--target-host", "root@ocean", env={activate.NO_LOOK: "1"})
        self.assertEqual(sure.code, 0)

    def test_an_invalid_store_path_stops_at_the_copy(self) -> None:
        self.answer_first("nix-copy-closure*", "return 1")
        outcome = self.store_path("test", "--target-host", "root@ocean")
        self.assertEqual((outcome.code, len(outcome.calls)), (1, 1))


class Successor(Case):
    def test_without_no_reexec_it_is_built_first(self) -> None:
        outcome = self.run_it("test", "--flake", "/conf#ocean", "--target-host", "root@ocean")
        successor = '/conf#nixosConfigurations."ocean".config.system.build.nixos-rebuild'
        self.assertEqual(outcome.calls[0], [*NIX, "build", "--json", successor, "--no-link"])
        self.assertIn("warning: could not re-exec in a newer version of nixos-rebuild", outcome.stderr)
        self.assertEqual(outcome.code, 0)

    def test_without_a_flake_it_is_looked_for_in_nixpkgs(self) -> None:
        self.answer_first("nix-build*", "return 1")
        outcome = self.run_it("test", "--store-path", P, "--target-host", "root@ocean")
        attribute = ["--attr", "config.system.build.nixos-rebuild", "--no-out-link"]
        self.assertEqual(outcome.calls, [["nix-build", "<nixpkgs/nixos>", *attribute]])
        self.assertEqual((outcome.code, outcome.stdout), (1, ""))

    def test_it_takes_over(self) -> None:
        built = self.folder / "built"
        (built / "bin").mkdir(parents=True)
        (built / "bin/nixos-rebuild").write_text('#!/bin/sh\necho "$_NIXOS_REBUILD_REEXEC $*"\n')
        (built / "bin/nixos-rebuild").chmod(0o755)
        self.answer_first('*" build "*', f"""echo '[{{"outputs":{{"out":"{built}"}}}}]'""")
        outcome = self.run_it("test", "--flake", "/conf#ocean")
        self.assertEqual((outcome.code, outcome.stdout), (0, "1 test --flake /conf#ocean\n"))

    def test_the_successor_does_not_look_further(self) -> None:
        words = ["test", "--store-path", P, "--target-host", "root@ocean"]
        outcome = self.run_it(*words, env={"_NIXOS_REBUILD_REEXEC": "1"})
        self.assertEqual(outcome.calls[0][0], "nix-copy-closure")

    def test_fast_is_deprecated(self) -> None:
        outcome = self.run_it("test", "--fast", "--store-path", P, "--target-host", "root@ocean")
        self.assertEqual(outcome.calls[0][0], "nix-copy-closure")
        self.assertIn("nixos-rebuild: warning: --fast is deprecated", outcome.stderr)


class RollingBack(Case):
    def test_switch_moves_the_profile_back(self) -> None:
        outcome = self.run_it("switch", "--no-reexec", "--rollback", "--target-host", "root@ocean")
        self.assertEqual(outcome.stdout, f"{PROFILE}\n")
        self.assertEqual(
            outcome.calls,
            [
                there("root@ocean", "nix-env", "--rollback", "-p", PROFILE),
                there("root@ocean", "test", "-d", "/run/systemd/system"),
                there("root@ocean", *UNIT, f"{PROFILE}/bin/switch-to-configuration", "switch", env=FOR_UNIT),
            ],
        )

    def test_dry_activate_cannot(self) -> None:
        outcome = self.run_it("dry-activate", "--rollback", "--target-host", "root@ocean")
        self.assertEqual((outcome.code, outcome.calls), (1, []))
        self.assertIn("error: --rollback is incompatible with 'dry-activate'", outcome.stderr)

    def test_test_takes_the_newest_that_is_not_current(self) -> None:
        listing = "2 2026-01-01 1:00:00\n 3 2026-01-01 1:00:00 (current)\n 4 2026-01-01 1:00:00\n"
        fake = mock.Mock(elevated=False)
        fake.capture.return_value = listing
        profile = self.folder / "system"
        with mock.patch.object(activate, "PROFILE", profile):
            with self.assertRaisesRegex(processes.Failed, "no profile 'system' found"):
                activate.previous_generation(fake, None)
            profile.touch()
            self.assertEqual(activate.previous_generation(fake, None), f"{self.folder}/system-4-link")
            fake.capture.return_value = "3 2026-01-01 1:00:00 (current)\n"
            with self.assertRaisesRegex(processes.Failed, "could not find previous generation"):
                activate.previous_generation(fake, None)


class Signals(Case):
    def interrupted(self, number: signal.Signals) -> Outcome:
        self.answer_first("*pkill*", ":")
        # The activation, not the pkill, which has it in its pattern.
        text = (self.folder / "answers").read_text()
        self.answers(text.replace('echo "noise of a unit"', "exec /bin/sleep 2"))
        process = self.start("test", "--no-reexec", "--store-path", P, "--target-host", "root@ocean")
        self.wait_for(SWITCHER)
        process.send_signal(number)
        if number == signal.SIGTERM:
            # Its ssh, still running, holds the pipes.
            process.wait(timeout=5)
            assert process.stdout and process.stderr
            process.stdout.close()
            process.stderr.close()
            return Outcome(process.returncode, "", "", [call[1:] for call in self.records()], [])
        return self.finish(process)

    def test_sigint_is_130_and_ends_the_remote_client(self) -> None:
        outcome = self.interrupted(signal.SIGINT)
        self.assertEqual((outcome.code, outcome.stdout), (130, ""))
        self.assertIn("cleaning-up remote process, please wait...", outcome.stderr)
        last = outcome.calls[-1]
        self.assertEqual(last[:-1], ["ssh", *OWN, "root@ocean", "--", "pkill", "--signal", "SIGINT", "--full", "--"])
        # Escaped once for the shell there, whose loss leaves the plain command line.
        self.assertEqual(last[-1].replace("\\", ""), " ".join([*UNIT, SWITCHER, "test"]))

    def test_sigterm_is_143_to_a_shell_and_cleans_nothing_up(self) -> None:
        outcome = self.interrupted(signal.SIGTERM)
        self.assertEqual(outcome.code, -signal.SIGTERM)
        self.assertIn(SWITCHER, outcome.calls[-1])


class Masters(Case):
    def test_they_are_ended_and_the_folder_goes(self) -> None:
        # The fake ssh leaves what a master would.
        make_socket = 'for word; do case "$word" in ControlPath=*) : > "${word#ControlPath=}";; esac; done'
        self.answers(
            ANSWERS + f'set_up() {{ {make_socket}; }}\ncase "$all" in *" -O "*) ;; ssh*) set_up "$@" ;; esac\n'
        )
        outcome = self.run_it("test", "--no-reexec", "--store-path", P, "--target-host", "root@ocean")
        self.assertEqual(outcome.calls[-1], ["ssh", "-o", "ControlPath=TMP/ssh-%n", "-O", "exit", "dummyhost"])
        self.assertEqual(list(self.folder.glob("nixos-rebuild.*")), [])


class Hosts(unittest.TestCase):
    def test_spellings(self) -> None:
        def spell(word: str) -> tuple[str, str, str]:
            host = processes.Host.parse(word)
            assert host is not None
            return (host.name, host.ssh_name, host.url)

        self.assertEqual(spell("root@ocean"), ("root@ocean", "root@ocean", "ssh://root@ocean"))
        self.assertEqual(spell("ssh-ng://ocean"), ("ocean", "ocean", "ssh-ng://ocean"))
        self.assertEqual(spell("root@[fe80::1%25eth0]")[1], "root@fe80::1%eth0")
        self.assertIsNone(processes.Host.parse(""))


if __name__ == "__main__":
    unittest.main()
