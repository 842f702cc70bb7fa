"""Channel Access on loopback for the whole test session, and a real IOC to talk to.

libca reads its environment once per process, when its context is made. So this plugin sets it when it is imported,
with a stock of free ports that IOCs take theirs from; a client of this process finds a server on any of them.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from hydrad.verbs.processes import is_free

BEAM_IOC = Path(__file__).parent / "integration" / "beam_ioc.py"
STOCK = 12
NEVER_GIVEN = range(20_000, 32_000)  # Linux gives higher ones, one of which others might have by the time it is used


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has, neither TCP nor UDP, and that nobody gets who asks for any."""
    found: list[int] = []
    for port in random.SystemRandom().sample(NEVER_GIVEN, len(NEVER_GIVEN)):
        if is_free("127.0.0.1", port):
            found.append(port)
        if len(found) == count:
            break
    return found


REPEATER_PORT, *PORTS = _free_ports(STOCK + 1)
os.environ |= {
    "EPICS_CA_ADDR_LIST": " ".join(f"127.0.0.1:{port}" for port in PORTS),
    "EPICS_CA_AUTO_ADDR_LIST": "NO",
    "EPICS_CA_REPEATER_PORT": str(REPEATER_PORT),
}
_turn = itertools.cycle(PORTS)

# libca would start a repeater program, which pyepics does not ship, and leave a dead child behind: where the port is
# taken it believes that there is one.
_repeater = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
_repeater.bind(("127.0.0.1", REPEATER_PORT))
atexit.register(_repeater.close)


def server_port() -> int:
    """A port on which the clients of this process look for servers; the stock is gone round in turn.

    Not one that a server still has: servers of EPICS base share it, and half of the clients never find the new one.
    """
    return next(port for port in itertools.islice(_turn, STOCK) if is_free("127.0.0.1", port))


def random_prefix() -> str:
    """A name that no other IOC has."""
    return f"T{secrets.token_hex(4).upper()}"


def server_environment(port: int) -> dict[str, str]:
    """What makes a server of EPICS base serve on this port of loopback and nowhere else."""
    return {
        **os.environ,
        "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "PVXS_QSRV_ENABLE": "NO",
    }


class BeamIoc:
    """``beam_ioc.py`` as a process: it may be told values, frozen, killed and started again at its old place."""

    def __init__(self) -> None:
        self.prefix = random_prefix()
        self.port = server_port()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def pv(self, record: str) -> str:
        return f"{self.prefix}:{record}"

    def start(self) -> Self:
        """Return when it serves; it starts with a current of 0 and permit 6."""
        self._process = subprocess.Popen(
            [sys.executable, str(BEAM_IOC), self.prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=server_environment(self.port),
        )
        self._answer("ready")
        return self

    def put(self, record: str, value: float | str, severity: str = "") -> None:
        """Return when the record has the value."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{record} {value} {severity}\n")
        self._process.stdin.flush()
        self._answer("ok")

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        assert self._process is not None
        with self._process as process:
            process.kill()
        self._process = None

    def _answer(self, expected: str) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:  # what iocInit has to say comes first
            if line.strip() == expected:
                return
        raise AssertionError(f"the IOC ended without saying {expected!r}")


async def until(holds: Callable[[], bool], within_s: float) -> float:
    """Wait until it holds and return the seconds it took; fail when it does not in time."""
    began = time.monotonic()
    while not holds():
        took = time.monotonic() - began
        assert took < within_s, f"did not come true within {within_s} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture
def fresh_beam_ioc() -> Iterator[BeamIoc]:
    """An IOC of this test's own, not yet started."""
    with BeamIoc() as ioc:
        yield ioc


@pytest.fixture(scope="session")
def _shared_beam_ioc() -> Iterator[BeamIoc]:
    with BeamIoc() as ioc:
        yield ioc.start()


@pytest.fixture
def beam_ioc(_shared_beam_ioc: BeamIoc) -> BeamIoc:
    """A running IOC, shared by tests that leave it running: currents of 0, permit 6, run 100 not going."""
    usual = {
        "CURRENT": 0,
        "CURRENT2": 0,
        "PERMIT": 6,
        "RUN": 100,
        "DAQ": "configured",
        "STATE": 0,
        "TYPE": "PRODUCTION",
    }
    for record, value in usual.items():
        _shared_beam_ioc.put(record, value)
    return _shared_beam_ioc
