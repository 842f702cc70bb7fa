"""The producers' names and habits."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image

from hydrad.errors import ConfigurationError
from hydrad.sim.producers import PIECES, Dump, in_pieces, png, producer

PIXELS = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
ZONE = ZoneInfo("America/New_York")
DUMP = Dump(run=12345, taken_at=datetime(2017, 10, 17, 22, 9, 49, tzinfo=UTC))


@pytest.mark.parametrize(
    ("layout", "plot", "name"),
    [
        ("rsai", "CDC_occupancy", "Run012345/CDC_occupancy_0001.png"),
        ("mon12", "Faraday Cup_charge", "clas12mon_12345_10-17-2017_06.09.49_PM/Faraday Cup_charge.png"),
        ("panguin", "CDC_occupancy", "hydra_12345_CDC_occupancy_0001.png"),
        ("plain", "CDC_occupancy", "CDC_occupancy.png"),
    ],
)
def test_a_producer_names_its_files_by_its_custom(tmp_path: Path, layout: str, plot: str, name: str) -> None:
    writer = producer(layout, tmp_path, ZONE)
    writer.begin()
    path = writer.write(DUMP, plot, PIXELS)
    assert path == tmp_path / name
    with Image.open(path) as image:
        assert image.mode == ("RGBA" if layout == "mon12" else "RGB")
        assert np.array_equal(np.asarray(image.convert("RGB")), PIXELS)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


@pytest.mark.parametrize(
    ("hour", "clock"),
    [(0, "12.09.49_AM"), (1, "01.09.49_AM"), (11, "11.09.49_AM"), (12, "12.09.49_PM"), (13, "01.09.49_PM")],
)
def test_noon_and_midnight_are_twelve_on_a_twelve_hour_clock(tmp_path: Path, hour: int, clock: str) -> None:
    dump = Dump(11, datetime(2017, 10, 17, hour, 9, 49, tzinfo=ZONE))
    assert producer("mon12", tmp_path, ZONE).path(dump, "DC_time").parent.name == f"clas12mon_11_10-17-2017_{clock}"


@pytest.mark.parametrize("layout", ["rsai", "panguin"])
def test_the_chunk_counter_counts_rounds_and_restarts_with_the_process(tmp_path: Path, layout: str) -> None:
    def names() -> list[str]:
        writer = producer(layout, tmp_path, ZONE)
        found = []
        for _ in range(2):
            writer.begin()
            found.append(writer.write(DUMP, "ST_adc", PIXELS).name)
        return found

    first = names()
    assert [name[-9:] for name in first] == ["_0001.png", "_0002.png"]
    assert names() == first


def test_an_image_is_seen_in_pieces_while_it_is_written(tmp_path: Path) -> None:
    path, data = tmp_path / "torn.png", png(PIXELS)
    sizes = seen_while(lambda: in_pieces(path, data, gap_s=0.05), lambda: path.stat().st_size if path.exists() else 0)
    piece = -(-len(data) // PIECES)
    assert {piece, 2 * piece} <= set(sizes)
    assert path.read_bytes() == data
    with Image.open(BytesIO(data[: 2 * piece])) as torn, pytest.raises(OSError, match="truncated"):
        torn.load()


def test_a_temporary_canvas_lies_beside_the_image_and_goes(tmp_path: Path) -> None:
    writer = producer("rsai", tmp_path, ZONE)
    writer.piece_gap_s = 0.05
    seen = seen_while(
        lambda: writer.write(DUMP, "ST_adc", PIXELS),
        lambda: tuple(sorted(file.name for file in tmp_path.rglob("*.png"))),
    )
    canvas, image = f"tmp_canvas_{os.getpid()}.png", "ST_adc_0000.png"
    assert (image, canvas) in seen
    assert seen[-1] == (image,)


def test_links_are_made_after_the_image_and_replaced_when_the_name_comes_again(tmp_path: Path) -> None:
    folder, originals = tmp_path / "shown", tmp_path / "kept"
    for pixels in (PIXELS, 255 - PIXELS):
        writer = producer("rsai", folder, ZONE, originals=originals)
        writer.begin()
        path = writer.write(DUMP, "ST_adc", pixels)
        assert path == folder / "Run012345/ST_adc_0001.png"
        assert path.is_symlink()
        assert path.resolve() == originals.resolve() / "Run012345/ST_adc_0001.png"
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(image), pixels)
    assert [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()] == []


def test_a_plain_file_is_replaced_whole(tmp_path: Path) -> None:
    writer = producer("plain", tmp_path, ZONE)
    path = writer.write(DUMP, "ST_adc", PIXELS)
    with path.open("rb") as old:
        writer.write(DUMP, "ST_adc", 255 - PIXELS)
        assert old.read() == png(PIXELS)
    assert path.read_bytes() == png(255 - PIXELS)


def test_a_layout_that_nobody_writes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'rootspy' is none of rsai, mon12, panguin, plain"):
        producer("rootspy", tmp_path, ZONE)
    with pytest.raises(ConfigurationError, match="plain publishes no links"):
        producer("plain", tmp_path, ZONE, originals=tmp_path / "kept")
    with pytest.raises(ConfigurationError, match="lies in the watched folder"):
        producer("rsai", tmp_path, ZONE, originals=tmp_path / "kept")


def seen_while(work: Callable[[], object], look: Callable[[], Any]) -> list[Any]:
    """What ``look`` saw, again and again, until the work was done, and once after."""
    seen = []
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        while not working.done():
            seen.append(look())
        working.result()
    return [*seen, look()]
