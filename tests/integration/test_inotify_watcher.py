"""The kernel's events, as they really come: in floods, late, for folders that move, and not at all."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from itertools import count
from pathlib import Path
from typing import Self

import pytest
from watchdog.observers import inotify_c
from watched import ZONE, at_home, log_lines, png, section, taking, watcher_for

from hydrad.watchers import watcher_of
from hydrad.watchers.deeds import Deed, Event
from hydrad.watchers.folders import Round
from hydrad.watchers.follow import InotifyWatcher
from hydrad.watchers.kernel import FolderWatch
from hydrad.watchers.settling import Look

AT_ONCE = inotify_c.DEFAULT_EVENT_BUFFER_SIZE // 16  # events that the reader takes out of the kernel's queue at most


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "monitoring"
    path.mkdir()
    return path


def watching(root: Path, **how: float) -> InotifyWatcher:
    watcher = watcher_for("inotify", root, **how)
    assert isinstance(watcher, InotifyWatcher)
    return watcher


class Ear:
    """Listens to a folder, and tells what it has heard when it is sure that nothing more is under way."""

    def __init__(self, root: Path, *folders: Path) -> None:
        self.root = root
        self.told: deque[Event] = deque()
        self.watch = FolderWatch(str(root), self.told.append)
        self._marks = count()
        for folder in (root, *folders):
            self.watch.enter(str(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.watch.close()

    def heard(self) -> list[tuple[str, Deed]]:
        """Name and deed of each event since the last time."""
        mark = self.root / f"mark{next(self._marks)}"
        mark.symlink_to("nowhere")  # one event, and the last
        heard = []
        while (event := self.next()) != Event(str(mark), Deed.CREATED):
            heard.append((Path(event.path).name, event.deed))
        return heard

    def next(self) -> Event:
        """The next event; fails where none comes."""
        deadline = time.monotonic() + 5
        while not self.told:
            assert time.monotonic() < deadline, "nothing was told"
            time.sleep(0.001)
        return self.told.popleft()


def descriptors() -> dict[str, str]:
    """What this process has open: numbers, and what stands behind them."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found[path.name] = str(path.readlink())
    return found


def inotify_descriptors() -> list[int]:
    return [int(number) for number, what in descriptors().items() if what == "anon_inode:inotify"]


def test_the_kernel_tells_each_deed_by_its_name(root: Path) -> None:
    with Ear(root) as ear:
        assert ear.heard() == []
        (root / "a").write_bytes(b"x")
        assert ear.heard() == [("a", Deed.CREATED), ("a", Deed.WRITTEN), ("a", Deed.CLOSED)]
        (root / "a").rename(root / "b")
        assert ear.heard() == [("a", Deed.REMOVED), ("a", Deed.RENAMED), ("b", Deed.MOVED_IN)]
        (root / "b").unlink()
        assert ear.heard() == [("b", Deed.REMOVED)]
        (root / "c").symlink_to("nowhere")
        assert ear.heard() == [("c", Deed.CREATED)]
        (root / "d").mkdir()
        assert ear.heard() == [("d", Deed.FOLDER_CAME)]
        (root / os.fsdecode(b"\xff")).touch()
        assert ear.heard() == [(os.fsdecode(b"\xff"), Deed.CREATED), (os.fsdecode(b"\xff"), Deed.RELEASED)]


def test_a_close_without_a_write_is_told_apart(root: Path) -> None:
    (root / "a").write_bytes(b"x")
    with Ear(root) as ear:
        with (root / "a").open("r+b"):
            pass
        assert ear.heard() == [("a", Deed.RELEASED)]
        with (root / "a").open("r+b") as file:
            file.write(b"y")
        assert ear.heard() == [("a", Deed.WRITTEN), ("a", Deed.CLOSED)]
        with (root / "a").open("r+b"):
            pass
        assert ear.heard() == [("a", Deed.RELEASED)]


async def test_a_file_closed_after_it_was_renamed_arrives_once(root: Path) -> None:
    async with taking(watching(root)) as taken:
        await at_home(taken)
        with (root / ".part").open("wb", buffering=0) as file:
            file.write(png(1))
            (root / ".part").rename(root / "a.png")
            await taken.count(1)
        await taken.nothing_more()
    assert taken.contents[root / "a.png"] == [png(1)]


