"""What verdicts and files refer to: detectors, plots, labels, runs. Found in the data base, or put there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from hydrad.domain import LedgerEntry, Status, Verdict
from hydrad.store.among import among
from hydrad.store.columns import digest
from hydrad.store.tables import labels, plots, runs, standings
from hydrad.store.writing.inserting import insert_rows
from hydrad.verdict import CLOCK_SLACK_S

JUST_NOW = timedelta(seconds=60)


def named(connection: Connection, table: Table, names: Iterable[str]) -> Mapping[str, int]:
    """The row numbers of these detectors or plots, new ones included."""
    wanted = set(names)
    found = known(connection, table, wanted)
    missing = [{"digest": digest(name), "name": name} for name in sorted(wanted - set(found))]
    if missing:
        connection.execute(insert(table), missing)
        found |= known(connection, table, wanted)
    return found


def known(connection: Connection, table: Table, names: Iterable[str]) -> dict[str, int]:
    """The row numbers of those that are there."""
    wanted = {digest(name): name for name in names}
    if not wanted:
        return {}
    rows = connection.execute(select(table.c.id, table.c.digest).where(among(table.c.digest, wanted))).all()
    return {wanted[bytes(key)]: number for number, key in rows}


def plot_number(connection: Connection, name: str) -> int | None:
    """The row number of a plot, or None where it was never seen."""
    return connection.scalar(select(plots.c.id).where(plots.c.digest == digest(name)))


def inserted(result: Any) -> int:
    """The row number that an insert was given."""
    return int(result.inserted_primary_key[0])


def add_labels(connection: Connection, found: Sequence[Verdict], plot_ids: Mapping[str, int]) -> None:
    """Add labels never met before; one that is there keeps the meaning and colour people gave it."""
    # A model's verdicts share what it says of its labels, so there are as many of these as plots, not as verdicts.
    several = {(verdict.plot, id(verdict.meanings)): verdict for verdict in found if verdict.meanings}
    if not several:
        return
    there = connection.execute(
        select(labels.c.plot_id, labels.c.digest).where(
            among(labels.c.plot_id, {plot_ids[plot] for plot, _ in several})
        )
    ).all()
    known = {(plot_id, bytes(key)) for plot_id, key in there}
    missing = {
        (plot_id, label, meaning)
        for (plot, _), verdict in several.items()
        for label, meaning in verdict.meanings.items()
        if ((plot_id := plot_ids[plot]), digest(label)) not in known
    }
    rows = {
        (plot_id, label): {"plot_id": plot_id, "digest": digest(label), "name": label, "meaning": meaning}
        for plot_id, label, meaning in sorted(missing)
    }
    if rows:
        connection.execute(insert(labels), list(rows.values()))


def see_runs(connection: Connection, entries: Iterable[LedgerEntry]) -> None:
    """Widen the time in which each run was seen."""
    spans: dict[int, tuple[datetime, datetime]] = {}
    for entry in entries:
        if entry.run is not None:
            first, last = spans.get(entry.run, (entry.seen_at, entry.seen_at))
            spans[entry.run] = min(first, entry.seen_at), max(last, entry.seen_at)
    if not spans:
        return
    rows = connection.execute(select(runs).where(runs.c.number.in_(list(spans))).with_for_update())
    known = {row.number: (row.first_seen, row.last_seen) for row in rows}
    missing = [
        {"number": number, "first_seen": first, "last_seen": last}
        for number, (first, last) in spans.items()
        if number not in known
    ]
    if missing:
        connection.execute(insert(runs), missing)
    for number, (first, last) in known.items():
        wider = min(first, spans[number][0]), max(last, spans[number][1])
        if wider != (first, last):
            connection.execute(
                update(runs).where(runs.c.number == number).values(first_seen=wider[0], last_seen=wider[1])
            )


@dataclass(frozen=True, slots=True)
class Numbers:
    """The row numbers of what verdicts speak of, and their own."""

    plots: Mapping[str, int]
    detectors: Mapping[str, int]
    verdicts: Mapping[bytes, int]  # by digest of the key


@dataclass(frozen=True, slots=True)
class Stood:
    """How a plot stood before a batch of verdicts; ``status`` and ``judged_at`` are None before its first."""

    detector_id: int | None
    status: Status | None
    judged_at: datetime | None
    now: datetime

    def is_before(self, verdict: Verdict) -> bool:
        """Whether this verdict is one of what the plot came to be, and not of what it had been."""
        # What has just been given is what holds, whatever the clock said before it was set back by a little.
        just_now = timedelta(0) <= self.now - verdict.judged_at < JUST_NOW
        return self.judged_at is None or just_now or self._turn(self.judged_at) <= self.turn(verdict)

    def turn(self, verdict: Verdict) -> tuple[bool, datetime]:
        """What verdicts of the plot are put in order by."""
        return self._turn(verdict.judged_at)

    def _turn(self, judged_at: datetime) -> tuple[bool, datetime]:
        # What was judged in a time to come was so before the clock was set back: all else is newer.
        return judged_at <= self.now + timedelta(seconds=CLOCK_SLACK_S), judged_at


def stood(
    connection: Connection, fresh: Iterable[Verdict], plot_ids: Mapping[str, int], now: datetime
) -> Mapping[int, Stood]:
    """How the plots stand that these verdicts may move, by row number, locked until the transaction ends."""
    ids = {plot_ids[verdict.plot] for verdict in fresh if not verdict.superseded}
    if not ids:
        return {}
    rows = connection.execute(
        select(plots.c.id, plots.c.detector_id, standings.c.status, standings.c.judged_at)
        .outerjoin(standings, standings.c.plot_id == plots.c.id)
        .where(among(plots.c.id, sorted(ids)))
        .with_for_update()
    ).all()
    return {plot_id: Stood(detector_id, status, judged_at, now) for plot_id, detector_id, status, judged_at in rows}


def move_standings(
    connection: Connection,
    fresh: Iterable[Verdict],
    before: Mapping[int, Stood],
    numbers: Numbers,
) -> None:
    """Let each plot stand as its newest verdict says; an older or a superseded one never moves it back.

    Args:
        fresh: verdicts that are new to the data base.
        before: how their plots stand.
    """
    newest: dict[int, Verdict] = {}
    for verdict in fresh:
        plot_id = numbers.plots[verdict.plot]
        if not verdict.superseded and before[plot_id].is_before(verdict):
            held = newest.get(plot_id)
            if held is None or before[plot_id].turn(verdict) >= before[plot_id].turn(held):
                newest[plot_id] = verdict
    rehung: dict[int, list[int]] = defaultdict(list)  # by detector, the plots that are new to it
    for plot_id, verdict in newest.items():
        detector_id = numbers.detectors[verdict.detector]
        if before[plot_id].detector_id != detector_id:
            rehung[detector_id].append(plot_id)
    for detector_id, theirs in rehung.items():
        connection.execute(update(plots).where(plots.c.id.in_(theirs)).values(detector_id=detector_id))
    if newest:  # away with the old and in with the new: a hundred updates would take ten times as long
        moved = [
            _standing(verdict, plot_id, numbers.verdicts[digest(verdict.key)]) for plot_id, verdict in newest.items()
        ]
        connection.execute(delete(standings).where(among(standings.c.plot_id, newest)))
        insert_rows(connection, standings, moved)


def _standing(verdict: Verdict, plot_id: int, verdict_id: int) -> dict[str, Any]:
    return {
        "plot_id": plot_id,
        "verdict_id": verdict_id,
        "status": verdict.status,
        "severity": verdict.severity,
        "reason": verdict.reason,
        "label": verdict.label,
        "confidence": verdict.confidence,
        "taken_at": verdict.taken_at,
        "judged_at": verdict.judged_at,
        "run": verdict.run,
        "bad_in_a_row": verdict.bad_in_a_row,
    }
