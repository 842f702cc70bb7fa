"""What is watched: detectors, their plots, runs; how each plot stands, and how its hours were."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, UniqueConstraint

from hydrad.domain import Severity, Status
from hydrad.store.columns import Digest, Moment, Number, RowId, Word, Words
from hydrad.store.tables.metadata import METADATA, ON_SERVERS, row_id

detectors = Table(
    "detectors",
    METADATA,
    row_id(),
    Column("digest", Digest, nullable=False),  # of the name
    Column("name", Words, nullable=False),
    UniqueConstraint("digest"),
    **ON_SERVERS,
)

plots = Table(
    "plots",
    METADATA,
    row_id(),
    Column("digest", Digest, nullable=False),  # of the name
    Column("name", Words, nullable=False),
    Column("detector_id", RowId, ForeignKey("detectors.id")),  # of its newest verdict; NULL before the first
    UniqueConstraint("digest"),
    **ON_SERVERS,
)

standings = Table(  # what holds at present: one row a plot, from its first verdict on
    "standings",
    METADATA,
    Column("plot_id", RowId, ForeignKey("plots.id"), primary_key=True, autoincrement=False),
    Column("verdict_id", RowId, ForeignKey("verdicts.id"), nullable=False),
    Column("status", Word(Status), nullable=False),
    Column("severity", Word(Severity), nullable=False),
    Column("reason", Words, nullable=False),
    Column("label", Words),
    Column("confidence", Number),
    Column("taken_at", Moment),
    Column("judged_at", Moment, nullable=False),
    Column("run", BigInteger),
    Column("bad_in_a_row", Integer, nullable=False),
    Index(None, "verdict_id"),
    **ON_SERVERS,
)

runs = Table(
    "runs",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first_seen", Moment, nullable=False),
    Column("last_seen", Moment, nullable=False),
    **ON_SERVERS,
)

hours = Table(  # how many images of a plot had which status in an hour: counting ten million verdicts takes seconds
    "hours",
    METADATA,
    Column("hour", Moment, primary_key=True),  # its beginning, UTC
    Column("plot_id", RowId, ForeignKey("plots.id"), primary_key=True, autoincrement=False),
    Column("status", Word(Status), primary_key=True),
    Column("images", Integer, nullable=False),  # judged, superseded ones too
    Index(None, "plot_id", "hour"),
    **ON_SERVERS,
)
