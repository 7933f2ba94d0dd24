"""Ending on a signal, soon, and as K3s ends then.

Python runs signal handlers in the main thread only, and a main thread that merely sleeps may not notice a signal which
the kernel gave to another thread. So it sleeps on a socket that the interpreter writes to at every signal.
"""

import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

from common import log

_READER, _WRITER = socket.socketpair()
_WRITER.setblocking(False)
_last_act: Callable[[], None] = lambda: None


def on_signals() -> None:
    """Make SIGTERM and SIGINT end the main thread, once: what runs on the way out is not disturbed."""
    signal.set_wakeup_fd(_WRITER.fileno())
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _leave)


def last_act(act: Callable[[], None]) -> None:
    """Do this at a signal. The exit code is 0 unless it ends the process with another."""
    global _last_act
    _last_act = act


def pause(seconds: float) -> None:
    """Sleep in the main thread; a signal is acted upon at once."""
    select.select([_READER], [], [], seconds)


def wait() -> NoReturn:
    """Sleep in the main thread until a signal ends it."""
    while True:
        pause(3600.0)


def _leave(number: int, _frame: object) -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    word = "terminated" if number == signal.SIGTERM else "interrupt"
    log.warning(f'signal received: "{word}", canceling context...')
    _last_act()
    sys.exit(0)
