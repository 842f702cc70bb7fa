"""Images handed in by a person."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from watched import ZONE, png, section, taking, until

from hydrad.domain import Arrival
from hydrad.watchers.layouts import Names
from hydrad.watchers.replay import ReplayWatcher


async def test_each_file_is_handed_over_once_and_in_order(tmp_path: Path) -> None:
    async with taking(ReplayWatcher()) as taken:
        for n in range(5):
            (tmp_path / f"{n}.png").write_bytes(png(n))
            taken.watcher.submit(tmp_path / f"{n}.png", submission=n)
        assert taken.watcher.pending == 5
        await taken.count(5)
        await taken.nothing_more(0.05)
    assert taken.names == [f"{n}.png" for n in range(5)]
    assert [arrival.submission for arrival in taken.arrivals] == list(range(5))
    assert taken.arrivals[0].size == (tmp_path / "0.png").stat().st_size
    assert taken.watcher.pending == 0


async def test_the_same_file_may_be_handed_in_twice(tmp_path: Path) -> None:
    (tmp_path / "CDC.png").write_bytes(png(1))
    async with taking(ReplayWatcher()) as taken:
        for submission in (1, 2):
            taken.watcher.submit(tmp_path / "CDC.png", submission=submission)
        await taken.count(2)
    assert [arrival.submission for arrival in taken.arrivals] == [1, 2]


async def test_what_a_person_says_counts_more_than_the_name(tmp_path: Path) -> None:
    path = tmp_path / "Run000012" / "shot.png"
    async with taking(ReplayWatcher()) as taken:
        taken.watcher.submit(path)
        taken.watcher.submit(path, plot="CDC_occupancy", run=99)
        await taken.count(2)
    assert [(arrival.plot, arrival.run) for arrival in taken.arrivals] == [("shot", 12), ("CDC_occupancy", 99)]


async def test_a_file_in_a_watched_folder_is_read_by_its_layout(tmp_path: Path) -> None:
    names = Names(section(tmp_path / "rsai", layout="rsai"), ZONE)
    async with taking(ReplayWatcher([names])) as taken:
        taken.watcher.submit(tmp_path / "rsai" / "Run000012" / "CDC_0003.png")
        taken.watcher.submit(tmp_path / "rsai2" / "CDC_0003.png")
        await taken.count(2)
    assert [(a.plot, a.run, a.chunk) for a in taken.arrivals] == [("CDC", 12, 3), ("CDC_0003", None, None)]


async def test_a_file_that_is_not_there_is_handed_over_all_the_same(tmp_path: Path) -> None:
    async with taking(ReplayWatcher()) as taken:
        taken.watcher.submit(tmp_path / "gone.png", submission=4)
        await taken.count(1)
    assert (taken.arrivals[0].size, taken.arrivals[0].submission) == (0, 4)


async def test_an_unfinished_file_is_handed_over_again_and_its_rest_grows(tmp_path: Path) -> None:
    async with taking(ReplayWatcher()) as taken:
        taken.watcher.submit(tmp_path / "CDC.png", submission=7)
        for n in range(1, 4):
            await taken.count(n)
            taken.watcher.again(taken.arrivals[-1])
            assert taken.watcher.pending == 1
    rests = [arrival.at_rest_s for arrival in taken.arrivals]
    assert rests[0] < 0.15
    assert rests[1] > 0.15
    assert rests[2] > 2 * rests[1] - 0.1
    assert {arrival.submission for arrival in taken.arrivals} == {7}


async def test_new_files_do_not_wait_for_unfinished_ones(tmp_path: Path) -> None:
    async with taking(ReplayWatcher()) as taken:
        taken.watcher.submit(tmp_path / "a.png")
        await taken.count(1)
        late = Arrival(**{n: getattr(taken.arrivals[0], n) for n in Arrival.__slots__} | {"at_rest_s": 100.0})
        taken.watcher.again(late)
        taken.watcher.submit(tmp_path / "b.png")
        await taken.count(2, 1.0)
    assert taken.names == ["a.png", "b.png"]


async def test_it_gives_signs_of_life() -> None:
    async with taking(ReplayWatcher()) as taken:
        before = time.monotonic()
        await until(lambda: taken.watcher.ticked_at > before, 2.5)
        await asyncio.sleep(0)
