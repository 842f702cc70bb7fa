"""What verdicts and files refer to: detectors, plots, labels, runs. Found in the data base, or put there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from hydrad.domain import LedgerEntry, Verdict
from hydrad.store.columns import digest
from hydrad.store.tables import labels, plots, runs, standings


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
    rows = connection.execute(select(table.c.id, table.c.digest).where(table.c.digest.in_(list(wanted))))
    return {wanted[bytes(row.digest)]: row.id for row in rows}


def add_labels(connection: Connection, found: Sequence[Verdict], plot_ids: Mapping[str, int]) -> None:
    """Add labels never met before; one that is there keeps the meaning and colour people gave it."""
    meanings = {(plot_ids[verdict.plot], *pair) for verdict in found for pair in verdict.meanings.items()}
    met = {
        (plot_id, digest(label)): {"plot_id": plot_id, "digest": digest(label), "name": label, "meaning": meaning}
        for plot_id, label, meaning in sorted(meanings)
    }
    if not met:
        return
    there = connection.execute(
        select(labels.c.plot_id, labels.c.digest).where(labels.c.plot_id.in_({plot for plot, _ in met}))
    )
    known = {(row.plot_id, bytes(row.digest)) for row in there}
    if missing := [row for key, row in met.items() if key not in known]:
        connection.execute(insert(labels), missing)


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


def move_standings(
    connection: Connection,
    found: Iterable[Verdict],
    plot_ids: Mapping[str, int],
    detector_ids: Mapping[str, int],
    verdict_ids: Mapping[bytes, int],
) -> None:
    """Let each plot stand as its newest verdict says; an older or a superseded one never moves it back."""
    newest: dict[str, Verdict] = {}
    for verdict in found:
        held = newest.get(verdict.plot)
        if not verdict.superseded and (held is None or verdict.judged_at >= held.judged_at):
            newest[verdict.plot] = verdict
    if not newest:
        return
    ids = [plot_ids[plot] for plot in newest]
    rows = connection.execute(
        select(plots.c.id, plots.c.detector_id, standings.c.judged_at)
        .outerjoin(standings, standings.c.plot_id == plots.c.id)
        .where(plots.c.id.in_(ids))
        .with_for_update()
    )
    stood = {row.id: row for row in rows}
    moved: dict[int, dict[str, Any]] = {}
    rehung: dict[int, list[int]] = defaultdict(list)  # by detector, the plots that are new to it
    for verdict in newest.values():
        plot_id = plot_ids[verdict.plot]
        before = stood[plot_id]
        if before.judged_at is not None and before.judged_at > verdict.judged_at:
            continue
        moved[plot_id] = _standing(verdict, plot_id, verdict_ids[digest(verdict.key)])
        detector_id = detector_ids[verdict.detector]
        if before.detector_id != detector_id:
            rehung[detector_id].append(plot_id)
    for detector_id, theirs in rehung.items():
        connection.execute(update(plots).where(plots.c.id.in_(theirs)).values(detector_id=detector_id))
    if moved:  # away with the old and in with the new: a hundred updates would take ten times as long
        connection.execute(delete(standings).where(standings.c.plot_id.in_(list(moved))))
        connection.execute(insert(standings), list(moved.values()))


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
