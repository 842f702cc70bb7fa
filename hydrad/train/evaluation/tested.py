"""What a model said of images that it never saw, before anybody has judged it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hydrad.domain import Meaning
from hydrad.train.evaluation import calibrate
from hydrad.train.evaluation.calibrate import Logits, Scores
from hydrad.train.evaluation.shares import Mask
from hydrad.train.examples import Truth


@dataclass(frozen=True, eq=False)  # without slots: what follows from it is computed once
class Tested:
    """What a model said of images that it was neither trained nor calibrated on.

    Every sequence is empty, and every array None, where nothing is known of it.
    """

    labels: Mapping[str, Meaning]  # in the order of the network's outputs
    truth: Truth  # shape (images,)
    logits: Logits  # shape (images, labels), at temperature one
    temperature: float
    thresholds: tuple[float, ...]  # per label, 0 to 1
    groups: tuple[tuple[str, ...], ...] = ()  # per image: its plot, then what else it is reported by
    names: tuple[str, ...] = ()  # per image: SHA-256 or path
    runs: tuple[int | None, ...] = ()
    heatmaps: npt.NDArray[np.uint8] | None = None  # shape (images, rows, columns)
    marked: npt.NDArray[np.bool_] | None = None  # shape (images, height, width): the fault; none marked: not known
    ms_per_image: float | None = None
    novelty: npt.NDArray[np.float32] | None = None  # shape (images,), in units of its limit

    @property
    def words(self) -> tuple[str, ...]:
        """The labels' names."""
        return tuple(self.labels)

    @cached_property
    def scores(self) -> Scores:
        """Calibrated probabilities, shape (images, labels)."""
        return calibrate.scores_of(self.logits, self.temperature)

    @cached_property
    def said(self) -> Truth:
        """The likeliest label of each image."""
        return np.asarray(self.scores.argmax(axis=1), np.int64)

    @cached_property
    def confidence(self) -> Scores:
        """The score of what was said."""
        return np.asarray(self.scores.max(axis=1), np.float64)

    @cached_property
    def confirmed(self) -> Mask:
        """Whether what was said reaches its threshold."""
        return np.asarray(self.confidence >= np.asarray(self.thresholds)[self.said], np.bool_)

    @cached_property
    def alarming(self) -> Mask:
        """Whether it is confirmed bad or empty, so that an alarm is raised if it lasts."""
        return self.confirmed & (self.called(Meaning.BAD) | self.called(Meaning.EMPTY))

    def is_(self, meaning: Meaning) -> Mask:
        """The images whose true label has this meaning."""
        return self._having(meaning)[self.truth]

    def called(self, meaning: Meaning) -> Mask:
        """The images that are said to have a label of this meaning."""
        return self._having(meaning)[self.said]

    def _having(self, meaning: Meaning) -> Mask:
        return np.array([each is meaning for each in self.labels.values()], np.bool_)
