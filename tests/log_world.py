"""Faults in the log as tests need them: rows of the data base with their verdicts and, if asked for, their images."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import Image
from sqlalchemy import Connection, insert, select, update

from hydrad.domain import Beam, BeamState, Cause, Meaning, Status, Verdict
from hydrad.sim import hall
from hydrad.sim.faults import Fault
from hydrad.store.columns import digest
from hydrad.store.images import ImageFolder
from hydrad.store.places import named
from hydrad.store.queries import Store
from hydrad.store.rows import heatmap_columns, verdict_row
from hydrad.store.tables import detectors, episodes, hours, images, labels, people, plots, verdicts

MEANINGS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}


@dataclass(frozen=True)
class Streak:
    """A fault of a plot, so long ago; ``lasted_s`` None: it lasts."""

    plot: str = "CDC_occupancy"
    status: Status = Status.BAD
    ago_s: float = 600.0
    lasted_s: float | None = None
    images: int = 3
    label: str | None = "Bad"
    confidence: float | None = 0.97
    run: int | None = 30408
    runs: int = 1
    detector: str | None = None
    reason: str = "Bad at 0.97, 2 in a row, beam 201 nA"


def streak(store: Store, one: Streak, *, now: datetime | None = None, folder: ImageFolder | None = None) -> int:
    """Put a fault into the log; returns its number."""
    return streaks(store, [one], now=now, folder=folder)[0]


def streaks(
    store: Store, many: Sequence[Streak], *, now: datetime | None = None, folder: ImageFolder | None = None
) -> list[int]:
    """Put faults into the log; returns their numbers.

    Args:
        folder: where an image of each is to be kept.
    """
    with store.writing() as connection:
        return [_streak(connection, one, now or datetime.now(UTC), folder) for one in many]


def _streak(connection: Connection, one: Streak, now: datetime, folder: ImageFolder | None) -> int:
    began = now - timedelta(seconds=one.ago_s)
    ended = None if one.lasted_s is None else began + timedelta(seconds=one.lasted_s)
    last = now if ended is None else began + 0.9 * (ended - began)
    detector = one.detector or one.plot.split("_", 1)[0]
    last_run = None if one.run is None else one.run + one.runs - 1
    plot_id = named(connection, plots, {one.plot})[one.plot]
    detector_id = named(connection, detectors, {detector})[detector]
    connection.execute(update(plots).where(plots.c.id == plot_id).values(detector_id=detector_id))
    data = picture(one) if folder is not None else b""
    sha256 = hashlib.sha256(data or uuid.uuid4().bytes).hexdigest()
    image_id = None
    if folder is not None:
        folder.keep(data, sha256, "png")
        size = Image.open(io.BytesIO(data)).size
        row = {"sha256": sha256, "plot_id": plot_id, "size": len(data), "format": "png", "width": size[0]}
        row |= {"height": size[1], "path": f"/data/{one.plot}.png", "kept": True, "taken_at": began}
        image_id = connection.execute(insert(images).values(row)).inserted_primary_key[0]
    first_id = _verdict(connection, one, began, one.run, sha256, plot_id, detector_id, image_id)
    last_id = first_id
    if last > began:
        last_id = _verdict(connection, one, last, last_run, sha256, plot_id, detector_id, image_id)
    return int(
        connection.execute(
            insert(episodes).values(
                plot_id=plot_id,
                detector_id=detector_id,
                status=one.status,
                severity=one.status.severity,
                label=one.label,
                confidence=one.confidence,
                reason=one.reason,
                started_at=began,
                alarmed_at=began if one.status in {Status.BAD, Status.NODATA} else None,
                last_at=last,
                ended_at=ended,
                images=one.images,
                first_verdict_id=first_id,
                last_verdict_id=last_id,
                worst_verdict_id=last_id,
                first_run=one.run,
                last_run=last_run,
            )
        ).inserted_primary_key[0]
    )


def _verdict(connection, one, at, run, sha256, plot_id, detector_id, image_id):
    verdict = Verdict(
        key=uuid.uuid4().hex,
        plot=one.plot,
        detector=detector_id,
        status=one.status,
        severity=one.status.severity,
        reason=one.reason,
        judged_at=at,
        cause=Cause.IMAGE,
        beam=Beam(BeamState.ON, 201.3, "nA", at),
        path=f"/data/{one.plot}.png",
        run=run,
        sha256=sha256,
        taken_at=at,
        model="simulated-hall",
        label=one.label,
        confidence=one.confidence,
        scores={"Good": 0.02, "Bad": 0.97, "NoData": 0.01},
        meanings=MEANINGS,
        confirmed=True,
    )
    cells = np.zeros((16, 24), np.uint8)
    cells[6:9, 10:13] = 230
    row = verdict_row(verdict, plot_id, detector_id, image_id) | heatmap_columns(cells)
    return connection.execute(insert(verdicts).values(row)).inserted_primary_key[0]


def picture(one: Streak) -> bytes:
    """A PNG of a simulated plot with a dead board."""
    plot = one.plot if one.plot in hall.PLOTS else next(iter(hall.PLOTS))
    pixels = hall.render(plot, seed=int(one.ago_s) % 1000, faults=(Fault("dead_board", at=plot),), run=one.run or 1)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def end(store: Store, number: int, *, now: datetime | None = None) -> None:
    """Let a fault end."""
    with store.writing() as connection:
        connection.execute(update(episodes).where(episodes.c.id == number).values(ended_at=now or datetime.now(UTC)))


def label(store: Store, plot: str, *names: str) -> None:
    """Labels that a plot has."""
    with store.writing() as connection:
        plot_id = named(connection, plots, {plot})[plot]
        for name in names:
            row = {
                "plot_id": plot_id,
                "digest": digest(name),
                "name": name,
                "meaning": MEANINGS.get(name, Meaning.OTHER),
            }
            connection.execute(insert(labels).values(row))


def judged(store: Store, plot: str, at: datetime, count: int, status: Status = Status.GOOD) -> None:
    """So many images of a plot were judged in that hour."""
    with store.writing() as connection:
        plot_id = named(connection, plots, {plot})[plot]
        hour = at.replace(minute=0, second=0, microsecond=0)
        connection.execute(insert(hours).values(hour=hour, plot_id=plot_id, status=status, images=count))


def person(store: Store, name: str, email: str | None = None, **words: object) -> int:
    """Somebody who may log in."""
    from hydrad.domain import Role  # noqa: PLC0415  only here

    row = {
        "digest": digest(name), "name": name, "role": Role.VIEWER, "email": email, "digest_wanted": email is not None,
        "disabled": False, "created_at": datetime.now(UTC), **words,
    }  # fmt: skip
    with store.writing() as connection:
        return int(connection.execute(insert(people).values(row)).inserted_primary_key[0])


def worst_of(store: Store, number: int) -> int:
    """The verdict that an entry shows."""
    with store.reading() as connection:
        return int(connection.scalar(select(episodes.c.worst_verdict_id).where(episodes.c.id == number)))
