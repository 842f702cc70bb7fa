"""What is packed in a PNG file is unpacked to its last byte, however the pieces fall."""

from __future__ import annotations

import zlib

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
    for length in range(max(2, len(stream) - 60), len(stream) + 1):
        there = len(zlib.decompressobj().decompress(stream[:length]))
        data = png(header(WIDTH, HEIGHT, colour=6), rows=stream[:length])
        assert has_all_rows(data) == (there == len(row) * HEIGHT), length
        for rows in (1, 7, 900):
            strips = list(unfiltered_rgba(data, rows))
            complete = HEIGHT if there == len(row) * HEIGHT else there // len(row) // rows * rows
            assert b"".join(strips) == row[1:] * complete
        several.add(there == len(row) * HEIGHT)
    assert several == {True, False}
