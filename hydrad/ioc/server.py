"""The sink that EPICS hears: verdicts, rules and vitals as PVs, and what clients put as changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn

from hydrad import config, log
from hydrad.domain import Change, Rules, Verdict, Vitals
from hydrad.errors import ChangeRefused
from hydrad.ioc.channel_access import CaServer, Records
from hydrad.ioc.controls import Controls, NotAdmitted, Who
from hydrad.ioc.detector_pvs import DetectorPvs
from hydrad.ioc.hall_pvs import HallPvs
from hydrad.ioc.names import Names
from hydrad.ioc.plot_pvs import PlotPvs
from hydrad.ioc.records import Putter

AGE_EVERY_S = 5  # every plot's age is posted that often
FAREWELL_S = 1.0  # how long clients get to take the last events

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
        hall: its name.
        units: of the beam current.
    """

    name = "ioc"

    def __init__(
        self,
        settings: config.Ioc,
        *,
        controls: Controls,
        hall: str,
        units: str,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._settings = settings
        self._controls = controls
        self._clock = clock
        self._names = Names(settings.prefix, settings.mirror or "")
        self._plots: dict[str, PlotPvs] = {}
        self._homes: dict[str, DetectorPvs] = {}  # by plot
        self._detectors: dict[str, DetectorPvs] = {}
        self._records = Records()
        self._hall = HallPvs(self._names, hall, units, least=self._asks_least, now=clock())
        self._records.add(*self._hall.records())
        self._server = CaServer(self._records, interfaces=settings.interfaces, port=settings.port, gate=self)
        self._ticks = 0
        self._over = False
        self.serving = self._server.serving

    async def run(self) -> NoReturn:
        """Serve until cancelled.

        Raises:
            ConfigurationError: an interface or the port cannot be had.
        """
        await self._server.run()

    async def tell(self, verdict: Verdict) -> None:
        """Show a verdict, unless a newer image was judged before it."""
        if verdict.superseded or self._over:
            return
        now = self._clock()
        self._plot(verdict.plot, verdict.detector).tell(verdict, now)
        self._homes[verdict.plot].follow(now)
        self._hall.follow(list(self._detectors.values()), now)

    async def show_rules(self, plot: str, rules: Rules) -> None:
        """Show how a plot is judged now."""
        if self._over:
            return
        now = self._clock()
        self._records.add(*self._plot(plot, rules.detector).show_rules(rules, now))
        self._homes[plot].show_rules(now)
        self._homes[plot].follow(now)

    async def show_vitals(self, vitals: Vitals) -> None:
        """Show beam and pipeline."""
        if not self._over:
            self._hall.show_vitals(vitals, self._clock())

    async def tick(self, now: datetime) -> None:
        """A second has passed: hearts beat, ages grow, shelves empty."""
        if self._over:
            return
        self._hall.tick(now, self._server.clients)
        for n, plot in enumerate(self._plots.values()):
            plot.show_shelf(now)
            if n % AGE_EVERY_S == self._ticks % AGE_EVERY_S:
                plot.show_age(plot.verdict, now)
        for n, detector in enumerate(self._detectors.values()):
            if n % AGE_EVERY_S == self._ticks % AGE_EVERY_S:
                detector.follow(now)  # operators may have given a plot's states other severities
        self._ticks += 1

    async def farewell(self, reason: str) -> None:
        """Make every status INVALID, and see that connected clients hear of it; nothing is shown after that."""
        self._over = True
        stamp = self._clock().timestamp()
        for shown in (*self._plots.values(), *self._detectors.values()):
            shown.end(reason, stamp)
        self._hall.end(stamp)
        if not await self._server.told(FAREWELL_S):
            _log.warning("client_did_not_hear_farewell")

    def admit(self, who: Who) -> None:
        """Raise NotAdmitted if this client may not put at all."""
        if not who.is_one_of(self._settings.writers):
            raise NotAdmitted("is not among those who may put (ioc.writers)")

    def refused(self, who: Who, name: str, value: float | str | None, why: str) -> None:
        """Say in MSG and in the log why a put was refused."""
        _log.warning("put_refused", by=who.user, host=who.host, pv=name, value=value, why=why)
        asked = "" if value is None else f" = {value!r}" if isinstance(value, str) else f" = {value:g}"
        self._hall.refuse(f"{who}: {name.removeprefix(self._settings.prefix)}{asked}: {why}", self._clock())

    def _plot(self, plot: str, detector: str) -> PlotPvs:
        if plot not in self._plots:
            home = self._detector(detector)
            mirror = None if self._settings.mirror is None else self._names.mirror(plot)
            pvs = PlotPvs(
                plot,
                self._names.plot(plot, detector),
                threshold=lambda label: self._names.threshold(plot, detector, label),
                mirror=mirror,
                asks=lambda key: self._asks(key, plot=plot),
            )
            self._plots[plot] = home.plots[plot] = pvs
            self._homes[plot] = home
            self._records.add(*pvs.records())
        return self._plots[plot]

    def _detector(self, detector: str) -> DetectorPvs:
        if detector not in self._detectors:
            stem, enabled = self._names.detector(detector), self._asks("enabled", detector=detector)
            self._detectors[detector] = DetectorPvs(detector, stem, enabled=enabled)
            self._records.add(*self._detectors[detector].records())
        return self._detectors[detector]

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

    async def _asks_least(self, who: Who, value: float, old: float | None) -> None:
        if value <= 0:
            raise ChangeRefused("must be above 0")
        await self._asks("beam.on_above")(who, value, old)
