"""A line between the daemon and its data base that can be slow, cut, or led to another server."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

CHUNK = 1 << 14
LOOK_EVERY_S = 0.01


@dataclass(eq=False)
class _End:
    """One side of a connection: what it is still to be sent, and when."""

    socket: socket.socket
    other: _End | None = None
    due: deque[tuple[float, bytes]] = field(default_factory=deque)


class Between:
    """Listens on a socket of its own; a context manager that hangs up.

    Args:
        at: the path of its socket.
        server: the path of the socket of the server behind it; may be changed, which new connections follow.

    Attributes:
        delay_s: how long each piece of an answer is on its way.
        cut_after: connections are cut after this many answers; 0: never.
    """

    def __init__(self, at: Path, server: Path) -> None:
        self.at = at
        self.server = server
        self.delay_s = 0.0
        self.cut_after = 0
        self.cuts = 0
        self._answers: dict[_End, int] = {}
        self._over = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._ends: set[_End] = set()
        self._cut = threading.Event()

    def __enter__(self) -> Self:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.at))
        self._listener.listen()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="between")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()
        self._selector.close()
        self.at.unlink()

    def cut(self) -> None:
        """Hang up on everybody."""
        self._cut.set()

    def _run(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(LOOK_EVERY_S):
                if key.data is None:
                    self._accept()
                else:
                    self._read(key.data)
            if self._cut.is_set():
                self._cut.clear()
                for end in list(self._ends):
                    self._close(end)
            self._send()
        for end in list(self._ends):
            self._close(end)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        behind = socket.socket(socket.AF_UNIX)
        try:
            behind.connect(str(self.server))
        except OSError:
            client.close()
            behind.close()
            return
        near, far = _End(client), _End(behind)
        near.other, far.other = far, near
        self._answers[far] = 0
        for end in (near, far):
            self._ends.add(end)
            self._selector.register(end.socket, selectors.EVENT_READ, end)

    def _read(self, end: _End) -> None:
        if end not in self._ends:
            return
        try:
            data = end.socket.recv(CHUNK)
        except OSError:
            data = b""
        if not data or end.other is None:
            self._close(end)
            return
        delay_s = 0.0
        if end in self._answers:
            delay_s = self.delay_s
            self._answers[end] += 1
            if self.cut_after and self._answers[end] > self.cut_after:
                self.cuts += 1
                self._close(end)
                return
        end.other.due.append((time.monotonic() + delay_s, data))

    def _send(self) -> None:
        now = time.monotonic()
        for end in list(self._ends):
            while end in self._ends and end.due and end.due[0][0] <= now:
                _, data = end.due.popleft()
                try:
                    end.socket.sendall(data)
                except OSError:
                    self._close(end)

    def _close(self, end: _End) -> None:
        for one in (end, end.other):
            if one is not None and one in self._ends:
                self._ends.discard(one)
                self._answers.pop(one, None)
                with suppress(KeyError, ValueError):
                    self._selector.unregister(one.socket)
                one.socket.close()
