"""An entry for the logbook, ready to be edited and sent: the image, its heatmap, what came before, and whom to call."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import Response
from PIL import Image
from pydantic import BaseModel, Field

from hydrad import log
from hydrad.domain import HeatMap, zulu
from hydrad.errors import ChangeRefused, ImageError, TryAgain
from hydrad.images import image_of
from hydrad.store.history import episodes
from hydrad.store.history.episodes import Episode
from hydrad.web import pages
from hydrad.web.doors.visitors import Labels, Looks
from hydrad.web.log import logbook, words
from hydrad.web.log.logbook import LONGEST_TITLE, Draft, Enclosure
from hydrad.web.log.words import legible
from hydrad.web.pictures import COLD, HOT, NoPicture
from hydrad.web.site import Here, Site
from hydrad.web.spoken import Prose

BEFORE: Final = 12  # verdicts of the plot's short history
HEAT: Final = 0.65  # how much of the image the hottest cell may cover

router = APIRouter()

_log = log.get("logbook")

Number = Annotated[int, Path(ge=1, le=2**63 - 1, description="Of the log's entry")]


class ForLogbook(BaseModel):
    """What is to be put into the logbook."""

    episode: int = Field(ge=1, le=2**63 - 1, description="The log's entry that it is about")
    title: Prose = Field(min_length=1, max_length=LONGEST_TITLE, pattern=r"\S")
    text: Prose = Field("", max_length=20_000)
    pictures: bool = Field(True, description="Enclose the image, and the image with its heatmap")


class Put(BaseModel):
    """It is in the logbook."""

    reference: str = Field(description="Its address there, or the file that was handed over")
    logbook: str
    pictures: int = Field(description="How many went with it")


@router.get("/log/entry/{number}", include_in_schema=False)
def page(request: Request, site: Here, visitor: Looks, number: Number) -> Response:
    """The entry as a page."""
    episode = _known(site, number)
    now = datetime.now(UTC)
    section = next((one for one in site.config.detector if one.name == episode.detector), None)
    history = episodes.verdicts_until(site.store, episode.plot, episode.ended_at or now, limit=BEFORE)
    book = logbook.of(site.config)
    told = legible(episode)
    facts = {
        "episode": told,
        "calls": section,
        "hall": site.config.hall.name,
        "person": visitor.name,
        "span": words.span(episode.lasted_s(now)),
        "runs": words.runs(episode),
        "beam": words.beam_words(episode.beam),
        "began": f"{episode.started_at.astimezone(site.config.hall.zone):%Y-%m-%d %H:%M:%S %Z}",
        "ended": episode.ended_at and f"{episode.ended_at.astimezone(site.config.hall.zone):%Y-%m-%d %H:%M:%S %Z}",
        "link": f"{request.base_url}plot/{quote(told.plot)}",
    }
    return pages.draw(
        request,
        "entry.html",
        **facts | {"hall_name": facts.pop("hall")},
        book=None if book is None else book.name,
        title=" ".join(pages.drawn("logbook_title.txt", facts | {"hall": site.config.hall.name}).split())[
            :LONGEST_TITLE
        ],
        text=pages.drawn("logbook.txt", facts | {"hall": site.config.hall.name}).strip(),
        history=history,
        longest=LONGEST_TITLE,
    )


@router.get("/log/entry/{number}/image", include_in_schema=False)
def image(site: Here, visitor: Looks, number: Number) -> Response:  # noqa: ARG001  asking needs the role
    """The image of its worst verdict, as its producer wrote it."""
    return _download(_pictures(site, _known(site, number))[:1])


@router.get("/log/entry/{number}/blended", include_in_schema=False)
def blended(site: Here, visitor: Looks, number: Number) -> Response:  # noqa: ARG001
    """The same with its heatmap over it."""
    return _download(_pictures(site, _known(site, number))[1:])


@router.post("/api/v1/logbook", tags=["log"], summary="Put an entry into the hall's logbook")
def make(site: Here, visitor: Labels, wanted: ForLogbook) -> Put:
    """Send an entry about something in the log to the logbook that the configuration names."""
    episode = _known(site, wanted.episode)
    book = logbook.of(site.config)
    if book is None:
        raise ChangeRefused('logbook.kind is "none": copy the text and download the pictures')
    pictures = _pictures(site, episode) if wanted.pictures else []
    reference = book.make(Draft(wanted.title.strip(), wanted.text.strip(), visitor.name, pictures))
    facts = {"title": wanted.title.strip(), "person": visitor.name, "host": visitor.host, "reference": reference}
    _log.info("logbook_entry_made", episode=episode.id, reference=reference, person=visitor.name)
    try:
        episodes.note_entry(site.store, episode, **facts)
    except TryAgain as fault:  # it is in the logbook: whoever is told to try again would put it there twice
        _log.error("logbook_entry_not_noted", why=str(fault), **facts)
    return Put(reference=reference, logbook=book.name, pictures=len(pictures))


def _known(site: Site, number: int) -> Episode:
    episode = episodes.get(site.store, number)
    if episode is None:
        raise HTTPException(404, "there is no such entry in the log")
    return episode


def _download(pictures: list[Enclosure]) -> Response:
    if not pictures:
        raise HTTPException(404, "there is no such picture: there never was one, or it is kept no longer")
    one = pictures[0]
    return Response(one.data, media_type=one.kind, headers={"Content-Disposition": f'inline; filename="{one.name}"'})


def _pictures(site: Site, episode: Episode) -> list[Enclosure]:
    """The worst image, and the same with its heatmap; nothing where its bytes are no longer kept."""
    found = episodes.image_of(site.store, episode.verdict_id)
    if found is None:
        return []
    sha256, kind = found
    try:
        data = site.pictures.original(sha256, kind)
        plot = re.sub(r"[^A-Za-z0-9_.-]", "_", episode.plot)[:100]
        caption = f"{episode.plot}, {episode.label or episode.status.name}, {zulu(episode.started_at)}"
        pictures = [Enclosure(f"{plot}.{kind}", f"image/{kind}", caption, data)]
        heatmap = site.store.heatmap(episode.verdict_id)
        if heatmap is not None:
            mixed = _blended(data, heatmap)
            pictures.append(Enclosure(f"{plot}_heatmap.png", "image/png", f"{caption}: where it looked", mixed))
    except (NoPicture, ImageError) as fault:
        _log.warning("logbook_image_unreadable", episode=episode.id, why=str(fault))
        return []
    return pictures


def _blended(data: bytes, heatmap: HeatMap) -> bytes:
    """The image as PNG with the heatmap over it: nothing where it is cold, the hotter the stronger."""
    image = image_of(data)
    cells = np.where(heatmap < COLD, 0, heatmap).astype(np.float32) * HEAT
    mask = Image.fromarray(cells.astype(np.uint8)).resize(image.size, Image.Resampling.BILINEAR)
    image.paste(HOT, (0, 0), mask)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=6)
    return out.getvalue()
