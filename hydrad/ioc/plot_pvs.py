"""The PVs of one plot: what holds of it, and how it is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime

from hydrad.domain import Cause, Meaning, Rules, Severity, Status, Verdict
from hydrad.ioc.alarm import QUIET, Alarm, Condition
from hydrad.ioc.records import Analog, Putter, Record, States, String, Text, Whole
from hydrad.ranking import Showing

STATUSES = tuple(status.name for status in Status)
SEVERITIES = tuple(status.severity for status in Status)
SWITCH = ("Disabled", "Enabled")
MOST_IMAGES, LONGEST_SHELF_MIN = 1000, 10080
OVER = Alarm(Condition.COMM, Severity.INVALID)  # hydrad has said good-bye
OLD = Alarm(Condition.TIMEOUT, Severity.INVALID)
# What was said of the last image says nothing of the present.
NOT_TO_BE_TRUSTED = frozenset({Status.UNKNOWN, Status.STALE, Status.NOMODEL})


def clean(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


class Shown:
    """The PVs that tell how a plot, or the plot that stands for a detector, is doing."""

    def __init__(self, stem: str, about: str) -> None:
        self.status = States(f"{stem}:STATUS", f"{about}: status"[:40], STATUSES, SEVERITIES)
        self.conf = Analog(f"{stem}:CONF", f"{about}: confidence"[:40], precision=3, between=(0.0, 1.0))
        self.label = String(f"{stem}:CLASS", f"{about}: class"[:40])
        self.message = Text(f"{stem}:MSG", f"{about}: reason"[:40])
        self.age = Analog(f"{stem}:AGE", f"{about}: age of the image"[:40], units="s")
        self.nbad = Whole(f"{stem}:NBAD", f"{about}: bad"[:40])

    def records(self) -> Iterator[Record]:
        """All of them."""
        yield from (self.status, self.conf, self.label, self.message, self.age, self.nbad)

    def show(self, verdict: Verdict, reason: str, stamp: float) -> None:
        """Post what the verdict says; NBAD is another's affair."""
        self.status.post(verdict.status.value, stamp)
        gone = verdict.confidence is None or verdict.status in {Status.UNKNOWN, Status.NOMODEL}
        stale = OLD if verdict.status is Status.STALE else QUIET
        self.conf.post(math.nan if gone or verdict.confidence is None else verdict.confidence, stamp, stale)
        self.label.post(clean(verdict.label or ""), stamp)
        self.message.post(clean(reason), stamp)

    def show_age(self, verdict: Verdict | None, now: datetime) -> None:
        """Post how old the image is, in whole seconds."""
        known = verdict is not None and verdict.taken_at is not None
        age_s = (now - verdict.taken_at).total_seconds() if known and verdict and verdict.taken_at else math.nan
        self.age.post(float(max(0, math.floor(age_s))) if known else math.nan, now.timestamp())

    def end(self, reason: str, stamp: float) -> None:
        """Nothing is known any more."""
        self.status.post(Status.UNKNOWN.value, stamp, OVER)
        for number in (self.conf, self.age):
            number.post(math.nan, stamp, OVER)
        self.message.post(clean(reason), stamp, OVER)
        self.label.post("", stamp, OVER)
        self.nbad.post(self.nbad.value, stamp, OVER)


