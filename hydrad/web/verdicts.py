"""Plots, verdicts, images and heatmaps for pages and programs, and what is new as it comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

from anyio import to_thread
from fastapi import APIRouter, Header, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse

from hydrad.domain import Status
from hydrad.errors import HydradError, TryAgain
from hydrad.store.history import newest
from hydrad.web.documents import (
    LARGEST,
    Moment,
    PlotDocument,
    PlotName,
    PlotsDocument,
    RowNumber,
    Sha256,
    StatusName,
    VerdictDocument,
    plot_document,
    plots_document,
    verdict_document,
)
from hydrad.web.doors.visitors import Looks
from hydrad.web.feed import MISSED, RETRY_MS, verdict_frame
from hydrad.web.pictures import NoPicture, heat
from hydrad.web.site import Here, Site

router = APIRouter(tags=["verdicts"])

MOST_RESUMED: Final = 500  # verdicts; whoever missed more looks at how all plots stand
LIVES_S: Final = 900.0  # a stream; then the browser comes again by itself
ASKED_AGAIN_S: Final = 5.0  # after which a stream asks once more who listens
FOR_EVER: Final = "private, max-age=31536000, immutable"
MEDIA: Final = {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif"}

_NUMBER = re.compile(r"[0-9]{1,18}")


@router.get("/api/v1/plots", summary="How all plots stand")
def plots(site: Here, visitor: Looks) -> PlotsDocument:  # noqa: ARG001  asking needs the role
    """Every plot that was ever seen, by name."""
    return plots_document(site)


@router.get("/api/v1/plots/{plot:path}", summary="How one plot stands")
def plot(site: Here, visitor: Looks, plot: PlotName) -> PlotDocument:  # noqa: ARG001
    """One plot by its name."""
    for one in newest.showing(site.store, [plot]).plots:
        return plot_document(site.config, one)
    raise HTTPException(404, "there is no such plot")


@router.get("/api/v1/verdicts", summary="Verdicts, newest first")
def verdicts(  # noqa: PLR0917
    site: Here,
    visitor: Looks,  # noqa: ARG001
    since: Annotated[Moment | None, Query(description="judged at or after this time, with its zone")] = None,
    until: Annotated[Moment | None, Query(description="judged before this time, with its zone")] = None,
    plot: Annotated[str | None, Query(max_length=1000)] = None,
    run: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    status: Annotated[list[StatusName] | None, Query(max_length=11, description="any of these")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[VerdictDocument]:
    """What is left out does not restrict."""
    statuses = {Status[name] for name in status or ()}
    found = site.store.log(since=since, until=until, plot=plot, run=run, status=statuses or None, limit=limit)
    return [verdict_document(one) for one in found]


@router.get("/api/v1/verdicts/{number}", summary="One verdict")
def verdict(site: Here, visitor: Looks, number: RowNumber) -> VerdictDocument:  # noqa: ARG001
    """A verdict by the number of its row."""
    if (found := newest.verdict(site.store, number)) is None:
        raise HTTPException(404, "there is no such verdict")
    return verdict_document(found)


@router.get(
    "/api/v1/verdicts/{number}/heatmap.png",
    summary="Where the model looked",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
def heatmap(site: Here, visitor: Looks, number: RowNumber) -> Response:  # noqa: ARG001
    """One pixel a cell, transparent where the model saw nothing: to be laid over the image at its full size."""
    if (cells := newest.heatmap(site.store, number)) is None:
        raise HTTPException(404, "there is no heatmap")
    return Response(heat(cells), media_type="image/png", headers={"Cache-Control": FOR_EVER})


@router.get(
    "/images/{sha256}",
    summary="An image as it came",
    response_class=Response,
    responses={200: {"content": {media: {} for media in MEDIA.values()}}, 304: {}},
)
def image(site: Here, visitor: Looks, request: Request, sha256: Sha256) -> Response:  # noqa: ARG001
    """The file's bytes; what lies at this address never changes."""
    format_ = _format(site, sha256)
    tag = f'"{sha256}"'
    headers = {"Cache-Control": FOR_EVER, "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    try:
        data = site.pictures.original(sha256, format_)
    except NoPicture as why:
        raise HTTPException(404, str(why)) from why
    return Response(data, media_type=MEDIA[format_], headers=headers)


@router.get(
    "/images/{sha256}/thumbnail",
    summary="An image, smaller",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, 304: {}},
)
async def thumbnail(
    site: Here,
    visitor: Looks,  # noqa: ARG001
    request: Request,
    sha256: Sha256,
    width: Annotated[Literal["160", "320", "640"], Query(description="pixels, at most")] = "320",
) -> Response:
    """WebP."""
    tag = f'"{sha256}-{width}"'
    headers = {"Cache-Control": FOR_EVER, "ETag": tag}
    format_ = await to_thread.run_sync(_format, site, sha256)
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    try:
        data = await site.pictures.thumbnail(sha256, format_, int(width))
    except NoPicture as why:
        raise HTTPException(404, str(why)) from why
    return Response(data, media_type="image/webp", headers=headers)


@router.get(
    "/api/v1/events",
    summary="What is new, as it comes",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(
    request: Request,
    site: Here,
    visitor: Looks,  # noqa: ARG001
    after: Annotated[int | None, Query(ge=0, le=LARGEST, description="tell first what came after this verdict")] = None,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> StreamingResponse:
    """Server-sent events, without end.

    - ``verdict``: a verdict, as the API has it.
    - ``health``: the daemon's, every few seconds.
    - ``news``: the line over the wall.
    - ``acknowledged``: somebody has seen a plot's trouble.
    - ``trouble``: why the data base cannot be asked; ``words`` is null when it can again.
    - ``missed``: there was too much to tell; look at /api/v1/plots.

    A browser that comes back says the last verdict it heard (Last-Event-ID) and is told what came since.
    """
    site.feed.require_room()
    start = int(last_event_id) if last_event_id is not None and _NUMBER.fullmatch(last_event_id) else after
    return StreamingResponse(
        _told(request, site, start), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _told(request: Request, site: Site, start: int | None) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    end = clock() + LIVES_S
    asked_again = clock()
    with site.feed.listening() as listener:
        yield f"retry: {RETRY_MS}\n\n".encode()
        resumed: set[int] = set()
        if start is not None:
            for number, frame in await to_thread.run_sync(_since, site, start):
                resumed.add(number)
                yield frame
        async for told, frame in listener.frames():
            if told not in resumed:
                yield frame
            if clock() > end:
                return
            if clock() - asked_again > ASKED_AGAIN_S:
                asked_again = clock()
                if not await to_thread.run_sync(_still_known, request, site):
                    return


def _still_known(request: Request, site: Site) -> bool:
    """Whether whoever listens may still; somebody who was disabled since is told nothing more."""
    try:
        return site.gate.whom(request) is not None
    except TryAgain:
        return True
    except HydradError:
        return False


def _since(site: Site, start: int) -> list[tuple[int, bytes]]:
    """What came after that verdict, or the word that it is too much."""
    try:
        found = newest.after(site.store, start, MOST_RESUMED + 1)
    except TryAgain:  # the feed says so too; when the data base is back, it lets everybody look at the whole wall
        return []
    if len(found) > MOST_RESUMED:
        return [(0, MISSED)]
    return [(one.id, verdict_frame(one)) for one in found]


def _format(site: Site, sha256: str) -> str:
    """The image's format as the data base has it."""
    known = newest.kept_image(site.store, sha256)
    if known is None or known.format not in MEDIA:
        raise HTTPException(404, "there is no such image")
    return known.format
