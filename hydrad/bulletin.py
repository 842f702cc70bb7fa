"""What the daemon's sign of life says of how it is, as the document that pages and programs read."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hydrad import footprint
from hydrad.domain import Vitals, zulu


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the daemon serves its PVs, and the folders that it fills, by what one calls them."""

    prefix: str = ""
    port: int = 0
    folders: Mapping[str, Path] = field(default_factory=dict)


NOWHERE = Surroundings()


def written(vitals: Vitals, house: Surroundings) -> dict[str, Any]:
    """The document; blocks while it asks the file system. A number that is none is null in it.

    Keys: ``beam`` (state, current, units, reason, read_at, on_above), ``run`` (state, number, type, masked, reason,
    since), ``images_per_s``, ``latency_s``, ``database_ok``, ``model_ok``, ``stages`` (by name: p50_ms, p99_ms, of the
    last minute), ``outbox`` (records waiting), ``canary`` (status, says, trouble, blind, age_s, latency_s),
    ``pv_server`` (prefix, port, clients), ``disk`` (by name: path, free_bytes, total_bytes), ``process`` (memory_bytes,
    open_files, threads, tasks).
    """
    beam = vitals.beam
    return {
        "beam": {
            "state": beam.state.name,
            "current": _finite(beam.current),
            "units": beam.units,
            "reason": beam.reason,
            "read_at": zulu(beam.read_at),
            "on_above": _finite(vitals.beam_on_above),
        },
        "run": {
            "state": vitals.run.state.name,
            "number": vitals.run.number,
            "type": vitals.run.type,
            "masked": vitals.run.masked,
            "reason": vitals.run.reason,
            "since": zulu(vitals.run.since),
        },
        "images_per_s": _finite(vitals.images_per_s),
        "latency_s": _finite(vitals.latency_s),
        "database_ok": vitals.database_ok,
        "model_ok": vitals.model_ok,
        "stages": {
            name: {"p50_ms": _finite(1000 * timing.p50_s), "p99_ms": _finite(1000 * timing.p99_s)}
            for name, timing in vitals.stages.items()
        },
        "outbox": vitals.outbox,
        "canary": {
            "status": vitals.canary.status.name,
            "says": vitals.canary.says,
            "trouble": vitals.canary.trouble,
            "blind": vitals.canary.blind,
            "age_s": _finite(vitals.canary.age_s),
            "latency_s": _finite(vitals.canary.latency_s),
        },
        "pv_server": {"prefix": house.prefix, "port": house.port, "clients": vitals.pv_clients},
        "disk": {name: room for name, folder in house.folders.items() if (room := _room(folder)) is not None},
        "process": _held(vitals.tasks),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _room(folder: Path) -> dict[str, Any] | None:
    """How much room the disk of a folder has; None when it cannot be asked now."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return {"path": os.fspath(folder), "free_bytes": usage.free, "total_bytes": usage.total}


def _held(tasks: int) -> dict[str, int] | None:
    """What the process holds; None where it cannot be told, as when no more files can be opened."""
    try:
        return asdict(footprint.own()) | {"tasks": tasks}
    except OSError:
        return None
