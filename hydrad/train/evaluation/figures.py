"""The report's figures: small SVG drawings in the colours of the page that they stand on."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Matplotlib knows no CSS: it draws in these, and they give way to the page's own colours.
INK, LINE, FIRST, SECOND, THIRD = "#010203", "#010204", "#010205", "#010206", "#010207"
_PAGE = {INK: "var(--ink)", LINE: "var(--line)", FIRST: "var(--first)", SECOND: "var(--second)", THIRD: "var(--third)"}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hydrad",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def precision_recall(curve: Mapping[str, Any], threshold: float, width: float = 2.7) -> Markup:
    """One label's curve, with the point at which its threshold stands.

    Args:
        curve: as :func:`hydrad.train.evaluation.curves.precision_recall` gives it.
        width: in inches of 72 points.
    """
    recall, precision = curve["recall"], curve["precision"]

    def draw(axes: Axes) -> None:
        axes.plot(recall, precision, color=FIRST, linewidth=1.6)
        reached = [n for n, value in enumerate(curve["threshold"]) if value >= threshold]
        if reached:
            axes.plot(recall[reached[0]], precision[reached[0]], "o", color=SECOND, markersize=6, clip_on=False)
        axes.set(xlim=(0, 1.01), ylim=(min(0.9, *precision) - 0.02, 1.02), xlabel="recall", ylabel="precision")

    return _drawn(draw, width, 2.2)


def reliability(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Markup:
    """Accuracy over confidence, before and after the temperature; bins as those of :func:`curves.reliability`."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1.2, linestyle="--")
        for bins, colour, word in ((before, SECOND, "before"), (after, FIRST, "after")):
            confidence, accuracy = ([each[name] for each in bins] for name in ("confidence", "accuracy"))
            axes.plot(confidence, accuracy, color=colour, linewidth=1.2, label=word)
            most = max((each["images"] for each in bins), default=1)
            sizes = [8 + 50 * each["images"] / most for each in bins]
            axes.scatter(confidence, accuracy, s=sizes, color=colour, alpha=0.7, clip_on=False)
        axes.set(xlim=(0, 1.01), ylim=(0, 1.01), xlabel="confidence", ylabel="share that is right")
        axes.legend(loc="upper left")

    return _drawn(draw, 3.4, 3.0)


def course(
    lines: Mapping[str, Sequence[float]], stuck: Sequence[Sequence[float]], axis: str, *, log: bool = False
) -> Markup:
    """Quantities over epochs; ``stuck`` are the attempts that were given up, drawn dashed."""

    def draw(axes: Axes) -> None:
        for word, values in (*(("given up", values) for values in stuck[:1]), *(("", values) for values in stuck[1:])):
            epochs = range(1, len(values) + 1)
            axes.plot(epochs, values, color=THIRD, linewidth=1.2, linestyle="--", label=word or None)
        for (name, values), colour in zip(lines.items(), (FIRST, SECOND), strict=False):
            style = "o-" if len(values) < 3 else "-"
            axes.plot(range(1, len(values) + 1), values, style, color=colour, linewidth=1.6, label=name)
        axes.set(xlabel="epoch", ylabel=axis)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        if log and all(value > 0 for values in lines.values() for value in values):
            axes.set_yscale("log")
        if len(lines) + len(stuck) > 1:
            axes.legend()

    return _drawn(draw, 4.2, 2.6)


def _drawn(draw: Any, width: float, height: float) -> Markup:
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0)
        left, bottom = 0.6 / width, 0.5 / height  # room for words, in inches
        axes = figure.add_axes((left, bottom, 1 - left - 0.15 / width, 1 - bottom - 0.1 / height))
        axes.patch.set_alpha(0)
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=_METADATA)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, page in _PAGE.items():
        text = text.replace(colour, page)
    return Markup(text)  # noqa: S704  it holds numbers and the words above, none of a user's
