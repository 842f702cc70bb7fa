"""How the system itself is: parts, ledger, timings, images, alarms, beam; for people and for programs."""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from hydrad import __version__
from hydrad.domain import Outcome, Role, Status, zulu
from hydrad.errors import StoreAway
from hydrad.pulse import STAGES
from hydrad.store.history import figures
from hydrad.store.history.figures import HourlyImages
from hydrad.store.models import registry
from hydrad.web import pages
from hydrad.web.documents import Words
from hydrad.web.doors.visitors import Looks
from hydrad.web.site import Here, Site
from hydrad.web.status import beam, burden, health, metrics
from hydrad.web.status.beam import BeamNow
from hydrad.web.status.burden import Alarms
from hydrad.web.status.health import Level, Part, Sign
from hydrad.web.status.lately import Lately

router = APIRouter(tags=["status"])
router.include_router(metrics.router)
router.include_router(beam.router)

DAYS: Final = 14
MEANS: Final = {
    Status.GOOD: "good",
    Status.BAD: "faulty",
    Status.NODATA: "faulty",
    Status.SUSPECT: "unsure",
    Status.UNFAMILIAR: "unsure",
}
ABOUT: Final = {
    "wait": "from its last write until it is taken up",
    "read": "from the disk to pixels",
    "classify": "by the model, with waiting for a batch",
    "judge": "with beam, thresholds and history",
    "tell": "until the PVs have it",
    "keep": "until it is safe on the local disk",
}

Count = Annotated[int, Field(ge=0)]


class Process(BaseModel):
    """A process of this house."""

    host: Words
    pid: int | None = None
    version: Words
    started_at: str
    beat_at: str | None = Field(None, description="its last sign of life")
    alive: bool


class Stage(BaseModel):
    """How long images were in one stage of their way, in the last minute."""

    name: str
    about: str
    p50_ms: float | None
    p99_ms: float | None


class Disk(BaseModel):
    """A disk."""

    name: str
    path: Words
    free_bytes: Count
    total_bytes: Count


class DayImages(BaseModel):
    """The images judged on a day, in the hall's time."""

    day: str
    good: Count
    unsure: Count = Field(description="SUSPECT, UNFAMILIAR")
    faulty: Count = Field(description="BAD, NODATA")
    other: Count = Field(description="NOBEAM, NOMODEL, OTHER, DISABLED")


class StatusDocument(BaseModel):
    """All of it at one moment; what cannot be known is null."""

    now: str
    level: Level
    sentence: str
    parts: list[Part]
    daemon: Process | None
    pages: Process
    beam: BeamNow | None
    images_per_s: float | None = Field(description="over the last minute")
    latency_s: float | None = Field(description="from file at rest to PV, 99 % within, over the last minute")
    pending: Count | None = Field(description="files waiting to be read")
    outbox: Count | None = Field(description="records waiting for the data base")
    stages: list[Stage]
    disks: list[Disk]
    ledger: dict[Outcome, Count] | None = Field(description="files by what became of them")
    plots: dict[str, Count] | None = Field(description="plots by status")
    days: list[DayImages] | None = Field(description="the last 14 days, the oldest first")
    alarms: Alarms | None


@router.get("/status", response_class=HTMLResponse, include_in_schema=False)
def page(request: Request, site: Here, visitor: Looks) -> HTMLResponse:
    """The page, with what can be known at once; it asks for the rest, and for all of it anew every other second."""
    return pages.draw(
        request,
        "status.html",
        document=_document(site, counted=False).model_dump(mode="json"),
        decides=visitor.may(Role.EXPERT),
        units=site.config.beam.units,
        noise_above=beam.noise_above(site.config),
    )


@router.get("/api/v1/status", summary="How the system itself is")
def status(site: Here, visitor: Looks) -> StatusDocument:  # noqa: ARG001  asking needs the role
    """Health of each part, ledger, timings, images per day, alarms, beam. Answers while the data base is away too."""
    return _document(site)


