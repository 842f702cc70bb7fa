"""A map's scale ends at its fullest bin: where that one is dead, or counts a little more, all others change colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from hydrad.domain import Pixels
from hydrad.train.emulation import levels, panels
from hydrad.train.emulation.colours import MOST_STEPS, among
from hydrad.train.emulation.levels import Numbers
from hydrad.train.emulation.panels import Panel
from hydrad.train.emulation.regions import Places
from hydrad.train.emulation.strikes import Blow, put_back

SPREAD: Final = 0.06  # of a scale's end, by chance, from picture to picture
ALIKE: Final = 0.8  # of the scale: bins of a region with others so full are not empty, whatever their colour


def end_without(blow: Blow, panel: Panel, struck: Places) -> float | None:
    """Where a map's scale ends when nothing is counted in some pixels, as a share of where it ends now.

    Colours tell counts only in steps, so within the last step chance decides. Many palettes end in the very white that
    empty bins have; such a bin among full ones is the fullest.

    Args:
        blow: what is given.
        panel: of kind "map".
        struck: pixels inside its frame.

    Returns:
        Above 0 and below 1; None where the scale stays, or no colour bar says what the scale is.
    """
    most = len(panel.palette[:MOST_STEPS])
    if panel.frame.bar is None or _fullest(levels.numbers_of(blow.pixels.reshape(-1, 3)[struck], panel), panel) < most:
        return None
    numbers = np.zeros(blow.pixels.shape[:2], np.uint8)
    numbers[panel.frame.inside.window] = levels.numbers_of(panels.clean(blow.pixels, panel), panel)
    flat = numbers.reshape(-1)
    alive = np.ones(flat.shape, np.bool_)
    alive[struck] = False
    rest = [flat[places[alive[places]]] for places in blow.regions]
    highest = max([int(flat[alive].max(initial=0)), *(_fullest(some, panel) for some in rest)])
    return None if not 0 < highest < most else (highest - float(blow.rng.uniform())) / most


def redrawn(pixels: Pixels, shown: Sequence[Panel], rng: np.random.Generator) -> Pixels | None:
    """The picture as if the fullest bin of each map had counted a little more or less, and all others the same.

    Where empty bins look like full ones, those that are so full remain as they are.

    Returns:
        A new picture of the same shape; None where no map has a colour bar.
    """
    maps = [panel for panel in shown if panel.kind == "map" and panel.frame.bar is not None]
    if not maps:
        return None
    result = pixels.copy()
    for panel in maps:
        end = 1.0 + float(rng.uniform(-SPREAD, SPREAD))
        put_back(result, pixels, panel, levels.read(panels.clean(pixels, panel), panel).ending(end, rng).drawn())
    return result


def _fullest(numbers: Numbers, panel: Panel) -> int:
    """The highest level in a region, the last one where bins that look empty cannot be."""
    most = len(panel.palette[:MOST_STEPS])
    highest = int(numbers.max(initial=0))
    if highest >= ALIKE * most and among(panel.empty, panel.palette[-1:]) and not numbers.all():
        return most
    return highest
