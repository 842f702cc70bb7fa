"""The tables of the data base, and the questions each index is there to answer."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

from hydrad.domain import BeamState, Cause, Health, Meaning, Outcome, Severity, Status
from hydrad.store.columns import Blob, Digest, Document, Hash, Moment, Nanoseconds, Number, RowId, Word, Words


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


METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# utf8mb4_bin: case and accents tell names apart in people's own SQL too; hydrad itself looks names up by digest.
ON_SERVERS: dict[str, Any] = {
    f"{server}_{word}": value
    for server in ("mysql", "mariadb")
    for word, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def _id() -> Column[int]:
    return Column("id", RowId, primary_key=True, autoincrement=True)


detectors = Table(
    "detectors",
    METADATA,
    _id(),
    Column("digest", Digest, nullable=False),  # of the name
    Column("name", Words, nullable=False),
    UniqueConstraint("digest"),
    **ON_SERVERS,
)

plots = Table(
    "plots",
    METADATA,
    _id(),
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
    **ON_SERVERS,
)

labels = Table(
    "labels",
    METADATA,
    _id(),
    Column("plot_id", RowId, ForeignKey("plots.id"), nullable=False),
    Column("digest", Digest, nullable=False),  # of the name
    Column("name", Words, nullable=False),
    Column("meaning", Word(Meaning), nullable=False),
    Column("colour", String(16)),  # as CSS writes it
    UniqueConstraint("plot_id", "digest"),
    **ON_SERVERS,
)

definitions = Table(  # every change of what a label means or looks like
    "definitions",
    METADATA,
    _id(),
    Column("label_id", RowId, ForeignKey("labels.id"), nullable=False),
    Column("meaning", Word(Meaning), nullable=False),
    Column("colour", String(16)),
    Column("person", Words, nullable=False),
    Column("host", Words, nullable=False),
    Column("via", Words, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Index(None, "label_id"),
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

images = Table(
    "images",
    METADATA,
    _id(),
    Column("sha256", Hash, nullable=False),  # of the file's bytes
    Column("plot_id", RowId, ForeignKey("plots.id"), nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("format", String(16), nullable=False),
    Column("width", Integer, nullable=False),  # pixels
    Column("height", Integer, nullable=False),
    Column("path", Words, nullable=False),  # where it was first seen
    Column("run", BigInteger),
    Column("chunk", BigInteger),
    Column("taken_at", Moment),
    Column("kept", Boolean, nullable=False),  # its bytes still lie in the images folder
    Column("sampled", Boolean, nullable=False, server_default=text("1")),  # drawn for labelling when it was seen
    Column("label_id", RowId, ForeignKey("labels.id")),  # as people see it; NULL: nobody has labelled it
    UniqueConstraint("sha256", "plot_id"),
    Index(None, "plot_id", "label_id", "taken_at"),  # a plot's images with this label, or with none
    Index(None, "plot_id", "taken_at"),  # a plot's newest images
    Index(None, "kept", "taken_at"),  # what has been kept long enough
    **ON_SERVERS,
)

labellings = Table(  # every label that a person gave or took back; the newest of an image is its row's label_id
    "labellings",
    METADATA,
    _id(),
    Column("image_id", RowId, ForeignKey("images.id"), nullable=False),
    Column("label_id", RowId, ForeignKey("labels.id")),  # NULL: taken back
    Column("person", Words, nullable=False),
    Column("host", Words, nullable=False),
    Column("via", Words, nullable=False),
    Column("labelled_at", Moment, nullable=False),
    Index(None, "image_id"),
    Index(None, "labelled_at"),
    **ON_SERVERS,
)

# The four indices answer every filter of the log from the index alone, newest first; rows are read for the hits only.
verdicts = Table(
    "verdicts",
    METADATA,
    _id(),
    Column("digest", Digest, nullable=False),  # of the key
    Column("verdict_key", Words, nullable=False),
    Column("plot_id", RowId, ForeignKey("plots.id"), nullable=False),
    Column("detector_id", RowId, ForeignKey("detectors.id"), nullable=False),
    Column("image_id", RowId, ForeignKey("images.id")),
    Column("status", Word(Status), nullable=False),
    Column("severity", Word(Severity), nullable=False),
    Column("reason", Words, nullable=False),
    Column("judged_at", Moment, nullable=False),
    Column("cause", Word(Cause), nullable=False),
    Column("beam_state", Word(BeamState), nullable=False),
    Column("beam_current", Number),
    Column("beam_units", Words, nullable=False),
    Column("beam_read_at", Moment),
    Column("beam_reason", Words, nullable=False),
    Column("beam_since", Moment),
    Column("bad_in_a_row", Integer, nullable=False),
    Column("superseded", Boolean, nullable=False),
    Column("path", Words),
    Column("run", BigInteger),
    Column("chunk", BigInteger),
    Column("sha256", Hash),
    Column("taken_at", Moment),
    Column("model", Words),
    Column("label", Words),
    Column("confidence", Number),
    Column("scores", Document, nullable=False),
    Column("meanings", Document, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("novelty", Number),
    Column("heatmap", Blob),  # one byte a cell, row by row
    Column("heatmap_rows", Integer),
    Column("heatmap_columns", Integer),
    UniqueConstraint("digest"),
    Index("ix_verdicts_time", "judged_at", "status", "plot_id", "run"),
    Index("ix_verdicts_plot", "plot_id", "judged_at", "status", "run"),
    Index("ix_verdicts_run", "run", "judged_at", "status", "plot_id"),
    Index("ix_verdicts_status", "status", "judged_at", "plot_id", "run"),
    Index("ix_verdicts_image", "image_id"),  # what was said of this image
    **ON_SERVERS,
)

files = Table(
    "files",
    METADATA,
    _id(),
    Column("digest", Digest, nullable=False),  # of the sighting: path, size, time of last write, submission
    Column("path", Words, nullable=False),
    Column("path_digest", Digest, nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("mtime_ns", Nanoseconds, nullable=False),
    Column("sha256", Hash),
    Column("outcome", Word(Outcome), nullable=False),
    Column("reason", Words, nullable=False),
    Column("plot_id", RowId, ForeignKey("plots.id")),
    Column("verdict_id", RowId, ForeignKey("verdicts.id")),
    Column("run", BigInteger),
    Column("seen_at", Moment, nullable=False),
    Column("done_at", Moment),
    Column("submission", BigInteger),
    UniqueConstraint("digest"),
    Index(None, "path_digest"),  # what became of this path
    Index(None, "seen_at"),
    Index(None, "outcome", "seen_at"),
    Index(None, "submission"),
    **ON_SERVERS,
)

tallies = Table(  # counting ten million files takes seconds; counting along takes none
    "tallies",
    METADATA,
    Column("outcome", Word(Outcome), primary_key=True),
    Column("files", BigInteger, nullable=False),
    **ON_SERVERS,
)

settings = Table(
    "settings",
    METADATA,
    _id(),
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
    _id(),
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
    _id(),
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
    _id(),
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

submissions = Table(
    "submissions",
    METADATA,
    _id(),
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
    **ON_SERVERS,
)
