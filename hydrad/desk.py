"""Where people's changes arrive, by caput, by page or by command, and are applied, kept and announced."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from hydrad import log
from hydrad.domain import Cause, Change, Rules
from hydrad.errors import ChangeRefused
from hydrad.keeping import keep
from hydrad.pipeline import Pipeline
from hydrad.settings import BEAM_THRESHOLD, PV, check

_log = log.get("desk")


class Panel(Protocol):
    """Whoever shows the settings as they now hold."""

    async def show_rules(self, plot: str, rules: Rules) -> None:
        """Show how a plot is judged now."""
        ...

    async def show_field(self, change: Change) -> None:
        """Show a limit or a severity of a PV as it was changed."""
        ...


class Desk:
    """Applies changes to the judgement, keeps their history, and shows the result."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.panel: Panel | None = None

    async def put(self, change: Change) -> None:
        """A person asks for a change here and now.

        Raises:
            ChangeRefused: with a sentence; nothing has changed.
        """
        taken = self._take(self._pipeline.roster.settings.explained(change))
        if taken is None:
            raise ChangeRefused(f"{change.key}: a newer change is in force")
        await keep(lambda: self._pipeline.ledger.change(taken))
        await self._announce(taken)

    async def adopt(self, change: Change) -> None:
        """A change that stands in the data base already; one that cannot be is logged and has no effect."""
        try:
            taken = self._take(change)
        except ChangeRefused as why:
            _log.error("stored_setting_refused", key=change.key, plot=change.plot, by=change.by, why=str(why))
            return
        if taken is not None:
            await self._announce(taken)

    def _take(self, change: Change) -> Change | None:
        if change.key != BEAM_THRESHOLD:
            return self._pipeline.roster.change(change)
        check(change)
        beam = self._pipeline.beam
        before = beam.on_above
        beam.on_above = change.value  # may refuse: then nothing has changed yet
        taken = self._pipeline.roster.change(change)
        if taken is None:
            beam.on_above = before
            return None
        return replace(taken, old=before)

    async def _announce(self, change: Change) -> None:
        roster = self._pipeline.roster
        _log.info(
            "setting_changed",
            key=change.key,
            plot=change.plot,
            detector=change.detector,
            old=change.old,
            new=change.value,
            by=change.by,
            host=change.host,
            via=change.via,
            reason=change.reason,
        )
        if change.key.startswith(PV):
            if self.panel is not None:
                await self.panel.show_field(change)
            return
        await self._pipeline.look_again(Cause.CHANGE)
        if self.panel is None:
            return
        for plot in roster:
            rules = roster.rules(plot)
            if change.plot == plot or (change.detector is not None and change.detector == rules.detector):
                await self.panel.show_rules(plot, rules)
