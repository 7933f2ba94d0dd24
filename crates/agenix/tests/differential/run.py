#!/usr/bin/env python3
"""Runs the cases of cases.json through a program that behaves like agenix, and says what came of it.

    run.py PROGRAM [CASE...]

Prints JSON: for every case and step the exit code, the output, the changed files and what is left in the
temporary folders. The original script (record.py) and our drop-in (../it/differential.rs) go through this one
file, so a difference is a difference of the programs.
"""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keys import Keys
from snapshot import changes, shown, taken
from world import World, plaintext

HERE = Path(__file__).resolve().parent
CASES = HERE / "cases.json"
SECONDS_A_STEP = 60


def main() -> None:
    program, *names = sys.argv[1:]
    print(json.dumps(run(Path(program).resolve(), names), indent=1, ensure_ascii=False))


def run(program: Path, names: list[str] | None = None) -> dict[str, Any]:
    """The results of all cases, or of those named."""
    cases = json.loads(CASES.read_text())
    chosen = [case for case in cases if not names or case["name"] in names]
    os.umask(0o022)  # Modes are compared.
    with tempfile.TemporaryDirectory(prefix="agenix-differential-") as folder:
        root = Path(folder).resolve()
        keys = Keys(root / "keys")
        with ThreadPoolExecutor(2) as pool:
            results = pool.map(lambda case: run_case(case, program, root, keys), chosen)
            return {case["name"]: result for case, result in zip(chosen, results)}


def run_case(case: dict[str, Any], program: Path, root: Path, keys: Keys) -> dict[str, Any]:
    world = World(root / case["name"], keys)
    world.set_up(case["setup"])
    steps = [run_step(step, program, world) for step in case["run"]]
    return {"digest": digest(case), "steps": steps}


def digest(case: dict[str, Any]) -> str:
    """Of all that a recording depends on, so that a case cannot change behind its recording's back."""
    steps = [{key: value for key, value in step.items() if key != "differs"} for step in case["run"]]
    text = json.dumps([case["setup"], steps], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_step(step: dict[str, Any], program: Path, world: World) -> dict[str, Any]:
    before = taken(world.case)
    code, stdout, stderr = execute(step, program, world)
    return {
        "exit": code,
        "stdout": normal(shown(stdout), program, world),
        "stderr": normal(shown(stderr), program, world),
        "files": changes(before, taken(world.case), world),
        "left": [normal(path, program, world) for path in world.left()],
    }


def execute(step: dict[str, Any], program: Path, world: World) -> tuple[int | str, bytes, bytes]:
    argv = [str(program), *map(world.filled, step["args"])]
    terminal = [] if "stdin" in step else list(pty.openpty())
    process = subprocess.Popen(
        argv,
        cwd=world.case / step.get("cwd", "."),
        env=environment(step, world),
        stdin=terminal[1] if terminal else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # No /dev/tty: a program that asks there would wait for ever.
    )
    try:
        stdout, stderr = process.communicate(standard_input(step, world), timeout=SECONDS_A_STEP)
        return process.returncode, stdout, stderr
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        return "it did not end", stdout, stderr
    finally:
        for side in terminal:
            os.close(side)


def standard_input(step: dict[str, Any], world: World) -> bytes | None:
    """A step without `stdin` has a terminal there. `key` stands for what `-i <(...)` would read."""
    match step.get("stdin"):
        case None:
            return None
        case str(text):
            return text.encode()
        case {"key": name}:
            return world.keys.private(name).read_bytes()
        case content:
            return plaintext(content)


def environment(step: dict[str, Any], world: World) -> dict[str, str]:
    """Little is handed on, so that nobody's EDITOR or RULES gets in. Nix keeps what it needs to run here."""
    given = {name: world.filled(value) for name, value in step.get("env", {}).items()}
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("NIX_")}
    # Where Nix was never set up, it warns of its build users at each start.
    config = os.environ.get("NIX_CONFIG", "") + "\nbuild-users-group =\n"
    return {**kept, "NIX_CONFIG": config, "LANG": "C.UTF-8", **world.environment(), **given}


def normal(text: str, program: Path, world: World) -> str:
    """Without what is another at each run: folders, keys, random names; and bash's trace, whose order is."""
    text = world.emptied(text.replace(str(program), "{program}"))
    text = re.sub(r"tmp\.[A-Za-z0-9]{10}", "{random}", text)
    # Where nix found something depends on the length of the folder's name.
    text = re.sub(r"«string»:1:\d+:", "«string»:1:", text)
    text = re.sub(r"^( +\|) +\^$", r"\1 ^", text, flags=re.MULTILINE)
    return re.sub(r"(?:^\+.*\n)+", "{trace}\n", text, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
