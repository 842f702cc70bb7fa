"""The reader makes the views that are wanted while the pixels are at hand, and decodes no picture a second time."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hydrad import image_files, images
from hydrad.classify.prepare import Preparation, prepare
from hydrad.errors import UnreadableImage
from hydrad.image_files import ImageReader
from hydrad.images import pixels_of

PLOT = "CDC_occupancy"
SMALL, SQUARE = Preparation(width=32, height=16), Preparation(width=24, height=24, colour="grey")


def drawn(seed: int, *, taken: str = "", level: int = 1) -> bytes:
    """A PNG of noise, with a note of when it was taken."""
    pixels = np.random.default_rng(seed).integers(0, 256, (50, 70, 3), np.uint8)
    info = PngInfo()
    info.add_text("taken", taken)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", pnginfo=info, compress_level=level)
    return file.getvalue()


class Waiting:
    """Wants these views, and knows of which plots a picture is on its way."""

    def __init__(self, *views: Preparation) -> None:
        self.views, self.coming, self.asked = views, 0, []

    @contextmanager
    def __call__(self, plot: str) -> Iterator[Sequence[Preparation]]:
        self.asked.append(plot)
        self.coming += 1
        try:
            yield self.views
        finally:
            self.coming -= 1


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[images.Shown]:
    """What has been decoded."""
    found: list[images.Shown] = []

    def shown(*of_what: object) -> images.Shown:
        found.append(images.shown(*of_what))
        return found[-1]

    monkeypatch.setattr(image_files, "shown", shown)
    return found


async def test_a_picture_comes_with_the_views_that_are_wanted_of_its_plot(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(drawn(1))
    waiting = Waiting(SMALL, SQUARE)
    with ImageReader(waiting) as reader:
        picture = await reader(path, PLOT)
    assert waiting.asked == [PLOT]
    assert set(picture.views) == {SMALL, SQUARE}
    for preparation, view in picture.views.items():
        assert np.array_equal(view, prepare(pixels_of(path.read_bytes()), preparation))
    assert (picture.width, picture.height, picture.written_ns) == (70, 50, path.stat().st_mtime_ns)


async def test_whoever_waits_is_told_when_a_file_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    waiting = Waiting(SMALL)
    with ImageReader(waiting) as reader:
        with pytest.raises(UnreadableImage):
            await reader(tmp_path / "a.png", PLOT)
        with pytest.raises(FileNotFoundError):
            await reader(tmp_path / "b.png", PLOT)
    assert waiting.coming == 0
    assert len(waiting.asked) == 2


async def test_a_picture_that_comes_again_is_not_decoded_again(tmp_path: Path, decoded: list[images.Shown]) -> None:
    first, again, other = tmp_path / "1.png", tmp_path / "2.png", tmp_path / "3.png"
    first.write_bytes(drawn(1, taken="at noon"))
    again.write_bytes(drawn(1, taken="at night"))
    other.write_bytes(drawn(2))
    with ImageReader(Waiting(SMALL)) as reader:
        one, same, another = [await reader(path, PLOT) for path in (first, again, other)]
    assert len(decoded) == 2
    assert one.pixels_digest == same.pixels_digest != another.pixels_digest
    assert one.sha256 != same.sha256
    assert same.data == again.read_bytes()
    assert not same.views
    assert (same.width, same.height, same.format) == (70, 50, "png")


async def test_equal_pixels_are_equal_however_they_are_compressed(tmp_path: Path, decoded: list[images.Shown]) -> None:
    (tmp_path / "1.png").write_bytes(drawn(1, level=1))
    (tmp_path / "2.png").write_bytes(drawn(1, level=9))
    with ImageReader() as reader:
        one, other = [await reader(tmp_path / name, PLOT) for name in ("1.png", "2.png")]
    assert one.data != other.data
    assert one.pixels_digest == other.pixels_digest
    assert len(decoded) == 2


async def test_what_cannot_be_decoded_is_refused_each_time(tmp_path: Path, decoded: list[images.Shown]) -> None:
    data = drawn(1)
    at = data.index(b"IDAT") + 8
    (tmp_path / "a.png").write_bytes(data[:at] + bytes(20) + data[at + 20 :])
    with ImageReader() as reader:
        for _ in range(2):
            with pytest.raises(UnreadableImage):
                await reader(tmp_path / "a.png", PLOT)
    assert not decoded


async def test_only_so_many_are_remembered(
    tmp_path: Path, decoded: list[images.Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_files, "REMEMBERED", 2)
    with ImageReader() as reader:
        for seed in (1, 2, 1, 3, 1, 2):  # when 3 comes, 2 is what was seen longest ago
            (tmp_path / "a.png").write_bytes(drawn(seed))
            await reader(tmp_path / "a.png", PLOT)
    assert len(decoded) == 4


DIES = """
import asyncio, os, sys
from pathlib import Path
from hydrad import image_files
from hydrad.image_files import ImageReader

async def read():
    with ImageReader(in_hand=Path(sys.argv[1])) as reader:
        await reader(Path(sys.argv[2]), "CDC_occupancy")

image_files.shown = lambda *_: os._exit(9)
asyncio.run(read())
"""


def dies_decoding(note: Path, path: Path) -> None:
    """A process begins to decode this and is no more."""
    assert subprocess.run([sys.executable, "-c", DIES, note, path], check=False).returncode == 9


async def test_a_picture_that_the_decoder_dies_of_is_tried_three_times_and_by_another_decoder_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, path, other = tmp_path / "decoding", tmp_path / "a.png", tmp_path / "b.png"
    path.write_bytes(drawn(1))
    other.write_bytes(drawn(2))
    for _ in range(image_files.MOST_DEATHS):
        with ImageReader(in_hand=note) as reader:
            await reader(other, PLOT)  # what is fine goes on being decoded
        dies_decoding(note, path)
    with ImageReader(in_hand=note) as reader:
        with pytest.raises(UnreadableImage, match="the daemon ended 3 times while it was decoded"):
            await reader(path, PLOT)
        await reader(other, PLOT)
        monkeypatch.setattr(image_files, "DECODER", "pillow-99")
        await reader(path, PLOT)


async def test_a_picture_that_is_survived_is_under_suspicion_no_more(tmp_path: Path) -> None:
    note, path = tmp_path / "decoding", tmp_path / "a.png"
    path.write_bytes(drawn(1))
    for _ in range(image_files.MOST_DEATHS + 1):
        dies_decoding(note, path)
        with ImageReader(in_hand=note) as reader:
            await reader(path, PLOT)


async def test_a_decoder_that_takes_its_time_shows_no_sign_of_life_and_one_without_work_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, going, go_on = tmp_path / "a.png", threading.Event(), threading.Event()
    path.write_bytes(drawn(1))

    def slow(*of_what: object) -> images.Shown:
        going.set()
        assert go_on.wait(30.0)
        return images.shown(*of_what)  # type: ignore[arg-type]

    monkeypatch.setattr(image_files, "shown", slow)
    with ImageReader() as reader:
        before = time.monotonic()
        assert reader.ticked_at >= before
        reading = asyncio.create_task(reader(path, PLOT))
        await asyncio.to_thread(going.wait, 30.0)
        began = reader.ticked_at
        await asyncio.sleep(0.05)
        assert before <= began == reader.ticked_at
        go_on.set()
        await reading
        after = time.monotonic()
        assert reader.ticked_at >= after
