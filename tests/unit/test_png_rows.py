"""What is packed in a PNG file is unpacked to its last byte, however the pieces fall."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hostile_images import header, png

from hydrad.png_rows import has_all_rows, unfiltered_rgba

WIDTH, HEIGHT = 61, 900


@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("pattern", [b"\xff", bytes(range(1, 62))], ids=["uniform", "repeated"])
def test_a_stream_that_breaks_off_has_the_rows_that_lie_before(level: int, pattern: bytes) -> None:
    row = b"\0" + (pattern * (4 * WIDTH))[: 4 * WIDTH]
    stream = zlib.compress(row * HEIGHT, level)
    several = set()
    whole = np.tile(np.frombuffer(row[1:], np.uint8), (HEIGHT, 1))
    for length in range(max(2, len(stream) - 60), len(stream) + 1):
        there = len(zlib.decompressobj().decompress(stream[:length]))
        data = png(header(WIDTH, HEIGHT, colour=6), rows=stream[:length])
        assert has_all_rows(data) == (there == len(row) * HEIGHT), length
        found = unfiltered_rgba(data)
        assert (found is not None) == (length == len(stream)), "a stream without its end, or its checksum, is another's"
        if found is not None:
            assert np.array_equal(found, whole)
        several.add(there == len(row) * HEIGHT)
    assert several == {True, False}


@pytest.mark.parametrize("at", [0, 1, 500, HEIGHT - 1])
def test_one_filtered_row_is_enough_to_leave_a_picture_to_others(at: int) -> None:
    row = bytes(1 + 4 * WIDTH)
    rows = bytearray(row * HEIGHT)
    rows[at * len(row)] = 2
    data = png(header(WIDTH, HEIGHT, colour=6), rows=zlib.compress(rows))
    assert unfiltered_rgba(data) is None
    assert has_all_rows(data)


def test_rows_that_are_more_or_fewer_than_the_header_says_are_left_to_others() -> None:
    row = bytes(1 + 4 * WIDTH)
    for count, taken in ((HEIGHT - 1, False), (HEIGHT, True), (HEIGHT + 1, False)):
        data = png(header(WIDTH, HEIGHT, colour=6), rows=zlib.compress(row * count))
        assert (unfiltered_rgba(data) is not None) == taken
