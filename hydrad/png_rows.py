"""The rows of a PNG file as they lie packed in it: are they all there, and which are they where none is filtered?

A decoder leaves black what they stop short of, and is silent; and it unpacks one row after the other, which takes five
times as long as to unpack all at once.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import deflate
import numpy as np
import numpy.typing as npt

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by a PNG's colour type
_RGBA: Final = (8, 6, 0, 0, 0)  # depth, colour type, and the only methods there are, without interlace
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE: Final = 2**16  # bytes
_FIRST: Final = 4  # rows that are looked at before all are unpacked


def has_all_rows(data: bytes) -> bool:
    """Whether the pixel data of a PNG file whose chunks are whole reach to its last row; holds 64 KiB of them."""
    width, height, depth, colour, _, _, interlace = _header(data)
    bits = depth * _CHANNELS.get(colour, 1)
    passes = _ADAM7 if interlace else ((0, 0, 1, 1),)
    missing = 0
    for left, top, across, down in passes:
        columns, rows = max(0, -((left - width) // across)), max(0, -((top - height) // down))
        missing += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    for part in _unpacked(data, _PIECE):
        missing -= len(part)
        if missing <= 0:
            break
    return missing <= 0


def unfiltered_rgba(data: bytes) -> npt.NDArray[np.uint8] | None:
    """What an RGBA PNG of 8 bits shows where all its rows are there and none is filtered; None of any other.

    Args:
        data: a PNG file whose chunks are whole.

    Returns:
        Shape (height, 4 · width), four bytes a pixel; not writable, nor contiguous.
    """
    width, height, *kind = _header(data)
    if tuple(kind) != _RGBA:
        return None
    row = 1 + 4 * width
    if any(next(_unpacked(data, min(_FIRST, height) * row))[::row]):
        return None
    try:
        unpacked = deflate.zlib_decompress(b"".join(_packed(data)), height * row)
    except deflate.DeflateError:
        return None
    if len(unpacked) < height * row:
        return None
    rows = np.frombuffer(unpacked, np.uint8).reshape(height, row)
    return None if rows[:, 0].any() else rows[:, 1:]


def _header(data: bytes) -> tuple[int, int, int, int, int, int, int]:
    return struct.unpack(">IIBBBBB", data[16:29])


def _unpacked(data: bytes, size: int) -> Iterator[bytes]:
    """The pixel data unpacked, ``size`` bytes at a time, and what is left at their end or where they are broken."""
    inflate = zlib.decompressobj()
    found, short = [], size
    try:
        for packed in _packed(data):
            rest, full = packed, False
            while (rest or full) and not inflate.eof:  # it may hold back more than it was asked for
                found.append(inflate.decompress(rest, short))
                rest = inflate.unconsumed_tail
                short -= len(found[-1])
                if full := not short:
                    yield b"".join(found)
                    found, short = [], size
    except zlib.error:
        pass
    yield b"".join(found)


def _packed(data: bytes) -> Iterator[bytes]:
    """The pixel data in pieces so small that to hand on what is left of one costs nothing."""
    place = 8
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if name == b"IEND":
            return
        if name == b"IDAT":
            for start in range(place + 8, place + 8 + length, _PIECE):
                yield data[start : min(start + _PIECE, place + 8 + length)]
        place += 12 + length
