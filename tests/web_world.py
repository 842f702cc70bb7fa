"""A hall's data base as the pages find it: plots, images, verdicts, a model, a daemon's sign of life."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image
from sqlalchemy import URL

from hydrad import config
from hydrad.domain import (
    Beam,
    BeamState,
    Cause,
    Health,
    LedgerEntry,
    Meaning,
    Outcome,
    Severity,
    Status,
    Verdict,
)
from hydrad.errors import StoreAway
from hydrad.shipped import folder as shipped_bundle
from hydrad.sim import hall
from hydrad.sim.faults import Fault
from hydrad.store import schema
from hydrad.store.images import ImageFolder
from hydrad.store.models import registry
from hydrad.store.models.registry import Who
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store
from hydrad.store.rows import Heartbeat
from hydrad.store.tables import ModelState

MEANINGS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}
PLOTS = ("CDC_occupancy", "CDC_time", "FCAL_map", "BCAL_adc", "TOF_timing", "PS_occupancy")
BEATS_EVERY_S = 1.0
TOML = """\
[hall]
name = "TEST"
timezone = "America/New_York"

[store]
url = "{url}"

[beam]
kind = "fixed"

[web]
port = {port}
{web}

[[detector]]
name = "CDC"
expert = "cdc-expert@example.org"
guidance = "Check the HV of the boards named on the heatmap, then call the expert."

{more}
"""
DETAILS = {
    "beam": {
        "state": "ON", "current": 201.3, "units": "nA", "reason": "", "read_at": "2026-11-23T07:01:02Z",
        "on_above": 5.0,
    },
    "run": {
        "state": "RUNNING", "number": 30408, "type": "production", "masked": False, "reason": "", "since": None,
    },
    "images_per_s": 3.2,
    "latency_s": 0.041,
    "database_ok": True,
    "model_ok": True,
    "stages": {
        name: {"p50_ms": p50, "p99_ms": 4 * p50}
        for name, p50 in {
            "wait": 210.0, "read": 9.5, "classify": 15.0, "judge": 0.2, "tell": 0.4, "keep": 5.0,
        }.items()
    },
    "outbox": 0,
    "canary": {
        "status": "BAD", "says": "the known-bad image of m came out BAD", "trouble": "", "blind": False,
        "age_s": 12.0, "latency_s": 0.4,
    },
    "pv_server": {"prefix": "HYDRA:TEST:", "port": 5064, "clients": 2},
    "disk": {"images": {"path": "images", "free_bytes": 8 * 10**11, "total_bytes": 10**12}},
    "process": {"memory_bytes": 6 * 10**8, "open_files": 61, "threads": 24, "tasks": 57},
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """One image of a plot, and what the daemon made of it."""

    plot: str
    status: Status
    seconds: float  # after the first
    label: str = "Good"
    confidence: float = 0.98
    fault: str | None = None  # of the simulated hall, drawn into the image
    run: int = 30408
    cause: Cause = Cause.IMAGE
    reason: str = ""


class Living:
    """A daemon's signs of life, as it would give them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._began = datetime.now(UTC) - timedelta(hours=30)
        self._words: tuple[Health, str, Mapping[str, object]] | None = None
        self._lock = threading.Lock()  # a sign of life that is being given is given before another
        self._over = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="signs of life")

    def say(self, health: Health, why: str, details: Mapping[str, object], ago: timedelta | None) -> None:
        """Give one now, and from now on; or, ``ago``, one of the past and no more."""
        with self._lock:
            self._words = (health, why, details) if ago is None else None
            self._give(health, why, details, ago or timedelta())

    def live(self) -> None:
        """Begin."""
        self._beating.start()

    def end(self) -> None:
        """Stop, for good."""
        self._over.set()
        self._beating.join()

    def _beat(self) -> None:
        while not self._over.wait(BEATS_EVERY_S):
            with self._lock, suppress(StoreAway):
                if self._words is not None:
                    self._give(*self._words, timedelta())

    def _give(self, health: Health, why: str, details: Mapping[str, object], ago: timedelta) -> None:
        at = datetime.now(UTC) - ago
        self._store.beat(Heartbeat("counting-1", 4711, self._began, at, "0.1.0", health, why, 0, dict(details)))


class _Home(Store):
    """A world's data base, in which a daemon lives as long as it is open."""

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self.daemon = Living(self)

    def __enter__(self) -> Self:
        super().__enter__()
        self.daemon.live()
        return self

    def __exit__(self, *why: object) -> None:
        self.daemon.end()
        super().__exit__(*why)


@dataclass
class World:
    """Everything below one folder; ``began`` is when the first image was taken."""

    home: Path
    settings: Path
    store: _Home
    began: datetime
    verdicts: dict[str, Verdict] = field(default_factory=dict)  # by key, in the order they were given

    @property
    def config(self) -> config.Config:
        """As the verbs read it."""
        return config.load(self.settings)

    def see(self, *seen: Seen) -> None:
        """Keep images and verdicts as the daemon does, without waiting for one."""
        folder = ImageFolder(self.config.store.images)
        parcels = [_parcel(self, one, folder) for one in seen]
        for start in range(0, len(parcels), 100):
            self.store.put(parcels[start : start + 100])

    def beat(self, *, ago_s: float | None = None, health: Health = Health.OK, why: str = "", **details: object) -> None:
        """Signs of life from now on; with ``ago_s`` none any more, the last one so long ago."""
        self.store.daemon.say(health, why, {**DETAILS, **details}, None if ago_s is None else timedelta(seconds=ago_s))

    def serve(self, *, state: ModelState = ModelState.IN_SERVICE) -> str:
        """Put the shipped model into the library; returns its name."""
        bundle = shipped_bundle()
        shutil.copytree(bundle, self.config.store.models / bundle.name)
        card = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
        metrics = card.pop("metrics")
        registry.register(
            self.store, bundle.name, card, metrics, Who("otto", "counting-1", "cli"), state=state, fault=""
        )
        return bundle.name


