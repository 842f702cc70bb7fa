"""What people tell the daemon and each other, and what the daemon tells of itself."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, UniqueConstraint

from hydrad.domain import Health, Status
from hydrad.store.columns import Digest, Document, Hash, Moment, Number, Word, Words
from hydrad.store.tables.metadata import METADATA, ON_SERVERS, row_id

settings = Table(
    "settings",
    METADATA,
    row_id(),
    Column("digest", Digest, nullable=False),  # of the ticket its writer gave it
    Column("origin", String(32)),  # the journal it came through; NULL: written straight by a page or a verb
    Column("scope", Digest, nullable=False),  # of setting, plot, detector
    Column("setting", Words, nullable=False),
    Column("plot", Words),
    Column("detector", Words),
    Column("value", Number, nullable=False),
    Column("old", Number),
    Column("person", Words, nullable=False),
    Column("host", Words, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("via", Words, nullable=False),
    Column("reason", Words, nullable=False),
    UniqueConstraint("digest"),
    Index(None, "scope", "changed_at"),
    **ON_SERVERS,
)

submissions = Table(
    "submissions",
    METADATA,
    row_id(),
    Column("path", Words, nullable=False),
    Column("plot", Words),
    Column("run", BigInteger),
    Column("person", Words, nullable=False),
    Column("submitted_at", Moment, nullable=False),
    Column("taken_at", Moment),  # by the daemon
    Index(None, "taken_at"),
    **ON_SERVERS,
)

heartbeats = Table(
    "heartbeats",
    METADATA,
    Column("host", String(255), primary_key=True),
    Column("pid", BigInteger, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("beat_at", Moment, nullable=False),
    Column("version", Words, nullable=False),
    Column("health", Word(Health), nullable=False),
    Column("why", Words, nullable=False),
    Column("pending", BigInteger, nullable=False),  # files waiting
    Column("details", Document),  # beam, rates, stages, PV server, outbox, disk, as the daemon sees them
    **ON_SERVERS,
)

canaries = Table(  # the newest verdict on each model's known-bad image: apart from all that people look at
    "canaries",
    METADATA,
    Column("digest", Digest, primary_key=True),  # of journal and model
    Column("model", Words, nullable=False),
    Column("sha256", Hash, nullable=False),  # of the file
    Column("status", Word(Status), nullable=False),
    Column("label", Words),
    Column("confidence", Number),
    Column("reason", Words, nullable=False),
    Column("judged_at", Moment, nullable=False),
    **ON_SERVERS,
)

news = Table(  # a line that people put over the wall
    "news",
    METADATA,
    row_id(),
    Column("text", Words, nullable=False),  # empty: there is none any more
    Column("person", Words, nullable=False),
    Column("host", Words, nullable=False),
    Column("said_at", Moment, nullable=False),
    Column("until", Moment),  # NULL: until the next
    **ON_SERVERS,
)
