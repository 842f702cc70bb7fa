"""A batch of parcels into the data base, in the transaction it is handed.

Everything has a key that is looked for first, so a parcel that comes again changes nothing. Two writers that put the
same row there at once make one of them fail on that key; trying again finds the row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from hydrad.domain import LedgerEntry, Outcome, Verdict
from hydrad.store.among import among
from hydrad.store.columns import digest
from hydrad.store.engine import Beaten
from hydrad.store.packing import Opinion, Parcel
from hydrad.store.places import Numbers, add_labels, move_standings, named, see_runs, stood
from hydrad.store.rows import change_row, heatmap_columns, sighting_digest, verdict_row
from hydrad.store.tables import canaries, detectors, files, images, plots, settings, shadows, tallies, verdicts
from hydrad.store.writing.following import follow_episodes
from hydrad.store.writing.hours import count_images
from hydrad.store.writing.inserting import insert_rows
from hydrad.store.writing.once import judged_once
from hydrad.store.writing.upserting import put_or

ImageKey = tuple[str, int]  # sha256, plot


def write_parcels(connection: Connection, parcels: Sequence[Parcel]) -> None:
    """Write what these parcels hold and is not there yet."""
    parcels = judged_once(connection, parcels)
    found = [parcel.verdict for parcel in parcels if parcel.verdict is not None]
    entries = [parcel.entry for parcel in parcels if parcel.entry is not None]
    plot_names = {verdict.plot for verdict in found} | {entry.plot for entry in entries if entry.plot is not None}
    plot_ids = named(connection, plots, plot_names)
    detector_ids = named(connection, detectors, {verdict.detector for verdict in found})
    add_labels(connection, found, plot_ids)
    see_runs(connection, entries)
    image_ids = _write_images(connection, parcels, plot_ids)
    verdict_ids, fresh = _write_verdicts(connection, parcels, plot_ids, detector_ids, image_ids)
    _write_files(connection, parcels, plot_ids, verdict_ids)
    count_images(connection, fresh, plot_ids)
    before = stood(connection, fresh, plot_ids, datetime.now(UTC))
    numbers = Numbers(plot_ids, detector_ids, verdict_ids)
    follow_episodes(connection, fresh, before, numbers)
    move_standings(connection, fresh, before, numbers)
    write_changes(connection, [parcel for parcel in parcels if parcel.change is not None])
    _write_opinions(connection, [parcel.opinion for parcel in parcels if parcel.opinion is not None])
    _write_canaries(connection, parcels)


def write_changes(connection: Connection, parcels: Sequence[Parcel]) -> None:
    """Add these changes to the history of settings; their rows' order is the order in which they become visible."""
    if not parcels:
        return
    # Whoever follows the history by row number would miss a row that is committed after a higher one: wait in line.
    connection.execute(select(settings.c.id).order_by(settings.c.id.desc()).limit(1).with_for_update())
    rows = {
        digest(parcel.ticket): change_row(parcel.change, parcel.ticket, parcel.origin or None)
        for parcel in parcels
        if parcel.change is not None
    }
    there = connection.scalars(select(settings.c.digest).where(settings.c.digest.in_(list(rows))))
    for known in there.all():
        del rows[bytes(known)]
    if rows:
        connection.execute(insert(settings), list(rows.values()))


def _write_opinions(connection: Connection, opinions: Sequence[Opinion]) -> None:
    verdict_ids = _verdict_ids(connection, list({digest(opinion.verdict_key) for opinion in opinions}))
    rows = {
        (verdict_id, opinion.model): {
            "verdict_id": verdict_id,
            "model_id": opinion.model,
            "label": opinion.label,
            "confidence": opinion.confidence,
            "scores": opinion.scores,
            "confirmed": opinion.confirmed,
            "novelty": opinion.novelty,
        }
        for opinion in opinions
        if (verdict_id := verdict_ids.get(digest(opinion.verdict_key))) is not None  # else it was never acceptable
    }
    if not rows:
        return
    there = connection.execute(
        select(shadows.c.verdict_id, shadows.c.model_id).where(shadows.c.verdict_id.in_({key[0] for key in rows}))
    )
    known = {(row.verdict_id, row.model_id) for row in there}
    if missing := [row for key, row in rows.items() if key not in known]:
        connection.execute(insert(shadows), missing)


