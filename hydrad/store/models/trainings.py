"""Trainings, asked for, under way and past: what a page shows of them, and how it tells one to stop."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select, update

from hydrad.store.places import inserted
from hydrad.store.queries import Store
from hydrad.store.tables import TrainingState
from hydrad.store.tables import trainings as table

ENDED: Final = frozenset({TrainingState.STOPPED, TrainingState.FAILED, TrainingState.DONE})
UNFINISHED: Final = frozenset({TrainingState.STOPPED, TrainingState.FAILED})  # these can be gone on with
SILENT_AFTER: Final = timedelta(seconds=60)  # a training tells every two seconds, unless it waits for a disk or a core


@dataclass(frozen=True, slots=True)
class Training:
    """One training. Times are aware, UTC; what is None has not happened, or is not known."""

    id: int
    state: TrainingState
    settings: Mapping[str, Any]  # what was asked for
    progress: Mapping[str, Any]
    person: str
    host: str | None
    pid: int | None
    asked_at: datetime
    started_at: datetime | None
    told_at: datetime | None  # its last sign of life
    ended_at: datetime | None
    stop_asked: bool
    model_id: str | None  # what came of it
    reason: str

    def silent(self, now: datetime) -> bool:
        """Whether it is said to run and has given no sign of life for long: it was killed, or its machine was."""
        return self.state is TrainingState.RUNNING and now - (self.told_at or self.asked_at) > SILENT_AFTER


def ask(store: Store, settings: Mapping[str, Any], person: str) -> int:
    """Enter a training that somebody shall start; returns its number."""
    values = _fresh(settings, person, TrainingState.QUEUED, datetime.now(UTC))
    with store.writing() as connection:
        return inserted(connection.execute(insert(table).values(values)))


def claim(store: Store, host: str, pid: int, number: int | None = None) -> Training | None:
    """Take the training that has waited longest, or this one; of all who try, one gets it.

    Args:
        host: where this is asked; while a training runs there, nobody gets another one for it.
        pid: the process that answers for it from now on.

    Returns:
        The training, which now is said to run; None when there is none to be had.
    """
    waiting = {TrainingState.QUEUED, TrainingState.RUNNING}
    query = select(table.c.id, table.c.state, table.c.host).where(table.c.state.in_(waiting)).order_by(table.c.id)
    with store.reading() as connection:  # asked every second: do not lock where nothing waits
        rows = connection.execute(query).all()
    if _free(rows, host, number) is None:
        return None
    # All of them, and by their numbers: whoever else is about to take one holds one of these.
    locked = query.where(table.c.id.in_([row.id for row in rows])).with_for_update()
    now = datetime.now(UTC)
    with store.writing() as connection:
        chosen = _free(connection.execute(locked).all(), host, number)
        if chosen is None:
            return None
        values = {"state": TrainingState.RUNNING, "host": host, "pid": pid, "started_at": now, "told_at": now}
        connection.execute(update(table).where(table.c.id == chosen).values(values | {"ended_at": None}))
    return training(store, chosen)


def entrust(store: Store, number: int, pid: int) -> None:
    """Say which process is at a training that was claimed."""
    with store.writing() as connection:
        running = (table.c.id == number) & (table.c.state == TrainingState.RUNNING)
        connection.execute(update(table).where(running).values(pid=pid))


def resume(store: Store, number: int) -> bool:
    """Ask that one that was stopped, or failed, be gone on with; False when there is nothing to go on with."""
    values = {
        "state": TrainingState.QUEUED, "host": None, "pid": None, "started_at": None, "told_at": None,
        "ended_at": None, "stop_asked": False, "reason": "",
    }  # fmt: skip
    query = update(table).where(table.c.id == number, table.c.state.in_(UNFINISHED)).values(values)
    with store.writing() as connection:
        return bool(connection.execute(query).rowcount)


def begin(
    store: Store, settings: Mapping[str, Any], person: str, *, host: str, pid: int, number: int | None = None
) -> int:
    """Enter a training that runs from now on, or say of one that was asked for, or stopped, that it runs.

    Args:
        settings: what it was asked for.
        person: who starts it.
        host: where it runs, with ``pid``.
        number: of the one that was entered before.
    """
    now = datetime.now(UTC)
    here = {
        "state": TrainingState.RUNNING, "settings": dict(settings), "host": host, "pid": pid, "started_at": now,
        "told_at": now, "ended_at": None, "reason": "",
    }  # fmt: skip
    with store.writing() as connection:
        if number is not None:
            ended = update(table).where(table.c.id == number, table.c.state.in_(ENDED))
            connection.execute(ended.values(stop_asked=False))  # of one under way the wish may be newer than its start
            if connection.execute(update(table).where(table.c.id == number).values(here)).rowcount:
                return number
        return inserted(
            connection.execute(insert(table).values(_fresh(settings, person, TrainingState.RUNNING, now) | here))
        )


def tell(store: Store, number: int, progress: Mapping[str, Any]) -> bool:
    """Leave a sign of life; True when somebody asked this training to stop."""
    values = {"progress": dict(progress), "told_at": datetime.now(UTC)}
    with store.writing() as connection:
        connection.execute(update(table).where(table.c.id == number).values(values))
        return bool(connection.scalar(select(table.c.stop_asked).where(table.c.id == number)))


def end(store: Store, number: int, state: TrainingState, *, reason: str = "", model: str | None = None) -> None:
    """Say how it ended, and what came of it."""
    values = {"state": state, "reason": reason, "model_id": model, "ended_at": datetime.now(UTC)}
    with store.writing() as connection:
        connection.execute(update(table).where(table.c.id == number).values(values))


def ask_to_stop(store: Store, number: int) -> bool:
    """Ask a training to stop; one that nobody has started yet ends at once. False when there is nothing to stop."""
    now = datetime.now(UTC)
    queued = update(table).where(table.c.id == number, table.c.state == TrainingState.QUEUED)
    running = update(table).where(table.c.id == number, table.c.state == TrainingState.RUNNING)
    withdrawn = {"state": TrainingState.STOPPED, "stop_asked": True, "ended_at": now, "reason": "never started"}
    with store.writing() as connection:
        if connection.execute(queued.values(withdrawn)).rowcount:
            return True
        return bool(connection.execute(running.values({"stop_asked": True})).rowcount)


def bury(store: Store, host: str, alive: Collection[int]) -> Sequence[int]:
    """Say of trainings that died without a word that they failed; returns their numbers.

    Args:
        host: where this is asked; of its own trainings it is known at once whether their process lives.
        alive: the processes of this host that do.
    """
    now = datetime.now(UTC)
    dead = []
    for one in trainings(store, [TrainingState.RUNNING]):
        gone = one.host == host and one.pid not in alive
        if not gone and (one.host == host or not one.silent(now)):
            continue
        end(store, one.id, TrainingState.FAILED, reason="it ended without a word: killed, or out of memory")
        dead.append(one.id)
    return dead


def training(store: Store, number: int) -> Training | None:
    """The training of this number, if there is one."""
    with store.reading() as connection:
        row = connection.execute(select(table).where(table.c.id == number)).mappings().one_or_none()
    return None if row is None else Training(**row)


def trainings(store: Store, states: Collection[TrainingState] = (), *, limit: int = 100) -> Sequence[Training]:
    """The newest trainings, or those in these states, the newest first."""
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if states:
        query = query.where(table.c.state.in_(list(states)))
    with store.reading() as connection:
        return [Training(**row) for row in connection.execute(query).mappings()]


def _free(rows: Sequence[Any], host: str, number: int | None) -> int | None:
    """The first that waits, or this one if it does; None where a training runs on this host."""
    if any(row.state is TrainingState.RUNNING and row.host == host for row in rows):
        return None
    return next((r.id for r in rows if r.state is TrainingState.QUEUED and number in {None, r.id}), None)


def _fresh(settings: Mapping[str, Any], person: str, state: TrainingState, now: datetime) -> dict[str, Any]:
    return {
        "state": state, "settings": dict(settings), "progress": {}, "person": person, "asked_at": now,
        "stop_asked": False, "reason": "",
    }  # fmt: skip
