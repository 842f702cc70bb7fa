"""Settings that people change on pages and by commands: what is in force, what was before, and the change itself."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from hydrad.domain import Change
from hydrad.errors import ChangeRefused
from hydrad.settings import DELAYS, REASON, THRESHOLD, WINDOWS, check, keys_of_pvs
from hydrad.store.columns import digest
from hydrad.store.packing import Parcel
from hydrad.store.places import plot_number
from hydrad.store.queries import Store
from hydrad.store.rows import FiledChange, change_from
from hydrad.store.tables import ModelState, labels, models
from hydrad.store.tables import settings as table
from hydrad.store.writing.writes import write_changes

OF_A_PLOT = (*DELAYS, *WINDOWS, "enabled", "shelved_until", REASON)
OF_A_DETECTOR = ("enabled", REASON)
_TICK = timedelta(microseconds=1)  # the data base's smallest


def put(store: Store, change: Change) -> FiledChange:
    """Add a change to the history; the daemon finds it there and applies it.

    It takes effect even where this host's clock is behind that of whoever changed the setting last.

    Raises:
        ChangeRefused: there is no such plot, label, setting or value; nothing was changed.
    """
    check(change)
    ticket = uuid.uuid4().hex
    newest_first = (table.c.changed_at.desc(), table.c.id.desc())
    with store.writing() as connection:
        if change.plot is not None:
            _require(connection, change.plot, change.key)
        its = table.c.scope == digest(change.key, change.plot, change.detector)
        last = connection.execute(select(table).where(its).order_by(*newest_first).limit(1)).one_or_none()
        if last is not None:
            change = replace(change, old=last.value, at=max(change.at, last.changed_at + _TICK))
        write_changes(connection, [Parcel(change=change, ticket=ticket)])
        return change_from(connection.execute(select(table).where(table.c.digest == digest(ticket))).one())


def _require(connection: Any, plot: str, key: str) -> None:
    number = plot_number(connection, plot)
    if number is None:
        raise ChangeRefused(f"no plot is called {plot!r}")
    if not key.startswith(THRESHOLD):
        return
    its = connection.scalars(select(labels.c.name).where(labels.c.plot_id == number).order_by(labels.c.id)).all()
    if (label := key.removeprefix(THRESHOLD)) not in its:
        raise ChangeRefused(f"{plot} has no label {label!r}; it has {', '.join(its) or 'none yet'}")


def in_force(store: Store, plot: str, detector: str, labels: Collection[str]) -> Sequence[Change]:
    """The newest change of each setting that says how this plot is judged."""
    newest: dict[tuple[str, str | None], Change] = {}
    for filed in reversed(_of(store, _judging(plot, detector, labels))):
        newest[filed.change.key, filed.change.detector] = filed.change
    return list(newest.values())


def history(
    store: Store, plot: str, detector: str, labels: Collection[str], *, before: int | None = None, limit: int = 100
) -> Sequence[FiledChange]:
    """What was changed about how this plot is judged and its PVs alarm, the newest first.

    Args:
        before: only rows of lower numbers.
    """
    return _of(store, _all(plot, detector, labels), before=before, limit=limit)


def history_of_all(store: Store, *, before: int | None = None, limit: int = 100) -> Sequence[FiledChange]:
    """What was changed anywhere, the newest first."""
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    with store.reading() as connection:
        return [change_from(row) for row in connection.execute(query)]


def one(store: Store, number: int) -> FiledChange | None:
    """The change in this row."""
    with store.reading() as connection:
        row = connection.execute(select(table).where(table.c.id == number)).one_or_none()
    return None if row is None else change_from(row)


def _judging(plot: str, detector: str, labels: Collection[str]) -> Sequence[bytes]:
    """The scopes of all that says how a plot is judged."""
    keys = [*OF_A_PLOT, *(f"{THRESHOLD}{label}" for label in labels)]
    return [*(digest(key, plot, None) for key in keys), *(digest(key, None, detector) for key in OF_A_DETECTOR)]


def _all(plot: str, detector: str, labels: Collection[str]) -> Sequence[bytes]:
    """Those, and the limits and severities of its PVs."""
    return [*_judging(plot, detector, labels), *(digest(key, plot, None) for key in keys_of_pvs(labels))]


def _of(
    store: Store, scopes: Sequence[bytes], *, before: int | None = None, limit: int | None = None
) -> Sequence[FiledChange]:
    query = select(table).where(table.c.scope.in_(scopes)).order_by(table.c.changed_at.desc(), table.c.id.desc())
    if before is not None:
        query = query.where(table.c.id < before)
    if limit is not None:
        query = query.limit(limit)
    with store.reading() as connection:
        return [change_from(row) for row in connection.execute(query)]


# ---- the models behind the thresholds ----


def cards(store: Store, names: Collection[str] = ()) -> Mapping[str, Mapping[str, Any]]:
    """What the bundles of these models say of themselves, without their figures; of those in service, if none is named.

    Models that the daemon could not load are left out of those in service.
    """
    query = select(models.c.id, models.c.card)
    if names:
        query = query.where(models.c.id.in_(list(names)))
    else:
        query = query.where(
            models.c.state == ModelState.IN_SERVICE, (models.c.fault.is_(None)) | (models.c.fault == "")
        )
    with store.reading() as connection:
        return {row.id: row.card for row in connection.execute(query)}


def last_change(store: Store, plot: str, detector: str, labels: Collection[str]) -> int:
    """The highest row number of this plot's changes; 0 where nobody changed anything."""
    scopes = _all(plot, detector, labels)
    with store.reading() as connection:
        return (
            connection.scalar(select(table.c.id).where(table.c.scope.in_(scopes)).order_by(table.c.id.desc()).limit(1))
            or 0
        )
