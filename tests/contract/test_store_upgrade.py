"""A data base that has been at work under the first revision goes on under the next, with every row it had."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from alembic import command
from databases import Database
from sqlalchemy import Connection, MetaData, Table, insert, inspect, select, text

from hydrad.domain import Meaning
from hydrad.store import schema
from hydrad.store.columns import digest
from hydrad.store.engine import Unacceptable, open_engine, reading, writing
from hydrad.store.labels.defining import Hand
from hydrad.store.labels.labelling import history, labelled
from hydrad.store.labels.marking import Effect, Mark, give
from hydrad.store.queries import Store
from hydrad.store.schema import Age

ROWS = 7  # of each table
MORNING = datetime(2026, 11, 23, 7, 1, 2, 500001)  # noqa: DTZ001  as the columns hold it
OLD_TABLES = [
    "detectors", "plots", "labels", "runs", "images", "verdicts", "standings", "files", "tallies", "settings", "models",
    "submissions", "heartbeats",
]  # fmt: skip
# Words that enumerations know; any text would do for the data base, but not for the program that reads it afterwards.
WORDS = {
    "meaning": "bad", "status": "BAD", "severity": "MAJOR", "cause": "image", "beam_state": "ON", "health": "OK",
    "state": "in_service", "card": "{}", "metrics": "{}", "scores": '{"Bad":0.5}', "meanings": '{"Bad":"bad"}',
}  # fmt: skip
FLAGS = {"kept", "superseded", "confirmed"}  # which MariaDB has as numbers
OUTCOMES = ["judged", "unchanged", "superseded", "rejected", "pending"]


def value_of(table: str, column: Any, n: int) -> Any:
    """Some value for a column of row n: different in each row, never NULL."""
    name, kind = column.name, column.type.python_type
    length = getattr(column.type, "length", None) or 99
    if name in {"id", "number"} or name.endswith("_id"):
        value: Any = f"model-{n}" if table == "models" else n
    elif name == "outcome":
        value = OUTCOMES[n % 5] if table == "files" else f"{OUTCOMES[n % 5]}{n}"
    elif name in WORDS:
        value = WORDS[name]
    elif kind is bytes:
        value = hashlib.sha256(f"{table}.{name}.{n}".encode()).digest()
        value = value[:16] if "digest" in name or name == "scope" else value
    elif kind in (float, Decimal):
        value = n / 8
    elif kind is int:
        value = n % 2 if name in FLAGS else 100 + n
    else:
        value = {datetime: MORNING + timedelta(seconds=n), bool: n % 2 == 0}.get(kind, f"{name} {n} ä😀"[:length])
    return value


def furnish(connection: Connection) -> None:
    """Fill every table of the first revision, each row referring to others."""
    metadata = MetaData()
    metadata.reflect(connection)
    for name in OLD_TABLES:
        table = metadata.tables[name]
        rows = [{column.name: value_of(name, column, n) for column in table.columns} for n in range(1, ROWS + 1)]
        if name == "plots":
            rows = [row | {"digest": digest(row["name"])} for row in rows]
        if name == "images":
            rows[0] |= {"run": None, "taken_at": None}
        connection.execute(insert(table), rows)


def contents(connection: Connection, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Every row of these tables."""
    metadata = MetaData()
    metadata.reflect(connection)

    def rows(table: Table) -> list[dict[str, Any]]:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]

    return {name: rows(metadata.tables[name]) for name in names}


@pytest.fixture
def old(bare_database: Database) -> Database:
    """A data base of revision 0001 with rows in all of its tables."""
    engine = open_engine(bare_database.url)
    with writing(engine) as connection:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with writing(engine) as connection:
        furnish(connection)
    engine.dispose()
    return bare_database


def test_the_next_revision_keeps_every_row_and_takes_labels(old: Database) -> None:
    assert schema.schema_state(old.url).present == "0001"
    engine = open_engine(old.url)
    with reading(engine) as connection:
        before = contents(connection, OLD_TABLES)
    assert {len(rows) for rows in before.values()} == {ROWS}

    assert schema.upgrade(old.url).age is Age.CURRENT

    with reading(engine) as connection:
        after = contents(connection, OLD_TABLES)
    new = {
        "images": {"sampled": 1, "label_id": None},
        "models": {"fault": None},
        "heartbeats": {"details": None},
    }
    for name, rows in before.items():
        told = [{"label_start": row["label"][:40]} if name == "verdicts" else new.get(name, {}) for row in rows]
        assert after[name] == [row | more for row, more in zip(rows, told, strict=True)], name
    with reading(engine) as connection:
        counted = contents(connection, ["hours", "episodes"])
    hour = MORNING.replace(minute=0, second=0, microsecond=0)
    assert counted["hours"] == [{"hour": hour, "plot_id": n, "status": "BAD", "images": 1} for n in range(1, ROWS + 1)]
    assert counted["episodes"] == []
    keys = [(key["constrained_columns"], key["referred_table"]) for key in inspect(engine).get_foreign_keys("images")]
    assert sorted(keys) == [(["label_id"], "labels"), (["plot_id"], "plots")]
    if old.kind == "sqlite":
        with reading(engine) as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    engine.dispose()

    with Store(old.url) as store:
        (image,) = [row for row in after["images"] if row["id"] == 3]
        plot = next(row["name"] for row in after["plots"] if row["id"] == image["plot_id"])
        mark = Mark(plot, bytes(image["sha256"]).hex(), "Good", Hand("otto", "counting-3", "page", datetime.now(UTC)))
        assert give(store, [mark], lambda _: Meaning.GOOD) == [Effect.GIVEN]
        assert [one.label for one in labelled(store, purged=True)] == ["Good"]
        assert [one.label for one in history(store, plot, mark.sha256)] == ["Good"]
        assert len(store.log()) == ROWS


def test_a_label_that_is_not_there_is_refused_by_the_data_base_after_the_upgrade(old: Database) -> None:
    schema.upgrade(old.url)
    engine = open_engine(old.url)
    with pytest.raises(Unacceptable), writing(engine) as connection:
        connection.execute(text("UPDATE images SET label_id = 4711"))
    engine.dispose()
