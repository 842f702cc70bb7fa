"""The file of a backup: tables as lines of JSON, and a manifest by which each of them is checked before it is used."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self

from hydrad.domain import zulu
from hydrad.durable import sync_folder
from hydrad.errors import ConfigurationError, HydradError, TryAgain

FORMAT = 1
MANIFEST = "manifest.json"
CHUNK = 1 << 20  # bytes read or written at a time

Row = list[Any]
Told = Callable[[str, int], None]  # hears of each table or folder, and how many rows or files of it are done


class Damaged(HydradError):
    """The file is no backup, or not what was once written; nothing was touched."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A table of the backup: its columns with what lies in each, and how many rows it has."""

    columns: Mapping[str, str]  # text | integer | number | moment | bytes
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    schema: str  # revision
    version: str  # of the hydrad that took it
    kind: str  # of data base it was taken from
    host: str
    hall: str
    taken_at: str  # ISO 8601, UTC
    tables: Mapping[str, Listed]
    images: int = 0  # files
    models: tuple[str, ...] = ()  # bundles that are in it
    sha256: Mapping[str, str] = field(default_factory=dict)  # of every other file in it
    format: int = FORMAT

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables.values())


class Writer:
    """A backup being written; see :func:`writing`."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self.sha256: dict[str, str] = {}

    @contextmanager
    def entry(self, name: str, *, packed: bool = True) -> Iterator[Callable[[bytes], None]]:
        """Write a file of the backup, piece by piece."""
        facts = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
        facts.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        facts.external_attr = 0o600 << 16
        hashed = hashlib.sha256()
        with self._file.open(facts, "w", force_zip64=True) as out:

            def write(piece: bytes) -> None:
                hashed.update(piece)
                out.write(piece)

            yield write
        self.sha256[name] = hashed.hexdigest()

    def close(self, manifest: Manifest) -> None:
        """Write the manifest, which comes last."""
        self._file.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Make a backup at ``path``: it is there whole, on the disk, or not at all. Nobody but its owner may read it.

    Raises:
        ConfigurationError: something is there already, or the folder cannot be written.
        TryAgain: the disk is full or away.
    """
    if path.exists():
        raise ConfigurationError(f"{path} is there already; a backup is never overwritten")
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except OSError as fault:
        raise ConfigurationError(f"{path}: {fault.strerror}") from fault
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", compresslevel=3) as zipped:
                yield Writer(zipped)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_folder(path.parent)
    except OSError as fault:
        raise TryAgain(f"{path} cannot be written: {fault.strerror or fault}; nothing was left there") from fault
    finally:
        unfinished.unlink(missing_ok=True)


class Archive:
    """A backup opened to be read; a context manager.

    Raises:
        ConfigurationError: there is no such file.
        Damaged: it is no backup, or was cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = zipfile.ZipFile(path)
        except OSError as fault:
            raise ConfigurationError(f"{path}: {fault.strerror or fault}") from fault
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as fault:
            raise Damaged(f"{path} is no backup, or only the beginning of one: {fault}") from fault
        try:
            self.manifest = self._manifest()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def verify(self, told: Told = lambda *_: None) -> None:
        """Read all of it; raises Damaged unless every byte is what was written."""
        there = {name for name in self._file.namelist() if name != MANIFEST}
        for name in sorted(there ^ self.manifest.sha256.keys()):
            wrong = "is not in it" if name not in there else "was put into it by somebody else"
            raise Damaged(f"{self.path} is damaged: {name} {wrong}")
        for name, wanted in self.manifest.sha256.items():
            told(name, 0)
            hashed = hashlib.sha256()
            with self.open(name) as entry:
                while piece := entry.read(CHUNK):
                    hashed.update(piece)
            if hashed.hexdigest() != wanted:
                raise Damaged(f"{self.path} is damaged: {name} is not what was written")

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Read a file of the backup; raises Damaged where that cannot be done."""
        try:
            with self._file.open(name) as entry:
                yield entry
        except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, KeyError, NotImplementedError, OSError) as fault:
            raise Damaged(f"{self.path} is damaged: {name}: {fault}") from fault
        except Exception as fault:
            if type(fault).__module__ == "zlib":
                raise Damaged(f"{self.path} is damaged: {name}: {fault}") from fault
            raise

    def rows(self, table: str) -> Iterator[Row]:
        """A table's rows, each with a value for every column; bytes in hexadecimal."""
        with self.open(f"tables/{table}.jsonl") as lines:
            yield from (json.loads(line) for line in lines)

    def names(self, folder: str) -> Iterator[str]:
        """The files below a folder of the backup."""
        return (name for name in self.manifest.sha256 if name.startswith(f"{folder}/"))

    def _manifest(self) -> Manifest:
        try:
            with self.open(MANIFEST) as entry:
                words = json.load(entry)
            if words["format"] != FORMAT:
                raise Damaged(f"{self.path} was written in format {words['format']}, of a newer hydrad")
            tables = {name: Listed(dict(one["columns"]), int(one["rows"])) for name, one in words["tables"].items()}
            return Manifest(**words | {"tables": tables, "models": tuple(words["models"])})
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise Damaged(f"{self.path} is no backup of hydrad: its manifest cannot be read") from fault


def named(folder: Path, hall: str, now: datetime) -> Path:
    """What a backup of this hall and time is called in a folder; the names sort by time."""
    return folder / f"{_prefix(hall)}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.zip"


def thin(folder: Path, hall: str, keep: int) -> list[Path]:
    """Remove all but the newest ``keep`` backups of this hall that were named here; returns those that went."""
    stamp = "[0-9]" * 8 + "T" + "[0-9]" * 6 + "Z"
    gone = sorted(folder.glob(f"{_prefix(hall)}{stamp}.zip"))[:-keep]
    for path in gone:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return gone


def _prefix(hall: str) -> str:
    plain = "".join(letter if letter.isalnum() else "-" for letter in hall)
    return f"hydra-{plain}-"


def summary(manifest: Manifest, path: Path) -> dict[str, Any]:
    """What verbs say of a backup, for programs."""
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "schema": manifest.schema,
        "version": manifest.version,
        "kind": manifest.kind,
        "host": manifest.host,
        "hall": manifest.hall,
        "taken_at": manifest.taken_at,
        "rows": {name: table.rows for name, table in manifest.tables.items()},
        "images": manifest.images,
        "models": list(manifest.models),
    }


def stamp(now: datetime) -> str:
    """A time as the manifest has it."""
    return zulu(now) or ""
