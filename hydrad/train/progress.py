"""How far a training is, told as it goes; whoever is told may ask it to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hydrad.errors import HydradError


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands; what is None is not known yet, or has no place in this stage."""

    stage: str  # "reading", "emulating", "learning", "measuring", "writing"
    done: float  # share of the stage, 0 to 1
    epoch: int | None = None  # the one under way, from 1
    epochs: int | None = None
    loss: float | None = None
    balanced_accuracy: float | None = None  # of validation images, after the last whole epoch, 0 to 1
    attempt: int = 1  # above 1 when it was stuck and began anew with another seed
    left_s: float | None = None


class Stopped(HydradError):
    """Somebody asked the training to stop; what it has learned is kept, and it can be resumed."""


Tell = Callable[[Progress], None]  # called about once a second; raises Stopped to end the training
