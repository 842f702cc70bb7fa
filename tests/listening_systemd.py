"""systemd's end of a process: a real datagram socket, and what was said to it."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from typing import Self


class ListeningSystemd:
    """A context manager; ``environment`` is what the process is started with.

    Args:
        watchdog_s: how often it wants to hear that work gets on.
    """

    def __init__(self, watchdog_s: float | None = None) -> None:
        self._name = f"hydrad-test-{secrets.token_hex(6)}"
        self.environment = {"NOTIFY_SOCKET": f"@{self._name}"}
        if watchdog_s is not None:
            self.environment["WATCHDOG_USEC"] = f"{watchdog_s * 1e6:.0f}"
        self.heard: list[tuple[float, str]] = []  # time.monotonic() and a line

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{self._name}")
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def lines(self) -> list[str]:
        """All that was said until now."""
        while True:
            try:
                message = self._socket.recv(65536).decode()
            except BlockingIOError:
                return [line for _, line in self.heard]
            self.heard += [(time.monotonic(), line) for line in message.split("\n")]

    def status(self) -> str:
        """The last that was told."""
        told = [line for line in self.lines() if line.startswith("STATUS=")]
        return told[-1].removeprefix("STATUS=") if told else ""

    def count(self, line: str) -> int:
        """How often this was said."""
        return self.lines().count(line)

    def silent_s(self, line: str) -> float:
        """How long ago it was said last."""
        self.lines()
        return time.monotonic() - max(at for at, said in self.heard if said == line)

    def until(self, holds: Callable[[], object], within_s: float = 20.0) -> None:
        """Wait until it holds; fail when it does not in time."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"did not come true within {within_s} s: {self.lines()}"
            time.sleep(0.02)
