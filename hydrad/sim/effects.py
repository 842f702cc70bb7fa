"""What a fault does to the counts of a plot, before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from hydrad.sim.faults import Fault
from hydrad.sim.histograms import Counts, Groups, Histogram
from hydrad.sim.plots import PlotKind

Mask = npt.NDArray[np.bool_]

_GROUPS: Final = {
    "dead_board": "boards",
    "noisy_board": "boards",
    "dead_sector": "sectors",
    "low_occupancy": "sectors",
    "noise_band": "bands",
}
_PEAK_FAULTS: Final = ("shifted_peak", "broadened_peak", "double_peak")


@lru_cache(maxsize=256)
def possible(plot: PlotKind) -> Sequence[str]:
    """The faults that make sense for a plot."""
    names = [name for name in _GROUPS if _places(plot, name)]
    if any(_counts_channels(histogram) for histogram in plot.histograms):
        names.append("hot_channels")
    names += [name for name in _PEAK_FAULTS if _places(plot, name)]
    if len(plot.histograms) > 1:
        names.append("missing_panel")
    return (*names, "empty")


def places(plot: PlotKind, fault: str) -> int:
    """How many boards, sectors, bands or panels a fault can strike: the range of ``Fault.where``."""
    return max(1, len(_places(plot, fault)))


def touched(plot: PlotKind, fault: Fault) -> tuple[Mask, ...]:
    """The channels whose counts a fault may change, one mask per histogram, shaped as its counts."""
    rng = _rng(plot, fault)
    histograms = plot.histograms
    nothing = [np.zeros(histogram.means.shape, np.bool_) for histogram in histograms]
    if fault.name == "empty":
        return tuple(~mask for mask in nothing)
    if fault.name == "hot_channels":
        return _hot(plot, fault, rng, nothing)
    choices = _places(plot, fault.name)
    panel, group = choices[(int(rng.integers(len(choices))) if fault.where is None else fault.where) % len(choices)]
    groups = _groups(histograms[panel], fault.name)
    nothing[panel] = ~nothing[panel] if groups is None else (groups == group) & histograms[panel].live
    return tuple(nothing)


def apply(plot: PlotKind, fault: Fault, counts: Sequence[Counts], rng: np.random.Generator) -> tuple[Counts, ...]:
    """The counts as the fault leaves them; those given are not changed.

    Args:
        rng: for what differs from image to image; where and how strongly it strikes is the fault's own.
    """
    masks = touched(plot, fault)
    drawn = float(_rng(plot, fault, "strength").uniform())
    blow = _Blow(
        name=fault.name,
        strength=drawn if fault.strength is None else fault.strength,
        sign=1 if _rng(plot, fault, "sign").uniform() < 0.5 else -1,
    )
    return tuple(
        _struck(blow, histogram, values, mask, rng) if mask.any() else values
        for histogram, values, mask in zip(plot.histograms, counts, masks, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Blow:
    name: str
    strength: float  # 0 to 1
    sign: int  # early or late, less or more: -1, 1


def _struck(blow: _Blow, histogram: Histogram, counts: Counts, mask: Mask, rng: np.random.Generator) -> Counts:
    result = counts.copy()
    strength = blow.strength
    match blow.name:
        case "dead_board" | "dead_sector" | "missing_panel" | "empty":
            result[mask] = 0
        case "low_occupancy":
            result[mask] = rng.binomial(counts[mask], 0.45 - 0.4 * strength)
        case "noisy_board":
            result[mask] += rng.poisson((1.5 + 4 * strength) * max(_level(counts, histogram), 1.0), int(mask.sum()))
        case "noise_band":
            level = max(_level(counts, histogram), 1.0)
            result[mask] += rng.poisson((0.8 + 2.5 * strength) * level, int(mask.sum()))
        case "hot_channels":
            level = max(float(counts.max()), 4.0)
            result[mask] += rng.poisson(level * rng.uniform(1.0, 2 + 6 * strength, int(mask.sum())))
        case _:
            result = _moved(blow, histogram, counts, mask, rng)
    return result


def _moved(blow: _Blow, histogram: Histogram, counts: Counts, mask: Mask, rng: np.random.Generator) -> Counts:
    """Give every event of the touched channels another place along x."""
    strength, sign = blow.strength, blow.sign
    columns = counts.shape[1]
    width = histogram.peak_bins or 1.0
    events = np.repeat(np.arange(counts.size), np.where(mask, counts, 0).reshape(-1))
    row, place = events // columns, events % columns + rng.uniform(0.0, 1.0, events.size)
    match blow.name:
        case "shifted_peak" if histogram.gain:
            place *= (1.35 + 0.5 * strength) ** sign
        case "shifted_peak":
            place += sign * width * (4 + 8 * strength)
        case "broadened_peak":
            place += rng.normal(0.0, width * (2.5 + 4 * strength), events.size)
        case _:
            late = rng.uniform(0.0, 1.0, events.size) < 0.25 + 0.25 * strength
            place += np.where(late, sign * width * (6 + 6 * strength), 0.0)
    column = np.floor(place).astype(np.int64)
    kept = (column >= 0) & (column < columns) if histogram.gain else np.ones(events.size, np.bool_)
    flat = (row * columns + column % columns)[kept]
    return np.where(mask, 0, counts) + np.bincount(flat, minlength=counts.size).reshape(counts.shape)


def _hot(plot: PlotKind, fault: Fault, rng: np.random.Generator, masks: list[Mask]) -> tuple[Mask, ...]:
    able = [n for n, histogram in enumerate(plot.histograms) if _counts_channels(histogram)]
    panel = able[(int(rng.integers(len(able))) if fault.where is None else fault.where) % len(able)]
    live = np.flatnonzero(plot.histograms[panel].live)
    masks[panel].reshape(-1)[rng.choice(live, size=int(rng.integers(2, 7)), replace=False)] = True
    return tuple(masks)


@lru_cache(maxsize=1024)
def _places(plot: PlotKind, name: str) -> Sequence[tuple[int, int]]:
    """Panel and group of everything a fault of this name can strike."""
    if name in _GROUPS:
        found: list[tuple[int, int]] = []
        for panel, histogram in enumerate(plot.histograms):
            groups = _groups(histogram, name)
            if groups is not None:
                numbers = np.unique(groups[histogram.live & (groups >= 0)])
                found += [(panel, int(group)) for group in numbers]
        return found
    if name in _PEAK_FAULTS:
        return [
            (n, -1)
            for n, histogram in enumerate(plot.histograms)
            if histogram.peak_bins is not None and not (histogram.gain and name == "double_peak")
        ]
    return [(n, -1) for n in range(len(plot.histograms))]


def _groups(histogram: Histogram, name: str) -> Groups | None:
    match _GROUPS.get(name):
        case "boards":
            return histogram.boards
        case "sectors":
            return histogram.sectors
        case "bands":
            return histogram.bands
        case _:
            return None


def _counts_channels(histogram: Histogram) -> bool:
    return histogram.peak_bins is None


def _level(counts: Counts, histogram: Histogram) -> float:
    """A typical channel's counts; of a peak a fifth of its height, for it stands on next to nothing."""
    values = counts[histogram.live]
    mean = float(values.mean()) if values.size else 0.0
    return mean if histogram.peak_bins is None else max(mean, 0.2 * float(counts.max(initial=0)))


def _rng(plot: PlotKind, fault: Fault, what: str = "where") -> np.random.Generator:
    return np.random.default_rng([fault.seed, *(crc32(text.encode()) for text in (plot.name, fault.name, what))])
