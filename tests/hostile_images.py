"""Files that mean harm, made by code: bombs, tails without end, nonsense in good order, and seeded mutants of each."""

from __future__ import annotations

import itertools
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MIB = 2**20


# ---- the pieces ----------------------------------------------------------------------------------------------------


def chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """How a PNG file begins."""
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def nothing(length: int) -> bytes:
    """So many zeros, deflated."""
    deflate = zlib.compressobj(9, wbits=-15)
    mebibyte = deflate.compress(bytes(MIB)) + deflate.flush(zlib.Z_FULL_FLUSH)  # knows nothing of what was before it
    end = deflate.compress(bytes(length % MIB)) + deflate.flush()
    return b"\x78\xda" + mebibyte * (length // MIB) + end + struct.pack(">HH", length % 65521, 1)


def png(start: bytes, *extra: bytes, rows: bytes, after: bytes = b"") -> bytes:
    """A PNG file; ``rows`` are deflated already."""
    return start + b"".join(extra) + chunk(b"IDAT", rows) + after + chunk(b"IEND", b"")


def segment(mark: int, body: bytes) -> bytes:
    """One segment of a JPEG file."""
    return struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body


def blocks(data: bytes) -> bytes:
    """Data as GIF files have them."""
    parts = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def encoded(image: Image.Image, kind: str, **how: Any) -> bytes:
    """What Pillow makes of an image."""
    buffer = BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def canvas(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A small image with something on it."""
    width, height = size
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, (x + y) / 2], 2).astype(np.uint8)).convert(mode)


# ---- bombs: small or middling files that ask for much --------------------------------------------------------------


def png_of(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """A whole, black PNG file of this kind."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    rows = height * (1 + (width * channels * depth + 7) // 8) + (64 * height if interlace else 0)
    palette = [chunk(b"PLTE", bytes(range(256)) * 3)] if colour == 3 else []
    return png(header(width, height, depth, colour, interlace), *palette, rows=nothing(rows))


def png_with_more_pixels_than_it_says() -> bytes:
    """A gigabyte behind the last row of a small picture."""
    return png(header(64, 48), rows=nothing(2**30))


def png_of_tiny_chunks(count: int = 400_000) -> bytes:
    """Millions of words of nothing before the picture."""
    return png(header(64, 48), chunk(b"tEXt", b"a\0b") * count, rows=nothing(48 * 193))


def png_of_tiny_pixel_chunks() -> bytes:
    """The picture in pieces of one byte, then empty ones."""
    rows = nothing(48 * 193)
    pieces = b"".join(chunk(b"IDAT", rows[n : n + 1]) for n in range(len(rows)))
    return header(64, 48) + pieces + chunk(b"IDAT", b"") * 400_000 + chunk(b"IEND", b"")


def png_with(name: bytes, lead: bytes, count: int = 1) -> bytes:
    """A picture with texts or a profile that inflate to 256 MiB each."""
    return png(header(64, 48), chunk(name, lead + nothing(256 * MIB)) * count, rows=nothing(48 * 193))


def png_that_claims_frames(frames: int = 2**31 - 1) -> bytes:
    """An animation of two milliards of frames, the first of them far outside the canvas."""
    control = chunk(b"acTL", struct.pack(">II", frames, 0))
    place = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 2**30, 2**30, 2**30, 2**30, 1, 1, 2, 1))
    return png(header(64, 48), control, place, rows=nothing(48 * 193))


def progressive(width: int, height: int, scans: int, components: int = 1) -> bytes:
    """A progressive JPEG file that says almost nothing, again and again, about many pixels."""
    parts = b"".join(bytes([n + 1, 0x11, 0]) for n in range(components))
    names = b"".join(bytes([n + 1, 0]) for n in range(components))
    one_code = bytes([0, 1]) + bytes(14) + b"\0"  # the symbol 0 in the code 00
    start = (
        b"\xff\xd8"
        + segment(0xDB, b"\0" + b"\1" * 64)
        + segment(0xC2, struct.pack(">BHHB", 8, height, width, components) + parts)
        + segment(0xC4, b"\0" + one_code)
        + segment(0xC4, b"\x10" + one_code)
    )
    first = segment(0xDA, bytes([components]) + names + b"\0\0\1")
    refine = segment(0xDA, b"\1\1\0\1\x3f\0")
    return start + first + b"\0" + (refine + b"\0") * scans + b"\xff\xd9"


