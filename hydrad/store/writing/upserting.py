"""Rows that are put there, or change those of the same key that are there already: one statement for all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import mysql, sqlite

from hydrad.store.engine import is_embedded
from hydrad.store.writing.inserting import write_rows


def put_or(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    set: Collection[str] = (),  # noqa: A002  SQL's own word
    add: Collection[str] = (),
) -> None:
    """Insert these rows; where one of the same primary key is there, change that one.

    A hundred updates one by one take a server as long as a thousand inserts at once.

    Args:
        rows: all with the same columns.
        set: columns that take the new value.
        add: columns to which the new value is added.
    """
    write_rows(connection, _statement(table, tuple(set), tuple(add), is_embedded(connection.engine)), rows)


@lru_cache
def _statement(table: Table, set: tuple[str, ...], add: tuple[str, ...], embedded: bool) -> Insert:  # noqa: A002
    if embedded:
        on_sqlite = sqlite.insert(table)
        new = on_sqlite.excluded
        changed = {name: new[name] for name in set} | {name: table.c[name] + new[name] for name in add}
        return on_sqlite.on_conflict_do_update(index_elements=table.primary_key, set_=changed)
    on_server = mysql.insert(table)
    new = on_server.inserted
    changed = {name: new[name] for name in set} | {name: table.c[name] + new[name] for name in add}
    return on_server.on_duplicate_key_update(changed)
