"""What systemd hears of a process it started: that it is ready, how it is, that it gets on, that it ends."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Self

from hydrad import log

FEEDS = 4  # in the time after which systemd would start a process anew
PATIENCE_S = 0.2  # its queue may be full for a moment; nobody's verdict waits for it longer

_log = log.get("systemd")


class Systemd:
    """The other end of ``$NOTIFY_SOCKET``; where nobody listens, nothing is said.

    Args:
        address: a path, or after ``@`` a name in the abstract namespace; empty when systemd did not start the process.
        watchdog_s: how long it waits for :meth:`gets_on` before it starts the process anew; None for ever.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s
        self._ready = False
        self._unheard: list[str] = []  # what must not be lost
        self._deaf = False

    @property
    def feed_every_s(self) -> float | None:
        """How often it should hear of progress; None where it does not ask for it."""
        return None if self.watchdog_s is None else self.watchdog_s / FEEDS

    @classmethod
    def found(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """The one that started this process, taken from the environment: its children are not what it waits for."""
        address, wanted, process = (
            environment.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        )
        mine = process in {"", str(os.getpid())}
        return cls(address, int(wanted) / 1e6 if mine and wanted.isdecimal() and int(wanted) else None)

    def starting(self, what: str, within_s: float) -> None:
        """Starting takes its time, now with this; it goes on before so much time has passed. Once ready: nothing."""
        if not self._ready:
            self._say(f"EXTEND_TIMEOUT_USEC={within_s * 1e6:.0f}", f"STATUS={what}")

    def ready(self) -> None:
        """All that was started, or reread, is in place."""
        self._ready = True
        self._say("READY=1", must=True)

    def rereading(self) -> None:
        """The configuration is reread; ends with :meth:`ready`."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", must=True)

    def stopping(self, why: str) -> None:
        """What is done from now on is to leave in order."""
        self._say("STOPPING=1", f"STATUS={why}", must=True)

    def gets_on(self) -> None:
        """All parts have shown signs of life."""
        if self.watchdog_s is not None:
            self._say("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """One line for ``systemctl status``."""
        self._say(f"STATUS={' '.join(sentence.split())}")

    def _say(self, *lines: str, must: bool = False) -> None:
        if not self._address:
            return
        told = [*self._unheard, *lines]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
                speaking.settimeout(PATIENCE_S)
                speaking.connect(f"\0{self._address[1:]}" if self._address.startswith("@") else self._address)
                speaking.send("\n".join(told).encode())
        except OSError as fault:
            if not self._deaf:
                _log.warning("systemd_does_not_hear", why=str(fault))
            self._deaf = True
            self._unheard = told[-16:] if must else self._unheard
        else:
            self._deaf = False
            self._unheard = []
