"""A data base that is slow, changed under us or badly connected is waited for; nothing is set aside for its faults."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from between import Between
from databases import Database
from sqlalchemy import text
from store_world import change_of, entry_of, later, leave, picture_of, until, verdict_of
from structlog.testing import capture_logs
from test_store_delivery import delivering, refused_in

from hydrad.domain import Outcome
from hydrad.errors import StoreAway
from hydrad.store import engine, tables
from hydrad.store.engine import WentBack, open_engine, writing
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store

PARCELS = 5


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.db", tmp_path / "images", keep_given_s=3600) as opened:
        yield opened


async def fill(journal: Journal, first: int = 0) -> None:
    for n in range(first, first + PARCELS):
        verdict = verdict_of(at=datetime.now(UTC), path=f"/data/{n}")
        await journal.record(entry_of(verdict), verdict, picture_of(f"{n}"), None)


async def test_rows_that_somebody_holds_are_waited_for(
    journal: Journal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.kind == "sqlite":
        pytest.skip("SQLite knows no locks of rows")
    monkeypatch.setattr(engine, "ANSWER_WITHIN_S", 3)
    await fill(journal)
    with Store(database.url) as store:
        async with delivering(journal, store) as delivery:
            await until(lambda: delivery.waiting == 0)
            other = open_engine(database.url)
            with capture_logs() as logs, writing(other) as connection:
                connection.execute(text("SELECT * FROM plots FOR UPDATE"))
                await fill(journal, PARCELS)
                await until(lambda: [line for line in logs if line["event"] == "cannot_deliver"])
                assert not delivery.ok
            other.dispose()
            await until(lambda: delivery.waiting == 0)
        assert refused_in(journal) == []
        assert store.ledger_counts()[Outcome.JUDGED] == 2 * PARCELS


async def test_a_line_that_is_cut_again_and_again_costs_no_record(
    journal: Journal, database: Database, tmp_path: Path
) -> None:
    if database.kind == "sqlite":
        pytest.skip("no line leads to SQLite")
    await fill(journal)
    server = Path(str(database.url.query["unix_socket"]))
    with Between(tmp_path / "s", server) as line, Store(through(database, line)) as store:
        store.ping()
        line.cut_after = 14  # enough for a question, not for a batch
        async with delivering(journal, store) as delivery:
            await until(lambda: line.cuts >= 12)
            assert delivery.waiting == PARCELS
            line.cut_after = 0
            await until(lambda: delivery.waiting == 0)
        assert refused_in(journal) == []
        assert store.ledger_counts()[Outcome.JUDGED] == PARCELS


def through(database: Database, line: Between) -> str:
    """The data base's URL with this line in between."""
    return database.url.update_query_dict({"unix_socket": str(line.at)}).render_as_string(hide_password=False)


async def test_a_schema_that_becomes_another_under_a_daemon_is_waited_for_and_nothing_goes_into_it(
    journal: Journal, store: Store
) -> None:
    store.ping()
    store.live_on()
    before = revision(store, "9999")
    await fill(journal)
    with capture_logs() as logs:
        async with delivering(journal, store) as delivery:
            await until(lambda: [line for line in logs if line["event"] == "cannot_deliver"])
            assert (delivery.ok, delivery.waiting) == (False, PARCELS)
            with pytest.raises(StoreAway, match="newer"):
                store.ledger_counts()
            with writing(store._engine) as connection:
                assert connection.execute(tables.verdicts.select()).all() == []
            revision(store, before)
            await until(lambda: delivery.waiting == 0)
    assert "hydrad db upgrade" in next(line["why"] for line in logs if line["event"] == "cannot_deliver")
    assert store.ledger_counts()[Outcome.JUDGED] == PARCELS


def revision(store: Store, new: str) -> str:
    """Let the data base say that it is of this revision; the one before."""
    with writing(store._engine) as connection:
        before = connection.scalar(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": new})
    return str(before)


async def test_a_table_that_is_missing_for_a_while_is_waited_for(journal: Journal, store: Store) -> None:
    store.ping()
    rename(store, "settings", "aside")
    await journal.change(change_of())
    async with delivering(journal, store) as delivery:
        with capture_logs() as logs:
            await until(lambda: [line for line in logs if line["event"] == "cannot_deliver"])
        rename(store, "aside", "settings")
        await until(lambda: delivery.waiting == 0)
    assert refused_in(journal) == []
    assert len(store.settings_after(0)) == 1


def rename(store: Store, old: str, new: str) -> None:
    with writing(store._engine) as connection:
        connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


async def test_a_data_base_that_lacks_what_it_had_taken_is_given_it_again(
    journal: Journal, store: Store, tmp_path: Path, database: Database
) -> None:
    if database.kind != "sqlite":
        pytest.skip("its file is copied; the fault suite fails over between servers")
    await fill(journal)
    async with delivering(journal, store) as delivery:
        await until(lambda: delivery.waiting == 0)
    copied = sqlite3.connect(str(database.url.database))
    copied.execute(f"VACUUM INTO '{tmp_path / 'copy.db'}'")
    copied.close()
    await fill(journal, PARCELS)
    leave(store, change_of(0.7, at=later(50)))
    async with delivering(journal, store) as delivery:
        await until(lambda: delivery.waiting == 0)
    await journal.change(change_of(0.6, at=later(40), plot="CDC_other"))
    await journal.adopt(store.settings_after(0))
    with Store(f"sqlite:///{tmp_path / 'copy.db'}") as replica:
        assert replica.ledger_counts()[Outcome.JUDGED] == PARCELS
        with capture_logs() as logs:
            async with delivering(journal, replica):
                await until(lambda: len(replica.newest_settings()) == 2)
        assert [line["again"] for line in logs if line["event"] == "data_base_went_back"] == [2 * PARCELS]
        assert replica.ledger_counts()[Outcome.JUDGED] == 2 * PARCELS
        assert len({filed.verdict.key for filed in replica.log()}) == len(replica.log()) == 2 * PARCELS
        assert {change.value for change in replica.newest_settings()} == {0.6, 0.7}
        assert journal.cursor == 0


def test_what_may_have_been_purged_is_not_missed(store: Store) -> None:
    lately, long_ago = (
        Parcel(entry_of(verdict_of(at=at, path="/data/never.png"))) for at in (datetime.now(UTC), later(0))
    )
    store.ping(long_ago)
    store.put([], long_ago)
    with pytest.raises(WentBack, match=r"never\.png"):
        store.ping(lately)
    with pytest.raises(WentBack, match=r"never\.png"):
        store.put([], lately)
