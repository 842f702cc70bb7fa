"""Lets the simulated hall run: a round of images every few seconds, a beam to judge them by, faults on schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from hydrad import log
from hydrad.domain import Pixels
from hydrad.errors import ConfigurationError
from hydrad.sim import hall
from hydrad.sim.beam import BeamIoc, Names, Reading
from hydrad.sim.current import BeamCourse
from hydrad.sim.faults import Fault
from hydrad.sim.producers import Dump, Producer, producer
from hydrad.sim.story import IMAGES_PER_BEAT, SHORTEST_BEAT_S, Event, Scenario

BEAM_EVERY_S: Final = 0.5
PERMITTED: Final = 6  # the permit's value with beam permit
PAINTERS: Final = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate. Equal plans write equal pixels, dump by dump."""

    folder: Path
    layout: str = "rsai"  # rsai, mon12, panguin, plain
    cadence_s: float = 30.0
    seed: int = 1
    faults: Sequence[Fault] = ()
    run: int = 1
    plots: Sequence[str] | None = None  # None: all that the layout can name
    zone: str = "UTC"  # of times in names
    beam_pv: str = "SIM:BEAM:CURRENT"
    permit_pv: str = "SIM:BEAM:PERMIT"
    run_pv: str = "SIM:RUN"
    units: str = "nA"
    nominal: float = 200.0  # beam current, in units
    port: int | None = None  # of the beam IOC on 127.0.0.1; None: no IOC
    trips: Sequence[tuple[float, float]] = ()  # beam trips: start, length, in seconds
    story: bool = False  # a fault every minute or so, chosen by the seed
    originals: Path | None = None  # rsai only: images are written there and published as links


def scenario(plan: Plan) -> Scenario:
    """The schedule of faults and trips; ``scenario(plan).events(0, 600)`` are those of the first ten minutes.

    Raises:
        ConfigurationError: when a fault is about no plot of the hall or makes no sense for it, or time stands still.
    """
    if plan.cadence_s <= 0:
        raise ConfigurationError(f"--cadence-s: must be above 0, not {plan.cadence_s}")
    for fault in plan.faults:
        hall.plots_of(fault)
    beat_s = max(SHORTEST_BEAT_S, IMAGES_PER_BEAT * plan.cadence_s) if plan.story else None
    return Scenario(_from_the_first_image(plan), tuple(plan.trips), plots_of(plan), plan.seed, beat_s)


def _from_the_first_image(plan: Plan) -> Sequence[Fault]:
    """A fault that is there at the start was there while the first image filled, which is before the start."""
    early_s = plan.cadence_s
    return tuple(
        replace(fault, start_s=-early_s, length_s=None if fault.length_s is None else fault.length_s + early_s)
        if fault.start_s == 0
        else fault
        for fault in plan.faults
    )


def plots_of(plan: Plan) -> Sequence[str]:
    """The plots a plan writes.

    Raises:
        ConfigurationError: when it names one that the hall does not have.
    """
    if plan.plots is None:
        return tuple(plot for plot in hall.PLOTS if " " not in plot or plan.layout == "mon12")
    if unknown := [plot for plot in plan.plots if plot not in hall.PLOTS]:
        raise ConfigurationError(f"plots: no plot is called {', '.join(unknown)}; there are {', '.join(hall.PLOTS)}")
    return tuple(plan.plots)


@dataclass(frozen=True, slots=True)
class Filling:
    """What the images of one dump were filled with."""

    number: int  # of the dump, from 0
    beam: float  # mean over the time, as a share of the usual beam
    faults: Sequence[Fault]


def filling(plan: Plan, told: Scenario, number: int) -> Filling:
    """The beam and the faults of a dump: those of the cadence that ends as it is written."""
    end_s = number * plan.cadence_s
    start_s = end_s - plan.cadence_s
    beam = BeamCourse(told, plan.nominal, plan.seed).filled(start_s, end_s)
    return Filling(number, beam, told.faults_during(start_s, end_s))


