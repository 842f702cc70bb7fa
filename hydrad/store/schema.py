"""Whether the data base has the tables this program knows, and how it gets them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, text

from hydrad.errors import SchemaMismatch, StoreAway
from hydrad.store.engine import is_embedded, open_engine, reading, writing

MIGRATIONS = Path(__file__).parent / "migrations"
UPGRADE_LOCK = "hydrad db upgrade"
UPGRADE_WAIT_S = 60


class Age(StrEnum):
    """How a data base's schema stands to this program's."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The revision a data base has, and the one this program wants."""

    present: str | None
    wanted: str
    age: Age


def upgrade(url: URL | str) -> SchemaState:
    """Bring a data base to this program's schema; what is up to date stays as it is.

    Raises:
        StoreAway: it does not answer.
        SchemaMismatch: it is newer than this program.
    """
    engine = open_engine(url, patient=True)
    try:
        return upgrade_engine(engine)
    finally:
        engine.dispose()


def schema_state(url: URL | str) -> SchemaState:
    """How the schema of a data base stands; raises StoreAway when it does not answer."""
    engine = open_engine(url)
    try:
        with reading(engine) as connection:
            return _state(connection)
    finally:
        engine.dispose()


def require(engine: Engine) -> None:
    """Go on only with the schema this program knows; an embedded data base is brought there at once.

    Raises:
        StoreAway: the data base does not answer.
        SchemaMismatch: its schema is older or newer; the text names the command that mends it.
    """
    with reading(engine) as connection:
        state = _state(connection)
    if state.age in {Age.EMPTY, Age.BEHIND} and is_embedded(engine):
        upgrade_engine(engine)
    elif state.age is not Age.CURRENT:
        raise _mismatch(state)


def require_still(connection: Connection) -> None:
    """The same in the midst of a transaction, at the cost of one small question.

    Raises:
        SchemaMismatch: the schema has become another.
    """
    if connection.scalar(text("SELECT version_num FROM alembic_version")) != _wanted():
        raise _mismatch(_state(connection))


def upgrade_engine(engine: Engine) -> SchemaState:
    """See :func:`upgrade`."""
    with writing(engine) as connection, _alone(connection):
        state = _state(connection)
        if state.age is Age.AHEAD:
            raise _mismatch(state)
        if state.age is not Age.CURRENT:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return _state(connection)


def revisions() -> set[str]:
    """Those that this program knows."""
    return {revision.revision for revision in ScriptDirectory.from_config(_config()).walk_revisions()}


def make(engine: Engine, revision: str) -> None:
    """Make the tables of a revision in a data base that has none of them."""
    with writing(engine) as connection, _alone(connection):
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


@cache
def _wanted() -> str:
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _state(connection: Connection) -> SchemaState:
    script = ScriptDirectory.from_config(_config())
    wanted = script.get_current_head() or ""
    present = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if present is None:
        age = Age.EMPTY
    elif present == wanted:
        age = Age.CURRENT
    else:
        age = Age.BEHIND if present in known else Age.AHEAD
    return SchemaState(present, wanted, age)


def _mismatch(state: SchemaState) -> SchemaMismatch:
    match state.age:
        case Age.EMPTY:
            return SchemaMismatch("store.url: the data base has no tables yet; run `hydrad db upgrade`")
        case Age.BEHIND:
            return SchemaMismatch(
                f"store.url: the data base's schema {state.present} is older than this program's {state.wanted}; "
                "run `hydrad db upgrade`"
            )
        case _:
            return SchemaMismatch(
                f"store.url: the data base's schema {state.present} is newer than this program's {state.wanted}; "
                "use the hydrad whose `hydrad db upgrade` brought it there"
            )


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Let one process upgrade at a time; SQLite's write transaction does that by itself."""
    if is_embedded(connection.engine):
        yield
        return
    lock = {"name": UPGRADE_LOCK, "wait": UPGRADE_WAIT_S}
    if not connection.scalar(text("SELECT GET_LOCK(:name, :wait)"), lock):
        raise StoreAway(f"somebody else has been upgrading the data base for {UPGRADE_WAIT_S} s")
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": UPGRADE_LOCK})
