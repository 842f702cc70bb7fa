"""People: what they may do, what they show instead of a password, and which digests they were sent."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, String, Table, UniqueConstraint

from hydrad.domain import Role
from hydrad.store.columns import Digest, Moment, RowId, Word, Words
from hydrad.store.tables.metadata import METADATA, ON_SERVERS, row_id

people = Table(
    "people",
    METADATA,
    row_id(),
    Column("digest", Digest, nullable=False),  # of the name
    Column("name", Words, nullable=False),
    Column("role", Word(Role), nullable=False),
    Column("password", Words),  # as argon2 writes it; NULL: none, so no way in by password
    Column("email", Words),
    Column("digest_wanted", Boolean, nullable=False),  # e-mail with the log of the last day
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("digest"),
    **ON_SERVERS,
)

people_changes = Table(  # every change of what a person may do
    "people_changes",
    METADATA,
    row_id(),
    Column("name", Words, nullable=False),
    Column("what", Words, nullable=False),
    Column("person", Words, nullable=False),  # who changed it
    Column("host", Words, nullable=False),
    Column("via", Words, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Index(None, "changed_at"),
    **ON_SERVERS,
)

sessions = Table(
    "sessions",
    METADATA,
    row_id(),
    Column("digest", Digest, nullable=False),  # of the cookie's value, which stands nowhere
    Column("person_id", RowId, ForeignKey("people.id"), nullable=False),
    Column("host", Words, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    UniqueConstraint("digest"),
    Index(None, "person_id"),
    Index(None, "expires_at"),
    **ON_SERVERS,
)

tokens = Table(  # for programs
    "tokens",
    METADATA,
    row_id(),
    Column("digest", Digest, nullable=False),  # of the token, which stands nowhere
    Column("person_id", RowId, ForeignKey("people.id"), nullable=False),
    Column("name", Words, nullable=False),  # what it is for
    Column("role", Word(Role), nullable=False),  # never more than the person's
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("used_at", Moment),
    Column("revoked_at", Moment),
    UniqueConstraint("digest"),
    Index(None, "person_id"),
    **ON_SERVERS,
)

digests = Table(  # which days' logs were sent to whom
    "digests",
    METADATA,
    Column("person_id", RowId, ForeignKey("people.id"), primary_key=True, autoincrement=False),
    Column("day", String(10), primary_key=True),  # ISO 8601, in the hall's time zone
    Column("claimed_at", Moment, nullable=False),  # by whoever is about to send it; one that died is relieved
    Column("sent_at", Moment),  # NULL: not yet
    **ON_SERVERS,
)
