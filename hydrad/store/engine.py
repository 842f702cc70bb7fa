"""The door to the data base: how connections are opened, and what its faults mean for us."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
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

CONNECT_WITHIN_S = 5
ANSWER_WITHIN_S = 15  # a server that says nothing for so long is away
LOCKED_SHARE, STATEMENT_SHARE = 1 / 3, 0.8  # of that time, in which the server itself gives up a lock, a statement
SQLITE_BUSY_S = 10.0
STRICT = "SET sql_mode = 'TRADITIONAL,NO_ENGINE_SUBSTITUTION'"  # refuse what does not fit, never cut it

# Server faults that lie in the record itself: wrong string, row too large, packet too large, check failed, bad date.
_CONTENT_CODES = frozenset({1366, 1118, 1153, 2020, 4025, 3819, 1292})
_DUPLICATE_CODES = frozenset({1062, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})
_DROPPED_CODES = frozenset({2006, 2013})
_CROSSED_CODES = frozenset({1213})
_DENIED_CODES = frozenset({1044, 1142, 1143})
_ASTRAY_CODES = frozenset({1146})  # a table is not there: somebody is just upgrading them, or puts a backup back


class Unacceptable(HydradError):
    """The data base answers, but will not take this record."""


class Beaten(Unacceptable):
    """Another writer was first with a row of the same key."""


class Dropped(StoreAway):
    """The server hung up in the middle of a statement."""


class WentBack(StoreAway):
    """The data base answers, and lacks what it had taken: another stands in its place, or an old copy was put back."""


class Crossed(StoreAway):
    """Two transactions waited for each other, and the server broke this one off; tried again it comes through."""


def open_engine(url: URL | str, *, patient: bool = False) -> Engine:
    """An engine for a data base; nothing is connected yet.

    Args:
        patient: let a server take any time over a statement, as changing a large table does.
    """
    url = make_url(url)
    if url.get_backend_name() in SERVERS:
        return _server(url, None if patient else ANSWER_WITHIN_S)
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
        cure = "; `hydrad db grants` prints what its account needs" if _code(fault.orig) in _DENIED_CODES else ""
        raise kind(f"the data base says: {fault.orig}{cure}") from fault
    except PoolTimeout as fault:
        raise StoreAway("all connections to the data base are in use") from fault
    except StatementError as fault:  # raised by a column type before anything was sent
        raise Unacceptable(str(fault.orig)) from fault
    except OverflowError as fault:  # sqlite3's word for an integer of more than 64 bits
        raise Unacceptable(str(fault)) from fault


def _kind(fault: DBAPIError) -> type[HydradError] | None:
    code = _code(fault.orig)
    if isinstance(fault, DataError | IntegrityError):
        return Beaten if code in _DUPLICATE_CODES else Unacceptable
    if isinstance(fault, OperationalError | InterfaceError | InternalError):
        if code in _CONTENT_CODES:
            return Unacceptable
        if code in _CROSSED_CODES:
            return Crossed
        return Dropped if code in _DROPPED_CODES else StoreAway
    return StoreAway if code in _ASTRAY_CODES else None


def _code(fault: BaseException | None) -> object:
    """The number SQLite or the server gives the fault."""
    if isinstance(fault, sqlite3.Error):
        return getattr(fault, "sqlite_errorcode", None)
    return fault.args[0] if fault is not None and fault.args else None


def _server(url: URL, answer_within_s: int | None) -> Engine:
    from hydrad.store.cursor import QuickCursor  # noqa: PLC0415  an embedded data base needs no server's client library

    limits = {} if answer_within_s is None else {"read_timeout": answer_within_s, "write_timeout": answer_within_s}
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",  # a row found to exist by an insert must be visible to the next select
        pool_pre_ping=True,
        pool_recycle=1800,
        pool_timeout=ANSWER_WITHIN_S,
        connect_args={
            "charset": "utf8mb4",
            "cursorclass": QuickCursor,
            "connect_timeout": CONNECT_WITHIN_S,
            "init_command": STRICT if answer_within_s is None else _impatient(answer_within_s),
            **limits,
        },
    )
    if answer_within_s is not None:
        event.listen(engine, "before_cursor_execute", _note_asked)
        event.listen(engine, "handle_error", partial(_tell_slow_from_gone, answer_within_s))
    return engine


def _impatient(answer_within_s: int) -> str:
    """Let the server say that it is too slow before we hang up: it would go on with what nobody waits for any more."""
    lock_s = max(1, round(LOCKED_SHARE * answer_within_s))
    statement_s = STATEMENT_SHARE * answer_within_s
    only_mariadb = f"/*M!100108 , max_statement_time = {statement_s:.1f} */"
    return f"{STRICT}, innodb_lock_wait_timeout = {lock_s}, lock_wait_timeout = {lock_s} {only_mariadb}"


def _note_asked(connection: Connection, *_: object) -> None:
    connection.info["asked_at"] = time.monotonic()


def _tell_slow_from_gone(answer_within_s: int, context: ExceptionContext) -> None:
    """Both look alike to the client library, but only of a server that hung up at once may the record be to blame."""
    if context.connection is None or _code(context.original_exception) not in _DROPPED_CODES:
        return
    if time.monotonic() - context.connection.info.get("asked_at", float("inf")) > STATEMENT_SHARE * answer_within_s:
        raise StoreAway(f"the data base has not answered for {answer_within_s} s") from context.original_exception


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
