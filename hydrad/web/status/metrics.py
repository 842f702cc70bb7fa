"""What watches the watcher: `/healthz` for whoever restarts things, `/metrics` for Prometheus."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from pydantic import BaseModel, Field

from hydrad import __version__, footprint
from hydrad.domain import BeamState, Health, Outcome, Role, zulu
from hydrad.errors import SchemaMismatch, StoreAway
from hydrad.store.history import figures
from hydrad.web.doors.visitors import AtLeast, host_of
from hydrad.web.site import Here, Site
from hydrad.web.status import health
from hydrad.web.status.burden import HOUR
from hydrad.web.status.health import Sign

router = APIRouter(tags=["status"])

ON_DISK: Final = "Of the disk of a folder that the daemon fills"
HOLDS: Final = {
    "memory_bytes": "resident memory",
    "open_files": "open files, sockets and pipes",
    "threads": "threads, those of libraries too",
    "tasks": "tasks of its event loop",
}


class Healthz(BaseModel):
    """Whether one may rely on what the pages show."""

    ok: bool
    reasons: list[str] = Field(description="why not; empty when it is")
    database: bool = Field(description="it answers the pages")
    daemon: bool = Field(description="it gives signs of life and has not stalled")
    beat_at: str | None = Field(None, description="the daemon's last sign of life")


class _LoopbackOrViewer:
    """Lets programs of this very host pass, and everybody who may look at the pages.

    Behind a proxy every request comes from the proxy's address, which may well be this host's: then it takes a role.
    """

    def __call__(self, request: Request) -> None:
        """Raise Unknown or NotAllowed for anybody else."""
        web = request.app.state.site.config.web
        if not (web.auth == "proxy" or web.https) and _loopback(host_of(request)):
            return
        AtLeast(Role.VIEWER)(request)


async def _tasks() -> int:
    return len(asyncio.all_tasks())  # asked in the loop


Near = Annotated[None, Depends(_LoopbackOrViewer())]
Tasks = Annotated[int, Depends(_tasks)]


@router.get(
    "/healthz",
    summary="Whether pages, data base and daemon are at work",
    response_model=Healthz,
    responses={503: {"model": Healthz, "description": "One of them is not; the reasons say which"}},
)
def healthz(site: Here) -> Response:
    """200 while the data base answers and the daemon lives and has not stalled, else 503. Needs no role."""
    now = datetime.now(UTC)
    try:
        sign = health.read(site.clocks.heartbeat(), now)
    except (StoreAway, SchemaMismatch) as fault:
        why = "does not answer" if isinstance(fault, StoreAway) else "is not of this program's schema"
        answer = Healthz(ok=False, reasons=[f"the data base {why}"], database=False, daemon=False)
    else:
        reasons = health.faults(sign, now)
        beat_at = None if sign.beat is None else zulu(sign.beat.beat_at)
        answer = Healthz(ok=not reasons, reasons=reasons, database=True, daemon=not reasons, beat_at=beat_at)
    return JSONResponse(answer.model_dump(), 200 if answer.ok else 503)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Its text format"}},
)
def metrics(site: Here, near: Near, tasks: Tasks) -> Response:  # noqa: ARG001  asking needs to be near, or a role
    """In its text format. To programs of this host, and to whoever may look at the pages (a viewer's token)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_House(site, tasks))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _House(Collector):
    """Asks the data base when it is scraped. What cannot be known is left out, so that it goes stale there too."""

    def __init__(self, site: Site, tasks: int) -> None:
        self._site = site
        self._tasks = tasks

    def collect(self) -> Iterator[Metric]:
        """All figures."""
        yield InfoMetricFamily("hydrad_pages", "The process that serves the pages", {"version": __version__})
        yield from _process("pages", asdict(footprint.own()) | {"tasks": self._tasks})
        now = datetime.now(UTC)
        store = self._site.store
        try:
            sign = health.read(self._site.clocks.heartbeat(), now)
            plots, ledger = figures.plots_by_status(store), store.ledger_counts()
            alarms = figures.alarms_count(store, now - HOUR)
            standing = len(figures.standing(store, now))
        except (StoreAway, SchemaMismatch):
            yield _gauge("hydrad_database_up", "1 while the data base answers the pages", 0)
            return
        yield _gauge("hydrad_database_up", "1 while the data base answers the pages", 1)
        yield _by("hydrad_plots", "Plots by what holds of them", "status", {s.name: n for s, n in plots.items()})
        by_outcome = {kind.value: count for kind, count in ledger.items() if kind is not Outcome.PENDING}
        yield _by("hydrad_files", "Files ever dealt with, by what became of them", "outcome", by_outcome)
        yield _gauge("hydrad_alarms_last_hour", "Plots that became BAD or NODATA in the last hour", alarms)
        yield _gauge("hydrad_alarms_standing", "Alarms that have not ended", standing)
        yield _gauge("hydrad_daemon_up", "1 while the daemon gives signs of life", int(sign.alive))
        if sign.beat is not None:
            yield _gauge("hydrad_heartbeat_age_seconds", "Since the daemon's last sign of life",
                         max(0.0, (now - sign.beat.beat_at).total_seconds()))  # fmt: skip
        if sign.alive:
            yield from _daemon(sign)


def _daemon(sign: Sign) -> Iterator[Metric]:
    beat = sign.beat
    if beat is None:
        return
    yield InfoMetricFamily("hydrad_daemon", "The daemon", {"version": beat.version, "host": _sayable(beat.host)})
    yield _gauge("hydrad_daemon_start_time_seconds", "When it began, since 1970", beat.started_at.timestamp())
    states = {state.name: int(state is beat.health) for state in Health}
    yield _by("hydrad_health", "1 for the pipeline's own state", "state", states)
    yield _gauge("hydrad_pending_files", "Files waiting to be read", beat.pending)
    yield from _known("hydrad_images_per_second", "Images judged, over the last minute", sign.images_per_s)
    yield from _known("hydrad_latency_seconds", "From file at rest to PV, 99 % within, last minute", sign.latency_s)
    yield from _known("hydrad_outbox_records", "Records waiting for the data base", sign.outbox)
    if sign.model_ok is not None:
        yield _gauge("hydrad_models_ok", "0 while a model is refused", int(sign.model_ok))
    if sign.server is not None:
        yield _gauge("hydrad_pv_clients", "Clients connected to the PV server", sign.server.clients)
    if sign.process is not None:
        yield from _process("daemon", sign.process.model_dump())
    stages = GaugeMetricFamily(
        "hydrad_stage_seconds", "Time of images in a stage, last minute", labels=("stage", "quantile")
    )
    for name, stage in sign.stages.items():
        stages.add_metric([name, "0.5"], stage.p50_ms / 1000)
        stages.add_metric([name, "0.99"], stage.p99_ms / 1000)
    yield stages
    yield from _beam(sign)
    disks = {name: disk.free_bytes for name, disk in sign.disks.items()}
    yield _by("hydrad_disk_free_bytes", f"{ON_DISK}: free", "folder", disks)
    disks = {name: disk.total_bytes for name, disk in sign.disks.items()}
    yield _by("hydrad_disk_size_bytes", f"{ON_DISK}: all", "folder", disks)


def _process(whose: str, holds: Mapping[str, int]) -> Iterator[Metric]:
    for name, about in HOLDS.items():
        yield _gauge(f"hydrad_{whose}_{name}", f"Of the process of the {whose}: {about}", holds[name])


def _beam(sign: Sign) -> Iterator[Metric]:
    beam = sign.beam
    if beam is None:
        return
    states = {state.name: int(state.name == beam.state) for state in BeamState}
    yield _by("hydrad_beam_state", "1 for what the beam is said to be", "state", states)
    for name, about, value in (
        ("hydrad_beam_current", "Beam current, in the unit of its label", beam.current),
        ("hydrad_beam_on_above", "The current that means beam, in the unit of its label", beam.on_above),
    ):
        if value is not None:
            family = GaugeMetricFamily(name, about, labels=("units",))
            family.add_metric([beam.units], value)
            yield family


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value)


def _known(name: str, about: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield _gauge(name, about, value)


def _by(name: str, about: str, label: str, values: dict[str, Any]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=(label,))
    for key, value in values.items():
        family.add_metric([_sayable(key)], value)
    return family


def _sayable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
