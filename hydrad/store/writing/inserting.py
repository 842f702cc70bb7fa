"""Many rows into a table, the same way a thousand times: what every row would ask anew is found out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from types import NoneType
from typing import Any, Final

from sqlalchemy import Boolean, Connection, Dialect, Insert, Table, insert
from sqlalchemy.types import TypeEngine

from hydrad.store.columns import Digest, Document, Word, Words, is_plain
from hydrad.store.engine import Unacceptable

_STATEMENTS: Final = 64  # of as many tables and sets of columns the text is remembered

Written = Callable[[Sequence[Any]], Sequence[Any]]  # what a column's type makes of values before they are sent


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows; arguments and faults as of :func:`write_rows`."""
    write_rows(connection, _plain_insert(table), rows)


def write_rows(connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute an INSERT for these rows.

    SQLAlchemy does the same at three times the cost: it asks each row's values for their columns, one by one.

    Args:
        statement: without values of its own; the same object each time, since its text is remembered by it.
        rows: all with the same columns.

    Raises:
        Unacceptable: a column's type refuses a value; nothing was sent.
    """
    if not rows:
        return
    text, columns = _text(statement, tuple(rows[0]), connection.dialect)
    try:
        values = [written([row[name] for row in rows]) for name, written in columns]
    except ValueError as fault:
        raise Unacceptable(str(fault)) from fault
    connection.exec_driver_sql(text, list(zip(*values, strict=True)))


@lru_cache(_STATEMENTS)
def _plain_insert(table: Table) -> Insert:
    return insert(table)


@lru_cache(_STATEMENTS)
def _text(statement: Insert, names: tuple[str, ...], dialect: Dialect) -> tuple[str, Sequence[tuple[str, Written]]]:
    """The text of the INSERT, and its columns in their order with what is made of their values."""
    table = statement.table
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    order = compiled.positiontup or ()
    if set(order) != set(names):
        raise ValueError(f"a row of {table.name} has {names}, and {order} would be written")
    return str(compiled), [(name, _writer(table.c[name].type, dialect)) for name in order]


def _writer(kind: TypeEngine[Any], dialect: Dialect) -> Written:
    write = kind.dialect_impl(dialect).bind_processor(dialect)
    if write is None or isinstance(kind, Digest):
        return _as_they_are
    return partial(_MANY.get(type(kind), _each), write)


def _as_they_are(values: Sequence[Any]) -> Sequence[Any]:
    return values


def _each(write: Callable[[Any], Any], values: Sequence[Any]) -> Sequence[Any]:
    return [write(value) for value in values]


def _words(write: Callable[[Any], Any], values: Sequence[str | None]) -> Sequence[Any]:
    return values if is_plain("".join(filter(None, values))) else _each(write, values)


def _truths(write: Callable[[Any], Any], values: Sequence[bool | None]) -> Sequence[Any]:
    return values if set(map(type, values)) <= {bool, NoneType} else _each(write, values)


def _few(write: Callable[[Any], Any], values: Sequence[Any]) -> Sequence[Any]:
    written = {value: write(value) for value in set(values)}
    return [written[value] for value in values]


def _shared(write: Callable[[Any], Any], values: Sequence[Any]) -> Sequence[Any]:
    """Of the same document, which many rows have, the text is made once."""
    written: dict[int, Any] = {}
    for value in values:
        if id(value) not in written:
            written[id(value)] = write(value)
    return [written[id(value)] for value in values]


_MANY: Final = {Words: _words, Word: _few, Document: _shared, Boolean: _truths}
