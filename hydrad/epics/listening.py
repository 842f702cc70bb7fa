"""Some PVs of others, followed together: what each reads, and whether it still gives a sign of life."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hydrad import log
from hydrad.errors import ConfigurationError
from hydrad.inbox import Inbox

if TYPE_CHECKING:
    from hydrad.epics.channel import Channel

SHORTEST_PROOF_S, LONGEST_PROOF_S = 0.25, 10.0
SEARCH_S = 10.0  # a PV that is not there is looked for afresh this often
LEAVE_S = 0.5  # how long the asking thread may take to end

_log = log.get("epics")


@dataclass(frozen=True, slots=True)
class Reading:
    """A PV's value, new or confirmed."""

    name: str
    at_s: float
    value: float | str
    severity: int


@dataclass(frozen=True, slots=True)
class Loss:
    """A PV's value cannot be trusted any more; ``trouble`` says why, after the PV's name."""

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


class Listening:
    """Follows PVs; a context manager. libca's threads only hand over, what they heard is taken in the event loop.

    A monitor event is a sign of life; so is the answer to a real get, which a thread of its own asks for every quarter
    of ``stale_s``: neither a connection that still stands nor a last value or its time stamp proves anything.

    Args:
        section: of the configuration, which names the PVs.
        text: read them as text, else as numbers.
        clock: of the seconds that readings and losses are told with.
    """

    def __init__(
        self, section: str, names: Sequence[str], *, stale_s: float, text: bool = False, clock: Callable[[], float]
    ) -> None:
        self._section = section
        self._names = tuple(dict.fromkeys(names))
        self._text = text
        self._clock = clock
        self._proof_s = min(max(stale_s / 4, SHORTEST_PROOF_S), LONGEST_PROOF_S)
        self._inbox: Inbox[Reading | Loss | _Complaint] | None = None
        self._asking: _Asking | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Connect, from the event loop's thread; the first to do so in a process should be its main thread.

        Raises:
            ConfigurationError: when pyepics is not installed, libca cannot be loaded, or no PV can have such a name.
        """
        try:
            from hydrad.epics import channel  # noqa: PLC0415  pyepics is an extra, and loads libca
        except ImportError as fault:
            raise ConfigurationError(
                f"{self._section}.kind: 'epics' needs pyepics, the extra hydrad[epics] ({fault})"
            ) from fault
        self._inbox = Inbox(asyncio.get_running_loop(), key=lambda heard: heard.name)
        ear = _Ear(self._inbox, self._clock)
        with ExitStack() as opening:
            opening.enter_context(channel.attached(self._section, ear.complaint))
            channels = []
            for name in self._names:
                channels.append(channel.Channel(name, ear, section=self._section, text=self._text))
                opening.callback(channels[-1].close)
            asking = _Asking(f"{self._section}-proof", channels, self._proof_s, channel.use_from_this_thread)
            self._asking = opening.enter_context(asking)
            ear.on_connection = asking.soon
            self._open = opening.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    @property
    def alive(self) -> bool:
        """Whether somebody still asks the PVs."""
        return self._asking is not None and self._asking.alive

    def heard(self) -> list[Reading | Loss]:
        """What was heard since, of each PV the newest, in the order in which it was heard."""
        heard = [] if self._inbox is None else sorted(self._inbox.drain(), key=lambda item: item.at_s)
        for item in heard:
            if isinstance(item, _Complaint):
                _log.info("channel_access_says", message=item.message, context=item.context)
        return [item for item in heard if not isinstance(item, _Complaint)]

    async def wait(self, within_s: float) -> None:
        """Return when something was heard, or after a while."""
        if self._inbox is None:
            await asyncio.sleep(within_s)
        else:
            await self._inbox.wait(within_s)


class _Ear:
    """Listens on libca's threads and posts what it hears; of each PV the newest is what counts."""

    def __init__(self, inbox: Inbox[Reading | Loss | _Complaint], clock: Callable[[], float]) -> None:
        self._inbox = inbox
        self._clock = clock
        self.on_connection: Callable[[], None] = lambda: None

    def connection(self, name: str, up: bool) -> None:
        self._inbox.post(Loss(name, self._clock(), "has not answered yet" if up else "disconnected"))
        if up:
            self.on_connection()

    def reading(self, name: str, value: float | str, severity: int) -> None:
        self._inbox.post(Reading(name, self._clock(), value, severity))

    def refusal(self, name: str, why: str) -> None:
        self._inbox.post(Loss(name, self._clock(), f"cannot be read: {why}"))

    def complaint(self, message: str, context: str) -> None:
        self._inbox.post(_Complaint(message, context, self._clock()))


class _Asking:
    """The thread that proves by real gets that the PVs live, and looks for those that are not there."""

    def __init__(self, name: str, channels: Sequence[Channel], every_s: float, attach: Callable[[], None]) -> None:
        self._channels = channels
        self._every_s = every_s
        self._attach = attach
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._ask_for_ever, name=name, daemon=True)

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
