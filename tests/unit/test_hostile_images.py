"""Files that mean harm cost the decoder no more than honest ones, and each gets a picture or a reason."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path

import hostile_images
import numpy as np
import pytest
from hostile_images import ATTACKS, MIB, mutants, oddities, seeds
from PIL import Image

from hydrad.errors import ImageError, UnfinishedImage, UnreadableImage
from hydrad.image_files import ImageReader
from hydrad.images import MAX_PIXELS, picture_of, pixels_of
from hydrad.room import Room

PLOT = "CDC_occupancy"
LONG = os.environ.get("HYDRA_FUZZ", "") == "long"
# Large pictures that are none of the decoder's business to refuse; each takes it a second.
LARGE = [name for name in ATTACKS if "36 Mpx" in name or "hundred" in name or "30 000" in name]
ATTACKED = [name for name in ATTACKS if LONG or name not in LARGE[2:]]
DECODER = Path(hostile_images.__file__).with_name("limited_decoder.py")
# Its coefficients and samples, and our copy of it, of the largest picture that is allowed; and some air.
MOST_BYTES = 12 * MAX_PIXELS + 64 * MIB


def test_no_attack_takes_more_memory_than_an_honest_picture_or_holds_a_thread_up() -> None:
    answer = subprocess.run([sys.executable, DECODER, *ATTACKED], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout[-300:] + answer.stderr[-3000:]
    told = {line["name"]: line for line in map(json.loads, answer.stdout.splitlines())}
    assert list(told) == ATTACKED
    for name, one in told.items():
        print(f"{name:42} {one['outcome']:16} {one['grew'] / MIB:6.0f} MiB {one['cpu_s']:6.2f} s  {one['said']}")  # noqa: T201
        assert one["grew"] < MOST_BYTES, name
        assert one["said"]
        if name not in LARGE:
            assert one["grew"] < 100 * MIB, name


@pytest.mark.parametrize("name", ["png zTXt bomb", "png iTXt bomb", "png iCCP bomb", "gif of comments"])
def test_a_picture_is_not_lost_for_the_words_that_came_with_it(name: str) -> None:
    assert not pixels_of(ATTACKS[name]()).any()  # all of them are black


@pytest.mark.parametrize("name", seeds())
def test_what_is_left_out_of_a_file_changes_no_pixel(name: str) -> None:
    data = seeds()[name]
    with Image.open(BytesIO(data)) as image:
        image.load()
        if image.mode.startswith("I"):
            whole = np.repeat((np.asarray(image) / 257).round().astype(np.uint8)[:, :, np.newaxis], 3, axis=2)
        else:
            clear = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            whole = np.asarray(Image.alpha_composite(white, clear).convert("RGB"))
    assert np.array_equal(pixels_of(data), whole)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif"])
def test_a_thousand_mutants_are_pictures_or_have_a_reason(suffix: str) -> None:
    outcomes, reasons = {"judged": 0, "rejected": 0}, []
    for data in mutants(suffix, 10_000 if LONG else 1_000):
        try:
            pixels = pixels_of(data)
        except ImageError as why:
            reasons.append(str(why))
            outcomes["rejected"] += 1
        else:
            assert pixels.dtype == np.uint8
            outcomes["judged"] += 1
    assert all(reasons)
    assert min(outcomes.values()) > 20, outcomes


@pytest.mark.parametrize("name", oddities())
def test_what_is_hardly_an_image_gets_a_reason(name: str) -> None:
    data = oddities()[name]
    if name.startswith(("jpeg-", "png-", "gif-", "twice", "wordy")):  # whole pictures, whatever they are called
        assert pixels_of(data).size
        return
    with pytest.raises((UnfinishedImage, UnreadableImage), match=r"\w"):
        picture_of(data)


def test_a_reader_without_memory_says_so_and_reads_again_when_there_is_some(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(hostile_images.png_of(6_000, 6_000))
    taken = f"""if True:
        import asyncio, errno, resource
        from pathlib import Path
        from hydrad.image_files import ImageReader

        async def main():
            path = Path({str(path)!r})
            with ImageReader(threads=1) as reader:
                pages = int(Path("/proc/self/statm").read_text().split()[0])
                resource.setrlimit(resource.RLIMIT_AS, (pages * {resource.getpagesize()} + 2**26, -1))
                try:
                    await reader(path, 'CDC')
                except OSError as why:
                    assert why.errno == errno.ENOMEM, why
                    print(why.strerror)
                resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
                picture = await reader(path, 'CDC')
                print(picture.width, picture.height)

        asyncio.run(main())
    """
    answer = subprocess.run([sys.executable, "-c", taken], capture_output=True, text=True, check=False)
    assert answer.stdout.splitlines() == ["there is not enough memory to decode it", "6000 6000"], answer.stderr


async def test_a_picture_in_hand_makes_the_next_one_wait_until_it_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(seeds()["rgb.png"])
    with ImageReader(in_hand_bytes=1) as reader:
        first = await reader(path, PLOT)
        second = asyncio.create_task(reader(path, PLOT))
        await asyncio.wait({second}, timeout=0.2)
        assert not second.done()
        del first
        assert (await second).sha256


async def test_a_picture_that_an_error_still_holds_is_collected(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(seeds()["rgb.png"])
    with ImageReader(in_hand_bytes=1) as reader:
        holder = [await reader(path, PLOT)]
        holder.append(holder)  # type: ignore[arg-type]  so that only the collector can free it
        gc.disable()
        try:
            del holder
            assert await reader(path, PLOT)
        finally:
            gc.enable()


async def test_a_file_that_has_no_picture_takes_no_room(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(ATTACKS["gif 36 Mpx, a screen for one pixel"]()[:-3] + b"\0;")
    whole = tmp_path / "b.png"
    whole.write_bytes(seeds()["rgb.png"])
    with ImageReader(in_hand_bytes=1) as reader:
        for _ in range(2):
            with pytest.raises(ImageError):
                await reader(path, PLOT)
        assert await reader(whole, PLOT)


def test_whoever_does_not_fit_in_waits_and_those_behind_do_not_overtake() -> None:
    room, order = Room(10), []
    room.enter(6)

    def enter(cost: int) -> None:
        room.enter(cost)
        order.append(cost)

    large = threading.Thread(target=enter, args=(5,))
    large.start()
    while not room._turn.locked():
        pass
    small = threading.Thread(target=enter, args=(1,))
    small.start()
    small.join(0.1)
    assert order == []
    room.leave(6)
    large.join()
    small.join()
    assert sorted(order) == [1, 5]


def test_nobody_waits_in_a_house_that_closes() -> None:
    room = Room(10)
    room.enter(11)  # alone, everything fits in
    waiting = threading.Thread(target=room.enter, args=(1,))
    waiting.start()
    room.open()
    waiting.join()
