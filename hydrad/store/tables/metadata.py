"""What all tables have in common: the schema they are part of, how servers make them, and their first column."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, MetaData

from hydrad.store.columns import RowId

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


def row_id() -> Column[int]:
    """The key of a table whose rows are numbered as they come."""
    return Column("id", RowId, primary_key=True, autoincrement=True)
