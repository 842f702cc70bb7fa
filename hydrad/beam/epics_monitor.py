"""The beam as EPICS has it, from PVs that may vanish, freeze, or never change."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hydrad import log
from hydrad.beam.timeline import Timeline
from hydrad.config import EpicsBeam
from hydrad.domain import Beam, BeamState
from hydrad.errors import ConfigurationError, HydradError
from hydrad.inbox import Inbox

if TYPE_CHECKING:
    from hydrad.beam.channel import Channel

TICK_S = 0.5  # how soon it is in the log that a PV gave no sign of life
SHORTEST_PROOF_S, LONGEST_PROOF_S = 0.25, 10.0
SEARCH_S = 10.0  # a PV that is not there is looked for afresh this often
LEAVE_S = 0.5  # how long the asking thread may take to end

_log = log.get("beam")


class EpicsBeamMonitor:
    """Follows the configured PVs; libca's threads only hand over, all else happens in the event loop.

    A monitor event is a sign of life; so is the answer to a real get, which a thread of its own asks for every quarter
    of ``stale_s``. A PV without either for ``stale_s`` is UNKNOWN: neither a connection that still stands nor a last
    value or its time stamp proves anything.
    """

    def __init__(
        self,
        section: EpicsBeam,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._timeline = Timeline(section, clock())
        self._proof_s = min(max(section.stale_s / 4, SHORTEST_PROOF_S), LONGEST_PROOF_S)
        self._inbox: Inbox[_Reading | _Loss | _Complaint] | None = None
        self._asking: _Asking | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Connect, from the event loop's thread; the first to do so in a process should be its main thread.

        Raises:
            ConfigurationError: when pyepics is not installed, libca cannot be loaded, or no PV can have such a name.
        """
        try:
            from hydrad.beam import channel  # noqa: PLC0415  pyepics is an extra, and loads libca
        except ImportError as fault:
            raise ConfigurationError(f"beam.kind: 'epics' needs pyepics, the extra hydrad[epics] ({fault})") from fault
        self._inbox = Inbox(asyncio.get_running_loop(), key=lambda heard: heard.name)
        ear = _Ear(self._inbox, self._clock)
        with ExitStack() as opening:
            opening.enter_context(channel.attached(ear.complaint))
            opening.callback(self._stop_believing)
            channels = []
            for name in self._timeline.names:
                channels.append(channel.Channel(name, ear))
                opening.callback(channels[-1].close)
            self._asking = opening.enter_context(_Asking(channels, self._proof_s, channel.use_from_this_thread))
            ear.on_connection = self._asking.soon
            self._open = opening.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    @property
    def on_above(self) -> float:
        """The current that means beam, in ``units``; may be set while running, ChangeRefused if it makes no sense."""
        return self._timeline.on_above

    @on_above.setter
    def on_above(self, current: float) -> None:
        self._catch_up()
        self._timeline.set_on_above(current, self._clock())

    def now(self) -> Beam:
        """The last reading and its state; ``read_at`` is when it was made or last confirmed."""
        self._catch_up()
        beam = self._timeline.at(self._clock())
        return replace(
            beam,
            read_at=self._date(self._timeline.read_at_s()),
            since=self._date(self._timeline.back_at_s()),
        )

    def during(self, start: datetime, end: datetime) -> Beam:
        """The state that held longest over [start, end] (aware), the mean current; ``read_at`` is the end.

        Raises:
            ValueError: when the end lies before the start.
        """
        self._catch_up()
        now, now_s = self._wall(), self._clock()
        start_s, end_s = (now_s - (now - moment).total_seconds() for moment in (start, end))
        return replace(self._timeline.over(start_s, end_s, now_s), read_at=min(end, now))

    async def run(self) -> None:
        """Log when the beam comes, goes or is lost, for ever.

        Raises:
            HydradError: when the thread that asks the PVs has ended.
        """
        said: tuple[BeamState, str] | None = None
        while True:
            if self._inbox is None or self._asking is None or not self._asking.alive:
                raise HydradError("the thread that asks the beam PVs has ended")
            beam = self.now()
            # The reason of a beam that is off has its current in it.
            saying = beam.state, beam.reason if beam.state is BeamState.UNKNOWN else ""
            if saying != said:
                said = saying
                tell = _log.warning if beam.state is BeamState.UNKNOWN else _log.info
                tell(f"beam_{beam.state.name.lower()}", current=beam.current, units=beam.units, reason=beam.reason)
            await self._inbox.wait(TICK_S)

    def _catch_up(self) -> None:
        """Take in what was heard since; whoever asks first does it, so that nobody is told yesterday's beam."""
        heard = [] if self._inbox is None else self._inbox.drain()
        for item in sorted(heard, key=lambda item: item.at_s):
            match item:
                case _Reading():
                    self._timeline.read(item.name, item.value, item.severity, item.at_s)
                case _Loss():
                    self._timeline.lost(item.name, item.trouble, item.at_s)
                case _Complaint():
                    _log.info("channel_access_says", message=item.message, context=item.context)

    def _stop_believing(self) -> None:
        self._catch_up()
        for name in self._timeline.names:
            self._timeline.lost(name, "is no longer watched", self._clock())

    def _date(self, instant_s: float | None) -> datetime | None:
        return None if instant_s is None else self._wall() - timedelta(seconds=self._clock() - instant_s)


