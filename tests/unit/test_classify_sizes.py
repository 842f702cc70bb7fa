"""Batches are padded little, and come in few sizes."""

from __future__ import annotations

import pytest

from hydrad.classify.runtime import close_sizes_up_to, sizes_up_to


@pytest.mark.parametrize("batch", [1, 2, 5, 32, 100, 1024])
def test_close_sizes_pad_a_third_at_most_and_are_few(batch: int) -> None:
    sizes = close_sizes_up_to(batch)
    assert sizes == tuple(sorted(set(sizes)))
    assert sizes[-1] == batch
    for count in range(1, batch + 1):
        size = min(size for size in sizes if size >= count)
        assert 3 * (size - count) <= size
    assert len(sizes) <= 2 * batch.bit_length()


def test_where_a_size_is_dear_there_are_fewer_and_they_pad_more() -> None:
    assert sizes_up_to(32) == (1, 4, 16, 32)
    assert close_sizes_up_to(32) == (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
