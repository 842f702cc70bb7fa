"""The PVs of one plot: what holds of it, and how it is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from hydrad.config import Group
from hydrad.domain import Cause, Rules, Severity, Status, Verdict
from hydrad.ioc.alarm import QUIET, Alarm, Condition
from hydrad.ioc.mirror import Mirror
from hydrad.ioc.records import Analog, Putter, Record, States, String, Text, Whole
from hydrad.ioc.waveforms import Note, Writer
from hydrad.ranking import Showing
from hydrad.settings import MIRROR, Why, pv_of_threshold

STATUSES = tuple(status.name for status in Status)
SEVERITIES = tuple(status.severity for status in Status)
SWITCH = ("Disabled", "Enabled")
MOST_IMAGES, LONGEST_SHELF_MIN = 1000, 10080
OVER = Alarm(Condition.COMM, Severity.INVALID)  # hydrad has said good-bye
OLD = Alarm(Condition.TIMEOUT, Severity.INVALID)


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


def switch(stem: str, about: str, putter: Putter) -> States:
    """The PV that switches a plot, or all plots of a detector, on and off."""
    never = (Severity.NO_ALARM, Severity.NO_ALARM)
    return States(f"{stem}:ENABLE", f"{about}: judged at all"[:40], SWITCH, never, putter=putter, groups=("enable",))


class Reason(Note):
    """Why something is off or on the shelf; empty once that is over."""

    __slots__ = ("_why",)

    def __init__(self, stem: str, about: str, writer: Writer, groups: Sequence[Group]) -> None:
        super().__init__(f"{stem}:REASON", f"{about}: why off or shelved"[:40], writer=writer, groups=groups)
        self._why = Why("", "", None)

    def holds(self, why: Why) -> None:
        """The reason that stands."""
        self._why = why

    @property
    def ends(self) -> bool:
        """Whether it is over at some time by itself, or was."""
        return self._why.until is not None

    def show(self, now: datetime) -> None:
        """Post it, or nothing when it is over."""
        stands = self._why.until is None or now < self._why.until
        text = clean(self._why.reason) if stands else ""
        if text != self.value or not self.defined:
            self.post(text, now.timestamp())


class PlotPvs(Shown):
    """One plot.

    Args:
        stem: what its PVs begin with.
        threshold: gives the name of the PV of a label's threshold.
        mirror: its mirror, where there are mirrors.
        asks: gives the putter of a setting, by its key.
        explains: takes the reason that people write.
    """

    def __init__(
        self,
        plot: str,
        stem: str,
        *,
        threshold: Callable[[str], str],
        mirror: Mirror | None,
        asks: Callable[[str], Putter],
        explains: Writer,
    ) -> None:
        super().__init__(stem, plot)
        self._stem = f"{stem}:"
        self.plot = plot
        self.verdict: Verdict | None = None
        self.run = Whole(f"{stem}:RUN", f"{plot}: run of the image"[:40])

        def images(leaf: str, meaning: str, key: str, least: int) -> Whole:
            between = (float(least), float(MOST_IMAGES))
            about = f"{plot}: {meaning}"[:40]
            return Whole(f"{stem}:{leaf}", about, between=between, putter=asks(key), groups=("delays",))

        self.on_delay = images("ONDELAY", "bad images that alarm", "on_delay", least=1)
        self.off_delay = images("OFFDELAY", "good images that end it", "off_delay", least=1)
        self.on_window = images("ONWINDOW", "within so many images", "on_window", least=0)
        self.off_window = images("OFFWINDOW", "end within so many images", "off_window", least=0)
        self.enable = switch(stem, plot, asks("enabled"))
        self.shelve = Analog(
            f"{stem}:SHELVE",
            f"{plot}: shelved for so long"[:40],
            units="min",
            between=(0.0, float(LONGEST_SHELF_MIN)),
            putter=asks("shelved_until"),
            groups=("shelve",),
        )
        self.reason = Reason(stem, plot, explains, ("shelve", "enable"))
        self.thresholds: dict[str, Analog] = {}
        self.shelved_until: datetime | None = None
        self.mirror = mirror
        self._threshold = threshold
        self._asks = asks

    def records(self) -> Iterator[Record]:
        """All but the thresholds, which come with the rules."""
        yield from super().records()
        yield from (self.run, self.on_delay, self.off_delay, self.on_window, self.off_window)
        yield from (self.enable, self.shelve, self.reason)
        if self.mirror is not None:
            yield self.mirror

    def leaf(self, record: Record) -> str:
        """What one of its PVs is called among them, whatever the plot is called."""
        if record is self.mirror:
            return MIRROR
        of = next((label for label, its in self.thresholds.items() if its is record), None)
        return record.name.removeprefix(self._stem) if of is None else pv_of_threshold(of)

    @property
    def showing(self) -> Showing:
        """How it is shown, with the severity that operators gave its status, be it drowned or not."""
        if self.verdict is None:
            return Showing(self.plot, Status.UNKNOWN, self.status.alarm.severity)
        return Showing(self.plot, self.verdict.status, self.status.alone)

    def tell(self, verdict: Verdict, now: datetime) -> None:
        """Post a verdict, by the time of the image that caused it."""
        self.verdict = verdict
        at = verdict.taken_at if verdict.cause is Cause.IMAGE and verdict.taken_at else verdict.judged_at
        stamp = at.timestamp()
        self.status.drowned = verdict.drowned
        self.show(verdict, verdict.reason, stamp)
        self.run.post(verdict.run or 0, stamp, QUIET if verdict.run is not None else NO_RUN)
        self.nbad.post(verdict.bad_in_a_row, stamp)
        if self.mirror is not None:
            self.mirror.tell(verdict, stamp)
        self.show_age(verdict, now)

    def show_rules(self, rules: Rules, now: datetime) -> list[Record]:
        """Post how it is judged; the PVs of labels never heard of before."""
        stamp = now.timestamp()
        self.on_delay.post(rules.on_delay, stamp)
        self.off_delay.post(rules.off_delay, stamp)
        self.on_window.post(rules.on_window, stamp)
        self.off_window.post(rules.off_window, stamp)
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
                    groups=("thresholds",),
                )
                new.append(self.thresholds[label])
            self.thresholds[label].post(float(threshold), stamp)
        for label in self.thresholds.keys() - rules.thresholds.keys():
            self.thresholds[label].post(math.nan, stamp)  # the model in service has no such label
        return new

    @property
    def was_shelved(self) -> bool:
        """Whether it is on a shelf, or was, so that :meth:`show_shelf` has something to show as time passes."""
        return self.shelved_until is not None or self.reason.ends

    def show_shelf(self, now: datetime) -> None:
        """Post the minutes left on the shelf and why; what was put stays until a whole minute of it has gone."""
        self.reason.show(now)
        left_min = 0.0
        if self.shelved_until is not None:
            left_min = max(0.0, (self.shelved_until - now).total_seconds() / 60)
        shown = float(self.shelve.value)
        stands = 0 <= shown - left_min < 1 if left_min else shown == 0
        if not stands or not self.shelve.defined:
            self.shelve.post(float(math.ceil(left_min)), now.timestamp())

    def end(self, reason: str, stamp: float) -> None:
        """Nothing is known any more."""
        self.status.drowned = False
        super().end(reason, stamp)
        self.run.post(self.run.value, stamp, OVER)
        if self.mirror is not None:
            self.mirror.end(stamp, OVER)


NO_RUN = Alarm(Condition.UDF, Severity.INVALID)