def _write_canaries(connection: Connection, parcels: Sequence[Parcel]) -> None:
    """The newest of each model takes the place of the one before: nobody looks back at them."""
    rows: dict[bytes, dict[str, Any]] = {}
    for parcel in parcels:
        if (verdict := parcel.canary) is not None:
            key = digest(parcel.origin, verdict.plot)
            rows[key] = {
                "digest": key,
                "model": verdict.plot,
                "sha256": verdict.sha256,
                "status": verdict.status,
                "label": verdict.label,
                "confidence": verdict.confidence,
                "reason": verdict.reason,
                "judged_at": verdict.judged_at,
            }
    columns = tuple(column.name for column in canaries.columns if not column.primary_key)
    put_or(connection, canaries, [rows[key] for key in sorted(rows)], set=columns)


def _write_images(
    connection: Connection, parcels: Sequence[Parcel], plot_ids: Mapping[str, int]
) -> Mapping[ImageKey, int]:
    rows: dict[ImageKey, dict[str, Any]] = {}
    for parcel in parcels:
        entry, image, verdict = parcel.entry, parcel.image, parcel.verdict
        if entry is not None and image is not None and entry.plot is not None and entry.sha256 is not None:
            plot_id = plot_ids[entry.plot]
            facts = {
                "sha256": entry.sha256,
                "plot_id": plot_id,
                "size": image.size,
                "format": image.format,
                "width": image.width,
                "height": image.height,
                "path": entry.path,
                "run": entry.run,
                "chunk": None if verdict is None else verdict.chunk,
                "taken_at": None if verdict is None else verdict.taken_at,
                "kept": True,
                "sampled": image.sampled,
            }
            held = rows.setdefault((entry.sha256, plot_id), facts)
            held["sampled"] |= image.sampled
    hashes = {sha256 for sha256, _ in rows} | {
        parcel.verdict.sha256 for parcel in parcels if parcel.verdict is not None and parcel.verdict.sha256 is not None
    }
    known = _image_ids(connection, hashes)
    _keep_again(connection, {known[key]: row for key, row in rows.items() if key in known})
    if missing := [row for key, row in rows.items() if key not in known]:
        insert_rows(connection, images, missing)
        known |= _image_ids(connection, {row["sha256"] for row in missing})
    return known


def _keep_again(connection: Connection, come_again: Mapping[int, Mapping[str, Any]]) -> None:
    """Note of images whose content has come again that it is there, and drawn for labelling if it is by now."""
    if not come_again:
        return
    query = select(images.c.id, images.c.kept, images.c.sampled).where(among(images.c.id, come_again))
    there = connection.execute(query).all()
    if gone := [row.id for row in there if not row.kept]:
        connection.execute(update(images).where(images.c.id.in_(gone)).values(kept=True))
    if drawn := [row.id for row in there if not row.sampled and come_again[row.id]["sampled"]]:
        connection.execute(update(images).where(images.c.id.in_(drawn)).values(sampled=True))


def _image_ids(connection: Connection, hashes: set[str]) -> dict[ImageKey, int]:
    if not hashes:
        return {}
    rows = connection.execute(
        select(images.c.id, images.c.sha256, images.c.plot_id).where(among(images.c.sha256, hashes))
    ).all()
    return {(sha256, plot_id): number for number, sha256, plot_id in rows}


