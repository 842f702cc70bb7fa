"""When it was by the host's clock, of instants told by one that nobody sets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

SET: Final = timedelta(milliseconds=50)  # what the host's clock is off by when somebody, or NTP in a leap, has set it


class Calendar:
    """Dates for the seconds of a monotonic clock: the same instant has the same date until the host's clock is set.

    Worked out anew each time it would be some microseconds off, and whoever compares would see news each time.

    Args:
        clock: seconds, as of ``time.monotonic``.
        wall: the host's clock, aware.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], datetime]) -> None:
        self._clock = clock
        self._wall = wall
        self._zero = self._found()

    def date(self, instant_s: float) -> datetime:
        """When it was, aware."""
        return self._zero_now() + timedelta(seconds=instant_s)

    def instant(self, moment: datetime) -> float:
        """In seconds of the monotonic clock; ``moment`` is aware."""
        return (moment - self._zero_now()).total_seconds()

    def _zero_now(self) -> datetime:
        found = self._found()
        if abs(found - self._zero) > SET:
            self._zero = found
        return self._zero

    def _found(self) -> datetime:
        return self._wall() - timedelta(seconds=self._clock())
