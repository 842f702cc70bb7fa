"""The rule on the wall: prediction, beam, thresholds and recent history become a status with a reason.

Two steps, both pure. :func:`judge` takes one image into account and says what the plot's images have earned it so far;
:func:`present` says what is shown of that now, when images age, beam comes and goes and people switch plots off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hydrad.delays import ALARMING, FAULTY, NOTHING, RAISED, Finding, Recent, earn, span
from hydrad.domain import SOME_RUN, Beam, BeamState, Meaning, Prediction, Rules, Run, RunState, Status

CLOCK_SLACK_S = 5.0  # an image may be this much younger than now; more means that the clock was set back
MASKABLE = ALARMING | {Status.STALE}  # what a run of a masked type does not let through
NO_RUN = "no run is going"
NEW_RUN = "a run has begun and its first image is awaited"
NEVER = datetime.max.replace(tzinfo=UTC)
FROZEN_AFTER = 10  # equal images in a row, with beam, that a live histogram does not produce


@dataclass(frozen=True, slots=True)
class Standing:
    """What a plot's images have earned it, and what the next one is judged by besides."""

    earned: Status = Status.UNKNOWN
    reason: str = "no image has been judged yet"
    finding: Finding | None = None
    recent: Recent = NOTHING
    faulty_in_a_row: int = 0  # images that were bad or empty
    equal_in_a_row: int = 0  # images whose pixels equal the one before
    taken_at: datetime | None = None  # of the newest image; aware, UTC


@dataclass(frozen=True, slots=True)
class Ruling:
    """A status as it is shown, and why."""

    status: Status
    reason: str
    because: str = ""  # of the reason, what must be said anew when it changes; the rest grows older by the second


def confirmed(prediction: Prediction, rules: Rules) -> bool:
    """True if the label reaches its threshold; a label that has none must be certain."""
    return prediction.confidence >= rules.thresholds.get(prediction.label, 1.0)


def find(prediction: Prediction, beam: Beam, rules: Rules, run: Run = SOME_RUN) -> Finding:
    """What this image shows by itself, with the beam while it filled and the run it belongs to."""
    sure = confirmed(prediction, rules)
    novel = prediction.novelty is not None and prediction.novelty > 1.0
    finding = _beam_apart(prediction.meaning, sure=sure, novel=novel)
    if finding in {Finding.GOOD, Finding.OTHER}:
        return finding
    if run.masked:
        return Finding.SPECIAL
    if not rules.needs_beam:
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
    prediction: Prediction,
    beam: Beam,
    rules: Rules,
    before: Standing,
    taken_at: datetime,
    *,
    run: Run = SOME_RUN,
    equal: bool = False,
) -> Standing:
    """Take one more image of a plot into account.

    Args:
        beam: over the time in which the image filled.
        before: the plot's standing up to this image.
        taken_at: of the image; aware, UTC, not in the future.
        run: that the image belongs to.
        equal: its pixels are those of the image before it.
    """
    finding = find(prediction, beam, rules, run)
    earned, recent = earn(finding, before.earned, before.recent, rules)
    standing = Standing(
        earned=earned,
        finding=finding,
        recent=recent,
        faulty_in_a_row=before.faulty_in_a_row + 1 if finding in FAULTY else 0,
        equal_in_a_row=before.equal_in_a_row + 1 if equal else 0,
        taken_at=taken_at,
    )
    reason = _reason(prediction, beam, rules, standing, run)
    if run.reason:
        reason = f"{reason}; {run.reason}"
    if standing.equal_in_a_row >= FROZEN_AFTER and beam.state is BeamState.ON:
        reason = f"the histogram is frozen: {standing.equal_in_a_row + 1} equal images with beam; {reason}"
    return replace(standing, reason=reason)


def mask(standing: Standing, run: Run) -> Standing:
    """The standing while this run is going: what came before a masked one counts towards no alarm after it."""
    alarming = standing.earned in ALARMING
    if not run.masked or not (alarming or standing.recent.holds_fault):
        return standing
    anew = replace(standing, recent=NOTHING, faulty_in_a_row=0)
    if not alarming:
        return anew
    return replace(anew, earned=Status.OTHER, reason=f"{run_in_words(run)}, {standing.earned.name} before it")


def _reason(prediction: Prediction, beam: Beam, rules: Rules, standing: Standing, run: Run) -> str:
    seen = f"{prediction.label} at {prediction.confidence:.2f}"
    earned = standing.earned
    match standing.finding:
        case Finding.GOOD | Finding.OTHER:
            if earned in ALARMING:
                so_far = standing.recent.such(standing.finding, rules)
                return f"{seen}, {so_far} of {_asked(rules.off_delay, rules.off_window)} that end {earned.name}"
            return seen
        case Finding.BAD | Finding.EMPTY:
            if earned in RAISED:
                return f"{seen}, {_counted(standing, rules)}, {in_words(beam)}"
            asked = _asked(rules.on_delay, rules.on_window)
            return f"{seen}, {standing.recent.faulty(rules)} of {asked} that raise an alarm"
        case Finding.NOVEL:
            words = f"unlike anything the model knows (novelty {prediction.novelty:.1f}), nearest to {seen}"
        case Finding.MASKED:
            words = f"{seen}, but {in_words(beam)}"
        case Finding.SPECIAL:
            words = f"{seen}, but {run_in_words(run)}"
        case _:
            if confirmed(prediction, rules):
                words = f"{seen}, {in_words(beam)}"
            else:
                words = f"{seen}, below its threshold {rules.thresholds.get(prediction.label, 1.0):.2f}"
    return f"{words}; {earned.name} until good images end it" if earned in RAISED else words


