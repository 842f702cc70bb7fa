"""What a model that was let loose on an archive said of its files."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, String, Table, UniqueConstraint

from hydrad.domain import Outcome
from hydrad.store.columns import Digest, Document, Hash, Moment, Number, RowId, Word, Words
from hydrad.store.tables.metadata import METADATA, ON_SERVERS, row_id

reprocessings = Table(  # a model let loose on an archive: apart from all that is judged live
    "reprocessings",
    METADATA,
    row_id(),
    Column("digest", Digest, nullable=False),  # of what was asked for: asked again, it is gone on with
    Column("model_id", String(255), nullable=False),
    Column("model_sha256", Hash, nullable=False),  # of its bundle.json, which has the hashes of its files
    Column("source", Words, nullable=False),  # the folder, or the store of images
    Column("names", Words, nullable=False),  # how names in it are read
    Column("person", Words, nullable=False),
    Column("host", Words, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("told_at", Moment, nullable=False),  # when files were last done
    Column("ended_at", Moment),  # NULL: there is more to do
    Column("files", BigInteger, nullable=False),  # there were when it was last begun
    Column("judged", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),  # could not be read, and are tried again
    Index(None, "digest"),
    **ON_SERVERS,
)

reprocessed = Table(  # what came of each file; names no row of a live table, so that neither keeps the other
    "reprocessed",
    METADATA,
    row_id(),
    Column("reprocessing_id", RowId, ForeignKey("reprocessings.id"), nullable=False),
    Column("digest", Digest, nullable=False),  # of plot and path: a file is there once
    Column("plot", Words, nullable=False),
    Column("plot_digest", Digest, nullable=False),  # as in plots, where it need not be
    Column("path", Words, nullable=False),  # below the source
    Column("run", BigInteger),
    Column("taken_at", Moment),
    Column("outcome", Word(Outcome), nullable=False),  # judged, rejected or pending
    Column("reason", Words, nullable=False),
    Column("sha256", Hash),
    Column("label", Words),
    Column("confidence", Number),
    Column("confirmed", Boolean, nullable=False),
    Column("scores", Document, nullable=False),
    Column("novelty", Number),
    UniqueConstraint("reprocessing_id", "digest"),
    Index(None, "reprocessing_id", "id"),  # a piece at a time, in the order in which they came
    **ON_SERVERS,
)
