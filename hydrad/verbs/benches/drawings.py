"""Images as a hall dumps them, as many as are wanted: no two of their files alike, and drawn only once."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

from PIL import Image

from hydrad.sim import hall

SIZE = (1378, 636)  # width, height in pixels
DRAWN = 40
PLOT = "B{}_{:04d}"  # of ten detectors
DETECTORS = 10
PATTERN = r"(?P<plot>B\d_\d+)_run(?P<run>\d+)\.png"
SERVED = "B?_*"  # what a bundle says that serves them
_HEAD = 8 + 25  # signature and IHDR, bytes


class Drawings:
    """Simulated canvases of 1378 × 636 pixels.

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
    written = io.BytesIO()
    Image.fromarray(hall.render(plot, seed=seed)).save(written, "png", compress_level=1)
    data, at, stream = written.getvalue(), _HEAD, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            stream += data[at + 8 : at + 8 + length]
        at += 12 + length
    return data[:_HEAD], stream


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
