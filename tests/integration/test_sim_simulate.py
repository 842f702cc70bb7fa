"""The simulated hall at work: images on disk, its beam on Channel Access."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image

from hydrad.config import Watch
from hydrad.errors import HydradError
from hydrad.sim import simulate as simulation
from hydrad.sim.beam import BeamIoc, Names, Reading
from hydrad.sim.faults import Fault
from hydrad.sim.hall import render
from hydrad.sim.producers import Dump, producer
from hydrad.sim.simulate import Plan, filling, paint, scenario, simulate
from hydrad.watchers.layouts import Names as FileNames

PLOTS = ("CDC_occupancy", "ST_occupancy", "RF_timing")
PATIENCE_S = 20.0
READ_PVS = """
import json, sys, epics
pvs = [epics.PV(name, form="ctrl") for name in sys.argv[1:]]
connected = all([pv.wait_for_connection(10) for pv in pvs])
print(json.dumps([connected, [pv.get(timeout=5) for pv in pvs], pvs[0].units]), flush=True)
for line in sys.stdin:
    print(json.dumps([pv.get(use_monitor=False, timeout=5) for pv in pvs]), flush=True)
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def client(port: int) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts pyepics in a process of its own, with a server on ``port`` to find."""
    started: list[subprocess.Popen[str]] = []
    surroundings = os.environ | {
        "EPICS_CA_ADDR_LIST": f"127.0.0.1:{port}",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port),
    }

    def start(*names: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", READ_PVS, *names]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, env=surroundings, stdin=pipe, stdout=pipe, text=True))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


async def answer(process: subprocess.Popen[str], ask: bool = False) -> list[object]:
    def read() -> list[object]:
        assert process.stdin is not None
        assert process.stdout is not None
        if ask:
            process.stdin.write("again\n")
            process.stdin.flush()
        found: list[object] = json.loads(process.stdout.readline())
        return found

    return await asyncio.to_thread(read)


async def test_a_simulation_writes_dump_after_dump_and_serves_its_beam(
    tmp_path: Path, port: int, client: Callable[..., subprocess.Popen[str]]
) -> None:
    plan = Plan(tmp_path, cadence_s=0.5, plots=PLOTS, run=42, port=port, beam_pv="T:CURRENT", units="uA")
    running = asyncio.create_task(simulate(plan))
    try:
        reader = client("T:CURRENT", "SIM:BEAM:PERMIT", "SIM:RUN")
        connected, values, units = await answer(reader)
        assert connected
        current, permit, run = values  # type: ignore[misc]
        assert (current == pytest.approx(200, rel=0.1), permit, run, units) == (True, 6, 42, "uA")
        later = await changed(reader, current)
        assert later == pytest.approx(200, rel=0.1)
        wanted = {f"{plot}_{chunk:04d}.png" for plot in PLOTS for chunk in (1, 2, 3)}
        await until(lambda: wanted <= {path.name for path in tmp_path.glob("Run000042/*.png")})
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert whole_images(tmp_path) >= len(wanted)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("sim-")]


async def test_the_current_falls_in_a_trip_and_the_images_empty(
    tmp_path: Path, port: int, client: Callable[..., subprocess.Popen[str]]
) -> None:
    plan = Plan(tmp_path, layout="plain", cadence_s=0.5, plots=["ST_occupancy"], port=port, trips=[(1.0, 600.0)])
    running = asyncio.create_task(simulate(plan))
    try:
        reader = client(plan.beam_pv)
        connected, _, units = await answer(reader)
        assert (connected, units) == (True, "nA")
        deadline = time.monotonic() + PATIENCE_S
        while (current := (await answer(reader, ask=True))[0]) > 1:  # type: ignore[operator]
            assert time.monotonic() < deadline
        assert 0 <= current < 1  # type: ignore[operator]
        await until(lambda: dark(tmp_path / "ST_occupancy.png"))
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_equal_plans_write_equal_pixels(tmp_path: Path) -> None:
    fault = Fault("dead_board", "ST_*")
    plans = [Plan(tmp_path / name, "panguin", cadence_s=30, plots=PLOTS, faults=[fault]) for name in ("one", "two")]
    for plan in plans:
        running = asyncio.create_task(simulate(plan))
        await until(lambda plan=plan: len(list(plan.folder.glob("*.png"))) == len(PLOTS))
        running.cancel()  # what is being written is finished
        await asyncio.wait({running})
    first, second = ({path.name: path.read_bytes() for path in plan.folder.iterdir()} for plan in plans)
    assert first == second
    assert len(first) == len(PLOTS)
    with Image.open(plans[0].folder / "hydra_1_ST_occupancy_0001.png") as image:
        drawn = np.asarray(image)
    plan = plans[0]
    assert np.array_equal(drawn, paint(plan, "ST_occupancy", filling(plan, scenario(plan), 0)))
    assert not np.array_equal(drawn, render("ST_occupancy", seed=plan.seed * 1_000_003))


async def test_a_simulation_ends_by_itself_when_it_was_told_to(tmp_path: Path) -> None:
    began = time.monotonic()
    await simulate(Plan(tmp_path, "plain", cadence_s=0.1, plots=["ST_adc"]), until=0.5)
    assert 0.5 <= time.monotonic() - began < PATIENCE_S
    assert whole_images(tmp_path) == 1


async def test_a_folder_that_goes_away_ends_the_simulation(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    plan = Plan(folder, "plain", cadence_s=0.2, plots=["ST_adc"])
    running = asyncio.create_task(simulate(plan))
    await until((folder / "ST_adc.png").exists)
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("a file in its place")
    with pytest.raises(OSError, match="gone"):
        await asyncio.wait_for(running, PATIENCE_S)


async def test_a_port_that_is_taken_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HydradError, match=f"did not start on port {port}; is the port taken"):
            async with BeamIoc(port):
                pass


async def test_a_beam_ioc_that_died_is_noticed(port: int) -> None:
    async with BeamIoc(port) as beam:
        assert beam._process is not None
        beam._process.kill()
        await beam._process.wait()
        with pytest.raises(HydradError, match="has ended"):
            await publish_for_ever(beam)


def test_a_beam_ioc_ends_with_the_pipe_of_its_parent(port: int) -> None:
    command = [sys.executable, "-m", "hydrad.sim.beam_server", json.dumps(asdict(Names()))]
    surroundings = os.environ | {"EPICS_CA_SERVER_PORT": str(port), "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO"}
    with subprocess.Popen(command, env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("layout", ["rsai", "mon12", "panguin", "plain"])
def test_a_watcher_reads_from_a_producers_names_what_the_producer_meant(tmp_path: Path, layout: str) -> None:
    zone = ZoneInfo("America/New_York")
    dump = Dump(12345, datetime(2017, 10, 17, 22, 9, 49, tzinfo=UTC))
    writer = producer(layout, tmp_path, zone)
    writer.begin()
    names = FileNames(Watch(root=tmp_path, layout=layout), zone)  # type: ignore[arg-type]
    for plot in simulation.plots_of(Plan(tmp_path, layout)):
        said = names.caption(str(writer.path(dump, plot)), now=datetime.now(UTC))
        assert said.plot == plot
        assert said.run == (None if layout == "plain" else 12345)
        assert said.chunk == (1 if layout in {"rsai", "panguin"} else None)
        assert said.taken_at == (dump.taken_at if layout == "mon12" else None)


async def publish_for_ever(beam: BeamIoc) -> None:
    while True:
        await beam.publish(Reading(1.0))
        await asyncio.sleep(0)


async def changed(reader: subprocess.Popen[str], from_value: object) -> object:
    deadline = time.monotonic() + PATIENCE_S
    while (value := (await answer(reader, ask=True))[0]) == from_value:
        assert time.monotonic() < deadline
    return value


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def whole_images(folder: Path) -> int:
    paths = list(folder.rglob("*.png"))
    for path in paths:
        assert not path.name.startswith("tmp_canvas")
        with Image.open(path) as image:
            image.load()
    return len(paths)


def dark(path: Path) -> bool:
    """Whether the histogram in the image has next to no fill."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return bool((pixels == (170, 170, 232)).all(axis=2).mean() < 0.1)
