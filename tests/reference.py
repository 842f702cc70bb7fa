"""The rule on the wall once more, as plainly as one can say it: everything from the whole history, every time anew.

It shares no line with the product. What happened is a list; how a plot stands is found by walking through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hydrad.domain import Beam, BeamState, Meaning, Prediction, Rules, Run, RunState, Severity, Status

SLACK = timedelta(seconds=5)
RAISED = {Status.BAD, Status.NODATA}
ALARMING = RAISED | {Status.SUSPECT, Status.UNFAMILIAR}


@dataclass(frozen=True)
class Seen:
    """An image was judged."""

    plot: str
    taken_at: datetime
    prediction: Prediction | None
    beam: Beam  # while it filled
    run: Run  # that it belongs to
    now: datetime
    beam_now: Beam
    run_now: Run
    rules: Rules


@dataclass(frozen=True)
class Looked:
    """The daemon looked at all plots again."""

    now: datetime
    beam: Beam
    run: Run
    rules: Mapping[str, Rules]


@dataclass
class Step:
    """One image, or a gap over which nothing is counted, and what was earned by then."""

    found: str  # good, other, bad, empty, doubt, novel; gap
    earned: Status


@dataclass
class Life:
    """What is known of one plot."""

    steps: list[Step] = field(default_factory=list)
    taken_at: datetime | None = None
    status: Status = Status.UNKNOWN
    gravity: int = 0  # of its alarm: none, minor, grave
    drowned: bool = False  # it would be heard, were there no flood

    @property
    def earned(self) -> Status:
        return self.steps[-1].earned if self.steps else Status.UNKNOWN


def lives(history: Sequence[Seen | Looked]) -> dict[str, Life]:
    """How every plot stands after all of this."""
    plots: dict[str, Life] = {}
    for event in history:
        if isinstance(event, Looked):
            for plot, life in plots.items():
                if event.run.masked:
                    begin_anew(life)
                life.status = shown(life, event.rules[plot], event.beam, event.run, event.now)
            for detector in {rules.detector for rules in event.rules.values()}:
                its = {plot: life for plot, life in plots.items() if event.rules[plot].detector == detector}
                flood(its, its, next(event.rules[plot].flood_above for plot in event.rules if plot in its))
            continue
        taken_at = min(event.taken_at, event.now)
        life = plots.get(event.plot, Life())
        if life.taken_at is not None and taken_at < life.taken_at <= event.now + SLACK:
            continue  # a newer one was judged before it
        plots[event.plot] = life
        take(life, event)
        life.taken_at = taken_at
        life.status = shown(life, event.rules, event.beam_now, event.run_now, event.now)
        its = {plot: other for plot, other in plots.items() if plot.split("_")[0] == event.rules.detector}
        flood(its, {event.plot: life}, event.rules.flood_above)
    return plots


def take(life: Life, event: Seen) -> None:
    """One more image."""
    if event.run_now.masked:
        begin_anew(life)
    if event.prediction is None:
        stays = life.earned in RAISED and event.rules.model is not None
        life.steps.append(Step("gap", life.earned if stays else Status.UNKNOWN))
    else:
        found = finding(event.prediction, event.beam, event.run, event.rules)
        if found in {"no beam", "special"}:
            life.steps.append(Step("gap", Status.NOBEAM if found == "no beam" else Status.OTHER))
        else:
            life.steps.append(Step(found, earned(life, found, event.rules)))
    if event.run_now.masked:
        begin_anew(life)


def begin_anew(life: Life) -> None:
    """A run of a masked type is going."""
    life.steps.append(Step("gap", Status.OTHER if life.earned in ALARMING else life.earned))


def finding(prediction: Prediction, beam: Beam, run: Run, rules: Rules) -> str:  # noqa: PLR0911  a way out for each
    """What an image shows by itself."""
    sure = prediction.confidence >= rules.thresholds.get(prediction.label, 1.0)
    novel = prediction.novelty is not None and prediction.novelty > 1
    meaning = prediction.meanings[prediction.label]
    if sure and meaning is Meaning.GOOD and not novel:
        return "good"
    if sure and meaning is Meaning.OTHER:
        return "other"
    if run.masked:
        return "special"
    if rules.needs_beam and beam.state is BeamState.OFF:
        return "no beam"
    if sure and meaning is Meaning.BAD:
        return "bad"
    if sure and meaning is Meaning.EMPTY and not (rules.needs_beam and beam.state is BeamState.UNKNOWN):
        return "empty"
    if sure and meaning is Meaning.EMPTY:
        return "doubt"
    return "novel" if novel else "doubt"


def earned(life: Life, found: str, rules: Rules) -> Status:
    """The status with this image added to all that were before."""
    before = life.earned
    images = [step.found for step in life.steps] + [found]
    if found in {"good", "other"}:
        calm = Status.GOOD if found == "good" else Status.OTHER
        if before not in ALARMING:
            return calm
        since = images[alarm_began(life) :]
        within = max(rules.off_delay, rules.off_window)
        return calm if since[-within:].count(found) >= rules.off_delay else before
    if found in {"bad", "empty"}:
        kind = Status.BAD if found == "bad" else Status.NODATA
        since = images[counts_began(life) :][-max(rules.on_delay, rules.on_window) :]
        if before in RAISED:
            return kind if since.count(found) >= rules.on_delay else before
        return kind if since.count("bad") + since.count("empty") >= rules.on_delay else Status.SUSPECT
    if before in RAISED:
        return before
    return Status.SUSPECT if found == "doubt" else Status.UNFAMILIAR


def counts_began(life: Life) -> int:
    """The first image after the last gap, and after the last that raised an alarm, ended one or changed its kind."""
    began, before = 0, Status.UNKNOWN
    for n, step in enumerate(life.steps):
        turned = step.earned is not before and (step.earned in RAISED or before in RAISED)
        if step.found == "gap" or turned:
            began = n + 1
        before = step.earned
    return began


def alarm_began(life: Life) -> int:
    """The first image after the last gap, and after that with which what alarms now began."""
    began, before = 0, Status.UNKNOWN
    for n, step in enumerate(life.steps):
        grew = (step.earned in ALARMING and before not in ALARMING) or (step.earned in RAISED and before not in RAISED)
        if step.found == "gap" or grew:
            began = n + 1
        before = step.earned
    return began


def shown(life: Life, rules: Rules, beam: Beam, run: Run, now: datetime) -> Status:
    """What people see of it."""
    if not rules.enabled or (rules.shelved_until is not None and now < rules.shelved_until):
        return Status.DISABLED
    if rules.model is None:
        return Status.NOMODEL
    status = with_age(life, rules, beam, run, now)
    return Status.OTHER if run.masked and status in ALARMING | {Status.STALE} else status


def with_age(life: Life, rules: Rules, beam: Beam, run: Run, now: datetime) -> Status:
    """What was earned while the image is young; else why there is no younger one."""
    assert life.taken_at is not None
    fresh = timedelta(seconds=rules.stale_s)
    if life.taken_at - SLACK <= now <= life.taken_at + fresh:
        return life.earned
    set_back = now < life.taken_at
    if not set_back and rules.needs_beam:
        back = beam.state is BeamState.ON and beam.since is not None and now - beam.since <= fresh
        if beam.state is BeamState.OFF or back:
            return Status.NOBEAM
    begun = run.since is not None and now - run.since <= fresh
    return Status.OTHER if run.state is RunState.IDLE or (begun and not set_back) else Status.STALE


def flood(detector: Mapping[str, Life], turned: Mapping[str, Life], above: int) -> None:
    """Who has an alarm of his own, once these have been looked at."""
    was = {plot: (life.gravity, life.drowned) for plot, life in detector.items()}
    for life in turned.values():
        life.gravity = {Severity.NO_ALARM: 0, Severity.MINOR: 1}.get(life.status.severity, 2)
    going = {}
    for grave in (1, 2):
        many = [plot for plot, life in detector.items() if life.gravity >= grave]
        lasting = [plot for plot in many if was[plot][0] >= grave and was[plot][1]]
        going[grave] = len(many) > above or (lasting and len(many) > above / 2)
    for plot, life in detector.items():
        had_own_alarm = was[plot][0] >= life.gravity and not was[plot][1]
        life.drowned = life.gravity > 0 and not had_own_alarm and bool(going[life.gravity])
