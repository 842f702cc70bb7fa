"""IOCs as processes that a test steers by lines, and what a client hears of them."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import epics
from epics import dbr
from epics_env import STOCK, server_port

# libca looks for a repeater with its first channel, and would fork to start one where there is none.
_repeater = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
with suppress(OSError):  # somebody of this process holds it already
    _repeater.bind(("", int(os.environ["EPICS_CA_REPEATER_PORT"])))
atexit.register(_repeater.close)

SCRIPTS = Path(__file__).parent / "integration"


def free_server_port() -> int:
    """One of the ports on which this process looks for servers that no server has at present."""
    return next(port for port in (server_port() for _ in range(STOCK)) if _is_free(port))


def _is_free(port: int) -> bool:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as streams,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            streams.bind(("127.0.0.1", port))
            datagrams.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Steered:
    """A script of tests/integration as a process: a line is written to it, and it answers with one.

    Args:
        told: a line that it waits for before it is ready.
    """

    def __init__(
        self, script: str, *arguments: str, environment: dict[str, str] | None = None, told: str | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPTS / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ) if environment is None else environment,
        )
        if told is not None:
            assert self._process.stdin is not None
            self._process.stdin.write(f"{told}\n")
            self._process.stdin.flush()
        self.answer("ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> str:
        """Write a line and return what stands behind the ``ok`` of the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.answer("ok")

    def answer(self, expected: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:  # what others print comes in between
            if line.split(maxsplit=1)[:1] == [expected]:
                return line.strip().removeprefix(expected).strip()
        raise AssertionError(f"the process ended without saying {expected!r}")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)


class Heard:
    """The events of one subscription, as (value, status, severity)."""

    def __init__(self, name: str, mask: int = dbr.DBE_VALUE | dbr.DBE_ALARM) -> None:
        self.events: list[tuple[Any, int, int]] = []
        self.stamps: list[float] = []
        self._pv = epics.PV(name, form="time", auto_monitor=mask, callback=self._hear)
        assert self._pv.wait_for_connection(5), name
        until(lambda: bool(self.events))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pv.disconnect()

    @property
    def last(self) -> tuple[Any, int, int] | None:
        return self.events[-1] if self.events else None

    def _hear(self, *, value: Any, status: int, severity: int, timestamp: float, **_: Any) -> None:
        self.events.append((value, status, severity))
        self.stamps.append(timestamp)


@contextmanager
def connected(name: str) -> Iterator[epics.PV]:
    """A PV that is read when asked, with no subscription."""
    pv = epics.PV(name, form="time", auto_monitor=False)
    assert pv.wait_for_connection(5), name
    yield pv
    pv.disconnect()


def read(name: str, *, text: bool = False) -> Any:
    """The value a client reads now."""
    with connected(name) as pv:
        return pv.get(as_string=text, timeout=5)


def read_all(names: Iterable[str]) -> dict[str, Any]:
    """What a client reads now of many: numbers as numbers, text as text."""
    pvs = {name: epics.PV(name, form="time", auto_monitor=False) for name in names}
    until(lambda: all(pv.connected for pv in pvs.values()), within_s=10)
    values = {name: pv.get(as_string=pv.type == "time_char", timeout=5) for name, pv in pvs.items()}
    for pv in pvs.values():
        pv.disconnect()
    return values


def alarm(name: str) -> tuple[int, int]:
    """Status and severity that a client reads now."""
    with connected(name) as pv:
        pv.get_timevars(timeout=5)
        return pv.status, pv.severity


def stamp(name: str) -> float:
    """The time stamp that a client reads now."""
    with connected(name) as pv:
        taken: float = pv.get_timevars(timeout=5)["timestamp"]
        return taken


def put(name: str, value: Any) -> None:
    """Write and wait until the server has answered."""
    with connected(name) as pv:
        pv.put(value, wait=True, timeout=5)


def until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until it holds; fail when it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not come true within {within_s} s"
        time.sleep(0.005)


def as_line(name: str, value: Any) -> str:
    """A record and its value as records_ioc.py and records_peer.py want them."""
    return f"{name} {json.dumps(value)}"
