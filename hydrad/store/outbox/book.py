"""The journal's file: one SQLite data base on the local disk, used by one thread of one process."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hydrad import log
from hydrad.domain import Change, Outcome, Verdict
from hydrad.errors import ConfigurationError, TryAgain
from hydrad.store.columns import digest
from hydrad.store.outbox import given
from hydrad.store.outbox.seen import Sighting
from hydrad.store.packing import Parcel, pack, pack_change, pack_verdict, spell

_log = log.get("store")

_VERSION = 1
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outgoing (id INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL, heatmap BLOB);
CREATE TABLE refused (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, why TEXT NOT NULL, document TEXT NOT NULL, heatmap BLOB
);
CREATE TABLE seen (
    path BLOB PRIMARY KEY, facts BLOB NOT NULL, outgoing INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX seen_gone ON seen (outgoing) WHERE gone;
CREATE TABLE standing (plot BLOB PRIMARY KEY, verdict TEXT NOT NULL, pixels_digest TEXT) WITHOUT ROWID;
CREATE TABLE settings (scope BLOB PRIMARY KEY, at_us INTEGER NOT NULL, change TEXT NOT NULL) WITHOUT ROWID;
"""
# The order in which plots were first seen, by which their PVs are named. Added to files that were begun without it.
_RENAMED = ("standing", "pixels_sha256", "pixels_digest")  # in files that were begun with the former name
_ORDER = "CREATE TABLE IF NOT EXISTS places (place INTEGER PRIMARY KEY, plot BLOB NOT NULL UNIQUE)"
_SPARE_PAGES = 4096  # of 4 KiB: free space kept for the next outage
_PAGES_AT_ONCE = 512
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_DISK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


class DamagedBook(TryAgain):
    """The file is no journal any more."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is written at one time: a parcel, and the digest of the pixels its verdict is about."""

    parcel: Parcel
    pixels_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A packed parcel that waits for the data base."""

    id: int
    document: str
    heatmap: bytes | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A parcel the data base will never take, and why."""

    id: int
    why: str


@dataclass(frozen=True, slots=True)
class Struck:
    """What striking out has done: how many parcels went, and which paths are forgotten with them."""

    parcels: int
    forgotten: Sequence[bytes]


