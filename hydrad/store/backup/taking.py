"""Taking a backup: all tables as they are at one moment, while everybody goes on reading and writing them."""

from __future__ import annotations

import io
import json
import socket
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Connection, MetaData, Table

from hydrad import __version__
from hydrad.errors import ConfigurationError
from hydrad.store.backup import archive
from hydrad.store.backup.archive import Listed, Manifest, Told, Writer
from hydrad.store.engine import open_engine, reading
from hydrad.store.images import SHELVES, ImageFolder
from hydrad.store.tables import METADATA

AT_ONCE = 1000  # rows
# Signs of life that are none any more, and sessions: one that was ended since must not begin again.
LEFT_OUT = frozenset({"alembic_version", "heartbeats", "sessions"})
SETTINGS = "hydra.toml"


@dataclass(frozen=True, slots=True)
class What:
    """What goes into a backup besides the tables; None: not in it."""

    hall: str = ""
    settings: Path | None = None  # the configuration, in which no secret stands
    images: Path | None = None  # folder of the images
    models: Path | None = None  # folder of the bundles


def take(url: URL, path: Path, what: What, told: Told = lambda *_: None) -> Manifest:
    """Write a backup of a data base, of whichever age its schema is, to ``path``.

    Raises:
        ConfigurationError: something is at ``path`` already, or the data base has no tables.
        StoreAway: the data base does not answer, or stopped doing so; then nothing is left at ``path``.
        TryAgain: the disk is full or away; likewise.
    """
    engine = open_engine(url, patient=True)
    engine = engine.execution_options(isolation_level="REPEATABLE READ") if engine.name != "sqlite" else engine
    now = datetime.now(UTC)
    try:
        with archive.writing(path) as writer:
            with reading(engine) as connection:
                revision = MigrationContext.configure(connection).get_current_revision()
                if revision is None:
                    raise ConfigurationError("store.url: the data base has no tables yet, so there is nothing to keep")
                tables = {table.name: _write_table(writer, connection, table, told) for table in ours(connection)}
            if what.settings is not None:
                _write_bytes(writer, SETTINGS, what.settings.read_bytes())
            images = 0 if what.images is None else _write_images(writer, what.images, told)
            models = () if what.models is None else _write_models(writer, what.models, told)
            manifest = Manifest(
                schema=revision,
                version=__version__,
                kind=engine.name,
                host=socket.gethostname(),
                hall=what.hall,
                taken_at=archive.stamp(now),
                tables=tables,
                images=images,
                models=models,
                sha256=writer.sha256,
            )
            writer.close(manifest)
    finally:
        engine.dispose()
    return manifest


def ours(connection: Connection) -> list[Table]:
    """The tables of ours that are there as they are there, each after those it refers to."""
    found = MetaData()
    there = set(sa.inspect(connection).get_table_names())
    found.reflect(connection, only=sorted(there & METADATA.tables.keys()))
    return [table for table in found.sorted_tables if table.name not in LEFT_OUT]


def kind_of(column: sa.Column[Any]) -> str:
    """What lies in a column, whichever data base it is of."""
    match column.type:
        case sa.DateTime():
            return "moment"
        case sa.LargeBinary() | sa.types._Binary():  # noqa: SLF001  what BINARY and BLOB have in common
            return "bytes"
        case sa.Boolean() | sa.Integer():
            return "integer"
        case sa.Numeric():
            return "number"
        case _:
            return "text"


def raw(name: str, columns: Mapping[str, str]) -> sa.TableClause:
    """A table whose values are handed over as the data base has them."""
    return sa.table(name, *(sa.column(column) for column in columns))


def _write_table(writer: Writer, connection: Connection, table: Table, told: Told) -> Listed:
    columns = {column.name: kind_of(column) for column in table.columns if column.computed is None}
    plain = [_plain(kind) for kind in columns.values()]
    source = raw(table.name, columns)
    query = sa.select(source).order_by(*(source.c[column.name] for column in table.primary_key))
    rows = 0
    with writer.entry(f"tables/{table.name}.jsonl") as write:
        answer = connection.execution_options(stream_results=True, yield_per=AT_ONCE).execute(query)
        for some in answer.partitions():
            lines = [
                json.dumps([act(value) for act, value in zip(plain, row, strict=True)], separators=(",", ":"))
                for row in some
            ]
            write(("\n".join(lines) + "\n").encode("ascii"))
            rows += len(lines)
            told(table.name, rows)
    return Listed(columns, rows)


def _plain(kind: str) -> Callable[[Any], Any]:
    """What turns a value into JSON's words."""
    match kind:
        case "bytes":
            return lambda value: None if value is None else bytes(value).hex()
        case "moment":  # SQLite has it as such text
            return lambda value: value.isoformat(" ", "microseconds") if isinstance(value, datetime) else value
        case _:
            return lambda value: value


def _write_bytes(writer: Writer, name: str, data: bytes) -> None:
    with writer.entry(name) as write:
        write(data)


def _write_images(writer: Writer, folder: Path, told: Told) -> int:
    """The images, a file for each shelf: a hall has a million of them."""
    kept, images = ImageFolder(folder), 0
    for shelf in SHELVES:
        files = [kept.path(one.sha256, one.format) for one in kept.shelf(shelf)]
        if files:
            with _tar(writer, f"images/{shelf}.tar") as tar:
                images += sum(_add(tar, file, file.name) for file in files)
            told("images", images)
    return images


def _write_models(writer: Writer, folder: Path, told: Told) -> tuple[str, ...]:
    bundles = sorted(one for one in folder.glob("*") if (one / "bundle.json").is_file())
    for n, bundle in enumerate(bundles, 1):
        with _tar(writer, f"models/{bundle.name}.tar") as tar:
            for file in sorted(bundle.rglob("*")):
                if file.is_file():
                    _add(tar, file, str(file.relative_to(bundle)))
        told("models", n)
    return tuple(bundle.name for bundle in bundles)


class _Pipe(io.RawIOBase):
    """Lets tarfile write into a backup."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._write(bytes(data))
        return len(data)


@contextmanager
def _tar(writer: Writer, name: str) -> Iterator[tarfile.TarFile]:
    with writer.entry(name, packed=False) as write, tarfile.open(fileobj=_Pipe(write), mode="w|") as tar:
        yield tar


def _add(tar: tarfile.TarFile, file: Path, name: str) -> int:
    try:
        data = file.read_bytes()
    except FileNotFoundError:  # purged since it was listed
        return 0
    facts = tarfile.TarInfo(name)
    facts.size, facts.mtime, facts.mode = len(data), int(datetime.now(UTC).timestamp()), 0o644
    tar.addfile(facts, io.BytesIO(data))
    return 1
