"""Has this image file got its end? Walks PNG, JPEG and GIF from mark to mark without decoding a pixel.

Decoders are lenient where a watcher must not be: they show a picture whose end marker, or whose lower half, has not
been written yet.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hydrad.errors import UnfinishedImage, UnreadableImage

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_GIFS: Final = (b"GIF87a", b"GIF89a")
_JPEG_MARK: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)  # not a stuffed byte, not a restart
_JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by a PNG's colour type
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA


@dataclass(frozen=True, slots=True)
class Frame:
    """What the file says it is, before anything is decoded."""

    format: str  # "png", "jpeg", "gif"
    width: int  # pixels, at least 1
    height: int  # likewise
    interlaced: bool = False  # of a PNG


def measure(data: bytes) -> Frame:
    """Follow the file's structure to its end marker; what lies behind that is ignored.

    Raises:
        UnfinishedImage: the data end before the image does, or their end is a hole that nobody has written to yet.
        UnreadableImage: this is no PNG, JPEG or GIF, or one that more bytes would not mend.
    """
    try:
        return _measure(data)
    except UnreadableImage as fault:
        if data.endswith(b"\0"):
            # A file can get its length before its content (NFS writes out of order, some writers reserve space).
            raise UnfinishedImage("its end is not written yet") from fault
        raise


def _measure(data: bytes) -> Frame:
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(_JPEG):
        return _jpeg(data)
    if data.startswith(_GIFS):
        return _gif(data)
    if any(kind.startswith(data) for kind in (_PNG, _JPEG, *_GIFS)):
        raise UnfinishedImage("it is empty" if not data else f"it ends after {len(data)} bytes")
    raise UnreadableImage("it is no PNG, JPEG or GIF")


def _take(data: bytes, start: int, length: int) -> bytes:
    if start + length > len(data):
        raise UnfinishedImage(f"it ends after {len(data)} bytes")
    return data[start : start + length]


def _frame(kind: str, width: int, height: int, *, interlaced: bool = False) -> Frame:
    if width < 1 or height < 1:
        raise UnreadableImage(f"it claims to have {width} × {height} pixels")
    return Frame(kind, width, height, interlaced)


def has_all_rows(data: bytes) -> bool:
    """Whether the pixel data of a PNG file that :func:`measure` found complete reach to its last row.

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
            while rest and not inflate.eof:
                missing -= len(inflate.decompress(rest, 2**16))
                rest = inflate.unconsumed_tail
        missing -= len(inflate.flush())
    except zlib.error:
        return missing <= 0
    return missing <= 0


def _pixel_data(data: bytes) -> Iterator[bytes]:
    place = len(_PNG)
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if name == b"IEND":
            return
        if name == b"IDAT":
            yield data[place + 8 : place + 8 + length]
        place += 12 + length


def _png(data: bytes) -> Frame:
    frame = None
    place = len(_PNG)
    while True:
        length, name = struct.unpack(">I4s", _take(data, place, 8))
        if not name.isalpha() or length >= 2**31:
            raise UnreadableImage(f"it is a PNG file with a broken chunk at byte {place}")
        if (frame is None) != (name == b"IHDR") or (frame is None and length != 13):
            raise UnreadableImage("it is a PNG file with a broken header")
        body = _take(data, place + 8, length)
        (checksum,) = struct.unpack(">I", _take(data, place + 8 + length, 4))
        if checksum != zlib.crc32(body, zlib.crc32(name)):
            raise UnreadableImage(f"it is a PNG file with a wrong checksum at byte {place}")
        if frame is None:
            width, height = struct.unpack(">II", body[:8])
            frame = _frame("png", width, height, interlaced=body[12] != 0)
        if name == b"IEND":
            return frame
        place += 12 + length


def _jpeg(data: bytes) -> Frame:
    frame = None
    place = 2
    while True:
        if _take(data, place, 1) != b"\xff":
            raise UnreadableImage(f"it is a JPEG file with something between its segments at byte {place}")
        place = _past_fill(data, place)
        mark = data[place - 1]
        if mark == _EOI:
            if frame is None:
                raise UnreadableImage("it is a JPEG file without a picture")
            return frame
        if mark in _JPEG_ALONE:
            continue
        body = _segment(data, place, mark)
        if mark in _JPEG_FRAMES and frame is None:
            frame = _jpeg_frame(body)
        place += 2 + len(body)
        if mark == _SOS:
            place = _past_scan(data, place)


def _segment(data: bytes, place: int, mark: int) -> bytes:
    (length,) = struct.unpack(">H", _take(data, place, 2))
    if mark in {0x00, _SOI} or length < 2:
        raise UnreadableImage(f"it is a JPEG file with a broken segment at byte {place}")
    return _take(data, place + 2, length - 2)


def _jpeg_frame(body: bytes) -> Frame:
    if len(body) < 6:
        raise UnreadableImage("it is a JPEG file with a broken header")
    height, width = struct.unpack(">HH", body[1:5])
    return _frame("jpeg", width, height)


def _past_fill(data: bytes, place: int) -> int:
    """The byte behind the marker that begins at ``place`` with one or more 0xFF."""
    while _take(data, place, 1) == b"\xff":
        place += 1
    return place + 1


def _past_scan(data: bytes, place: int) -> int:
    found = _JPEG_MARK.search(data, place)
    if found is None:
        raise UnfinishedImage(f"it ends after {len(data)} bytes, in the middle of the picture")
    return found.start()


def _gif(data: bytes) -> Frame:
    width, height, flags = struct.unpack("<HHB", _take(data, 6, 5))
    place = 13 + _colours(flags)
    framed = False
    while True:
        mark = _take(data, place, 1)
        if mark == b"\x3b":
            if not framed:
                raise UnreadableImage("it is a GIF file without a picture")
            return _frame("gif", width, height)
        if mark == b"\x2c":
            left, top, across, down, flags = struct.unpack("<4HB", _take(data, place + 1, 9))
            if not framed:
                width, height, framed = max(width, left + across), max(height, top + down), True
            place += 11 + _colours(flags)  # and one byte, the width of the first code
        elif mark == b"\x21":
            place += 2
        else:
            raise UnreadableImage(f"it is a GIF file with a broken block at byte {place}")
        place = _past_blocks(data, place)


def _colours(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _past_blocks(data: bytes, place: int) -> int:
    while length := _take(data, place, 1)[0]:
        place += 1 + length
    return place + 1
