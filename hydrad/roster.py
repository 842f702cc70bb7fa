"""Every plot that is followed, and what is remembered of it between two images."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hydrad.config import Config
from hydrad.domain import Arrival, Beam, Cause, Change, ModelCard, Picture, Prediction, Rules, Status, Verdict
from hydrad.settings import Settings, check
from hydrad.verdict import ALARMING, CLOCK_SLACK_S, RAISED, Ruling, Standing, confirmed, judge, present

EARNED = ALARMING | {Status.GOOD, Status.OTHER, Status.NOBEAM}  # statuses that images, not clocks or people, give


@dataclass(slots=True)
class Followed:
    """One plot: its standing, what is shown of it, and its newest picture's pixels."""

    standing: Standing
    shown: Verdict
    pixels_sha256: str | None
    prediction: Prediction | None


class Roster:
    """The plots by name. Not thread-safe: it belongs to the event loop.

    Args:
        config: how plots are judged where nobody changed anything.
        card: the model that serves a plot at present, or None.
        settings: what people changed.
    """

    def __init__(self, config: Config, card: Callable[[str], ModelCard | None], settings: Settings) -> None:
        self._config = config
        self._card = card
        self.settings = settings
        self._configured: dict[str, Rules] = {}
        self._plots: dict[str, Followed] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._plots)

    def rules(self, plot: str) -> Rules:
        """How this plot is judged now."""
        card = self._card(plot)
        rules = self._configured.get(plot)
        if rules is None:
            rules = self._configured[plot] = self._config.rules_of(plot)
        if card is not None:
            rules = replace(rules, model=card.id, thresholds=card.thresholds)
        return self.settings.over(plot, rules)

    def shown(self, plot: str) -> Verdict | None:
        """What is shown of a plot, or None for one never seen."""
        followed = self._plots.get(plot)
        return None if followed is None else followed.shown

    def equals_last(self, plot: str, picture: Picture) -> bool:
        """True if the picture's pixels are those of the plot's newest image."""
        followed = self._plots.get(plot)
        return followed is not None and followed.pixels_sha256 == picture.pixels_sha256

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
    ) -> Verdict:
        """Judge one image, and remember it unless a newer one of its plot was judged before.

        Args:
            prediction: None when no model serves the plot, or the one that does could not answer.
            beam: while the image filled.
        """
        followed = self._plots.get(arrival.plot)
        earlier = Standing() if followed is None else followed.standing
        rules = self.rules(arrival.plot)
        taken_at = min(arrival.taken_at, now)
        late = _is_older(taken_at, earlier.taken_at, now)
        equal = self.equals_last(arrival.plot, picture)
        before = Standing() if late else earlier
        standing = _without_answer(rules, before, taken_at)
        if prediction is not None:
            standing = judge(prediction, beam, rules, before, taken_at, equal=equal)
        ruling = present(standing, beam_now, rules, now)
        if late and rules.model is not None:
            ruling = Ruling(standing.earned, f"a newer image was judged before it; {standing.reason}")
        verdict = Verdict(
            key=uuid.uuid4().hex,
            plot=arrival.plot,
            detector=rules.detector,
            status=ruling.status,
            severity=ruling.status.severity,
            reason=ruling.reason,
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
        )
        if prediction is not None:
            verdict = _with_what_was_said(verdict, prediction, rules)
        if not late:
            self._plots[arrival.plot] = Followed(standing, verdict, picture.pixels_sha256, prediction)
        return verdict

    def look_again(self, beam: Beam, now: datetime, cause: Cause = Cause.CLOCK) -> list[Verdict]:
        """The verdicts that time, beam or a person's change has altered since they were shown."""
        altered = []
        for plot, followed in self._plots.items():
            ruling = present(followed.standing, beam, rules := self.rules(plot), now)
            if not _differs(ruling, followed.shown):
                continue
            followed.shown = replace(
                followed.shown,
                key=uuid.uuid4().hex,
                detector=rules.detector,
                status=ruling.status,
                severity=ruling.status.severity,
                reason=ruling.reason,
                judged_at=now,
                cause=cause,
                beam=beam,
            )
            altered.append(followed.shown)
        return altered

    def change(self, change: Change) -> Change | None:
        """Take over what a person asked for; the change with its old value, or None if a newer one is held.

        Raises:
            ChangeRefused: it cannot be.
        """
        check(change)
        old = self.settings.value(change.key, plot=change.plot, detector=change.detector)
        if old is None and change.plot is not None:
            old = _configured(self.rules(change.plot), change.key)
        return replace(change, old=old) if self.settings.apply(change) else None

    def restore(self, remembered: Iterable[tuple[Verdict, str | None]]) -> None:
        """Take up where an earlier daemon left off, from each plot's last shown verdict and its pixels' hash."""
        for verdict, pixels_sha256 in remembered:
            prediction = _recalled(verdict)
            standing = Standing(taken_at=verdict.taken_at)
            if prediction is not None and verdict.taken_at is not None:
                before = Standing(faulty_in_a_row=max(0, verdict.bad_in_a_row - 1))
                standing = judge(prediction, verdict.beam, self.rules(verdict.plot), before, verdict.taken_at)
            if verdict.status in EARNED:
                standing = replace(standing, earned=verdict.status, reason=verdict.reason)
            self._plots[verdict.plot] = Followed(standing, verdict, pixels_sha256, prediction)


def _is_older(taken_at: datetime, newest: datetime | None, now: datetime) -> bool:
    # A newest image from the future means that the clock was set back: then what comes now is newer.
    return newest is not None and taken_at < newest <= now + timedelta(seconds=CLOCK_SLACK_S)


def _differs(ruling: Ruling, shown: Verdict) -> bool:
    # Other reasons grow older by the second; this one a person gave.
    reworded = ruling.status is Status.DISABLED and ruling.reason != shown.reason
    return reworded or ruling.status is not shown.status


def _without_answer(rules: Rules, before: Standing, taken_at: datetime) -> Standing:
    if rules.model is None:
        return Standing(reason="no model served this plot when its newest image came", taken_at=taken_at)
    reason = f"the model {rules.model} could not judge this image"
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


def _recalled(verdict: Verdict) -> Prediction | None:
    if verdict.model is None or not verdict.scores:
        return None
    return Prediction(verdict.model, verdict.scores, verdict.meanings, novelty=verdict.novelty)


def _configured(rules: Rules, key: str) -> float | None:
    if key.startswith("threshold."):
        return rules.thresholds.get(key.removeprefix("threshold."))
    value = getattr(rules, key, None)
    return None if value is None or isinstance(value, datetime) else float(value)
