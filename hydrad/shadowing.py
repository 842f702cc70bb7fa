"""Models in shadow judge along, when nobody waits for a verdict; what they say changes no status."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from hydrad import log
from hydrad.domain import Verdict
from hydrad.errors import BundleError, ImageError
from hydrad.keeping import keep
from hydrad.pipeline import Pipeline
from hydrad.verdict import confirmed

LULL_S = 0.05  # how often it is looked whether everybody has been served
MOST_WAITING = 4096  # verdicts that wait for a shadow's word

_log = log.get("shadows")


class Shadowing:
    """Shows judged images to the shadows of their plots; its :meth:`run` is a root task.

    The oldest images go unheard when more come than there is time for.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._waiting: deque[Verdict] = deque(maxlen=MOST_WAITING)
        self._news = asyncio.Event()

    def hear(self, verdict: Verdict) -> None:
        """A new image has been judged."""
        if self._pipeline.classifier.shadows(verdict.plot):
            self._waiting.append(verdict)
            self._news.set()

    async def run(self) -> NoReturn:
        """Ask the shadows, for ever."""
        while True:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
            elif len(self._pipeline.backlog):
                await asyncio.sleep(LULL_S)
            else:
                await self._ask(self._waiting.popleft())

    async def _ask(self, verdict: Verdict) -> None:
        house = self._pipeline
        try:
            picture = await house.decode(Path(verdict.path or ""), verdict.plot)
        except (ImageError, OSError):  # it has gone, or another has taken its place
            return
        if picture.sha256 != verdict.sha256:
            return
        for card in house.classifier.shadows(verdict.plot):
            try:
                said = await house.classifier.ask(card.id, picture)
            except BundleError as fault:
                _log.warning("shadow_silent", plot=verdict.plot, model=card.id, why=str(fault))
                continue
            sure = confirmed(said, replace(house.roster.rules(verdict.plot), thresholds=card.thresholds))
            await keep(partial(house.ledger.overhear, verdict, said, confirmed=sure))
