"""Making a data base from a backup: whole, or not at all, and never over one that has anything in it unless told."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, func, insert, select

from hydrad.errors import ConfigurationError, HydradError, SchemaMismatch, StoreAway, TryAgain
from hydrad.store import schema
from hydrad.store.backup.archive import Archive, Damaged, Listed, Told
from hydrad.store.backup.taking import LEFT_OUT, ours, raw
from hydrad.store.columns import digest
from hydrad.store.engine import Unacceptable, open_engine, reading, writing
from hydrad.store.images import ImageFolder
from hydrad.store.outbox.book import Book, open_book
from hydrad.store.outbox.seen import Sighting
from hydrad.store.tables import METADATA, files

AT_ONCE = 1000  # rows


class NotEmpty(HydradError):
    """There is something in the data base; nothing was touched."""


@contextmanager
def alone(journal: Path) -> Iterator[Book]:
    """Hold the journal, so that no daemon runs meanwhile; raises HydradError while one does."""
    try:
        book = open_book(journal)
    except ConfigurationError as fault:
        raise HydradError(
            f"{fault}; nothing was touched. A backup is restored while the daemon is stopped (systemctl stop hydrad)"
        ) from fault
    with closing(book):
        yield book


def check(archive: Archive, url: URL, *, replace: bool, told: Told = lambda *_: None) -> None:
    """Raise what speaks against restoring this backup there; touches nothing.

    Raises:
        Damaged: not every byte of the backup is what was written.
        SchemaMismatch: it is of a newer hydrad than this one.
        NotEmpty: there is something in the data base, and nobody said that it may be replaced.
        StoreAway: the data base does not answer.
    """
    archive.verify(told)
    if archive.manifest.schema not in schema.revisions():
        raise SchemaMismatch(
            f"{archive.path} has schema {archive.manifest.schema}, which this hydrad does not know; it was taken by "
            f"hydrad {archive.manifest.version}, which can restore it"
        )
    if not replace and (found := _found(url)):
        raise NotEmpty(f"the data base has {found} already; nothing was touched. To lose that, say --replace")


def restore(archive: Archive, url: URL, told: Told = lambda *_: None) -> None:
    """Make the data base from a backup that was checked; afterwards its schema is this program's.

    An embedded data base is built aside and put in its place in one transaction. On a server the tables are made, and
    filled in one transaction.

    Raises:
        StoreAway, HydradError: with the state that is left.
    """
    if url.get_backend_name() == "sqlite":
        _embedded(archive, Path(url.database or ""), told)
        return
    engine = open_engine(url, patient=True)
    try:
        try:
            _fill(engine, archive, told)
        except (StoreAway, Unacceptable, Damaged) as fault:
            left = "the data base has tables and not one row of the backup; restoring it again begins anew"
            raise HydradError(f"{fault}. Not restored: {left}") from fault
        schema.upgrade_engine(engine)
    finally:
        engine.dispose()


def _embedded(archive: Archive, path: Path, told: Told) -> None:
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        engine = open_engine(URL.create("sqlite", database=str(aside)))
        try:
            _fill(engine, archive, told)
            schema.upgrade_engine(engine)
        finally:
            engine.dispose()
        path.parent.mkdir(parents=True, exist_ok=True)
        # Page by page in one transaction of SQLite's: pages that are open on the old one go on, with the new.
        with closing(sqlite3.connect(aside)) as new, closing(sqlite3.connect(path)) as old:
            old.execute("PRAGMA journal_mode=WAL").close()
            new.backup(old)
    except sqlite3.Error as fault:
        raise TryAgain(f"{path}: {fault}. Not restored: what was there is there as before") from fault
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            aside.with_name(aside.name + suffix).unlink(missing_ok=True)


def _fill(engine: Engine, archive: Archive, told: Told) -> None:
    with writing(engine) as connection:
        _drop(connection)
    schema.make(engine, archive.manifest.schema)
    with writing(engine) as connection:
        for table in ours(connection):
            listed = archive.manifest.tables.get(table.name)
            if listed is not None:
                connection.execute(sa.delete(table))  # what a migration put there
                _load(connection, archive, table.name, listed, told)
        if strange := archive.manifest.tables.keys() - {table.name for table in ours(connection)}:
            raise Damaged(f"{archive.path} has tables that its schema has not: {', '.join(sorted(strange))}")


def _load(connection: Connection, archive: Archive, name: str, listed: Listed, told: Told) -> None:
    target = insert(raw(name, listed.columns))
    binary = {column for column, kind in listed.columns.items() if kind == "bytes"}
    lines, done = archive.rows(name), 0
    while some := list(islice(lines, AT_ONCE)):
        rows = [dict(zip(listed.columns, row, strict=True)) for row in some]
        for row in rows:
            row.update({column: bytes.fromhex(row[column]) for column in binary if row[column] is not None})
        connection.execute(target, rows)
        done += len(rows)
        told(name, done)
    if done != listed.rows:
        raise Damaged(f"{archive.path} is damaged: {name} has {done} rows, and {listed.rows} were written")


def _found(url: URL) -> str:
    """The first table with anything in it, in words; nothing for an empty data base, or one that is not there."""
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return ""
    engine = open_engine(url, patient=True)
    try:
        with reading(engine) as connection:
            for table in ours(connection):
                if connection.execute(select(table).limit(1)).first() is not None:
                    count = connection.scalar(select(func.count()).select_from(table))
                    return f"{count} {table.name}"
    finally:
        engine.dispose()
    return ""


def _drop(connection: Connection) -> None:
    found = sa.MetaData()
    there = set(sa.inspect(connection).get_table_names())
    found.reflect(connection, only=sorted(there & {*METADATA.tables.keys(), *LEFT_OUT}))
    found.drop_all(connection)


def prepare_journal(book: Book, url: URL, told: Told = lambda *_: None) -> int:
    """Let the daemon's memory fit the data base that was restored; returns how many files it was told of.

    What waits in the journal is delivered, once, as ever. Changes of settings are read from the beginning. A journal
    that has seen nothing, on a new host, is told of the files in the ledger, so that none is judged a second time.
    """
    book.note("settings_cursor", "0")
    if next(iter(book.seen()), None) is not None:
        return 0
    engine = open_engine(url, patient=True)
    remembered = 0
    try:
        with reading(engine) as connection:
            answer = connection.execution_options(stream_results=True, yield_per=AT_ONCE).execute(_finished())
            for some in answer.partitions():
                book.remember([_sighting(row) for row in some])
                remembered += len(some)
                told("journal", remembered)
    finally:
        engine.dispose()
    return remembered


def _finished() -> sa.Select[Any]:
    wanted = (files.c[name] for name in ("path", "size", "mtime_ns", "outcome", "reason", "sha256"))
    return select(*wanted).where(files.c.done_at.is_not(None)).order_by(files.c.id)  # of one path the newest counts


def _sighting(row: Any) -> tuple[bytes, bytes]:
    return digest(row.path), Sighting(row.size, row.mtime_ns, row.outcome, row.reason, row.sha256).pack()


def put_images(archive: Archive, folder: Path, told: Told = lambda *_: None) -> int:
    """Lay the images of a backup into the folder; those that are there stay. Raises Damaged, TryAgain."""
    kept, done = ImageFolder(folder), 0
    for name in archive.names("images"):
        for path, data in _files(archive, name):
            sha256, _, suffix = (Path(name).stem + path).partition(".")
            if hashlib.sha256(data).hexdigest() != sha256:
                raise Damaged(f"{archive.path} is damaged: image {sha256} is another")
            kept.keep(data, sha256, suffix)
            done += 1
        told("images", done)
    return done


def put_models(archive: Archive, folder: Path, told: Told = lambda *_: None) -> Sequence[str]:
    """Lay the bundles of a backup into the folder, each whole; those that are there stay. Returns the new ones."""
    new = []
    for name in archive.names("models"):
        bundle = Path(name).stem
        target = folder / bundle
        if target.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".{bundle}.{uuid.uuid4().hex}"
        try:
            aside.mkdir()
            for path, data in _files(archive, name):
                file = aside / path
                if not file.resolve().is_relative_to(aside.resolve()):
                    raise Damaged(f"{archive.path} would write outside of {folder}: {path}")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            aside.rename(target)
        except OSError as fault:
            raise TryAgain(f"{target}: {fault.strerror or fault}") from fault
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        new.append(bundle)
        told("models", len(new))
    return new


def _files(archive: Archive, name: str) -> Iterator[tuple[str, bytes]]:
    with archive.open(name) as entry:
        try:
            with tarfile.open(fileobj=entry, mode="r|") as tar:
                for member in tar:
                    content = tar.extractfile(member) if member.isfile() else None
                    if content is None:
                        raise Damaged(f"{archive.path} is damaged: {name} holds {member.name}, which is no file")
                    yield member.name, content.read()
        except tarfile.TarError as fault:
            raise Damaged(f"{archive.path} is damaged: {name}: {fault}") from fault
