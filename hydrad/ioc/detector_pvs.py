"""The PVs of one detector: its worst plot, and how many are bad."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime

from hydrad.domain import Severity, Status
from hydrad.ioc.alarm import UNDEFINED
from hydrad.ioc.names import within
from hydrad.ioc.plot_pvs import OVER, PlotPvs, Reason, Shown, clean, switch
from hydrad.ioc.records import TEXT_BYTES, Putter, Record, States, String
from hydrad.ioc.waveforms import Writer
from hydrad.ranking import Showing, faulty, urgency, worst


class DetectorPvs(Shown):
    """One detector and its plots."""

    def __init__(self, detector: str, stem: str, *, enabled: Putter, explains: Writer) -> None:
        super().__init__(stem, detector)
        self._stem = f"{stem}:"
        self.detector = detector
        self.plots: dict[str, PlotPvs] = {}
        self.faulty = 0  # its plots that are BAD or NODATA
        self.stale = 0  # its plots that are STALE
        self.worst = String(f"{stem}:PLOT", f"{detector}: its worst plot"[:40])
        self.flood = States(
            f"{stem}:FLOOD",
            f"{detector}: alarms for its plots"[:40],
            ("No", "Flood"),
            (Severity.NO_ALARM, Severity.MAJOR),
        )
        self.enable = switch(stem, detector, enabled)
        self.reason = Reason(stem, detector, explains, ("enable",))

    def records(self) -> Iterator[Record]:
        """All of them."""
        yield from super().records()
        yield from (self.worst, self.flood, self.enable, self.reason)

    def leaf(self, record: Record) -> str:
        """What one of its PVs is called among them."""
        return record.name.removeprefix(self._stem)

    @property
    def showing(self) -> Showing:
        """How it is shown."""
        return Showing(self.detector, Status(int(self.status.value)), self.status.alarm.severity)

    def follow(self, now: datetime) -> None:
        """Show the plot that now stands for all of them, and how many are bad."""
        showings = [plot.showing for plot in self.plots.values()]
        self.faulty = faulty(showings)
        self.stale = sum(showing.status is Status.STALE for showing in showings)
        self.nbad.post(self.faulty, now.timestamp())
        stands = worst(showings)
        if stands is None:
            return
        plot = self.plots[stands.name]
        flooded = any(other.status.drowned for other in self.plots.values())
        self.flood.post(int(flooded), now.timestamp())
        self.worst.post(plot.plot, plot.status.stamp)
        self.show_age(plot.verdict, now)
        if plot.verdict is None:
            self.status.post(Status.UNKNOWN.value, plot.status.stamp, UNDEFINED)
            self.conf.post(math.nan, plot.status.stamp)
            self.label.post("", plot.status.stamp)
            self.message.post(f"{plot.plot}: nothing judged yet", plot.status.stamp)
        elif flooded:
            self.show(plot.verdict, self._flood(showings), plot.status.stamp)
        else:
            self.show(plot.verdict, f"{plot.plot}: {plot.verdict.reason}", plot.status.stamp)

    def _flood(self, showings: Sequence[Showing]) -> str:
        """The plots that alarm, the worst first, as many as a message holds."""
        unwell = sorted((one for one in showings if one.status.severity), key=lambda one: (*urgency(one), one.name))
        words = f"a flood, {len(unwell)} plots alarm:"
        room = TEXT_BYTES - 1 - len(f" and {len(unwell)} more".encode())
        for told, one in enumerate(unwell):
            more = f"{words}{',' if told else ''} {within(one.name, self.detector)} {one.status.name}"
            if len(clean(more).encode()) > room:
                return f"{words} and {len(unwell) - told} more"
            words = more
        return words

    def show_rules(self, now: datetime) -> None:
        """A detector is switched off when all of its plots are."""
        self.enable.post(int(any(plot.enable.value for plot in self.plots.values())), now.timestamp())
        self.reason.show(now)

    def end(self, reason: str, stamp: float) -> None:
        """Nothing is known any more."""
        super().end(reason, stamp)
        self.worst.post("", stamp, OVER)
        self.flood.post(self.flood.value, stamp, OVER)
