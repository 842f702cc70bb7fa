"""What counts how much: fewer of the many, more of the few, and made-up images as much as somebody said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.domain import Meaning
from hydrad.train.examples import Examples

MOST: Final = 10.0  # how much more an image of the rarest label may count than one of the most frequent

Weights = npt.NDArray[np.float32]  # shape (images,)


def undersampled(training: Examples, labels: Mapping[str, Meaning], share: float, seed: int) -> Examples:
    """Leave out all but a share of the images that show nothing wrong; of each plot the same share.

    Only what a network learns from may be thinned out: its scores are made right on images as frequent as they are.

    Args:
        training: examples to learn from; ``groups`` begin with the plot.
        labels: in the order of the numbers in ``truth``.
        share: of the good images that stays, above 0 to 1; at least one of each plot does.
        seed: equal arguments leave equal images.
    """
    if share >= 1.0:
        return training
    good = np.array([meaning is Meaning.GOOD for meaning in labels.values()])[training.truth]
    plots = np.array([group[0] for group in training.groups] if training.groups else [""] * len(training))
    rng = np.random.default_rng(seed)
    keep = ~good
    for plot in np.unique(plots[good]):
        candidates = np.flatnonzero(good & (plots == plot))
        keep[rng.permutation(candidates)[: max(1, round(share * len(candidates)))]] = True
    return training.of(keep)


def weights_of(training: Examples) -> Weights:
    """What each image counts in the loss: its own weight times its label's, 1 on average.

    Labels are weighed so that each counts as much as any other, unless one is more than ``MOST`` times rarer: a single
    image must not drive the network.
    """
    own = np.ones(len(training), np.float32) if training.weights is None else training.weights
    labels = np.unique(training.truth)
    mass = np.array([own[training.truth == label].sum() for label in labels], np.float64)
    each = np.minimum(mass.max() / np.maximum(mass, 1e-9), MOST)
    weights = own * each[np.searchsorted(labels, training.truth)]
    return np.asarray(weights / weights.mean(), np.float32)