def world(home: Path, *, url: str | None = None, web: str = "", more: str = "", port: int = 8000) -> World:
    """A configuration and an empty data base; the caller opens ``world.store``.

    Args:
        url: of the data base; its tables are made. Embedded unless said.
        web: lines of ``[web]``.
        more: further sections.
    """
    url = url or f"sqlite:///{home / 'hydra.db'}"
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "hydra.toml"
    settings.write_text(TOML.format(url=url, port=port, web=web, more=more), encoding="utf-8")
    loaded = config.load(settings)
    schema.upgrade(loaded.store_url())
    store = _Home(loaded.store_url())
    return World(home, settings, store, datetime.now(UTC) - timedelta(hours=2))


def usual(dumps: int = 3, plots: Sequence[str] = PLOTS, every_s: float = 30.0) -> list[Seen]:
    """Good images of all plots, and one of each other status: a bad one, one without data, a suspect, a stale one."""
    worse: Mapping[int, tuple[Status, str, float, str | None]] = {
        0: (Status.BAD, "Bad", 0.97, "dead_board"),
        1: (Status.SUSPECT, "Bad", 0.55, None),
        2: (Status.NODATA, "NoData", 0.99, "empty"),
        3: (Status.UNFAMILIAR, "Good", 0.71, None),
    }
    found = []
    for n in range(dumps):
        for m, plot in enumerate(plots):
            status, label, confidence, fault = Status.GOOD, "Good", 0.98, None
            if n and m in worse:
                status, label, confidence, fault = worse[m]
            found.append(Seen(plot, status, n * every_s, label, confidence, fault))
    return found


def image_of(one: Seen, number: int) -> bytes:
    """The image as its producer would have written it; plots that the simulated hall lacks look like its first."""
    plot = one.plot if one.plot in hall.PLOTS else next(iter(hall.PLOTS))
    faults = () if one.fault is None else (Fault(one.fault, at=plot),)
    pixels = hall.render(plot, seed=number, faults=faults, run=one.run)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _parcel(here: World, one: Seen, folder: ImageFolder) -> Parcel:
    number = len(here.verdicts)
    at = here.began + timedelta(seconds=one.seconds, microseconds=number)
    before = next((verdict for verdict in reversed(here.verdicts.values()) if verdict.plot == one.plot), None)
    if one.cause is not Cause.IMAGE and before is not None:  # of the image there is, time or a person says otherwise
        words = {"status": one.status, "severity": one.status.severity, "reason": one.reason or before.reason}
        later = replace(before, key=uuid.uuid4().hex, judged_at=at, cause=one.cause, **words)
        here.verdicts[later.key] = later
        return Parcel(verdict=later)
    data = image_of(one, number)
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"/data/monitoring/Run{one.run:06}/{one.plot}_{number:04}.png"
    rest = (1 - one.confidence) / 2
    verdict = Verdict(
        key=uuid.uuid4().hex,
        plot=one.plot,
        detector=one.plot.split("_", 1)[0],
        status=one.status,
        severity=one.status.severity,
        reason=one.reason or f"{one.label} at {one.confidence:.2f}, beam 201 nA",
        judged_at=at,
        cause=one.cause,
        beam=Beam(BeamState.ON, 201.3, "nA", at, "", here.began - timedelta(hours=1)),
        bad_in_a_row=2 if one.status is Status.BAD else 0,
        path=path,
        run=one.run,
        chunk=number,
        sha256=sha256,
        taken_at=at - timedelta(seconds=0.2),
        model="simulated-hall",
        label=one.label,
        confidence=one.confidence,
        scores={name: one.confidence if name == one.label else rest for name in MEANINGS},
        meanings=MEANINGS,
        confirmed=one.confidence >= 0.65,
        novelty=1.4 if one.status is Status.UNFAMILIAR else 0.3,
    )
    here.verdicts[verdict.key] = verdict
    if one.cause is not Cause.IMAGE:
        return Parcel(verdict=verdict)
    folder.keep(data, sha256, "png")
    height, width = hall.render(next(iter(hall.PLOTS)), seed=0).shape[:2]
    outcome = Outcome.JUDGED
    entry = LedgerEntry(
        path, len(data), int(at.timestamp() * 1e9), outcome, verdict.reason, at, at, one.plot, one.run, sha256
    )
    heatmap = np.zeros((16, 24), np.uint8)
    if one.status.severity is not Severity.NO_ALARM:
        heatmap[6:9, 10:13] = 230
    return Parcel(
        entry=entry,
        verdict=verdict,
        image=ImageFacts(len(data), "png", width, height),
        heatmap=heatmap,
    )