def paint(plan: Plan, plot: str, filled: Filling) -> Pixels:
    """What a plot shows in a dump: uint8 RGB, shape (height, width, 3)."""
    seed = plan.seed * 1_000_003 + filled.number
    return hall.render(plot, seed=seed, faults=filled.faults, beam=filled.beam, run=plan.run)


async def simulate(plan: Plan, *, until: float | None = None) -> None:
    """Write a dump at once and then one every ``cadence_s``, and serve the beam, until cancelled.

    Args:
        until: end by itself so many seconds after the start.

    Raises:
        ConfigurationError: for a plan that cannot be followed.
        HydradError: when the beam IOC does not start or ends.
        OSError: when the folder cannot be written.
    """
    told = scenario(plan)
    writer = producer(plan.layout, plan.folder, _zone(plan.zone), originals=plan.originals)
    names = Names(plan.beam_pv, plan.permit_pv, plan.run_pv, plan.units)
    async with AsyncExitStack() as stack:
        beam = None if plan.port is None else await stack.enter_async_context(BeamIoc(plan.port, names))
        press = _Press(
            writer,
            painters=stack.enter_context(_threads("sim-paint", PAINTERS)),
            pen=stack.enter_context(_threads("sim-write", 1)),
        )
        start = asyncio.get_running_loop().time()
        limit = asyncio.timeout(until)
        try:
            async with limit, asyncio.TaskGroup() as tasks:
                tasks.create_task(_dump(plan, told, press, start), name="sim-dump")
                tasks.create_task(_announce(told, start), name="sim-announce")
                if beam is not None:
                    tasks.create_task(_beam(plan, told, beam, start), name="sim-beam")
        except TimeoutError:
            if not limit.expired():
                raise
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from faults


@dataclass(frozen=True, slots=True)
class _Press:
    """Whoever draws and whoever writes."""

    writer: Producer
    painters: ThreadPoolExecutor
    pen: ThreadPoolExecutor


async def _dump(plan: Plan, told: Scenario, press: _Press, start: float) -> None:
    loop = asyncio.get_running_loop()
    number = 0
    while True:
        await asyncio.sleep(start + number * plan.cadence_s - loop.time())
        dump = Dump(plan.run, datetime.now(UTC))
        begun = loop.time()
        press.writer.begin()
        plots = plots_of(plan)
        filled = filling(plan, told, number)
        painted = [loop.run_in_executor(press.painters, paint, plan, plot, filled) for plot in plots]
        for plot, pixels in zip(plots, painted, strict=True):
            await loop.run_in_executor(press.pen, press.writer.write, dump, plot, await pixels)
        log.get("sim").info("dump_written", number=number, plots=len(plots), took_s=round(loop.time() - begun, 3))
        behind = int((loop.time() - start) / plan.cadence_s)
        if behind > number + 1:
            log.get("sim").warning("dumps_skipped", count=behind - number - 1)
        number = max(number + 1, behind)


async def _beam(plan: Plan, told: Scenario, beam: BeamIoc, start: float) -> None:
    loop = asyncio.get_running_loop()
    course = BeamCourse(told, plan.nominal, plan.seed)
    tick = 0
    while True:
        await asyncio.sleep(start + tick * BEAM_EVERY_S - loop.time())
        current = course.current(tick * BEAM_EVERY_S)
        await beam.publish(Reading(current, PERMITTED, plan.run))
        tick += 1


async def _announce(told: Scenario, start: float) -> None:
    """Say in the log what begins and what ends."""
    loop = asyncio.get_running_loop()
    going: list[Event] = []
    while True:
        at_s = loop.time() - start
        present = list(told.events(at_s, at_s + 1e-3))
        for event in present:
            if event not in going:
                log.get("sim").info("event_begins", what=event.says, until_s=event.end_s)
        for event in going:
            if event not in present:
                log.get("sim").info("event_ends", what=event.says)
        going = present
        await asyncio.sleep(BEAM_EVERY_S)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as fault:
        raise ConfigurationError(f"zone: {name!r} is no time zone of the IANA data base") from fault


@contextmanager
def _threads(name: str, count: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
