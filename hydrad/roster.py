"""Every plot that is followed, and what is remembered of it between two images."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hydrad import log, memory
from hydrad.config import Config
from hydrad.delays import ALARMING, RAISED
from hydrad.domain import (
    SOME_RUN,
    Arrival,
    Beam,
    Cause,
    Change,
    ModelCard,
    Picture,
    Prediction,
    Rules,
    Run,
    Severity,
    Status,
    Verdict,
)
from hydrad.floods import Floods
from hydrad.settings import Settings, check
from hydrad.verdict import CLOCK_SLACK_S, Ruling, Standing, confirmed, judge, mask, present, stands_until

_log = log.get("roster")
_Held = tuple[Rules, Standing, Ruling]
EARNED = ALARMING | {Status.GOOD, Status.OTHER, Status.NOBEAM}  # statuses that images, not clocks or people, give


@dataclass(slots=True)
class Followed:
    """One plot: its standing, what is shown of it, and its newest picture's pixels.

    What is shown stands until ``stands_until`` as long as the plot is judged by ``rules``, these very ones, and neither
    beam nor run are others; None where that has yet to be worked out.
    """

    standing: Standing
    shown: Verdict
    pixels_digest: str | None
    prediction: Prediction | None
    rules: Rules | None = None
    stands_until: datetime | None = None

    def is_due(self, rules: Rules, now: datetime) -> bool:
        """Whether something else might have to be shown."""
        return self.stands_until is None or now >= self.stands_until or rules is not self.rules


class Roster:
    """The plots by name. Not thread-safe: it belongs to the event loop.

    Args:
        config: how plots are judged where nobody changed anything.
        card: the model that serves a plot at present, or None.
        settings: what people changed.
    """

    def __init__(self, config: Config, card: Callable[[str], ModelCard | None], settings: Settings) -> None:
        self._config = config
        self._configured: dict[str, Rules] = {}
        self._in_force: dict[str, tuple[ModelCard | None, Rules]] = {}  # as the settings are after so many turns
        self._turns = settings.turns
        self._card = card
        self.settings = settings
        self._plots: dict[str, Followed] = {}
        self._floods = Floods()
        self._newest: tuple[datetime, int] | None = None  # when the newest image of a run was taken, and its run
        self._around: tuple[object, ...] = ()  # beam and run as they were when all plots were looked at
        self._looked_at: datetime | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._plots)

    @property
    def config(self) -> Config:
        """How plots are judged where nobody changed anything; may be replaced by another at any time."""
        return self._config

    @config.setter
    def config(self, config: Config) -> None:
        self._config = config
        self._configured, self._in_force = {}, {}

    def rules(self, plot: str) -> Rules:
        """How this plot is judged now."""
        if self._turns != self.settings.turns:
            self._in_force, self._turns = {}, self.settings.turns
        card = self._card(plot)
        held_for, held = self._in_force.get(plot, (None, None))
        if held is None or held_for != card:  # every second all plots are asked for theirs
            held = self._laid_over(plot, card)
            self._in_force[plot] = card, held
        return held

    def _laid_over(self, plot: str, card: ModelCard | None) -> Rules:
        rules = self._configured.get(plot)
        if rules is None:
            rules = self._configured[plot] = self._config.rules_of(plot)
        if card is not None:
            rules = replace(rules, model=card.id, thresholds=card.thresholds)
        return self.settings.over(plot, rules)

    def newest_run(self) -> int | None:
        """The run of the newest image of all plots, where its path or a PV told."""
        return None if self._newest is None else self._newest[1]

    def shown(self, plot: str) -> Verdict | None:
        """What is shown of a plot, or None for one never seen."""
        followed = self._plots.get(plot)
        return None if followed is None else followed.shown

    def equals_last(self, plot: str, picture: Picture) -> bool:
        """True if the picture's pixels are those of the plot's newest image."""
        followed = self._plots.get(plot)
        return followed is not None and followed.pixels_digest == picture.pixels_digest

    def last_prediction(self, plot: str) -> Prediction | None:
        """What was said of the plot's newest image, if the model that said it still serves the plot."""
        card, followed = self._card(plot), self._plots.get(plot)
        said = None if followed is None else followed.prediction
        return said if said is not None and card is not None and said.model == card.id else None

    def judge(
        self,
        arrival: Arrival,
        picture: Picture,
        prediction: Prediction | None,
        *,
        beam: Beam,
        beam_now: Beam,
        now: datetime,
        silence: str = "",
        run: Run = SOME_RUN,
        run_now: Run = SOME_RUN,
    ) -> Verdict:
        """Judge one image, and remember it unless a newer one of its plot was judged before.

        Args:
            prediction: None when no model serves the plot, or the one that does could not answer.
            beam: while the image filled.
            silence: why the model could not answer.
            run: that the image belongs to.
        """
        followed = self._plots.get(arrival.plot)
        earlier = Standing() if followed is None else followed.standing
        rules = self.rules(arrival.plot)
        taken_at = min(arrival.taken_at, now)
        late = _is_older(taken_at, earlier.taken_at, now)
        equal = self.equals_last(arrival.plot, picture)
        before = Standing() if late else mask(earlier, run_now)
        standing = _without_answer(rules, before, taken_at, silence)
        if prediction is not None:
            standing = judge(prediction, beam, rules, before, taken_at, run=run, equal=equal)
        if not late:
            standing = mask(standing, run_now)
        ruling = present(standing, beam_now, rules, now, run_now)
        if followed is not None:
            ruling = _off_the_shelf(ruling, rules, followed.shown, now)
        drowned = False
        if late:
            if rules.model is not None:
                ruling = Ruling(standing.earned, f"a newer image was judged before it; {standing.reason}")
        else:
            self._floods.turn(rules.detector, rules.flood_above, {arrival.plot: ruling.status})
            drowned = self._floods.has_drowned(arrival.plot)
        verdict = Verdict(
            key=uuid.uuid4().hex,
            plot=arrival.plot,
            detector=rules.detector,
            status=ruling.status,
            **_alarm(ruling, rules, drowned=drowned),
            judged_at=now,
            cause=Cause.IMAGE,
            beam=beam,
            bad_in_a_row=standing.faulty_in_a_row,
            superseded=late,
            path=str(arrival.path),
            run=arrival.run,
            chunk=arrival.chunk,
            sha256=picture.sha256,
            taken_at=taken_at,
            model=rules.model,
            memory=memory.written(standing),
        )
        if prediction is not None:
            verdict = _with_what_was_said(verdict, prediction, rules)
        if not late:
            self._plots[arrival.plot] = Followed(standing, verdict, picture.pixels_digest, prediction)
            if arrival.run is not None and (self._newest is None or not _is_older(taken_at, self._newest[0], now)):
                self._newest = taken_at, arrival.run
        return verdict

    def look_again(
        self, beam: Beam, now: datetime, cause: Cause = Cause.CLOCK, *, run: Run = SOME_RUN
    ) -> list[Verdict]:
        """The verdicts that time, beam, run or a person's change has altered since they were shown."""
        around = beam.state, beam.since, run
        anew = around != self._around or self._looked_at is None or now < self._looked_at
        self._around, self._looked_at = around, now

        def held(plot: str) -> _Held:
            followed, rules = self._plots[plot], self.rules(plot)
            standing = mask(followed.standing, run)
            ruling = present(standing, beam, rules, now, run)
            # Twice by new rules: plots that another detector has got may have ended the flood of the one they left.
            until = stands_until(standing, beam, rules, now, run) if rules is followed.rules else None
            followed.rules, followed.stands_until = rules, until
            return rules, standing, _off_the_shelf(ruling, rules, followed.shown, now)

        due = [plot for plot, followed in self._plots.items() if anew or followed.is_due(self.rules(plot), now)]
        looked = {plot: held(plot) for plot in due}
        self._let_flood(looked)
        looked |= {plot: held(plot) for plot in self._floods.moved() - looked.keys()}
        altered = []
        for plot, (rules, standing, ruling) in looked.items():
            followed, drowned = self._plots[plot], self._floods.has_drowned(plot)
            same = standing is followed.standing and drowned is followed.shown.drowned
            if same and not _differs(ruling, followed.shown):
                continue
            followed.standing = standing
            followed.shown = replace(
                followed.shown,
                key=uuid.uuid4().hex,
                detector=rules.detector,
                status=ruling.status,
                **_alarm(ruling, rules, drowned=drowned),
                judged_at=now,
                cause=cause,
                beam=beam,
                bad_in_a_row=standing.faulty_in_a_row,
                memory=memory.written(standing),
            )
            altered.append(followed.shown)
        return altered

    def _let_flood(self, looked: Mapping[str, _Held]) -> None:
        crowds: dict[tuple[str, int], dict[str, Status]] = defaultdict(dict)
        for plot, (rules, _, ruling) in looked.items():
            crowds[rules.detector, rules.flood_above][plot] = ruling.status
        for its, statuses in crowds.items():
            self._floods.turn(*its, statuses)

    def change(self, change: Change) -> Change | None:
        """Take over what a person asked for; the change with its old value, or None if a newer one is held.

        Raises:
            ChangeRefused: it cannot be.
        """
        check(change)
        old = self.settings.value(change.key, plot=change.plot, detector=change.detector)
        if old is None and change.plot is not None:
            old = _configured(self.rules(change.plot), change.key)
        if old is not None:  # else whoever asked may know what it was
            change = replace(change, old=old)
        return change if self.settings.apply(change) else None

    def restore(self, remembered: Iterable[tuple[Verdict, str | None]]) -> None:
        """Take up where an earlier daemon left off, from each plot's last shown verdict and its pixels' hash."""
        for verdict, pixels_digest in remembered:
            self._floods.restore(verdict.plot, verdict.detector, verdict.status, verdict.severity)
            self._plots[verdict.plot] = Followed(_standing(verdict), verdict, pixels_digest, _recalled(verdict))
            if verdict.taken_at is not None and verdict.run is not None:
                self._newest = max(self._newest or (verdict.taken_at, 0), (verdict.taken_at, verdict.run))


