"""Whether the data base still has what it was given: one that was restored, or failed over, may not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Connection, select

from hydrad.store.columns import digest
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store
from hydrad.store.rows import sighting_digest
from hydrad.store.tables import files, settings, verdicts


def lacks(store: Store, parcels: Sequence[Parcel]) -> bool:
    """True if the data base has not all of these, which it once took; blocks, raises StoreAway."""
    # A file's row came with its verdict, and stands for it: should another have judged it first, ours is not there.
    files_seen = {sighting_digest(parcel.entry) for parcel in parcels if parcel.entry is not None}
    noted = {digest(parcel.verdict.key) for parcel in parcels if parcel.verdict is not None and parcel.entry is None}
    changed = {digest(parcel.ticket) for parcel in parcels if parcel.change is not None}
    with store.reading() as connection:
        return any(
            wanted - _there(connection, column, wanted)
            for column, wanted in (
                (verdicts.c.digest, noted),
                (files.c.digest, files_seen),
                (settings.c.digest, changed),
            )
        )


def _there(connection: Connection, column: Column[Any], wanted: Iterable[bytes]) -> set[bytes]:
    digests = list(wanted)
    if not digests:
        return set()
    return {bytes(known) for known in connection.scalars(select(column).where(column.in_(digests)))}
