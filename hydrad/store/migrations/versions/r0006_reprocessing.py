"""Reprocessing: what a model said of an archive, apart from what was judged live."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SERVERS = ("mysql", "mariadb")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(mysql.MEDIUMTEXT(), *SERVERS)
WORD = sa.String(12).with_variant(mysql.VARCHAR(12, charset="ascii", collation="ascii_bin"), *SERVERS)
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *SERVERS)
DIGEST = sa.LargeBinary(16).with_variant(mysql.BINARY(16), *SERVERS)
HASH = sa.LargeBinary(32).with_variant(mysql.BINARY(32), *SERVERS)
ON_SERVERS: dict[str, Any] = {
    f"{server}_{word}": value
    for server in SERVERS
    for word, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Go on to this revision."""
    op.create_table(
        "reprocessings",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("model_id", sa.String(255), nullable=False),
        sa.Column("model_sha256", HASH, nullable=False),
        sa.Column("source", WORDS, nullable=False),
        sa.Column("names", WORDS, nullable=False),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("host", WORDS, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("told_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("judged", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reprocessings"),
        **ON_SERVERS,
    )
    op.create_index("ix_reprocessings_digest", "reprocessings", ["digest"])
    op.create_table(
        "reprocessed",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("reprocessing_id", ROW_ID, nullable=False),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("plot", WORDS, nullable=False),
        sa.Column("plot_digest", DIGEST, nullable=False),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("run", sa.BigInteger()),
        sa.Column("taken_at", MOMENT),
        sa.Column("outcome", WORD, nullable=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("sha256", HASH),
        sa.Column("label", WORDS),
        sa.Column("confidence", sa.Double()),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("scores", WORDS, nullable=False),
        sa.Column("novelty", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_reprocessed"),
        sa.ForeignKeyConstraint(
            ["reprocessing_id"], ["reprocessings.id"], name="fk_reprocessed_reprocessing_id_reprocessings"
        ),
        sa.UniqueConstraint("reprocessing_id", "digest", name="uq_reprocessed_reprocessing_id_digest"),
        **ON_SERVERS,
    )
    op.create_index("ix_reprocessed_reprocessing_id_id", "reprocessed", ["reprocessing_id", "id"])
