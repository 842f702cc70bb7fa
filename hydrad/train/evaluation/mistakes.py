"""Images that a model and a person disagree about, those first where the person is the more likely to be wrong."""

from __future__ import annotations

import numpy as np
from pydantic import JsonValue

from hydrad.train.evaluation.shares import brief
from hydrad.train.evaluation.tested import Tested

LISTED = 500


def find(tested: Tested) -> dict[str, JsonValue]:
    """The misclassified images, for relabelling: suspicious labels first, then by confidence.

    A label is suspicious when the model confirms another one, and is at least as sure of it as it is, on average, of
    that one's own images: Northcutt, Jiang and Chuang, *Confident Learning*, JAIR 70 (2021). Never the label of a fault
    whose place is marked: whoever marked it knows.

    Returns:
        ``all`` and ``suspicious`` (how many there are) and ``listed``: of at most 500, ``number`` (in the test set),
        ``name``, ``plot``, ``run``, ``truth``, ``said``, ``confidence``, ``confirmed`` and ``suspicious``.
    """
    wrong = np.flatnonzero(tested.said != tested.truth)
    usual = np.array([_self_confidence(tested, label) for label in range(len(tested.labels))])
    suspicious = tested.confirmed & (tested.confidence >= usual[tested.said])
    if tested.marked is not None:
        suspicious &= ~tested.marked.any(axis=(1, 2))
    order = sorted(wrong.tolist(), key=lambda n: (not suspicious[n], -tested.confidence[n], n))
    return {
        "all": len(order),
        "suspicious": int(suspicious[wrong].sum()),
        "listed": [_line(tested, n, suspicious=bool(suspicious[n])) for n in order[:LISTED]],
    }


def _self_confidence(tested: Tested, label: int) -> float:
    own = tested.truth == label
    return float(tested.scores[own, label].mean()) if own.any() else tested.thresholds[label]


def _line(tested: Tested, n: int, *, suspicious: bool) -> dict[str, JsonValue]:
    return {
        "number": n,
        "name": tested.names[n] if tested.names else None,
        "plot": tested.groups[n][0] if tested.groups and tested.groups[n] else None,
        "run": tested.runs[n] if tested.runs else None,
        "truth": tested.words[tested.truth[n]],
        "said": tested.words[tested.said[n]],
        "confidence": brief(tested.confidence[n]),
        "confirmed": bool(tested.confirmed[n]),
        "suspicious": suspicious,
    }
