"""Do the pixels of a PNG file reach to its last row? A decoder leaves black what they stop short of, and is silent."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by a PNG's colour type
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def has_all_rows(data: bytes) -> bool:
    """Whether the pixel data of a PNG file whose chunks are whole reach to its last row.

    Costs as much as decoding it; memory is bounded by 64 KiB.
    """
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    bits = depth * _CHANNELS.get(colour, 1)
    passes = _ADAM7 if interlace else ((0, 0, 1, 1),)
    missing = 0
    for left, top, across, down in passes:
        columns, rows = max(0, -((left - width) // across)), max(0, -((top - height) // down))
        missing += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    inflate = zlib.decompressobj()
    try:
        for part in _pixel_data(data):
            rest = part
            while rest and not inflate.eof and missing > 0:
                missing -= len(inflate.decompress(rest, 2**16))
                rest = inflate.unconsumed_tail
    except zlib.error:
        return missing <= 0
    return missing <= 0


def _pixel_data(data: bytes) -> Iterator[bytes]:
    place = 8
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if name == b"IEND":
            return
        if name == b"IDAT":
            yield data[place + 8 : place + 8 + length]
        place += 12 + length
