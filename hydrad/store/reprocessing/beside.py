"""What a reprocessing said beside what was said before: by the models that served then, and by people."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, select
from sqlalchemy import func as sql

from hydrad.domain import BeamState, Cause, Meaning, Outcome
from hydrad.store.models.comparing import FAULTY
from hydrad.store.queries import Store
from hydrad.store.tables import images, labels, plots, reprocessed, verdicts

AT_ONCE = 500  # files looked at by one statement
WORST = 20

Confusion = Mapping[tuple[str, str], int]  # images by what was said before and what is said now


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An image of which another label was said before; ``by`` is the model that said it, or "people"."""

    plot: str
    path: str
    sha256: str
    run: int | None
    taken_at: datetime | None  # aware, UTC
    by: str
    before: str
    sure_before: float  # 0 to 1; people are
    now: str
    sure_now: float

    @property
    def weight(self) -> float:
        """The surer both were, the worse."""
        return self.sure_before * self.sure_now


@dataclass(slots=True)
class Beside:
    """Counts of images, of those that the data base knows otherwise than by the reprocessing.

    An image is known by its plot and content, and what served last is what counts. It is alarming when its label is
    confirmed and means bad or empty while the beam was not off, as for models in shadow.
    """

    images: int = 0  # that the reprocessing judged
    judged_before: int = 0  # of these, by a model
    agreed: int = 0
    alarming_to_both: int = 0
    alarms_added: int = 0  # by the reprocessing only
    alarms_missed: int = 0  # by what served only
    labelled: int = 0  # by people
    agreed_with_people: int = 0
    plots: dict[str, Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))
    people: dict[str, Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)  # files by outcome and reason
    worst: list[Disagreement] = field(default_factory=list)  # the worst first


def beside(store: Store, number: int, meanings: Mapping[str, Meaning]) -> Beside:
    """Lay a reprocessing beside history, reading some hundred rows at a time.

    Args:
        meanings: of the labels of the model that was let loose.
    """
    found = Beside()
    worst: list[tuple[float, int, Disagreement]] = []
    for rows, served in _pages(store, number):
        for row in rows:
            if row.outcome is not Outcome.JUDGED:
                found.refused[row.outcome.value, row.reason] += 1
                continue
            found.images += 1
            for one in _weighed(found, row, served.get(row.image_id), meanings):
                entry = (one.weight, -row.id, one)
                (heapq.heappush if len(worst) < WORST else heapq.heappushpop)(worst, entry)
    found.worst = [one for *_, one in sorted(worst, reverse=True)]
    return found


def _weighed(
    found: Beside, row: Row[Any], before: Row[Any] | None, meanings: Mapping[str, Meaning]
) -> Iterator[Disagreement]:
    if before is not None:
        found.judged_before += 1
        found.plots[row.plot][before.label, row.label] += 1
        beam = before.beam_state is not BeamState.OFF
        alarming = beam and before.confirmed and Meaning(before.meanings.get(before.label, "other")) in FAULTY
        alarms = beam and row.confirmed and meanings.get(row.label) in FAULTY
        found.alarming_to_both += alarming and alarms
        found.alarms_added += alarms and not alarming
        found.alarms_missed += alarming and not alarms
        found.agreed += before.label == row.label
        if before.label != row.label:
            yield _disagreement(row, before.model, before.label, before.confidence or 0.0)
    if row.given is not None:
        found.labelled += 1
        found.people[row.plot][row.given, row.label] += 1
        found.agreed_with_people += row.given == row.label
        if row.given != row.label:
            yield _disagreement(row, "people", row.given, 1.0)


def _disagreement(row: Row[Any], by: str, before: str, sure: float) -> Disagreement:
    return Disagreement(
        row.plot, row.path, row.sha256, row.run, row.taken_at, by, before, sure, row.label, row.confidence
    )


def _pages(store: Store, number: int) -> Iterator[tuple[Sequence[Any], Mapping[int, Row[Any]]]]:
    """The files, with the labels that people gave; and by image the verdict that served last."""
    table = reprocessed.c
    columns = [table[name] for name in (
        "id", "plot", "path", "sha256", "run", "taken_at", "outcome", "reason", "label", "confidence", "confirmed",
    )]  # fmt: skip
    query = (
        select(*columns, images.c.id.label("image_id"), labels.c.name.label("given"))
        .outerjoin(plots, plots.c.digest == table.plot_digest)
        .outerjoin(images, and_(images.c.sha256 == table.sha256, images.c.plot_id == plots.c.id))
        .outerjoin(labels, labels.c.id == images.c.label_id)
        .where(table.reprocessing_id == number)
        .order_by(table.id)
        .limit(AT_ONCE)
    )
    last = 0
    while True:
        with store.reading() as connection:
            rows = connection.execute(query.where(table.id > last)).all()
            known = {row.image_id for row in rows if row.image_id is not None}
            served = _served(connection, known) if known else {}
        if not rows:
            return
        yield rows, served
        last = rows[-1].id


def _served(connection: Connection, numbers: Collection[int]) -> dict[int, Row[Any]]:
    table = verdicts.c
    newest = (
        select(sql.max(table.id).label("id"))
        .where(table.image_id.in_(numbers), table.cause == Cause.IMAGE, table.label.is_not(None))
        .group_by(table.image_id)
        .subquery()
    )
    columns = [table[name] for name in (
        "image_id", "model", "label", "confidence", "confirmed", "meanings", "beam_state",
    )]  # fmt: skip
    rows = connection.execute(select(*columns).join(newest, newest.c.id == table.id))
    return {row.image_id: row for row in rows}
