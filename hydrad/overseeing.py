"""What systemd is told of the daemon, round by round: its watchdog gets fed from progress, its status is one line."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from hydrad.domain import Health, Vitals
from hydrad.systemd import Systemd

FIGURES_EVERY_S = 10.0  # a line that differs by its figures only is not worth a message each second


class Overseer:
    """Hears of every round, as the PVs do.

    What is away outside, and what only people can mend, feeds the watchdog all the same: nothing would be won by
    starting anew.

    Args:
        plots: how many are followed.
    """

    def __init__(self, systemd: Systemd, plots: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._systemd = systemd
        self._plots = plots
        self._clock = clock
        self._fed_at = float("-inf")
        self._told_at = float("-inf")
        self._told = ""
        self._remark = ""

    def remember(self, remark: str) -> None:
        """Say this too, about the configuration, until told something else; nothing when it is empty."""
        self._remark = remark

    async def show_vitals(self, vitals: Vitals) -> None:
        """Feed the watchdog if every part has shown a sign of life, and say how it is."""
        now = self._clock()
        if not vitals.silent and now - self._fed_at >= (self._systemd.feed_every_s or 0.0):
            self._fed_at = now
            self._systemd.gets_on()
        words = "; ".join(filter(None, (_unwell(vitals), self._remark)))
        if words != self._told or now - self._told_at >= FIGURES_EVERY_S:
            self._told, self._told_at = words, now
            self._systemd.status("; ".join(filter(None, (self._figures(vitals), words))))

    async def tick(self, now: datetime) -> None:
        """Nothing that grows old by the second is told."""

    def _figures(self, vitals: Vitals) -> str:
        return f"{vitals.images_per_s:.1f} images/s of {self._plots()} plots, {vitals.pending} waiting"


def _unwell(vitals: Vitals) -> str:
    return "" if vitals.health is Health.OK else f"{vitals.health.name.lower()}: {vitals.why}"
