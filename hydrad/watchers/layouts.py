"""What a path says: which plot, which run, which chunk, when; by the custom of the producer that wrote it.

No image is lost to its name: one that does not fit its layout is named by the plain rule (its stem is the plot).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import translate
from pathlib import PurePath, PurePosixPath
from typing import Final

from hydrad.config import Watch
from hydrad.domain import Caption

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".gif")
_CLOCKS_DIFFER: Final = timedelta(seconds=60)
_RUN: Final = re.compile(r"run[-_ ]?(\d{1,9})", re.IGNORECASE | re.ASCII)
_RUN_ABOVE: Final = re.compile(r"run[-_ ]?(\d{4,9})", re.IGNORECASE | re.ASCII)  # Run3 may be a year's campaign there
_RSAI: Final = re.compile(r"(?P<plot>.+)_(?P<chunk>\d{4,9})", re.ASCII)
_DUMP: Final = re.compile(
    r".*?_(?P<run>\d{1,9})_(\d\d)-(\d\d)-(\d{4})_(\d\d)\.(\d\d)\.(\d\d)_([AP])M", re.IGNORECASE | re.ASCII
)
_PANGUIN: Final = re.compile(r"hydra_(?P<run>\d{1,9})_(?P<plot>.+?)(?:_(?P<chunk>\d{1,9}))?", re.ASCII)


class Names:
    """The names below one watched root: which of them are images, and what they say.

    *rsai*: ``<base>_%04d``, ``<base>-%02d_%04d``, ``<base>-<padname>_%04d``: the plot is all that stands before the
    chunk, pad included, since each pad is a picture of its own. *mon12*: the stem is the plot; run and time (on a
    12-hour clock, in the hall's zone) stand in the folder's name. *panguin*: ``hydra_<run>_<plot>[_<chunk>]``, where
    the plot is a variable's name or ``page<P>_pad<D>``; a bare number gets ``hydra_`` before it. *plain*: the stem is
    the plot. A free pattern is searched in the file's name, or, if it contains a ``/``, in the path below the root.

    Where the name itself does not tell a run, the nearest folder above that is called ``Run<number>`` does.

    Args:
        watch: layout or pattern, ``ignore`` patterns (of a file's or a folder's name, or, with a ``/`` in them, of the
            path below the root), and the root.
        zone: of the times in names: the hall's.
    """

    def __init__(self, watch: Watch, zone: tzinfo) -> None:
        self.root = os.fspath(watch.root)
        self._zone = zone
        self._layout = watch.layout
        self._pattern = None if watch.pattern is None else re.compile(watch.pattern)
        self._by_path = watch.pattern is not None and "/" in watch.pattern
        self._time_format = watch.time_format
        self._ignored_names = _any_of([pattern for pattern in watch.ignore if "/" not in pattern])
        self._ignored_paths = _any_of([pattern.strip("/") for pattern in watch.ignore if "/" in pattern])
        self._run_above = _nearest_run(watch.root.parts, _RUN_ABOVE)

    def wants_file(self, path: str) -> bool:
        """Whether a path below the root has an image's name, not hidden and not ignored."""
        return path.lower().endswith(SUFFIXES) and self.wants_folder(path)

    def wants_folder(self, path: str) -> bool:
        """Whether to look into a folder below the root."""
        name = path.rpartition("/")[2]
        if name.startswith("."):
            return False
        if self._ignored_names is not None and self._ignored_names.match(name):
            return False
        return self._ignored_paths is None or not self._ignored_paths.match(self.below(path))

    def wants_path(self, path: str) -> bool:
        """:meth:`wants_file`, and that of every folder between the root and it."""
        parts = self.below(path).split("/")
        return self.wants_file(path) and all(
            self.wants_folder(f"{self.root}/{'/'.join(parts[:n])}") for n in range(1, len(parts))
        )

    def below(self, path: str) -> str:
        """The path as seen from the root."""
        return path.removeprefix(self.root).lstrip("/")

    def caption(self, path: str, *, now: datetime) -> Caption:
        """What a path says; never fails.

        Args:
            path: of an image, anywhere.
            now: aware; a time in the name that is later is a wrong one, and not believed.
        """
        below = PurePosixPath(self.below(path))
        folders = below.parts[:-1]
        caption = self._read(below, folders, now)
        run = caption.run
        if run is None:
            run = _nearest_run(folders, _RUN)
        if run is None:
            run = self._run_above
        plot = caption.plot.strip() or below.stem
        return Caption(legible(plot), run, caption.chunk, caption.taken_at)

    def _read(self, below: PurePosixPath, folders: Sequence[str], now: datetime) -> Caption:
        if self._pattern is not None:
            return self._free(self._pattern, below, now)
        match self._layout:
            case "rsai":
                return _split(_RSAI.fullmatch(below.stem), below)
            case "mon12":
                return self._dump(below, folders, now)
            case "panguin":
                caption = _split(_PANGUIN.fullmatch(below.stem), below)
                return (
                    Caption(f"hydra_{caption.plot}", caption.run, caption.chunk) if caption.plot.isdigit() else caption
                )
            case _:
                return Caption(below.stem)

    def _free(self, pattern: re.Pattern[str], below: PurePosixPath, now: datetime) -> Caption:
        found = pattern.search(str(below) if self._by_path else below.name)
        if found is None:
            return Caption(below.stem)
        said = {key: text for key, text in found.groupdict().items() if text}
        return Caption(
            said.get("plot", below.stem),
            _number(said.get("run")),
            _number(said.get("chunk")),
            self._time(said.get("time"), now),
        )

    def _time(self, text: str | None, now: datetime) -> datetime | None:
        if text is None or self._time_format is None:
            return None
        try:
            read = datetime.strptime(text, self._time_format)  # noqa: DTZ007  _settled gives it the zone
        except ValueError:
            return None
        return _past(read, self._zone, now) if read.tzinfo is None else _not_after(read, now)

    def _dump(self, below: PurePosixPath, folders: Sequence[str], now: datetime) -> Caption:
        found = next((found for name in reversed(folders) if (found := _DUMP.fullmatch(name))), None)
        if found is None:
            return Caption(below.stem)
        month, day, year, hour, minute, second = map(int, found.groups()[1:7])
        afternoon = 12 if found[8].upper() == "P" else 0
        try:
            read = datetime(year, month, day, hour % 12 + afternoon, minute, second)  # noqa: DTZ001  _past gives the zone
        except ValueError:
            return Caption(below.stem, int(found["run"]))
        believed = _past(read, self._zone, now) if 1 <= hour <= 12 else None
        return Caption(below.stem, int(found["run"]), None, believed)


def plain(path: PurePath) -> Caption:
    """What is said by a path that no layout is known of: the stem is the plot, a folder ``Run<number>`` the run."""
    return Caption(legible(path.stem), _nearest_run(path.parts[:-1], _RUN))


def legible(name: str) -> str:
    """A name that can be shown and stored: bytes that are no UTF-8, and control characters, are written as escapes."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _split(found: re.Match[str] | None, below: PurePosixPath) -> Caption:
    if found is None:
        return Caption(below.stem)
    said = found.groupdict()
    return Caption(said["plot"], _number(said.get("run")), _number(said.get("chunk")))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 9 else None


def _nearest_run(folders: Sequence[str], pattern: re.Pattern[str]) -> int | None:
    return next((int(found[1]) for name in reversed(folders) if (found := pattern.fullmatch(name))), None)


def _past(read: datetime, zone: tzinfo, now: datetime) -> datetime | None:
    """A clock's reading as a moment. Of an hour that the clocks show twice, the later one that is not in the future."""
    moments = (_not_after(read.replace(tzinfo=zone, fold=fold), now) for fold in (1, 0))
    return max((moment for moment in moments if moment is not None), default=None)


def _not_after(moment: datetime, now: datetime) -> datetime | None:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # the year 1 or 9999
        return None
    return min(moment, now) if moment <= now + _CLOCKS_DIFFER else None


def _any_of(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(translate, patterns))) if patterns else None
