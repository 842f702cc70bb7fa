"""What a network says about many images, whatever computes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hydrad.classify.runtime import Batch, in_sizes


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a network says about images, as a runtime will compute it; the first axis is the images'."""

    logits: npt.NDArray[np.float32]  # shape (images, labels)
    embeddings: npt.NDArray[np.float32]  # shape (images, features)
    heatmaps: npt.NDArray[np.uint8] | None  # shape (images, rows, columns)

    def with_more(self, other: Seen) -> Seen:
        """The same network's answers about these images and then about others."""
        maps = (
            None if self.heatmaps is None or other.heatmaps is None else np.concatenate([self.heatmaps, other.heatmaps])
        )
        return Seen(
            np.concatenate([self.logits, other.logits]), np.concatenate([self.embeddings, other.embeddings]), maps
        )


class Onlooker:
    """A network that is shown many images, at temperature one, whatever computes it.

    Args:
        shape: of one prepared image, (height, width, channels).
        forward: gives logits, scores, embeddings and, where there are maps, heatmaps of a batch of full size.
        batch: images at a time.
    """

    def __init__(self, shape: tuple[int, int, int], forward: Callable[[Batch], Sequence[Any]], batch: int = 64) -> None:
        self._shape = shape
        self._forward = forward
        self._batch = batch

    def look(self, images: Batch) -> Seen:
        """What it says of prepared images, shape (images, height, width, channels)."""
        kept = len(images)
        shown = images if kept else np.zeros((1, *self._shape), np.uint8)  # even of none, answers of the right shape
        logits, _, embeddings, *maps = in_sizes(shown, (self._batch,), self._forward)
        return Seen(logits[:kept], embeddings[:kept], maps[0][:kept] if maps else None)

    def ms_per_image(self, images: Batch, seconds: float = 1.0) -> float | None:
        """What one image costs on this machine, in ms, in full batches; None where there are no images."""
        if not len(images):
            return None
        batch = np.resize(images, (self._batch, *self._shape))
        self.look(batch)
        started, shown = time.perf_counter(), 0
        while shown == 0 or time.perf_counter() - started < seconds:
            self.look(batch)
            shown += self._batch
        return (time.perf_counter() - started) / shown * 1000.0
