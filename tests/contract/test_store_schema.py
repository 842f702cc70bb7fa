"""The schema: what the migrations make is what the program knows, and nothing else is taken."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from databases import Database
from sqlalchemy import inspect, text

from hydrad.errors import SchemaMismatch
from hydrad.store import schema
from hydrad.store.engine import open_engine, writing
from hydrad.store.queries import Store
from hydrad.store.schema import Age
from hydrad.store.tables import METADATA


def test_the_migrations_make_exactly_the_tables_the_program_knows(database: Database) -> None:
    engine = open_engine(database.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_a_difference_between_migrations_and_program_would_be_found(database: Database) -> None:
    engine = open_engine(database.url)
    with writing(engine) as connection:
        connection.execute(
            text(
                "DROP INDEX ix_verdicts_run ON verdicts" if database.kind == "mariadb" else "DROP INDEX ix_verdicts_run"
            )
        )
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert [difference[0] for difference in compare_metadata(context, METADATA)] == ["add_index"]
    engine.dispose()


def test_every_index_of_the_program_is_there(database: Database) -> None:
    engine = open_engine(database.url)
    found = inspect(engine)
    for table in METADATA.tables.values():
        there = {index["name"] for index in found.get_indexes(table.name)}
        assert {index.name for index in table.indexes} <= there
    engine.dispose()


def test_upgrading_twice_changes_nothing(bare_database: Database) -> None:
    assert schema.schema_state(bare_database.url).age is Age.EMPTY
    first = schema.upgrade(bare_database.url)
    assert first.age is Age.CURRENT
    assert schema.upgrade(bare_database.url) == first == schema.schema_state(bare_database.url)


def test_several_that_upgrade_at_once_all_succeed(bare_database: Database) -> None:
    with ThreadPoolExecutor(3) as pool:
        ages = [state.age for state in pool.map(schema.upgrade, [bare_database.url] * 3)]
    assert ages == [Age.CURRENT] * 3


def test_an_empty_data_base_is_refused_on_a_server_and_furnished_when_embedded(bare_database: Database) -> None:
    with Store(bare_database.url) as store:
        if bare_database.kind == "sqlite":
            assert store.standings() == []
            assert schema.schema_state(bare_database.url).age is Age.CURRENT
        else:
            with pytest.raises(SchemaMismatch, match="run `hydrad db upgrade`"):
                store.standings()
            assert schema.schema_state(bare_database.url).age is Age.EMPTY


NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "0006"

def upgrade():
    op.add_column("runs", sa.Column("comment", sa.Text()))
"""


@pytest.fixture
def newer_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that has one more migration than this one."""
    migrations = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, migrations)
    (migrations / "versions" / "r9999_next.py").write_text(NEXT_REVISION)
    monkeypatch.setattr(schema, "MIGRATIONS", migrations)


@pytest.mark.usefixtures("newer_program")
def test_an_older_schema_is_refused_on_a_server_and_upgraded_when_embedded(database: Database) -> None:
    engine = open_engine(database.url)
    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE runs DROP COLUMN comment"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0006'"))
    assert schema.schema_state(database.url).age is Age.BEHIND
    with Store(database.url) as store:
        if database.kind == "mariadb":
            with pytest.raises(SchemaMismatch, match="0006 is older than this program's 9999; run `hydrad db upgrade`"):
                store.standings()
            schema.upgrade(database.url)
        assert store.standings() == []
    assert schema.schema_state(database.url).age is Age.CURRENT
    assert inspect(engine).get_columns("runs")[-1]["name"] == "comment"
    engine.dispose()


def test_a_newer_schema_is_refused_by_everyone(database: Database) -> None:
    engine = open_engine(database.url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    assert schema.schema_state(database.url).age is Age.AHEAD
    with Store(database.url) as store, pytest.raises(SchemaMismatch, match=r"9999 is newer .*hydrad db upgrade"):
        store.standings()
    with pytest.raises(SchemaMismatch, match="9999 is newer"):
        schema.upgrade(database.url)


def test_a_failed_upgrade_of_an_embedded_data_base_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/hydra.db"
    upgrade = schema.command.upgrade

    def break_off(*words: object) -> None:
        upgrade(*words)  # type: ignore[arg-type]  # as it was called
        raise ZeroDivisionError

    monkeypatch.setattr(schema.command, "upgrade", break_off)
    with pytest.raises(ZeroDivisionError):
        schema.upgrade(url)
    monkeypatch.undo()
    engine = open_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    assert schema.upgrade(url).age is Age.CURRENT
