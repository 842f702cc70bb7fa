"""What people call what they see: labels, what they mean, and who gave which to an image."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table, UniqueConstraint

from hydrad.domain import Meaning
from hydrad.store.columns import Digest, Moment, RowId, Word, Words
from hydrad.store.tables.metadata import METADATA, ON_SERVERS, row_id

labels = Table(
    "labels",
    METADATA,
    row_id(),
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
    row_id(),
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

labellings = Table(  # every label that a person gave or took back; the newest of an image is its row's label_id
    "labellings",
    METADATA,
    row_id(),
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
