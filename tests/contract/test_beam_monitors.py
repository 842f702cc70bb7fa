"""What every beam monitor promises, asked of each of them; the one of EPICS against a real IOC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from epics_env import BeamIoc, until

from hydrad.beam import EpicsBeamMonitor, FixedBeamMonitor, monitor
from hydrad.config import EpicsBeam, FixedBeam
from hydrad.domain import BeamState
from hydrad.errors import ChangeRefused
from hydrad.ports import BeamMonitor

Monitor = EpicsBeamMonitor | FixedBeamMonitor
With = Callable[[float], Awaitable[Monitor]]


@pytest.fixture(params=["epics", "fixed"])
async def reading(request: pytest.FixtureRequest, beam_ioc: BeamIoc) -> AsyncIterator[With]:
    """Makes a monitor that reads this current, with on_above 5 µA."""
    async with AsyncExitStack() as stack:

        async def fixed(current: float) -> Monitor:
            return stack.enter_context(monitor(FixedBeam(current=current, units="µA")))

        async def epics(current: float) -> Monitor:
            beam_ioc.put("CURRENT", current)
            beam = stack.enter_context(monitor(EpicsBeam(pv=(beam_ioc.pv("CURRENT"),), units="µA")))
            await until(lambda: beam.now().current == current, 5)
            return beam

        yield {"fixed": fixed, "epics": epics}[request.param]


async def test_a_current_at_the_threshold_is_beam_and_needs_no_reason(reading: With) -> None:
    beam: BeamMonitor = await reading(5.0)
    now = beam.now()
    assert (now.state, now.current, now.units, now.reason) == (BeamState.ON, 5.0, "µA", "")
    assert now.read_at is not None
    assert timedelta(0) <= datetime.now(UTC) - now.read_at < timedelta(seconds=5)


async def test_a_lower_current_is_off_and_says_why(reading: With) -> None:
    now = (await reading(0.5)).now()
    assert (now.state, now.current) == (BeamState.OFF, 0.5)
    assert now.reason.startswith("beam 0.5 µA, o")


async def test_the_threshold_moves_while_running(reading: With) -> None:
    beam = await reading(50.0)
    assert beam.on_above == 5.0
    beam.on_above = 100.0
    assert (beam.on_above, beam.now().state) == (100.0, BeamState.OFF)
    beam.on_above = 20.0
    assert beam.now().state is BeamState.ON


@pytest.mark.parametrize("nonsense", [0.0, -1.0, float("nan"), float("inf")])
async def test_a_threshold_that_makes_no_sense_changes_nothing(reading: With, nonsense: float) -> None:
    beam = await reading(50.0)
    with pytest.raises(ChangeRefused):
        beam.on_above = nonsense
    assert (beam.on_above, beam.now().state) == (5.0, BeamState.ON)


async def test_a_window_has_a_state_a_mean_and_an_end(reading: With) -> None:
    beam = await reading(50.0)
    start = datetime.now(UTC)
    await until(lambda: datetime.now(UTC) > start, 5)
    end = datetime.now(UTC)
    window = beam.during(start, end)
    assert (window.state, window.units, window.reason, window.read_at) == (BeamState.ON, "µA", "", end)
    assert window.current == pytest.approx(50.0)
    assert beam.during(end, end).state is BeamState.ON


async def test_a_window_that_reaches_into_the_future_ends_now(reading: With) -> None:
    beam = await reading(50.0)
    window = beam.during(datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1))
    assert window.state is BeamState.ON
    assert window.read_at is not None
    assert window.read_at <= datetime.now(UTC)


async def test_a_window_that_ends_before_it_starts_is_a_mistake(reading: With) -> None:
    beam = await reading(50.0)
    end = datetime.now(UTC)
    with pytest.raises(ValueError, match="before its start"):
        beam.during(end + timedelta(seconds=1), end)


async def test_run_goes_on_for_ever_and_can_be_cancelled(reading: With) -> None:
    beam = await reading(50.0)
    running = asyncio.create_task(beam.run())
    done, _ = await asyncio.wait([running], timeout=0.1)
    assert not done
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_another_sections_limits_hold_from_then_on(reading: With) -> None:
    beam = await reading(50.0)
    beam.on_above = 20.0
    beam.section = beam.section.model_copy(update={"on_above": 80.0})
    assert (beam.on_above, beam.now().state) == (80.0, BeamState.OFF)
    beam.section = beam.section.model_copy(update={"on_above": 5.0})
    assert (beam.on_above, beam.now().state) == (5.0, BeamState.ON)
