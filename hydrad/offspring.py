"""Processes that end with the one that started them, however it ends."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing.connection import Connection, wait

from hydrad import log


def begin(end: Connection) -> None:
    """What such a process does first: it ends when nobody holds the other end of this pipe any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's affair
    log.configure(level="warning")
    threading.Thread(target=_end_with, args=(end,), name="hydrad-end", daemon=True).start()


def _end_with(end: Connection) -> None:
    wait([end])
    os._exit(0)  # it may be in the midst of C++ and has nothing to write
