"""The record of a reprocessing: begun once, gone on with as often as need be, each file in it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from hydrad.domain import Outcome
from hydrad.errors import ConfigurationError, HydradError
from hydrad.store import schema
from hydrad.store.columns import digest
from hydrad.store.places import inserted
from hydrad.store.queries import Store
from hydrad.store.tables import reprocessed, reprocessings

AT_ONCE = 500  # rows that go in one transaction


@dataclass(frozen=True, slots=True)
class Asked:
    """What shall be judged by what; asked for in the same words again, it is the same."""

    model: str
    model_sha256: str  # of its bundle.json
    source: str  # the folder, or the store of images
    names: str  # how names in it are read

    @property
    def key(self) -> bytes:
        """Stands for it in the data base."""
        return digest(self.model, self.model_sha256, self.source, self.names)


@dataclass(frozen=True, slots=True)
class Reprocessing:
    """How far one is; ``pending`` counts files that could not be read and are tried again when it is gone on with."""

    id: int
    model: str
    source: str
    names: str
    by: str
    host: str
    started_at: datetime  # aware, UTC, like the next two
    told_at: datetime  # when files were last done
    ended_at: datetime | None  # None: there is more to do
    files: int  # there were when it was last begun
    judged: int
    rejected: int
    pending: int


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What came of one file. What a model said of it is there where ``outcome`` is JUDGED; the others have a reason."""

    plot: str
    path: str  # below the source
    outcome: Outcome  # JUDGED; REJECTED: it is no image that can be judged; PENDING: it could not be read
    reason: str = ""
    sha256: str | None = None
    run: int | None = None
    taken_at: datetime | None = None  # aware, UTC
    label: str | None = None
    confidence: float | None = None
    confirmed: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)
    novelty: float | None = None

    @property
    def key(self) -> bytes:
        """Stands for the file; see :func:`key_of`."""
        return key_of(self.plot, self.path)


def key_of(plot: str, path: str) -> bytes:
    """What a file is known by in a reprocessing: several plots may share a content, and so a file of the store."""
    return digest.__wrapped__(plot, path)  # millions, each once: to remember them would only push others out


def begin(store: Store, asked: Asked, *, files: int, by: str, host: str, again: bool = False) -> Reprocessing:
    """Go on with the newest reprocessing of just this, or begin one where there is none.

    Args:
        files: how many there are to be done, by now.
        again: begin one in any case; those before it stay until they are forgotten.
    """
    now = datetime.now(UTC)
    table = reprocessings.c
    with store.writing() as connection:
        newest = select(table.id).where(table.digest == asked.key).order_by(table.id.desc()).limit(1)
        number = None if again else connection.scalar(newest)
        if number is None:
            row = {
                "digest": asked.key, "model_id": asked.model, "model_sha256": asked.model_sha256,
                "source": asked.source, "names": asked.names, "person": by, "host": host,
                "started_at": now, "told_at": now, "files": files, "judged": 0, "rejected": 0, "pending": 0,
            }  # fmt: skip
            number = inserted(connection.execute(insert(reprocessings).values(row)))
        else:
            connection.execute(update(reprocessings).where(table.id == number).values(files=files, ended_at=None))
    return one(store, number)


def one(store: Store, number: int) -> Reprocessing:
    """How far this one is.

    Raises:
        ConfigurationError: there is none of that number.
    """
    with store.reading() as connection:
        row = connection.execute(select(reprocessings).where(reprocessings.c.id == number)).one_or_none()
    if row is None:
        raise ConfigurationError(f"there is no reprocessing {number}; `hydrad reprocess --list` names them")
    return _from(row)


def all_of_them(store: Store) -> Sequence[Reprocessing]:
    """Every one there is, the newest first."""
    with store.reading() as connection:
        return [_from(row) for row in connection.execute(select(reprocessings).order_by(reprocessings.c.id.desc()))]


