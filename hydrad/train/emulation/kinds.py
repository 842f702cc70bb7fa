"""The faults that can be emulated, by name, each as an expert would see it on a page that scales itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.train.emulation import chance, levels, panels, scale
from hydrad.train.emulation.heights import Heights
from hydrad.train.emulation.levels import LUCKS, Cells, Levels
from hydrad.train.emulation.regions import Places
from hydrad.train.emulation.strikes import Blow, Canvas, Dealt, Mask, Table, filled, mixed, struck_by

NOWHERE: Final = np.zeros((1, 1), np.bool_)  # of a panel
TRIES: Final = 8  # of places, before a picture is left as it is


def dead_region(blow: Blow) -> Dealt | None:
    """Some regions look as if nothing was counted there."""
    for tried in range(TRIES):
        where, places = blow.chosen(in_turn=not tried)
        if not places:
            return _dead_block(blow)
        if (dealt := _dead(blow, where, places)) is not None:
            return dealt
    return None


def _dead(blow: Blow, where: str, places: Sequence[Places]) -> Dealt | None:
    canvas = Canvas(blow)
    before, flat, marks = blow.pixels.reshape(-1, 3), canvas.pixels.reshape(-1, 3), canvas.touched.reshape(-1)
    width = blow.pixels.shape[1]
    struck = np.unique(np.concatenate(places))
    for panel in blow.panels:
        inside = panel.frame.inside
        rows, columns = np.divmod(struck, width)
        within = (rows >= inside.top) & (rows < inside.bottom) & (columns >= inside.left) & (columns < inside.right)
        for box in panel.frame.boxes:
            within &= (rows < box.top) | (rows >= box.bottom) | (columns < box.left) | (columns >= box.right)
        own = struck[within]
        if panel.kind == "map" and (end := scale.end_without(blow, panel, own)) is not None:
            shown = levels.read(panels.clean(blow.pixels, panel), panel)
            canvas.put(panel, shown.ending(end, blow.rng).drawn(), NOWHERE)
        marks[own[(before[own] != panel.empty).any(axis=1)]] = True
        for tick_rows, tick_columns in panels.ticks(blow.pixels, panel):
            canvas.touched[tick_rows + inside.top, tick_columns + inside.left] = False
        flat[own[marks[own]]] = panel.empty
    return canvas.dealt(where)


def _dead_block(blow: Blow) -> Dealt | None:
    canvas = Canvas(blow)
    for panel, what in blow.held():
        inside = panels.clean(blow.pixels, panel)
        mask = np.zeros(inside.shape[:2], np.bool_)
        for _ in range(TRIES):
            for _ in range(int(blow.rng.integers(1, blow.most + 1))):
                mask |= chance.block(blow.rng, what, len(inside))
            if _is_seen(what, mask):
                inside[mask] = panel.empty
                canvas.put(panel, inside, mask & filled(what, len(inside)))
                return canvas.dealt()
            mask[:] = False
    return None


def _is_seen(what: Levels | Heights, mask: Mask) -> bool:
    """Whether anybody would miss what these pixels show."""
    if isinstance(what, Heights):
        return bool(what.values[mask.any(axis=0)].max(initial=0.0) > 0.2 * what.top)
    return bool((what.numbers[mask] > 0).mean() > 0.25)


def hot_channels(blow: Blow) -> Dealt | None:
    """A few bins count far more than any other, and the scale follows them."""

    def of_map(what: Levels, mask: Mask) -> tuple[Levels, Mask]:
        spots = chance.spots(blow.rng, what, mask)
        if blow.rng.uniform() < 0.5:  # pictures do not tell which scale they have
            rest = what.values / blow.between(1.3, 8.0)
        else:
            rest = np.maximum(what.values - blow.between(0.05, 0.35), 1e-3)
        rest[0] = 0.0
        lower = what.told(rest[:, None])
        counts = blow.rng.uniform(0.6, 1.0, LUCKS)[what.lucks(blow.rng)[spots]]
        lower.numbers[spots] = np.round(counts / counts.max() * (len(what.colours) - 1)).astype(np.uint8)
        return lower, spots

    def of_curve(what: Heights, columns: Mask) -> tuple[Heights, Mask]:
        able = np.unique(what.bins[columns])
        hot = blow.rng.choice(able, size=min(len(able), int(blow.rng.integers(2, 7))), replace=False)
        values = what.by_bin()
        values[hot] += what.top * blow.rng.uniform(0.8, blow.between(1.5, 6.0), len(hot))
        return what.with_bins(values), _of_bins(what, hot)

    return struck_by(blow, of_map, of_curve)


def noise(blow: Blow) -> Dealt | None:
    """Counts that should not be there, in a region, a band, or everywhere."""
    strength = blow.between(0.6, 3.3)

    def of_map(what: Levels, mask: Mask) -> tuple[Levels, Mask]:
        struck = chance.band(blow.rng, what, mask)
        level = strength * max(what.mean(), 0.05)
        per_count = blow.between(6.0, 40.0) / level
        table = what.values[:, None] + blow.rng.poisson(level * per_count, (len(what.values), LUCKS)) / per_count
        return mixed(blow, what, table, what.values[:, None], struck), struck

    def of_curve(what: Heights, columns: Mask) -> tuple[Heights, Mask]:
        bins = np.unique(what.bins[columns])
        if columns.all() and blow.rng.uniform() < 0.8:
            wide = max(1, round(what.number * blow.between(0.06, 0.3)))
            first = int(blow.rng.integers(what.number - wide + 1))
            bins = np.arange(first, first + wide)
        values = what.by_bin()
        level = strength * max(float(values.mean()), 0.2 * what.top)
        per_count = blow.between(8.0, 80.0) / level
        values[bins] += blow.rng.poisson(level * per_count, len(bins)) / per_count
        return what.with_bins(values), _of_bins(what, bins)

    return struck_by(blow, of_map, of_curve)


def lost_statistics(blow: Blow) -> Dealt | None:
    """A fraction of the counts: of regions they are fewer than beside them; a whole plot becomes coarse, with gaps."""
    regional = any(len(places) for places in blow.regions)
    most = float(np.exp(blow.between(np.log(1.5), np.log(12.0))))  # counts left in the fullest bin
    share = blow.between(0.05, 0.4)
    per_count = blow.between(15.0, 120.0)  # in the fullest bin before

    def of_map(what: Levels, mask: Mask) -> tuple[Levels, Mask]:
        shape = (len(what.values), LUCKS)
        if regional:
            table = blow.rng.poisson(what.values[:, None] * share * per_count, shape) / per_count
            return mixed(blow, what, table, what.values[:, None], mask), mask & (what.numbers > 0)
        table = _few(blow, what.values, most)
        return mixed(blow, what, table, table, mask), mask & (what.numbers > 0)

    def of_curve(what: Heights, columns: Mask) -> tuple[Heights, Mask]:
        values = what.by_bin()
        if regional:
            bins = np.unique(what.bins[columns])
            counts = values[bins] / what.top * share * per_count
            values[bins] = blow.rng.poisson(counts) / per_count * what.top
            return what.with_bins(values), columns
        counts = blow.rng.poisson(values / what.top * most).astype(np.float64)
        counts[values.argmax()] = max(1.0, counts[values.argmax()])  # little is left, not nothing
        return what.with_bins(counts), columns

    return struck_by(blow, of_map, of_curve, everywhere=not regional and blow.rng.uniform() < 0.5)


def _few(blow: Blow, values: npt.NDArray[np.float64], most: float) -> Table:
    """What is left of each level when the fullest bin has ``most`` counts, on a scale that pictures do not tell."""
    if blow.rng.uniform() < 0.5:
        return blow.rng.poisson(values[:, None] * most, (len(values), LUCKS)).astype(np.float64)
    shares = np.where(values > 0, blow.between(20.0, 500.0) ** (values - 1), 0.0)
    counts = blow.rng.poisson(shares[:, None] * 3 * most, (len(values), LUCKS))
    logarithms: Table = np.where(counts > 0, np.maximum(np.log(np.maximum(counts, 1)), 0.02), 0.0)
    return logarithms


def shifted_peak(blow: Blow) -> Dealt | None:
    """What a plot shows stands elsewhere along x, or at another gain."""
    gain = blow.between(1.35, 1.85) ** blow.sign() if blow.rng.uniform() < 0.4 else None

    def source(columns: int, least: float, most: float) -> Cells:
        """Where each place along x has its content from; outside of the axis where there is none."""
        if gain is not None:
            scaled: Cells = np.floor((np.arange(columns) + 0.5) / gain).astype(np.intp)
            return scaled
        by = min(max(blow.between(least, most), 0.04 * columns), 0.4 * columns)
        return np.arange(columns) - blow.sign() * max(1, round(by))

    def of_map(what: Levels, mask: Mask) -> tuple[Levels, Mask]:
        bins = int(what.columns[-1]) + 1
        first = np.searchsorted(what.columns, np.arange(bins))
        taken = source(bins, 0.06 * bins, 0.3 * bins)
        there = (taken >= 0) & (taken < bins)
        numbers = what.numbers[:, first[np.clip(taken, 0, bins - 1)]]
        numbers[:, ~there] = 0
        numbers = np.take(numbers, what.columns, axis=1)
        moved = replace(what, numbers=np.where(mask, numbers, what.numbers))
        return moved, mask & ((moved.numbers > 0) | (what.numbers > 0))

    def of_curve(what: Heights, columns: Mask) -> tuple[Heights, Mask]:
        values = what.by_bin()
        width = _width(values)
        taken = source(len(values), 1.7 * width, 5.0 * width)
        there = (taken >= 0) & (taken < len(values))
        floor = float(np.percentile(values, 5))
        floor = floor if floor < 0.1 * what.top else 0.0  # what a peak stands on moves on with nothing
        moved = np.where(there, values[np.clip(taken, 0, len(values) - 1)], floor)
        return what.with_bins(moved), np.ones_like(columns)

    return struck_by(blow, of_map, of_curve)


def broadened_peak(blow: Blow) -> Dealt | None:
    """What a plot shows is smeared along x."""
    strength = blow.between(1.0, 2.8)  # in full widths at half maximum

    def of_map(what: Levels, mask: Mask) -> tuple[Levels, Mask]:
        height, width = what.numbers.shape
        every_other = what.values.astype(np.float32).take(what.numbers[::2, ::2])
        smeared = _smeared(every_other, max(3, round(0.025 * strength * width)))
        values = smeared.repeat(2, axis=0)[:height].repeat(2, axis=1)[:, :width]
        steps = len(what.colours) - 1
        numbers = np.ceil(values * np.float32(steps / max(float(values.max()), 1e-6)) - 0.5).astype(np.uint8)
        smooth = replace(what, numbers=np.where(mask, numbers, what.numbers))
        per_count = blow.between(20.0, 200.0)
        table = blow.rng.poisson(what.values[:, None] * per_count, (len(what.values), LUCKS)) / per_count
        result = mixed(blow, smooth, table, what.values[:, None], mask)
        return result, mask & ((what.numbers > 0) | (result.numbers > 0))

    def of_curve(what: Heights, columns: Mask) -> tuple[Heights, Mask]:
        values = what.by_bin()
        sigma = min(max(1.5, strength * _width(values)), 0.3 * len(values))
        reach = int(3 * sigma) + 1
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        smeared = np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
        most = blow.between(30.0, 400.0)
        counts = blow.rng.poisson(smeared / max(float(smeared.max()), 1e-9) * most)
        return what.with_bins(counts.astype(np.float64)), np.ones_like(columns)

    return struck_by(blow, of_map, of_curve)


def missing_panel(blow: Blow) -> Dealt | None:
    """One panel of several is empty while another one is not; a picture with a single panel is left as it is."""
    filled = [panel for panel, _ in blow.held()]
    if len(filled) < 2:
        return None
    panel = filled[0]
    canvas = Canvas(blow)
    inside = np.broadcast_to(panel.empty, (panel.frame.inside.height, panel.frame.inside.width, 3))
    canvas.put(panel, inside, np.ones(inside.shape[:2], np.bool_))
    return canvas.dealt(str(next(n for n, one in enumerate(blow.panels) if one is panel)))


KINDS: Final[Mapping[str, Callable[[Blow], Dealt | None]]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            dead_region, hot_channels, shifted_peak, broadened_peak, lost_statistics, noise, missing_panel,
        )
    }
)  # fmt: skip


def _of_bins(what: Heights, bins: Cells) -> Mask:
    """The columns that show these bins."""
    struck: Mask = np.isin(what.bins, bins)
    return struck


def _width(values: npt.NDArray[np.float64]) -> float:
    """The full width at half maximum of the highest peak, in bins."""
    highest = int(values.argmax())
    low = np.flatnonzero(values[: highest + 1] < values[highest] / 2)
    high = np.flatnonzero(values[highest:] < values[highest] / 2)
    first = int(low[-1]) + 1 if len(low) else 0
    last = highest + int(high[0]) if len(high) else len(values)
    return float(max(1, last - first))


def _smeared(values: npt.NDArray[np.float32], wide: int) -> npt.NDArray[np.float32]:
    """Each place's mean over so many pixels along x, twice."""
    for _ in range(2):
        half = wide // 2
        sums = np.cumsum(np.pad(values, ((0, 0), (half + 1, half)), mode="edge"), axis=1, dtype=np.float32)
        values = (sums[:, 2 * half + 1 :] - sums[:, : -2 * half - 1]) / np.float32(2 * half + 1)
    return values
