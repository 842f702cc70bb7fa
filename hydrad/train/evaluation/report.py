"""One HTML file that tells a detector expert what a model can do, and what to do about it."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from PIL import Image
from pydantic import JsonValue

from hydrad.domain import HeatMap, Pixels
from hydrad.train.evaluation import advice, figures

SHOWN = 60  # misclassified images, at most
BUDGET = 2_300_000  # bytes of pictures, as they stand in the page
MOST_CURVES = 12  # labels whose precision and recall are drawn, the worst if there are more
WIDTH, HEIGHT = 160, 160  # of a thumbnail, pixels, at most
COLOURS = 128  # of a thumbnail: histograms have few
BRIGHT = np.array([255.0, 60.0, 0.0])  # the heatmap's colour where it is strongest
STRONG = 0.65  # how much of the picture it covers there
FACTS = (
    *("model", "plots", "architecture", "parameters", "parent", "made_at", "labels", "runs", "split", "few", "ignored"),
    *("emulated", "good_share", "seed", "epochs", "took_s", "fingerprint", "runtime", "notes", "curve", "attempts"),
    *("best_epoch", "calibrated_on", "emulated_test", "exports"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A misclassified image as it came from the decoder, and the map of what convinced the model."""

    pixels: Pixels
    heatmap: HeatMap | None = None


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A misclassified image as the page shows it; the pictures are data URLs."""

    line: Mapping[str, Any]  # as hydrad.train.evaluation.mistakes lists it
    picture: str
    heat: str | None


def wanted(metrics: Mapping[str, JsonValue]) -> Sequence[int]:
    """The numbers, in the test set, of the images that :func:`page` wants pictures of: at most 60."""
    return [line["number"] for line in _listed(metrics)[:SHOWN]]


def page(
    title: str,
    facts: Mapping[str, JsonValue],
    metrics: Mapping[str, JsonValue],
    pictures: Mapping[int, Shown],
) -> bytes:
    """The report: HTML without scripts, at most 3 MB, that needs nothing from anywhere else.

    Args:
        title: what the model is for.
        facts: what is known of its making; what is missing is not shown. ``model`` (its id), ``plots`` (patterns),
            ``architecture``, ``parameters``, ``parent``, ``made_at``, ``labels`` (each with ``label``, ``meaning``,
            ``training``, ``validation``, ``test``: images), ``runs`` (how many, by side), ``split`` (``kind``,
            ``warning``, a sentence without its full stop or None, and perhaps ``why``), ``few`` and ``ignored``
            (labels), ``emulated`` (each with ``name`` and ``images``), ``emulated_test`` (``raised``, ``pointing``:
            shares, and the ``file`` with their report), ``good_share`` (of good images learned from),
            ``calibrated_on`` (images, by kind), ``seed``, ``epochs``, ``best_epoch`` (from 1), ``took_s``,
            ``fingerprint``, ``runtime``, ``exports`` (by precision: of how many ``images`` how many get an
            ``other_label`` from the CPU runtime, ``score_off``, ``ms_per_image``; or the ``reason`` why it could not
            be made), ``notes`` (sentences), ``curve`` (``loss``, ``validation_loss``,
            ``balanced_accuracy``, each by epoch) and ``attempts`` (each with ``seed``, ``stuck`` and ``curve``).
        metrics: as :func:`hydrad.train.evaluation.evaluate.measure` gives them.
        pictures: of the images that :func:`wanted` names, by their numbers.
    """
    thumbnails = _thumbnails(metrics, pictures)
    known: dict[str, Any] = dict.fromkeys(FACTS) | dict(facts)
    given_up = [attempt for attempt in known["attempts"] or () if attempt["stuck"]]
    html = _template().render(
        title=title,
        facts=known,
        given_up=given_up,
        metrics=metrics,
        headline=advice.headline(metrics),
        steps=advice.steps(metrics, known),
        thumbnails=thumbnails,
        without=_listed(metrics)[len(thumbnails) :],
        curves=_curves(metrics),
        reliability=_reliability(metrics),
        courses=_courses(known["curve"] or {}, given_up),
    )
    return html.encode()


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "percent": advice.percent,
        "between": advice.between,
        "duration": _duration,
        "bars": _bars,
    }
    return environment.from_string(files("hydrad.train.evaluation").joinpath("report.html.jinja").read_text("utf-8"))


def _listed(metrics: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    listed: Sequence[Mapping[str, Any]] = metrics["misclassified"]["listed"]
    return listed


def _curves(metrics: Mapping[str, Any]) -> list[tuple[str, float, Any]]:
    known = {name: curve for name, curve in metrics["curves"].items() if curve is not None}
    worst = sorted(known, key=lambda name: known[name]["average_precision"])[:MOST_CURVES]
    return [
        (name, curve["average_precision"], figures.precision_recall(curve, metrics["thresholds"][name]))
        for name, curve in known.items()
        if name in worst
    ]


def _reliability(metrics: Mapping[str, Any]) -> Any:
    before, after = (metrics["calibration"][when]["bins"] for when in ("before", "after"))
    return figures.reliability(before, after) if after else None


def _courses(curve: Mapping[str, Any], given_up: Sequence[Mapping[str, Any]]) -> list[Any]:
    def lines(*names: str) -> dict[str, Sequence[float]]:
        return {name.replace("_", " "): curve[name] for name in names if curve.get(name)}

    def stuck(name: str) -> list[Sequence[float]]:
        curves = (attempt.get("curve") or {} for attempt in given_up)
        return [each[name] for each in curves if each.get(name)]

    drawn = []
    if losses := lines("loss", "validation_loss"):
        drawn.append(figures.course(losses, stuck("loss"), "loss", log=True))
    if balanced := lines("balanced_accuracy"):
        drawn.append(figures.course(balanced, stuck("balanced_accuracy"), "balanced accuracy"))
    return drawn


def _thumbnails(metrics: Mapping[str, Any], pictures: Mapping[int, Shown]) -> list[Thumbnail]:
    made: list[Thumbnail] = []
    used = 0
    for line in _listed(metrics)[:SHOWN]:
        shown = pictures.get(line["number"])
        if shown is None:
            break
        picture = Image.fromarray(shown.pixels)
        picture.thumbnail((WIDTH, HEIGHT), Image.Resampling.BOX)
        heat = None if shown.heatmap is None else _url(_overlaid(picture, shown.heatmap))
        thumbnail = Thumbnail(line, _url(picture), heat)
        used += len(thumbnail.picture) + len(heat or "")
        if used > BUDGET:
            break
        made.append(thumbnail)
    return made


def _overlaid(picture: Image.Image, heatmap: HeatMap) -> Image.Image:
    share = np.asarray(Image.fromarray(heatmap).resize(picture.size, Image.Resampling.BILINEAR), np.float64) / 255
    cover = (STRONG * share)[:, :, None]
    blended = np.asarray(picture.convert("RGB"), np.float64) * (1 - cover) + BRIGHT * cover
    return Image.fromarray(blended.round().astype(np.uint8))


def _url(picture: Image.Image) -> str:
    file = io.BytesIO()
    few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(file, "PNG", compress_level=9)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _bars(histogram: Sequence[int], threshold: float) -> list[dict[str, Any]]:
    """Bars of a histogram of confidence, 100 units wide and 30 high, their heights logarithmic."""
    most, width = math.log1p(max(histogram)), 100 / len(histogram)
    return [
        {
            "x": round(n * width + 0.4, 2),
            "width": round(width - 0.8, 2),
            "height": round(30 * math.log1p(images) / most, 2),
            "sure": (n + 1) / len(histogram) > threshold,
        }
        for n, images in enumerate(histogram)
        if images
    ]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
