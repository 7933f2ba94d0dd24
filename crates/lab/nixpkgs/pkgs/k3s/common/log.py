"""Log lines as K3s writes them: logrus' text format, and klog's for what the embedded Kubernetes parts say.

The formats matter because the tool under rehearsal diagnoses by reading the journal. Nothing here knows what is secret:
callers never hand it a token or a password.
"""

import json
import os
import re
import sys
import time
from typing import NoReturn

_PLAIN = re.compile(r"[A-Za-z0-9\-._/@^+]+")


class CommandError(Exception):
    """An error that ends the command. K3s prints it as a fatal line and exits 1."""


def info(message: str) -> None:
    """Write an info line."""
    _write("info", message)


def warning(message: str) -> None:
    """Write a warning line."""
    _write("warning", message)


def error(message: str) -> None:
    """Write an error line."""
    _write("error", message)


def fatal(message: str) -> NoReturn:
    """Write a fatal line as it is and end the process with 1. Only the main thread may call this."""
    _write("fatal", message)
    raise SystemExit(1)


def klog(severity: str, source: str, message: str, **values: str) -> None:
    """Write a structured klog line: severity is `I`, `W` or `E`, source a Go file and line."""
    now = time.time()
    stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1e6):06d}"
    fields = "".join(f" {name}={_quote(value)}" for name, value in values.items())
    _emit(f"{severity}{stamp} {os.getpid():7d} {source}] {_quote(message)}{fields}")


def _write(level: str, message: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    stamp = stamp[:-5] + "Z" if stamp.endswith("+0000") else f"{stamp[:-2]}:{stamp[-2:]}"
    text = message if _PLAIN.fullmatch(message) else _quote(message)
    _emit(f'time="{stamp}" level={level} msg={text}')


def _quote(text: str) -> str:
    """Go's %q; JSON's rules differ only for control characters, which do not occur."""
    return json.dumps(text, ensure_ascii=False)


def _emit(line: str) -> None:
    # One write a line, so that lines of several threads never mix.
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
