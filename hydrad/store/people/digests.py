"""Who wants the last day's log by e-mail, and who has it: each day goes to each person once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, false, insert, select, true, update

from hydrad.store.engine import Beaten
from hydrad.store.queries import Store
from hydrad.store.tables import digests, people

RELIEVED_AFTER = timedelta(minutes=15)  # whoever claimed it and has not sent it by then is dead


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who wants it."""

    id: int
    name: str
    email: str


def readers(store: Store, day: str) -> Sequence[Reader]:
    """Those who want a digest and do not have this day's yet.

    Args:
        day: ISO 8601, in the hall's time zone.
    """
    has = select(digests.c.person_id).where(digests.c.day == day, digests.c.sent_at.is_not(None))
    query = (
        select(people.c.id, people.c.name, people.c.email)
        .where(people.c.digest_wanted == true(), people.c.disabled == false(), people.c.email.is_not(None))
        .where(people.c.email != "", people.c.id.not_in(has))
        .order_by(people.c.id)
    )
    with store.reading() as connection:
        return [Reader(row.id, row.name, row.email) for row in connection.execute(query)]


def claim(store: Store, reader: Reader, day: str, now: datetime) -> bool:
    """Take it on to send this day's to somebody; False if it was sent, or another process is about to."""
    table = digests
    mine = (table.c.person_id == reader.id) & (table.c.day == day)
    try:
        with store.writing() as connection:
            abandoned = mine & table.c.sent_at.is_(None) & (table.c.claimed_at < now - RELIEVED_AFTER)
            if connection.execute(update(table).where(abandoned).values(claimed_at=now)).rowcount == 1:
                return True
            if connection.execute(select(table.c.day).where(mine)).first() is not None:
                return False
            connection.execute(insert(table).values(person_id=reader.id, day=day, claimed_at=now))
    except Beaten:
        return False
    return True


def sent(store: Store, reader: Reader, day: str) -> None:
    """It is on its way."""
    mine = (digests.c.person_id == reader.id) & (digests.c.day == day)
    with store.writing() as connection:
        connection.execute(update(digests).where(mine).values(sent_at=datetime.now(UTC)))


def give_up(store: Store, reader: Reader, day: str) -> None:
    """It could not be sent: whoever comes next may try."""
    mine = (digests.c.person_id == reader.id) & (digests.c.day == day) & digests.c.sent_at.is_(None)
    with store.writing() as connection:
        connection.execute(delete(digests).where(mine))
