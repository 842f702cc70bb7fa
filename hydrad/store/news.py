"""The line of news over the wall: who said what, and until when it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from hydrad.store.queries import Store
from hydrad.store.tables import news


@dataclass(frozen=True, slots=True)
class News:
    """A line that somebody put over the wall."""

    text: str
    person: str
    said_at: datetime  # aware, UTC
    until: datetime | None = None  # None: until the next


def say(store: Store, text: str, *, person: str, host: str, now: datetime, until: datetime | None = None) -> News:
    """Put a line over the wall in place of the one there is; an empty one clears it. All of them stay recorded.

    Args:
        now: aware.
        until: aware; None for a line that holds until the next.
    """
    row = {"text": text, "person": person, "host": host, "said_at": now, "until": until}
    with store.writing() as connection:
        connection.execute(insert(news), row)
    return News(text, person, now, until)


def current(store: Store, now: datetime) -> News | None:
    """The line that holds now, or None."""
    query = select(news).order_by(news.c.id.desc()).limit(1)
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or not row.text or (row.until is not None and row.until <= now):
        return None
    return News(row.text, row.person, row.said_at, row.until)
