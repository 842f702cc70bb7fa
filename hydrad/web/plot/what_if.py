"""What a threshold would have done: the rule on the wall, replayed over the images of two weeks at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.delays import NOTHING, RAISED, Finding, earn
from hydrad.domain import BeamState, Meaning, Rules, Status

Codes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

FINDINGS: Final = tuple(Finding)  # a finding's code is its place here
MEANINGS: Final = tuple(Meaning)  # likewise
SILENT: Final = -1  # the model had no answer

_CODE: Final = {finding: code for code, finding in enumerate(FINDINGS)}
_GOOD, _OTHER, _BAD, _EMPTY = (_CODE[one] for one in (Finding.GOOD, Finding.OTHER, Finding.BAD, Finding.EMPTY))
_DOUBT, _NOVEL, _MASKED = (_CODE[one] for one in (Finding.DOUBT, Finding.NOVEL, Finding.MASKED))
_FAULTY: Final = frozenset({MEANINGS.index(Meaning.BAD), MEANINGS.index(Meaning.EMPTY)})


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What was said of a plot's images, in the order in which they were judged; every array of shape (images,)."""

    label: Codes  # a place in ``labels``; SILENT: the model had no answer
    confidence: npt.NDArray[np.float64]  # 0 to 1
    novel: Flags
    beam: Codes  # as BeamState numbers them
    human: Codes  # the label people gave, a place in ``labels``; SILENT: nobody has
    labels: Sequence[str]
    meanings: Sequence[Meaning]  # of ``labels``, to the model that serves the plot
    human_meanings: Sequence[Meaning]  # of ``labels``, to people


@dataclass(frozen=True, slots=True)
class Effect:
    """What some thresholds make of these images. Shelving, age, runs' types and models' changes are left out."""

    images: int
    alarms: int  # times that BAD or NODATA was raised
    alarms_false: int  # of these, with labelled images, none of which people call bad or empty
    images_alarmed: int  # judged while BAD or NODATA stood
    false: int  # images taken for faulty that people call good or other
    missed: int  # images that people call bad or empty and that were not taken for faulty, with beam
    confirmed: int
    unconfirmed: int


def findings(said: Said, rules: Rules) -> Codes:
    """What each image shows by itself, as :func:`hydrad.verdict.find` has it; SILENT where nothing was said."""
    if not len(said.label):
        return np.zeros(0, np.int8)
    sure = confirmed(said, rules.thresholds)
    meaning = _of_label([MEANINGS.index(one) for one in said.meanings], said.label)
    doubt = np.where(said.novel, _NOVEL, _DOUBT)
    found = np.select(
        [meaning == MEANINGS.index(one) for one in (Meaning.BAD, Meaning.EMPTY, Meaning.OTHER, Meaning.GOOD)],
        [
            np.where(sure, _BAD, doubt),
            np.where(sure, _EMPTY, doubt),
            np.where(sure, _OTHER, doubt),
            np.where(sure & ~said.novel, _GOOD, doubt),
        ],
        SILENT,
    )
    if rules.needs_beam:
        calm = (found == _GOOD) | (found == _OTHER) | (found == SILENT)
        found = np.where((found == _EMPTY) & (said.beam == BeamState.UNKNOWN), _DOUBT, found)
        found = np.where(~calm & (said.beam == BeamState.OFF), _MASKED, found)
    return found.astype(np.int8)


def confirmed(said: Said, thresholds: Mapping[str, float]) -> Flags:
    """Which images' labels reach their thresholds; a label that has none must be certain."""
    least = _of_label([thresholds.get(label, 1.0) for label in said.labels], said.label)
    sure: Flags = (said.label != SILENT) & (said.confidence >= least)
    return sure


def _of_label(values: Sequence[float], label: Codes) -> npt.NDArray[np.float64]:
    """A value of its label for each image; NaN, which equals and reaches nothing, where there is none."""
    return np.array([*values, np.nan])[label]


def earned(found: Codes, rules: Rules) -> Codes:
    """The status that each image leaves its plot with, as :func:`hydrad.verdict.judge` has it, by its number."""
    status, recent = Status.UNKNOWN, NOTHING
    out = []
    for code in found.tolist():
        if code == SILENT:
            status, recent = status if status in RAISED else Status.UNKNOWN, NOTHING
        else:
            status, recent = earn(FINDINGS[code], status, recent, rules)
        out.append(status.value)
    return np.array(out, np.int8)


def effect(said: Said, rules: Rules) -> Effect:
    """What these rules make of the images."""
    found = findings(said, rules)
    raised = np.isin(earned(found, rules), list(RAISED))
    begins = np.flatnonzero(raised & ~np.concatenate(([False], raised[:-1])))
    taken = (found == _BAD) | (found == _EMPTY)
    theirs = _of_label([MEANINGS.index(one) for one in said.human_meanings], said.human)
    faulty = np.isin(theirs, list(_FAULTY))
    fine = (said.human != SILENT) & ~faulty
    # Labelled images by the alarm they lie in: what is between two alarms belongs to the one before, and is masked out.
    alarm = np.cumsum(np.isin(np.arange(len(found)), begins)) - 1
    with_fine = np.unique(alarm[raised & fine])
    with_faulty = np.unique(alarm[raised & faulty])
    sure = confirmed(said, rules.thresholds)
    return Effect(
        images=len(found),
        alarms=len(begins),
        alarms_false=len(np.setdiff1d(with_fine, with_faulty)),
        images_alarmed=int(raised.sum()),
        false=int((taken & fine).sum()),
        missed=int((faulty & ~taken & (found != _MASKED)).sum()),
        confirmed=int(sure.sum()),
        unconfirmed=int((~sure & (said.label != SILENT)).sum()),
    )


def turned(said: Said, label: int, old: float, new: float) -> npt.NDArray[np.int64]:
    """The images of a label that a move of its threshold takes to the other side, the nearest to the line first."""
    moved = (said.label == label) & ((said.confidence >= old) != (said.confidence >= new))
    places = np.flatnonzero(moved)
    return places[np.argsort(np.abs(said.confidence[places] - new), kind="stable")]
