"""The sink that EPICS hears: verdicts, rules and vitals as PVs, and what clients put as changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import NoReturn

from hydrad import config, log
from hydrad.config import Group
from hydrad.domain import Change, Rules, Verdict, Vitals
from hydrad.errors import ChangeRefused
from hydrad.ioc.channel_access import CaServer, Records
from hydrad.ioc.controls import Controls, NotAdmitted, Who
from hydrad.ioc.detector_pvs import DetectorPvs
from hydrad.ioc.hall_pvs import HallPvs
from hydrad.ioc.kept import KeptFields
from hydrad.ioc.mirror import Mirrors
from hydrad.ioc.names import Names
from hydrad.ioc.plot_pvs import OVER, PlotPvs
from hydrad.ioc.records import Putter, Record
from hydrad.ioc.waveforms import Writer
from hydrad.settings import REASON, Owner, Settings, leaf_and_field

AGE_EVERY_S = 5  # every plot's age is posted that often
FAREWELL_S = 1.0  # how long clients get to take the last events
RESTS = 9.0  # times as long as it computes to look through the detectors whose plots changed

_log = log.get("ioc")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Ioc:
    """Serves the PVs of a hall.

    A plot's PVs are there from the first :meth:`tell` or :meth:`show_rules` that names it. Hand plots in by the order
    in which they were first seen and each keeps its names over restarts.

    Args:
        settings: prefix, interfaces, port, writers, mirror.
        controls: takes what clients put.
        changed: what people have changed, as it is at any time; None: nothing, ever.
        hall: its name.
        units: of the beam current.
    """

    name = "ioc"

    def __init__(
        self,
        settings: config.Ioc,
        *,
        controls: Controls,
        changed: Settings | None = None,
        hall: str,
        units: str,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.settings = settings  # those who may put may be others at any time
        self._controls = controls
        self._changed = Settings() if changed is None else changed
        self._clock = clock
        self._names = Names(settings.prefix, settings.mirror or "")
        self._plots: dict[str, PlotPvs] = {}
        self._homes: dict[str, DetectorPvs] = {}  # by plot
        self._shelved: dict[str, PlotPvs] = {}  # are on a shelf, or were
        self._detectors: dict[str, DetectorPvs] = {}
        self._behind: dict[str, DetectorPvs] = {}  # do not show yet what their plots do
        self._looks_from = 0.0  # by the loop's clock: when detectors may be looked through again
        self._records = Records()
        self._kept: dict[Owner, KeptFields] = {}
        self._hall = HallPvs(self._names, hall, units, least=self._asks_least, now=clock())
        self._serve(self._hall.records(), self._hall.leaf)
        self._mirrors = None if settings.mirror is None else Mirrors(self._names, settings.mirror_limits)
        if self._mirrors is not None:
            self._records.add(*self._mirrors.records())
        self._server = CaServer(self._records, interfaces=settings.interfaces, port=settings.port, gate=self)
        self._ticks = 0
        self._over = False
        self.serving = self._server.serving

    @property
    def pvs(self) -> Records:
        """All that is served."""
        return self._records

    @property
    def clients(self) -> int:
        """How many are connected."""
        return self._server.clients

    @property
    def behind(self) -> frozenset[str]:
        """The detectors that do not show yet what their plots do."""
        return frozenset(self._behind)

    async def run(self) -> NoReturn:
        """Serve until cancelled.

        Raises:
            TryAgain: somebody has the port, or this host does not have an interface's address at present.
            ConfigurationError: the port cannot be had for another reason.
        """
        await self._server.run()

    async def tell(self, verdict: Verdict) -> None:
        """Show a verdict, unless a newer image was judged before it."""
        if verdict.superseded or self._over:
            return
        now = self._clock()
        self._plot(verdict.plot, verdict.detector).tell(verdict, now)
        self._let_follow(self._homes[verdict.plot])

    async def show_rules(self, plot: str, rules: Rules) -> None:
        """Show how a plot is judged now."""
        if self._over:
            return
        now = self._clock()
        pvs = self._plot(plot, rules.detector)
        home = self._homes[plot]
        pvs.reason.holds(self._changed.why(plot=plot))
        home.reason.holds(self._changed.why(detector=home.detector))
        self._serve(pvs.show_rules(rules, now), pvs.leaf, plot=plot)
        if pvs.was_shelved:
            self._shelved[plot] = pvs
        home.show_rules(now)
        self._let_follow(home)

    def _let_follow(self, home: DetectorPvs) -> None:
        """Have a detector, and the hall, show their plots' worst once all verdicts at hand were told.

        To look through a detector's plots for each verdict of many would cost more than all else, and the more the more
        plots it has. So while verdicts keep coming it rests after each look for nine times as long as that computed;
        what other programs took of the core meanwhile does not make it rest longer.
        """
        if not self._behind:
            loop = asyncio.get_running_loop()
            loop.call_at(max(loop.time(), self._looks_from), self._catch_up)
        self._behind[home.detector] = home

    def _catch_up(self) -> None:
        if self._over:
            return
        now = self._clock()
        began = time.thread_time()
        for home in self._behind.values():
            home.follow(now)
        self._behind.clear()
        self._hall.follow(list(self._detectors.values()), now)
        self._looks_from = asyncio.get_running_loop().time() + RESTS * (time.thread_time() - began)

    async def show_field(self, change: Change) -> None:
        """Show a limit or a severity of a PV as it was changed."""
        kept = self._kept.get((change.plot, change.detector))
        if kept is not None:
            kept.show(*leaf_and_field(change.key), change.value)

    async def show_vitals(self, vitals: Vitals) -> None:
        """Show beam and pipeline."""
        if not self._over:
            self._hall.show_vitals(vitals, self._clock())

    async def tick(self, now: datetime) -> None:
        """A second has passed: hearts beat, ages grow, shelves empty."""
        if self._over:
            return
        self._hall.tick(now, self._server.clients)
        for plot in self._shelved.values():
            plot.show_shelf(now)
        turn = self._ticks % AGE_EVERY_S
        for plot in islice(self._plots.values(), turn, None, AGE_EVERY_S):
            plot.show_age(plot.verdict, now)
        for detector in islice(self._detectors.values(), turn, None, AGE_EVERY_S):
            detector.follow(now)  # operators may have given a plot's states other severities
            detector.reason.show(now)
        if self._mirrors is not None:
            self._mirrors.show(now)
        self._ticks += 1

    async def farewell(self, reason: str) -> None:
        """Make every status INVALID, and see that connected clients hear of it; nothing is shown after that."""
        self._over = True
        self._behind.clear()
        stamp = self._clock().timestamp()
        for shown in (*self._plots.values(), *self._detectors.values()):
            shown.end(reason, stamp)
        self._hall.end(stamp)
        if self._mirrors is not None:
            self._mirrors.end(stamp, OVER)
        if not await self._server.told(FAREWELL_S):
            _log.warning("client_did_not_hear_farewell")

    def admit(self, who: Who, groups: Sequence[Group]) -> None:
        """Raise NotAdmitted if this client may put to none of these groups of PVs."""
        allowed = [self.settings.writers_to(group) for group in groups]
        if groups and not any(who.is_one_of(patterns) for _, patterns in allowed):
            keys = dict.fromkeys(key for key, _ in allowed)
            raise NotAdmitted(f"is not among those who may put ({', '.join(keys)})")

    def refused(self, who: Who, name: str, value: float | str | None, why: str) -> None:
        """Say in MSG and in the log why a put was refused."""
        _log.warning("put_refused", by=who.user, host=who.host, pv=name, value=value, why=why)
        asked = "" if value is None else f" = {value!r}" if isinstance(value, str) else f" = {value:g}"
        self._hall.refuse(f"{who}: {name.removeprefix(self.settings.prefix)}{asked}: {why}", self._clock())

    def _plot(self, plot: str, detector: str) -> PlotPvs:
        if plot not in self._plots:
            home = self._detector(detector)
            pvs = PlotPvs(
                plot,
                self._names.plot(plot, detector),
                threshold=lambda label: self._names.threshold(plot, detector, label),
                mirror=None if self._mirrors is None else self._mirrors.add(plot),
                asks=lambda key: self._asks(key, plot=plot),
                explains=self._explains(plot=plot),
            )
            self._plots[plot] = home.plots[plot] = pvs
            self._homes[plot] = home
            self._serve(pvs.records(), pvs.leaf, plot=plot)
        return self._plots[plot]

    def _detector(self, detector: str) -> DetectorPvs:
        if detector not in self._detectors:
            self._detectors[detector] = pvs = DetectorPvs(
                detector,
                self._names.detector(detector),
                enabled=self._asks("enabled", detector=detector),
                explains=self._explains(detector=detector),
            )
            self._serve(pvs.records(), pvs.leaf, detector=detector)
        return self._detectors[detector]

    def _serve(
        self,
        records: Iterable[Record],
        leaf: Callable[[Record], str],
        *,
        plot: str | None = None,
        detector: str | None = None,
    ) -> None:
        """Serve these too, from the first moment with the limits and severities that people gave them."""
        new = list(records)
        if (plot, detector) not in self._kept:
            self._kept[plot, detector] = KeptFields(
                partial(self._asks_field, plot=plot, detector=detector), partial(self._changed.of_pvs, plot, detector)
            )
        self._kept[plot, detector].hold((leaf(record), record) for record in new)
        self._records.add(*new)

    def _asks(self, key: str, *, plot: str | None = None, detector: str | None = None) -> Putter:
        async def ask(who: Who, value: float, old: float | None) -> None:
            at = self._clock()
            if key == "shelved_until":
                value = at.timestamp() + 60 * value if value else 0.0
                until = self._plots[plot].shelved_until if plot is not None else None
                old = until.timestamp() if until is not None and until > at else 0.0
            elif value == old:
                return
            await self._controls.put(
                Change(key, value, who.user, who.host, at, "ca", plot=plot, detector=detector, old=old)
            )

        return ask

    def _explains(self, *, plot: str | None = None, detector: str | None = None) -> Writer:
        async def write(who: Who, text: str) -> None:
            await self._controls.put(
                Change(
                    REASON,
                    float(bool(text)),
                    who.user,
                    who.host,
                    self._clock(),
                    "ca",
                    plot=plot,
                    detector=detector,
                    reason=text,
                )
            )

        return write

    async def _asks_field(
        self, who: Who, key: str, value: float, old: float, *, plot: str | None, detector: str | None
    ) -> None:
        at = self._clock()
        await self._controls.put(
            Change(key, value, who.user, who.host, at, "ca", plot=plot, detector=detector, old=old)
        )

    async def _asks_least(self, who: Who, value: float, old: float | None) -> None:
        if value <= 0:
            raise ChangeRefused("must be above 0")
        await self._asks("beam.on_above")(who, value, old)
