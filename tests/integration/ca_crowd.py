"""Clients of one server that subscribe to PVs and count what they hear: many, in one process, of little weight.

Usage: ``ca_crowd.py PORT CLIENTS``, and a line of JSON on stdin with the names. It says ``ready`` when each client has
heard of each PV. A line on stdin is answered by ``ok`` and JSON: how many events of CONF and MSG each client has heard,
the quantiles of CONF's lateness in ms by its time stamp (the word ``afresh`` forgets them), and the newest CONFs that a
client holds, with the number of clients that hold just these.
"""

from __future__ import annotations

import json
import selectors
import socket
import statistics
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bare_client import CREATE, EVENT_ADD, HEADER, VERSION, BareClient, message

TIME, DOUBLE, TIME_DOUBLE = 14, 6, 20
EPICS_EPOCH = 631152000
WITHIN_S = 120.0
MASK = struct.pack(">fffHH", 0, 0, 0, 5, 0)


class Watcher:
    """One client."""

    def __init__(self, port: int) -> None:
        self._client = BareClient(port, timeout_s=WITHIN_S)
        self._held = b""
        self._counted: set[int] = set()
        self._confidences: list[int] = []
        self.heard = 0
        self.late_ms: list[float] = []
        self.newest: dict[int, bytes] = {}  # by the number of the subscription, without its time stamp

    @property
    def socket(self) -> socket.socket:
        return self._client.socket

    def watch(self, names: list[str]) -> None:
        """Subscribe to all, some hundred at a time; their events come by :meth:`take`."""
        self._counted = {n for n, name in enumerate(names) if name.endswith((":CONF", ":MSG"))}
        self._confidences = [n for n, name in enumerate(names) if name.endswith(":CONF")]
        for begin in range(0, len(names), 400):
            part = list(enumerate(names[begin : begin + 400], begin))
            self._client.send(*(message(CREATE, f"{name}\0".encode(), first=n, second=VERSION) for n, name in part))
            found = [self._client.await_one(lambda one: one.command == CREATE) for _ in part]
            self._client.send(
                *(
                    message(EVENT_ADD, MASK, kind=TIME + one.kind, count=one.count, first=one.second, second=one.first)
                    for one in found
                )
            )
            for _ in part:
                one = self._client.await_one(lambda one: one.command == EVENT_ADD)
                self.newest[one.second] = one.payload[12:]

    @property
    def confidences(self) -> tuple[float, ...]:
        return tuple(struct.unpack(">4xd", self.newest[n])[0] for n in self._confidences)

    def take(self) -> None:
        now, new = time.time(), self.socket.recv(1 << 18)
        if not new:
            raise ConnectionError("the server hung up")
        data, at = self._held + new, 0
        while len(data) - at >= HEADER.size:
            _, size, kind, _, _, number = HEADER.unpack_from(data, at)
            if len(data) - at < HEADER.size + size:
                break
            begin = at + HEADER.size
            at = begin + size
            self.heard += number in self._counted
            self.newest[number] = data[begin + 12 : at]
            if kind == TIME_DOUBLE and number in self._counted:
                seconds, nanoseconds = struct.unpack_from(">II", data, begin + 4)
                self.late_ms.append(1e3 * (now - seconds - EPICS_EPOCH - nanoseconds / 1e9))
        self._held = data[at:]


def listen(watchers: list[Watcher], lock: threading.Lock) -> None:
    with selectors.DefaultSelector() as waiting:
        for one in watchers:
            one.socket.setblocking(False)
            waiting.register(one.socket, selectors.EVENT_READ, one)
        while True:
            for key, _ in waiting.select():
                with lock:
                    key.data.take()


def figures(watchers: list[Watcher]) -> dict[str, Any]:
    late = sorted(late for one in watchers for late in one.late_ms)
    cut = statistics.quantiles(late, n=100) if len(late) > 1 else [0.0] * 99
    newest, holding = Counter(one.confidences for one in watchers).most_common(1)[0]
    return {
        "heard": [one.heard for one in watchers],
        "p50_ms": cut[49],
        "p99_ms": cut[98],
        "newest": newest,
        "holding": holding,
    }


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    names = json.loads(sys.stdin.readline())
    watchers = [Watcher(port) for _ in range(count)]
    for one in watchers:
        one.watch(names)
    lock = threading.Lock()
    threading.Thread(target=listen, args=(watchers, lock), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        with lock:
            if line.strip() == "afresh":
                for one in watchers:
                    one.late_ms.clear()
            sys.stdout.write(f"ok {json.dumps(figures(watchers))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