def _write_verdicts(
    connection: Connection,
    parcels: Sequence[Parcel],
    plot_ids: Mapping[str, int],
    detector_ids: Mapping[str, int],
    image_ids: Mapping[ImageKey, int],
) -> tuple[Mapping[bytes, int], Sequence[Verdict]]:
    """The verdicts' row numbers by digest, and those that had none before."""
    rows: dict[bytes, dict[str, Any]] = {}
    found: dict[bytes, Verdict] = {}
    for parcel in parcels:
        if (verdict := parcel.verdict) is not None:
            plot_id = plot_ids[verdict.plot]
            image_id = None if verdict.sha256 is None else image_ids.get((verdict.sha256, plot_id))
            row = verdict_row(verdict, plot_id, detector_ids[verdict.detector], image_id)
            rows.setdefault(row["digest"], row | heatmap_columns(parcel.heatmap))
            found.setdefault(row["digest"], verdict)
    known = _verdict_ids(connection, list(rows))
    missing = {key: row for key, row in rows.items() if key not in known}
    if missing:
        insert_rows(connection, verdicts, list(missing.values()))
        known |= _verdict_ids(connection, list(missing))
    return known, [found[key] for key in missing]


def _verdict_ids(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, int]:
    if not digests:
        return {}
    rows = connection.execute(select(verdicts.c.id, verdicts.c.digest).where(among(verdicts.c.digest, digests))).all()
    return {bytes(key): number for number, key in rows}


def _write_files(
    connection: Connection,
    parcels: Sequence[Parcel],
    plot_ids: Mapping[str, int],
    verdict_ids: Mapping[bytes, int],
) -> None:
    last: dict[bytes, tuple[LedgerEntry, Verdict | None]] = {}
    for parcel in parcels:
        if (entry := parcel.entry) is not None:
            key = sighting_digest(entry)
            if key not in last or _later(entry, last[key][0].done_at):
                last[key] = entry, parcel.verdict
    if not last:
        return
    there = connection.execute(
        select(files.c.digest, files.c.outcome, files.c.done_at, files.c.plot_id, files.c.verdict_id)
        .where(among(files.c.digest, last))
        .with_for_update()
    )
    known = {bytes(row.digest): row for row in there.all()}
    moved: Counter[Outcome] = Counter()
    missing = []
    for key, (entry, verdict) in last.items():
        row = {
            "digest": key,
            "path": entry.path,
            "path_digest": digest(entry.path),
            "size": entry.size,
            "mtime_ns": entry.mtime_ns,
            "sha256": entry.sha256,
            "outcome": entry.outcome,
            "reason": entry.reason,
            "plot_id": None if entry.plot is None else plot_ids[entry.plot],
            "verdict_id": None if verdict is None else verdict_ids[digest(verdict.key)],
            "run": entry.run,
            "seen_at": entry.seen_at,
            "done_at": entry.done_at,
            "submission": entry.submission,
        }
        if key not in known:
            missing.append(row)
        elif _was_judged(known[key], row):
            raise Beaten(f"another writer has just given {entry.path} its verdict")  # to be left out the next time
        elif _later(entry, known[key].done_at):
            connection.execute(update(files).where(files.c.digest == key).values(row))
            moved[known[key].outcome] -= 1
        else:
            continue
        moved[entry.outcome] += 1
    if missing:
        insert_rows(connection, files, missing)
    _count(connection, moved)


def _was_judged(known: Any, row: Mapping[str, Any]) -> bool:
    """True if a file has got another verdict, as the same plot's image, since it was last looked at."""
    ours = row["verdict_id"]
    return ours is not None and known.verdict_id not in {None, ours} and known.plot_id == row["plot_id"]


def _later(entry: LedgerEntry, done_at: Any) -> bool:
    """True if this entry says more of a file than one done at ``done_at`` (None: pending)."""
    return entry.done_at is not None and (done_at is None or entry.done_at > done_at)


def _count(connection: Connection, moved: Mapping[Outcome, int]) -> None:
    for outcome, difference in moved.items():
        changed = connection.execute(
            update(tallies).where(tallies.c.outcome == outcome).values(files=tallies.c.files + difference)
        )
        if changed.rowcount == 0:
            connection.execute(insert(tallies).values(outcome=outcome, files=difference))
