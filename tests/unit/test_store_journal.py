"""The journal keeps what it has returned for, through restarts, damage and full disks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sqlite3
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from store_world import MORNING, all_of, change_of, entry_of, later, picture_of, verdict_of
from structlog.testing import capture_logs

from hydrad.domain import Outcome, Status
from hydrad.errors import ConfigurationError, TryAgain
from hydrad.store.outbox.book import Refusal
from hydrad.store.outbox.journal import Journal
from hydrad.store.outbox.seen import Seen, Sighting
from hydrad.store.packing import Parcel, unpack
from hydrad.store.rows import FiledChange, Model
from hydrad.store.tables import ModelState


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path, images: Path) -> Iterator[Journal]:
    with Journal(path, images) as opened:
        yield opened


def files_below(folder: Path) -> list[Path]:
    return [found for found in folder.rglob("*") if found.is_file()]


def size_of(path: Path) -> int:
    return path.stat().st_size


def torn_copy(path: Path) -> Path:
    """A copy of an open journal, with rubbish at the end of its write-ahead log."""
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    log = path.with_name("journal.db-wal").read_bytes()
    copy.with_name("copy.db-wal").write_bytes(log + os.urandom(3000))
    return copy


async def waiting_in(journal: Journal) -> list[Parcel]:
    return [unpack(one.document, one.heatmap) for one in await journal.outgoing(100_000)]


async def strike_all(journal: Journal) -> None:
    await journal.delivered(await journal.outgoing(100_000))


# ---- keeping ----


async def test_what_was_recorded_is_there_after_a_restart(path: Path, images: Path) -> None:
    picture, heatmap = picture_of("a"), np.arange(6, dtype=np.uint8).reshape(2, 3)
    verdict = verdict_of(sha256=picture.sha256)
    with Journal(path, images) as journal:
        await journal.record(entry_of(verdict), verdict, picture, heatmap)
        await journal.note(replace(verdict, key="k2", status=Status.STALE))
        await journal.change(change_of())
        identity = journal.identity
    with Journal(path, images) as journal:
        assert journal.waiting == 3
        recorded, noted, changed = await waiting_in(journal)
        assert (recorded.entry, recorded.verdict) == (entry_of(verdict), verdict)
        assert recorded.image is not None
        assert (recorded.image.size, recorded.image.width, recorded.image.height) == (len(picture.data), 8, 6)
        assert recorded.heatmap is not None
        np.testing.assert_array_equal(recorded.heatmap, heatmap)
        assert noted.verdict == replace(verdict, key="k2", status=Status.STALE)
        assert (changed.change, changed.origin) == (change_of(), identity)
        assert changed.ticket
        assert journal.identity == identity
    assert (images / picture.sha256[:2] / f"{picture.sha256[2:]}.png").read_bytes() == picture.data


async def test_records_that_come_together_share_commits(journal: Journal) -> None:
    ran: list[str] = []
    journal._book._connection.set_trace_callback(ran.append)
    verdicts = [verdict_of(at=later(n)) for n in range(200)]
    await all_of(*(journal.record(entry_of(verdict), verdict, None, None) for verdict in verdicts))
    journal._book._connection.set_trace_callback(None)
    assert journal.waiting == 200
    assert 1 <= ran.count("COMMIT") <= 10


async def test_parcels_wait_in_the_order_in_which_they_were_told(journal: Journal) -> None:
    verdicts = [verdict_of(at=later(n)) for n in range(50)]
    await all_of(*(journal.note(verdict) for verdict in verdicts))
    assert [parcel.verdict for parcel in await waiting_in(journal)] == verdicts
    assert [one.id for one in await journal.outgoing(3)] == [one.id for one in (await journal.outgoing(50))[:3]]


async def test_delivered_parcels_are_struck_out_and_refused_ones_set_aside(path: Path, images: Path) -> None:
    with Journal(path, images) as journal:
        for n in range(4):
            await journal.note(verdict_of(at=later(n)))
        first, second, third, fourth = await journal.outgoing(10)
        await journal.delivered([first, second, third], [Refusal(second.id, "too odd")])
        assert journal.waiting == 1
        assert await journal.outgoing(10) == [fourth]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT id, why, document FROM refused").fetchall() == [
            (second.id, "too odd", second.document)
        ]
    connection.close()


async def test_somebody_who_gives_up_waiting_stops_nobody_else(journal: Journal) -> None:
    tasks = [asyncio.create_task(journal.note(verdict_of(at=later(n)))) for n in range(20)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [task.cancelled() for task in tasks].count(True) == 1
    assert 19 <= journal.waiting <= 20


async def test_a_record_that_cannot_be_written_fails_alone(journal: Journal) -> None:
    good = [verdict_of(at=later(n)) for n in range(5)]
    odd = replace(entry_of(good[0]), sha256="no hash")
    told = await asyncio.gather(
        *(journal.note(verdict) for verdict in good), journal.record(odd, None, None, None), return_exceptions=True
    )
    assert told[:5] == [None] * 5
    assert isinstance(told[5], ValueError)
    assert [parcel.verdict for parcel in await waiting_in(journal)] == good
    assert journal.seen(odd.path) is None


async def test_news_come_at_once_when_something_is_kept(journal: Journal) -> None:
    waiter = asyncio.create_task(journal.news(60))
    await asyncio.sleep(0)
    await journal.note(verdict_of())
    await asyncio.wait_for(waiter, 5)
    await asyncio.wait_for(journal.news(60), 5)


# ---- seen ----


async def test_a_file_seen_before_a_restart_is_known_after_it(path: Path, images: Path) -> None:
    name = "/data/\udcff_0001.png"
    entry = entry_of(verdict_of(path=name), Outcome.REJECTED, reason="no image: \udcff", mtime_ns=2**63 + 1)
    with Journal(path, images) as journal:
        assert journal.seen(name) is None
        await journal.record(entry, None, None, None)
        expected = Sighting(entry.size, entry.mtime_ns, Outcome.REJECTED, entry.reason, entry.sha256)
        assert journal.seen(name) == expected
    with Journal(path, images) as journal:
        assert journal.seen(name) == expected
        await strike_all(journal)
        assert journal.seen(name) == expected
        newer = replace(entry, size=7, sha256=None)
        await journal.record(newer, None, None, None)
        assert journal.seen(name) == replace(expected, size=7, sha256=None)


async def test_a_pending_file_is_looked_at_again_after_a_restart(journal: Journal) -> None:
    entry = entry_of(verdict_of(), Outcome.PENDING, done_at=None)
    await journal.record(entry, None, None, None)
    assert journal.waiting == 1
    assert journal.seen(entry.path) is None


async def test_a_file_that_is_gone_is_forgotten_once_its_row_is_delivered(path: Path, images: Path) -> None:
    first, second = (entry_of(verdict_of(path=name)) for name in ("/a.png", "/b.png"))
    with Journal(path, images) as journal:
        await journal.record(first, None, None, None)
        await strike_all(journal)
        await journal.record(second, None, None, None)
        await journal.forget([first.path, second.path, "/never/seen.png"])
        assert journal.seen(first.path) is None
        assert journal.seen(second.path) is not None
    with Journal(path, images) as journal:
        assert journal.seen(second.path) is not None
        await strike_all(journal)
        assert journal.seen(second.path) is None
    with Journal(path, images) as journal:
        assert journal.seen(first.path) is journal.seen(second.path) is None


async def test_a_file_that_comes_back_is_not_forgotten_with_its_old_row(journal: Journal) -> None:
    entry = entry_of(verdict_of())
    await journal.record(entry, None, None, None)
    await journal.forget([entry.path])
    await journal.record(replace(entry, size=9), None, None, None)
    await strike_all(journal)
    told = journal.seen(entry.path)
    assert told is not None
    assert told.size == 9


async def test_any_thread_may_ask_what_was_seen(journal: Journal) -> None:
    entry = entry_of(verdict_of())
    await journal.record(entry, None, None, None)
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(journal.seen(entry.path)))
    thread.start()
    thread.join()
    assert answers == [journal.seen(entry.path)] != [None]


def test_many_files_are_remembered_in_little_memory() -> None:
    tracemalloc.start()
    seen = Seen()
    for n in range(30_000):
        key = hashlib.blake2b(str(n).encode(), digest_size=16).digest()  # digest() would remember the paths as well
        seen.put([(key, Sighting(n, n, Outcome.JUDGED, "", "ab" * 32).pack())])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen) == 30_000
    assert held / 30_000 < 150  # bytes a file


# ---- standings, settings, models ----


async def test_each_plots_last_shown_verdict_is_remembered_with_its_pixels(path: Path, images: Path) -> None:
    picture = picture_of("a")
    shown = verdict_of("CDC_a", later(10))
    noted = replace(shown, key="n", judged_at=later(20), status=Status.STALE)
    late = replace(shown, key="l", judged_at=later(30), superseded=True, path="/late.png")
    with Journal(path, images) as journal:
        await journal.record(entry_of(shown), shown, picture, None)
        await journal.note(noted)
        await journal.record(entry_of(late, Outcome.SUPERSEDED), late, picture_of("b"), None)
        await journal.note(verdict_of("\udcff_a"))
        await strike_all(journal)
    with Journal(path, images) as journal:
        standings = journal.standings()
        assert set(standings) == {"CDC_a", "\udcff_a"}
        verdict, pixels_digest = standings["CDC_a"]
        assert verdict == noted
        assert pixels_digest == picture.pixels_digest
        assert standings["\udcff_a"].pixels_digest is None


async def test_a_journal_that_was_begun_with_the_former_name_of_a_column_goes_on(path: Path, images: Path) -> None:
    verdict, picture = verdict_of("CDC_a"), picture_of("a")
    with Journal(path, images) as journal:
        await journal.record(entry_of(verdict), verdict, picture, None)
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE standing RENAME COLUMN pixels_digest TO pixels_sha256")
    connection.close()
    for _ in range(2):
        with Journal(path, images) as journal:
            assert journal.standings()["CDC_a"] == (verdict, picture.pixels_digest)


async def test_a_new_picture_takes_the_place_of_the_old(journal: Journal) -> None:
    for n in range(2):
        verdict = verdict_of(at=later(n))
        await journal.record(entry_of(verdict), verdict, picture_of(f"{n}"), None)
    assert journal.standings()["CDC_occupancy"] == (verdict, picture_of("1").pixels_digest)


async def test_plots_come_back_in_the_order_in_which_they_were_first_seen(path: Path, images: Path) -> None:
    plots = [f"CDC_{n * 7 % 10}" for n in range(10)]
    with Journal(path, images) as journal:
        for plot in (*plots, *reversed(plots)):
            await journal.note(verdict_of(plot))
    with Journal(path, images) as journal:
        assert list(journal.standings()) == plots
        await journal.note(verdict_of("AAA_late"))
    with Journal(path, images) as journal:
        assert list(journal.standings()) == [*plots, "AAA_late"]


async def test_a_journal_that_was_begun_without_that_order_has_one_from_then_on(path: Path, images: Path) -> None:
    with Journal(path, images) as journal:
        for n in range(10):
            await journal.note(verdict_of(f"CDC_{n}"))
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE places")
    connection.close()
    with Journal(path, images) as journal:
        before = list(journal.standings())
        assert len(before) == 10
        await journal.note(verdict_of("AAA_late"))
    with Journal(path, images) as journal:
        assert list(journal.standings()) == [*before, "AAA_late"]


async def test_the_newest_settings_are_known_without_the_data_base(path: Path, images: Path) -> None:
    with Journal(path, images) as journal:
        assert journal.settings() == []
        assert journal.cursor == 0
        await journal.change(change_of(0.7, later(10)))
        await journal.change(change_of(0.8, later(20)))
        foreign = [
            FiledChange(4, None, change_of(0.6, later(15))),
            FiledChange(5, None, change_of(3, later(5), key="on_delay")),
        ]
        await journal.adopt(foreign)
        await journal.adopt([])
        assert journal.waiting == 2
    with Journal(path, images) as journal:
        assert [(change.key, change.value) for change in journal.settings()] == [
            ("on_delay", 3),
            ("threshold.Bad", 0.8),
        ]
        assert journal.cursor == 5


async def test_the_library_is_known_without_the_data_base(path: Path, images: Path) -> None:
    models = [Model("cdc-7", ModelState.IN_SERVICE, MORNING, later(3), {"labels": {"Good": "good"}}, {"recall": 0.9})]
    with Journal(path, images) as journal:
        assert journal.models() == []
        await journal.keep_models([*models, *models])
        await journal.keep_models(models)
    with Journal(path, images) as journal:
        assert journal.models() == models


# ---- images ----


async def test_equal_content_is_written_once_and_renewed_and_half_a_file_written_again(
    journal: Journal, images: Path
) -> None:
    picture = picture_of("a")
    place = images / picture.sha256[:2] / f"{picture.sha256[2:]}.png"
    verdict = verdict_of()
    await journal.record(entry_of(verdict), verdict, picture, None)
    written = place.stat()
    os.utime(place, (0, 0))
    await journal.record(entry_of(verdict), verdict_of("CDC_b"), picture, None)
    assert place.stat().st_ino == written.st_ino
    assert place.stat().st_mtime_ns > written.st_mtime_ns
    place.write_bytes(picture.data[:3])  # what a loss of power may leave
    await journal.record(entry_of(verdict), verdict, picture, None)
    assert place.read_bytes() == picture.data
    assert files_below(images) == [place]


def test_what_a_killed_writer_left_half_written_is_swept_away_when_old(path: Path, images: Path) -> None:
    (images / ".unfinished").mkdir(parents=True)
    old, young = images / ".unfinished" / "old", images / ".unfinished" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (0, 0))
    with Journal(path, images):
        assert not old.exists()
        assert young.exists()


# ---- a disk that is full ----


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_when_the_disk_is_full_nothing_is_half_written_and_all_goes_on_later(
    journal: Journal, path: Path
) -> None:
    verdicts = [verdict_of(at=later(n), reason="r" * 20_000) for n in range(12)]
    await journal.note(verdicts[0])
    await journal.record(entry_of(verdicts[1]), verdicts[1], None, None)
    size = path.with_name("journal.db-wal").stat().st_size
    big = verdict_of(at=later(99), reason="r" * 300_000, path="/big.png")
    with files_no_longer_than(size + 100_000):
        with pytest.raises(TryAgain, match="journal cannot be written"):
            await journal.record(entry_of(big), big, None, None)
        assert journal.waiting == 2
        assert journal.seen("/big.png") is None
    await all_of(*(journal.note(verdict) for verdict in verdicts[2:]), journal.record(entry_of(big), big, None, None))
    kept = [parcel.verdict for parcel in await waiting_in(journal)]
    assert kept[:2] == verdicts[:2]
    assert sorted(verdict.key for verdict in kept if verdict) == sorted(one.key for one in [*verdicts, big])
    assert journal.seen("/big.png") is not None


async def test_an_image_the_disk_has_no_room_for_is_refused_and_leaves_nothing(journal: Journal, images: Path) -> None:
    small, large = picture_of("s"), picture_of("l" * 200_000)
    one, other = verdict_of("CDC_a"), verdict_of("CDC_b")
    with files_no_longer_than(150_000):
        told = await asyncio.gather(
            journal.record(entry_of(one), one, small, None),
            journal.record(entry_of(other), other, large, None),
            return_exceptions=True,
        )
    assert told[0] is None
    assert isinstance(told[1], TryAgain)
    assert "cannot keep an image" in str(told[1])
    assert [parcel.verdict for parcel in await waiting_in(journal)] == [one]
    assert [size_of(found) for found in files_below(images)] == [len(small.data)]
    await journal.record(entry_of(other), other, large, None)
    assert journal.waiting == 2


# ---- damage ----


async def filled(path: Path, images: Path) -> None:
    with Journal(path, images) as journal:
        for n in range(50):
            await journal.note(verdict_of(at=later(n), reason="r" * 2000))


def spoil_all(path: Path) -> bytes:
    return rewritten(path, b"this was a journal once\n" * 4000)


def spoil_the_middle(path: Path) -> bytes:
    data = path.read_bytes()
    return rewritten(path, data[:8192] + os.urandom(len(data) - 12288) + data[-4096:])


def spoil_the_end(path: Path) -> bytes:
    data = path.read_bytes()
    return rewritten(path, data[: len(data) // 2 - 100])


def rewritten(path: Path, data: bytes) -> bytes:
    path.write_bytes(data)
    return data


@pytest.mark.parametrize("spoil", [spoil_all, spoil_the_middle, spoil_the_end])
async def test_a_damaged_journal_is_set_aside_loudly_and_a_fresh_one_begun(
    path: Path, images: Path, spoil: Callable[[Path], bytes]
) -> None:
    await filled(path, images)
    spoilt = spoil(path)
    with capture_logs() as logs, Journal(path, images) as journal:
        assert journal.waiting == 0
        await journal.note(verdict_of())
        assert journal.waiting == 1
    (aside,) = path.parent.glob("journal.db.damaged-*Z")
    assert aside.read_bytes() == spoilt
    (line,) = [line for line in logs if line["event"] == "journal_damaged"]
    assert line["log_level"] == "critical"
    assert line["kept_as"] == aside.name
    with Journal(path, images) as journal:
        assert journal.waiting == 1


async def test_damage_while_it_is_open_loses_nothing_that_comes_after(path: Path, images: Path) -> None:
    await filled(path, images)
    with Journal(path, images) as journal:
        before = await journal.outgoing(5)
        await journal.record(entry_of(verdict_of(path="/before.png")), None, None, None)
        spoil_the_middle(path)
        journal._book._connection.execute("PRAGMA shrink_memory").close()
        verdicts = [verdict_of(at=later(n)) for n in range(100, 110)]
        with capture_logs() as logs:
            await all_of(*(journal.note(verdict) for verdict in verdicts))
        assert [line["event"] for line in logs] == ["journal_damaged"]
        await journal.delivered(before)  # their numbers belong to the old file
        assert [parcel.verdict for parcel in await waiting_in(journal)] == verdicts
        assert journal.waiting == 10
    with Journal(path, images) as journal:
        assert journal.seen("/before.png") is not None


async def test_a_torn_end_of_the_write_ahead_log_costs_nothing_that_was_committed(path: Path, images: Path) -> None:
    with Journal(path, images) as journal:
        for n in range(5):
            await journal.note(verdict_of(at=later(n)))
        copy = torn_copy(path)
    with Journal(copy, images) as journal:
        assert journal.waiting == 5


async def test_two_daemons_cannot_share_a_journal(journal: Journal, path: Path, images: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"store\.journal: .*locked; does another daemon use it\?"):
        Journal(path, images).__enter__()
    await journal.note(verdict_of())


def test_a_journal_that_cannot_be_is_a_fault_of_the_configuration(tmp_path: Path, images: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "journal.db", tmp_path):
        with pytest.raises(ConfigurationError, match=r"store\.journal"):
            Journal(path, images).__enter__()


def test_a_journal_of_another_version_is_left_alone(path: Path, images: Path) -> None:
    with Journal(path, images):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigurationError, match="another version"):
        Journal(path, images).__enter__()
    assert list(path.parent.glob("*damaged*")) == []


async def test_space_that_a_long_outage_took_is_given_back(path: Path, images: Path) -> None:
    with Journal(path, images) as journal:
        await all_of(*(journal.note(verdict_of(at=later(n), reason="r" * 100_000)) for n in range(300)))
        while parcels := await journal.outgoing(20):
            await journal.delivered(parcels)
    assert size_of(path) < 20_000_000
