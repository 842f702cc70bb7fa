"""Which images a network learns from, which ones stop and calibrate it, and which ones it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from hydrad.errors import ConfigurationError
from hydrad.train.examples import Truth

HoldOut = Literal["run", "plot", "image"]
Units = npt.NDArray[np.int64]  # shape (images,): images of one unit stay on one side

LEAST: Final = 3  # units of a label that can be on all three sides
TRIES: Final = 24  # orders in which the units are dealt out; the best deal counts
BY_PLOT: Final = 0.1  # how much an even share of each plot's images counts, beside 1 of each label's

# How much it counts that a side has none of a label whose units run out: what is not learned cannot be tested.
URGENCY: Final = np.array([1000.0, 20.0, 10.0])

WARNINGS: Final = {
    "run": None,
    "plot": "split by plot: results on new runs of the plots learned from may be worse",
    "image": "split by image: results on new runs may be worse",
}


class Side(IntEnum):
    """Where an image is."""

    TRAINING = 0
    VALIDATION = 1
    TEST = 2


SHARES: Final = {Side.TRAINING: 0.6, Side.VALIDATION: 0.2, Side.TEST: 0.2}


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where images come from, one entry per image."""

    plots: Sequence[str]
    runs: Sequence[int | None]
    twins: Units  # equal for pictures that are nearly the same


@dataclass(frozen=True, slots=True, eq=False)
class Parting:
    """The side of each image, and how that came about."""

    sides: npt.NDArray[np.int64]
    hold_out: HoldOut
    why: str
    alone: tuple[int, ...] = ()  # labels that are in the training part only

    @property
    def says(self) -> str:
        """How it was split, and why so."""
        return f"{WARNINGS[self.hold_out] or 'split by run: no run is on two sides'} ({self.why})"

    def numbers(self, side: Side) -> npt.NDArray[np.int64]:
        """The images of one side."""
        return np.flatnonzero(self.sides == side)


def part(
    truth: Truth, origin: Origin, *, few: int, seed: int, asked: Literal["auto", "run", "plot", "image"] = "auto"
) -> Parting:
    """Split images so that each label is on all sides in its shares, and no run (or plot) is on two of them.

    Args:
        truth: the images' labels.
        origin: their plots, runs and near-duplicates.
        few: labels with fewer images have no say in what is held out.
        seed: equal arguments give equal sides.
        asked: what is to be held out; ``auto`` takes runs where each label is seen in three or more, else plots, else
            single images.

    Raises:
        ConfigurationError: when what was asked for leaves nothing to test on.
    """
    hold_out, why = (_possible(truth, origin, few)) if asked == "auto" else (asked, "as it was asked for")
    units = _units(hold_out, origin)
    count = len(np.unique(units))
    if asked in {"run", "plot"} and count < LEAST:
        raise ConfigurationError(
            f"hold_out: the labelled images are of {count} {asked}(s); it takes {LEAST} to split by"
        )
    sides = _dealt(units, truth, origin, seed)
    alone = tuple(int(label) for label in np.unique(truth) if (sides[truth == label] == Side.TRAINING).all())
    return Parting(sides, hold_out, why, alone)


def _possible(truth: Truth, origin: Origin, few: int) -> tuple[HoldOut, str]:
    """The hardest test that these images allow, and why."""
    labels, counts = np.unique(truth, return_counts=True)
    telling = labels[counts >= min(few, int(counts.max()))]
    runs = np.array([-1 if run is None else run for run in origin.runs])
    plots = np.unique(np.asarray(origin.plots, dtype=object).astype(str), return_inverse=True)[1]
    if all(len(set(runs[truth == label].tolist()) - {-1}) >= LEAST for label in telling):
        return "run", f"each label is seen in {LEAST} runs or more"
    if all(len(np.unique(plots[truth == label])) >= LEAST for label in telling):
        return "plot", f"there are labels that are seen in fewer than {LEAST} runs"
    return "image", f"there are labels that are seen in fewer than {LEAST} runs, and in fewer than {LEAST} plots"


def _units(hold_out: HoldOut, origin: Origin) -> Units:
    if hold_out == "run":  # images whose run nobody knows may be of one run, so they stay together
        return np.unique(np.array([-1 if run is None else run for run in origin.runs]), return_inverse=True)[1]
    if hold_out == "plot":
        return np.unique(np.asarray(origin.plots, dtype=object).astype(str), return_inverse=True)[1]
    return np.unique(origin.twins, return_inverse=True)[1]


def _dealt(units: Units, truth: Truth, origin: Origin, seed: int) -> npt.NDArray[np.int64]:
    """Deal units out in several orders; keep the deal in which labels are missed least and shared most evenly.

    A unit may hold several labels, so no single pass is always right (iterative stratification: Sechidis et al., ECML
    PKDD 2011).
    """
    labels = np.unique(truth, return_inverse=True)[1]
    count = int(units.max()) + 1
    held = np.zeros((count, int(labels.max()) + 1))  # images of each label in each unit
    np.add.at(held, (units, labels), 1)
    plots = np.unique(np.asarray(origin.plots, dtype=object).astype(str), return_inverse=True)[1]
    within = np.unique(np.stack([labels, plots]), axis=1, return_inverse=True)[1].ravel()
    fine = None
    if plots.any() and count * (int(within.max()) + 1) <= 4_000_000:
        fine = np.zeros((count, int(within.max()) + 1))
        np.add.at(fine, (units, within), 1)
    tries = TRIES if count <= 2000 else 3
    deals = [_deal(held, fine, np.random.default_rng([seed, n])) for n in range(tries)]
    best = min(range(tries), key=lambda n: (*_faults(held, deals[n]), n))
    return deals[best][units]


def _deal(
    held: npt.NDArray[np.float64], fine: npt.NDArray[np.float64] | None, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    shares = np.array(list(SHARES.values()))
    parts = [(held / held.sum(axis=0), 1.0)]  # each unit's share of each label
    if fine is not None:
        parts.append((fine / fine.sum(axis=0), BY_PLOT))
    wanted = [np.repeat(shares[:, None], share.shape[1], axis=1) for share, _ in parts]  # still, per side
    left = (held > 0).sum(axis=0)  # units with this label that are not dealt
    lacking = np.ones((len(shares), held.shape[1]), np.bool_)  # sides without this label
    sides = np.zeros(len(held), np.int64)
    order = rng.permutation(len(held))
    order = order[np.argsort(-held[order].sum(axis=1), kind="stable")]  # the largest first: the rest evens it out
    for unit in order:
        present = held[unit] > 0
        gain = np.zeros(len(shares))
        for (share, weight), want in zip(parts, wanted, strict=True):
            gain += weight * (want @ share[unit]) / max(share[unit].sum(), 1e-12)
        urgent = present & (left <= lacking.sum(axis=0))
        gain += URGENCY * lacking[:, urgent].sum(axis=1)
        side = int(np.argmax(np.round(gain, 9)))
        sides[unit] = side
        left[present] -= 1
        lacking[side, present] = False
        for (share, _), want in zip(parts, wanted, strict=True):
            want[side] -= share[unit]
    return sides


def _faults(held: npt.NDArray[np.float64], sides: npt.NDArray[np.int64]) -> tuple[int, float]:
    """How many labels are missing on how many sides, and how far the shares are from what was wanted."""
    got = np.stack([held[sides == side].sum(axis=0) for side in Side])
    share = got / held.sum(axis=0)
    missing = int((got == 0).sum())
    return missing, float(np.abs(share - np.array(list(SHARES.values()))[:, None]).sum())
