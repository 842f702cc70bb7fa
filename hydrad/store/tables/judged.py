"""What was seen and said: images, verdicts, and the ledger of files, in which each is accounted for."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from hydrad.domain import BeamState, Cause, Outcome, Severity, Status
from hydrad.store.columns import Blob, Digest, Document, Hash, Moment, Nanoseconds, Number, RowId, Word, Words
from hydrad.store.tables.metadata import METADATA, ON_SERVERS, row_id

images = Table(
    "images",
    METADATA,
    row_id(),
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
    Index(None, "plot_id", "label_id", "kept", "taken_at"),  # a plot's images with this label, or with none
    Index(None, "plot_id", "taken_at"),  # a plot's newest images
    Index(None, "kept", "taken_at"),  # what has been kept long enough
    **ON_SERVERS,
)

# The four indices answer every filter of the log from the index alone, newest first; rows are read for the hits only.
verdicts = Table(
    "verdicts",
    METADATA,
    row_id(),
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
    Column("label_start", String(40), Computed("substr(label, 1, 40)", persisted=False)),  # as much as an index takes
    UniqueConstraint("digest"),
    Index("ix_verdicts_time", "judged_at", "status", "plot_id", "run"),
    Index("ix_verdicts_plot", "plot_id", "judged_at", "status", "run"),
    Index("ix_verdicts_run", "run", "judged_at", "status", "plot_id"),
    Index("ix_verdicts_status", "status", "judged_at", "plot_id", "run"),
    Index("ix_verdicts_image", "image_id"),  # what was said of this image
    Index(  # what a plot's images scored over time, without reading a row
        "ix_verdicts_scores",
        *("plot_id", "cause", "judged_at", "superseded", "status", "confirmed", "confidence", "novelty"),
        *("beam_state", "beam_current", "run", "image_id", "label_start"),
    ),
    **ON_SERVERS,
)

files = Table(
    "files",
    METADATA,
    row_id(),
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
    Index(None, "verdict_id"),
    **ON_SERVERS,
)

tallies = Table(  # counting ten million files takes seconds; counting along takes none
    "tallies",
    METADATA,
    Column("outcome", Word(Outcome), primary_key=True),
    Column("files", BigInteger, nullable=False),
    **ON_SERVERS,
)
