"""The rule on the wall: prediction, beam, thresholds and recent history become a status with a reason.

Two steps, both pure. :func:`judge` takes one image into account and says what the plot's images have earned it so far;
:func:`present` says what is shown of that now, when images age, beam comes and goes and people switch plots off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from hydrad.domain import Beam, BeamState, Meaning, Prediction, Rules, Status

CLOCK_SLACK_S = 5.0  # an image may be this much younger than now; more means that the clock was set back
FROZEN_AFTER = 10  # equal images in a row, with beam, that a live histogram does not produce

RAISED = frozenset({Status.BAD, Status.NODATA})
ALARMING = RAISED | {Status.SUSPECT, Status.UNFAMILIAR}


class Finding(StrEnum):
    """What one image shows, whatever came before it."""

    GOOD = "good"
    OTHER = "other"
    BAD = "bad"
    EMPTY = "empty"
    DOUBT = "doubt"  # unconfirmed, or empty while nobody knows whether there is beam
    NOVEL = "novel"  # unlike anything the model knows
    MASKED = "masked"  # nothing can be said without beam


FAULTY = frozenset({Finding.BAD, Finding.EMPTY})


@dataclass(frozen=True, slots=True)
class Standing:
    """What a plot's images have earned it, and how many in a row said so."""

    earned: Status = Status.UNKNOWN
    reason: str = "no image has been judged yet"
    finding: Finding | None = None
    in_a_row: int = 0  # images with the same finding as the newest
    faulty_in_a_row: int = 0  # images that were bad or empty
    equal_in_a_row: int = 0  # images whose pixels equal the one before
    taken_at: datetime | None = None  # of the newest image; aware, UTC


@dataclass(frozen=True, slots=True)
class Ruling:
    """A status as it is shown, and why."""

    status: Status
    reason: str


def confirmed(prediction: Prediction, rules: Rules) -> bool:
    """True if the label reaches its threshold; a label that has none must be certain."""
    return prediction.confidence >= rules.thresholds.get(prediction.label, 1.0)


def find(prediction: Prediction, beam: Beam, rules: Rules) -> Finding:
    """What this image shows by itself, with the beam while it filled."""
    sure = confirmed(prediction, rules)
    novel = prediction.novelty is not None and prediction.novelty > 1.0
    finding = _beam_apart(prediction.meaning, sure=sure, novel=novel)
    if not rules.needs_beam or finding in {Finding.GOOD, Finding.OTHER}:
        return finding
    if beam.state is BeamState.OFF:
        return Finding.MASKED
    if finding is Finding.EMPTY and beam.state is BeamState.UNKNOWN:
        return Finding.DOUBT
    return finding


def _beam_apart(meaning: Meaning, *, sure: bool, novel: bool) -> Finding:
    match meaning:
        case Meaning.BAD if sure:
            return Finding.BAD
        case Meaning.EMPTY if sure:
            return Finding.EMPTY
        case Meaning.OTHER if sure:
            return Finding.OTHER
        case Meaning.GOOD if sure and not novel:
            return Finding.GOOD
        case _:
            return Finding.NOVEL if novel else Finding.DOUBT


def judge(
    prediction: Prediction, beam: Beam, rules: Rules, before: Standing, taken_at: datetime, *, equal: bool = False
) -> Standing:
    """Take one more image of a plot into account.

    Args:
        beam: over the time in which the image filled.
        before: the plot's standing up to this image.
        taken_at: of the image; aware, UTC, not in the future.
        equal: its pixels are those of the image before it.
    """
    finding = find(prediction, beam, rules)
    standing = Standing(
        finding=finding,
        in_a_row=before.in_a_row + 1 if finding is before.finding else 1,
        faulty_in_a_row=before.faulty_in_a_row + 1 if finding in FAULTY else 0,
        equal_in_a_row=before.equal_in_a_row + 1 if equal else 0,
        taken_at=taken_at,
    )
    earned = _earned(finding, standing, before, rules)
    reason = _reason(prediction, beam, rules, standing, earned)
    if standing.equal_in_a_row >= FROZEN_AFTER and beam.state is BeamState.ON:
        reason = f"the histogram is frozen: {standing.equal_in_a_row + 1} equal images with beam; {reason}"
    return replace(standing, earned=earned, reason=reason)


def _earned(finding: Finding, standing: Standing, before: Standing, rules: Rules) -> Status:
    match finding:
        case Finding.GOOD | Finding.OTHER:
            calm = Status.GOOD if finding is Finding.GOOD else Status.OTHER
            held = before.earned in ALARMING and standing.in_a_row < rules.off_delay
            return before.earned if held else calm
        case Finding.BAD | Finding.EMPTY:
            return _fault(finding, standing, before, rules)
        case Finding.DOUBT:
            return before.earned if before.earned in RAISED else Status.SUSPECT
        case Finding.NOVEL:
            return before.earned if before.earned in RAISED else Status.UNFAMILIAR
        case Finding.MASKED:
            return Status.NOBEAM
        case _:  # pragma: no cover  the type checker proves that there is none
            assert_never(finding)


