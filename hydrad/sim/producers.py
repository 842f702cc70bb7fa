"""How the producers of monitoring images write: their names, their folders and their bad habits.

All of it blocks, as files do; call it from a thread.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from PIL import Image

from hydrad.domain import Pixels
from hydrad.errors import ConfigurationError

PIECES: Final = 3


@dataclass(frozen=True, slots=True)
class Dump:
    """One round of images: the plots of a run over one stretch of time."""

    run: int
    taken_at: datetime  # aware; when the round was begun


class Producer(ABC):
    """Writes images below a folder as one of the field's programs does.

    Args:
        folder: the root that is watched; made when it is missing.
        zone: the time zone of names that tell a time.
    """

    colours = "RGB"  # of the PNG files
    piece_gap_s = 0.004  # between the pieces of a file: long enough for a watcher to see it torn

    def __init__(self, folder: Path, zone: ZoneInfo) -> None:
        self._folder = folder
        self._zone = zone
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:  # noqa: B027  most of them keep no count
        """A new round of images begins."""

    @abstractmethod
    def path(self, dump: Dump, plot: str) -> Path:
        """Where an image of this round goes."""

    def write(self, dump: Dump, plot: str, pixels: Pixels) -> Path:
        """Write one image; return where it can be read."""
        path = self.path(dump, plot)
        path.parent.mkdir(parents=True, exist_ok=True)
        in_pieces(path, png(pixels, self.colours), gap_s=self.piece_gap_s)
        return path


class Rsai(Producer):
    """One folder a run, a chunk counter that restarts with the process, and a temporary canvas in plain sight.

    Args:
        originals: write the images there and publish symbolic links to them in ``folder``.
    """

    def __init__(self, folder: Path, zone: ZoneInfo, *, originals: Path | None = None) -> None:
        super().__init__(folder, zone)
        self._originals = originals
        self._chunk = 0

    def begin(self) -> None:
        """The chunk counter goes on, whatever the run."""
        self._chunk += 1

    def path(self, dump: Dump, plot: str) -> Path:
        """``Run000001/CDC_occupancy_0001.png``."""
        return self._folder / f"Run{dump.run:06d}" / f"{plot}_{self._chunk:04d}.png"

    def write(self, dump: Dump, plot: str, pixels: Pixels) -> Path:
        """Write it by way of ``tmp_canvas_<pid>.png``, in pieces and straight to its name."""
        path = self.path(dump, plot)
        real = path if self._originals is None else self._originals / path.relative_to(self._folder)
        real.parent.mkdir(parents=True, exist_ok=True)
        data = png(pixels, self.colours)
        canvas = real.parent / f"tmp_canvas_{os.getpid()}.png"
        canvas.write_bytes(data)
        in_pieces(real, data, gap_s=self.piece_gap_s)
        canvas.unlink()
        if real != path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(os.path.relpath(real, path.parent))
        return path


class Mon12(Producer):
    """One folder a round, named after run and local time on a twelve-hour clock; file by file, without a marker."""

    colours = "RGBA"

    def path(self, dump: Dump, plot: str) -> Path:
        """``clas12mon_11_10-17-2017_06.09.49_PM/DC_occupancy.png``."""
        local = dump.taken_at.astimezone(self._zone)
        half = "AM" if local.hour < 12 else "PM"  # strftime's %p speaks the locale's language
        clock = f"{local:%m-%d-%Y}_{local.hour % 12 or 12:02d}.{local:%M.%S}_{half}"
        return self._folder / f"clas12mon_{dump.run}_{clock}" / f"{plot}.png"


class Panguin(Producer):
    """One flat folder; run, plot and chunk stand in the name."""

    def __init__(self, folder: Path, zone: ZoneInfo) -> None:
        super().__init__(folder, zone)
        self._chunk = 0

    def begin(self) -> None:
        """A new set of images."""
        self._chunk += 1

    def path(self, dump: Dump, plot: str) -> Path:
        """``hydra_1_CDC_occupancy_0001.png``."""
        return self._folder / f"hydra_{dump.run}_{plot}_{self._chunk:04d}.png"


class Plain(Producer):
    """One file a plot, replaced by renaming a finished one."""

    def path(self, dump: Dump, plot: str) -> Path:  # noqa: ARG002  the run is nowhere in the name
        """``CDC_occupancy.png``."""
        return self._folder / f"{plot}.png"

    def write(self, dump: Dump, plot: str, pixels: Pixels) -> Path:
        """Write it beside its name, then rename it."""
        path = self.path(dump, plot)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(png(pixels, self.colours))
        return fresh.replace(path)


def producer(layout: str, folder: Path, zone: ZoneInfo, *, originals: Path | None = None) -> Producer:
    """The producer that writes in a layout.

    Raises:
        ConfigurationError: for a layout nobody writes in, or links where only ``rsai`` makes them.
    """
    if originals is not None and layout != "rsai":
        raise ConfigurationError(f"layout: {layout} publishes no links, only rsai does")
    if originals is not None and originals.resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(f"originals: {originals} lies in the watched folder")
    match layout:
        case "rsai":
            return Rsai(folder, zone, originals=originals)
        case "mon12":
            return Mon12(folder, zone)
        case "panguin":
            return Panguin(folder, zone)
        case "plain":
            return Plain(folder, zone)
        case _:
            raise ConfigurationError(f"layout: {layout!r} is none of rsai, mon12, panguin, plain")


def png(pixels: Pixels, colours: str = "RGB") -> bytes:
    """The image as PNG; quickly rather than small."""
    stream = BytesIO()
    Image.fromarray(pixels).convert(colours).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def in_pieces(path: Path, data: bytes, *, gap_s: float) -> None:
    """Write straight to a file's name, bit by bit: whoever looks meanwhile sees a torn file."""
    step = -(-len(data) // PIECES)
    with path.open("wb") as file:
        for start in range(0, len(data), step):
            if start:
                time.sleep(gap_s)
            file.write(data[start : start + step])
            file.flush()
