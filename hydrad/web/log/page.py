"""The log: each stretch of a fault as one entry, who has seen it, and what was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from hydrad.domain import zulu
from hydrad.errors import ChangeRefused
from hydrad.store.history import episodes
from hydrad.store.history.episodes import Choices, Episode, Wanted
from hydrad.web import pages
from hydrad.web.doors.visitors import Labels, Looks
from hydrad.web.log import entry as log_entry
from hydrad.web.log import words as log_words
from hydrad.web.log.filters import MANY, SPANS, WORDS, WRONG, Asked, written
from hydrad.web.log.words import EpisodeShown, legible, sayable, shown
from hydrad.web.site import Here, Site
from hydrad.web.spoken import Prose

SILENT_AFTER = timedelta(seconds=60)  # a daemon that gave no sign of life for so long
COUNTED_UP_TO = timedelta(days=8)  # images of a longer time are not counted hour by hour

router = APIRouter()
router.include_router(log_entry.router)

Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="Of the entry")]


class EpisodePage(BaseModel):
    """A page of the log: what lasts before what has ended, the newest first."""

    now: str = Field(description="The server's clock")
    episodes: list[EpisodeShown]
    older: str | None = Field(description="``before`` of the next page; None where there is none")
    words: str | None = Field(description="Why there is nothing to show; None where there is")


class Said(BaseModel):
    """What somebody says who has seen an entry."""

    comment: Prose = Field("", max_length=2000)


class SaidOfMany(Said):
    """What somebody says who has seen several entries."""

    ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(min_length=1, max_length=MANY)


class Acknowledged(BaseModel):
    """The entries as they are then."""

    episodes: list[EpisodeShown]


@router.get("/log", include_in_schema=False)
def page(request: Request, site: Here, visitor: Looks) -> Response:  # noqa: ARG001  who looks is known to the page
    """The log as a page."""
    now = datetime.now(UTC)
    fault, asked = "", Asked()
    try:
        asked = Asked.of(request.query_params.multi_items())
    except ChangeRefused as refused:
        fault = str(refused)
    found: Sequence[Episode] = ()
    older = None
    if not fault:
        found, older = episodes.find(
            site.store, asked.wanted(site.config.hall.zone, now), limit=asked.limit, before=asked.place
        )
    answer = pages.draw(
        request,
        "log.html",
        entries=[legible(one) for one in found],
        version=log_words.version,
        older=written(older),
        asked=asked,
        fault=fault,
        words=None if found or fault else _why_empty(site, asked, now),
        choices=_choices(site),
        spans=WORDS,
        wrong=WRONG,
        calls={one.name: one for one in site.config.detector},
        now=now,
        span=log_words.span,
        runs=log_words.runs,
        beam_words=log_words.beam_words,
    )
    answer.status_code = 422 if fault else 200
    return answer


@router.get("/log.csv", include_in_schema=False)
def as_table(request: Request, site: Here, visitor: Looks) -> Response:  # noqa: ARG001
    """The log as a file for spreadsheets, however long it is."""
    now = datetime.now(UTC)
    zone = site.config.hall.zone
    pieces = _pieces(site, Asked.of(request.query_params.multi_items()).wanted(zone, now))
    first = next(pieces)  # before the answer begins: a data base that is away is then still said to be
    lines = log_words.table(chain.from_iterable(chain([first], pieces)), zone, now)
    hall = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in site.config.hall.name)
    name = f"hydra-log-{hall}-{now.astimezone(zone):%Y-%m-%d-%H%M}.csv"
    return StreamingResponse(
        lines,
        media_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.get("/api/v1/episodes", tags=["log"], summary="Entries of the log")
def several(site: Here, visitor: Looks, asked: Annotated[Asked, Query()]) -> EpisodePage:  # noqa: ARG001
    """What lasts before what has ended, the newest first."""
    now = datetime.now(UTC)
    wanted = asked.wanted(site.config.hall.zone, now)
    found, older = episodes.find(site.store, wanted, limit=asked.limit, before=asked.place)
    return EpisodePage(
        now=str(zulu(now)),
        episodes=[shown(legible(one), now) for one in found],
        older=written(older),
        words=None if found else _why_empty(site, asked, now),
    )


@router.get("/api/v1/episodes/{number}", tags=["log"], summary="One entry of the log")
def one(site: Here, visitor: Looks, number: Number) -> EpisodeShown:  # noqa: ARG001
    """An entry, with everybody who acknowledged it and what was written of it."""
    found = episodes.get(site.store, number)
    if found is None:
        raise HTTPException(404, "there is no such entry in the log")
    return shown(legible(found), datetime.now(UTC))


@router.post("/api/v1/episodes/acknowledge", tags=["log"], summary="Acknowledge several entries")
def acknowledge_several(site: Here, visitor: Labels, said: SaidOfMany) -> Acknowledged:
    """Say of several entries that one has seen them; numbers that are none are left out."""
    return _acknowledged(site, visitor, said.ids, said.comment)


@router.post("/api/v1/episodes/{number}/acknowledge", tags=["log"], summary="Acknowledge an entry")
def acknowledge(site: Here, visitor: Labels, number: Number, said: Said) -> Acknowledged:
    """Say that one has seen it, with or without a comment; one may say so again."""
    found = _acknowledged(site, visitor, [number], said.comment)
    if not found.episodes:
        raise HTTPException(404, "there is no such entry in the log")
    return found


def _acknowledged(site: Site, visitor: Labels, numbers: list[int], comment: str) -> Acknowledged:
    found = episodes.acknowledge(site.store, numbers, comment=comment.strip(), person=visitor.name, host=visitor.host)
    now = datetime.now(UTC)
    return Acknowledged(episodes=[shown(legible(one), now) for one in found])


def _pieces(site: Site, wanted: Wanted) -> Iterator[list[Episode]]:
    place = None
    while True:
        found, place = episodes.find(site.store, wanted, limit=MANY, before=place)
        yield [legible(one) for one in found]
        if place is None:
            return


def _choices(site: Site) -> Choices:
    there = episodes.choices(site.store)
    return Choices(*([sayable(name) for name in names] for names in (there.plots, there.detectors, there.labels)))


def _why_empty(site: Site, asked: Asked, now: datetime) -> str:
    """What to say where there is nothing to show: it matters whether nothing was wrong, or nobody looked."""
    wanted = asked.wanted(site.config.hall.zone, now)
    time = _time_words(asked)
    if asked.before is not None:
        return "No older entries."
    if asked.narrow:
        wide = Wanted(since=wanted.since, until=wanted.until, run=wanted.run)
        there = episodes.count(site.store, wide, up_to=1000)
        if there == 1:
            return f"The only entry of {time} does not fit these filters."
        if there:
            return f"None of the {'1,000 or more' if there == 1000 else there} entries of {time} fits these filters."
    alive = site.clocks.heartbeat()
    silent = alive is None or alive.beat_at < now - SILENT_AFTER
    daemon = ""
    if alive is None:
        daemon = " The daemon has never been heard of."
    elif silent:
        heard = f"{alive.beat_at.astimezone(site.config.hall.zone):%Y-%m-%d %H:%M}"
        daemon = f" The daemon was last heard of at {heard}."
    judged = _judged(site, wanted, now)
    if judged == 0:
        return f"No image was judged in {time}.{daemon}"
    return f"No faults in {time}; {judged:,} images judged.{daemon}"


def _judged(site: Site, wanted: Wanted, now: datetime) -> int:
    until = min(wanted.until, now) if wanted.until is not None else now
    if wanted.since is None or until - wanted.since > COUNTED_UP_TO:
        counts = site.store.ledger_counts()
        return sum(number for outcome, number in counts.items() if outcome.value in {"judged", "superseded"})
    return episodes.judged(site.store, wanted.since, until)


def _time_words(asked: Asked) -> str:
    if asked.since is not None or asked.until is not None:
        return "this time"
    if asked.run is not None and SPANS[asked.span] is None:
        return f"run {asked.run}"
    return WORDS[asked.span]