def jpeg_of_fill(length: int = 8 * MIB) -> bytes:
    """Fill bytes between two segments, without end."""
    whole = encoded(canvas(), "JPEG")
    return whole[:2] + b"\xff" * length + whole[2:]


def jpeg_of_fill_in_its_scan(length: int = 300_000) -> bytes:
    """Fill bytes in the picture's data that are followed by no marker."""
    whole = encoded(canvas(), "JPEG")
    return whole[:-2] + b"\xff" * length + b"\0" + whole[-2:]


def jpeg_of_tiny_segments(count: int = 400_000) -> bytes:
    """Empty comments before the picture."""
    whole = encoded(canvas(), "JPEG")
    return whole[:2] + segment(0xFE, b"") * count + whole[2:]


def jpeg_with_two_headers() -> bytes:
    """A small picture by its first header, a very large one by the second."""
    whole = encoded(canvas(), "JPEG")
    at = whole.index(b"\xff\xc0")
    frame = bytearray(whole[at : at + 19])
    frame[5:9] = struct.pack(">HH", 13_000, 13_000)
    return whole[: at + 19] + bytes(frame) + whole[at + 19 :]


def jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG file that says it is large."""
    whole = bytearray(encoded(canvas(), "JPEG"))
    at = whole.index(b"\xff\xc0")
    whole[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(whole)


def gif(screen: tuple[int, int], picture: tuple[int, int, int, int], *extra: bytes, codes: bytes = b"") -> bytes:
    """A GIF file of two colours; ``picture`` is left, top, width, height."""
    start = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return start + b"".join(extra) + b"," + struct.pack("<4HB", *picture, 0) + b"\2" + blocks(codes) + b";"


def black(pixels: int) -> bytes:
    """The codes of so many black pixels of a GIF, each by itself and after a clear."""
    bits = "".join("001000"[::-1] for _ in range(8))  # three bits each, the lowest first
    word = int(bits[::-1], 2).to_bytes(6, "little")
    return word * (pixels // 8 + 1) + b"\5"


def gif_of_tiny_blocks(count: int = 4_000_000) -> bytes:
    """A comment in pieces of one byte."""
    return gif((8, 8), (0, 0, 8, 8), b"!\xfe" + b"\1x" * count + b"\0", codes=black(64))


def gif_of_comments(length: int = 16 * MIB) -> bytes:
    """One very long comment."""
    return gif((8, 8), (0, 0, 8, 8), b"!\xfe" + blocks(b"x" * length), codes=black(64))


def gif_of_frames(count: int = 20_000) -> bytes:
    """An animation that goes on and on."""
    frame = b"," + struct.pack("<4HB", 0, 0, 8, 8, 0) + b"\2" + blocks(black(64))
    return gif((8, 8), (0, 0, 8, 8), codes=black(64))[:-1] + frame * count + b";"


WIDE = (30_000, 1_000)
ATTACKS: dict[str, Callable[[], bytes]] = {
    "png 50 Mpx rgba": lambda: png_of(10_000, 5_000, 8, 6),
    "png 36 Mpx rgba 16 bit": lambda: png_of(9_000, 4_000, 16, 6),
    "png 36 Mpx grey 16 bit": lambda: png_of(9_000, 4_000, 16, 0),
    "png 36 Mpx palette": lambda: png_of(9_000, 4_000, 8, 3),
    "png 36 Mpx 1 bit": lambda: png_of(9_000, 4_000, 1, 0),
    "png 36 Mpx interlaced": lambda: png_of(9_000, 4_000, 8, 6, 1),
    "png 30 000 px wide": lambda: png_of(*WIDE),
    "png one pixel wide": lambda: png_of(1, 36_000_000, 8, 0),
    "png 60 000 x 60 000": lambda: png(header(60_000, 60_000), rows=nothing(100)),
    "png 2 milliard px wide": lambda: png(header(2**31 - 1, 1), rows=nothing(100)),
    "png of no size": lambda: png(header(0, 48), rows=nothing(100)),
    "png with a gigabyte too much": png_with_more_pixels_than_it_says,
    "png with a gigabyte too much, interlaced": lambda: png(header(64, 48, interlace=1), rows=nothing(2**30)),
    "png of tiny chunks": png_of_tiny_chunks,
    "png of tiny pixel chunks": png_of_tiny_pixel_chunks,
    "png zTXt bomb": lambda: png_with(b"zTXt", b"a\0\0", 8),
    "png iTXt bomb": lambda: png_with(b"iTXt", b"a\0\1\0\0\0", 8),
    "png iCCP bomb": lambda: png_with(b"iCCP", b"sRGB\0\0", 8),
    "png of words": lambda: png(header(64, 48), chunk(b"tEXt", b"a\0" + b"b" * 60 * MIB), rows=nothing(48 * 193)),
    "png of milliards of frames": png_that_claims_frames,
    "jpeg of endless scans": lambda: progressive(6_000, 6_000, 2_000),
    "jpeg of a hundred scans": lambda: progressive(6_000, 6_000, 99),
    "jpeg 36 Mpx of four colours": lambda: progressive(6_000, 6_000, 0, 4),
    "jpeg of 65 500 x 65 500": lambda: jpeg_of(65_500, 65_500),
    "jpeg 30 000 px wide": lambda: jpeg_of(*WIDE),
    "jpeg of fill": jpeg_of_fill,
    "jpeg of fill in its scan": jpeg_of_fill_in_its_scan,
    "jpeg of tiny segments": jpeg_of_tiny_segments,
    "jpeg with two headers": jpeg_with_two_headers,
    "gif with a giant screen": lambda: gif((65_535, 65_535), (0, 0, 8, 8), codes=black(64)),
    "gif with a giant picture": lambda: gif((8, 8), (60_000, 60_000, 5_000, 5_000), codes=black(64)),
    "gif 36 Mpx": lambda: gif((6_000, 6_000), (0, 0, 6_000, 6_000), codes=black(6_000 * 6_000)),
    "gif 36 Mpx, a screen for one pixel": lambda: gif((6_000, 6_000), (5_999, 5_999, 1, 1), codes=black(1)),
    "gif of tiny blocks": gif_of_tiny_blocks,
    "gif of comments": gif_of_comments,
    "gif of frames": gif_of_frames,
}  # fmt: skip


# ---- what is only odd ----------------------------------------------------------------------------------------------


def seeds() -> dict[str, bytes]:
    """Small whole files of every kind: what mutants are made of and what fuzzers begin with."""
    frames = [canvas("P"), canvas("P").rotate(90)]
    deep = Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21)
    return {
        "rgb.png": encoded(canvas(), "PNG"),
        "rgba.png": encoded(canvas("RGBA"), "PNG"),
        "palette.png": encoded(canvas("P"), "PNG", transparency=3),
        "one-bit.png": encoded(canvas("1"), "PNG"),
        "deep.png": encoded(deep, "PNG"),
        "grey-alpha.png": encoded(canvas("LA"), "PNG"),
        "interlaced.png": png_of(13, 9, 8, 2, 1),
        "animated.png": encoded(canvas(), "PNG", save_all=True, append_images=[canvas().rotate(90)]),
        "texts.png": png(
            header(3, 2),
            chunk(b"zTXt", b"a\0\0" + zlib.compress(b"words")),
            chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(b"words")),
            chunk(b"iCCP", b"p\0\0" + zlib.compress(b"profile")),
            chunk(b"gAMA", b"\0\0\xb1\x8f"),
            chunk(b"pHYs", b"\0\0\0\1\0\0\0\1\1"),
            chunk(b"tRNS", b"\0\1\0\2\0\3"),
            rows=nothing(20),
        ),
        "rgb.jpg": encoded(canvas(), "JPEG"),
        "grey.jpg": encoded(canvas("L"), "JPEG"),
        "cmyk.jpg": encoded(canvas("CMYK"), "JPEG"),
        "progressive.jpg": encoded(canvas(), "JPEG", progressive=True),
        "restarts.jpg": encoded(canvas(), "JPEG", restart_marker_rows=1),
        "comment.jpg": encoded(canvas(), "JPEG", comment=b"words", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
        "plain.gif": encoded(canvas("P"), "GIF"),
        "interlaced.gif": encoded(canvas("P"), "GIF", interlace=1),
        "transparent.gif": encoded(canvas("P"), "GIF", transparency=2, comment=b"words"),
        "animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0, disposal=2),
    }


def mended(data: bytes) -> bytes:
    """A PNG file's checksums made right, as far as its chunks can be followed: so a mutant gets past the door."""
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        if place + 12 + length > len(data):
            break
        body = data[place + 4 : place + 8 + length]
        parts.append(data[place : place + 4] + body + struct.pack(">I", zlib.crc32(body)))
        place += 12 + length
    return b"".join(parts) + data[place:]


