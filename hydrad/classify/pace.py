"""How fast models compute, and how many pictures should be in hand for that."""

from __future__ import annotations

import math
from typing import Final

LANES: Final = 2  # batches in hand: what computes need not wait until the answers of one are handed out
HANDS: Final = 2  # pictures in hand beyond full batches, so that one is decoded while others are computed
AHEAD_S: Final = 1.0  # what is computed within so long may be in hand
AHEAD_OF: Final = 3  # one in so many plots may have a picture in hand
_WEIGHT: Final = 0.25  # of the newest batch, so that one that was held up counts for little


class Pace:
    """The time that a picture takes of what computes.

    What is shown of a plot is as old as its picture was in hand, and a newer one may have come meanwhile. So while a
    batch is computed the next is in hand only as far as all is computed soon, or much sooner than a plot's turn comes.

    Args:
        batch: the most pictures computed at once.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._image_s = math.inf

    def computed(self, images: int, took_s: float) -> None:
        """A batch was computed in so many seconds."""
        image_s = took_s / images
        known = math.isfinite(self._image_s)
        self._image_s = self._image_s + _WEIGHT * (image_s - self._image_s) if known else image_s

    def hands(self, plots: int) -> int:
        """How many pictures should be in hand, from before they are read until they are judged.

        Args:
            plots: how many have had pictures.
        """
        ahead = max(AHEAD_S / max(self._image_s, 1e-9), plots / AHEAD_OF, self._batch)
        return HANDS + int(min(LANES * self._batch, ahead))
