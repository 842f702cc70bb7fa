"""The labeler: a page of images, the doubtful first, from the keyboard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi import Query as InQuery
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from hydrad.classify.labels import meaning_of
from hydrad.domain import Meaning, Role, zulu
from hydrad.store.labels import needs, sheets
from hydrad.store.labels.defining import Hand, define
from hydrad.store.labels.marking import Mark, give
from hydrad.store.labels.needs import Leaders
from hydrad.store.labels.sheets import Sought
from hydrad.web import pages
from hydrad.web.doors.visitors import Labels, Looks, NotAllowed, Visitor
from hydrad.web.labeler.forms import (
    LabelIn,
    LabelOut,
    LeadersAsked,
    LeadersOut,
    MarkOut,
    MarksIn,
    MarksOut,
    NeedOut,
    SheetAsked,
    SheetOut,
    label_of,
    leader_of,
    need_of,
    tile_of,
)
from hydrad.web.site import Here, Site

router = APIRouter()

PlotName = Annotated[str, InPath(max_length=1000, description="the plot's name")]


@router.get("/labeler", response_class=HTMLResponse, include_in_schema=False)
def labeler(
    request: Request, site: Here, visitor: Labels, plot: Annotated[str | None, InQuery(max_length=1000)] = None
) -> HTMLResponse:
    """Choose a plot, or label its images."""
    if plot is None:
        found = needs.needs(site.store, datetime.now(UTC))
        return pages.draw(request, "labeler_plots.html", needs=found, enough=needs.ENOUGH)
    _require(site, plot)
    facts = {
        "plot": plot,
        "person": visitor.name,
        "expert": visitor.may(Role.EXPERT),
        "labels": [one.model_dump() for one in _palette(site, plot)],
    }
    return pages.draw(request, "labeler.html", plot=plot, facts=facts, meanings=list(Meaning))


@router.get("/api/v1/labeler/plots", tags=["labels"], summary="Plots, those first that want labels most")
def wanting(site: Here, visitor: Labels) -> list[NeedOut]:  # noqa: ARG001  the role is asked for
    """Many doubts of the model and few labels come first; plots without images to label come last."""
    return [need_of(one) for one in needs.needs(site.store, datetime.now(UTC))]


@router.get("/api/v1/plots/{plot:path}/labels", tags=["labels"], summary="A plot's labels")
def labels(site: Here, visitor: Looks, plot: PlotName) -> list[LabelOut]:  # noqa: ARG001  the role is asked for
    """In the order in which they were first met, each with a colour and how many images have it."""
    _require(site, plot)
    return _palette(site, plot)


@router.post("/api/v1/plots/{plot:path}/labels", tags=["labels"], summary="Define a label")
def define_label(site: Here, visitor: Labels, plot: PlotName, body: LabelIn) -> list[LabelOut]:
    """Define a label of a plot, or change one; to change what one means takes an expert. Answers with all of them."""
    _require(site, plot)
    there = site.store.labels(plot).get(body.name)
    if there and body.meaning not in {None, there.meaning} and not visitor.may(Role.EXPERT):
        raise NotAllowed(f"{body.name!r} means {there.meaning} already; to change that takes the role expert")
    hand = _hand(visitor, datetime.now(UTC))
    define(site.store, plot, body.name, hand, meaning_of, meaning=body.meaning, colour=body.colour)
    return _palette(site, plot)


@router.get("/api/v1/labeler/sheet", tags=["labels"], summary="Images to label, or labelled ones")
def sheet(site: Here, visitor: Labels, asked: Annotated[SheetAsked, InQuery()]) -> SheetOut:  # noqa: ARG001  the role
    """Unlabelled images: the model's doubts, the bad and the novel first, then a spread of the rest.

    In mode ``edit`` labelled ones: the newest labels first, or the model's surest contradictions.
    """
    _require(site, asked.plot)
    if asked.mode == "new":
        found = sheets.unlabelled(site.store, asked.plot, limit=asked.limit, skip=asked.skip)
    else:
        sought = Sought(
            asked.label or None, asked.by or None, asked.since, asked.until, asked.run, asked.image, asked.disputed
        )
        found = sheets.labelled(site.store, asked.plot, sought, limit=asked.limit, skip=asked.skip)
    standard = sheets.reference(site.store, asked.plot)
    return SheetOut(
        plot=asked.plot,
        now=zulu(datetime.now(UTC)) or "",
        tiles=[tile_of(tile) for tile in found.tiles],
        more=found.more,
        reference=None if standard is None else tile_of(standard),
    )


@router.post("/api/v1/labellings", tags=["labels"], summary="Give labels, or take them back")
def mark(site: Here, visitor: Labels, body: MarksIn) -> MarksOut:
    """Every mark is settled by itself: sent twice it counts once, and a newer one of the same image outlives it.

    Effects: ``given``, ``changed``, ``taken_back``; ``same``: it was so already; ``left``: somebody has said something
    else since; ``unknown``: there is no such image of the plot; ``no_such_label``: the plot has no label of this name.
    """
    now = datetime.now(UTC)
    names = {plot: set(site.store.labels(plot)) for plot in {one.plot for one in body.marks}}
    good = [one for one in body.marks if one.label is None or one.label in names[one.plot]]
    marks = [Mark(one.plot, one.sha256, one.label, _hand(visitor, min(one.at, now))) for one in good]
    effects = give(site.store, marks, meaning_of, restorer=_hand(visitor, now)) if marks else []
    became = dict(zip(map(id, good), effects, strict=True))
    return MarksOut(marks=[MarkOut(id=one.id, effect=became.get(id(one), "no_such_label")) for one in body.marks])


@router.get("/api/v1/labeler/leaders", tags=["labels"], summary="Who labelled how many images")
def leaders(
    request: Request,
    site: Here,
    visitor: Labels,  # noqa: ARG001  the role is asked for
    asked: Annotated[LeadersAsked, InQuery()],
) -> LeadersOut:
    """Labels given on the pages today, in the last seven days and ever; the most of this week first."""
    counting = _leaders(request)
    today = datetime.now(site.config.hall.zone).date()
    everybody = counting.ask(today)
    here = [] if asked.plot is None else counting.ask(today, asked.plot).leaders
    return LeadersOut(
        plot=[leader_of(one) for one in here],
        all=[leader_of(one) for one in everybody.leaders],
        whole=everybody.whole,
    )


def _leaders(request: Request) -> Leaders:
    """The counts, which go on from ask to ask."""
    state = request.app.state
    if not hasattr(state, "leaders"):
        state.leaders = Leaders(state.site.store, state.site.config.hall.zone)
    counting: Leaders = state.leaders
    return counting


def _require(site: Site, plot: str) -> None:
    if not needs.knows(site.store, plot):
        raise HTTPException(404, f"no plot is called {plot!r}")


def _hand(visitor: Visitor, at: datetime) -> Hand:
    return Hand(visitor.name, visitor.host, "page", at)


def _palette(site: Site, plot: str) -> list[LabelOut]:
    return [label_of(one) for one in sheets.palette(site.store, plot)]