def open_book(path: Path) -> Book:
    """Open a journal's file or begin one; a damaged file is set aside, loudly.

    Raises:
        ConfigurationError: the file cannot be written, another daemon holds it, or a newer program wrote it.
        TryAgain: the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ConfigurationError(f"store.journal: {path.parent}: {fault.strerror or fault}") from fault
    try:
        return Book(path)
    except DamagedBook as fault:
        set_aside(path, fault)
        return Book(path)


def set_aside(path: Path, fault: DamagedBook) -> None:
    """Rename a damaged journal and what belongs to it, so that somebody can look into it."""
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    for suffix in ("", "-wal", "-shm", "-journal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(f"{path.name}.damaged-{stamp}{suffix}"))
    _log.critical("journal_damaged", path=str(path), kept_as=f"{path.name}.damaged-{stamp}", why=str(fault))


class Book:
    """The open file; see :func:`open_book`. Every method is one transaction that is on the disk when it returns.

    Every method raises TryAgain when the disk is full or away (then nothing was written), DamagedBook when the file is
    no journal any more.
    """

    def __init__(self, path: Path) -> None:
        with _translated(opening=path):
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
        try:
            self._prepare(path)
        except BaseException:
            self._connection.close()
            raise
        self.identity = self.fact("identity") or ""

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def write(self, pages: Iterable[Page]) -> Sequence[tuple[bytes, bytes]]:
        """Put these pages down together; return the packed sightings they hold by the digests of their paths."""
        with self._transaction():
            return [sighting for page in pages if (sighting := self._write(page)) is not None]

    def outgoing(self, limit: int, after: int = 0) -> Sequence[Outgoing]:
        """The oldest parcels that wait, of those numbered above this."""
        with _translated():
            rows = self._connection.execute(
                "SELECT id, document, heatmap FROM outgoing WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            )
            return [Outgoing(*row) for row in rows]

    def first_image(self) -> str | None:
        """The text of the oldest parcel that waits with an image."""
        with _translated():
            row = self._connection.execute(
                """SELECT document FROM outgoing WHERE document LIKE '%"image":{%' ORDER BY id LIMIT 1"""
            ).fetchone()
            return None if row is None else str(row[0])

    def waiting(self) -> int:
        """How many parcels wait."""
        with _translated():
            return int(self._connection.execute("SELECT count(*) FROM outgoing").fetchone()[0])

    def delivered(self, ids: Sequence[int], refused: Sequence[Refusal], keep_s: float = 0.0) -> Struck:
        """Strike out what has reached the data base, and set aside what never will.

        Args:
            keep_s: for so long the former may be wanted again.
        """
        with self._transaction() as connection:
            clock = time.time()
            if keep_s:
                given.keep(connection, sorted(set(ids) - {refusal.id for refusal in refused}), clock)
            given.forget(connection, clock - keep_s)
            now = datetime.now(UTC).isoformat()
            connection.executemany(
                "INSERT INTO refused SELECT id, ?, ?, document, heatmap FROM outgoing WHERE id = ?",
                [(now, refusal.why, refusal.id) for refusal in refused],
            )
            numbers = json.dumps([*ids])
            struck = connection.execute(
                "DELETE FROM outgoing WHERE id IN (SELECT value FROM json_each(?))", (numbers,)
            ).rowcount
            rows = connection.execute(
                "DELETE FROM seen WHERE gone AND outgoing IN (SELECT value FROM json_each(?)) RETURNING path",
                (numbers,),
            )
            forgotten = [path for (path,) in rows]
        self._shrink()
        return Struck(struck, forgotten)

    def newest_given(self, keep_s: float) -> Sequence[Outgoing]:
        """The newest parcels that the data base has taken, of those that are kept so long; oldest first."""
        with self._transaction() as connection:
            given.forget(connection, time.time() - keep_s)
            return [Outgoing(*row) for row in given.newest(connection)]

    def take_back(self, parcels: Sequence[Outgoing]) -> int:
        """Let parcels of :meth:`newest_given` wait again, before all others; returns how many now wait."""
        with self._transaction() as connection:
            given.take_back(connection, [(parcel.id, parcel.document, parcel.heatmap) for parcel in parcels])
            self._note("settings_cursor", "0")  # rows of people's settings may be gone too, and numbers given anew
            return int(connection.execute("SELECT count(*) FROM outgoing").fetchone()[0])

    def forget(self, paths: Sequence[bytes]) -> Sequence[bytes]:
        """Forget sightings by the digests of their paths; those not yet delivered are forgotten when they are."""
        with self._transaction() as connection:
            forgotten = []
            for path in paths:
                connection.execute("UPDATE seen SET gone = 1 WHERE path = ?", (path,))
                rows = connection.execute(
                    "DELETE FROM seen WHERE path = ? AND outgoing NOT IN (SELECT id FROM outgoing) RETURNING path",
                    (path,),
                )
                forgotten += [path for (path,) in rows]
            return forgotten

    def seen(self) -> Iterator[tuple[bytes, bytes]]:
        """Packed sightings by the digests of their paths; those whose file is gone count as well until delivered."""
        with _translated():
            yield from self._connection.execute("SELECT path, facts FROM seen")

    def remember(self, sightings: Iterable[tuple[bytes, bytes]]) -> None:
        """Take over packed sightings of delivered files, by the digests of their paths."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO seen (path, facts, outgoing) VALUES (?, ?, 0)", sightings)

    def standings(self) -> Sequence[tuple[str, str | None]]:
        """Each plot's last shown verdict as text, and its pixels' digest; the plot that was seen first comes first."""
        with _translated():
            return self._connection.execute(
                "SELECT verdict, pixels_digest FROM standing JOIN places USING (plot) ORDER BY place"
            ).fetchall()

    def settings(self) -> Sequence[str]:
        """The newest change of each setting as text, oldest first."""
        with _translated():
            return [text for (text,) in self._connection.execute("SELECT change FROM settings ORDER BY at_us")]

    def adopt(self, changes: Iterable[Change], cursor: int) -> None:
        """Take over changes that the data base has, up to its row ``cursor``."""
        with self._transaction():
            for change in changes:
                self._settle(change)
            self._note("settings_cursor", str(cursor))

    def fact(self, name: str) -> str | None:
        """A word kept under a name, or None."""
        with _translated():
            row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return None if row is None else str(row[0])

    def note(self, name: str, value: str) -> None:
        """Keep a word under a name."""
        with self._transaction():
            self._note(name, value)

    def _prepare(self, path: Path) -> None:
        connection = self._connection
        with _translated(opening=path):
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # two daemons on one journal would lose parcels
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL").close()
            connection.execute("PRAGMA synchronous = FULL")
            (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise DamagedBook(f"the journal is damaged: {sound}")
        if version == 0:
            self._begin()
        elif version != _VERSION:
            raise ConfigurationError(f"store.journal: {path} was written by another version of this program")
        with self._transaction() as connection:
            for statement in (_ORDER, *given.TABLES):
                connection.execute(statement)
            _rename(connection, *_RENAMED)
            connection.execute("INSERT OR IGNORE INTO places (plot) SELECT plot FROM standing")

    def _begin(self) -> None:
        with self._transaction() as connection:
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            self._note("identity", uuid.uuid4().hex)
            # Numbers never used before: what is struck out by number must not be a parcel of an older, damaged file.
            connection.execute("INSERT INTO sqlite_sequence VALUES ('outgoing', ?)", (time.time_ns() // 1000,))
            connection.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        with _translated():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # whatever was raised, and not for SQLite to have rolled back already
                    connection.execute("ROLLBACK")

    def _shrink(self) -> None:
        # A long outage leaves a large file; give back a little at a time, never while somebody waits for long.
        with _translated():
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
            if free > _SPARE_PAGES:
                # execute() would take one step of it, which is one page
                self._connection.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")

    def _write(self, page: Page) -> tuple[bytes, bytes] | None:
        parcel, entry, verdict = page.parcel, page.parcel.entry, page.parcel.verdict
        spelled = None if verdict is None else spell(verdict)
        row = self._connection.execute("INSERT INTO outgoing (document, heatmap) VALUES (?, ?)", pack(parcel, spelled))
        if verdict is not None and not verdict.superseded:
            self._stand(verdict, pack_verdict(verdict, spelled), page.pixels_digest)
        if parcel.change is not None:
            self._settle(parcel.change)
        if (
            entry is None or entry.gone or entry.outcome is Outcome.PENDING
        ):  # to be looked at, if there, after a restart
            return None
        path = digest(entry.path)
        facts = Sighting(entry.size, entry.mtime_ns, entry.outcome, entry.reason, entry.sha256).pack()
        self._connection.execute(
            "INSERT OR REPLACE INTO seen (path, facts, outgoing) VALUES (?, ?, ?)", (path, facts, row.lastrowid)
        )
        return path, facts

    def _stand(self, verdict: Verdict, packed: str, pixels_digest: str | None) -> None:
        plot = digest(verdict.plot)
        self._connection.execute("INSERT OR IGNORE INTO places (plot) VALUES (?)", (plot,))
        self._connection.execute(
            "INSERT INTO standing VALUES (?, ?, ?) ON CONFLICT (plot) DO UPDATE SET verdict = excluded.verdict, "
            "pixels_digest = coalesce(excluded.pixels_digest, pixels_digest)",
            (plot, packed, pixels_digest),
        )

    def _settle(self, change: Change) -> None:
        scope = digest(change.key, change.plot, change.detector)
        self._connection.execute(
            "INSERT INTO settings VALUES (?, ?, ?) ON CONFLICT (scope) DO UPDATE SET at_us = excluded.at_us, "
            "change = excluded.change WHERE excluded.at_us >= at_us",
            (scope, round(change.at.timestamp() * 1e6), pack_change(change)),
        )

    def _note(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _rename(connection: sqlite3.Connection, table: str, before: str, column: str) -> None:
    if before in {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}:
        connection.execute(f"ALTER TABLE {table} RENAME COLUMN {before} TO {column}")


@contextmanager
def _translated(opening: Path | None = None) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as fault:
        code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _DAMAGED:
            raise DamagedBook(f"the journal is damaged: {fault}") from fault
        if opening is not None and code not in _DISK:
            raise ConfigurationError(f"store.journal: {opening}: {fault}; does another daemon use it?") from fault
        if isinstance(fault, sqlite3.OperationalError):
            raise TryAgain(f"the journal cannot be written: {fault}") from fault
        raise
