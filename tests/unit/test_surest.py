"""Which held-out image becomes the one that a model is tested with."""

from __future__ import annotations

import numpy as np
import pytest

from hydrad.domain import Meaning
from hydrad.train.surest import surest_bad

MEANINGS = (Meaning.GOOD, Meaning.BAD, Meaning.EMPTY, Meaning.BAD)


@pytest.mark.parametrize(
    ("truth", "logits", "wanted"),
    [
        ([1, 1, 0], [[0, 2, 0, 1], [0, 3, 1, 0], [9, 0, 0, 0]], 1),  # the surer of two
        ([1, 3, 2], [[0, 2, 0, 0], [0, 0, 0, 4], [0, 0, 9, 0]], 1),  # any label that means bad
        ([1, 0], [[5, 2, 0, 0], [0, 9, 0, 0]], None),  # missed by the network; called bad by it alone
        ([3], [[0, 7, 0, 6]], None),  # bad, but another fault than people say
        ([0, 2], [[3, 0, 0, 0], [0, 0, 3, 0]], None),
        ([], np.zeros((0, 4)), None),
    ],
)
def test_it_is_the_one_that_people_and_network_call_bad_and_the_network_most_surely(truth, logits, wanted):
    assert surest_bad(np.array(truth, np.int64), np.array(logits, np.float32), MEANINGS) == wanted
