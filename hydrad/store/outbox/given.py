"""What the data base was given in the last days, so that it can be given again should an older one take its place."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Sequence

TOGETHER = 1000  # parcels that are packed into one: together they take a fifth of the room

TABLES = (
    """CREATE TABLE IF NOT EXISTS recent (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, document TEXT NOT NULL, heatmap BLOB
    )""",
    "CREATE TABLE IF NOT EXISTS given (last INTEGER PRIMARY KEY, at REAL NOT NULL, parcels BLOB NOT NULL)",
)

Given = tuple[int, str, bytes | None]  # number, document, heatmap


def keep(connection: sqlite3.Connection, numbers: Sequence[int], now: float) -> None:
    """Keep these parcels of ``outgoing``, which the data base has taken.

    Args:
        now: seconds since 1970.
    """
    connection.execute(
        """INSERT OR REPLACE INTO recent
        SELECT id, ?, document, heatmap FROM outgoing WHERE id IN (SELECT value FROM json_each(?))""",
        (now, json.dumps([*numbers])),
    )
    (count,) = connection.execute("SELECT count(*) FROM recent").fetchone()
    if count >= TOGETHER:
        rows = connection.execute("SELECT id, document, hex(heatmap) FROM recent ORDER BY id").fetchall()
        parcels = zlib.compress(json.dumps(rows).encode("ascii"), 1)
        connection.execute("INSERT OR REPLACE INTO given VALUES (?, ?, ?)", (rows[-1][0], now, parcels))
        connection.execute("DELETE FROM recent")


def forget(connection: sqlite3.Connection, before: float) -> None:
    """Forget what was given before this time, in seconds since 1970."""
    connection.execute("DELETE FROM recent WHERE at < ?", (before,))
    connection.execute("DELETE FROM given WHERE at < ?", (before,))


def newest(connection: sqlite3.Connection) -> Sequence[Given]:
    """The newest of what was given, some hundred parcels, oldest first; none when nothing is kept."""
    rows = connection.execute("SELECT id, document, heatmap FROM recent ORDER BY id").fetchall()
    if rows:
        return rows
    packed = connection.execute("SELECT parcels FROM given ORDER BY last DESC LIMIT 1").fetchone()
    if packed is None:
        return []
    unpacked = json.loads(zlib.decompress(packed[0]))
    return [(number, document, bytes.fromhex(heatmap) or None) for number, document, heatmap in unpacked]


def take_back(connection: sqlite3.Connection, parcels: Sequence[Given]) -> None:
    """Let these, the newest of what was given, wait again: before what came later, whose numbers are higher."""
    connection.executemany("INSERT OR IGNORE INTO outgoing (id, document, heatmap) VALUES (?, ?, ?)", parcels)
    first = parcels[0][0]
    connection.execute("DELETE FROM recent WHERE id >= ?", (first,))
    connection.execute("DELETE FROM given WHERE last >= ?", (first,))
