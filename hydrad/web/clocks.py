"""The clock of the daemon's host, told by its signs of life: whether it lives must not hang on two clocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from hydrad.store.queries import Store
from hydrad.store.rows import Heartbeat

DEAD_AFTER: Final = timedelta(seconds=10)  # without a sign of life of the daemon
CLOSE_S: Final = 3.0  # two looks so near each other that a sign of life between them was given just now


def lives(beat: Heartbeat | None, now: datetime) -> bool:
    """Whether a sign of life was given just now; one of a time to come says nothing.

    Args:
        beat: by the clock that ``now`` was read from, as :meth:`Clocks.heartbeat` has it.
    """
    return beat is not None and abs(now - beat.beat_at) <= DEAD_AFTER


@dataclass(frozen=True, slots=True)
class _Heard:
    """A sign of life, and when it was first seen, in seconds that no clock moves."""

    host: str
    beat_at: datetime
    tick: float

    def follows(self, last: _Heard) -> bool:
        """Whether as much time has passed between the two there as here: not so where a clock was set."""
        return abs((self.beat_at - last.beat_at).total_seconds() - (self.tick - last.tick)) <= CLOSE_S


class Clocks:
    """Reads the daemon's sign of life by the clock of this host; any thread may ask.

    One that comes between two looks was given then, whatever it says itself, unless its clock was just set. So one
    that stands still grows old here at once, also on a host whose clock is an hour behind the daemon's.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ticks = ticks
        self._behind = timedelta()  # how far the daemon's clock is behind this one
        self._last: _Heard | None = None
        self._looked = float("-inf")

    def heartbeat(self) -> Heartbeat | None:
        """The newest sign of life with its times as this host's clock had them, or None if there never was one."""
        beat = self._store.heartbeat()
        if beat is None:
            return None
        now, heard, last = self._clock(), _Heard(beat.host, beat.beat_at, self._ticks()), self._last
        if last is None or last.host != heard.host:
            self._behind, self._last = timedelta(), heard
        elif last.beat_at != heard.beat_at:
            if heard.tick - self._looked <= CLOSE_S and heard.follows(last):
                self._behind = now - beat.beat_at
            self._last = heard
        self._looked = heard.tick
        return replace(beat, beat_at=beat.beat_at + self._behind, started_at=beat.started_at + self._behind)
