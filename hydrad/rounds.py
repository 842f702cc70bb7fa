"""Once a second: what has time changed, and how is the daemon itself?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn, Protocol

from hydrad import log
from hydrad.domain import NO_CANARY, Canary, Health, Vitals
from hydrad.pipeline import Pipeline
from hydrad.pulse import STALLED_AFTER_S, Diagnosis, diagnose

EVERY_S = 1.0

_log = log.get("rounds")


class Dial(Protocol):
    """Whoever shows how the daemon is."""

    async def show_vitals(self, vitals: Vitals) -> None:
        """Show them."""
        ...

    async def tick(self, now: datetime) -> None:
        """A second has passed: ages grow, the heart beats."""
        ...


@dataclass(kw_only=True)
class Rounds:
    """Ages the statuses and takes the daemon's pulse.

    Args:
        ticked_at: the last sign of life (``time.monotonic()``) of each part that must keep ticking.
        troubles: what is wrong though work goes on, by what one says about it.
        canary: what has come of the known-bad images.
        next_canary_s: how often one is sent.
        waiting: files seen that have not come to rest.
        outbox: records that the data base does not have yet.
        pv_clients: connected to the PV server.
        rival: which other daemon uses the same data base, in a sentence.
        stalled_after_s: how long a part may give no sign of life.
    """

    pipeline: Pipeline
    dials: Sequence[Dial]
    ticked_at: Mapping[str, Callable[[], float]]
    troubles: Mapping[str, Callable[[], bool]]
    database_ok: Callable[[], bool]
    model_ok: Callable[[], bool]
    waiting: Callable[[], int]
    canary: Callable[[], Canary] = lambda: NO_CANARY
    next_canary_s: float = 0.0
    outbox: Callable[[], int] = lambda: 0
    pv_clients: Callable[[], int] = lambda: 0
    rival: Callable[[], str] = lambda: ""
    stalled_after_s: float = STALLED_AFTER_S
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._idle_at = self._judged_at = self.clock()
        self._health = Health.OK

    async def run(self) -> NoReturn:
        """Make the rounds, for ever."""
        while True:
            await self.once()
            await asyncio.sleep(EVERY_S)

    async def once(self) -> None:
        """One round."""
        await self.pipeline.look_again()
        vitals = self.vitals()
        if vitals.health is not self._health:
            self._health = vitals.health
            _log.warning("health_changed", health=vitals.health.name, why=vitals.why)
        for dial in self.dials:
            await dial.show_vitals(vitals)
            await dial.tick(self.pipeline.clock())

    def vitals(self) -> Vitals:
        """How the daemon is at this moment."""
        canary = self.canary()
        diagnosis = self._diagnosis(canary)
        run = self.pipeline.runs.now()
        if run.number is None and not run.reason:
            run = replace(run, number=self.pipeline.roster.newest_run())
        return Vitals(
            health=diagnosis.health,
            why=diagnosis.why,
            silent=diagnosis.silent,
            beam=self.pipeline.beam.now(),
            beam_on_above=self.pipeline.beam.on_above,
            database_ok=self.database_ok(),
            model_ok=self.model_ok() and not canary.blind,
            images_per_s=self.pipeline.pulse.images_per_s,
            latency_s=self.pipeline.pulse.latency_s,
            pending=self.waiting() + len(self.pipeline.backlog),
            stages=self.pipeline.pulse.stages,
            outbox=self.outbox(),
            pv_clients=self.pv_clients(),
            run=run,
            tasks=len(asyncio.all_tasks()),
            canary=canary,
        )

    def _diagnosis(self, canary: Canary) -> Diagnosis:
        now = self.clock()
        self._judged_at = max(self._judged_at, self.pipeline.pulse.last_beat or 0.0)
        if not len(self.pipeline.backlog):
            self._idle_at = now
        stuck_for_s = now - max(self._idle_at, self.pipeline.pulse.last_beat or 0.0)
        return diagnose(
            now,
            {name: ticked() for name, ticked in self.ticked_at.items()},
            troubles={words: is_so() for words, is_so in self.troubles.items()}
            | {words: bool(words) for words in (canary.trouble, self.rival())},
            stuck_for_s=stuck_for_s,
            nothing_for_s=min(canary.out_s, now - self._judged_at) if canary.out_s >= self.next_canary_s else 0.0,
            stalled_after_s=self.stalled_after_s,
        )
