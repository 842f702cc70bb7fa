"""Models: where each stands and stood, what those in shadow would have said, and trainings."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, String, Table, UniqueConstraint

from hydrad.store.columns import Digest, Document, Moment, Number, RowId, Word, Words
from hydrad.store.tables.metadata import METADATA, ON_SERVERS, row_id


class ModelState(StrEnum):
    """Where a model stands in the library."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    IN_SERVICE = "in_service"
    RETIRED = "retired"


class TrainingState(StrEnum):
    """How far a training is."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"


models = Table(
    "models",
    METADATA,
    Column("id", String(255), primary_key=True),
    Column("state", Word(ModelState), nullable=False),
    Column("card", Document, nullable=False),
    Column("metrics", Document, nullable=False),
    Column("registered_at", Moment, nullable=False),
    Column("moved_at", Moment, nullable=False),  # into its present state
    Column("fault", Words),  # why the daemon refused it when it was last asked to load it
    **ON_SERVERS,
)

moves = Table(  # every change of a model's state; those of one decision share its ticket
    "moves",
    METADATA,
    row_id(),
    Column("ticket", Digest, nullable=False),
    Column("model_id", String(255), ForeignKey("models.id"), nullable=False),
    Column("old", Word(ModelState)),  # NULL: it is new
    Column("new", Word(ModelState), nullable=False),
    Column("person", Words, nullable=False),
    Column("host", Words, nullable=False),
    Column("via", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("moved_at", Moment, nullable=False),
    Index(None, "model_id"),
    Index(None, "ticket"),
    **ON_SERVERS,
)

shadows = Table(  # what models in shadow would have said; they change no status
    "shadows",
    METADATA,
    row_id(),
    Column("verdict_id", RowId, ForeignKey("verdicts.id"), nullable=False),
    Column("model_id", String(255), nullable=False),
    Column("label", Words, nullable=False),
    Column("confidence", Number, nullable=False),
    Column("scores", Document, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("novelty", Number),
    UniqueConstraint("verdict_id", "model_id"),
    Index(None, "model_id", "verdict_id"),
    **ON_SERVERS,
)

trainings = Table(
    "trainings",
    METADATA,
    row_id(),
    Column("state", Word(TrainingState), nullable=False),
    Column("settings", Document, nullable=False),  # what was asked for
    Column("progress", Document, nullable=False),
    Column("person", Words, nullable=False),
    Column("host", Words),
    Column("pid", BigInteger),
    Column("asked_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("told_at", Moment),  # its last sign of life
    Column("ended_at", Moment),
    Column("stop_asked", Boolean, nullable=False),
    Column("model_id", String(255)),  # what came of it
    Column("reason", Words, nullable=False),
    Index(None, "state"),
    **ON_SERVERS,
)
