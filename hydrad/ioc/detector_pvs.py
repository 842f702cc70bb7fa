"""The PVs of one detector: its worst plot, and how many are bad."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime

from hydrad.domain import Severity, Status
from hydrad.ioc.alarm import UNDEFINED
from hydrad.ioc.plot_pvs import OVER, SWITCH, PlotPvs, Shown
from hydrad.ioc.records import Putter, Record, States, String
from hydrad.ranking import Showing, faulty, worst


class DetectorPvs(Shown):
    """One detector and its plots."""

    def __init__(self, detector: str, stem: str, *, enabled: Putter) -> None:
        super().__init__(stem, detector)
        self.detector = detector
        self.plots: dict[str, PlotPvs] = {}
        self.faulty = 0  # its plots that are BAD or NODATA
        self.stale = 0  # its plots that are STALE
        self.worst = String(f"{stem}:PLOT", f"{detector}: its worst plot"[:40])
        self.enable = States(
            f"{stem}:ENABLE",
            f"{detector}: judged at all"[:40],
            SWITCH,
            (Severity.NO_ALARM, Severity.NO_ALARM),
            putter=enabled,
        )

    def records(self) -> Iterator[Record]:
        """All of them."""
        yield from super().records()
        yield from (self.worst, self.enable)

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
        self.worst.post(plot.plot, plot.status.stamp)
        self.show_age(plot.verdict, now)
        if plot.verdict is None:
            self.status.post(Status.UNKNOWN.value, plot.status.stamp, UNDEFINED)
            self.conf.post(math.nan, plot.status.stamp)
            self.label.post("", plot.status.stamp)
            self.message.post(f"{plot.plot}: nothing judged yet", plot.status.stamp)
        else:
            self.show(plot.verdict, f"{plot.plot}: {plot.verdict.reason}", plot.status.stamp)

    def show_rules(self, now: datetime) -> None:
        """A detector is switched off when all of its plots are."""
        self.enable.post(int(any(plot.enable.value for plot in self.plots.values())), now.timestamp())

    def end(self, reason: str, stamp: float) -> None:
        """Nothing is known any more."""
        super().end(reason, stamp)
        self.worst.post("", stamp, OVER)
