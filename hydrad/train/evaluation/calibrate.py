"""Makes scores mean what they say, and finds the thresholds that follow from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit, softmax
from scipy.stats import binom

from hydrad.train.examples import Truth

Logits = npt.NDArray[np.float32]  # shape (images, labels)
Scores = npt.NDArray[np.float64]  # likewise, rows sum to one
Odds = npt.NDArray[np.float64]  # shape (images,): logarithms of p / (1 - p)

LOWEST = 0.5  # below it another label may be likelier
HIGHEST = 0.99
COLDEST, HOTTEST = 0.25, 10.0
DOUBT = 0.05  # that a share proven small is not
TAIL = 0.1  # of images belong to it
FEW = 10  # images, from which no tail can be told
ENOUGH = 20  # images of a label that show where it ends


def scores_of(logits: Logits, temperature: float) -> Scores:
    """Softmax of logits / temperature."""
    return np.asarray(softmax(logits.astype(np.float64) / temperature, axis=1), np.float64)


def temperature_of(logits: Logits, truth: Truth) -> float:
    """The temperature that makes validation images likeliest, one more mistake among them granted.

    Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017. Where the network makes no mistake the likeliest
    temperature is zero, and every score would be 0 or 1; n images without a mistake prove no more than that there is
    one in n. So each image's truth is held to be n + 1 in n + 2, as in Platt, *Probabilistic Outputs for Support
    Vector Machines*, 1999.

    Args:
        logits: of images the network was not trained on.
        truth: their labels.

    Returns:
        Between 0.25 and 10; above 1 when the network is too sure of itself; 1 when there are no images.
    """
    images, labels = logits.shape
    if not images or labels < 2:
        return 1.0
    held = np.full((images, labels), 1 / (images + 2) / (labels - 1))
    held[np.arange(images), truth] = (images + 1) / (images + 2)

    def surprise_at(step: float) -> float:
        scaled = logits.astype(np.float64) / np.exp(step)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=1)) - (held * scaled).sum(axis=1)).mean())

    found = minimize_scalar(surprise_at, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def thresholds_of(
    scores: Scores,
    truth: Truth,
    *,
    lost: float | Sequence[float] = 0.01,
    wrong: float = 0.001,
    trusted: Collection[int] = (),
) -> tuple[float, ...]:
    """Per label, a threshold that few images of other labels reach and few of its own fail to reach.

    All of it happens in logarithms of odds, where the scores of a trained network lie evenly. *Strangers* are the
    images of other labels. As many of them may pass as leave no doubt, at 95 %, that the share which passes is at
    most ``wrong``; with fewer than 3 / ``wrong`` strangers that is none.

    - Where the strangers that must not pass end before the label's own images begin, the threshold stands in the
      middle of the gap, with room on both sides for images yet to come.
    - Where they overlap, it is the lowest that keeps these strangers out, in the middle between the last of them and
      the next of the label's own images; and where they are too few to prove anything, not less than where their
      tail, which falls off exponentially, is down to ``wrong``. It is never so high that more than the share
      ``lost`` of the label's own images, or one of ten and more, fails to reach it.

    A threshold below one half adds nothing between two labels, of which only the likelier is called. Among three and
    more a label may be called with less than half of the score: a fault so faint that it is told from good images by
    a wide margin, but leaves the network doubtful, is to be raised nevertheless.

    Args:
        scores: calibrated, of validation images.
        lost: share of a label's own images that may fail to reach its threshold, one for all or one per label; where
            not both can be had, this limits the threshold.
        wrong: share of the other labels' images that may reach it.
        trusted: labels that may be confirmed by less than one half, down to 1 / labels, where a gap parts 20 and more
            of their own images from as many strangers.

    Returns:
        Thresholds from 0.5, or as ``trusted`` says, to 0.99; 0.5 for a label without examples, or without others.
    """
    labels = scores.shape[1]
    limits = [lost] * labels if isinstance(lost, float) else lost
    found = []
    for label in range(labels):
        with np.errstate(divide="ignore"):  # a score of 1 has infinite odds, and they are clipped
            odds = np.clip(logit(scores[:, label]), -40.0, 40.0)
        own, strangers = np.sort(odds[truth == label]), np.sort(odds[truth != label])
        lowest = 1 / labels if label in trusted and min(len(own), len(strangers)) >= ENOUGH else LOWEST
        found.append(
            _threshold(own, strangers, limits[label], wrong, lowest) if len(own) and len(strangers) else LOWEST
        )
    return tuple(found)


def leaning_of(logits: Logits, truth: Truth) -> npt.NDArray[np.float32]:
    """What to add to the logits, or to the last layer's bias, so that labels part in the middle between them.

    A label is called only where it is the likeliest. A network that learned few images of a label may end with the
    boundary at the very edge of them, although there is a wide gap between them and the others. Where two labels with
    enough images do not overlap, the difference of their logits is shifted to the middle of the gap, all pairs together
    by least squares, narrow gaps the most closely. Labels that overlap, or have few images, give no reason to move
    anything. The temperature and the thresholds are to be found afterwards.

    Args:
        logits: of images the network was not trained on.
        truth: their labels.

    Returns:
        Shape (labels,), of mean zero. Added, it makes no mistake among these images that was not made before.
    """
    labels = logits.shape[1]
    rows, wanted = [], []
    for one in range(labels):
        for other in range(one):
            lead = logits[:, one].astype(np.float64) - logits[:, other]
            own, rival = lead[truth == one], lead[truth == other]
            if min(len(own), len(rival)) < ENOUGH or own.min() <= rival.max():
                continue
            closeness = 1 / (1 + own.min() - rival.max())
            row = np.zeros(labels)
            row[[one, other]] = closeness, -closeness
            rows.append(row)
            wanted.append(-closeness * (own.min() + rival.max()) / 2)
    stays = np.zeros(labels, np.float32)
    if not rows:
        return stays
    found, *_ = np.linalg.lstsq(np.stack(rows), np.array(wanted))  # of all that fit, the smallest: its mean is zero
    leaning = np.asarray(found, np.float32)
    before, after = logits.argmax(axis=1) == truth, (logits + leaning).argmax(axis=1) == truth
    return stays if (before & ~after).any() else leaning


def lead_of(logits: Logits, truth: Truth) -> npt.NDArray[np.float64]:
    """By how much each image's true label leads the best of the others; below zero where it is called another."""
    others = logits.astype(np.float64)
    own = others[np.arange(len(truth)), truth]
    others[np.arange(len(truth)), truth] = -np.inf
    return np.asarray(own - others.max(axis=1), np.float64)


