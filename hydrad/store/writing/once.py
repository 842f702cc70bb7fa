"""A file gets one verdict as a plot's image: whoever looked at the same sighting again adds nothing to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from hydrad.store.among import among
from hydrad.store.columns import digest
from hydrad.store.packing import Parcel
from hydrad.store.rows import sighting_digest
from hydrad.store.tables import files, plots, verdicts


def judged_once(connection: Connection, parcels: Sequence[Parcel]) -> Sequence[Parcel]:
    """Leave out what says of a file in the ledger what another verdict has said already.

    A daemon whose journal was lost, and a second one that follows the same folder, judge files that were judged before.
    """
    keys = {sighting_digest(parcel.entry): None for parcel in parcels if parcel.entry and parcel.verdict}
    if not keys:
        return parcels
    query = (
        select(files.c.digest, verdicts.c.digest.label("verdict"), plots.c.name.label("plot"))
        .join(verdicts, verdicts.c.id == files.c.verdict_id)
        .join(plots, plots.c.id == verdicts.c.plot_id)
        .where(among(files.c.digest, keys))
    )
    judged = {(bytes(key), plot): bytes(verdict) for key, verdict, plot in connection.execute(query).all()}
    if not judged:
        return parcels
    return [parcel for parcel in parcels if not _comes_late(parcel, judged)]


def _comes_late(parcel: Parcel, judged: Mapping[tuple[bytes, str], bytes]) -> bool:
    if parcel.entry is None or parcel.verdict is None:
        return False
    first = judged.get((sighting_digest(parcel.entry), parcel.verdict.plot))
    return first is not None and first != digest(parcel.verdict.key)