def _alarm(ruling: Ruling, rules: Rules, *, drowned: bool) -> dict[str, Any]:
    if not drowned:
        return {"severity": ruling.status.severity, "reason": ruling.reason}
    return {"severity": Severity.NO_ALARM, "reason": f"{ruling.reason}; part of the flood of detector {rules.detector}"}


def _is_older(taken_at: datetime, newest: datetime | None, now: datetime) -> bool:
    # A newest image from the future means that the clock was set back: then what comes now is newer.
    return newest is not None and taken_at < newest <= now + timedelta(seconds=CLOCK_SLACK_S)


def _differs(ruling: Ruling, shown: Verdict) -> bool:
    return ruling.status is not shown.status or ruling.because not in shown.reason


def _off_the_shelf(ruling: Ruling, rules: Rules, shown: Verdict, now: datetime) -> Ruling:
    """The same, and that the shelf has ended by itself which the plot was shown to be on until now."""
    over = rules.shelved_until
    if shown.status is not Status.DISABLED or not rules.enabled or over is None or not shown.judged_at < over <= now:
        return ruling
    return replace(ruling, reason=f"no longer shelved since {over:%H:%M} UTC; {ruling.reason}")


def _without_answer(rules: Rules, before: Standing, taken_at: datetime, silence: str) -> Standing:
    if rules.model is None:
        return Standing(reason="no model served this plot when its newest image came", taken_at=taken_at)
    reason = f"the model {rules.model} could not judge this image" + (f": {silence}" if silence else "")
    if before.earned in RAISED:
        return Standing(before.earned, f"{reason}; {before.earned.name} until good images end it", taken_at=taken_at)
    return Standing(reason=reason, taken_at=taken_at)


def _with_what_was_said(verdict: Verdict, prediction: Prediction, rules: Rules) -> Verdict:
    return replace(
        verdict,
        model=prediction.model,
        label=prediction.label,
        confidence=prediction.confidence,
        scores=dict(prediction.scores),
        meanings=dict(prediction.meanings),
        confirmed=confirmed(prediction, rules),
        novelty=prediction.novelty,
    )


def _standing(verdict: Verdict) -> Standing:
    try:
        return memory.read(verdict.memory, verdict.taken_at)
    except ValueError as why:
        _log.warning("standing_not_remembered", plot=verdict.plot, why=str(why))
    standing = Standing(taken_at=verdict.taken_at)
    return replace(standing, earned=verdict.status, reason=verdict.reason) if verdict.status in EARNED else standing


def _recalled(verdict: Verdict) -> Prediction | None:
    if verdict.model is None or not verdict.scores:
        return None
    return Prediction(verdict.model, verdict.scores, verdict.meanings, novelty=verdict.novelty)


def _configured(rules: Rules, key: str) -> float | None:
    if key.startswith("threshold."):
        return rules.thresholds.get(key.removeprefix("threshold."))
    value = getattr(rules, key, None)
    return float(value) if isinstance(value, int | float) else None
