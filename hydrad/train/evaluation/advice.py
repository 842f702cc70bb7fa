"""A model's figures in words: what it would do, and what its expert should do about it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MANY_FALSE_ALARMS = 0.002  # of good images: above it a wall of plots is never quiet
FEW_FAULTS = 30  # tested: fewer say little of the faults to come
POOR_CALIBRATION = 0.05
POOR_POINTING = 0.9
POOR_RECALL = 0.95
SLOW_MS = 100.0  # an image
PERCENT = "\u00a0%"  # never at the beginning of a line


def headline(metrics: Mapping[str, Any]) -> Sequence[str]:
    """What the model would have done with the test images, in one to three sentences.

    Args:
        metrics: as :func:`hydrad.train.evaluation.evaluate.measure` gives them.
    """
    if not metrics["images"]:
        return ["Nothing is known of this model: no image was held out to test it."]
    sentences = [*_faults(metrics), *_empty(metrics), *_good(metrics)]
    if sentences:
        return sentences
    named = metrics["accuracy"]
    return [f"Of {count(named['of'], 'image')} it named {named['hits']:,} rightly ({between(named)})."]


def steps(metrics: Mapping[str, Any], facts: Mapping[str, Any]) -> Sequence[str]:
    """What to do next, the most urgent first; empty when nothing asks for it."""
    return [
        *_about_the_test(metrics, facts),
        *_about_labels(metrics),
        *_about_thresholds(metrics),
        *_about_data(facts),
        *_about_trust(metrics),
    ]


def percent(value: float | None) -> str:
    """A share as people read it: more digits the nearer it is to none or all, which are said only when true."""
    if value is None:
        return "–"
    if value in {0.0, 1.0}:
        return f"{100 * value:.0f}{PERCENT}"
    digits = min(max(1, math.ceil(-math.log10(min(value, 1 - value))) - 1), 4)
    whole, _, part = f"{100 * value:.{digits}f}".partition(".")
    return f"{whole}.{part[0]}{part[1:].rstrip('0')}{PERCENT}"


def between(share: Mapping[str, Any]) -> str:
    """The interval of a share: ``93.1 to 99.2 %``, ``at most 0.03 %``, ``at least 99.0 %``."""
    if share["value"] is None:
        return "no images"
    if share["hits"] == 0:
        return f"at most {percent(share['high'])}"
    if share["hits"] == share["of"]:
        return f"at least {percent(share['low'])}"
    return f"{percent(share['low']).removesuffix(PERCENT)} to {percent(share['high'])}"


def count(number: int, word: str) -> str:
    """``1 image``, ``2,000 images``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _faults(metrics: Mapping[str, Any]) -> Iterator[str]:
    raised = metrics["faults_raised"]
    if raised["of"]:
        missed = metrics["faults_missed"]["hits"]
        passed = f", and let {missed:,} pass as good" if missed else ", and let none pass as good"
        bad = count(raised["of"], "bad image")
        yield f"Of {bad} it would have raised {raised['hits']:,} ({between(raised)}){passed}."
    elif any(label["meaning"] == "bad" for label in metrics["by_label"]):
        yield "No bad image was held out: what it does with faults is not known."


def _empty(metrics: Mapping[str, Any]) -> Iterator[str]:
    raised = metrics["empty_raised"]
    if raised["of"]:
        yield f"Of {count(raised['of'], 'empty image')} it would have raised {raised['hits']:,}."


def _good(metrics: Mapping[str, Any]) -> Iterator[str]:
    alarms = metrics["false_alarms"]
    if alarms["of"]:
        most = math.ceil(alarms["high"] * alarms["of"] - 1e-9)
        word = "false alarm" if alarms["hits"] == 1 else "false alarms"
        seen = f"{alarms['hits']:,} {word}" if alarms["hits"] else "no false alarm"
        yield f"In {count(alarms['of'], 'good image')} {seen} (in as many others at most {most:,})."
    elif any(label["meaning"] == "good" for label in metrics["by_label"]):
        yield "No good image was held out: how often it alarms for nothing is not known."


def _about_the_test(metrics: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    split = facts.get("split") or {}
    if split.get("warning"):
        yield f"Mind how it was tested: {split['warning']}."
    for label in metrics["untested"]:
        yield f"No test image shows “{label}”: nothing is known of how well it is recognised. Label more of them."
    raised = metrics["faults_raised"]
    if 0 < raised["of"] < FEW_FAULTS:
        yield (
            f"Only {count(raised['of'], 'bad image')} could be tested: the true share that is raised may be anywhere"
            f" within {between(raised)}. Label more bad images, or emulate more faults."
        )


def _about_data(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts.get("few"):
        yield f"Few images of {_listed(facts['few'])}: what is learned from them is a guess. Take or label more."
    if facts.get("ignored"):
        yield f"No image has the label {_listed(facts['ignored'])}, so the model does not know it."


def _about_labels(metrics: Mapping[str, Any]) -> Iterator[str]:
    suspicious = metrics["misclassified"]["suspicious"]
    if suspicious:
        verb = "has a label that looks" if suspicious == 1 else "have labels that look"
        yield f"{count(suspicious, 'image')} {verb} mistaken: look at them first, relabel, and train again."


def _about_thresholds(metrics: Mapping[str, Any]) -> Iterator[str]:
    alarms, missed, raised = (metrics[name] for name in ("false_alarms", "faults_missed", "faults_raised"))
    if alarms["of"] and alarms["value"] > MANY_FALSE_ALARMS:
        yield (
            f"{percent(alarms['value'])} of good images would raise an alarm. Look at them below; raise the bad labels'"
            " thresholds, or label more good images like these."
        )
    if missed["hits"]:
        yield (
            f"{count(missed['hits'], 'bad image')} would pass as good with confidence. Look at them below; raise the"
            " good label's threshold, and label or emulate more faults of this kind."
        )
    if raised["of"] and raised["value"] < POOR_RECALL and raised["hits"] + missed["hits"] < raised["of"]:
        doubtful = raised["of"] - raised["hits"] - missed["hits"]
        yield (
            f"{count(doubtful, 'bad image')} would be in doubt, neither raised nor passed. A lower threshold may raise"
            " them."
        )


def _about_trust(metrics: Mapping[str, Any]) -> Iterator[str]:
    error = metrics["calibration"]["after"]["error"]
    if error is not None and error > POOR_CALIBRATION:
        yield (
            f"Confidence is off by {percent(error)} on average: do not read it as a probability. More validation images"
            " mend that."
        )
    pointing = metrics["pointing"]
    if pointing is not None and pointing["near"]["value"] < POOR_POINTING:
        yield f"The heatmap finds the fault in only {percent(pointing['near']['value'])} of cases: do not rely on it."
    cost = metrics["ms_per_image"]
    if cost is not None and cost > SLOW_MS:
        yield f"An image takes {cost:.0f} ms on this machine: a smaller network may do."


def _listed(names: Sequence[str]) -> str:
    quoted = [f"“{name}”" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
