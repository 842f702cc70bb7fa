"""Images as a hall dumps them, as many as are wanted: no two of their files alike, and drawn only once."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from hydrad.sim import hall

SIZE = (1378, 636)  # width, height in pixels
DRAWN = 40
PLOT = "B{}_{:04d}"  # of ten detectors
DETECTORS = 10
PATTERN = r"(?P<plot>B\d_\d+)_run(?P<run>\d+)\.png"
SERVED = "B?_*"  # what a bundle says that serves them


class Drawings:
    """Simulated canvases as mon12 dumps them: 1378 × 636 pixels, RGBA, opaque, unfiltered.

    A plot's image differs from the one it had before, since what is pixel for pixel the last one is judged by looking
    once. Where more are asked for than were drawn, the same pixels come in another file: its compressed stream is cut
    into chunks elsewhere, so that none is known by its hash.

    Args:
        drawn: how many differ in their pixels, at least 2.
    """

    def __init__(self, drawn: int = DRAWN) -> None:
        plots = [name for name, plot in hall.PLOTS.items() if (plot.width, plot.height) == SIZE]
        self._streams = [_stream(plots[n % len(plots)], seed=n) for n in range(max(2, drawn))]

    def write(self, folder: Path, plot: int, run: int) -> Path:
        """The image of this plot in this run, as a file in this folder."""
        head, stream = self._streams[(plot + run) % len(self._streams)]
        cut = 1 + (plot + run * 4099) % (len(stream) - 1)
        chunks = (_chunk(b"IDAT", stream[:cut]), _chunk(b"IDAT", stream[cut:]), _chunk(b"IEND", b""))
        path = folder / f"{name(plot)}_run{run}.png"
        path.write_bytes(head + b"".join(chunks))
        return path


def name(plot: int) -> str:
    """What a plot is called."""
    return PLOT.format(plot % DETECTORS, plot)


def pv(plot: int, leaf: str) -> str:
    """A plot's PV, without its hall's prefix."""
    return f"{name(plot).replace('_', ':')}:{leaf}"


def _stream(plot: str, seed: int) -> tuple[bytes, bytes]:
    """What comes before an image's data, and its data."""
    width, height = SIZE
    rows = np.full((height, 1 + 4 * width), 255, np.uint8)
    rows[:, 0] = 0  # no filter
    rows[:, 1:].reshape(height, width, 4)[..., :3] = hall.render(plot, seed=seed)
    head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return head, zlib.compress(rows.tobytes(), 6)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