@dataclass(frozen=True, slots=True)
class _Reading:
    name: str
    at_s: float
    value: float
    severity: int


@dataclass(frozen=True, slots=True)
class _Loss:
    name: str
    at_s: float
    trouble: str


@dataclass(frozen=True, slots=True)
class _Complaint:
    message: str
    context: str
    at_s: float

    @property
    def name(self) -> str:
        return f"{self.message} {self.context}"  # of equal ones, one is enough


class _Ear:
    """Listens on libca's threads and posts what it hears; of each PV the newest is what counts."""

    def __init__(self, inbox: Inbox[_Reading | _Loss | _Complaint], clock: Callable[[], float]) -> None:
        self._inbox = inbox
        self._clock = clock
        self.on_connection: Callable[[], None] = lambda: None

    def connection(self, name: str, up: bool) -> None:
        self._inbox.post(_Loss(name, self._clock(), "has not answered yet" if up else "disconnected"))
        if up:
            self.on_connection()

    def reading(self, name: str, value: float, severity: int) -> None:
        self._inbox.post(_Reading(name, self._clock(), value, severity))

    def refusal(self, name: str, why: str) -> None:
        self._inbox.post(_Loss(name, self._clock(), f"cannot be read: {why}"))

    def complaint(self, message: str, context: str) -> None:
        self._inbox.post(_Complaint(message, context, self._clock()))


class _Asking:
    """The thread that proves by real gets that the PVs live, and looks for those that are not there."""

    def __init__(self, channels: Sequence[Channel], every_s: float, attach: Callable[[], None]) -> None:
        self._channels = channels
        self._every_s = every_s
        self._attach = attach
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._ask_for_ever, name="beam-proof", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._ending = True
        self._wake.set()
        self._thread.join(LEAVE_S)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def soon(self) -> None:
        """Ask at once; for any thread."""
        self._wake.set()

    def _ask_for_ever(self) -> None:
        self._attach()
        searched_at_s = dict.fromkeys(self._channels, time.monotonic())
        while not self._ending:
            now_s = time.monotonic()
            for channel in self._channels:
                if channel.connected:
                    channel.ask()
                    searched_at_s[channel] = now_s
                elif now_s - searched_at_s[channel] >= SEARCH_S:
                    channel.search_afresh()
                    searched_at_s[channel] = now_s
            self._wake.wait(min(self._every_s, SEARCH_S))
            self._wake.clear()
