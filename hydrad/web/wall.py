"""The run wall: every plot's newest image, what is wrong first and large, and the line of news over it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hydrad.domain import Role, zulu
from hydrad.errors import TryAgain
from hydrad.store import news
from hydrad.web import pages
from hydrad.web.documents import Moment, Words, plots_document
from hydrad.web.doors.visitors import Decides, Looks, Visitor
from hydrad.web.feed import health_of, news_of
from hydrad.web.site import Here, Site

router = APIRouter(tags=["wall"])

FURTHEST = timedelta(days=366)  # that a line of news may be meant to hold


def _in_reach(moment: datetime) -> datetime:
    now = datetime.now(UTC)
    if not now < moment <= now + FURTHEST:
        raise ValueError("must lie in the future, and within a year")
    return moment


class SayNews(BaseModel):
    """A line for everybody who looks at a page."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[
        str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s][^\x00-\x1f\x7f]*$")
    ]
    until: Annotated[Moment, AfterValidator(_in_reach)] | None = Field(
        None, description="when it goes by itself, with its zone; null: when somebody clears it"
    )


class NewsDocument(BaseModel):
    """The line over the wall; ``text`` is empty where there is none."""

    text: Words
    person: Words | None
    said_at: str | None
    until: str | None


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def wall(request: Request, site: Here, visitor: Looks) -> HTMLResponse:
    """The page; from then on events keep it new."""
    return pages.draw(request, "wall.html", facts=_facts(site, visitor))


@router.get("/api/v1/news", summary="The line over the wall")
def hear(site: Here, visitor: Looks) -> NewsDocument:  # noqa: ARG001  asking needs the role
    """What holds now."""
    return NewsDocument(**news_of(news.current(site.store, datetime.now(UTC))))


@router.put("/api/v1/news", summary="Put a line over the wall")
def say(site: Here, visitor: Decides, line: SayNews) -> NewsDocument:
    """In place of the one there is."""
    now = datetime.now(UTC)
    said = news.say(site.store, line.text.strip(), person=visitor.name, host=visitor.host, now=now, until=line.until)
    return NewsDocument(**news_of(said))


@router.delete("/api/v1/news", status_code=204, summary="Clear the line over the wall")
def clear(site: Here, visitor: Decides) -> None:
    """Who cleared it is recorded too."""
    now = datetime.now(UTC)
    if news.current(site.store, now) is not None:
        news.say(site.store, "", person=visitor.name, host=visitor.host, now=now)


def _facts(site: Site, visitor: Visitor) -> dict[str, Any]:
    """What the page begins with; while the data base is away, the word of that."""
    now = datetime.now(UTC)
    facts: dict[str, Any] = {
        "now": zulu(now),
        "watched": [str(watch.root) for watch in site.config.watch],
        "decides": visitor.may(Role.EXPERT),
        "trouble": None,
        "after": None,
        "plots": [],
        "health": None,
        "news": news_of(None),
    }
    try:
        return facts | {
            "health": health_of(site.clocks.heartbeat(), now),
            "news": news_of(news.current(site.store, now)),
            **plots_document(site).model_dump(mode="json", exclude={"now"}),
        }
    except TryAgain as why:
        return facts | {"trouble": str(why)}