def done(store: Store, number: int, keys: Collection[bytes]) -> set[bytes]:
    """Which of these files need not be looked at any more."""
    table = reprocessed.c
    query = select(table.digest).where(
        table.reprocessing_id == number, table.digest.in_(list(keys)), table.outcome != Outcome.PENDING
    )
    with store.reading() as connection:
        return {bytes(key) for key in connection.scalars(query)}


def keep(store: Store, number: int, found: Sequence[Rejudged]) -> None:
    """Keep what came of these files and count them, in one transaction; of one that is done already nothing changes.

    Raises:
        HydradError: somebody has forgotten the reprocessing in the meantime.
    """
    table = reprocessings.c

    def write(connection: Connection) -> None:
        schema.require_still(connection)
        # Whoever else works on the same one waits here, and then sees what is done.
        if connection.scalar(select(table.id).where(table.id == number).with_for_update()) is None:
            raise HydradError(f"reprocessing {number} was forgotten while it went on")
        known = _outcomes(connection, number, [one.key for one in found])
        tried = [key for key, outcome in known.items() if outcome is Outcome.PENDING]
        if tried:
            its = reprocessed.c.reprocessing_id == number
            connection.execute(delete(reprocessed).where(its, reprocessed.c.digest.in_(tried)))
        fresh = {one.key: one for one in found if known.get(one.key, Outcome.PENDING) is Outcome.PENDING}
        if fresh:
            connection.execute(insert(reprocessed), [_row(number, one) for one in fresh.values()])
        counts = Counter(one.outcome for one in fresh.values())
        counts[Outcome.PENDING] -= len(tried)
        added = {name: table[name] + counts[Outcome(name)] for name in ("judged", "rejected", "pending")}
        connection.execute(update(reprocessings).where(table.id == number).values(told_at=datetime.now(UTC), **added))

    store.insist(write)


def end(store: Store, number: int) -> Reprocessing:
    """Every file that was there is done."""
    with store.writing() as connection:
        its = reprocessings.c.id == number
        connection.execute(update(reprocessings).where(its).values(ended_at=datetime.now(UTC)))
    return one(store, number)


def forget(store: Store, number: int) -> Iterator[int]:
    """Remove a reprocessing and all that it said, a few hundred rows at a time; yields how many went.

    Raises:
        ConfigurationError: there is none of that number.
    """
    one(store, number)
    its = select(reprocessed.c.id).where(reprocessed.c.reprocessing_id == number).order_by(reprocessed.c.id)
    while True:
        with store.writing() as connection:
            rows = connection.scalars(its.limit(AT_ONCE)).all()
            if not rows:
                connection.execute(delete(reprocessings).where(reprocessings.c.id == number))
                return
            connection.execute(delete(reprocessed).where(reprocessed.c.id.in_(rows)))
        yield len(rows)


def _outcomes(connection: Connection, number: int, keys: Sequence[bytes]) -> dict[bytes, Outcome]:
    table = reprocessed.c
    query = select(table.digest, table.outcome).where(table.reprocessing_id == number, table.digest.in_(keys))
    return {bytes(row.digest): row.outcome for row in connection.execute(query)}


def _row(number: int, one: Rejudged) -> dict[str, Any]:
    return {
        "reprocessing_id": number,
        "digest": one.key,
        "plot": one.plot,
        "plot_digest": digest(one.plot),
        "path": one.path,
        "run": one.run,
        "taken_at": one.taken_at,
        "outcome": one.outcome,
        "reason": one.reason,
        "sha256": one.sha256,
        "label": one.label,
        "confidence": one.confidence,
        "confirmed": one.confirmed,
        "scores": one.scores,
        "novelty": one.novelty,
    }


def _from(row: Row[Any]) -> Reprocessing:
    return Reprocessing(
        row.id, row.model_id, row.source, row.names, row.person, row.host, row.started_at, row.told_at, row.ended_at,
        row.files, row.judged, row.rejected, row.pending,
    )  # fmt: skip