def test_a_folder_moved_out_is_no_longer_heard_under_its_old_name(root: Path, tmp_path: Path) -> None:
    (root / "sub" / "deep").mkdir(parents=True)
    with Ear(root, root / "sub", root / "sub" / "deep") as ear:
        (root / "sub").rename(tmp_path / "away")
        assert ear.heard() == []
        (tmp_path / "away" / "x.png").touch()
        (tmp_path / "away" / "deep" / "x.png").touch()
        assert ear.heard() == []


def test_a_folder_entered_again_under_its_new_name_is_heard_under_that_one_only(root: Path) -> None:
    (root / "old").mkdir()
    with Ear(root, root / "old") as ear:
        (root / "old").rename(root / "new")
        assert ear.heard() == [("new", Deed.FOLDER_CAME)]
        ear.watch.enter(str(root / "new"))
        (root / "new" / "x.png").symlink_to("nowhere")
        assert ear.next() == Event(str(root / "new" / "x.png"), Deed.CREATED)
        assert ear.heard() == []


def test_a_folder_entered_again_and_again_is_heard_once_without_a_gap(root: Path) -> None:
    with Ear(root) as ear:
        stop = threading.Event()

        def enter() -> None:
            while not stop.is_set():
                ear.watch.enter(str(root))

        threads = [threading.Thread(target=enter) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for n in range(500):
                (root / f"{n}").symlink_to("nowhere")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert ear.heard() == [(f"{n}", Deed.CREATED) for n in range(500)]


def test_two_roots_hear_each_its_own(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with Ear(root) as ear, Ear(tmp_path / "other") as other:
        (root / "a").symlink_to("nowhere")
        (tmp_path / "other" / "b").symlink_to("nowhere")
        assert (ear.heard(), other.heard()) == ([("a", Deed.CREATED)], [("b", Deed.CREATED)])
        other.watch.close()
        (root / "c").symlink_to("nowhere")
        assert ear.heard() == [("c", Deed.CREATED)]


def test_a_folder_that_is_gone_or_no_folder_is_not_watched_and_no_fault(root: Path) -> None:
    (root / "file").touch()
    with log_lines() as lines, Ear(root, root / "gone", root / "file"):
        pass
    assert lines == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_folder_that_the_kernel_refuses_is_named_in_the_log(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (root / "sub").mkdir()
    with log_lines() as lines, Ear(root) as ear:
        with monkeypatch.context() as patch:

            def refuse(*_: object) -> int:
                ctypes.set_errno(number)
                return -1

            patch.setattr(inotify_c, "inotify_add_watch", refuse)  # root may read every folder
            for _ in range(2):
                ear.watch.enter(str(root / "sub"))
        (root / "a").symlink_to("nowhere")
        assert ear.heard() == [("a", Deed.CREATED)]
        ear.watch.enter(str(root / "sub"))
        (root / "sub" / "b").symlink_to("nowhere")
        assert ear.heard() == [("b", Deed.CREATED)]
    assert {(line["event"], line["path"]) for line in lines} == {
        ("folder_is_not_watched_but_visited", str(root / "sub"))
    }
    assert [bool(line["cure"]) for line in lines] == [number == errno.ENOSPC]  # not with every round


@pytest.mark.parametrize("end", ["removed", "moved"])
def test_the_end_of_the_root_is_told_as_a_loss(root: Path, tmp_path: Path, end: str) -> None:
    with Ear(root) as ear:
        if end == "removed":
            root.rmdir()
        else:
            root.rename(tmp_path / "away")
        assert ear.next() == Event(str(root), Deed.LOST)


def test_leaving_is_no_loss_and_nothing_is_heard_afterwards(root: Path) -> None:
    with Ear(root) as ear:
        ear.watch.close()
        ear.watch.enter(str(root))
        ear.watch.leave(str(root))
        (root / "a").touch()
        assert not ear.watch.listens
    assert list(ear.told) == []


async def test_a_renamed_file_is_handed_over_within_milliseconds(root: Path) -> None:
    delays = []
    async with taking(watching(root)) as taken:
        await at_home(taken)
        for n in range(40):
            (root / ".part").write_bytes(png(n))
            began = time.monotonic()
            (root / ".part").rename(root / f"{n}.png")
            await taken.count(n + 1)
            delays.append(taken.at[-1] - began)
            (root / f"{n}.png").unlink()  # the kernel reports this too; nothing may wait for it
    assert statistics.median(delays) < 0.010


async def test_a_closed_file_is_handed_over_before_the_settling_time(root: Path) -> None:
    async with taking(watching(root, settle_ms=60_000)) as taken:
        await at_home(taken)
        began = time.monotonic()
        (root / "a.png").write_bytes(png(1))
        await taken.count(1)
        assert taken.at[0] - began < 60


async def test_a_file_held_open_is_handed_over_in_the_end(root: Path) -> None:
    async with taking(watching(root, settle_ms=50)) as taken:
        await at_home(taken)
        with (root / "a.png").open("wb", buffering=0) as file:
            began = time.monotonic()
            file.write(png(1))
            await taken.count(1, 3)
            assert taken.at[0] - began > 0.45
    assert taken.arrivals[0].at_rest_s > 0.45


async def test_a_hard_link_is_in_place_at_once(root: Path, tmp_path: Path) -> None:
    (tmp_path / "whole.png").write_bytes(png(1))
    async with taking(watching(root, settle_ms=60_000)) as taken:
        await at_home(taken)
        os.link(tmp_path / "whole.png", root / "a.png")
        await taken.count(1, 1.0)
    assert taken.arrivals[0].at_rest_s == 0.0


async def test_a_rename_within_the_tree_loses_no_file_and_invents_none(root: Path) -> None:
    (root / "sub").mkdir()
    async with taking(watching(root, settle_ms=150)) as taken:
        await at_home(taken)
        for n in range(20):
            with (root / f"raw{n}.png").open("wb") as file:
                file.write(png(n))
                file.flush()
                if n % 2:
                    await asyncio.sleep(0.005)
                (root / f"raw{n}.png").rename(root / "sub" / f"{n}.png")
        await taken.count(20)
        await taken.nothing_more()
    assert sorted(taken.names) == sorted(f"{n}.png" for n in range(20))


async def test_when_the_kernel_drops_events_the_files_are_found_by_looking(root: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip("the kernel's queue is too long to be filled in a test")
    data = png(1)
    with log_lines() as lines:
        async with taking(watching(root)) as taken:
            await at_home(taken)
            with taken.watcher._kernel._lock:  # the reader cannot go on with what it has read
                # Two names by turns, so that the kernel cannot merge equal events.
                a, b = (os.open(root / f"{name}.root", os.O_CREAT | os.O_WRONLY) for name in "ab")
                for _ in range((limit + AT_ONCE) // 2 + 10):
                    os.write(a, b"x")
                    os.write(b, b"x")
                os.close(a)
                os.close(b)
                (root / "Run000012").mkdir()
                for n in range(50):
                    (root / "Run000012" / f"{n}.png").write_bytes(data)
            await taken.count(50, 5)
            (root / "Run000012" / "late.png").write_bytes(data)
            await taken.count(51, 5)
            await taken.nothing_more()
    assert "kernel_dropped_events" in [line["event"] for line in lines]
    assert len(set(taken.names)) == 51


async def test_when_the_letter_box_overflows_the_files_are_found_by_looking(root: Path) -> None:
    with log_lines() as lines:
        async with taking(watching(root)) as taken:
            await at_home(taken)
            taken.watcher._inbox._limit = 5
            for n in range(100):
                (root / f"{n}.png").write_bytes(png(n))
            await taken.count(100)
            await taken.nothing_more()
    assert "events_were_dropped" in [line["event"] for line in lines]


async def test_a_folder_that_the_kernel_does_not_watch_is_visited(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "sub").mkdir()
    monkeypatch.setattr(FolderWatch, "enter", lambda *_: None)
    async with taking(watching(root, rescan_s=0.1)) as taken:
        await at_home(taken)
        (root / "sub" / "a.png").write_bytes(png(1))
        await taken.count(1)


async def test_without_a_descriptor_to_spare_it_polls(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(FolderWatch, "__init__", refuse)
    with log_lines() as lines:
        async with taking(watching(root)) as taken:
            (root / "a.png").write_bytes(png(1))
            await taken.count(1)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["kernel_does_not_watch"]


async def test_a_round_that_began_before_an_event_does_not_bring_back_the_past(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taking(watching(root)) as taken:
        await at_home(taken)
        (root / "a.png").write_bytes(png(1, (3, 3)))
        await taken.count(1)
        past = taken.watcher._settling._offered[str(root / "a.png")].look
        (root / "a.png").write_bytes(png(2, (9, 9)))
        await taken.count(2)
        monkeypatch.setattr(taken.watcher._folders, "full_round", lambda: Round([(str(root / "a.png"), past)]))
        taken.watcher._look_everywhere()
        await taken.nothing_more()


async def test_folders_that_come_filled_and_go_at_once_do_no_harm(root: Path) -> None:
    async with taking(watching(root)) as taken:
        await at_home(taken)
        for n in range(30):
            (root / f"Run{n:06}").mkdir()
            (root / f"Run{n:06}" / "a.png").write_bytes(png(n))
            if n % 3 == 0:
                shutil.rmtree(root / f"Run{n:06}")
        await taken.until(lambda: {a.run for a in taken.arrivals if a.path.exists()} == {n for n in range(30) if n % 3})
        await taken.nothing_more()


async def test_a_folder_with_a_used_inode_is_a_folder_of_its_own(root: Path) -> None:
    async with taking(watching(root)) as taken:
        await at_home(taken)
        for n in range(10):
            (root / f"Run{n:06}").mkdir()
            (root / f"Run{n:06}" / "a.png").write_bytes(png(n))
            await taken.until(lambda n=n: any(a.run == n for a in taken.arrivals))
            shutil.rmtree(root / f"Run{n:06}")


async def test_a_writer_in_another_process_is_heard(root: Path) -> None:
    program = (
        "import sys, time\n"
        "with open(sys.argv[1], 'wb', buffering=0) as file:\n"
        "    for byte in range(0, 400, 40):\n"
        "        file.write(bytes(40)); time.sleep(0.02)\n"
    )
    async with taking(watching(root)) as taken:
        await at_home(taken)
        writer = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(root / "a.png"))
        assert await writer.wait() == 0
        await taken.count(1)
        await taken.nothing_more()
    assert taken.arrivals[0].size == 400


async def test_the_loop_keeps_turning_while_fifty_thousand_files_are_taken_in(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [(f"{root}/{n}.png", Look(1, n + 1, n + 1, n)) for n in range(50_000)]
    longest = 0.0
    watcher = watching(root)
    monkeypatch.setattr(watcher._folders, "full_round", lambda: Round(list(many)))

    async def turn() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - before)

    with watcher:
        turning = asyncio.create_task(turn())
        count = 0
        async for _ in watcher.arrivals():
            count += 1
            if count == 50_000:
                break
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)
    assert longest < 0.25


async def test_leaving_in_the_middle_of_a_round_is_quick(root: Path) -> None:
    for n in range(40):
        (root / f"{n}").mkdir()
        for k in range(25):
            (root / f"{n}" / f"{k}.png").touch()
    for _ in range(5):
        began = time.monotonic()
        with watching(root):
            await asyncio.sleep(0)
        assert time.monotonic() - began < 1.0


async def test_the_kind_is_chosen_by_the_configuration(root: Path) -> None:
    with log_lines() as lines:
        assert [watcher_of(section(root, kind=kind), ZONE).hears for kind in ("auto", "inotify", "polling")] == [
            True,
            True,
            False,
        ]
    assert [line["kind"] for line in lines] == ["inotify", "inotify", "polling"]


def test_the_descriptor_is_not_handed_down_to_other_programs(root: Path) -> None:
    with Ear(root):
        assert len(inotify_descriptors()) == 1
        listing = subprocess.run(
            ["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, check=True, close_fds=False
        )
    assert "inotify" not in listing.stdout


def test_a_watch_left_before_its_thread_had_a_turn_leaves_nothing_open(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors().keys()
    turn = threading.Event()
    run = inotify_c.InotifyFD.run

    def late(reader: inotify_c.InotifyFD) -> None:
        turn.wait(5)
        run(reader)

    monkeypatch.setattr(inotify_c.InotifyFD, "run", late)
    watch = FolderWatch(str(root), lambda _: None)
    watch.enter(str(root))
    monkeypatch.setattr(watch._reader, "join", lambda _: turn.set())
    watch.close()
    threading.Thread.join(watch._reader)
    assert descriptors().keys() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_when_the_reader_dies_it_is_said_and_the_folder_is_polled(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with log_lines() as lines:
        async with taking(watching(root)) as taken:
            await at_home(taken)
            monkeypatch.setattr(inotify_c.InotifyFD, "handle_event", die)
            (root / "a.png").write_bytes(png(1))
            await taken.count(1)
            (root / "b.png").write_bytes(png(2))
            await taken.count(2)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["kernel_does_not_watch"]
    assert inotify_descriptors() == []
