"""What every run monitor promises, asked of each of them; the one of EPICS against a real IOC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from epics_env import BeamIoc, until

from hydrad.config import EpicsRun, PathRun
from hydrad.domain import RunState
from hydrad.runs import Watch, monitor


@pytest.fixture(params=["path", "number", "all"])
async def runs(request: pytest.FixtureRequest, beam_ioc: BeamIoc) -> AsyncIterator[Watch]:
    """A monitor of a hall in which a run is going, as far as it can know."""
    beam_ioc.put("DAQ", "running")
    pvs = {"number_pv": beam_ioc.pv("RUN"), "state_pv": beam_ioc.pv("DAQ"), "type_pv": beam_ioc.pv("TYPE")}
    section = {
        "path": PathRun(),
        "number": EpicsRun(number_pv=pvs["number_pv"]),
        "all": EpicsRun(**pvs),
    }[request.param]
    with monitor(section) as watch:
        await until(lambda: not watch.now().reason, 5)
        yield watch


async def test_while_a_run_is_going_or_may_be_it_is_not_idle_and_masks_nothing(runs: Watch) -> None:
    now = runs.now()
    assert now.state is not RunState.IDLE
    assert (now.masked, now.reason) == (False, "")


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(hours=1)])
async def test_a_path_that_names_a_run_is_believed(runs: Watch, ago: timedelta) -> None:
    end = datetime.now(UTC) - ago
    run = runs.during(end - timedelta(seconds=30), end, 4711)
    assert (run.number, run.masked) == (4711, False)


async def test_an_image_from_the_future_belongs_to_the_run_of_now(runs: Watch) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    assert runs.during(end - timedelta(seconds=30), end, None).number == runs.now().number


async def test_run_goes_on_for_ever_and_can_be_cancelled(runs: Watch) -> None:
    running = asyncio.create_task(runs.run())
    done, _ = await asyncio.wait([running], timeout=0.1)
    assert not done
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
