"""Where in a picture a fault may strike, and how what it left is put back under ticks and boxes of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.domain import Pixels
from hydrad.train.emulation import heights, levels, panels
from hydrad.train.emulation.heights import Heights
from hydrad.train.emulation.levels import Levels
from hydrad.train.emulation.panels import Panel
from hydrad.train.emulation.regions import Places

Mask = npt.NDArray[np.bool_]  # shape (height, width)
Table = npt.NDArray[np.float64]  # shape (levels + 1, LUCKS or 1): what becomes of a level, by chance

LEAST_FILLED: Final = 0.002  # share of a map's pixels that are not empty
LEAST_HEIGHT: Final = 0.03  # of a curve, in shares of its frame


@dataclass(frozen=True, slots=True, eq=False)
class Blow:
    """What a fault is given: the picture, what it shows, and where it may strike."""

    pixels: Pixels  # not to be changed
    panels: Sequence[Panel]
    regions: Sequence[Places]  # of channel map and boxes; none: anywhere
    most: int  # regions at once
    rng: np.random.Generator
    turn: int | None = None  # whose turn it is among the regions, counted round; None: chance decides

    def between(self, low: float, high: float) -> float:
        """A number drawn evenly."""
        return float(self.rng.uniform(low, high))

    def sign(self) -> int:
        """-1 or 1."""
        return 1 if self.rng.uniform() < 0.5 else -1

    def chosen(self, *, in_turn: bool = True) -> tuple[str, list[Places]]:
        """One to ``most`` of the regions, and their numbers; none where there are none.

        Args:
            in_turn: the one whose turn it is, is among them.
        """
        able = [n for n, places in enumerate(self.regions) if len(places)]
        if not able:
            return "", []
        number = min(int(self.rng.integers(1, self.most + 1)), len(able))
        first = [able.pop(self.turn % len(able))] if in_turn and self.turn is not None else []
        numbers = sorted([*first, *self.rng.choice(able, size=number - len(first), replace=False).tolist()])
        return " ".join(str(n) for n in numbers), [self.regions[n] for n in numbers]

    def marked(self, places: Sequence[Places]) -> Mask:
        """These pixels as a mask of the picture."""
        mask = np.zeros(self.pixels.shape[:2], np.bool_)
        flat = mask.reshape(-1)
        for some in places:
            flat[some] = True
        return mask

    def held(self, within: Mask | None = None) -> Iterator[tuple[Panel, Levels | Heights]]:
        """The panels that show anything, in an order drawn, with what they show; only those that a mask meets."""
        for n in self.rng.permutation(len(self.panels)):
            panel = self.panels[n]
            if panel.frame.inside.area and (within is None or within[panel.frame.inside.window].any()):
                what = shown(self.pixels, panel)
                if something(what):
                    yield panel, what


@dataclass(frozen=True, slots=True, eq=False)
class Dealt:
    """What a fault left behind."""

    pixels: Pixels
    touched: Mask
    where: str = ""


class Canvas:
    """A copy of a picture that panels are put back into."""

    def __init__(self, blow: Blow) -> None:
        self._before = blow.pixels
        self.pixels = blow.pixels.copy()
        self.touched = np.zeros(blow.pixels.shape[:2], np.bool_)

    def put(self, panel: Panel, inside: Pixels, struck: Mask) -> None:
        """Replace what a panel shows; ticks and boxes stay as they were.

        Args:
            panel: which one.
            inside: uint8 RGB, of the shape of its frame's inside.
            struck: where the fault sits, likewise.
        """
        window = panel.frame.inside.window
        self.touched[window] |= struck
        put_back(self.pixels, self._before, panel, inside)
        for box in panel.frame.boxes:
            self.touched[box.window] = False

    def dealt(self, where: str = "") -> Dealt | None:
        """The picture as it is now, or None if it looks as it did: what nobody can see, nobody can learn."""
        if not self.touched.any() or np.array_equal(self.pixels, self._before):
            return None
        return Dealt(self.pixels, self.touched, where)


def put_back(pixels: Pixels, before: Pixels, panel: Panel, inside: Pixels) -> None:
    """Replace what a panel of a picture shows; its ticks and boxes stay as they were before."""
    window = panel.frame.inside.window
    now, was = pixels[window], before[window]
    now[:] = inside
    for rows, columns in panels.ticks(before, panel):
        now[rows, columns] = was[rows, columns]
    for box in panel.frame.boxes:
        pixels[box.window] = before[box.window]


def shown(pixels: Pixels, panel: Panel) -> Levels | Heights:
    """What a panel shows."""
    clean = panels.clean(pixels, panel)
    return levels.read(clean, panel) if panel.kind == "map" else heights.read(clean, panel)


def something(what: Levels | Heights) -> bool:
    """Whether a panel shows anything at all."""
    return what.top > LEAST_HEIGHT if isinstance(what, Heights) else what.filled > LEAST_FILLED


def struck_by(
    blow: Blow,
    of_map: Callable[[Levels, Mask], tuple[Levels, Mask]],
    of_curve: Callable[[Heights, Mask], tuple[Heights, Mask]],
    *,
    everywhere: bool = False,
) -> Dealt | None:
    """Strike the panels that the chosen regions lie in, or else one panel, or all of them.

    Args:
        blow: what is given.
        of_map: makes new levels of those of a map, where a mask of its inside allows; says where the fault sits.
        of_curve: likewise with heights and a mask of the columns.
        everywhere: all panels, when there are no regions.
    """
    where, places = blow.chosen()
    allowed = blow.marked(places) if places else None
    canvas = Canvas(blow)
    for panel, what in blow.held(allowed):
        window = panel.frame.inside.window
        mask: Mask = np.ones((panel.frame.inside.height, panel.frame.inside.width), np.bool_)
        if allowed is not None:
            mask = allowed[window]
            if not (mask & filled(what, len(mask))).any():
                continue
        if isinstance(what, Heights):
            after, columns = of_curve(what, np.asarray(mask.any(axis=0)))
            inside = heights.draw(after, panel.empty, len(mask))
            canvas.put(panel, inside, np.broadcast_to(columns, mask.shape))
        else:
            changed, struck = of_map(what, mask)
            canvas.put(panel, _painted(blow, panel, what, changed), struck)
        if allowed is None and not everywhere:
            break
    return canvas.dealt(where)


def _painted(blow: Blow, panel: Panel, before: Levels, after: Levels) -> Pixels:
    """The new levels, and exactly the old pixels where the level is the old one."""
    changed = before.numbers != after.numbers
    if np.count_nonzero(changed) > 0.4 * changed.size:
        return after.drawn()
    inside = panels.clean(blow.pixels, panel)
    inside[changed] = after.colours[after.numbers[changed]]
    return inside


def mixed(blow: Blow, what: Levels, table: Table, beside: Table, struck: Mask) -> Levels:
    """One table's values where the fault sits, another's beside it, on a scale that ends at the highest of them."""
    lucks = what.lucks(blow.rng)
    whole = bool(struck.all())
    inside = what.counted(None if whole else struck)
    highest = float(table[inside > 0].max(initial=0.0))
    if not whole:
        outside = what.counted() > inside
        highest = max(highest, float(beside[outside].max(initial=0.0)))
    if highest <= 0:
        highest = 1.0
    result = what.told(table / highest, lucks if table.shape[1] > 1 else None)
    if not whole:
        rest = what.told(beside / highest, lucks if beside.shape[1] > 1 else None)
        np.copyto(result.numbers, rest.numbers, where=~struck)
    return result


def filled(what: Levels | Heights, height: int) -> Mask:
    """The pixels of bins with counts; of a curve whole columns."""
    if isinstance(what, Levels):
        return what.numbers > 0
    return np.broadcast_to(what.values > 0, (height, len(what.values)))
