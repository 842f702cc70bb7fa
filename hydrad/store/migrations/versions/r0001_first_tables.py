"""The first tables: plots, images, verdicts, files, settings, models, submissions, heartbeats."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERVERS = ("mysql", "mariadb")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(mysql.MEDIUMTEXT(), *SERVERS)
WORD = sa.String(12).with_variant(mysql.VARCHAR(12, charset="ascii", collation="ascii_bin"), *SERVERS)
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *SERVERS)
HASH = sa.LargeBinary(32).with_variant(mysql.BINARY(32), *SERVERS)
DIGEST = sa.LargeBinary(16).with_variant(mysql.BINARY(16), *SERVERS)
BLOB = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), *SERVERS)
ON_SERVERS: dict[str, Any] = {
    f"{server}_{word}": value
    for server in SERVERS
    for word, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Go on to this revision."""
    _plots()
    _images_and_verdicts()
    _files()
    _people()


def _id() -> sa.Column[int]:
    return sa.Column("id", ROW_ID, primary_key=True, autoincrement=True)


def _table(name: str, *parts: Any) -> None:
    op.create_table(name, *parts, **ON_SERVERS)


def _plots() -> None:
    _table(
        "detectors",
        _id(),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_detectors"),
        sa.UniqueConstraint("digest", name="uq_detectors_digest"),
    )
    _table(
        "plots",
        _id(),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("detector_id", ROW_ID),
        sa.PrimaryKeyConstraint("id", name="pk_plots"),
        sa.UniqueConstraint("digest", name="uq_plots_digest"),
        sa.ForeignKeyConstraint(["detector_id"], ["detectors.id"], name="fk_plots_detector_id"),
    )
    _table(
        "labels",
        _id(),
        sa.Column("plot_id", ROW_ID, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("meaning", WORD, nullable=False),
        sa.Column("colour", sa.String(16)),
        sa.PrimaryKeyConstraint("id", name="pk_labels"),
        sa.UniqueConstraint("plot_id", "digest", name="uq_labels_plot_id_digest"),
        sa.ForeignKeyConstraint(["plot_id"], ["plots.id"], name="fk_labels_plot_id"),
    )
    _table(
        "runs",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_seen", MOMENT, nullable=False),
        sa.Column("last_seen", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_runs"),
    )


def _images_and_verdicts() -> None:
    _table(
        "images",
        _id(),
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("plot_id", ROW_ID, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("run", sa.BigInteger()),
        sa.Column("chunk", sa.BigInteger()),
        sa.Column("taken_at", MOMENT),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.UniqueConstraint("sha256", "plot_id", name="uq_images_sha256_plot_id"),
        sa.ForeignKeyConstraint(["plot_id"], ["plots.id"], name="fk_images_plot_id"),
    )
    op.create_index("ix_images_plot_id_taken_at", "images", ["plot_id", "taken_at"])
    op.create_index("ix_images_kept_taken_at", "images", ["kept", "taken_at"])
    _table(
        "verdicts",
        _id(),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("verdict_key", WORDS, nullable=False),
        sa.Column("plot_id", ROW_ID, nullable=False),
        sa.Column("detector_id", ROW_ID, nullable=False),
        sa.Column("image_id", ROW_ID),
        sa.Column("status", WORD, nullable=False),
        sa.Column("severity", WORD, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("judged_at", MOMENT, nullable=False),
        sa.Column("cause", WORD, nullable=False),
        sa.Column("beam_state", WORD, nullable=False),
        sa.Column("beam_current", sa.Double()),
        sa.Column("beam_units", WORDS, nullable=False),
        sa.Column("beam_read_at", MOMENT),
        sa.Column("beam_reason", WORDS, nullable=False),
        sa.Column("beam_since", MOMENT),
        sa.Column("bad_in_a_row", sa.Integer(), nullable=False),
        sa.Column("superseded", sa.Boolean(), nullable=False),
        sa.Column("path", WORDS),
        sa.Column("run", sa.BigInteger()),
        sa.Column("chunk", sa.BigInteger()),
        sa.Column("sha256", HASH),
        sa.Column("taken_at", MOMENT),
        sa.Column("model", WORDS),
        sa.Column("label", WORDS),
        sa.Column("confidence", sa.Double()),
        sa.Column("scores", WORDS, nullable=False),
        sa.Column("meanings", WORDS, nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("novelty", sa.Double()),
        sa.Column("heatmap", BLOB),
        sa.Column("heatmap_rows", sa.Integer()),
        sa.Column("heatmap_columns", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="pk_verdicts"),
        sa.UniqueConstraint("digest", name="uq_verdicts_digest"),
        sa.ForeignKeyConstraint(["plot_id"], ["plots.id"], name="fk_verdicts_plot_id"),
        sa.ForeignKeyConstraint(["detector_id"], ["detectors.id"], name="fk_verdicts_detector_id"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_verdicts_image_id"),
    )
    op.create_index("ix_verdicts_time", "verdicts", ["judged_at", "status", "plot_id", "run"])
    op.create_index("ix_verdicts_plot", "verdicts", ["plot_id", "judged_at", "status", "run"])
    op.create_index("ix_verdicts_run", "verdicts", ["run", "judged_at", "status", "plot_id"])
    op.create_index("ix_verdicts_status", "verdicts", ["status", "judged_at", "plot_id", "run"])
    _table(
        "standings",
        sa.Column("plot_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("verdict_id", ROW_ID, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("severity", WORD, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("label", WORDS),
        sa.Column("confidence", sa.Double()),
        sa.Column("taken_at", MOMENT),
        sa.Column("judged_at", MOMENT, nullable=False),
        sa.Column("run", sa.BigInteger()),
        sa.Column("bad_in_a_row", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("plot_id", name="pk_standings"),
        sa.ForeignKeyConstraint(["plot_id"], ["plots.id"], name="fk_standings_plot_id"),
        sa.ForeignKeyConstraint(["verdict_id"], ["verdicts.id"], name="fk_standings_verdict_id"),
    )


def _files() -> None:
    _table(
        "files",
        _id(),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("path_digest", DIGEST, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("sha256", HASH),
        sa.Column("outcome", WORD, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("plot_id", ROW_ID),
        sa.Column("verdict_id", ROW_ID),
        sa.Column("run", sa.BigInteger()),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT),
        sa.Column("submission", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.UniqueConstraint("digest", name="uq_files_digest"),
        sa.ForeignKeyConstraint(["plot_id"], ["plots.id"], name="fk_files_plot_id"),
        sa.ForeignKeyConstraint(["verdict_id"], ["verdicts.id"], name="fk_files_verdict_id"),
    )
    op.create_index("ix_files_path_digest", "files", ["path_digest"])
    op.create_index("ix_files_seen_at", "files", ["seen_at"])
    op.create_index("ix_files_outcome_seen_at", "files", ["outcome", "seen_at"])
    op.create_index("ix_files_submission", "files", ["submission"])
    _table(
        "tallies",
        sa.Column("outcome", WORD, nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("outcome", name="pk_tallies"),
    )


def _people() -> None:
    _table(
        "settings",
        _id(),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("origin", sa.String(32)),
        sa.Column("scope", DIGEST, nullable=False),
        sa.Column("setting", WORDS, nullable=False),
        sa.Column("plot", WORDS),
        sa.Column("detector", WORDS),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("old", sa.Double()),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("host", WORDS, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("via", WORDS, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_settings"),
        sa.UniqueConstraint("digest", name="uq_settings_digest"),
    )
    op.create_index("ix_settings_scope_changed_at", "settings", ["scope", "changed_at"])
    _table(
        "models",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("card", WORDS, nullable=False),
        sa.Column("metrics", WORDS, nullable=False),
        sa.Column("registered_at", MOMENT, nullable=False),
        sa.Column("moved_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
    )
    _table(
        "submissions",
        _id(),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("plot", WORDS),
        sa.Column("run", sa.BigInteger()),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("submitted_at", MOMENT, nullable=False),
        sa.Column("taken_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_submissions"),
    )
    op.create_index("ix_submissions_taken_at", "submissions", ["taken_at"])
    _table(
        "heartbeats",
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("beat_at", MOMENT, nullable=False),
        sa.Column("version", WORDS, nullable=False),
        sa.Column("health", WORD, nullable=False),
        sa.Column("why", WORDS, nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_heartbeats"),
    )
