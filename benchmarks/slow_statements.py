"""Which statements of a MariaDB server took long, and how it went about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import MySQLdb

LONG_S = 0.05
MOST = 3
DATABASE = "hydra_big"


class SlowStatements:
    """Watches one server.

    Args:
        socket: of the server; its administrator needs no password there.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)
        with self._asking() as cursor:
            cursor.execute("SET GLOBAL log_output = 'TABLE'")
            cursor.execute("SET GLOBAL long_query_time = %s", (LONG_S,))
            cursor.execute("SET GLOBAL slow_query_log = 1")

    def forget(self) -> None:
        """Begin anew."""
        with self._asking() as cursor:
            cursor.execute("TRUNCATE mysql.slow_log")

    def told(self) -> list[Mapping[str, Any]]:
        """The slowest of the statements since, each of them once: the time it took, its text and its plan."""
        with self._asking() as cursor:
            cursor.execute(
                "SELECT TIME_TO_SEC(query_time) + MICROSECOND(query_time) / 1e6, CONVERT(sql_text USING utf8mb4) "
                "FROM mysql.slow_log WHERE db = %s ORDER BY query_time DESC LIMIT 50",
                (DATABASE,),
            )
            worst: dict[str, float] = {}
            for took_s, text in cursor.fetchall():
                if text.lstrip().upper().startswith("SELECT") and text[:200] not in {one[:200] for one in worst}:
                    worst[text] = float(took_s)
            return [
                {"took_s": took_s, "sql": " ".join(text.split()), "plan": list(_plan(cursor, text))}
                for text, took_s in list(worst.items())[:MOST]
            ]

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        connection = MySQLdb.connect(unix_socket=self._socket, user="root", db=DATABASE, charset="utf8mb4")
        with closing(connection), closing(connection.cursor()) as cursor:
            yield cursor


def _plan(cursor: Any, text: str) -> Iterator[str]:
    cursor.execute(f"EXPLAIN {text}".replace("%", "%%"), ())
    for _, kind, table, access, _, key, key_length, _, rows, extra in cursor.fetchall():
        yield f"{kind} {table}: {access}, key {key} ({key_length}), {rows} rows; {extra}"
