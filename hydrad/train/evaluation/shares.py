"""How many of how many, and what that says about the next ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue
from scipy.stats import binomtest

Mask = npt.NDArray[np.bool_]

SURE = 0.95  # of all intervals
DIGITS = 6  # kept of a number in metrics


def share(hits: int, of: int) -> dict[str, JsonValue]:
    """A share with its 95 % interval: Wilson's, and one-sided where none or all are hits.

    None of n seen says "at most 1 − 0.05^(1/n)", which is the 3/n of the rule of three, and likewise for all of n.

    Returns:
        ``hits``, ``of``, and ``value``, ``low``, ``high`` from 0 to 1; these are None where ``of`` is 0.
    """
    if not of:
        return {"hits": 0, "of": 0, "value": None, "low": None, "high": None}
    edge = (1 - SURE) ** (1 / of)
    if hits == 0:
        low, high = 0.0, 1 - edge
    elif hits == of:
        low, high = edge, 1.0
    else:
        interval = binomtest(hits, of).proportion_ci(SURE, method="wilson")
        low, high = float(interval.low), float(interval.high)
    return {"hits": hits, "of": of, "value": brief(hits / of), "low": brief(low), "high": brief(high)}


def share_of(hit: Mask, among: Mask) -> dict[str, JsonValue]:
    """The share of ``among`` that is hit; both have one entry per image."""
    return share(int(np.sum(hit & among)), int(np.sum(among)))


def mean_of(hit: Mask, among: Mask) -> float | None:
    """The same as a bare number; None where there are none."""
    return brief(float(hit[among].mean())) if among.any() else None


def brief(value: float) -> float | None:
    """A number as metrics keep it; None for what is no number, for which JSON has no word."""
    return round(float(value), DIGITS) if np.isfinite(value) else None


def briefs(values: npt.NDArray[Any]) -> list[JsonValue]:
    """Numbers as metrics keep them."""
    return [brief(float(value)) for value in values]
