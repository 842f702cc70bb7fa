"""Where an axis has its ticks, and what stands beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark at a share (0 to 1) of an axis; ``raised`` is the exponent to its label."""

    share: float
    label: str
    raised: str = ""


def linear_ticks(low: float, high: float, about: int) -> Sequence[Tick]:
    """Ticks at round numbers, roughly ``about`` of them; none on an axis without length."""
    span = high - low
    if span <= 0:
        return ()
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [Tick((n * step - low) / span, _number(n * step, digits, high)) for n in range(first, last + 1)]


def log_ticks(low: float, high: float) -> Sequence[Tick]:
    """Ticks at the powers of ten with labels, at 2 to 9 times them without; ``low`` is above 0."""
    if high <= low:
        return ()
    span = math.log10(high / low)
    ticks = []
    for power in range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1):
        for factor in range(1, 10):
            value = factor * 10.0**power
            if low <= value <= high * 1.000001:
                label, raised = ("", "") if factor > 1 else _power(power)
                ticks.append(Tick(math.log10(value / low) / span, label, raised))
    return ticks


def _power(power: int) -> tuple[str, str]:
    return ("1", "") if power == 0 else ("10", "") if power == 1 else ("10", str(power))


def _number(value: float, digits: int, high: float) -> str:
    if high >= 1e6:
        return f"{value / 1e6:g}M"
    if high >= 1e5:
        return f"{value / 1e3:g}k"
    return f"{value + 0.0:.{digits}f}"
