"""A client outlives its server: it sees it go, finds it again and hears what is new, as with EPICS base."""

from __future__ import annotations

import os
from typing import Any

import epics
import pytest
from epics_env import random_prefix, server_environment
from steered import Steered, as_line, free_server_port, read, until

WITHIN_S = 30.0  # a client searches less and less often


def started(kind: str, prefix: str, port: int) -> Steered:
    if kind == "hydrad":
        return Steered("records_ioc.py", prefix, str(port), environment=dict(os.environ))
    return Steered("records_peer.py", prefix, environment=server_environment(port))


@pytest.mark.parametrize("kind", ["hydrad", "EPICS base"])
def test_a_client_finds_its_server_again(kind: str) -> None:
    prefix, port = random_prefix(), free_server_port()
    heard: list[Any] = []
    with started(kind, prefix, port):
        pv = epics.PV(f"{prefix}:AI", auto_monitor=True, callback=lambda value, **_: heard.append(value))
        until(lambda: heard == [50.0])
    until(lambda: not pv.connected)
    with started(kind, prefix, port) as again:
        until(lambda: pv.connected, WITHIN_S)
        again.tell(as_line("AI", 51.0))
        until(lambda: bool(heard) and heard[-1] == 51.0)
        assert read(f"{prefix}:AI") == 51.0
        pv.disconnect()


@pytest.mark.parametrize("kind", ["hydrad", "EPICS base"])
def test_a_record_that_comes_later_is_found_by_who_waits_for_it(kind: str) -> None:
    prefix, port = random_prefix(), free_server_port()
    first, second = (epics.PV(f"{prefix}:{name}", auto_monitor=False) for name in ("AI", "MBBI"))
    assert not first.wait_for_connection(0.2)
    with started(kind, prefix, port):
        until(lambda: first.connected and second.connected, WITHIN_S)
        for pv in (first, second):
            pv.disconnect()


@pytest.mark.parametrize("kind", ["hydrad", "EPICS base"])
def test_a_put_calls_back_when_it_has_been_done(kind: str) -> None:
    prefix, port = random_prefix(), free_server_port()
    with started(kind, prefix, port):
        pv = epics.PV(f"{prefix}:AO", auto_monitor=False)
        assert pv.wait_for_connection(5)
        done: list[str] = []
        for value in (1.0, 2.0, 3.0):
            pv.put(value, callback=lambda pvname, **_: done.append(pvname))
        until(lambda: len(done) == 3)
        assert read(f"{prefix}:AO") == 3.0
        pv.disconnect()
