"""The library's API: models, where they stand, and what people decide about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Path, Query

from hydrad.classify import bundle as bundles
from hydrad.classify.claims import outlook, servers
from hydrad.domain import zulu
from hydrad.errors import BundleError, ChangeRefused
from hydrad.store.models import registry
from hydrad.store.models.comparing import compare
from hydrad.store.models.registry import Deed, Who
from hydrad.store.tables import ModelState
from hydrad.web.doors.visitors import Decides, Looks, Visitor
from hydrad.web.library.shelf import (
    Book,
    Shelf,
    answer_of,
    by_hand,
    claims_of,
    is_followed,
    look,
    revision_of,
    thresholds_of,
)
from hydrad.web.library.words import (
    BothSaid,
    Compared,
    Decided,
    Handover,
    Kept,
    Library,
    ModelWords,
    MoveAhead,
    OneModel,
    Outlook,
    Reason,
    States,
    StateWords,
    ThresholdChange,
    model_words,
    move_words,
)
from hydrad.web.site import Here, Site

router = APIRouter(prefix="/api/v1/models", tags=["library"])

LOADS: Final = frozenset({Deed.PROMOTE, Deed.SHADOW})  # these have a bundle loaded
COMPARED: Final = 20_000  # images of a shadow, at most: a page must not wait for millions

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$", max_length=80, description="The model's name")]


@router.get("", summary="All models, with their main figures")
def models(
    site: Here,
    visitor: Looks,  # noqa: ARG001  that there is one
    plot: Annotated[str | None, Query(max_length=300, description="Those for this plot")] = None,
) -> Library:
    """Those in service first, then by their last move."""
    shelf = look(site.config, site.store)
    books = shelf.books if plot is None else shelf.of([plot])
    return Library(
        daemon=is_followed(site.config, site.clocks),
        models=[ModelWords(**model_words(book)) for book in books],
        strays=list(shelf.strays),
    )


@router.get("/states", summary="Where all models stand")
def states(site: Here, visitor: Looks) -> States:  # noqa: ARG001
    """To be asked often: what the daemon has made of each decision."""
    places = registry.places(site.store)
    return States(
        daemon=is_followed(site.config, site.clocks),
        revision=revision_of(places),
        models=[
            StateWords(id=place.id, state=place.state.value, answer=answer_of(place), fault=place.fault or "")
            for place in places
        ],
    )


@router.get("/{name}", summary="One model whole")
def model(site: Here, visitor: Looks, name: Name) -> OneModel:  # noqa: ARG001
    """With its history and every figure that its bundle has."""
    book = known(look(site.config, site.store), name)
    return OneModel(**model_words(book), history=list(map(move_words, book.moves)), metrics=dict(book.model.metrics))


@router.get("/{name}/outlook", summary="What a decision would change, without deciding it")
def ahead(site: Here, visitor: Looks, name: Name, deed: Deed) -> Outlook:  # noqa: ARG001
    """Which plots would go from which model to which, and how their thresholds differ."""
    steps = registry.foresee(site.store, name, deed)
    found = registry.models(site.store)
    now: dict[str, ModelState] = {one.id: one.state for one in found}
    plots = [standing.plot for standing in site.store.standings()]
    claims = [
        claims_of(one for one in found if then[one.id] is ModelState.IN_SERVICE) for then in (now, now | dict(steps))
    ]
    before, after = (servers(plots, one) for one in claims)
    changed: dict[tuple[str | None, str | None], list[str]] = defaultdict(list)
    for plot in plots:
        if before[plot] != after[plot]:
            changed[before[plot], after[plot]].append(plot)
    chosen = by_hand(site.store.newest_settings())
    suggested = {one.id: {t.label: t.suggested for t in thresholds_of(one, {})} for one in found}
    return Outlook(
        daemon=is_followed(site.config, site.clocks),
        moves=[MoveAhead(model=one, old=now[one].value, new=state.value) for one, state in steps.items()],
        handovers=[_handover(old, new, theirs, suggested, chosen) for (old, new), theirs in changed.items()],
        leaves=dict(outlook(name, plots, claims[1]).leaves),
    )


@router.get("/{name}/shadow", summary="What a model in shadow said, beside what served")
def shadow_comparison(
    site: Here,
    visitor: Looks,  # noqa: ARG001
    name: Name,
    days: Annotated[int, Query(ge=1, le=366)] = 14,
) -> Compared:
    """Of the newest images of the last days."""
    since = datetime.now(UTC) - timedelta(days=days)
    found = compare(site.store, name, since, most=COMPARED)
    return Compared(
        days=days,
        images=found.images,
        most=COMPARED,
        agreed=found.agreed,
        alarming_to_both=found.alarming_to_both,
        alarms_added=found.alarms_added,
        alarms_missed=found.alarms_missed,
        labels=[
            BothSaid(served=served, shadow=shadow, images=images)
            for (served, shadow), images in sorted(found.labels.items(), key=lambda counted: -counted[1])
        ],
    )


@router.post("/{name}/enter", summary="Take a bundle of the folder of models into the library, as a candidate")
def enter(site: Here, visitor: Decides, name: Name) -> ModelWords:
    """It must be as it was when it was written."""
    _require_unharmed(site, name, _who(visitor))
    return ModelWords(**model_words(known(look(site.config, site.store), name)))


@router.post("/{name}/promote", summary="Put a model into service")
def promote(site: Here, visitor: Decides, name: Name, body: Reason) -> Decided:
    """What serves exactly the same patterns of plots is retired with it; a bundle that is harmed is refused."""
    return _decide(site, visitor, name, Deed.PROMOTE, body.reason)


@router.post("/{name}/shadow", summary="Let a model judge along without effect")
def shadow(site: Here, visitor: Decides, name: Name, body: Reason) -> Decided:
    """A bundle that is harmed is refused."""
    return _decide(site, visitor, name, Deed.SHADOW, body.reason)


@router.post("/{name}/retire", summary="Take a model out of service or out of the shadow")
def retire(site: Here, visitor: Decides, name: Name, body: Reason) -> Decided:
    """No other model is moved with it."""
    return _decide(site, visitor, name, Deed.RETIRE, body.reason)


@router.post("/{name}/rollback", summary="Undo a promotion")
def rollback(site: Here, visitor: Decides, name: Name, body: Reason) -> Decided:
    """What served before serves again."""
    return _decide(site, visitor, name, Deed.ROLLBACK, body.reason)


def known(shelf: Shelf, name: str) -> Book:
    """The model of this name; 404 where there is none."""
    book = shelf.book(name)
    if book is None:
        raise HTTPException(404, f"the library knows no model {name!r}")
    return book


def _decide(site: Site, visitor: Visitor, name: str, deed: Deed, reason: str) -> Decided:
    who = _who(visitor)
    if deed in LOADS:
        _require_unharmed(site, name, who)
    decision = registry.decide(site.store, name, deed, who, reason)
    serving = claims_of(one for one in registry.models(site.store) if one.state is ModelState.IN_SERVICE)
    comes_of_it = outlook(name, [standing.plot for standing in site.store.standings()], serving)
    return Decided(
        ticket=decision.ticket,
        at=zulu(decision.at),
        moves=list(map(move_words, decision.moves)),
        serves=list(comes_of_it.serves),
        leaves=dict(comes_of_it.leaves),
        unserved=list(comes_of_it.unserved),
        daemon=is_followed(site.config, site.clocks),
    )


def _require_unharmed(site: Site, name: str, who: Who) -> None:
    try:
        card = bundles.present(site.config.store.models, name).manifest.model_dump(mode="json")
    except BundleError as fault:
        raise ChangeRefused(str(fault)) from fault
    registry.introduce(site.store, name, card, card.pop("metrics"), who)


def _who(visitor: Visitor) -> Who:
    return Who(visitor.name, visitor.host, "page")


def _handover(
    old: str | None,
    new: str | None,
    plots: Sequence[str],
    suggested: Mapping[str, Mapping[str, float | None]],
    chosen: Mapping[str, Mapping[str, float]],
) -> Handover:
    before, after = (suggested.get(one or "", {}) for one in (old, new))
    labels = [*after, *(label for label in before if label not in after)]
    return Handover(
        old=old,
        new=new,
        plots=list(plots),
        thresholds=[
            ThresholdChange(label=label, before=before.get(label), after=after.get(label))
            for label in labels
            if before.get(label) != after.get(label)
        ],
        kept=[
            Kept(plot=plot, label=label, value=value)
            for plot in plots
            for label, value in sorted(chosen.get(plot, {}).items())
            if label in after
        ],
    )