def _document(site: Site, *, counted: bool = True) -> StatusDocument:
    now = datetime.now(UTC)
    try:
        return _known(site, now, counted=counted)
    except StoreAway:
        parts = health.without_data_base("it does not answer")
        return StatusDocument(
            now=zulu(now) or "", level="bad", sentence=health.headline(parts), parts=parts, daemon=None,
            pages=_this_process(), beam=None, images_per_s=None, latency_s=None, pending=None, outbox=None, stages=[],
            disks=[], ledger=None, plots=None, days=None, alarms=None,
        )  # fmt: skip


def _known(site: Site, now: datetime, *, counted: bool) -> StatusDocument:
    store, config = site.store, site.config
    began = time.perf_counter()
    beat = site.clocks.heartbeat()
    answered_s = time.perf_counter() - began
    sign = health.read(beat, now)
    parts = health.parts(config, sign, registry.places(store), answered_s, now)
    told = beam.beam_of(site, sign, now)
    if told is not None and told.seen.warning is not None:
        parts = [_doubted(part, told.seen.warning) for part in parts]
    pending = beat.pending if beat is not None and sign.alive else None
    return StatusDocument(
        now=zulu(now) or "",
        level=health.worst(parts),
        sentence=health.headline(parts),
        parts=parts,
        daemon=None if beat is None else _daemon(sign),
        pages=_this_process(),
        beam=told,
        images_per_s=sign.images_per_s if sign.alive else None,
        latency_s=sign.latency_s if sign.alive else None,
        pending=pending,
        outbox=sign.outbox if sign.alive else None,
        stages=_stages(sign) if sign.alive else [],
        disks=[Disk(name=name, **disk.model_dump()) for name, disk in sign.disks.items()],
        ledger={**store.ledger_counts(), Outcome.PENDING: pending or 0},
        plots={kind.name: count for kind, count in figures.plots_by_status(store).items()},
        days=per_day(_images(site), now, config.hall.zone) if counted else None,
        alarms=_alarms(site) if counted else None,
    )


def _daemon(sign: Sign) -> Process | None:
    beat = sign.beat
    if beat is None:
        return None
    return Process(
        host=beat.host, pid=beat.pid, version=beat.version, started_at=zulu(beat.started_at) or "",
        beat_at=zulu(beat.beat_at), alive=sign.alive,
    )  # fmt: skip


def _this_process() -> Process:
    began = zulu(health.BEGAN_AT) or ""
    return Process(host=socket.gethostname(), version=__version__, started_at=began, alive=True)


def _stages(sign: Sign) -> list[Stage]:
    found = []
    for name in STAGES:
        stage = sign.stages.get(name)
        p50, p99 = (None, None) if stage is None else (stage.p50_ms, stage.p99_ms)
        found.append(Stage(name=name, about=ABOUT[name], p50_ms=p50, p99_ms=p99))
    return found


def _doubted(part: Part, warning: str) -> Part:
    if part.name != "Beam":
        return part
    return Part(name=part.name, level="watch", word=f"{part.word}?", sentence=warning)


def per_day(found: Sequence[HourlyImages], now: datetime, zone: tzinfo) -> list[DayImages]:
    """The last fortnight, day by day in the hall's time; days without images too."""
    counted: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in found:
        counted[one.hour.astimezone(zone).date().isoformat()][MEANS.get(one.status, "other")] += one.images
    today = now.astimezone(zone).date()
    names = [(today - timedelta(days=n)).isoformat() for n in reversed(range(DAYS))]
    return [
        DayImages(day=name, **{kind: counted[name][kind] for kind in ("good", "unsure", "faulty", "other")})
        for name in names
    ]


@dataclass(frozen=True, slots=True)
class _Past:
    """Hours that are over, but for images that a data base gets to know of days later."""

    until: datetime
    hours: Sequence[HourlyImages]


def _past(site: Site) -> _Past:
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    return _Past(until, figures.images_by_hour(site.store, until - timedelta(days=DAYS), until))


def _hours(site: Site) -> list[HourlyImages]:
    past = _known_past(site)
    return [*past.hours, *figures.images_by_hour(site.store, past.until)]


_known_past = Lately(_past, for_s=600.0)
_images = Lately(_hours, for_s=30.0)
_alarms = Lately(lambda site: burden.weigh(site.store, datetime.now(UTC), site.config.hall.zone), for_s=10.0)