def _asked(delay: int, window: int) -> str:
    """``2 such images``, or ``3 such images within 5``."""
    return f"{delay} such images" + (f" within {window}" if window > delay else "")


def _counted(standing: Standing, rules: Rules) -> str:
    """How many images were bad or empty, as the on-delay looks at them."""
    within = span(rules.on_delay, rules.on_window)
    if within == rules.on_delay:
        return f"{standing.faulty_in_a_row} in a row"
    faulty, images = standing.recent.last(within)
    return f"{faulty} of the last {images} images"


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


def run_in_words(run: Run) -> str:
    """The type of a run as one says it: ``run 111652 is of type cosmic``."""
    return f"{'the run' if run.number is None else f'run {run.number}'} is of type {run.type}"


def present(standing: Standing, beam: Beam, rules: Rules, now: datetime, run: Run = SOME_RUN) -> Ruling:
    """What is shown of a standing at this moment.

    Args:
        beam: as it is now.
        now: aware, UTC.
        run: as it is now.
    """
    if not rules.enabled:
        return _disabled(f"switched off{_by(rules)}")
    if rules.shelved_until is not None and now < rules.shelved_until:
        return _disabled(f"shelved until {rules.shelved_until:%Y-%m-%d %H:%M} UTC{_by(rules)}")
    if rules.model is None:
        return Ruling(Status.NOMODEL, "no model serves this plot")
    ruling = _aged(standing, beam, rules, now, run)
    if run.masked and ruling.status in MASKABLE:
        return Ruling(Status.OTHER, f"{run_in_words(run)}: {ruling.reason}", run_in_words(run))
    return ruling


def stands_until(standing: Standing, beam: Beam, rules: Rules, now: datetime, run: Run = SOME_RUN) -> datetime:
    """The moment up to which :func:`present` shows the same status and ``because``, if nothing but time passes.

    At that moment itself it may still be the same. Of the beam only its state and ``since`` count.
    """
    fresh_for = timedelta(seconds=rules.stale_s)
    turns = [rules.shelved_until]
    if standing.taken_at is not None:
        turns += [standing.taken_at - timedelta(seconds=CLOCK_SLACK_S), standing.taken_at + fresh_for]
    turns += [since + fresh_for for since in (beam.since, run.since) if since is not None]
    return min((turn for turn in turns if turn is not None and turn >= now), default=NEVER)


def _disabled(reason: str) -> Ruling:
    return Ruling(Status.DISABLED, reason, because=reason)


def _aged(standing: Standing, beam: Beam, rules: Rules, now: datetime, run: Run) -> Ruling:
    age_s = 0.0 if standing.taken_at is None else (now - standing.taken_at).total_seconds()
    if -CLOCK_SLACK_S <= age_s <= rules.stale_s:
        return Ruling(standing.earned, standing.reason)
    waited = f"no new image for {_duration(age_s)}"
    if age_s < 0:
        waited = f"the clock was set back by {_duration(-age_s)} since the last image"
    elif rules.needs_beam and beam.state is BeamState.OFF:
        return Ruling(Status.NOBEAM, f"{waited}, {in_words(beam)}")
    elif rules.needs_beam and beam.state is BeamState.ON and _has_just_come(beam.since, rules, now):
        return Ruling(Status.NOBEAM, f"{waited}, beam is back and its first image is awaited")
    if run.state is RunState.IDLE:
        return Ruling(Status.OTHER, f"{waited}, {NO_RUN}", NO_RUN)
    if age_s >= 0 and _has_just_come(run.since, rules, now):
        return Ruling(Status.OTHER, f"{waited}, {NEW_RUN}", NEW_RUN)
    told = age_s >= 0 and rules.needs_beam
    return Ruling(Status.STALE, f"{waited}, {in_words(beam)}" if told else waited)


def _has_just_come(since: datetime | None, rules: Rules, now: datetime) -> bool:
    # Without this every plot would alarm in the seconds between a trip's end, or a run's begin, and its first dump.
    return since is not None and now - since <= timedelta(seconds=rules.stale_s)


def _by(rules: Rules) -> str:
    who = f" by {rules.shelved_by}" if rules.shelved_by else ""
    return f"{who}: {rules.reason}" if rules.reason else who


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} d"
