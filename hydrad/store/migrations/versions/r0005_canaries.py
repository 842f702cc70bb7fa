"""Canaries: what became of the known-bad images that the daemon tests itself with."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SERVERS = ("mysql", "mariadb")
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
        "canaries",
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("model", WORDS, nullable=False),
        sa.Column("sha256", HASH, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("label", WORDS),
        sa.Column("confidence", sa.Double()),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("judged_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_canaries"),
        **ON_SERVERS,
    )
