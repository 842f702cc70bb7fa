"""Has this image file got its end? Walks PNG, JPEG and GIF from mark to mark without decoding a pixel.

Decoders are lenient where a watcher must not be: they show a picture whose end marker, or whose lower half, has not
been written yet. And they take in whatever else a file holds, texts that inflate without bound or a million pieces of
nothing: so the walk is bounded in steps, and notes the parts of the first picture; a decoder need see no other.
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
_JPEG_MARK: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # not a stuffed byte, not a restart, no fill
_FILL: Final = re.compile(rb"\xff*")
_JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_CONTROL: Final = 0xF9  # of a GIF's extensions
# Tables, headers and scans, and what two of the applications' segments say of the colours.
_JPEG_PICTURE: Final = _JPEG_FRAMES | {0xC4, 0xCC, 0xDB, 0xDD, _SOS, 0xE0, 0xEE}
_PNG_PICTURE: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# Encoders cut 64 MiB into 8192 chunks, and a GIF's into 263 173 blocks; ten scans are usual.
MOST_PIECES: Final = 20_000
MOST_BLOCKS: Final = 500_000
MOST_SCANS: Final = 100


@dataclass(frozen=True, slots=True)
class Frame:
    """What the file says it is, before anything is decoded."""

    format: str  # "png", "jpeg", "gif"
    width: int  # pixels, at least 1
    height: int  # likewise
    interlaced: bool = False  # of a PNG
    parts: tuple[slice, ...] = ()  # of the file: its first picture, and nothing else

    def picture(self, data: bytes) -> bytes:
        """A file of the same format, made of ``data``, that holds the first picture alone."""
        end = b"\x3b" if self.format == "gif" else b""
        return b"".join([*(data[part] for part in self.parts), end])


class _Parts:
    """Gathers the pieces of a picture; neighbours become one."""

    def __init__(self) -> None:
        self._ends: list[tuple[int, int]] = []
        self._pieces = 0

    def __iter__(self) -> Iterator[slice]:
        return (slice(*ends) for ends in self._ends)

    def keep(self, start: int, end: int) -> None:
        if self._ends and self._ends[-1][1] == start:
            start = self._ends.pop()[0]
        self._ends.append((start, end))

    def count(self) -> None:
        """One piece more of the file, kept or not."""
        self._pieces += 1
        if self._pieces > MOST_PIECES:
            raise UnreadableImage(f"it is in more than {MOST_PIECES} pieces")


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


def _size(width: int, height: int) -> tuple[int, int]:
    if width < 1 or height < 1:
        raise UnreadableImage(f"it claims to have {width} × {height} pixels")
    return width, height


def _png(data: bytes) -> Frame:
    size, interlaced = None, False
    parts = _Parts()
    parts.keep(0, len(_PNG))
    view = memoryview(data)
    place = len(_PNG)
    while True:
        parts.count()
        length, name = struct.unpack(">I4s", _take(data, place, 8))
        if not name.isalpha() or length >= 2**31:
            raise UnreadableImage(f"it is a PNG file with a broken chunk at byte {place}")
        if (size is None) != (name == b"IHDR") or (size is None and length != 13):
            raise UnreadableImage("it is a PNG file with a broken header")
        end = place + 12 + length
        (checksum,) = struct.unpack(">I", _take(data, end - 4, 4))
        if checksum != zlib.crc32(view[place + 4 : end - 4]):
            raise UnreadableImage(f"it is a PNG file with a wrong checksum at byte {place}")
        if size is None:
            width, height, interlaced = struct.unpack_from(">II4x?", data, place + 8)
            size = _size(width, height)
        if name in _PNG_PICTURE:
            parts.keep(place, end)
        if name == b"IEND":
            return Frame("png", *size, interlaced, tuple(parts))
        place = end


def _jpeg(data: bytes) -> Frame:
    size = None
    scans = 0
    parts = _Parts()
    parts.keep(0, 2)
    place = 2
    while True:
        parts.count()
        if _take(data, place, 1) != b"\xff":
            raise UnreadableImage(f"it is a JPEG file with something between its segments at byte {place}")
        place = _past_fill(data, place)
        start, mark = place - 2, data[place - 1]
        if mark == _EOI:
            if size is None:
                raise UnreadableImage("it is a JPEG file without a picture")
            parts.keep(start, place)
            return Frame("jpeg", *size, parts=tuple(parts))
        if mark in _JPEG_ALONE:
            continue
        body = _segment(data, place, mark)
        if mark in _JPEG_FRAMES:
            size = _jpeg_size(body, size)
        place += 2 + len(body)
        if mark == _SOS:
            scans += 1
            place = _past_scan(data, place, scans)
        if mark in _JPEG_PICTURE:
            parts.keep(start, place)


def _segment(data: bytes, place: int, mark: int) -> bytes:
    (length,) = struct.unpack(">H", _take(data, place, 2))
    if mark in {0x00, _SOI} or length < 2:
        raise UnreadableImage(f"it is a JPEG file with a broken segment at byte {place}")
    return _take(data, place + 2, length - 2)


def _jpeg_size(body: bytes, before: tuple[int, int] | None) -> tuple[int, int]:
    if before is not None:
        raise UnreadableImage("it is a JPEG file with two headers")
    if len(body) < 6:
        raise UnreadableImage("it is a JPEG file with a broken header")
    height, width = struct.unpack(">HH", body[1:5])
    return _size(width, height)


def _past_fill(data: bytes, place: int) -> int:
    """The byte behind the marker that begins at ``place`` with one or more 0xFF."""
    found = _FILL.match(data, place)
    place = place if found is None else found.end()
    _take(data, place, 1)
    return place + 1


def _past_scan(data: bytes, place: int, number: int) -> int:
    if number > MOST_SCANS:
        raise UnreadableImage(f"it is a JPEG file of more than {MOST_SCANS} scans")
    found = _JPEG_MARK.search(data, place)
    if found is None:
        raise UnfinishedImage(f"it ends after {len(data)} bytes, in the middle of the picture")
    return found.start()


def _gif(data: bytes) -> Frame:
    width, height, flags = struct.unpack("<HHB", _take(data, 6, 5))
    place = 13 + _colours(flags)
    parts = _Parts()
    parts.keep(0, place)
    control, size = None, None
    blocks = MOST_BLOCKS
    while True:
        parts.count()
        start, mark = place, _take(data, place, 1)
        if mark == b"\x3b":
            if size is None:
                raise UnreadableImage("it is a GIF file without a picture")
            return Frame("gif", *_size(*size), parts=tuple(parts))
        if mark == b"\x2c":
            left, top, across, down, flags = struct.unpack("<4HB", _take(data, place + 1, 9))
            place += 11 + _colours(flags)  # and one byte, the width of the first code
        elif mark == b"\x21":
            place += 2
        else:
            raise UnreadableImage(f"it is a GIF file with a broken block at byte {place}")
        place, blocks = _past_blocks(data, place, blocks)
        if mark == b"\x2c" and size is None:
            size = max(width, left + across), max(height, top + down)
            if control is not None:
                parts.keep(*control)
            parts.keep(start, place)
        elif data[start + 1] == _CONTROL:
            control = start, place  # says which colour of the next picture is none


def _colours(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _past_blocks(data: bytes, place: int, most: int) -> tuple[int, int]:
    """The byte behind blocks of data, and how many more there may be than were."""
    try:
        while length := data[place]:
            place += 1 + length
            most -= 1
            if most < 0:
                raise UnreadableImage(f"it is a GIF file in more than {MOST_BLOCKS} blocks")
    except IndexError:
        raise UnfinishedImage(f"it ends after {len(data)} bytes") from None
    return place + 1, most
