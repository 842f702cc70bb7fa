"""How plots are judged, as the pages know it: which model serves one, its thresholds, and what they were before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from fastapi import HTTPException

from hydrad.classify.claims import Claim, claim_of, server
from hydrad.classify.fixed import FixedClassifier
from hydrad.config import FixedClassify
from hydrad.domain import Change, Meaning, Rules
from hydrad.settings import DELAYS, THRESHOLD, WINDOWS, Settings
from hydrad.store import changing
from hydrad.store.history import series
from hydrad.store.history.series import Known
from hydrad.store.models import registry
from hydrad.store.rows import Label
from hydrad.store.tables import ModelState
from hydrad.web.site import Site

Steps = Sequence[tuple[datetime | None, float | None]]  # from when on (None: always), which value (None: none)
Reigns = Sequence[tuple[datetime | None, str | None]]  # likewise, which model served


@dataclass(frozen=True, slots=True)
class Held:
    """How a plot is judged at present."""

    known: Known
    rules: Rules
    unchanged: Rules  # as configuration and model have it, before people changed anything
    labels: Mapping[str, Label]  # as people see them: meaning and colour
    meanings: Mapping[str, Meaning]  # of the model's own labels, to it
    changes: Sequence[Change]  # the newest of each setting

    @property
    def names(self) -> Sequence[str]:
        """The model's labels first, then those that the plot has besides."""
        return [*self.meanings, *(name for name in self.known.labels if name not in self.meanings)]


def plot_of(site: Site, plot: str) -> Known:
    """What the data base knows of a plot; raises 404 for one that was never seen."""
    known = series.known(site.store, plot)
    if known is None:
        raise HTTPException(404, f"no plot is called {plot!r}")
    return known


def held(site: Site, plot: str) -> Held:
    """How a plot is judged; raises 404 for one that was never seen."""
    known = plot_of(site, plot)
    rules, meanings = _unchanged(site, plot)
    labels = [*meanings, *(name for name in known.labels if name not in meanings)]
    changes = changing.in_force(site.store, plot, rules.detector, labels)
    return Held(
        known=known,
        rules=Settings(changes).over(plot, rules),
        unchanged=rules,
        labels=site.store.labels(plot),
        meanings=meanings,
        changes=changes,
    )


def _unchanged(site: Site, plot: str) -> tuple[Rules, Mapping[str, Meaning]]:
    rules = site.config.rules_of(plot)
    if isinstance(site.config.classify, FixedClassify):
        fixed = FixedClassifier(site.config.classify.scores).card(plot)
        if fixed is not None:
            return replace(rules, model=fixed.id, thresholds=fixed.thresholds), fixed.labels
    cards = changing.cards(site.store)
    claims = [claim for name, card in cards.items() if (claim := claim_of(name, card)) is not None]
    model = server(plot, claims)
    if model is None:
        return rules, {}
    return replace(rules, model=model, thresholds=_thresholds(cards[model])), _meanings(cards[model])


def _thresholds(card: Mapping[str, Any]) -> Mapping[str, float]:
    return dict(card.get("thresholds", {}))


def _meanings(card: Mapping[str, Any]) -> Mapping[str, Meaning]:
    return {label["name"]: Meaning(label["meaning"]) for label in card.get("labels", ())}


def before(held: Held, key: str) -> float | None:
    """What a setting of a plot is before anybody has changed it; None where nothing says so."""
    if key.startswith(THRESHOLD):
        return held.unchanged.thresholds.get(key.removeprefix(THRESHOLD))
    match key:
        case key if key in DELAYS + WINDOWS:
            return float(getattr(held.unchanged, key))
        case "enabled":
            return 1.0
        case _:
            return 0.0


def reigns(site: Site, held: Held) -> tuple[Reigns, Mapping[str, Mapping[str, Any]]]:
    """Which model served a plot from when on, the first first, and the cards of these models."""
    if isinstance(site.config.classify, FixedClassify):
        return [(None, held.rules.model)], {}
    moves = [move for move in reversed(registry.history(site.store)) if ModelState.IN_SERVICE in {move.old, move.new}]
    cards = changing.cards(site.store, {move.model for move in moves}) if moves else {}
    claims = {name: claim for name, card in cards.items() if (claim := claim_of(name, card)) is not None}
    serving: dict[str, Claim] = {}
    found: list[tuple[datetime | None, str | None]] = [(None, None)]
    for at, decided in groupby(moves, key=lambda move: move.at):
        for move in decided:
            if move.new is ModelState.IN_SERVICE and move.model in claims:
                serving[move.model] = claims[move.model]
            else:
                serving.pop(move.model, None)
        model = server(held.known.name, serving.values())
        if model != found[-1][1]:
            found.append((at, model))
    return found, cards


def lines(site: Site, held: Held, reigned: Reigns, cards: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Steps]:
    """Each label's threshold, as it was over time: the model's own until somebody changed it."""
    filed = changing.history(site.store, held.known.name, held.rules.detector, held.names, limit=MOST_STEPS)
    changes = [one.change for one in reversed(filed)]
    found: dict[str, Steps] = {}
    for label in held.names:
        set_to = [(one.at, one.value) for one in changes if one.key == f"{THRESHOLD}{label}"]
        own = [
            (at, held.unchanged.thresholds.get(label) if not cards else _own(cards, model, label))
            for at, model in reigned
        ]
        found[label] = _laid_over(own, set_to)
    return found


MOST_STEPS = 2000


def _own(cards: Mapping[str, Mapping[str, Any]], model: str | None, label: str) -> float | None:
    return None if model is None or model not in cards else _thresholds(cards[model]).get(label)


def _laid_over(own: Sequence[tuple[datetime | None, float | None]], set_to: Sequence[tuple[datetime, float]]) -> Steps:
    """Steps of what people set, over those of the models; a label that a model lacks has none, whatever was set."""
    begin = datetime.min.replace(tzinfo=UTC)
    told = [(at or begin, True, value) for at, value in own] + [(at, False, value) for at, value in set_to]
    base = theirs = None
    steps: list[tuple[datetime | None, float | None]] = []
    for at, by_model, value in sorted(told, key=lambda one: one[0]):
        base, theirs = (value, theirs) if by_model else (base, value)
        now = base if base is None or theirs is None else theirs
        if not steps or steps[-1][1] != now:
            steps.append((None if at == begin else at, now))
    return steps
