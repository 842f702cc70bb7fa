"""The run monitor against IOCs of EPICS base that come, go, freeze and lie."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from epics_env import BeamIoc, until

from hydrad.config import EpicsRun
from hydrad.domain import RunState
from hydrad.epics import listening
from hydrad.errors import HydradError
from hydrad.runs import EpicsRunMonitor, monitor

IDLE, RUNNING, UNKNOWN = RunState.IDLE, RunState.RUNNING, RunState.UNKNOWN
SOON_S = 20.0  # on a busy machine; it takes milliseconds, and libca by itself 35 s to see that an IOC is frozen


def watching(ioc: BeamIoc, **keys: Any) -> EpicsRunMonitor:
    pvs = {"number_pv": ioc.pv("RUN"), "state_pv": ioc.pv("DAQ"), "type_pv": ioc.pv("TYPE")}
    built = monitor(EpicsRun(**pvs | keys))
    assert isinstance(built, EpicsRunMonitor)
    return built


async def becomes(runs: EpicsRunMonitor, state: RunState, within_s: float = SOON_S) -> float:
    return await until(lambda: runs.now().state is state, within_s)


async def test_a_run_begins_is_of_a_type_and_ends(beam_ioc: BeamIoc) -> None:
    with watching(beam_ioc) as runs:
        await until(lambda: not runs.now().reason, SOON_S)
        now = runs.now()
        assert (now.state, now.number, now.type, now.masked) == (IDLE, 100, "PRODUCTION", False)
        beam_ioc.put("RUN", 101)
        beam_ioc.put("TYPE", "cosmic_led")
        beam_ioc.put("DAQ", "running")
        await until(lambda: runs.now().state is RUNNING and runs.now().masked, SOON_S)
        assert (runs.now().number, runs.now().type) == (101, "cosmic_led")
        beam_ioc.put("TYPE", "PRODUCTION")
        await until(lambda: not runs.now().masked, SOON_S)
        since = runs.now().since
        assert since is not None
        assert abs(datetime.now(UTC) - since) < timedelta(seconds=SOON_S)
        assert {runs.now().since for _ in range(100)} == {since}
        run = runs.during(datetime.now(UTC) - timedelta(seconds=1), datetime.now(UTC), 101)
        assert run.number == 101
        beam_ioc.put("DAQ", "ended")
        await becomes(runs, IDLE)


async def test_a_state_that_is_an_enum_is_read_by_its_word(beam_ioc: BeamIoc) -> None:
    with watching(beam_ioc, state_pv=beam_ioc.pv("STATE")) as runs:
        await becomes(runs, IDLE)
        beam_ioc.put("STATE", 1)
        await becomes(runs, RUNNING)


@pytest.mark.parametrize("record", ["DAQ", "TYPE", "RUN"])
async def test_a_pv_that_is_invalid_is_not_known_and_says_so(beam_ioc: BeamIoc, record: str) -> None:
    beam_ioc.put("DAQ", "running")
    beam_ioc.put("TYPE", "cosmic")
    with watching(beam_ioc) as runs:
        await until(lambda: runs.now().masked and runs.now().state is RUNNING, SOON_S)
        beam_ioc.put(record, 5 if record == "RUN" else "cosmic", "INVALID")
        await until(lambda: bool(runs.now().reason), SOON_S)
        now = runs.now()
        assert f"{beam_ioc.pv(record)} is INVALID" in now.reason
        assert {"DAQ": now.state is UNKNOWN, "TYPE": not now.masked, "RUN": now.number is None}[record]


async def test_pvs_that_stand_still_stay_known_as_long_as_their_ioc_answers(beam_ioc: BeamIoc) -> None:
    beam_ioc.put("DAQ", "running")
    with watching(beam_ioc, stale_s=0.8) as runs:
        await becomes(runs, RUNNING)
        ends = time.monotonic() + 3 * 0.8
        while time.monotonic() < ends:
            assert runs.now().state is RUNNING, runs.now().reason
            await asyncio.sleep(0.02)


async def test_a_frozen_ioc_is_noticed_after_stale_s_and_known_when_it_goes_on(fresh_beam_ioc: BeamIoc) -> None:
    fresh_beam_ioc.start().put("TYPE", "cosmic")
    with watching(fresh_beam_ioc, stale_s=1.2) as runs:
        await until(lambda: runs.now().masked and runs.now().state is IDLE, SOON_S)
        fresh_beam_ioc.freeze()
        await becomes(runs, UNKNOWN)
        assert "gave no sign of life for 1.2 s" in runs.now().reason
        await until(lambda: not runs.now().masked, SOON_S)
        fresh_beam_ioc.thaw()
        await until(lambda: runs.now().masked and runs.now().state is IDLE, SOON_S)


async def test_a_killed_ioc_is_unknown_at_once_and_known_soon_after_it_is_back(
    fresh_beam_ioc: BeamIoc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "SEARCH_S", 1.0)
    fresh_beam_ioc.start()
    with watching(fresh_beam_ioc) as runs:
        await becomes(runs, IDLE)
        fresh_beam_ioc.kill()
        await becomes(runs, UNKNOWN)
        assert runs.now().reason.count("disconnected") == 3
        await asyncio.to_thread(fresh_beam_ioc.start)
        await becomes(runs, IDLE)


async def test_leaving_waits_for_no_frozen_ioc_and_leaves_no_thread(fresh_beam_ioc: BeamIoc) -> None:
    fresh_beam_ioc.start()
    with watching(fresh_beam_ioc) as runs:
        await becomes(runs, IDLE)
        fresh_beam_ioc.freeze()
    assert not [thread for thread in threading.enumerate() if thread.name == "run-proof"]
    assert "is no longer watched" in runs.now().reason


async def test_run_ends_with_a_fault_when_nobody_asks_any_more(beam_ioc: BeamIoc) -> None:
    with watching(beam_ioc) as runs:
        running = asyncio.create_task(runs.run())
        await becomes(runs, IDLE)
        assert not running.done()
    with pytest.raises(HydradError, match="has ended"):
        await asyncio.wait_for(running, SOON_S)
