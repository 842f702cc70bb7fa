"""Where models stand, who moved them there and why, and what those in shadow would have said.

The data base decides and the daemon follows: whoever promotes a model writes that here, all of it in one transaction,
and the daemon answers in the model's ``fault``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy import func as sql

from hydrad.errors import ChangeRefused
from hydrad.store.queries import Store
from hydrad.store.rows import Model
from hydrad.store.tables import ModelState
from hydrad.store.tables import models as table
from hydrad.store.tables import moves as history_table

LOADED = frozenset({ModelState.IN_SERVICE, ModelState.SHADOW})  # states in which the daemon holds a model
_PLACES = select(table.c.id, table.c.state, table.c.moved_at, table.c.fault)
_TICK = timedelta(microseconds=1)  # the data base's smallest


class Deed(StrEnum):
    """What a person can decide about a model."""

    PROMOTE = "promote"
    SHADOW = "shadow"
    RETIRE = "retire"
    ROLLBACK = "rollback"


_TO = {
    Deed.PROMOTE: ModelState.IN_SERVICE,
    Deed.SHADOW: ModelState.SHADOW,
    Deed.RETIRE: ModelState.RETIRED,
}


@dataclass(frozen=True, slots=True)
class Who:
    """Whoever decides."""

    person: str
    host: str
    via: str  # "cli", "page", "train", "daemon"


@dataclass(frozen=True, slots=True)
class Place:
    """A model's state, as cheaply as it can be asked for. Models moved by one decision share ``moved_at``."""

    id: str
    state: ModelState
    moved_at: datetime
    fault: str | None = None  # None: no daemon has acted on this move yet; "": one has; else why it could not


