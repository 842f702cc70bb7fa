"""A backup is the data base again: on the same kind and on the other, whole or not at all, and never over anything."""

from __future__ import annotations

import json
import random
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Database
from sqlalchemy import URL, inspect, select, text
from store_world import change_of, entry_of, later, picture_of, verdict_of

from hydrad.domain import Outcome, Status
from hydrad.errors import ConfigurationError, HydradError, SchemaMismatch
from hydrad.store import schema
from hydrad.store.backup import archive, restoring, taking
from hydrad.store.backup.archive import Archive, Damaged
from hydrad.store.backup.restoring import NotEmpty
from hydrad.store.engine import open_engine, reading, writing
from hydrad.store.images import ImageFolder
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store
from hydrad.store.tables import METADATA

ON_ONE_KIND = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # a rule, the same on every kind
HOSTILE = "a 'plot' of \"many\" words; \\ DROP TABLE plots; -- ☢ \udcff\n\ttab"


def fill(store: Store, n: int = 3) -> None:
    """Something of everything that is hard to keep: bytes, times, names of any kind, numbers of every digit."""
    parcels = []
    for number in range(n):
        for plot in ("CDC_occupancy", HOSTILE):
            at = later(60 * number + 0.000001)
            status = Status.BAD if number % 2 else Status.GOOD
            verdict = verdict_of(
                plot, at, status=status, confidence=1 / 3, reason=f"{HOSTILE} {number}", path=f"/d/{plot}{number}"
            )
            facts = ImageFacts(5000, "png", 8, 6, sampled=True)
            parcels.append(Parcel(entry_of(verdict), verdict, facts, heatmap=HEAT))
    parcels.append(Parcel(entry_of(verdict_of(), Outcome.REJECTED, path="/d/\udcfe.png", plot=None, sha256=None)))
    parcels.append(Parcel(change=change_of(0.1 + 0.2), ticket="one"))
    store.put(parcels)


import numpy as np  # noqa: E402

HEAT = np.arange(144, dtype=np.uint8).reshape(12, 12)


def contents(url: URL) -> dict[str, list[Any]]:
    """Every row of every table that a backup is of, as Python sees them."""
    engine = open_engine(url)
    with reading(engine) as connection:
        found = {
            table.name: sorted(map(repr, connection.execute(select(table))))
            for table in METADATA.sorted_tables
            if table.name not in taking.LEFT_OUT
        }
    engine.dispose()
    return found


def take(database: Database, path: Path, **what: Any) -> archive.Manifest:
    return taking.take(database.url, path, taking.What(hall="D", **what))


def restore(path: Path, url: URL, *, replace: bool = False) -> None:
    with Archive(path) as opened:
        restoring.check(opened, url, replace=replace)
        restoring.restore(opened, url)


@pytest.fixture
def filled(database: Database) -> Database:
    with Store(database.url) as store:
        fill(store)
    return database


@pytest.fixture(scope="session")
def other_kind(request: pytest.FixtureRequest) -> str:
    """Which kind of data base is restored to."""
    if request.param == "mariadb":  # started here, before a test's own fixtures count what processes there are
        request.getfixturevalue("mariadb_server")
    return str(request.param)


