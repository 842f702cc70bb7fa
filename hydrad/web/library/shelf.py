"""Every model of the library, where it stands, what it serves and how it is judged: what its pages and API show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Final
from zlib import crc32

from hydrad.classify import bundle as bundles
from hydrad.classify.claims import Claim, claim_of, servers
from hydrad.config import Config, FixedClassify
from hydrad.domain import Change
from hydrad.settings import THRESHOLD
from hydrad.store.models import registry
from hydrad.store.models.registry import Move, Place
from hydrad.store.queries import Store
from hydrad.store.rows import Model
from hydrad.store.tables import ModelState
from hydrad.web.clocks import Clocks, lives
from hydrad.web.library.figures import Figures, figures_of

ORDER: Final = (ModelState.IN_SERVICE, ModelState.SHADOW, ModelState.CANDIDATE, ModelState.RETIRED)
DONE, WAITING, REFUSED = "done", "waiting", "refused"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where one label of a model is confirmed."""

    label: str
    meaning: str
    suggested: float | None
    by_hand: Mapping[str, float]  # plots that somebody chose another for


@dataclass(frozen=True)
class Book:
    """One model, with what else is known of it."""

    model: Model
    moves: Sequence[Move]  # the newest first
    serves: Sequence[str]  # plots
    thresholds: Sequence[Threshold]

    @property
    def id(self) -> str:
        """Its name."""
        return self.model.id

    @property
    def state(self) -> ModelState:
        """Where it was decided to stand."""
        return self.model.state

    @property
    def answer(self) -> str:
        """What the daemon has made of the last decision."""
        return answer_of(self.model)

    @property
    def badge(self) -> str:
        """Where it stands, in one word for a colour."""
        return REFUSED if self.model.fault else self.state.value

    @cached_property
    def figures(self) -> Figures:
        """What it reached on images that it never saw."""
        return figures_of(self.model.metrics)

    @property
    def patterns(self) -> Sequence[str]:
        """The plots that it is for."""
        return _words(self.model.card.get("plots"))

    @property
    def labels(self) -> Sequence[str]:
        """What it can say."""
        return [threshold.label for threshold in self.thresholds]

    @property
    def learned_from(self) -> int | None:
        """Images that it learned from."""
        data = self.model.card.get("data")
        found = data.get("images") if isinstance(data, Mapping) else None
        return found if isinstance(found, int) else None

    @property
    def architecture(self) -> str:
        """What it is made of."""
        return str(self.model.card.get("architecture", ""))

    @property
    def parameters(self) -> int | None:
        """Numbers that it has learned."""
        found = self.model.card.get("parameters")
        return found if isinstance(found, int) else None

    @property
    def made_at(self) -> datetime | None:
        """When its training ended."""
        try:
            return datetime.fromisoformat(str(self.model.card.get("created_at")))
        except ValueError:
            return None

    @property
    def trained_by(self) -> str | None:
        """Who had it trained; None when it came as a folder."""
        first = self.moves[-1] if self.moves else None
        return first.by.person if first is not None and first.by.via == "train" else None

    @property
    def revision(self) -> str:
        """Equal while nothing that is shown of it has changed."""
        shown = (self.model.moved_at, self.model.fault, self.model.card, len(self.moves), self.serves, self.thresholds)
        return f"{crc32(repr(shown).encode('utf-8', 'surrogatepass')):08x}"

    @property
    def was_shadow(self) -> bool:
        """Whether it ever judged along without effect."""
        return any(move.new is ModelState.SHADOW for move in self.moves)


@dataclass(frozen=True)
class Shelf:
    """All models, those in service first."""

    books: Sequence[Book]
    plots: Sequence[str]  # that are known
    detectors: Mapping[str, str]  # of plots
    strays: Sequence[str]  # folders with a bundle that nobody has decided about, nor the daemon entered

    def book(self, name: str) -> Book | None:
        """The model of this name."""
        return next((book for book in self.books if book.id == name), None)

    def of(self, plots: Iterable[str]) -> Sequence[Book]:
        """The models that are for any of these plots."""
        names = list(plots)
        return [book for book in self.books if any(fnmatchcase(plot, one) for one in book.patterns for plot in names)]


