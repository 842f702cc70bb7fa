"""Learning: labels that people give, where models stand and why, shadows, trainings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SERVERS = ("mysql", "mariadb")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(mysql.MEDIUMTEXT(), *SERVERS)
WORD = sa.String(12).with_variant(mysql.VARCHAR(12, charset="ascii", collation="ascii_bin"), *SERVERS)
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *SERVERS)
DIGEST = sa.LargeBinary(16).with_variant(mysql.BINARY(16), *SERVERS)
ON_SERVERS: dict[str, Any] = {
    f"{server}_{word}": value
    for server in SERVERS
    for word, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Go on to this revision."""
    _labels()
    _models()
    _trainings()


def _id() -> sa.Column[int]:
    return sa.Column("id", ROW_ID, primary_key=True, autoincrement=True)


def _table(name: str, *parts: Any) -> None:
    op.create_table(name, *parts, **ON_SERVERS)


def _who() -> tuple[sa.Column[str], ...]:
    return tuple(sa.Column(name, WORDS, nullable=False) for name in ("person", "host", "via"))


def _labels() -> None:
    # What was seen before there was a choice was all kept, so all of it was drawn.
    op.add_column("images", sa.Column("sampled", sa.Boolean(), nullable=False, server_default=sa.text("1")))
    # In place: a table that is copied must be dropped, and SQLite drops none that verdicts refer to.
    if op.get_context().dialect.name in SERVERS:
        op.execute("SET SESSION foreign_key_checks = 0")  # no row refers to a label yet; checking would copy the table
        op.add_column("images", sa.Column("label_id", ROW_ID))
        op.create_foreign_key("fk_images_label_id", "images", "labels", ["label_id"], ["id"])
        op.execute("SET SESSION foreign_key_checks = 1")
    else:
        reference = "CONSTRAINT fk_images_label_id REFERENCES labels (id)"
        op.execute(f"ALTER TABLE images ADD COLUMN label_id INTEGER {reference}")
    op.create_index("ix_images_plot_id_label_id_taken_at", "images", ["plot_id", "label_id", "taken_at"])
    op.create_index("ix_verdicts_image", "verdicts", ["image_id"])
    _table(
        "definitions",
        _id(),
        sa.Column("label_id", ROW_ID, nullable=False),
        sa.Column("meaning", WORD, nullable=False),
        sa.Column("colour", sa.String(16)),
        *_who(),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_definitions"),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name="fk_definitions_label_id"),
    )
    op.create_index("ix_definitions_label_id", "definitions", ["label_id"])
    _table(
        "labellings",
        _id(),
        sa.Column("image_id", ROW_ID, nullable=False),
        sa.Column("label_id", ROW_ID),
        *_who(),
        sa.Column("labelled_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_labellings"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_labellings_image_id"),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name="fk_labellings_label_id"),
    )
    op.create_index("ix_labellings_image_id", "labellings", ["image_id"])
    op.create_index("ix_labellings_labelled_at", "labellings", ["labelled_at"])


def _models() -> None:
    op.add_column("models", sa.Column("fault", WORDS))
    _table(
        "moves",
        _id(),
        sa.Column("ticket", DIGEST, nullable=False),
        sa.Column("model_id", sa.String(255), nullable=False),
        sa.Column("old", WORD),
        sa.Column("new", WORD, nullable=False),
        *_who(),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("moved_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_moves"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_moves_model_id"),
    )
    op.create_index("ix_moves_model_id", "moves", ["model_id"])
    op.create_index("ix_moves_ticket", "moves", ["ticket"])
    _table(
        "shadows",
        _id(),
        sa.Column("verdict_id", ROW_ID, nullable=False),
        sa.Column("model_id", sa.String(255), nullable=False),
        sa.Column("label", WORDS, nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("scores", WORDS, nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("novelty", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_shadows"),
        sa.UniqueConstraint("verdict_id", "model_id", name="uq_shadows_verdict_id_model_id"),
        sa.ForeignKeyConstraint(["verdict_id"], ["verdicts.id"], name="fk_shadows_verdict_id"),
    )
    op.create_index("ix_shadows_model_id_verdict_id", "shadows", ["model_id", "verdict_id"])


def _trainings() -> None:
    _table(
        "trainings",
        _id(),
        sa.Column("state", WORD, nullable=False),
        sa.Column("settings", WORDS, nullable=False),
        sa.Column("progress", WORDS, nullable=False),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("host", WORDS),
        sa.Column("pid", sa.BigInteger()),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("told_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("stop_asked", sa.Boolean(), nullable=False),
        sa.Column("model_id", sa.String(255)),
        sa.Column("reason", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trainings"),
    )
    op.create_index("ix_trainings_state", "trainings", ["state"])
