"""Which held-out image a bundle takes along for the model to be tested with while it serves: the surest bad one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hydrad.domain import Meaning
from hydrad.train.examples import Truth


def surest_bad(truth: Truth, logits: npt.NDArray[np.float32], meanings: Sequence[Meaning]) -> int | None:
    """The number of the image that people and network call bad, by the same label, and the network most surely.

    Args:
        truth: what people say, shape (images,).
        logits: what the network says, shape (images, labels).
        meanings: of the labels.

    Returns:
        None where the network finds none of them.
    """
    margins: dict[int, float] = {}
    for n, (label, row) in enumerate(zip(truth.tolist(), logits, strict=True)):
        if meanings[label] is Meaning.BAD:
            margins[n] = float(row[label] - np.delete(row, label).max())
    best = max(margins, key=margins.__getitem__, default=None)
    return best if best is not None and margins[best] > 0 else None
