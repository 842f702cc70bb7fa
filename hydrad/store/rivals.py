"""Whether another daemon lives on the same data base, which no two should."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from hydrad import log
from hydrad.store.rows import SILENT_AFTER, Heartbeat

_log = log.get("rivals")


class Rivals:
    """Knows another daemon by its sign of life, which moves between two looks; whose clock is right does not matter.

    One that was killed has left its last sign, which moves no more. Two on one host write over each other's.

    Args:
        mine: whether a sign of life is this daemon's own.
    """

    def __init__(self, mine: Callable[[Heartbeat], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._mine = mine
        self._clock = clock
        self._left: dict[tuple[str, int, datetime], datetime] = {}  # by daemon, its last sign
        self._moved_at: dict[tuple[str, int, datetime], float] = {}
        self._words: dict[tuple[str, int, datetime], str] = {}

    def look(self, signs: Sequence[Heartbeat]) -> None:
        """These signs of life are there now."""
        now = self._clock()
        for sign in signs:
            who = sign.host, sign.pid, sign.started_at
            if self._mine(sign):
                continue
            if self._left.get(who, sign.beat_at) != sign.beat_at:
                if who not in self._moved_at:
                    self._words[who] = _words(sign)
                    _log.error("another_daemon", host=sign.host, pid=sign.pid, so=_words(sign))
                self._moved_at[who] = now
            self._left[who] = sign.beat_at
        for who in [who for who, at in self._moved_at.items() if now - at > SILENT_AFTER.total_seconds()]:
            del self._moved_at[who]
            _log.info("other_daemon_gone", host=who[0], pid=who[1])

    @property
    def words(self) -> str:
        """Who else lives on this data base, in a sentence; empty if nobody does."""
        return "; ".join(self._words[who] for who in self._moved_at)


def _words(sign: Heartbeat) -> str:
    served = (sign.details or {}).get("pv_server", {})
    where = f", PVs {served['prefix']}… at port {served['port']}" if served.get("prefix") else ""
    return f"another daemon uses this data base: process {sign.pid} on {sign.host}{where}; stop one of the two"