@dataclass(frozen=True, slots=True)
class Move:
    """One model's change of state; ``old`` is None for one that is new."""

    ticket: str  # the decision's; hex
    model: str
    old: ModelState | None
    new: ModelState
    by: Who
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person decided at one time."""

    ticket: str
    at: datetime
    moves: tuple[Move, ...]


def places(store: Store) -> Sequence[Place]:
    """Where every model stands, by name; without the large documents, so it may be asked twice a second."""
    with store.reading() as connection:
        return places_in(connection)


def places_in(connection: Connection) -> Sequence[Place]:
    """What :func:`places` returns."""
    rows = connection.execute(_PLACES.order_by(table.c.id))
    return [Place(row.id, row.state, row.moved_at, row.fault) for row in rows]


def models(store: Store) -> Sequence[Model]:
    """Every model with its documents, the oldest first."""
    with store.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.registered_at, table.c.id))
        return [
            Model(row.id, row.state, row.registered_at, row.moved_at, row.card, row.metrics, row.fault) for row in rows
        ]


def history(store: Store, name: str | None = None) -> Sequence[Move]:
    """The moves of a model, or of all of them, the newest first."""
    query = select(history_table).order_by(history_table.c.id.desc())
    if name is not None:
        query = query.where(history_table.c.model_id == name)
    with store.reading() as connection:
        return [_move(row) for row in connection.execute(query)]


def undecided(places: Iterable[Place]) -> bool:
    """True if nobody has ever put a model into service or shadow, or out of it: then bundles serve unasked."""
    return all(place.state is ModelState.CANDIDATE for place in places)


def register(
    store: Store,
    name: str,
    card: Mapping[str, Any],
    metrics: Mapping[str, Any],
    by: Who,
    *,
    state: ModelState = ModelState.CANDIDATE,
    reason: str = "",
    fault: str | None = None,
) -> None:
    """Enter a model; of one that is there already the card and metrics are renewed and the state stays.

    Args:
        card: what its bundle.json says, without the metrics.
        state: of one that is new, with ``reason`` and ``fault``.
    """

    def enter(connection: Connection) -> None:
        words = {"card": card, "metrics": metrics}
        if connection.execute(update(table).where(table.c.id == name).values(words)).rowcount:
            return
        at = _next_moment(connection)
        fresh = {"id": name, "state": state, "registered_at": at, "moved_at": at, "fault": fault}
        connection.execute(insert(table).values(words | fresh))
        _note(connection, [(name, None, state)], by, reason, at)

    store.insist(enter)


def introduce(store: Store, name: str, card: Mapping[str, Any], metrics: Mapping[str, Any], by: Who) -> None:
    """Enter a model that somebody is about to decide about, if the library does not know it yet."""
    if all(place.id != name for place in places(store)):
        register(store, name, card, metrics, by, reason="decided about for the first time")


def decide(store: Store, name: str, deed: Deed, by: Who, reason: str = "") -> Decision:
    """Do what a person decided about a model; see :func:`promote`, :func:`move`, :func:`rollback`.

    Raises:
        ChangeRefused: it cannot be.
    """
    match deed:
        case Deed.PROMOTE:
            return promote(store, name, by, reason)
        case Deed.ROLLBACK:
            return rollback(store, name, by, reason)
        case _:
            return move(store, name, _TO[deed], by, reason)


def promote(store: Store, name: str, by: Who, reason: str = "") -> Decision:
    """Put a model into service, and retire in the same decision whatever serves exactly the same patterns of plots.

    Raises:
        ChangeRefused: the library does not know it, or it is in service.
    """
    with store.writing() as connection:
        rows = _locked(connection)
        return _decide(connection, rows, _steps(connection, rows, name, Deed.PROMOTE), by, reason)


def move(store: Store, name: str, state: ModelState, by: Who, reason: str = "") -> Decision:
    """Move one model and no other: into the shadow, or out of service or shadow.

    Raises:
        ChangeRefused: the library does not know it, or it is there already.
    """
    with store.writing() as connection:
        rows = _locked(connection)
        _require_elsewhere(rows, name, state)
        return _decide(connection, rows, {name: state}, by, reason)


def rollback(store: Store, name: str, by: Who, reason: str = "") -> Decision:
    """Undo the newest decision that put a model into service: what served before serves again.

    Raises:
        ChangeRefused: the library does not know it, it is not in service, or nothing was decided that could be undone.
    """
    with store.writing() as connection:
        rows = _locked(connection)
        steps = _steps(connection, rows, name, Deed.ROLLBACK)
        last = _last_promotion(connection, name)
        return _decide(connection, rows, steps, by, reason or f"undoes the decision of {last.moved_at:%F %T} UTC")


def foresee(store: Store, name: str, deed: Deed) -> Mapping[str, ModelState]:
    """Which models a decision would move, and where to, without deciding it.

    Raises:
        ChangeRefused: it would be refused.
    """
    with store.reading() as connection:
        rows = {row.id: Place(row.id, row.state, row.moved_at, row.fault) for row in connection.execute(_PLACES)}
        steps = _steps(connection, rows, name, deed)
    return {model: state for model, state in steps.items() if rows[model].state is not state}


# ---- the daemon's answers ----


def done(store: Store, settled: Sequence[Place]) -> None:
    """The daemon does as these say; one that was moved again meanwhile is left alone."""
    with store.writing() as connection:
        for place in settled:
            _answer(connection, place, "")


def not_done(store: Store, place: Place, reason: str) -> None:
    """A model that has served before cannot be loaded; where it stands stays as it was decided."""
    with store.writing() as connection:
        _answer(connection, place, reason)


def refuse(store: Store, place: Place, reason: str, by: Who) -> Decision | None:
    """The daemon cannot do what was decided: undo it, so that a restart serves what serves now.

    Args:
        place: of the model that was refused, as it was when the daemon tried.

    Returns:
        What was moved back; None when somebody has moved the model since.
    """
    with store.writing() as connection:
        rows = _locked(connection)
        if place.id not in rows or rows[place.id].moved_at != place.moved_at:
            return None
        query = (
            select(history_table.c.ticket)
            .where(history_table.c.model_id == place.id)
            .order_by(history_table.c.id.desc())
            .limit(1)
        )
        ticket = connection.scalar(query)
        steps = {
            row.model_id: row.old
            for row in ([] if ticket is None else _of_ticket(connection, ticket))
            if row.old is not None and rows[row.model_id].moved_at == place.moved_at
        }
        steps[place.id] = ModelState.CANDIDATE
        decision = _decide(connection, rows, steps, by, f"refused: {reason}")
        _answer(connection, Place(place.id, ModelState.CANDIDATE, decision.at), reason)
        return decision


# ---- how it is done ----


def _answer(connection: Connection, place: Place, words: str) -> None:
    its = (table.c.id == place.id) & (table.c.moved_at == place.moved_at)
    connection.execute(update(table).where(its).values(fault=words))


def _locked(connection: Connection) -> dict[str, Place]:
    rows = connection.execute(_PLACES.with_for_update())
    return {row.id: Place(row.id, row.state, row.moved_at, row.fault) for row in rows}


def _steps(connection: Connection, rows: Mapping[str, Place], name: str, deed: Deed) -> Mapping[str, ModelState]:
    """Where a decision wants which models."""
    if deed is Deed.ROLLBACK:
        return _back(connection, rows, name)
    _require_elsewhere(rows, name, _TO[deed])
    steps = {name: _TO[deed]}
    if deed is Deed.PROMOTE:
        serving = _in_state(rows, ModelState.IN_SERVICE)
        wanted = _patterns(connection, [name, *serving])
        steps |= {other: ModelState.RETIRED for other in serving if wanted[other] and wanted[other] == wanted[name]}
    return steps


def _back(connection: Connection, rows: Mapping[str, Place], name: str) -> Mapping[str, ModelState]:
    _require_known(rows, name)
    if rows[name].state is not ModelState.IN_SERVICE:
        raise ChangeRefused(f"{name!r} is not in service ({_words(rows[name].state)}): there is nothing to undo")
    last = _last_promotion(connection, name)
    if last is None or last.old is None:
        raise ChangeRefused(f"{name!r} has served since it was first seen: there is nothing to undo")
    return {row.model_id: row.old for row in _of_ticket(connection, last.ticket) if row.old is not None}


def _last_promotion(connection: Connection, name: str) -> Any:
    query = (
        select(history_table)
        .where(history_table.c.model_id == name, history_table.c.new == ModelState.IN_SERVICE)
        .order_by(history_table.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).one_or_none()


def _in_state(rows: Mapping[str, Place], state: ModelState) -> list[str]:
    return [place.id for place in rows.values() if place.state is state]


def _patterns(connection: Connection, names: Sequence[str]) -> dict[str, frozenset[str]]:
    rows = connection.execute(select(table.c.id, table.c.card).where(table.c.id.in_(names)))
    return {row.id: frozenset(row.card.get("plots", ())) for row in rows}


def _require_known(rows: Mapping[str, Place], name: str) -> None:
    if name not in rows:
        raise ChangeRefused(f"the library knows no model {name!r}")


def _require_elsewhere(rows: Mapping[str, Place], name: str, state: ModelState) -> None:
    _require_known(rows, name)
    if rows[name].state is state:
        fault = rows[name].fault
        raise ChangeRefused(f"{name!r} is {_words(state)} already" + (f"; the daemon says: {fault}" if fault else ""))


def _decide(
    connection: Connection, rows: Mapping[str, Place], steps: Mapping[str, ModelState], by: Who, reason: str
) -> Decision:
    at = _next_moment(connection)
    moved = [(name, rows[name].state, state) for name, state in steps.items() if rows[name].state is not state]
    for name, _, state in moved:
        connection.execute(update(table).where(table.c.id == name).values(state=state, moved_at=at, fault=None))
    return _note(connection, moved, by, reason, at)


def _next_moment(connection: Connection) -> datetime:
    """Now, but later than any move there is: a decision is told apart by its moment, whatever the clocks do."""
    now = datetime.now(UTC)
    newest = connection.scalar(select(sql.max(table.c.moved_at)))
    return now if newest is None else max(now, newest + _TICK)


def _note(
    connection: Connection,
    moved: Sequence[tuple[str, ModelState | None, ModelState]],
    by: Who,
    reason: str,
    at: datetime,
) -> Decision:
    ticket = uuid.uuid4()
    said = {"person": by.person, "host": by.host, "via": by.via, "reason": reason, "moved_at": at}
    if moved:
        rows = [{"ticket": ticket.bytes, "model_id": name, "old": old, "new": new} | said for name, old, new in moved]
        connection.execute(insert(history_table), rows)
    moves = tuple(Move(ticket.hex, name, old, new, by, reason, at) for name, old, new in moved)
    return Decision(ticket.hex, at, moves)


def _of_ticket(connection: Connection, ticket: bytes) -> Sequence[Any]:
    query = select(history_table).where(history_table.c.ticket == ticket).order_by(history_table.c.id)
    return connection.execute(query).all()


def _move(row: Any) -> Move:
    by = Who(row.person, row.host, row.via)
    return Move(bytes(row.ticket).hex(), row.model_id, row.old, row.new, by, row.reason, row.moved_at)


def _words(state: ModelState) -> str:
    return state.value.replace("_", " ")