def _fault(finding: Finding, standing: Standing, before: Standing, rules: Rules) -> Status:
    kind = Status.BAD if finding is Finding.BAD else Status.NODATA
    if before.earned in RAISED:  # a raised alarm changes its kind only as slowly as it was raised
        return kind if standing.in_a_row >= rules.on_delay else before.earned
    return kind if standing.faulty_in_a_row >= rules.on_delay else Status.SUSPECT


def _reason(prediction: Prediction, beam: Beam, rules: Rules, standing: Standing, earned: Status) -> str:
    seen = f"{prediction.label} at {prediction.confidence:.2f}"
    match standing.finding:
        case Finding.GOOD | Finding.OTHER:
            if earned in ALARMING:
                return f"{seen}, {standing.in_a_row} of {rules.off_delay} such images that end {earned.name}"
            return seen
        case Finding.BAD | Finding.EMPTY:
            if earned in RAISED:
                return f"{seen}, {standing.faulty_in_a_row} in a row, {in_words(beam)}"
            return f"{seen}, {standing.faulty_in_a_row} of {rules.on_delay} such images that raise an alarm"
        case Finding.NOVEL:
            words = f"unlike anything the model knows (novelty {prediction.novelty:.1f}), nearest to {seen}"
        case Finding.MASKED:
            words = f"{seen}, but {in_words(beam)}"
        case _:
            if confirmed(prediction, rules):
                words = f"{seen}, {in_words(beam)}"
            else:
                words = f"{seen}, below its threshold {rules.thresholds.get(prediction.label, 1.0):.2f}"
    return f"{words}; {earned.name} until good images end it" if earned in RAISED else words


def in_words(beam: Beam) -> str:
    """The beam as one says it: ``beam 201 nA``, ``no beam (0.4 nA)``, ``beam unknown (disconnected)``."""
    current = "" if beam.current is None else f"{beam.current:.3g} {beam.units}".strip()
    match beam.state:
        case BeamState.ON:
            return f"beam {current or 'on'}"
        case BeamState.OFF:
            inside = beam.reason or current
            return f"no beam ({inside})" if inside else "no beam"
        case _:
            return f"beam unknown ({beam.reason})" if beam.reason else "beam unknown"


def present(standing: Standing, beam: Beam, rules: Rules, now: datetime) -> Ruling:
    """What is shown of a standing at this moment.

    Args:
        beam: as it is now.
        now: aware, UTC.
    """
    if not rules.enabled:
        return Ruling(Status.DISABLED, f"switched off{_by(rules)}")
    if rules.shelved_until is not None and now < rules.shelved_until:
        return Ruling(Status.DISABLED, f"shelved until {rules.shelved_until:%Y-%m-%d %H:%M} UTC{_by(rules)}")
    if rules.model is None:
        return Ruling(Status.NOMODEL, "no model serves this plot")
    if standing.taken_at is None:
        return Ruling(standing.earned, standing.reason)
    return _aged(standing, standing.taken_at, beam, rules, now)


def _aged(standing: Standing, taken_at: datetime, beam: Beam, rules: Rules, now: datetime) -> Ruling:
    age_s = (now - taken_at).total_seconds()
    if -CLOCK_SLACK_S <= age_s <= rules.stale_s:
        return Ruling(standing.earned, standing.reason)
    if age_s < 0:
        return Ruling(Status.STALE, f"the clock was set back by {_duration(-age_s)} since the last image")
    waited = f"no new image for {_duration(age_s)}"
    if not rules.needs_beam:
        return Ruling(Status.STALE, waited)
    if beam.state is BeamState.OFF:
        return Ruling(Status.NOBEAM, f"{waited}, {in_words(beam)}")
    if _beam_has_just_come(beam, rules, now):
        return Ruling(Status.NOBEAM, f"{waited}, beam is back and its first image is awaited")
    return Ruling(Status.STALE, f"{waited}, {in_words(beam)}")


def _beam_has_just_come(beam: Beam, rules: Rules, now: datetime) -> bool:
    # Without this every plot would alarm in the seconds between a trip's end and its first dump.
    if beam.state is not BeamState.ON or beam.since is None:
        return False
    return now - beam.since <= timedelta(seconds=rules.stale_s)


def _by(rules: Rules) -> str:
    who = f" by {rules.shelved_by}" if rules.shelved_by else ""
    return f"{who}: {rules.reason}" if rules.reason else who


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} d"
