"""What a model does with images it never saw: every figure that its users ask for, with its uncertainty."""

from __future__ import annotations

import numpy as np
from pydantic import JsonValue

from hydrad.domain import Meaning
from hydrad.train.evaluation import calibrate, curves, mistakes, pointing
from hydrad.train.evaluation.shares import Mask, brief, mean_of, share_of
from hydrad.train.evaluation.tested import Tested
from hydrad.train.examples import Truth

__all__ = ["Tested", "measure"]

BINS = 20  # of confidence, in each cell of the confusion matrix
LISTED = 1000  # plots, or groups, at most


def measure(tested: Tested) -> dict[str, JsonValue]:
    """Every figure of a model, as JSON; what is not defined is None, never 0 or NaN.

    Shares are ``{"hits", "of", "value", "low", "high"}`` with 95 % intervals, see :mod:`.shares`.
    "Raised" means said to be bad or empty, with confirmation: what makes an alarm if it lasts.

    Returns:
        ``images``, ``runs``, ``labels``, ``temperature``, ``thresholds`` (label → 0 to 1), ``accuracy`` (share),
        ``balanced_accuracy``, ``unconfirmed`` (share), ``false_alarms`` (share of good images raised),
        ``faults_raised`` and ``faults_missed`` (shares of bad images raised, and confirmed good), ``empty_raised``,
        ``good_confirmed``, ``confusion`` (truth in rows: ``counts``, ``confirmed``, ``histograms`` of confidence in
        20 bins from 0 to 1, None for an empty cell), ``by_label``, ``untested`` (labels without images here),
        ``calibration`` (``before`` and ``after``), ``curves`` (label → precision and recall), ``by_plot`` and
        ``by_group`` (worst first), ``misclassified`` (suspicious labels first), ``pointing``, ``novelty``,
        ``ms_per_image``.
    """
    good, bad, empty = (tested.is_(meaning) for meaning in (Meaning.GOOD, Meaning.BAD, Meaning.EMPTY))
    every = np.ones(len(tested.truth), np.bool_)
    right = tested.said == tested.truth
    by_label: list[JsonValue] = [_label(tested, n) for n in range(len(tested.labels))]
    return {
        "images": len(tested.truth),
        "runs": len({run for run in tested.runs if run is not None}),
        "labels": list(tested.words),
        "temperature": brief(tested.temperature),
        "thresholds": {name: brief(value) for name, value in zip(tested.words, tested.thresholds, strict=True)},
        "accuracy": share_of(right, every),
        "balanced_accuracy": _balanced(tested.truth, right),
        "unconfirmed": share_of(~tested.confirmed, every),
        "false_alarms": share_of(tested.alarming, good),
        "faults_raised": share_of(tested.alarming, bad),
        "faults_missed": share_of(tested.confirmed & tested.called(Meaning.GOOD), bad),
        "empty_raised": share_of(tested.alarming, empty),
        "good_confirmed": share_of(tested.confirmed & tested.called(Meaning.GOOD), good),
        "confusion": _confusion(tested),
        "by_label": by_label,
        "untested": [name for n, name in enumerate(tested.words) if not (tested.truth == n).any()],
        "calibration": {
            "before": curves.reliability(calibrate.scores_of(tested.logits, 1.0), tested.truth),
            "after": curves.reliability(tested.scores, tested.truth),
        },
        "curves": {
            name: curves.precision_recall(tested.scores[:, n], tested.truth == n, labels=len(tested.labels))
            for n, name in enumerate(tested.words)
        },
        "by_plot": _by(tested, [group[:1] for group in tested.groups]),
        "by_group": _by(tested, [group[1:] for group in tested.groups]),
        "misclassified": mistakes.find(tested),
        "pointing": pointing.measure(tested.heatmaps, tested.marked, tested.called(Meaning.BAD)),
        "novelty": None if tested.novelty is None else _novelty(tested, tested.novelty > 1.0),
        "ms_per_image": None if tested.ms_per_image is None else brief(tested.ms_per_image),
    }


def _balanced(truth: Truth, right: Mask) -> float | None:
    recalls = [right[truth == label].mean() for label in np.unique(truth)]
    return brief(float(np.mean(recalls))) if recalls else None


def _confusion(tested: Tested) -> dict[str, JsonValue]:
    labels = len(tested.labels)
    cells = np.zeros((labels, labels, BINS), np.int64)
    bins = np.minimum((tested.confidence * BINS).astype(np.int64), BINS - 1)
    np.add.at(cells, (tested.truth, tested.said, bins), 1)
    confirmed = np.zeros((labels, labels), np.int64)
    np.add.at(confirmed, (tested.truth, tested.said), tested.confirmed)
    return {
        "counts": cells.sum(axis=2).tolist(),
        "confirmed": confirmed.tolist(),
        "histograms": [[cell.tolist() if cell.any() else None for cell in row] for row in cells],
    }


def _label(tested: Tested, label: int) -> dict[str, JsonValue]:
    own, said = tested.truth == label, tested.said == label
    sure = said & tested.confirmed
    return {
        "label": tested.words[label],
        "meaning": tested.labels[tested.words[label]].value,
        "images": int(own.sum()),
        "precision": share_of(own, said),
        "recall": share_of(said, own),
        "threshold": brief(tested.thresholds[label]),
        "confirmed_precision": share_of(own, sure),
        "confirmed_recall": share_of(sure, own),
        "confirmed_wrong": share_of(sure, ~own),
    }


def _by(tested: Tested, names: list[tuple[str, ...]]) -> list[JsonValue]:
    """The main figures of each group of images; one image may be in several."""
    members: dict[str, list[int]] = {}
    for n, groups in enumerate(names):
        for name in groups:
            members.setdefault(name, []).append(n)
    good, bad = tested.is_(Meaning.GOOD), tested.is_(Meaning.BAD)
    missed = bad & tested.confirmed & tested.called(Meaning.GOOD)
    rows = []
    for name, numbers in members.items():
        inside = np.zeros(len(tested.truth), np.bool_)
        inside[numbers] = True
        found, alarms = mean_of(tested.alarming, inside & bad), mean_of(tested.alarming, inside & good)
        right = mean_of(tested.said == tested.truth, inside)
        row: dict[str, JsonValue] = {
            "name": name,
            "images": len(numbers),
            "good": int(good[inside].sum()),
            "false_alarms": alarms,
            "bad": int(bad[inside].sum()),
            "faults_raised": found,
            "faults_missed": int(missed[inside].sum()),
            "accuracy": right,
        }
        badness = (1.0 - found if found is not None else 0.0) + (alarms or 0.0)
        rows.append(((-badness, right, -len(numbers), name), row))
    return [row for _, row in sorted(rows, key=lambda ranked: ranked[0])[:LISTED]]


def _novelty(tested: Tested, strange: Mask) -> dict[str, JsonValue]:
    """How often it says that it knows nothing like an image: of good ones, and of bad ones it would have let pass."""
    passed = tested.is_(Meaning.BAD) & tested.confirmed & tested.called(Meaning.GOOD)
    return {
        "good_unfamiliar": share_of(strange, tested.is_(Meaning.GOOD)),
        "missed_but_unfamiliar": share_of(strange, passed),
    }