class PlotPvs(Shown):
    """One plot.

    Args:
        stem: what its PVs begin with.
        threshold: gives the name of the PV of a label's threshold.
        mirror: the name of its mirror, where there are mirrors.
        asks: gives the putter of a setting, by its key.
    """

    def __init__(
        self,
        plot: str,
        stem: str,
        *,
        threshold: Callable[[str], str],
        mirror: str | None,
        asks: Callable[[str], Putter],
    ) -> None:
        super().__init__(stem, plot)
        self.plot = plot
        self.verdict: Verdict | None = None
        self.run = Whole(f"{stem}:RUN", f"{plot}: run of the image"[:40])
        images = (1.0, float(MOST_IMAGES))
        self.on_delay = Whole(
            f"{stem}:ONDELAY", f"{plot}: bad images that alarm"[:40], between=images, putter=asks("on_delay")
        )
        self.off_delay = Whole(
            f"{stem}:OFFDELAY", f"{plot}: good images that end it"[:40], between=images, putter=asks("off_delay")
        )
        self.enable = States(f"{stem}:ENABLE", f"{plot}: judged at all"[:40], SWITCH, _NEVER, putter=asks("enabled"))
        self.shelve = Analog(
            f"{stem}:SHELVE",
            f"{plot}: shelved for so long"[:40],
            units="min",
            between=(0.0, float(LONGEST_SHELF_MIN)),
            putter=asks("shelved_until"),
        )
        self.thresholds: dict[str, Analog] = {}
        self.shelved_until: datetime | None = None
        self.mirror = None
        if mirror is not None:
            self.mirror = Analog(mirror, f"{plot}: P(good) - P(bad)"[:40], precision=3, between=(-1.0, 1.0))
        self._threshold = threshold
        self._asks = asks

    def records(self) -> Iterator[Record]:
        """All but the thresholds, which come with the rules."""
        yield from super().records()
        yield from (self.run, self.on_delay, self.off_delay, self.enable, self.shelve)
        if self.mirror is not None:
            yield self.mirror

    @property
    def showing(self) -> Showing:
        """How it is shown, with the severity that operators gave its status."""
        status = Status.UNKNOWN if self.verdict is None else self.verdict.status
        return Showing(self.plot, status, self.status.alarm.severity)

    def tell(self, verdict: Verdict, now: datetime) -> None:
        """Post a verdict, by the time of the image that caused it."""
        self.verdict = verdict
        at = verdict.taken_at if verdict.cause is Cause.IMAGE and verdict.taken_at else verdict.judged_at
        stamp = at.timestamp()
        self.show(verdict, verdict.reason, stamp)
        self.run.post(verdict.run or 0, stamp, QUIET if verdict.run is not None else NO_RUN)
        self.nbad.post(verdict.bad_in_a_row, stamp)
        if self.mirror is not None:
            self.mirror.post(balance(verdict), stamp)
        self.show_age(verdict, now)

    def show_rules(self, rules: Rules, now: datetime) -> list[Record]:
        """Post how it is judged; the PVs of labels never heard of before."""
        stamp = now.timestamp()
        self.on_delay.post(rules.on_delay, stamp)
        self.off_delay.post(rules.off_delay, stamp)
        self.enable.post(int(rules.enabled), stamp)
        self.shelved_until = rules.shelved_until
        self.show_shelf(now)
        new: list[Record] = []
        for label, threshold in rules.thresholds.items():
            if label not in self.thresholds:
                self.thresholds[label] = Analog(
                    self._threshold(label),
                    f"{self.plot}: {label} is confirmed from"[:40],
                    precision=3,
                    between=(0.0, 1.0),
                    putter=self._asks(f"threshold.{label}"),
                )
                new.append(self.thresholds[label])
            self.thresholds[label].post(float(threshold), stamp)
        for label in self.thresholds.keys() - rules.thresholds.keys():
            self.thresholds[label].post(math.nan, stamp)  # the model in service has no such label
        return new

    def show_shelf(self, now: datetime) -> None:
        """Post the minutes left on the shelf; what was put stays until a whole minute of it has gone."""
        left_min = 0.0
        if self.shelved_until is not None:
            left_min = max(0.0, (self.shelved_until - now).total_seconds() / 60)
        shown = float(self.shelve.value)
        if not 0 <= shown - left_min < 1 or not left_min:
            self.shelve.post(float(math.ceil(left_min)), now.timestamp())

    def end(self, reason: str, stamp: float) -> None:
        """Nothing is known any more."""
        super().end(reason, stamp)
        self.run.post(self.run.value, stamp, OVER)
        if self.mirror is not None:
            self.mirror.post(math.nan, stamp, OVER)


_NEVER = (Severity.NO_ALARM, Severity.NO_ALARM)
NO_RUN = Alarm(Condition.UDF, Severity.INVALID)


def balance(verdict: Verdict) -> float:
    """P(good) - P(bad), where empty counts as bad; NaN where nothing can be said of the present."""
    if verdict.status in NOT_TO_BE_TRUSTED or not verdict.scores:
        return math.nan
    signs = {Meaning.GOOD: 1.0, Meaning.BAD: -1.0, Meaning.EMPTY: -1.0}
    return sum(score * signs.get(verdict.meanings[label], 0.0) for label, score in verdict.scores.items())
