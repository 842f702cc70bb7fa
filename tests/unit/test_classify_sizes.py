"""Batches of few sizes where another size is dear; shares that keep all threads busy until the end."""

from __future__ import annotations

import numpy as np
import pytest

from hydrad.classify.openvino_runtime import SHARE, shares_of
from hydrad.classify.runtime import sizes_up_to


def test_where_a_size_is_dear_there_are_few() -> None:
    assert sizes_up_to(32) == (1, 4, 16, 32)


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("images", [1, 2, 16, 32, 100])
def test_shares_are_all_of_a_batch_and_grow_smaller_so_that_threads_end_together(images: int, threads: int) -> None:
    batch = np.arange(images).reshape(-1, 1)
    shares = list(shares_of(batch, threads))
    np.testing.assert_array_equal(np.concatenate(shares), batch)
    sizes = [len(share) for share in shares]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= SHARE
    assert len(shares) >= min(images, threads)
    done_at = [0] * threads
    for size in sizes:  # each takes the next one when it is free
        done_at[done_at.index(min(done_at))] += size
    assert max(done_at) - min(done_at) <= 1