def look(config: Config, store: Store) -> Shelf:
    """Every model there is; raises StoreAway."""
    models = registry.models(store)
    moves: dict[str, list[Move]] = defaultdict(list)
    for move in registry.history(store):
        moves[move.model].append(move)
    standings = store.standings()
    plots = [standing.plot for standing in standings]
    by = servers(plots, serving(models))
    serves: dict[str, list[str]] = defaultdict(list)
    for plot, model in by.items():
        if model is not None:
            serves[model].append(plot)
    chosen = by_hand(store.newest_settings())
    known = {model.id for model in models}
    ordered = sorted(models, key=lambda one: one.moved_at, reverse=True)
    ordered.sort(key=lambda one: ORDER.index(one.state))
    return Shelf(
        books=[Book(one, moves[one.id], serves[one.id], thresholds_of(one, chosen)) for one in ordered],
        plots=plots,
        detectors={standing.plot: standing.detector or "" for standing in standings},
        strays=[name for name in _folders(config) if name not in known],
    )


def serving(models: Iterable[Model]) -> Sequence[Claim]:
    """What the models in service claim, but for those that cannot be loaded."""
    return claims_of(model for model in models if model.state is ModelState.IN_SERVICE and not model.fault)


def claims_of(models: Iterable[Model]) -> Sequence[Claim]:
    """What these models claim."""
    return [claim for model in models if (claim := claim_of(model.id, model.card)) is not None]


def by_hand(settings: Iterable[Change]) -> Mapping[str, Mapping[str, float]]:
    """The thresholds that people chose: by plot, then by label."""
    chosen: dict[str, dict[str, float]] = defaultdict(dict)
    for change in settings:
        if change.plot is not None and change.key.startswith(THRESHOLD):
            chosen[change.plot][change.key.removeprefix(THRESHOLD)] = change.value
    return chosen


def thresholds_of(model: Model, chosen: Mapping[str, Mapping[str, float]]) -> Sequence[Threshold]:
    """Where each label of a model is confirmed, on all plots that it is for."""
    patterns = _words(model.card.get("plots"))
    wild = [one for one in patterns if any(letter in "*?[" for letter in one)]
    plain = set(patterns)
    own = {plot: told for plot, told in chosen.items() if plot in plain or any(fnmatchcase(plot, one) for one in wild)}
    suggested = model.card.get("thresholds")
    values = suggested if isinstance(suggested, Mapping) else {}
    labels = model.card.get("labels")
    return [
        Threshold(
            label=str(label.get("name", "")),
            meaning=str(label.get("meaning", "")),
            suggested=values.get(label.get("name")),
            by_hand={plot: told[label["name"]] for plot, told in sorted(own.items()) if label.get("name") in told},
        )
        for label in (labels if isinstance(labels, list) else [])
        if isinstance(label, Mapping)
    ]


def answer_of(place: Place | Model) -> str:
    """What the daemon has made of the last decision about a model."""
    if place.fault is None:
        return WAITING
    return REFUSED if place.fault else DONE


def revision_of(places: Iterable[Place]) -> str:
    """Changes with every decision about a model, every answer, and every new model."""
    said = [(place.id, place.state.value, place.moved_at.isoformat(), place.fault) for place in places]
    return f"{crc32(repr(said).encode('utf-8', 'surrogatepass')):08x}"


def is_followed(config: Config, clocks: Clocks) -> bool:
    """Whether a daemon runs that acts on decisions about models."""
    return lives(clocks.heartbeat(), datetime.now(UTC)) and not isinstance(config.classify, FixedClassify)


def _folders(config: Config) -> Sequence[str]:
    try:
        return [folder.name for folder in bundles.listed(config.store.models)]
    except OSError:
        return []


def _words(value: Any) -> Sequence[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple) else []
