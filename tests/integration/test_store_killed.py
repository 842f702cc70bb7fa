"""Killed at any moment, on either side: nothing is lost and nothing is there twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from databases import Database, started
from mariadb import MariaDB
from sqlalchemy import select
from store_world import entry_of, later, picture_of, until, verdict_of

from hydrad import config
from hydrad.domain import Outcome, Status
from hydrad.store import engine, schema, tables
from hydrad.store.images import ImageFolder
from hydrad.store.outbox.delivery import Delivery
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import unpack
from hydrad.store.queries import Store

WORKER = Path(__file__).with_name("store_worker.py")
TESTS = WORKER.parent.parent


@contextmanager
def worker(*words: object) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    with subprocess.Popen(
        [sys.executable, str(WORKER), *map(str, words)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def written_until_killed(folder: Path, after: int) -> list[tuple[str, str, int]]:
    """What a writer said was safe before it was killed, at some moment after so many."""
    with worker("write", folder) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
        assert process.wait() == -signal.SIGKILL
    lines = [line.split() for line in said if line.endswith("\n")]
    return [(key, sha256, int(n)) for key, sha256, n in lines]


async def deliver_all(journal: Journal, store: Store) -> None:
    with Delivery(journal, store, first_wait_s=0.05) as delivery:
        task = asyncio.create_task(delivery.run())
        await until(lambda: delivery.waiting == 0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def is_whole(store: Store, keys: set[str]) -> None:
    """Each of these verdicts is there once, with its file, and the counts agree."""
    there = [filed.verdict.key for filed in store.log(limit=100_000)]
    assert len(there) == len(set(there))
    assert set(there) == keys
    entries = list(store.ledger_files())
    assert len(entries) == len({entry.path for entry in entries}) == len(keys)
    assert store.ledger_counts()[Outcome.JUDGED] == len(keys)
    with store.reading() as connection:
        files = tables.files
        unlinked = connection.execute(select(files.c.id).where(files.c.verdict_id.is_(None))).all()
        assert unlinked == []
        images = connection.execute(select(tables.images.c.sha256)).all()
        assert len(images) == len(set(images)) == len(keys)


@pytest.mark.parametrize("after", [1, 200])
async def test_a_killed_writer_loses_nothing_it_had_returned_for(tmp_path: Path, after: int) -> None:
    said = written_until_killed(tmp_path, after)
    assert len(said) >= after
    images = ImageFolder(tmp_path / "images")
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal:
        parcels = [unpack(one.document, one.heatmap) for one in await journal.outgoing(100_000)]
        kept = {parcel.verdict.key for parcel in parcels if parcel.verdict is not None}
        assert {key for key, _, _ in said} <= kept
        assert len(kept) == len(parcels) <= len(said) + 16  # those under way may be there or not
        for parcel in parcels:
            assert parcel.entry is not None
            assert journal.seen(parcel.entry.path) is not None
            assert images.path(parcel.entry.sha256 or "", "png").stat().st_size == picture_size(parcel.entry.path)
        assert set(journal.standings()) == {parcel.entry.plot for parcel in parcels if parcel.entry}


def picture_size(path: str) -> int:
    return len(picture_of(f"{path.removeprefix('/data/').partition('_')[0]} " * 2000).data)


async def test_a_writer_killed_again_and_again_goes_on_where_it_was(tmp_path: Path) -> None:
    keys: set[str] = set()
    for after in (5, 60):
        keys |= {key for key, _, _ in written_until_killed(tmp_path, after)}
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal:
        kept = [unpack(one.document, one.heatmap).verdict for one in await journal.outgoing(100_000)]
    assert keys <= {verdict.key for verdict in kept if verdict is not None}


async def fill(folder: Path, parcels: int) -> set[str]:
    verdicts = [verdict_of(f"CDC_{n % 9}", later(n), path=f"/data/{n}_\udcff.png") for n in range(parcels)]
    with Journal(folder / "journal.db", folder / "images") as journal:
        await asyncio.gather(
            *(journal.record(entry_of(verdict), verdict, picture_of(verdict.key), None) for verdict in verdicts)
        )
    return {verdict.key for verdict in verdicts}


@pytest.mark.parametrize("more", [0, 1])
async def test_a_delivery_killed_between_its_two_commits_delivers_once(
    database: Database, tmp_path: Path, more: int
) -> None:
    """Also where the data base has the next batch as well."""
    keys = await fill(tmp_path, 200)
    for dies_at in (1, 3):
        with worker("deliver", tmp_path, database.text, dies_at, more) as process:
            assert process.wait(60) == -signal.SIGKILL
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal, Store(database.url) as store:
        assert journal.waiting == 200 - 20 * (0 + 2)
        assert 20 * (3 + more) <= len(store.log(limit=1000)) < 200  # more than the journal knows of
        await deliver_all(journal, store)
        is_whole(store, keys)


async def test_a_delivery_killed_at_any_moment_delivers_once(database: Database, tmp_path: Path) -> None:
    keys = await fill(tmp_path, 400)
    for pause_s in (0.0, 0.04, 0.09):
        with worker("deliver", tmp_path, database.text) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            await asyncio.sleep(pause_s)  # some moment or other: whichever it is must do
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal, Store(database.url) as store:
        await deliver_all(journal, store)
        is_whole(store, keys)


# ---- the server ----


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[MariaDB]:
    """A server that these tests kill, and start again."""
    with started() as server:
        yield server


@pytest.fixture
def mortal(mortal_server: MariaDB) -> Iterator[MariaDB]:
    """The same, for one test, alive at its beginning; what was started anew in it ends with it."""
    mortal_server.start()
    yield mortal_server
    mortal_server.stop()


@pytest.mark.mariadb
async def test_verdicts_that_come_while_the_server_is_dead_arrive_when_it_lives(
    mortal: MariaDB, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = mortal.create()
    schema.upgrade(url)
    verdicts = [verdict_of(f"CDC_{n % 5}", later(n), path=f"/data/{n}", status=Status.GOOD) for n in range(300)]
    with (
        Journal(tmp_path / "journal.db", tmp_path / "images") as journal,
        Store(url) as store,
        Delivery(journal, store, batch=10, first_wait_s=0.05, longest_wait_s=0.3) as delivery,
    ):
        task = asyncio.create_task(delivery.run())

        async def arrive(some: range) -> None:
            for n in some:
                await journal.record(entry_of(verdicts[n]), verdicts[n], picture_of(f"{n}"), None)

        await until(lambda: delivery.ok)
        await arrive(range(100))
        mortal.kill()  # in the middle of delivering these
        await arrive(range(100, 200))
        await until(lambda: not delivery.ok)
        assert delivery.waiting >= 100
        starting = asyncio.create_task(asyncio.to_thread(mortal.start))
        await arrive(range(200, 300))
        await starting
        await until(lambda: delivery.waiting == 0)
        assert delivery.ok
        is_whole(store, {verdict.key for verdict in verdicts})
        assert {standing.plot: standing.judged_at for standing in store.standings()} == {
            f"CDC_{n % 5}": later(n) for n in range(295, 300)
        }
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    said = capsys.readouterr()
    assert (said.out + said.err).count("cannot_deliver") == 1
    assert (said.out + said.err).count("delivers_again") == 1


@pytest.mark.mariadb
async def test_a_server_that_hangs_is_away_and_loses_nothing(
    mortal: MariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONNECT_WITHIN_S", 1)
    monkeypatch.setattr(engine, "ANSWER_WITHIN_S", 1)
    url = mortal.create()
    schema.upgrade(url)
    verdicts = [verdict_of(at=later(n), path=f"/data/{n}") for n in range(20)]
    with (
        Journal(tmp_path / "journal.db", tmp_path / "images") as journal,
        Store(url) as store,
        Delivery(journal, store, first_wait_s=0.05, longest_wait_s=0.3) as delivery,
    ):
        task = asyncio.create_task(delivery.run())
        await until(lambda: delivery.ok)
        mortal.freeze()
        try:
            for verdict in verdicts:
                await journal.record(entry_of(verdict), verdict, picture_of(verdict.key), None)
            await until(lambda: not delivery.ok)
        finally:
            mortal.thaw()
        await until(lambda: delivery.waiting == 0)
        is_whole(store, {verdict.key for verdict in verdicts})
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.mariadb
def test_the_password_of_a_server_comes_from_its_file(mariadb_server: MariaDB, tmp_path: Path) -> None:
    url = mariadb_server.create()
    (tmp_path / "password").write_text(f"{url.password}\n")
    (tmp_path / "password").chmod(0o600)
    document = {
        "store": {
            "url": url.render_as_string(hide_password=False).replace(f":{url.password}@", "@"),
            "password_file": str(tmp_path / "password"),
        },
        "beam": {"kind": "fixed"},
    }
    try:
        settings = config.read(document, tmp_path)
        schema.upgrade(settings.store_url())
        with Store(settings.store_url()) as store:
            assert store.standings() == []
    finally:
        mariadb_server.drop(url)
