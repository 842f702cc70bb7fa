"""Files in, pictures out: every kind a producer may write, and the two ways in which a file may be none."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
import warnings
import zlib
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import hostile_images
import numpy as np
import numpy.typing as npt
import pytest
from hostile_images import chunk, header
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from PIL.PngImagePlugin import PngInfo

from hydrad import image_files, images
from hydrad.endings import measure
from hydrad.errors import UnfinishedImage, UnreadableImage
from hydrad.image_files import ImageReader, read
from hydrad.images import image_of, picture_of, pixels_of

RED = (200, 30, 40)
SIZE = (23, 17)  # width, height
PLOT = "CDC_occupancy"


def encoded(image: Image.Image, kind: str, **how: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def noted(key: str, text: str) -> PngInfo:
    info = PngInfo()
    info.add_text(key, text)
    return info


def ramp(mode: str = "RGB") -> Image.Image:
    width, height = SIZE
    red = np.linspace(0, 255, width, dtype=np.uint8)[np.newaxis, :].repeat(height, 0)
    green = np.linspace(255, 0, height, dtype=np.uint8)[:, np.newaxis].repeat(width, 1)
    return Image.fromarray(np.stack([red, green, red ^ green], 2)).convert(mode)


def with_thumbnail() -> bytes:
    """A JPEG that carries another, whole JPEG in its EXIF block, end marker and all."""
    thumbnail = encoded(Image.new("RGB", (8, 8), RED), "JPEG")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + thumbnail
    whole = encoded(ramp(), "JPEG")
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + whole[2:]


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes, interlace: int = 0) -> bytes:
    return hostile_images.png(header(width, height, depth, colour, interlace), *extra, rows=zlib.compress(rows))


def adam7() -> bytes:
    """A 3 × 3 grey PNG with the pixels 1 to 9, in passes of which two are empty at this size."""
    passes = [b"\1", b"\3", b"\7\x09", b"\2", b"\x08", b"\4\5\6"]
    return png(3, 3, 8, 0, b"".join(b"\0" + row for row in passes), interlace=1)


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]

WHOLE = {
    "png": encoded(ramp(), "PNG"),
    "png rgba": encoded(ramp("RGBA"), "PNG"),
    "png palette": encoded(ramp("P"), "PNG"),
    "png 1 bit": encoded(ramp("1"), "PNG"),
    "png 16 bit": encoded(Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 160), "PNG"),
    "png interlaced": png(2, 2, 8, 0, b"\0\1\0\2\0\3\4", interlace=1),
    "png interlaced 3": adam7(),
    "png with text behind its pixels": encoded(ramp(), "PNG")[:-12] + chunk(b"tEXt", b"a\0b") + chunk(b"IEND", b""),
    "jpeg": encoded(ramp(), "JPEG"),
    "jpeg grey": encoded(ramp("L"), "JPEG"),
    "jpeg cmyk": encoded(ramp("CMYK"), "JPEG"),
    "jpeg progressive": encoded(ramp(), "JPEG", progressive=True),
    "jpeg with restarts": encoded(ramp(), "JPEG", restart_marker_rows=1),
    "jpeg with a thumbnail": with_thumbnail(),
    "gif": encoded(ramp("P"), "GIF"),
    "gif grey": encoded(ramp("L"), "GIF"),
    "gif interlaced": encoded(ramp("P"), "GIF", interlace=1),
    "gif animated": encoded(ramp("P"), "GIF", save_all=True, append_images=[Image.new("P", SIZE, 3)], loop=0),
    "gif transparent": encoded(ramp("P"), "GIF", transparency=0),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_image_becomes_rgb_of_its_size(kind: str) -> None:
    data = WHOLE[kind]
    with Image.open(BytesIO(data)) as image:
        width, height = image.size
    pixels = pixels_of(data)
    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert not pixels.flags.writeable
    assert image_of(data).mode == "RGB"
    assert np.array_equal(np.asarray(image_of(data)), pixels)
    picture = picture_of(data)
    assert (picture.width, picture.height) == (width, height)
    assert picture.format == kind.partition(" ")[0]
    assert picture.data is data
    assert picture.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", WHOLE)
def test_no_beginning_of_an_image_passes_for_the_image(kind: str) -> None:
    data = WHOLE[kind]
    for length in range(len(data)):
        with pytest.raises(UnfinishedImage):
            picture_of(data[:length])


@pytest.mark.parametrize("kind", WHOLE)
def test_an_image_whose_end_is_still_zeros_is_unfinished(kind: str) -> None:
    data = WHOLE[kind]
    for written in range(len(data) - 1):
        with pytest.raises(UnfinishedImage):
            picture_of(data[:written] + bytes(len(data) - written))


@pytest.mark.parametrize("kind", WHOLE)
def test_what_lies_behind_the_end_is_no_fault(kind: str) -> None:
    data = WHOLE[kind]
    assert np.array_equal(pixels_of(data + b"left by a longer file"), pixels_of(data))


def test_pixels_come_out_as_they_went_in() -> None:
    assert np.array_equal(pixels_of(WHOLE["png"]), np.asarray(ramp()))
    assert pixels_of(adam7())[:, :, 1].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_transparency_is_laid_on_white() -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[0, 0] = (*RED, 255)
    clear[0, 1] = (0, 0, 0, 128)
    pixels = pixels_of(encoded(Image.fromarray(clear, "RGBA"), "PNG"))
    assert tuple(pixels[0, 0]) == RED
    assert tuple(pixels[0, 1]) == (127, 127, 127)
    assert (pixels[1:] == 255).all()


def test_transparent_colours_of_palettes_greys_and_plain_rgb_are_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    for data in (
        encoded(palette, "PNG", transparency=1),
        encoded(palette, "PNG", transparency=b"\xff\x00"),
        encoded(palette, "GIF", transparency=1),
    ):
        pixels = pixels_of(data)
        assert tuple(pixels[0, 0]) == RED
        assert tuple(pixels[0, 1]) == (255, 255, 255)
    grey = pixels_of(png(2, 1, 8, 0, b"\0\x07\x08", chunk(b"tRNS", b"\0\x08")))
    assert grey[0, :, 0].tolist() == [7, 255]
    deep = pixels_of(png(2, 1, 16, 0, b"\0\x20\x20\x10\x10", chunk(b"tRNS", b"\x10\x10")))
    assert deep[0, :, 0].tolist() == [0x20, 255]
    colour = pixels_of(png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", chunk(b"tRNS", b"\0\4\0\5\0\6")))
    assert colour[0].tolist() == [[1, 2, 3], [255, 255, 255]]
    grey_alpha = pixels_of(png(2, 1, 8, 4, b"\0\x50\xff\x50\x00"))
    assert grey_alpha[0, :, 0].tolist() == [0x50, 255]


def test_sixteen_bits_of_grey_are_scaled_not_cut_off() -> None:
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert pixels_of(encoded(Image.fromarray(deep), "PNG"))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_one_bit_is_black_and_white() -> None:
    bits = Image.new("1", (2, 1))
    bits.putpixel((1, 0), 1)
    assert pixels_of(encoded(bits, "PNG"))[0].tolist() == [[0, 0, 0], [255, 255, 255]]


def test_the_colours_of_a_cmyk_jpeg_are_not_inverted() -> None:
    red = pixels_of(encoded(Image.new("RGB", SIZE, (250, 0, 0)).convert("CMYK"), "JPEG", quality=95))
    assert red[..., 0].min() > 200
    assert red[..., 1:].max() < 50


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", SIZE, colour) for colour in (RED, (0, 255, 0))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(pixels_of(data)[0, 0]) == RED


def test_equal_pixels_have_equal_sums_however_they_are_encoded() -> None:
    hard, soft = (picture_of(encoded(ramp(), "PNG", compress_level=level)) for level in (9, 1))
    assert hard.sha256 != soft.sha256
    assert hard.pixels_digest == soft.pixels_digest
    assert (
        picture_of(encoded(ramp().transpose(Image.Transpose.FLIP_TOP_BOTTOM), "PNG")).pixels_digest
        != hard.pixels_digest
    )


def test_the_same_bytes_in_another_shape_are_another_picture() -> None:
    wide, tall = (encoded(Image.new("RGB", size, RED), "PNG") for size in ((6, 2), (2, 6)))
    assert pixels_of(wide).tobytes() == pixels_of(tall).tobytes()
    assert picture_of(wide).pixels_digest != picture_of(tall).pixels_digest


def test_a_picture_is_the_same_whatever_its_file_holds_beside_its_colours() -> None:
    image = ramp()
    alike = [
        encoded(image, "PNG"),
        encoded(image.convert("RGBA"), "PNG"),
        encoded(image, "PNG", pnginfo=noted("taken", "at night")),
        encoded(image.quantize(256, dither=Image.Dither.NONE).convert("RGB"), "PNG"),
    ]
    first, clear, noted_, fewer = (picture_of(data) for data in alike)
    assert first.pixels_digest == clear.pixels_digest == noted_.pixels_digest
    assert (fewer.pixels_digest == first.pixels_digest) == np.array_equal(pixels_of(alike[3]), pixels_of(alike[0]))
    one = pixels_of(alike[0]).copy()
    one[-1, -1, 2] ^= 1
    assert picture_of(encoded(Image.fromarray(one), "PNG")).pixels_digest != first.pixels_digest


@pytest.mark.parametrize(
    "data",
    [
        b"CDC occupancy, run 12345\n",
        b"root\0\0\xf2\xa2 a file of another kind",
        b"BM" + b"\x01" * 60,
        b"II*\0" + b"\x01" * 60,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\r",
        b"GIF90a" + b"\x01" * 20,
    ],
)
def test_what_is_no_image_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match="no PNG, JPEG or GIF"):
        picture_of(data)


def test_a_wrong_checksum_is_not_mended_by_waiting() -> None:
    for place in range(8, len(WHOLE["png"]) - 1):
        data = bytearray(WHOLE["png"])
        data[place] ^= 1
        try:
            picture_of(bytes(data))
        except UnreadableImage:
            continue
        except UnfinishedImage:
            # The byte was part of a chunk's length, which now points behind the end of the file.
            assert int.from_bytes(data[8:12]) != 13 or place > 32
            continue
        pytest.fail(f"byte {place} may be anything")


@pytest.mark.parametrize(("depth", "colour"), [(8, 0), (1, 0), (16, 0), (8, 2), (16, 2), (8, 4), (8, 6), (16, 6)])
@pytest.mark.parametrize("interlace", [0, 1])
def test_a_complete_png_in_which_rows_are_missing_is_unreadable(depth: int, colour: int, interlace: int) -> None:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    width, height = 5, 6
    passes = ADAM7 if interlace else [(0, 0, 1, 1)]
    rows = b""
    for left, top, across, down in passes:
        columns = len(range(left, width, across))
        if columns:
            rows += (b"\0" + b"\xa5" * ((columns * channels * depth + 7) // 8)) * len(range(top, height, down))
    assert pixels_of(png(width, height, depth, colour, rows, interlace=interlace)).shape == (6, 5, 3)
    black = bytes(len(rows))
    assert pixels_of(png(width, height, depth, colour, black, interlace=interlace)).shape == (6, 5, 3)
    for length in range(len(rows)):
        for some in (rows[:length], black[:length]):
            with pytest.raises(UnreadableImage):
                picture_of(png(width, height, depth, colour, some, interlace=interlace))


CANVAS = (200, 1400)  # width, height: three strips


def canvas() -> npt.NDArray[np.uint8]:
    """Rows of an opaque RGBA canvas, each with its filter before it: none."""
    width, height = CANVAS
    pixels = np.random.default_rng(7).integers(0, 255, (height, width, 4), np.uint8, endpoint=True)
    pixels[..., 3] = 255
    return np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)


def canvas_png(stream: bytes, cuts: Sequence[int] = ()) -> bytes:
    """Of the size of a canvas, its packed rows cut into chunks."""
    ends = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    chunks = [chunk(b"IDAT", stream[start:end]) for start, end in pairwise(ends)]
    return header(*CANVAS, colour=6) + b"".join(chunks) + chunk(b"IEND", b"")


def shown_by_pillow(data: bytes) -> Image.Image:
    """A canvas on white."""
    with Image.open(BytesIO(data)) as opened:
        return Image.alpha_composite(Image.new("RGBA", CANVAS, "white"), opened).convert("RGB")


@settings(max_examples=60, deadline=None)
@given(
    filtered=st.lists(st.tuples(st.integers(0, CANVAS[1] - 1), st.integers(1, 4)), max_size=2),
    transparent=st.lists(st.tuples(st.integers(0, CANVAS[1] - 1), st.integers(0, CANVAS[0] - 1)), max_size=1),
    cuts=st.lists(st.integers(0, 2**24), max_size=5),
    level=st.sampled_from([0, 1, 9]),
    too_many=st.binary(max_size=9),
)
def test_a_canvas_shows_what_pillow_says_it_shows(
    filtered: list[tuple[int, int]], transparent: list[tuple[int, int]], cuts: list[int], level: int, too_many: bytes
) -> None:
    rows = canvas()
    for row, kind in filtered:
        rows[row, 0] = kind
    for row, column in transparent:
        rows[row, 4 + 4 * column] = 128
    data = canvas_png(zlib.compress(rows.tobytes() + too_many, level), cuts)
    true = shown_by_pillow(data)
    assert np.array_equal(pixels_of(data), np.asarray(true))
    assert picture_of(data).pixels_digest == picture_of(encoded(true, "PNG")).pixels_digest


@settings(max_examples=30, deadline=None)
@given(length=st.integers(0, CANVAS[1] * (1 + 4 * CANVAS[0]) - 1), cuts=st.lists(st.integers(0, 2**24), max_size=3))
def test_a_canvas_that_stops_early_is_unreadable(length: int, cuts: list[int]) -> None:
    with pytest.raises(UnreadableImage):
        picture_of(canvas_png(zlib.compress(canvas().tobytes()[:length], 1), cuts))


@given(place=st.integers(2, 500_000), value=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_canvas_whose_stream_is_damaged_shows_what_pillow_shows_or_nothing(place: int, value: int) -> None:
    stream = bytearray(zlib.compress(canvas().tobytes(), 1))
    stream[place % len(stream)] ^= value
    data = canvas_png(bytes(stream))
    try:
        pixels = pixels_of(data)
    except UnreadableImage:
        return
    assert np.array_equal(pixels, np.asarray(shown_by_pillow(data)))


def test_canvases_as_halls_dump_them_need_no_other_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_AlphaAside", None)
    monkeypatch.setattr(Image, "open", None)
    rows = canvas()
    assert (
        pixels_of(canvas_png(zlib.compress(rows.tobytes(), 1))).tobytes() == rows[:, 1:].reshape(-1, 4)[:, :3].tobytes()
    )


def test_a_complete_gif_whose_codes_stop_early_is_unreadable() -> None:
    codes = 4 | 1 << 3 | 5 << 6  # clear, pixel of colour 1, stop: three bits each
    gif = b"GIF89a\2\0\2\0\x80\0\0" + bytes(6) + b",\0\0\0\0\2\0\2\0\0" + b"\2\2" + codes.to_bytes(2, "little") + b"\0;"
    with pytest.raises(UnreadableImage, match="cannot be decoded"):
        picture_of(gif)


def test_files_without_a_picture_in_them_are_unreadable() -> None:
    for data in (header(4, 4, colour=0) + chunk(b"IEND", b""), b"\xff\xd8\xff\xd9", b"GIF89a\x01\0\x01\0\0\0\x01;"):
        with pytest.raises(UnreadableImage):
            picture_of(data)
    with pytest.raises(UnreadableImage, match="0 × 4 pixels"):
        picture_of(png(0, 4, 8, 0, b""))


@pytest.mark.parametrize("kind", ["png", "gif", "jpeg"])
def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_decoded(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = SIZE
    data = WHOLE[kind]
    assert pixels_of(data, max_pixels=width * height).size
    monkeypatch.setattr(images, "_decoded", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(UnreadableImage, match="23 × 17 pixels are more than the 390 allowed"):
        picture_of(data, max_pixels=width * height - 1)


def test_a_bomb_goes_off_in_no_format() -> None:
    bomb = png(60_000, 60_000, 8, 0, b"")
    with pytest.raises(UnreadableImage, match="60000 × 60000"):
        picture_of(bomb)
    gif = bytearray(WHOLE["gif"])
    start = gif.index(b"\x2c")
    gif[start + 5 : start + 9] = struct.pack("<HH", 65_535, 65_535)
    with pytest.raises(UnreadableImage, match="65535 × 65535"):
        picture_of(bytes(gif))


def test_pillow_is_never_told_to_load_torn_files() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    places=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8),
)
def test_no_damage_raises_anything_but_an_image_error(kind: str, places: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE[kind])
    for place, value in places:
        data[place % len(data)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            pixels = pixels_of(bytes(data), max_pixels=1_000_000)
        except (UnfinishedImage, UnreadableImage):
            return
    assert pixels.ndim == 3


@settings(max_examples=200, deadline=None)
@given(
    header=st.binary(min_size=13, max_size=13),
    rows=st.binary(max_size=60),
    name=st.sampled_from(
        [b"tRNS", b"PLTE", b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"gAMA", b"cHRM", b"pHYs", b"acTL", b"fcTL"]
    ),
    body=st.binary(max_size=40),
)
def test_no_well_formed_nonsense_raises_anything_but_an_image_error(
    header: bytes, rows: bytes, name: bytes, body: bytes
) -> None:
    nonsense = struct.pack(">II", header[0] % 9 + 1, header[1] % 9 + 1) + header[8:]
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", nonsense) + chunk(name, body)
    try:
        picture_of(data + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    except UnreadableImage:
        return


async def test_the_reader_reads_a_file_in_a_thread_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    monkeypatch.setattr(
        images, "measure", lambda data: threads.append(threading.current_thread().name) or measure(data)
    )
    path = tmp_path / "CDC.txt"
    path.write_bytes(WHOLE["png"])
    with ImageReader() as reader:
        picture = await reader(path, PLOT)
    assert picture.data == WHOLE["png"]
    assert threads[0].startswith("decode")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


async def test_the_reader_follows_a_link_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(WHOLE["gif"])
    (tmp_path / "link.png").symlink_to("a")
    with ImageReader() as reader:
        assert (await reader(tmp_path / "link.png", PLOT)).format == "gif"


async def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with ImageReader() as reader:
        with pytest.raises(FileNotFoundError):
            await reader(tmp_path / "gone.png", PLOT)
        (tmp_path / "link.png").symlink_to("nowhere")
        with pytest.raises(FileNotFoundError):
            await reader(tmp_path / "link.png", PLOT)


async def test_an_empty_file_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with ImageReader() as reader, pytest.raises(UnfinishedImage, match="empty"):
        await reader(tmp_path / "a.png", PLOT)


async def test_pipes_sockets_folders_and_devices_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as listening, ImageReader() as reader:
        listening.bind(str(tmp_path / "s.png"))
        for path in (tmp_path / "pipe.png", tmp_path / "folder.png", tmp_path / "s.png", Path("/dev/zero")):
            with pytest.raises(UnreadableImage, match="no regular file"):
                await reader(path, PLOT)


async def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE["png"])
    os.truncate(path, 2**40)  # a hole, no terabyte
    with ImageReader() as reader, pytest.raises(UnreadableImage, match=f"{2**40} bytes are more than the {64 * 2**20}"):
        await reader(path, PLOT)
    with ImageReader(max_bytes=len(WHOLE["png"])) as reader:
        path.write_bytes(WHOLE["png"])
        assert await reader(path, PLOT)
        path.write_bytes(WHOLE["png"] + b"x")
        with pytest.raises(UnreadableImage):
            await reader(path, PLOT)


@pytest.mark.parametrize("how", ["grows", "shrinks", "is written anew", "is touched"])
def test_a_file_that_changes_while_it_is_read_is_unfinished(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    data = WHOLE["png"]
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    all_of_it = image_files._all

    def meanwhile(file: Any, size: int) -> bytes:
        content = all_of_it(file, size)
        match how:
            case "grows":
                with path.open("ab") as writer:
                    writer.write(b"more")
            case "shrinks":
                os.truncate(path, 10)
            case "is written anew":
                path.write_bytes(data[::-1])
            case "is touched":
                path.touch()
        return content

    monkeypatch.setattr(image_files, "_all", meanwhile)
    with pytest.raises(UnfinishedImage, match="changed while it was read"):
        read(path)


def test_a_file_renamed_over_while_it_is_read_is_still_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE["png"])
    (tmp_path / "next").write_bytes(WHOLE["gif"])
    all_of_it = image_files._all

    def meanwhile(file: Any, size: int) -> bytes:
        (tmp_path / "next").rename(path)
        return all_of_it(file, size)

    monkeypatch.setattr(image_files, "_all", meanwhile)
    assert read(path) == WHOLE["png"]
