"""What every watcher of a folder promises, whether the kernel tells it or it goes to look."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from watched import KINDS, at_home, log_lines, png, taking, until, watcher_for

from hydrad.domain import Arrival
from hydrad.errors import UnfinishedImage
from hydrad.images import picture_of
from hydrad.watchers.follow import FolderWatcher

REAL = Path(__file__).parents[2].parent / "shared" / "real"


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "monitoring"
    path.mkdir()
    return path


@dataclass(frozen=True)
class Told:
    size: int
    mtime_ns: int


def place(path: Path, data: bytes) -> None:
    """Write beside the watched tree, then rename into it."""
    beside = path.parent / f".{path.name}.part"
    beside.write_bytes(data)
    beside.rename(path)


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def test_a_file_renamed_into_place_arrives(kind: str, root: Path) -> None:
    async with taking(watcher_for(kind, root)) as taken:
        await at_home(taken)
        before = datetime.now(UTC)
        place(root / "CDC_occupancy.png", png(1))
        await taken.count(1)
    (arrival,) = taken.arrivals
    status = (root / "CDC_occupancy.png").stat()
    assert (arrival.path, arrival.plot) == (root / "CDC_occupancy.png", "CDC_occupancy")
    assert (arrival.size, arrival.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert before <= arrival.seen_at <= datetime.now(UTC)
    assert abs(arrival.taken_at.timestamp() - status.st_mtime) < 0.001
    assert arrival.taken_at.tzinfo is UTC
    assert arrival.submission is None


async def test_files_that_lay_there_arrive_with_the_oldest_first(kind: str, root: Path) -> None:
    (root / "Run000012").mkdir()
    ages = {"c.png": 300, "Run000012/a.png": 100, "b.png": 200, "Run000012/d.png": 9000}
    for name, age in ages.items():
        (root / name).write_bytes(png(age))
        then = time.time() - age
        os.utime(root / name, (then, then))
    async with taking(watcher_for(kind, root)) as taken:
        await taken.count(4)
        await taken.nothing_more()
    assert taken.names == ["d.png", "c.png", "b.png", "a.png"]


async def test_a_file_written_in_pieces_arrives_once_and_whole(kind: str, root: Path) -> None:
    data = png(3, (300, 200))
    async with taking(watcher_for(kind, root, settle_ms=250)) as taken:
        await at_home(taken)
        with (root / "CDC.png").open("wb", buffering=0) as file:
            for n in range(10):
                file.write(data[n * len(data) // 10 : (n + 1) * len(data) // 10])
                await asyncio.sleep(0.1)
        await taken.count(1)
        await taken.nothing_more()
    assert taken.contents == {root / "CDC.png": [data]}


async def test_a_file_that_is_opened_again_for_each_piece_ends_whole(kind: str, root: Path) -> None:
    data = png(4, (300, 200))
    watcher = watcher_for(kind, root)
    judged: list[bytes] = []

    async def judge() -> None:
        async for arrival in watcher.arrivals():
            try:
                judged.append(picture_of(arrival.path.read_bytes()).data)
            except UnfinishedImage:
                watcher.again(arrival)

    with watcher:
        task = asyncio.create_task(judge())
        (root / "CDC.png").touch()
        for n in range(8):
            with (root / "CDC.png").open("ab") as file:
                file.write(data[n * len(data) // 8 : (n + 1) * len(data) // 8])
            await asyncio.sleep(0.05)
        await until(lambda: judged == [data])
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert judged == [data]
    assert watcher.pending == 0


async def test_a_link_to_a_file_at_rest_arrives(kind: str, root: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.png"
    target.write_bytes(png(5))
    os.utime(target, (time.time() - 5000,) * 2)
    async with taking(watcher_for(kind, root)) as taken:
        await at_home(taken)
        (root / "CDC.png").symlink_to(target)
        await taken.count(1)
        await taken.nothing_more()
    (arrival,) = taken.arrivals
    assert arrival.path == root / "CDC.png"
    assert (arrival.size, arrival.mtime_ns) == (target.stat().st_size, target.stat().st_mtime_ns)


async def test_a_link_waits_until_its_target_is_there(kind: str, root: Path, tmp_path: Path) -> None:
    with log_lines() as lines:
        async with taking(watcher_for(kind, root, rescan_s=0.1)) as taken:
            (root / "CDC.png").symlink_to(tmp_path / "later.png")
            await until(lambda: any(line["event"] == "link_waits_for_its_target" for line in lines))
            await taken.nothing_more(0.25)
            (tmp_path / "later.png").write_bytes(png(6))
            await taken.count(1)
            await taken.nothing_more()
    assert taken.names == ["CDC.png"]
    assert [line["event"] for line in lines].count("link_waits_for_its_target") == 1


async def test_a_link_turned_to_another_file_arrives_again(kind: str, root: Path, tmp_path: Path) -> None:
    for n in (1, 2):
        (tmp_path / f"{n}.png").write_bytes(png(n, (n, n)))
    async with taking(watcher_for(kind, root)) as taken:
        (root / "CDC.png").symlink_to(tmp_path / "1.png")
        await taken.count(1)
        (root / ".new").symlink_to(tmp_path / "2.png")
        (root / ".new").rename(root / "CDC.png")
        await taken.count(2)
        await taken.nothing_more()
    assert taken.contents[root / "CDC.png"] == [png(1, (1, 1)), png(2, (2, 2))]


async def test_a_folder_behind_a_link_is_followed_and_a_loop_is_not(kind: str, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.png").write_bytes(png(1))
    (outside / "back").symlink_to(root)
    (root / "feed").symlink_to(outside)
    (root / "self").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    async with taking(watcher_for(kind, root)) as taken:
        await taken.count(1)
        place(outside / "b.png", png(2))
        await taken.count(2)
        (outside / "loop").symlink_to(outside)
        (root / "again").symlink_to(root / "feed")
        place(root / "c.png", png(3))
        await taken.count(3)
        await taken.nothing_more()
    assert [arrival.path for arrival in taken.arrivals] == [root / "feed/a.png", root / "feed/b.png", root / "c.png"]


async def test_a_folder_goes_by_its_own_name_not_by_a_link_to_it(kind: str, root: Path) -> None:
    (root / "a_latest").symlink_to(root / "Run000012")
    (root / "Run000012").mkdir()
    (root / "Run000012/x.png").write_bytes(png(1))
    async with taking(watcher_for(kind, root)) as taken:
        await taken.count(1)
        await taken.nothing_more()
    assert [arrival.path for arrival in taken.arrivals] == [root / "Run000012/x.png"]


async def test_what_is_no_image_hidden_or_ignored_does_not_arrive(kind: str, root: Path) -> None:
    async with taking(watcher_for(kind, root, ignore=("tmp_canvas_*", "summary_*", "old"))) as taken:
        await at_home(taken)
        for name in ("tmp_canvas_123.png", "hist.root", ".CDC.png", "note.txt", "summary_1.gif", "CDC.png.part"):
            (root / name).write_bytes(png(1))
        for folder in (".hidden", "old"):
            (root / folder).mkdir()
            (root / folder / "x.png").write_bytes(png(2))
        os.mkfifo(root / "pipe.png")
        (root / "folder.png").mkdir()
        (root / "folder.png" / "CDC.JPEG").write_bytes(png(3))
        await taken.count(1)
        await taken.nothing_more()
    assert taken.names == ["CDC.JPEG"]


async def test_the_scratch_file_that_a_producer_removes_is_no_loss(kind: str, root: Path) -> None:
    async with taking(watcher_for(kind, root)) as taken:
        await at_home(taken)
        (root / "tmp_canvas_77.png").write_bytes(png(1))
        (root / "CDC_0001.png").write_bytes(png(1))
        (root / "tmp_canvas_77.png").unlink()
        await taken.count(1)
        await taken.nothing_more()
    assert taken.names == ["CDC_0001.png"]


async def test_a_name_that_comes_again_with_new_content_arrives_again(kind: str, root: Path) -> None:
    async with taking(watcher_for(kind, root)) as taken:
        for n in range(4):
            data = png(n, (9, 9))
            if n % 2:
                place(root / "CDC_0001.png", data)
            else:
                (root / "CDC_0001.png").write_bytes(data)
            await taken.until(lambda data=data: taken.contents.get(root / "CDC_0001.png", [b""])[-1] == data)
        await taken.nothing_more()
    assert taken.contents[root / "CDC_0001.png"] == [png(n, (9, 9)) for n in range(4)]
    assert len({(arrival.size, arrival.mtime_ns) for arrival in taken.arrivals}) == 4


async def test_new_folders_arrive_with_what_is_in_them(kind: str, root: Path, tmp_path: Path) -> None:
    async with taking(watcher_for(kind, root)) as taken:
        await at_home(taken)
        deep = root / "Run000012" / "a" / "b"
        deep.mkdir(parents=True)
        for n in range(5):
            (deep / f"{n}.png").write_bytes(png(n))
        (tmp_path / "ready").mkdir()
        (tmp_path / "ready" / "r.png").write_bytes(png(9))
        (tmp_path / "ready").rename(root / "Run000013")
        await taken.count(6)
        place(deep / "late.png", png(10))
        place(root / "Run000013" / "late.png", png(11))
        await taken.count(8)
        await taken.nothing_more()
    assert sorted(taken.names) == ["0.png", "1.png", "2.png", "3.png", "4.png", "late.png", "late.png", "r.png"]
    assert {arrival.run for arrival in taken.arrivals} == {12, 13}


async def test_a_folder_that_moves_takes_its_name_along(kind: str, root: Path) -> None:
    (root / "today").mkdir()
    async with taking(watcher_for(kind, root)) as taken:
        await at_home(taken)
        (root / "today").rename(root / "Run000007")
        await asyncio.sleep(0.1)
        place(root / "Run000007" / "x.png", png(1))
        await taken.count(1)
        await taken.nothing_more()
    assert [(arrival.path, arrival.run) for arrival in taken.arrivals] == [(root / "Run000007" / "x.png", 7)]


async def test_a_burst_of_two_thousand_arrives_in_full(kind: str, root: Path) -> None:
    data = png(1)
    async with taking(watcher_for(kind, root)) as taken:
        await at_home(taken)
        for n in range(2000):
            (root / f"p{n}.png").write_bytes(data)
            if n % 100 == 0:
                await asyncio.sleep(0)
        await taken.count(2000, 30)
        await taken.nothing_more()
    assert set(taken.names) == {f"p{n}.png" for n in range(2000)}
    assert len(taken.names) == 2000


async def test_rounds_offer_nothing_twice(kind: str, root: Path) -> None:
    for n in range(20):
        (root / f"{n}.png").write_bytes(png(n))
    async with taking(watcher_for(kind, root, rescan_s=0.05)) as taken:
        await taken.count(20)
        (root / "3.png").chmod(0o600)
        os.link(root / "4.png", root / ".backup-of-4")
        await taken.nothing_more(0.6)


async def test_what_was_told_before_a_restart_is_not_told_again(kind: str, root: Path) -> None:
    for n in range(4):
        (root / f"{n}.png").write_bytes(png(n))
    told = {}
    async with taking(watcher_for(kind, root)) as taken:
        await taken.count(4)
        told = {str(a.path): Told(a.size, a.mtime_ns) for a in taken.arrivals}
    (root / "landed.png").write_bytes(png(7))
    (root / "2.png").write_bytes(png(8, (2, 2)))
    async with taking(watcher_for(kind, root, seen=told.get, rescan_s=0.1)) as taken:
        await taken.count(2)
        await taken.nothing_more()
    assert sorted(taken.names) == ["2.png", "landed.png"]


async def test_the_ledger_remembers_what_the_watcher_lets_go(
    kind: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydrad.watchers.settling.COLD_S", 0.0)
    told: dict[str, Told] = {}
    watcher = watcher_for(kind, root, seen=told.get, rescan_s=0.05)
    async with taking(watcher) as taken:
        (root / "a.png").write_bytes(png(1))
        await taken.count(1)
        await until(lambda: watcher._settling.remembered() == [str(root / "a.png")])
        await taken.nothing_more(0.2)
        assert watcher._settling.remembered()  # nobody else does
        arrival = taken.arrivals[0]
        told[str(arrival.path)] = Told(arrival.size, arrival.mtime_ns)
        await until(lambda: not watcher._settling.remembered())
        await taken.nothing_more()
        (root / "a.png").write_bytes(png(2, (5, 5)))
        await taken.count(2)


async def test_an_unfinished_file_is_offered_again_and_its_rest_grows(kind: str, root: Path) -> None:
    (root / "CDC.png").write_bytes(png(1)[:40])
    async with taking(watcher_for(kind, root)) as taken:
        for n in range(1, 5):
            await taken.count(n)
            assert taken.watcher.pending == 0
            taken.watcher.again(taken.arrivals[-1])
            assert taken.watcher.pending == 1
    rests = [arrival.at_rest_s for arrival in taken.arrivals]
    assert rests == sorted(set(rests))
    assert rests[-1] > 0.3
    assert {(a.size, a.mtime_ns) for a in taken.arrivals} == {(40, (root / "CDC.png").stat().st_mtime_ns)}


async def test_an_unfinished_file_is_offered_as_soon_as_it_changes(kind: str, root: Path) -> None:
    old = time.time() - 4000
    (root / "CDC.png").write_bytes(png(1)[:40])
    os.utime(root / "CDC.png", (old, old))
    async with taking(watcher_for(kind, root)) as taken:
        await taken.count(1)
        arrival = taken.arrivals[0]
        taken.watcher.again(Arrival(**{n: getattr(arrival, n) for n in arrival.__slots__} | {"at_rest_s": 100.0}))
        await taken.nothing_more(0.2)
        with (root / "CDC.png").open("ab") as file:
            file.write(png(1)[40:])
        await taken.count(2, 2.0)
        await taken.nothing_more()
    assert taken.contents[root / "CDC.png"][-1] == png(1)
    assert taken.arrivals[1].at_rest_s < 1


async def test_a_file_that_never_rests_is_seen_now_and_then(kind: str, root: Path) -> None:
    async with taking(watcher_for(kind, root, patience_s=0.3, settle_ms=200)) as taken:
        await at_home(taken)
        with (root / "CDC.png").open("wb", buffering=0) as file:
            deadline = time.monotonic() + 8
            while len(taken.arrivals) < 2 and time.monotonic() < deadline:
                file.write(b"x")
                await asyncio.sleep(0.02)
        assert len(taken.arrivals) >= 2


async def test_a_file_removed_before_it_rests_is_missed_aloud(kind: str, root: Path) -> None:
    with log_lines() as lines:
        async with taking(watcher_for(kind, root, settle_ms=300)) as taken:
            await at_home(taken)
            file = (root / "CDC.png").open("wb", buffering=0)
            file.write(b"half")
            await until(lambda: taken.watcher.pending > 0)
            (root / "CDC.png").unlink()
            file.close()
            await taken.count(1)
            await taken.nothing_more()
    (arrival,) = taken.arrivals
    assert arrival.path == root / "CDC.png"
    assert not arrival.path.exists()
    assert not [line for line in lines if line["log_level"] == "error"]


async def test_a_root_that_goes_and_comes_back_is_followed_again(kind: str, root: Path, tmp_path: Path) -> None:
    (root / "before.png").write_bytes(png(1))
    with log_lines() as lines:
        async with taking(watcher_for(kind, root, rescan_s=0.2)) as taken:
            await taken.count(1)
            root.rename(tmp_path / "away")
            await until(lambda: any(line["event"] == "root_is_away" for line in lines))
            (tmp_path / "away" / "elsewhere.png").write_bytes(png(2))
            await taken.nothing_more()
            assert taken.watcher.ticked_at > time.monotonic() - 2
            root.mkdir()
            (root / "sub").mkdir()
            (root / "sub" / "after.png").write_bytes(png(3))
            await taken.count(2)
            place(root / "live.png", png(4))
            await taken.count(3)
            await taken.nothing_more()
    assert taken.names == ["before.png", "after.png", "live.png"]
    assert [line["event"] for line in lines].count("root_is_away") == 1
    assert "root_is_back" in [line["event"] for line in lines]


async def test_a_root_that_is_not_there_yet_is_waited_for(kind: str, root: Path) -> None:
    root.rmdir()
    async with taking(watcher_for(kind, root, rescan_s=0.1)) as taken:
        await taken.nothing_more(0.2)
        root.mkdir()
        (root / "a.png").write_bytes(png(1))
        await taken.count(1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
async def test_a_folder_that_may_not_be_read_does_not_hide_the_others(kind: str, root: Path) -> None:
    (root / "secret").mkdir(mode=0o000)
    try:
        with log_lines() as lines:
            async with taking(watcher_for(kind, root, rescan_s=0.1)) as taken:
                (root / "a.png").write_bytes(png(1))
                await taken.count(1)
                await taken.nothing_more()
        assert [line["event"] for line in lines].count("folder_cannot_be_read") == 1
    finally:
        (root / "secret").chmod(0o700)


async def test_names_that_are_no_utf8_arrive_and_can_be_opened(kind: str, root: Path) -> None:
    name = os.fsdecode(b"CDC_\xff\xfe.png")
    async with taking(watcher_for(kind, root)) as taken:
        await at_home(taken)
        (root / name).write_bytes(png(1))
        await taken.count(1)
    (arrival,) = taken.arrivals
    assert arrival.plot == r"CDC_\xff\xfe"
    assert arrival.path.read_bytes() == png(1)


async def test_times_that_no_clock_shows_are_not_believed(kind: str, root: Path) -> None:
    (root / "future.png").write_bytes(png(1))
    os.utime(root / "future.png", (time.time() + 10**7,) * 2)
    (root / "past.png").write_bytes(png(1))
    os.utime(root / "past.png", (-(10**9), -(10**9)))
    async with taking(watcher_for(kind, root)) as taken:
        await taken.count(2)
        await taken.nothing_more()
    taken_at = {arrival.path.name: arrival.taken_at for arrival in taken.arrivals}
    assert taken_at["future.png"] <= datetime.now(UTC)
    assert taken_at["past.png"].year == 1938


async def test_it_gives_signs_of_life_while_nothing_happens(kind: str, root: Path) -> None:
    async with taking(watcher_for(kind, root)) as taken:
        for _ in range(2):
            before = taken.watcher.ticked_at
            await until(lambda before=before: taken.watcher.ticked_at > before)
        assert taken.watcher.pending == 0


async def test_a_slow_taker_is_not_the_watchers_fault(kind: str, root: Path) -> None:
    (root / "a.png").write_bytes(png(1))
    with watcher_for(kind, root) as watcher:
        arrivals = watcher.arrivals()
        await anext(arrivals)
        await until(lambda: watcher._round is None or watcher._round.done())
        now = time.monotonic()
        assert watcher.ticked_at >= now
        await arrivals.aclose()


async def test_no_thread_and_no_descriptor_outlives_it(kind: str, root: Path) -> None:
    before = descriptors(), set(threading.enumerate())
    for _ in range(3):
        async with taking(watcher_for(kind, root)) as taken:
            (root / "a.png").write_bytes(png(1))
            await taken.count(1)
    assert (descriptors(), set(threading.enumerate())) == before


@pytest.mark.skipif(not REAL.is_dir(), reason="no real images at hand")
async def test_two_real_dumps_arrive_with_run_and_time(kind: str, root: Path) -> None:
    for dump in sorted(REAL.iterdir()):
        (root / dump.name).mkdir()
        for file in dump.iterdir():
            (root / dump.name / file.name).write_bytes(file.read_bytes())
    async with taking(watcher_for(kind, root, layout="mon12")) as taken:
        await taken.count(50)
    faraday = [arrival for arrival in taken.arrivals if arrival.plot == "Faraday Cup_canvas0"]
    assert {(arrival.run, arrival.taken_at) for arrival in faraday} == {
        (11, datetime(2017, 10, 17, 22, 9, 49, tzinfo=UTC)),
        (0, datetime(2017, 10, 17, 22, 15, 1, tzinfo=UTC)),
    }
    for arrival in taken.arrivals[::10]:
        assert picture_of(arrival.path.read_bytes()).width == 1378


def test_it_is_a_watcher() -> None:
    assert all(issubclass(kind, FolderWatcher) for kind in KINDS.values())


async def test_files_that_were_handed_over_and_are_gone_are_told(kind: str, root: Path) -> None:
    gone: list[str] = []
    place(root / "CDC_stays.png", png(1))
    place(root / "CDC_goes.png", png(2))
    async with taking(watcher_for(kind, root, gone=gone.extend, rescan_s=0.1)) as taken:
        await taken.count(2)
        (root / "CDC_goes.png").unlink()
        await taken.until(lambda: gone)
        await taken.nothing_more(0.3)
    assert gone == [str(root / "CDC_goes.png")]
