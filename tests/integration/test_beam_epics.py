"""The EPICS beam monitor against IOCs of EPICS base that come, go, freeze and lie."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from epics_env import BeamIoc, until

from hydrad.beam import epics_monitor, monitor
from hydrad.beam.epics_monitor import EpicsBeamMonitor
from hydrad.config import EpicsBeam
from hydrad.domain import BeamState
from hydrad.epics import listening
from hydrad.errors import ChangeRefused, ConfigurationError

ON, OFF, UNKNOWN = BeamState.ON, BeamState.OFF, BeamState.UNKNOWN
SOON_S = 20.0  # on a busy machine; it takes milliseconds, and libca by itself 35 s to see that an IOC is frozen


def watching(ioc: BeamIoc, *records: str, **keys: Any) -> EpicsBeamMonitor:
    pvs = tuple(ioc.pv(record) for record in records or ("CURRENT",))
    built = monitor(EpicsBeam(pv=pvs, **keys))
    assert isinstance(built, EpicsBeamMonitor)
    return built


async def becomes(beam: EpicsBeamMonitor, state: BeamState, within_s: float = SOON_S) -> float:
    return await until(lambda: beam.now().state is state, within_s)


async def test_the_beam_goes_on_at_its_threshold_and_off_only_below_the_lower_one(beam_ioc: BeamIoc) -> None:
    with watching(beam_ioc) as beam:
        await becomes(beam, OFF)
        assert beam.now().reason == "beam 0 nA, off below 3"
        for current, state in [(4.9, OFF), (5.0, ON), (3.0, ON), (2.9, OFF), (4.9, OFF), (120, ON)]:
            beam_ioc.put("CURRENT", current)
            await until(lambda current=current: beam.now().current == current, SOON_S)
            assert beam.now().state is state
        now = beam.now()
        assert (now.units, now.reason) == ("nA", "")
        assert now.read_at is not None
        assert abs(datetime.now(UTC) - now.read_at) < timedelta(seconds=SOON_S)
        assert now.since is not None
        assert {beam.now().since for _ in range(100)} == {now.since}


async def test_a_threshold_set_live_counts_at_once_and_nonsense_is_refused(beam_ioc: BeamIoc) -> None:
    beam_ioc.put("CURRENT", 4)
    with watching(beam_ioc, noise_above=500) as beam:
        await becomes(beam, OFF)
        beam.on_above = 2
        assert beam.now().state is ON
        with pytest.raises(ChangeRefused):
            beam.on_above = 600
        assert (beam.on_above, beam.now().state) == (2, ON)


async def test_a_reading_without_permit_is_no_beam(beam_ioc: BeamIoc) -> None:
    beam_ioc.put("CURRENT", 200)
    with watching(beam_ioc, permit_pv=beam_ioc.pv("PERMIT"), permit_value=6) as beam:
        await becomes(beam, ON)
        beam_ioc.put("PERMIT", 3)
        await becomes(beam, OFF)
        assert beam.now().reason == f"no beam permit: permit PV {beam_ioc.pv('PERMIT')} is 3, not 6"
        assert beam.now().current == 200
        beam_ioc.put("PERMIT", 6, "INVALID")
        await becomes(beam, UNKNOWN)
        beam_ioc.put("PERMIT", 6)
        await becomes(beam, ON)


@pytest.mark.parametrize(
    ("value", "severity", "why"),
    [(200, "INVALID", "is INVALID"), ("nan", "", "is INVALID"), (812, "", "which is noise")],
)
async def test_what_cannot_be_trusted_is_unknown_and_says_why(
    beam_ioc: BeamIoc, value: float, severity: str, why: str
) -> None:
    with watching(beam_ioc, noise_above=500) as beam:
        await becomes(beam, OFF)
        beam_ioc.put("CURRENT", value, severity)
        await becomes(beam, UNKNOWN)
        now = beam.now()
        assert now.reason.startswith(f"beam PV {beam_ioc.pv('CURRENT')} ")
        assert why in now.reason
        assert now.current is None
        beam_ioc.put("CURRENT", 200, "MAJOR")  # out of its limits, and to be believed
        await becomes(beam, ON)


async def test_of_several_pvs_the_least_counts_and_one_missing_is_enough_to_know_nothing(beam_ioc: BeamIoc) -> None:
    beam_ioc.put("CURRENT", 200)
    with watching(beam_ioc, "CURRENT", "CURRENT2") as beam, watching(beam_ioc, "CURRENT2", "NOBODY") as half:
        await becomes(beam, OFF)
        beam_ioc.put("CURRENT2", 100)
        await becomes(beam, ON)
        assert beam.now().current == 100
        wanted = (UNKNOWN, f"beam PV {beam_ioc.pv('NOBODY')} has not connected yet")
        async with asyncio.timeout(SOON_S):
            while (half.now().state, half.now().reason) != wanted:  # noqa: ASYNC110  the other PV of it may still connect
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("record", ["TEXT", "CLOSED"])
async def test_a_pv_that_is_no_number_or_may_not_be_read_is_unknown(beam_ioc: BeamIoc, record: str) -> None:
    with watching(beam_ioc, record) as beam:
        await until(lambda: "cannot be read: " in beam.now().reason, SOON_S)
        assert beam.now().state is UNKNOWN
        running = asyncio.create_task(beam.run())
        done, _ = await asyncio.wait([running], timeout=0.1)
        assert not done  # and it keeps asking
        running.cancel()


async def test_a_name_that_no_pv_can_have_is_a_fault_of_the_configuration(beam_ioc: BeamIoc) -> None:
    with pytest.raises(ConfigurationError, match="libca will not watch"), watching(beam_ioc, "X" * 70_000):
        pass


async def test_a_pv_that_never_changes_stays_known_as_long_as_its_ioc_answers(beam_ioc: BeamIoc) -> None:
    beam_ioc.put("CURRENT", 50)
    with watching(beam_ioc, stale_s=0.8) as beam:
        await becomes(beam, ON)
        began = datetime.now(UTC)
        ends = time.monotonic() + 3 * 0.8
        while time.monotonic() < ends:
            assert beam.now().state is ON, beam.now().reason
            await asyncio.sleep(0.02)
        assert beam.during(began, datetime.now(UTC)).reason == ""


async def test_a_frozen_ioc_is_unknown_after_stale_s_and_known_when_it_goes_on(fresh_beam_ioc: BeamIoc) -> None:
    fresh_beam_ioc.start().put("CURRENT", 50)
    with watching(fresh_beam_ioc, stale_s=1.2) as beam:
        await becomes(beam, ON)
        fresh_beam_ioc.freeze()
        await becomes(beam, UNKNOWN)
        assert beam.now().reason == f"beam PV {fresh_beam_ioc.pv('CURRENT')} gave no sign of life for 1.2 s"
        fresh_beam_ioc.thaw()
        await becomes(beam, ON)


async def test_a_killed_ioc_is_unknown_at_once_and_known_soon_after_it_is_back(
    fresh_beam_ioc: BeamIoc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "SEARCH_S", 1.0)
    fresh_beam_ioc.start().put("CURRENT", 50)
    with watching(fresh_beam_ioc) as beam:
        await becomes(beam, ON)
        fresh_beam_ioc.kill()
        await becomes(beam, UNKNOWN)
        assert beam.now().reason == f"beam PV {fresh_beam_ioc.pv('CURRENT')} disconnected"
        assert beam.now().read_at is not None  # when it was last heard of
        await asyncio.to_thread(fresh_beam_ioc.start)
        await becomes(beam, OFF)


async def test_a_pv_that_appears_late_is_found_soon(fresh_beam_ioc: BeamIoc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SEARCH_S", 0.5)
    with watching(fresh_beam_ioc) as beam:
        began = time.monotonic()
        await until(lambda: time.monotonic() - began > 8.5, 20)  # by now libca itself looks every eight seconds
        assert (beam.now().state, beam.now().read_at) == (UNKNOWN, None)
        await asyncio.to_thread(fresh_beam_ioc.start)
        await becomes(beam, OFF, within_s=6)  # libca itself would look again in 8 s


async def test_a_window_is_judged_by_what_held_most_of_it(beam_ioc: BeamIoc) -> None:
    with watching(beam_ioc) as beam:
        await becomes(beam, OFF)
        began = datetime.now(UTC)
        beam_ioc.put("CURRENT", 100)
        await becomes(beam, ON)
        await until(lambda: datetime.now(UTC) - began > timedelta(seconds=0.5), SOON_S)
        beam_ioc.put("CURRENT", 0)
        await becomes(beam, OFF)
        window = beam.during(began, datetime.now(UTC))
        assert window.state is ON
        assert window.current is not None
        assert 50 < window.current < 100
        assert beam.during(began - timedelta(hours=1), datetime.now(UTC)).state is UNKNOWN
        with pytest.raises(ValueError, match="before its start"):
            beam.during(datetime.now(UTC), began)


async def test_leaving_waits_for_no_frozen_ioc_and_leaves_no_thread(fresh_beam_ioc: BeamIoc) -> None:
    fresh_beam_ioc.start().put("CURRENT", 50)
    with watching(fresh_beam_ioc, "CURRENT", "NOBODY"), watching(fresh_beam_ioc, "CURRENT2") as beam:
        await becomes(beam, OFF)
        fresh_beam_ioc.freeze()
    assert not [thread for thread in threading.enumerate() if thread.name == "beam-proof"]
    await asyncio.sleep(0)
    assert beam.now().reason.endswith("is no longer watched")


async def test_run_ends_with_a_fault_when_nobody_asks_any_more(beam_ioc: BeamIoc) -> None:
    with watching(beam_ioc) as beam:
        running = asyncio.create_task(beam.run())
        await becomes(beam, OFF)
        assert not running.done()
    with pytest.raises(epics_monitor.HydradError, match="has ended"):
        await asyncio.wait_for(running, SOON_S)


def test_a_process_that_watches_says_nothing_but_its_log_and_ends_at_once(fresh_beam_ioc: BeamIoc) -> None:
    fresh_beam_ioc.start().put("CURRENT", 50)
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("beam_watch.py")), fresh_beam_ioc.pv("CURRENT"), "NOBODY:HERE"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ON\n"
        said = ""
        while "beam_on" not in said:
            said += process.stderr.readline()
        fresh_beam_ioc.kill()
        assert process.stdout.readline() == "UNKNOWN\n"
        process.stdin.close()
        said += process.stderr.read()
        assert process.wait(10) == 0
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert {"beam_on", "beam_unknown"} <= set(events)