@pytest.fixture
def elsewhere(other_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """Another data base, without tables."""
    if other_kind == "sqlite":
        yield URL.create("sqlite", database=str(tmp_path / "new" / "other.db"))
        return
    server = request.getfixturevalue("mariadb_server")
    url = server.create()
    yield url
    server.drop(url)


BOTH = pytest.mark.parametrize(
    "other_kind", ["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True
)


@BOTH
def test_everything_is_there_again_on_either_kind(filled: Database, elsewhere: URL, tmp_path: Path) -> None:
    before = contents(filled.url)
    manifest = take(filled, tmp_path / "b.zip")
    restore(tmp_path / "b.zip", elsewhere)
    assert contents(elsewhere) == before
    assert sum(map(len, before.values())) == manifest.rows > 20
    assert schema.schema_state(elsewhere).age is schema.Age.CURRENT
    with Store(elsewhere) as store:  # and it works
        fill(store, 5)
        assert store.log(plot=HOSTILE, limit=1)[0].verdict.reason.endswith("4")
        assert (store.heatmap(store.log(plot=HOSTILE, limit=1)[0].id) == HEAT).all()


@pytest.mark.parametrize("other_kind", ["sqlite"], indirect=True)
def test_a_backup_is_of_one_moment_though_others_write(database: Database, elsewhere: URL, tmp_path: Path) -> None:
    with Store(database.url) as store:
        fill(store)
        halfway, written = threading.Event(), threading.Event()

        def write() -> None:
            halfway.wait()
            with Store(database.url) as other:
                fill(other, 40)
            written.set()

        writer = threading.Thread(target=write)
        writer.start()

        def told(_table: str, _rows: int) -> None:
            halfway.set()
            assert written.wait(30), "a writer was held up by a backup"

        before = contents(database.url)
        taking.take(database.url, tmp_path / "b.zip", taking.What(), told)
        writer.join()
    restore(tmp_path / "b.zip", elsewhere)
    assert contents(elsewhere) == before


def test_what_is_in_the_data_base_is_not_lost_unless_told(filled: Database, tmp_path: Path) -> None:
    take(filled, tmp_path / "b.zip")
    before = contents(filled.url)
    with Store(filled.url) as store:
        fill(store, 6)
    later_on = contents(filled.url)
    with pytest.raises(NotEmpty, match=r"has \d+ \w+ already; nothing was touched. To lose that, say --replace"):
        restore(tmp_path / "b.zip", filled.url)
    assert contents(filled.url) == later_on
    restore(tmp_path / "b.zip", filled.url, replace=True)
    assert contents(filled.url) == before


def test_a_restore_that_fails_on_the_way_leaves_no_row_and_may_be_begun_anew(
    filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(filled, tmp_path / "b.zip")
    before = contents(filled.url)
    rows = Archive.rows

    def torn(self: Archive, table: str) -> Iterator[archive.Row]:
        yield from rows(self, table)
        if table == "verdicts":
            raise Damaged("the disk was pulled out")

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "rows", torn)
        with pytest.raises(HydradError, match="the disk was pulled out"):
            restore(tmp_path / "b.zip", filled.url, replace=True)
    left = contents(filled.url)
    assert left == before if filled.kind == "sqlite" else not any(left.values())
    restore(tmp_path / "b.zip", filled.url, replace=filled.kind == "sqlite")
    assert contents(filled.url) == before


@ON_ONE_KIND
def test_any_damage_is_found_before_anything_is_touched(filled: Database, tmp_path: Path) -> None:
    sound = tmp_path / "b.zip"
    take(filled, sound)
    data, dice = sound.read_bytes(), random.Random(6)
    new = URL.create("sqlite", database=str(tmp_path / "new.db"))
    damaged = tmp_path / "damaged.zip"
    for n in range(24):
        at = dice.randrange(len(data))
        damaged.write_bytes(data[:at] if n % 2 else data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        try:
            restore(damaged, new)
        except (Damaged, SchemaMismatch):
            assert not (tmp_path / "new.db").exists()
        else:  # in a byte that no reader of such files looks at: then what was restored is what was written
            assert contents(new) == contents(filled.url)
            (tmp_path / "new.db").unlink()
    assert not [path for path in tmp_path.iterdir() if "new.db." in path.name]


@ON_ONE_KIND
@pytest.mark.parametrize("how", ["text", "empty", "zip", "rows", "stranger", "format"])
def test_what_is_no_backup_of_ours_is_refused(filled: Database, tmp_path: Path, how: str) -> None:
    path = tmp_path / "b.zip"
    if how in {"text", "empty"}:
        path.write_text("" if how == "empty" else "no backup")
    elif how == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("holiday.txt", "sun")
    else:
        take(filled, tmp_path / "sound.zip")
        with zipfile.ZipFile(tmp_path / "sound.zip") as sound, zipfile.ZipFile(path, "w") as file:
            for name in sound.namelist():
                content = sound.read(name)
                if how == "rows" and name == "tables/verdicts.jsonl":
                    content = content.split(b"\n", 1)[1]
                if how == "format" and name == archive.MANIFEST:
                    content = json.dumps(json.loads(content) | {"format": 99}).encode()
                file.writestr(name, content)
            if how == "stranger":
                file.writestr("tables/more.jsonl", "[]")
    with pytest.raises(Damaged):
        restore(path, URL.create("sqlite", database=str(tmp_path / "new.db")))
    assert not (tmp_path / "new.db").exists()


@BOTH
@ON_ONE_KIND
def test_an_older_schema_is_restored_and_brought_up_to_date(
    bare_database: Database, elsewhere: URL, tmp_path: Path
) -> None:
    engine = open_engine(bare_database.url)
    schema.make(engine, "0002")
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO plots (id, digest, name) VALUES (7, x'00', 'CDC_x')"))
        connection.execute(
            text("INSERT INTO runs VALUES (5, '2026-11-23 07:00:00.000000', '2026-11-23 08:00:00.000000')")
        )
    engine.dispose()
    assert take(bare_database, tmp_path / "b.zip").schema == "0002"
    restore(tmp_path / "b.zip", elsewhere)
    assert schema.schema_state(elsewhere).age is schema.Age.CURRENT
    with Store(elsewhere) as store, store.reading() as connection:
        assert connection.execute(text("SELECT id, name FROM plots")).all() == [(7, "CDC_x")]
        assert "ix_files_verdict_id" in {index["name"] for index in inspect(connection).get_indexes("files")}


@ON_ONE_KIND
def test_a_newer_schema_is_refused_with_who_can_restore_it(filled: Database, tmp_path: Path) -> None:
    manifest = take(filled, tmp_path / "b.zip")
    new = tmp_path / "new.zip"
    with zipfile.ZipFile(tmp_path / "b.zip") as sound, zipfile.ZipFile(new, "w") as file:
        for name in sound.namelist():
            words = sound.read(name)
            if name == archive.MANIFEST:
                words = json.dumps(json.loads(words) | {"schema": "9999", "version": "9.9"}).encode()
            file.writestr(name, words)
    assert manifest.schema != "9999"
    with pytest.raises(SchemaMismatch, match=r"does not know; it was taken by hydrad 9\.9"):
        restore(new, URL.create("sqlite", database=str(tmp_path / "new.db")))
    assert not (tmp_path / "new.db").exists()


@ON_ONE_KIND
def test_a_backup_is_never_overwritten_nor_left_half_written(filled: Database, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    take(filled, folder / "b.zip")
    assert (folder / "b.zip").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigurationError, match="is there already"):
        take(filled, folder / "b.zip")

    def interrupted(table: str, _rows: int) -> None:
        if table == "verdicts":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taking.take(filled.url, folder / "c.zip", taking.What(), interrupted)
    assert [path.name for path in folder.iterdir()] == ["b.zip"]


@ON_ONE_KIND
def test_a_session_that_was_ended_does_not_begin_again(filled: Database, tmp_path: Path) -> None:
    assert {"sessions", "heartbeats"} <= taking.LEFT_OUT
    assert "sessions" not in take(filled, tmp_path / "b.zip").tables


@ON_ONE_KIND
def test_images_and_bundles_come_along_where_asked_for(filled: Database, tmp_path: Path) -> None:
    kept = ImageFolder(tmp_path / "images")
    pictures = [picture_of(str(n)) for n in range(40)]
    for picture in pictures:
        kept.keep(picture.data, picture.sha256, picture.format)
    bundle = tmp_path / "models" / "cdc-7"
    (bundle / "deep").mkdir(parents=True)
    (bundle / "bundle.json").write_text("{}")
    (bundle / "deep" / "model.keras").write_bytes(b"\0" * 1000)
    manifest = take(filled, tmp_path / "b.zip", images=tmp_path / "images", models=tmp_path / "models")
    assert (manifest.images, manifest.models) == (40, ("cdc-7",))
    with Archive(tmp_path / "b.zip") as opened:
        opened.verify()
        assert restoring.put_images(opened, tmp_path / "i2") == 40
        assert restoring.put_models(opened, tmp_path / "m2") == ["cdc-7"]
        assert restoring.put_models(opened, tmp_path / "m2") == []
    assert all(ImageFolder(tmp_path / "i2").path(p.sha256, p.format).read_bytes() == p.data for p in pictures)
    assert (tmp_path / "m2" / "cdc-7" / "deep" / "model.keras").read_bytes() == b"\0" * 1000


def test_of_the_backups_of_a_hall_the_newest_stay(tmp_path: Path) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    mine = [archive.named(tmp_path, "Hall D/1", now + timedelta(days=n)) for n in range(4)]
    other = archive.named(tmp_path, "Hall D", now)
    note = tmp_path / "hydra-Hall-D-1-README.zip"
    for path in (*mine, other, note):
        path.write_bytes(b"")
    assert archive.thin(tmp_path, "Hall D/1", 2) == mine[:2]
    assert {path.name for path in tmp_path.glob("hydra-*")} == {path.name for path in (*mine[2:], other, note)}


@ON_ONE_KIND
async def test_a_new_host_is_told_which_files_were_dealt_with(filled: Database, tmp_path: Path) -> None:
    """Else everything that lies in the watched folder would be judged a second time."""
    with restoring.alone(tmp_path / "journal.db") as book:
        assert restoring.prepare_journal(book, filled.url) == 7
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal, Store(filled.url) as store:
        for entry in store.ledger_files():
            seen = journal.seen(entry.path)
            assert seen is not None
            told = (entry.size, entry.mtime_ns, entry.outcome, entry.reason, entry.sha256)
            assert (seen.size, seen.mtime_ns, seen.outcome, seen.reason, seen.sha256) == told
        with pytest.raises(HydradError, match="stop"), restoring.alone(tmp_path / "journal.db"):
            pass