def mutant(data: bytes, chance: random.Random, other: bytes) -> bytes:
    """The file with a few things done to it."""
    turned = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(turned)) if turned else 0
        length = chance.choice((1, 1, 2, 4, 16, 256))
        match chance.randrange(7):
            case 0:
                turned[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                turned[at : at + 4] = chance.choice(
                    (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1")
                )
            case 2:
                del turned[at : at + length]
            case 3:
                turned[at:at] = turned[at : at + length]
            case 4:
                turned[at:at] = chance.randbytes(length)
            case 5:
                start = chance.randrange(len(other))
                turned[at : at + length] = other[start : start + length]
            case _ if turned:
                turned[at] ^= 1 << chance.randrange(8)
    return mended(bytes(turned)) if data.startswith(SIGNATURE) and chance.random() < 0.8 else bytes(turned)


def mutants(suffix: str, count: int, seed: int = 2026) -> Iterator[bytes]:
    """So many mutants of the seeds of one kind (``.png``, ``.jpg``, ``.gif``), always the same ones."""
    chance = random.Random(f"{suffix} {seed}")
    every = seeds()
    ours = [data for name, data in every.items() if name.endswith(suffix)]
    for data in itertools.islice(itertools.cycle(ours), count):
        yield mutant(data, chance, chance.choice(list(every.values())))


def oddities() -> dict[str, bytes]:
    """Files by the names under which they are put before the daemon: what is no image, or hardly one."""
    rgb, jpg, plain = (seeds()[name] for name in ("rgb.png", "rgb.jpg", "plain.gif"))
    return {
        "empty.png": b"",
        "words.png": b"CDC occupancy, run 12345\n",
        "page.gif": b"<!DOCTYPE html><title>404</title>",
        "vector.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "program.jpg": b"#!/bin/sh\nexit 1\n",
        "zeros.png": bytes(10_000),
        "ones.jpg": b"\xff" * 10_000,
        "torn.png": rgb[: len(rgb) // 2],
        "torn.jpg": jpg[: len(jpg) // 2],
        "torn.gif": plain[: len(plain) // 2],
        "hole.png": rgb[:60] + bytes(len(rgb) - 60),
        "checksum.png": rgb[:-20] + bytes([rgb[-20] ^ 1]) + rgb[-19:],
        "jpeg-inside.png": jpg,
        "png-inside.gif": rgb,
        "gif-inside.jpeg": plain,
        "twice.png": rgb + rgb,
        "headless.png": SIGNATURE + chunk(b"IEND", b""),
        "wordy.png": png(header(1, 1), chunk(b"tEXt", b"Title\0" + bytes(range(256)) * 50), rows=nothing(4)),
    }
