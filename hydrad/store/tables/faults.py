"""The log of faults: episodes, who acknowledged them, and what went to the hall's logbook."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table

from hydrad.domain import Severity, Status
from hydrad.store.columns import Moment, Number, RowId, Word, Words
from hydrad.store.tables.metadata import METADATA, ON_SERVERS, row_id

episodes = Table(  # an unbroken stretch in which a plot was not well: one entry of the log, however many verdicts
    "episodes",
    METADATA,
    row_id(),
    Column("plot_id", RowId, ForeignKey("plots.id"), nullable=False),
    Column("detector_id", RowId, ForeignKey("detectors.id"), nullable=False),
    Column("status", Word(Status), nullable=False),  # the worst of it
    Column("severity", Word(Severity), nullable=False),
    Column("label", Words),  # of its worst verdict, as is everything up to ``reason``
    Column("confidence", Number),
    Column("reason", Words, nullable=False),
    Column("started_at", Moment, nullable=False),  # judged_at of its first verdict
    Column("alarmed_at", Moment),  # since when it is BAD or NODATA with an alarm of its own; NULL: never was
    Column("last_at", Moment, nullable=False),  # judged_at of its newest verdict
    Column("ended_at", Moment),  # judged_at of the verdict that ended it; NULL: it lasts
    Column("images", Integer, nullable=False),  # judged in it
    Column("first_verdict_id", RowId, ForeignKey("verdicts.id"), nullable=False),
    Column("last_verdict_id", RowId, ForeignKey("verdicts.id"), nullable=False),
    Column("worst_verdict_id", RowId, ForeignKey("verdicts.id"), nullable=False),
    Column("first_run", BigInteger),
    Column("last_run", BigInteger),
    Column("acknowledged_at", Moment),  # as its newest acknowledgement says
    Column("acknowledged_by", Words),
    Index(None, "plot_id", "ended_at"),  # the one that lasts
    Index(None, "ended_at", "started_at"),  # those that last, and those that ended, the latest first
    Index(None, "status", "ended_at", "started_at"),
    Index(None, "plot_id", "last_at"),
    Index(None, "first_run", "last_run"),
    Index(None, "alarmed_at", "plot_id"),
    Index(None, "first_verdict_id"),  # like the next two: whether a verdict may go
    Index(None, "last_verdict_id"),
    Index(None, "worst_verdict_id"),
    **ON_SERVERS,
)

acknowledgements = Table(
    "acknowledgements",
    METADATA,
    row_id(),
    Column("episode_id", RowId, ForeignKey("episodes.id"), nullable=False),
    Column("person", Words, nullable=False),
    Column("host", Words, nullable=False),
    Column("comment", Words, nullable=False),
    Column("acknowledged_at", Moment, nullable=False),
    Index(None, "acknowledged_at"),
    Index(None, "episode_id"),
    **ON_SERVERS,
)

logbook_entries = Table(  # what was sent to the hall's logbook
    "logbook_entries",
    METADATA,
    row_id(),
    Column("episode_id", RowId, ForeignKey("episodes.id"), nullable=False),
    Column("verdict_id", RowId, ForeignKey("verdicts.id"), nullable=False),  # its worst at that time
    Column("title", Words, nullable=False),
    Column("person", Words, nullable=False),
    Column("host", Words, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("reference", Words, nullable=False),  # the logbook's address of it, or the file that was handed over
    Index(None, "episode_id"),
    Index(None, "verdict_id"),
    **ON_SERVERS,
)
