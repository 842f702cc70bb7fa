"""A client of the daemon's PVs, in a process of its own, that never gives up: it writes down what it hears, and when.

Usage: ``pv_watch.py PORT FILE NAME…``. Each line of FILE is ``[at, name, value, severity]``, or ``[at, null, why, 3]``
when the server is lost; ``at`` is ``time.monotonic()``, which all processes of a host share. A server that is away
and a PV that it does not have yet are asked for again and again.
"""

from __future__ import annotations

import json
import select
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).parents[1]))

from bare_client import CREATE, CREATE_FAILED, EVENT_ADD, HEADER, SERVER_DOWN, VERSION, BareClient, message

TIME = 14  # of a kind, its form with a time stamp
VALUES = {15: ">2xh", 17: ">2xH", 18: ">3xB", 19: ">i", 20: ">4xd"}
MASK = struct.pack(">fffHH", 0, 0, 0, 5, 0)
AGAIN_S = 0.1


class Line:
    """One connection."""

    def __init__(self, port: int, names: list[str], notes: TextIO) -> None:
        self._client = BareClient(port)
        self._client.socket.setblocking(True)
        self._names = names
        self._notes = notes
        self._missing = set(range(len(names)))
        self._asked_at = 0.0
        self._held = b""

    def close(self) -> None:
        """Hang up."""
        self._client.socket.close()

    def follow(self) -> None:
        """Write down what comes, until the server hangs up."""
        while True:
            if self._missing and time.monotonic() - self._asked_at > AGAIN_S:
                self._ask()
            if select.select([self._client.socket], [], [], AGAIN_S)[0]:
                data = self._client.socket.recv(1 << 16)
                if not data:
                    raise ConnectionError("the server hung up")
                self._held += data
                for command, kind, count, first, second, payload in self._messages():
                    self._take(command, kind, count, first, second, payload)

    def _ask(self) -> None:
        self._asked_at = time.monotonic()
        for n in sorted(self._missing):
            self._client.send(message(CREATE, f"{self._names[n]}\0".encode(), first=n, second=VERSION))
        self._missing.clear()

    def _messages(self) -> Iterator[tuple[int, int, int, int, int, bytes]]:
        while len(self._held) >= HEADER.size:
            command, size, kind, count, first, second = HEADER.unpack_from(self._held)
            if len(self._held) < HEADER.size + size:
                return
            payload = self._held[HEADER.size : HEADER.size + size]
            self._held = self._held[HEADER.size + size :]
            yield command, kind, count, first, second, payload

    def _take(self, command: int, kind: int, count: int, first: int, second: int, payload: bytes) -> None:
        if command == CREATE:
            self._client.send(message(EVENT_ADD, MASK, kind=TIME + kind, count=count, first=second, second=first))
        elif command in {CREATE_FAILED, SERVER_DOWN}:
            self._missing.add(first)
        elif command == EVENT_ADD and payload:
            value = struct.unpack_from(VALUES[kind], payload, 12)[0] if kind in VALUES else None
            note(self._notes, self._names[second], value, struct.unpack_from(">H", payload, 2)[0])


def note(notes: TextIO, name: str | None, value: Any, severity: int) -> None:
    notes.write(json.dumps([time.monotonic(), name, value, severity]) + "\n")
    notes.flush()


def main() -> None:
    port, path, names = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    there = False
    with Path(path).open("a", encoding="utf-8") as notes:
        while True:
            try:
                line = Line(port, names, notes)
            except OSError:
                time.sleep(AGAIN_S / 2)
                continue
            try:
                there = True
                line.follow()
            except OSError as fault:
                if there:
                    note(notes, None, str(fault), 3)
                there = False
            finally:
                line.close()


if __name__ == "__main__":
    main()