def calibration_error(scores: Scores, truth: Truth, bins: int = 15) -> float:
    """Expected calibration error: how far confidence is from accuracy, 0 to 1, averaged over images."""
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    error = 0.0
    for low, high in pairwise(np.linspace(0.0, 1.0, bins + 1)):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += float(inside.mean()) * abs(float(confidence[inside].mean()) - float(right[inside].mean()))
    return error


def surprise(scores: Scores, truth: Truth) -> float:
    """Mean negative logarithm of the true labels' scores, in nats; 0 is perfect."""
    return float(-np.log(np.clip(scores[np.arange(len(truth)), truth], 1e-12, 1.0)).mean())


def confusion(truth: Truth, said: Truth, labels: int) -> Sequence[Sequence[int]]:
    """Counts; rows are the true labels, columns what was said."""
    return [[int(np.sum((truth == row) & (said == column))) for column in range(labels)] for row in range(labels)]


def _threshold(own: Odds, strangers: Odds, lost: float, wrong: float, lowest: float) -> float:
    """One label's; both arrays are sorted and hold something. ``lowest``: where there is a gap."""
    passing = _proven(len(strangers), wrong)
    last = strangers[-1 - min(passing or 0, len(strangers) - 1)]
    if last < own[0]:
        return _rounded((last + own[0]) / 2, last, own[0], lowest)
    given_up = max(int(lost * len(own)), int(len(own) >= FEW))  # one image in the wrong folder is to decide nothing
    ceiling = own[min(given_up, len(own) - 1)]
    further = own[own > last]
    best = (last + further[0]) / 2 if len(further) else ceiling
    if passing is None:
        best = max(best, _tail_end(strangers, wrong))
    return _rounded(min(best, ceiling), last, ceiling, LOWEST)


def _proven(images: int, wrong: float) -> int | None:
    """How many of them may pass and still prove that the share is at most ``wrong``; None where none would not."""
    if binom.cdf(0, images, wrong) > DOUBT:
        return None
    passing = int(binom.ppf(DOUBT, images, wrong))
    return passing if binom.cdf(passing, images, wrong) <= DOUBT else passing - 1


def _tail_end(strangers: Odds, wrong: float) -> float:
    """Where their share is down to ``wrong`` if their tail is exponential, by its mean excess."""
    members = max(FEW, int(TAIL * len(strangers)))
    if len(strangers) <= members:
        return float(strangers[-1])
    start = strangers[-1 - members]
    excess = float((strangers[-members:] - start).mean())
    return float(start + excess * np.log(max(members / len(strangers) / wrong, 1.0)))


def _rounded(odds: float, above: float, up_to: float, lowest: float) -> float:
    """As a probability with three digits, more where the room is narrow."""
    chance = float(np.clip(expit(odds), lowest, HIGHEST))
    for short in (round(chance, 3), np.floor(1000 * chance) / 1000):
        if max(float(expit(above)), lowest) < short <= expit(up_to):
            return float(short)
    return chance
