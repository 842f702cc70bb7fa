"""What somebody shows instead of a password: sessions of browsers, tokens of programs.

Of each only a digest is kept, so whoever reads the data base cannot come in with what stands there. The secrets hold
256 random bits: no salt and no slow hash are needed, and a look-up is one question to a unique index.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from hydrad.domain import Role
from hydrad.errors import ChangeRefused
from hydrad.store.models.registry import Who
from hydrad.store.people.accounts import Lock, Person, note, person_from
from hydrad.store.places import inserted
from hydrad.store.queries import Store
from hydrad.store.tables import people, sessions, tokens

SECRET_BYTES = 32
TOKEN_MARK = "hydrad_"  # noqa: S105  how programs that look for leaked secrets tell one of ours
SLIDES_EVERY = timedelta(hours=1)
USED_EVERY = timedelta(minutes=1)
PURPOSE_LETTERS = 100
DAYS_AT_MOST = 3650


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that somebody has logged in with."""

    id: int
    person: Person
    host: str  # where they logged in from
    created_at: datetime
    seen_at: datetime  # to the hour
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """What a program shows; it may do what ``role`` says, and never more than its person."""

    id: int
    person: Person
    purpose: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None  # to the minute
    revoked_at: datetime | None

    def valid(self, now: datetime) -> bool:
        """Whether it opens anything at this time."""
        return (
            self.revoked_at is None and (self.expires_at is None or now < self.expires_at) and not self.person.disabled
        )


def digest_of(secret: str) -> bytes:
    """Sixteen bytes that stand for a secret, from which nobody can tell it."""
    return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=16, person=b"hydrad-pass").digest()


# ---- sessions ----


def begin(store: Store, lock: Lock, host: str, lasts: timedelta, *, hashed: str | None = None) -> str | None:
    """Open a session for somebody whose password was right; return its secret.

    None if no password opens the account, or meanwhile it was changed or the person disabled.

    Args:
        lock: as the password was tried on.
        hashed: the same password as argon2 writes it today, to be kept instead.
    """
    if lock.hashed is None:
        return None
    secret = secrets.token_urlsafe(SECRET_BYTES)
    now = datetime.now(UTC)
    person = lock.person.id
    query = select(people.c.id).where(
        people.c.id == person, people.c.password == lock.hashed, people.c.disabled.is_(other=False)
    )
    with store.writing() as connection:
        if connection.execute(query.with_for_update()).first() is None:
            return None
        if hashed is not None:
            connection.execute(update(people).where(people.c.id == person).values(password=hashed))
        connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
        fresh = {"digest": digest_of(secret), "person_id": person, "host": host}
        times = {"created_at": now, "seen_at": now, "expires_at": now + lasts}
        connection.execute(insert(sessions).values(fresh | times))
    return secret


def session(store: Store, secret: str, lasts: timedelta) -> Session | None:
    """The session of this secret if it is still open to an enabled person; being seen lengthens it.

    Args:
        lasts: how long it stays open from now on.
    """
    with store.reading() as connection:
        query = _select_sessions().where(sessions.c.digest == digest_of(secret))
        row = connection.execute(query).one_or_none()
    now = datetime.now(UTC)
    if row is None or row.expires_at <= now or row.disabled:
        return None
    if now - row.seen_at >= min(SLIDES_EVERY, lasts / 10):
        with store.writing() as connection:
            seen = {"seen_at": now, "expires_at": now + lasts}
            connection.execute(update(sessions).where(sessions.c.id == row.session_id).values(seen))
    return _session(row)


def open_sessions(store: Store, person: int) -> Sequence[Session]:
    """Somebody's open sessions, the newest first."""
    query = _select_sessions().where(sessions.c.person_id == person, sessions.c.expires_at > datetime.now(UTC))
    with store.reading() as connection:
        return [_session(row) for row in connection.execute(query.order_by(sessions.c.id.desc()))]


def end(store: Store, secret: str) -> None:
    """Close the session of this secret, if there is one."""
    with store.writing() as connection:
        connection.execute(delete(sessions).where(sessions.c.digest == digest_of(secret)))


def end_all(store: Store, person: int) -> None:
    """Close every session of somebody."""
    with store.writing() as connection:
        connection.execute(delete(sessions).where(sessions.c.person_id == person))


# ---- tokens ----


