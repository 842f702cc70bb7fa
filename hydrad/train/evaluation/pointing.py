"""Whether the map of what convinced a model points at the fault."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from hydrad.train.evaluation.shares import Mask, brief, share


def measure(
    heatmaps: npt.NDArray[np.uint8] | None, marked: npt.NDArray[np.bool_] | None, called_bad: Mask
) -> dict[str, JsonValue] | None:
    """How often the strongest cell of a map is one that the fault touches, or a neighbour of such a cell.

    Args:
        heatmaps: shape (images, rows, columns).
        marked: where the fault is, shape (images, height, width); images without a mark do not count.
        called_bad: which images are said to be bad, shape (images,).

    Returns:
        ``near`` and ``inside`` (shares: with and without neighbours), ``called_bad`` (the share ``near`` of those
        said to be bad) and ``by_chance`` (what a map that points anywhere would reach, 0 to 1); None when there is
        no map, or no image whose fault has a known place.
    """
    if heatmaps is None or marked is None:
        return None
    places = [n for n in range(len(marked)) if marked[n].any()]
    if not places:
        return None
    near, inside, chance = [], [], []
    for n in places:
        cells = touched(marked[n], *heatmaps[n].shape)
        grown = _grown(cells)
        peak = np.unravel_index(int(heatmaps[n].argmax()), cells.shape)
        points = bool(heatmaps[n].any())  # a map of nothing points nowhere
        inside.append(points and bool(cells[peak]))
        near.append(points and bool(grown[peak]))
        chance.append(float(grown.mean()))
    called = called_bad[places]
    return {
        "near": share(sum(near), len(near)),
        "inside": share(sum(inside), len(inside)),
        "called_bad": share(int(np.array(near)[called].sum()), int(called.sum())),
        "by_chance": brief(float(np.mean(chance))),
    }


def touched(marked: Mask, rows: int, columns: int) -> Mask:
    """Which cells of a map hold a marked pixel; the picture is not smaller than the map."""
    height, width = marked.shape
    tops, lefts = np.arange(rows) * height // rows, np.arange(columns) * width // columns
    return np.asarray(np.logical_or.reduceat(np.logical_or.reduceat(marked, tops, axis=0), lefts, axis=1), np.bool_)


def _grown(cells: Mask) -> Mask:
    padded = np.pad(cells, 1)
    rows, columns = cells.shape
    shifted = [padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    return np.asarray(np.logical_or.reduce(shifted), np.bool_)
