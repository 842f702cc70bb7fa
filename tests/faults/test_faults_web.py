"""Pages are killed in mid-request, and the daemon while pages save: what was asked is there whole, or not at all."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from browsing import Pages
from daemon import FIXED_BEAM
from sqlalchemy import select
from trial import LONG, Trial

from hydrad.classify.labels import meaning_of
from hydrad.domain import Change
from hydrad.store import changing, tables
from hydrad.store.labels.defining import Hand
from hydrad.store.labels.marking import Mark, give
from hydrad.store.models import trainings
from hydrad.store.queries import Store

TRIES = 12
FILES = 300
PLOT = "CDC_p"
TAUGHT = "CDC_q"  # what a training can learn from
LABELS = ("Good", "Bad", "NoData")
NO_TRAINER = "[web]\ntrains = false\n"
THRESHOLD = "threshold.Bad"


@pytest.mark.skipif(not LONG, reason="minutes: make faults")
def test_pages_killed_in_mid_request_leave_nothing_half_done(
    trial: Callable[..., Trial], stored: dict[str, Any], database_kind: str
) -> None:
    chance = random.Random(6)
    with (
        trial(f"web killed in mid-request ({database_kind})", beam=FIXED_BEAM + NO_TRAINER, **stored) as hall,
        Store(hall.url) as store,
    ):
        hall.start()
        for n in range(FILES):
            hall.write(f"Run{n:05}/{PLOT}.png")
        hall.until(lambda: hall.counted() == FILES)
        images = [str(version.sha256) for version in hall.written]
        teach(hall, store)
        for n in range(TRIES):
            hall.tries += 1
            before = threshold_of(store)
            asked = 0.5 + 0.001 * (n + 1)
            with Pages(hall.daemon.settings, environment=hall.daemon.environment) as pages:
                with asking(pages, images, LABELS[n % 3], asked):
                    time.sleep(chance.random() * 0.6)
                    hall.write(f"Run9{n:04}/{PLOT}.png")
                    os.killpg(pages.process.pid, signal.SIGKILL)
                pages.process.wait()
            assert len(labels_of(store, images)) == 1, "some images have the new label, and some have not"
            assert threshold_of(store) in {before, asked}
        with Pages(hall.daemon.settings, environment=hall.daemon.environment) as pages:
            with asking(pages, images, "NoData", 0.77) as answers:
                hall.kill()
                hall.tries += 1
                hall.launch()
            assert answers == {"labels": 200, "threshold": 200, "training": 201}
            hall.daemon.until_ready()
            assert labels_of(store, images) == {"NoData"}
            assert threshold_of(store) == 0.77
            threshold = hall.daemon.pv("CDC:P:THRESH:BAD")
            hall.until(lambda: threshold.get() == 0.77)
        for training in trainings.trainings(store, limit=1000):
            assert training.settings["plots"] == [TAUGHT]


class asking(ExitStack):  # noqa: N801  it reads as what it is
    """Requests on their way, each in a thread of its own; left, they have been answered or the pages are dead.

    Args:
        label: for all of these images.
        threshold: for that of Bad.
    """

    def __init__(self, pages: Pages, images: list[str], label: str, threshold: float) -> None:
        super().__init__()
        now = datetime.now(UTC).isoformat()
        marks = [{"id": f"{n}", "plot": PLOT, "sha256": sha, "label": label, "at": now} for n, sha in enumerate(images)]
        self._address = pages.address
        self._answers: dict[str, int] = {}
        self._asked = [
            ("labels", "POST", "/api/v1/labellings", {"marks": marks}),
            ("threshold", "PUT", f"/api/v1/plots/{PLOT}/thresholds/Bad", {"value": threshold}),
            ("training", "POST", "/api/v1/trainings", {"plots": [TAUGHT]}),
        ]

    def __enter__(self) -> dict[str, int]:  # type: ignore[override]
        for asked in self._asked:
            thread = threading.Thread(target=self._ask, args=asked, name=f"asks for {asked[0]}")
            thread.start()
            self.callback(thread.join)
        return self._answers

    def _ask(self, name: str, verb: str, path: str, body: dict[str, Any]) -> None:
        with suppress(httpx.TransportError):
            answer = httpx.request(verb, f"{self._address}{path}", json=body, timeout=60.0)
            self._answers[name] = answer.status_code


def teach(hall: Trial, store: Store) -> None:
    """Let some images of another plot be labelled."""
    before = len(hall.written)
    for n in range(40):
        hall.write(f"Run{n:05}/{TAUGHT}.png")
    hall.until(lambda: hall.counted() == len(hall.written))
    hand = Hand("ana", "counting1", "page", datetime.now(UTC))
    taught = [str(version.sha256) for version in hall.written[before:]]
    give(store, [Mark(TAUGHT, sha, LABELS[n % 3], hand) for n, sha in enumerate(taught)], meaning_of)


def labels_of(store: Store, images: list[str]) -> set[str | None]:
    """The labels that these images have."""
    with store.reading() as connection:
        rows = connection.execute(
            select(tables.labels.c.name)
            .select_from(tables.images.outerjoin(tables.labels, tables.labels.c.id == tables.images.c.label_id))
            .where(tables.images.c.sha256.in_(images))
        )
        return {row.name for row in rows}


def threshold_of(store: Store) -> float | None:
    """The one that somebody set, of Bad."""
    changes: list[Change] = list(changing.in_force(store, PLOT, "CDC", LABELS))
    return next((float(change.value) for change in changes if change.key == THRESHOLD), None)
