#!/usr/bin/env python3
"""Writes recorded.json: what the original agenix does in each case.

    record.py SCRIPT

SCRIPT is pkgs/agenix.sh of agenix 0.15, as it stands in its repository. Records twice and writes nothing when
the two are not the same: a recording that depends on luck would fail some test some day.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from keys import must
from run import HERE, run

# What its Nix package puts in place of `@name@`; here the programs on PATH.
SUBSTITUTED = {
    "version": "0.15.0",
    "ageBin": "age",
    "jqBin": "jq",
    "nixInstantiate": "nix-instantiate",
    "mktempBin": "mktemp",
    "diffBin": "diff",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = runnable(Path(sys.argv[1]), Path(folder).resolve())
        first, second = run(program), run(program)
    unstable = [name for name in first if first[name] != second[name]]
    if unstable:
        raise SystemExit(f"not the same twice: {', '.join(unstable)}; nothing was written")
    text = json.dumps({"recorded_with": versions(), "cases": first}, indent=1, ensure_ascii=False)
    HERE.joinpath("recorded.json").write_text(text + "\n")
    print(f"{len(first)} cases recorded")


def runnable(script: Path, folder: Path) -> Path:
    text = script.read_text()
    for name, value in SUBSTITUTED.items():
        text = text.replace(f"@{name}@", value)
    program = folder / "agenix"
    program.write_text(text)
    program.chmod(0o755)
    return program


def versions() -> dict[str, Any]:
    """Their words are in the recording."""
    asked = {"age": "age", "nix": "nix-instantiate", "bash": "bash", "jq": "jq", "diff": "diff"}
    printed = {name: must(program, "--version").decode().splitlines()[0] for name, program in asked.items()}
    return {"agenix": SUBSTITUTED["version"], **printed}


if __name__ == "__main__":
    main()
