"""The threshold editor: what a move would have done to the last two weeks' verdicts, seen before it is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from hydrad.domain import Meaning, Role, Rules
from hydrad.store.history import series
from hydrad.web import pages
from hydrad.web.doors.visitors import Looks
from hydrad.web.plot import rules, setting, what_if
from hydrad.web.plot.rules import Held
from hydrad.web.plot.setting import Plot
from hydrad.web.plot.what_if import SILENT, Said
from hydrad.web.site import Here, Site

router = APIRouter()
router.include_router(setting.router)

DAYS = 14
SHOWN = 60  # images that change sides, in an answer

Days = Annotated[float, Query(gt=0, le=60, allow_inf_nan=False, description="How far back, in days.")]


class Scores(BaseModel):
    """What a plot's images scored, a column each, in the order in which they were judged.

    `label` and `human` are places in `labels`, -1 where there is none: the model had no answer, nobody has labelled it.
    """

    plot: str
    labels: list[str]
    meanings: list[Meaning] = Field(description="Of the labels, to the model that serves the plot.")
    human_meanings: list[Meaning] = Field(description="Of the labels, to people.")
    thresholds: dict[str, float] = Field(description="At present; a label without one must be certain.")
    on_delay: int
    off_delay: int
    on_window: int
    off_window: int
    needs_beam: bool
    model_since: int | None = Field(description="When the model that serves the plot took over, ms since 1970.")
    id: list[int]
    at: list[int] = Field(description="Judged at, ms since 1970, UTC.")
    label: list[int]
    confidence: list[float | None]
    novel: list[int]
    beam: list[int] = Field(description="0 off, 1 on, 2 unknown.")
    human: list[int]


class Effect(BaseModel):
    """What thresholds make of some images."""

    images: int
    alarms: int = Field(description="Times that BAD or NODATA was raised.")
    alarms_false: int = Field(description="Of these, with labelled images none of which people call bad or empty.")
    images_alarmed: int
    false: int = Field(description="Images taken for faulty that people call good or other.")
    missed: int = Field(description="Images that people call bad or empty, not taken for faulty, with beam.")
    confirmed: int
    unconfirmed: int


class WhatIf(BaseModel):
    """What a threshold would have done, beside what the present one does to the same images."""

    label: str
    value: float
    present: float
    days: float
    now: Effect
    then: Effect
    turned: int = Field(description="Images that change sides.")
    images: list[int] = Field(description=f"At most {SHOWN} of them, by verdict, the nearest to the line first.")


@router.get(
    "/api/v1/plots/{plot:path}/scores", summary="Every score of two weeks", response_model=Scores, tags=["plots"]
)
def scores(plot: Plot, site: Here, _visitor: Looks, days: Days = DAYS) -> JSONResponse:
    """Compact enough to be sent once, so that a page answers to a moving slider by itself."""
    held = rules.held(site, plot)
    found, said = _said(site, held, days)
    reigned, _ = rules.reigns(site, held)
    since = reigned[-1][0]
    return JSONResponse(
        {
            "plot": plot,
            "labels": list(said.labels),
            "meanings": list(said.meanings),
            "human_meanings": list(said.human_meanings),
            "thresholds": dict(held.rules.thresholds),
            "on_delay": held.rules.on_delay,
            "off_delay": held.rules.off_delay,
            "on_window": held.rules.on_window,
            "off_window": held.rules.off_window,
            "needs_beam": held.rules.needs_beam,
            "model_since": None if since is None else int(since.timestamp() * 1000),
            "id": found.id.tolist(),
            "at": (found.at // 1000).tolist(),
            "label": said.label.tolist(),
            "confidence": [None if math.isnan(one) else one for one in said.confidence.tolist()],
            "novel": said.novel.astype(int).tolist(),
            "beam": said.beam.tolist(),
            "human": said.human.tolist(),
        }
    )


@router.get("/api/v1/plots/{plot:path}/what-if", summary="What a threshold would have done", tags=["plots"])
def what_if_it_were(
    plot: Plot,
    site: Here,
    _visitor: Looks,
    label: Annotated[str, Query(min_length=1, max_length=500)],
    value: Annotated[float, Query(ge=0, le=1, allow_inf_nan=False, description="The threshold tried.")],
    days: Days = DAYS,
) -> WhatIf:
    """Shelving, age and changes of the model are left out of account, for both thresholds alike."""
    held = rules.held(site, plot)
    present = held.rules.thresholds.get(label)
    if present is None:
        raise HTTPException(404, f"the model that serves {plot} knows no label {label!r}")
    found, said = _said(site, held, days)
    turned = what_if.turned(said, held.names.index(label), present, value)
    return WhatIf(
        label=label,
        value=value,
        present=present,
        days=days,
        now=_effect(said, held.rules),
        then=_effect(said, replace(held.rules, thresholds={**held.rules.thresholds, label: value})),
        turned=len(turned),
        images=found.id[turned[:SHOWN]].tolist(),
    )


def _effect(said: Said, judged_by: Rules) -> Effect:
    return Effect(**asdict(what_if.effect(said, judged_by)))


def _said(site: Site, held: Held, days: float) -> tuple[series.Series, Said]:
    since = datetime.now(UTC) - timedelta(days=days)
    found = site.remembered.scores(held.known, since)
    people = series.labelled(site.store, held.known, since - timedelta(days=1))
    # From places among the plot's labels to places in ``held.names``.
    place = {name: n for n, name in enumerate(held.names)}
    moved = np.array([*(place[name] for name in held.known.labels), SILENT], np.int8)
    human = np.array([people.get(one, SILENT) for one in found.image.tolist()], np.int8)
    theirs = {name: label.meaning for name, label in held.labels.items()}
    models = held.meanings
    return found, Said(
        label=np.where(np.isnan(found.confidence), SILENT, moved[found.label]).astype(np.int8),
        confidence=found.confidence,
        novel=found.novel,
        beam=found.beam,
        human=moved[human],
        labels=held.names,
        meanings=[models[name] if name in models else theirs[name] for name in held.names],
        human_meanings=[theirs[name] if name in theirs else models[name] for name in held.names],
    )


@router.get("/library/thresholds", include_in_schema=False)
def page(
    request: Request,
    site: Here,
    visitor: Looks,
    plot: Annotated[str | None, Query(max_length=500)] = None,
) -> HTMLResponse:
    """The editor of one plot's thresholds, or the choice of a plot."""
    zone = str(site.config.hall.zone)
    facts: Mapping[str, Any] = {"island": None, "held": None}
    if plot:
        held = rules.held(site, plot)
        island = {
            "plot": plot,
            "settings": setting.described(site, held).model_dump(mode="json"),
            "decides": visitor.may(Role.EXPERT),
            "days": DAYS,
            "zone": zone,
        }
        facts = {"island": island, "held": held}
    return pages.draw(request, "thresholds.html", plots=series.names(site.store), plot=plot, **facts)
