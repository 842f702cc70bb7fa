"""The door to the data base: how connections are opened, and what its faults mean for us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hydrad.errors import HydradError, StoreAway
from hydrad.store.columns import SERVERS

ANSWER_WITHIN_S = 15  # a server that says nothing for so long is away
SQLITE_BUSY_S = 10.0
STRICT = "SET sql_mode = 'TRADITIONAL,NO_ENGINE_SUBSTITUTION'"  # refuse what does not fit, never cut it

# Server faults that lie in the record itself: wrong string, row too large, packet too large, check failed, bad date.
_CONTENT_CODES = frozenset({1366, 1118, 1153, 2020, 4025, 3819, 1292})
_DROPPED_CODES = frozenset({2006, 2013})


class Unacceptable(HydradError):
    """The data base answers, but will not take this record."""


class Dropped(StoreAway):
    """The server hung up in the middle of a statement."""


def open_engine(url: URL | str) -> Engine:
    """An engine for a data base; nothing is connected yet."""
    url = make_url(url)
    if url.get_backend_name() in SERVERS:
        return _server(url)
    return _embedded(url)


def is_embedded(engine: Engine) -> bool:
    """True for SQLite, which this program owns; a server's schema belongs to its administrator."""
    return engine.dialect.name not in SERVERS


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads; faults become hydrad's."""
    with translated(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is committed at the end, or rolled back when anything is raised; faults become hydrad's."""
    with translated(), engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreAway for a data base that does not answer, Unacceptable for a record it refuses.

    Whatever is neither (wrong SQL) is our own mistake and passes as it is.
    """
    try:
        yield
    except DBAPIError as fault:
        kind = _kind(fault)
        if kind is None:
            raise
        raise kind(f"the data base says: {fault.orig}") from fault
    except PoolTimeout as fault:
        raise StoreAway("all connections to the data base are in use") from fault
    except StatementError as fault:  # raised by a column type before anything was sent
        raise Unacceptable(str(fault.orig)) from fault
    except OverflowError as fault:  # sqlite3's word for an integer of more than 64 bits
        raise Unacceptable(str(fault)) from fault


def _kind(fault: DBAPIError) -> type[HydradError] | None:
    if isinstance(fault, DataError | IntegrityError):
        return Unacceptable
    if isinstance(fault, OperationalError | InterfaceError | InternalError):
        code = fault.orig.args[0] if fault.orig is not None and fault.orig.args else None
        if code in _CONTENT_CODES:
            return Unacceptable
        return Dropped if code in _DROPPED_CODES else StoreAway
    return None


def _server(url: URL) -> Engine:
    return create_engine(
        url,
        isolation_level="READ COMMITTED",  # a row found to exist by an insert must be visible to the next select
        pool_pre_ping=True,
        pool_recycle=1800,
        pool_timeout=ANSWER_WITHIN_S,
        connect_args={
            "charset": "utf8mb4",
            "connect_timeout": 5,
            "read_timeout": ANSWER_WITHIN_S,
            "write_timeout": ANSWER_WITHIN_S,
            "init_command": STRICT,
        },
    )


def _embedded(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # else sqlite3 begins and commits by its own rules
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later could not wait for another writer; one that says so at once can.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
