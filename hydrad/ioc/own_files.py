"""Files that hydrad writes for other programs: whole or not at all, and never over what somebody else wrote."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hydrad.errors import HydradError

MARK = "Written by hydrad: what is changed here is lost when it is written anew."
_MARKED_WITHIN = 512  # bytes from a file's start


class NotOurs(HydradError):
    """A file is in the way that hydrad did not write."""


class NotWritten(HydradError):
    """The disk would not have it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the files, by name."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()  # ours, and no longer called for


def put(path: Path, content: bytes) -> Written:
    """Write one file, unless it says the same already.

    Raises:
        NotOurs: it is somebody else's.
        NotWritten: it cannot be written; what was there is as it was.
    """
    return _put(path.parent, {path.name: content}, ())


def put_all(folder: Path, contents: Mapping[str, bytes], *, suffix: str) -> Written:
    """Write these files into a folder, all or none, and remove those of hydrad's that are no longer called for.

    Args:
        suffix: of the files that may be removed.

    Raises:
        NotOurs: some of them are somebody else's; nothing was written.
        NotWritten: they cannot be written; the folder is as it was.
    """
    try:
        there = [path.name for path in folder.glob(f"*{suffix}")] if folder.is_dir() else []
        gone = tuple(sorted(name for name in set(there) - contents.keys() if _is_ours(folder / name)))
    except OSError as fault:
        raise _not_written(folder, fault) from fault
    return _put(folder, contents, gone)


def _put(folder: Path, contents: Mapping[str, bytes], gone: tuple[str, ...]) -> Written:
    try:
        before = {name: _read(folder / name) for name in contents}
        foreign = [name for name, content in before.items() if content is not None and not _bears_mark(content)]
        if foreign:
            raise NotOurs(
                f"not written: {', '.join(str(folder / name) for name in foreign)}: hydrad did not write this"
            )
        written = Written(
            new=tuple(name for name, content in before.items() if content is None),
            changed=tuple(name for name, old in before.items() if old is not None and old != contents[name]),
            unchanged=tuple(name for name, old in before.items() if old == contents[name]),
            removed=gone,
        )
        if written.new or written.changed or gone:
            folder.mkdir(parents=True, exist_ok=True)
            _exchange(folder, {name: contents[name] for name in (*written.new, *written.changed)}, gone)
    except OSError as fault:
        raise _not_written(folder, fault) from fault
    return written


def _exchange(folder: Path, contents: Mapping[str, bytes], gone: tuple[str, ...]) -> None:
    """Put everything on the disk first; then only names change, and are changed back if one of them cannot be."""
    aside = Path(tempfile.mkdtemp(prefix=".hydrad-", dir=folder))
    try:
        for name, content in contents.items():
            _store(aside / f"new-{name}", content)
        for name in (*contents, *gone):
            if (folder / name).exists():
                shutil.copy2(folder / name, aside / f"old-{name}")
        moved: list[str] = []
        try:
            for name in contents:
                (aside / f"new-{name}").replace(folder / name)
                moved.append(name)
            for name in gone:
                (folder / name).unlink()
                moved.append(name)
        except OSError:
            for name in moved:
                old = aside / f"old-{name}"
                if old.exists():
                    old.replace(folder / name)
                else:
                    (folder / name).unlink()
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _store(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return _bears_mark(file.read(_MARKED_WITHIN))


def _bears_mark(content: bytes) -> bool:
    return MARK.encode() in content[:_MARKED_WITHIN]


def _not_written(folder: Path, fault: OSError) -> NotWritten:
    return NotWritten(f"not written: {fault.filename or folder}: {fault.strerror or fault}")
