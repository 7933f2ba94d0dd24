"""Ending on a signal, soon and cleanly.

Python runs signal handlers in the main thread only, and a main thread that merely sleeps may not notice a signal which
the kernel gave to another thread. So it sleeps on a socket that the interpreter writes to at every signal.
"""

import select
import signal
import socket
import sys
from typing import NoReturn

_READER, _WRITER = socket.socketpair()
_WRITER.setblocking(False)


def on_signals() -> None:
    """Make SIGTERM and SIGINT end the main thread with exit code 0, once: what runs on the way out is not disturbed."""
    signal.set_wakeup_fd(_WRITER.fileno())
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _leave)


def pause(seconds: float) -> None:
    """Sleep in the main thread; a signal is acted upon at once."""
    select.select([_READER], [], [], seconds)


def wait() -> NoReturn:
    """Sleep in the main thread until a signal ends it."""
    while True:
        pause(3600.0)


def _leave(_signal: int, _frame: object) -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    sys.exit(0)