def make_token(
    store: Store, person: Person, by: Who, *, purpose: str = "", role: Role | None = None, days: float | None = None
) -> tuple[str, Token]:
    """Make a token for somebody's program; return its secret, which nobody can read again, and what is kept.

    Args:
        role: at most the person's, which it is unless said.
        days: how long it opens anything; None: until revoked.

    Raises:
        ChangeRefused: the person may less than the role, or it would end at no sensible time.
    """
    role = person.role if role is None else role
    if role > person.role:
        raise ChangeRefused(f"{person.name} is {person.role.name.lower()}: a token cannot be {role.name.lower()}")
    if days is not None and not 0 < days <= DAYS_AT_MOST:
        raise ChangeRefused(f"a token ends within {DAYS_AT_MOST} days, or when it is revoked")
    if len(purpose) > PURPOSE_LETTERS or not purpose.isprintable():
        raise ChangeRefused(f"what a token is for is said in at most {PURPOSE_LETTERS} letters, on one line")
    secret = f"{TOKEN_MARK}{secrets.token_urlsafe(SECRET_BYTES)}"
    now = datetime.now(UTC)
    ends = None if days is None else now + timedelta(days=days)
    with store.writing() as connection:
        fresh = {"digest": digest_of(secret), "person_id": person.id, "name": purpose, "role": role}
        made = connection.execute(insert(tokens).values(fresh | {"created_at": now, "expires_at": ends}))
        number = inserted(made)
        until = "" if ends is None else f", until {ends:%F %H:%M} UTC"
        note(connection, person.name, f"token {number}{_for(purpose)} made, {role.name.lower()}{until}", by)
        return secret, _one(connection, number)


def token(store: Store, secret: str) -> Token | None:
    """The token of this secret if it opens anything now."""
    with store.reading() as connection:
        query = _select_tokens().where(tokens.c.digest == digest_of(secret))
        row = connection.execute(query).one_or_none()
    now = datetime.now(UTC)
    if row is None or not (found := _token(row)).valid(now):
        return None
    if found.used_at is None or now - found.used_at >= USED_EVERY:
        with store.writing() as connection:
            connection.execute(update(tokens).where(tokens.c.id == found.id).values(used_at=now))
    return found


def tokens_of(store: Store, person: int | None = None) -> Sequence[Token]:
    """Somebody's tokens, or everybody's, the newest first; revoked ones stay in the list."""
    query = _select_tokens().order_by(tokens.c.id.desc())
    if person is not None:
        query = query.where(tokens.c.person_id == person)
    with store.reading() as connection:
        return [_token(row) for row in connection.execute(query)]


def revoke(store: Store, number: int, by: Who, *, of: int | None = None) -> None:
    """End a token.

    Args:
        of: the person it must be of; None: anybody's.

    Raises:
        ChangeRefused: there is none of this number, or it was revoked.
    """
    with store.writing() as connection:
        query = _select_tokens().where(tokens.c.id == number)
        row = connection.execute(query.with_for_update()).one_or_none()
        if row is None or (of is not None and row.id != of):
            raise ChangeRefused(f"there is no token number {number}")
        if row.revoked_at is not None:
            raise ChangeRefused(f"token {number} was revoked already")
        connection.execute(update(tokens).where(tokens.c.id == number).values(revoked_at=datetime.now(UTC)))
        note(connection, row.name, f"token {number}{_for(row.purpose)} revoked", by)


# ---- how it is done ----


def _select_sessions() -> Select[Any]:
    columns = sessions.c
    of_session = (
        columns.id.label("session_id"), columns.host, columns.created_at.label("begun_at"), columns.seen_at,
        columns.expires_at,
    )  # fmt: skip
    return select(people, *of_session).join(sessions, sessions.c.person_id == people.c.id)


def _session(row: Any) -> Session:
    return Session(row.session_id, person_from(row), row.host, row.begun_at, row.seen_at, row.expires_at)


def _select_tokens() -> Select[Any]:
    columns = tokens.c
    of_token = (
        columns.id.label("token_id"), columns.name.label("purpose"), columns.role.label("token_role"),
        columns.created_at.label("made_at"), columns.expires_at, columns.used_at, columns.revoked_at,
    )  # fmt: skip
    return select(people, *of_token).join(tokens, tokens.c.person_id == people.c.id)


def _token(row: Any) -> Token:
    return Token(
        row.token_id, person_from(row), row.purpose, row.token_role, row.made_at, row.expires_at, row.used_at,
        row.revoked_at,
    )  # fmt: skip


def _one(connection: Connection, number: int) -> Token:
    return _token(connection.execute(_select_tokens().where(tokens.c.id == number)).one())


def _for(purpose: str) -> str:
    return f" ({purpose})" if purpose else ""
