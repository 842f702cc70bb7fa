"""Many rows into a MariaDB server at once: tables without keys while they are filled, statements side by side."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import MySQLdb

from hydrad.errors import HydradError

SETTINGS = (
    "SET time_zone = '+00:00', unique_checks = 0, foreign_key_checks = 0, "
    "optimizer_switch = 'derived_merge=off,derived_with_keys=off', tmp_memory_table_size = 1073741824"
)
RAISED = (MySQLdb.Error, HydradError, OSError)  # by what is done side by side


class Bulk:
    """A connection of the server's administrator to one data base; a context manager.

    Args:
        socket: of the server.
        name: of the data base.
    """

    def __init__(self, socket: Path, name: str) -> None:
        self._socket = socket
        self._name = name

    def __enter__(self) -> Self:
        self._connection = MySQLdb.connect(
            unix_socket=str(self._socket), user="root", db=self._name, charset="utf8mb4", init_command=SETTINGS
        )
        self._connection.autocommit(True)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def run(self, statement: str, facts: Mapping[str, Any] | None = None) -> None:
        """One statement."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement, facts)

    def rows(self, query: str) -> Sequence[Any]:
        """What a question is answered with."""
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(query)
            rows: Sequence[Any] = cursor.fetchall()
            return rows

    def insert(self, table: str, lines: Sequence[Sequence[object]]) -> None:
        """Whole rows."""
        self.add(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(lines[0]))})", lines)  # noqa: S608  our own words

    def add(self, statement: str, lines: Sequence[Sequence[object]]) -> None:
        """A statement for each of these lines."""
        with closing(self._connection.cursor()) as cursor:
            cursor.executemany(statement, lines)

    def undress(self, table: str) -> list[str]:
        """Take a table's keys off but its first; returns how they are written."""
        [(_, text)] = self.rows(f"SHOW CREATE TABLE {table}")
        lines = [line.strip().rstrip(",") for line in text.splitlines()]
        keys = [line for line in lines if re.match(r"(UNIQUE )?KEY |CONSTRAINT ", line)]
        drop = [
            f"DROP {'FOREIGN KEY' if line.startswith('CONSTRAINT') else 'KEY'} {re.findall('`[^`]+`', line)[0]}"
            for line in reversed(keys)  # constraints first
        ]
        self.run(f"ALTER TABLE {table} {', '.join(drop)}")
        return keys

    def dress(self, table: str, keys: Sequence[str]) -> None:
        """Put them on again."""
        for constraints in (False, True):  # which need the others
            add = [f"ADD {line}" for line in keys if line.startswith("CONSTRAINT ") is constraints]
            if add:
                self.run(f"ALTER TABLE {table} {', '.join(add)}")


def side_by_side(*acts: Callable[[], None]) -> None:
    """Do these in threads of their own; raise what the first of them raised."""
    raised: list[BaseException] = []

    def guarded(act: Callable[[], None]) -> None:
        try:
            act()
        except RAISED as fault:
            raised.append(fault)

    threads = [threading.Thread(target=guarded, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
