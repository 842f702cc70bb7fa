"""Small drawings of a model's figures, as points and bars for a template to write down as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

BARS_WIDTH: Final = 100.0
BARS_HEIGHT: Final = 28.0
WIDTH, HEIGHT = 300.0, 150.0  # of a chart
LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 8.0, 24.0  # room for its words
TICKS: Final = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram; ``sure`` says that what it counts is confirmed."""

    x: float
    width: float
    height: float
    sure: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across a chart, or a mark below it, with its words."""

    at: float
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity over epochs; its points as SVG writes them."""

    name: str
    points: str
    dots: Sequence[tuple[float, float]]  # of a line too short to be seen as one


@dataclass(frozen=True, slots=True)
class Chart:
    """Quantities over epochs."""

    title: str
    lines: Sequence[Line]
    across: Sequence[Tick]
    below: Sequence[Tick]
    rows: Sequence[tuple[int, Sequence[float | None]]]  # the numbers: epoch, and each line's value


def bars(histogram: Sequence[int], threshold: float) -> Sequence[Bar]:
    """A histogram of confidence from 0 to 1; heights are logarithmic, so that one image is seen among thousands."""
    most = math.log1p(max(histogram, default=0))
    if not most:
        return []
    width = BARS_WIDTH / len(histogram)
    return [
        Bar(
            round(n * width + 0.4, 2),
            round(width - 0.8, 2),
            round(max(1.5, BARS_HEIGHT * math.log1p(images) / most), 2),
            (n + 1) / len(histogram) > threshold,
        )
        for n, images in enumerate(histogram)
        if images > 0
    ]


def course(title: str, curves: Mapping[str, Sequence[float]], *, shares: bool = False) -> Chart | None:
    """Quantities over epochs; None where there is nothing to draw.

    Args:
        curves: a value per epoch, by name.
        shares: they run from 0 to 1; else the axis fits them, logarithmic when all are above 0.
    """
    known = {name: values for name, values in curves.items() if values and all(map(math.isfinite, values))}
    if not known:
        return None
    epochs = max(map(len, known.values()))
    values = [value for line in known.values() for value in line]
    log = not shares and min(values) > 0
    low, high = (0.0, 1.0) if shares else _range(values, log=log)

    def x(epoch: int) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(1, epochs - 1), 1)

    def height(place: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - (place - low) / (high - low)), 1)

    def y(value: float) -> float:
        return height(math.log10(value) if log else value)

    def across(n: int) -> Tick:
        place = low + (high - low) * n / TICKS
        return Tick(height(place), f"{10**place if log else place:.2g}")

    lines = []
    for name, line in known.items():
        points = [(x(n), y(value)) for n, value in enumerate(line, 1)]
        words = " ".join(f"{one:g},{other:g}" for one, other in points)
        lines.append(Line(name, words, points if len(points) < 3 else ()))
    step = max(1, -(-epochs // 6))
    return Chart(
        title=title,
        lines=lines,
        across=[across(n) for n in range(TICKS + 1)],
        below=[Tick(x(epoch), str(epoch)) for epoch in range(1, epochs + 1, step)],
        rows=[
            (epoch, [line[epoch - 1] if epoch <= len(line) else None for line in known.values()])
            for epoch in range(1, epochs + 1)
        ],
    )


def _range(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        low, high = math.log10(low), math.log10(high)
    room = (high - low) * 0.05 or max(abs(high), 1.0) * 0.1
    return low - room, high + room
