"""An hour of a hall: does the daemon hold as much, and does an image cost as much, at its end as at its beginning?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydrad.verbs.benches.daemon import Site, running
from hydrad.verbs.benches.flatness import Allowance, course

PLOTS = 400
EVERY_S = 30.0
WARM_UP = 0.25  # share of the landings
KEPT_LANDINGS = 4  # dumps of older ones go
STORE = "keep_all_h = 0.05\nkeep_delivered_h = 0.1\n"  # so that the purge is at work within the hour

WATCHED: Mapping[str, tuple[str, str, Allowance]] = {
    "memory_mb": ("memory", "MB", Allowance(0.05, 8)),
    "open_files": ("open files", "", Allowance(0.05, 3)),
    "threads": ("threads", "", Allowance(0.05, 3)),
    "cpu_ms": ("cost of an image", "CPU-ms", Allowance(0.1, 1)),
}


def figures(site: Site, model: Path, minutes: float) -> dict[str, Any]:
    """An image of every plot each half minute, all at once, for so long.

    Returns:
        ``plots``, ``minutes``, ``images``, ``late``: landings that began late, since the one before was not done;
        ``samples``, one after each landing; ``flat``: whether every figure was; and of each
        figure its :class:`~hydrad.verbs.benches.flatness.Course`, with ``flat``.
    """
    samples: list[dict[str, float]] = []
    late = 0
    with running(site, model, store=STORE) as daemon:
        daemon.land(range(PLOTS))
        began = due = time.monotonic()
        for _ in range(max(4, round(60 * minutes / EVERY_S))):
            time.sleep(max(0.0, due - time.monotonic()))
            landed = daemon.land(range(PLOTS))
            daemon.sweep(KEPT_LANDINGS)
            holds = daemon.holds
            samples.append(
                {
                    "s": time.monotonic() - began,
                    "memory_mb": holds.memory_bytes / 1e6,
                    "open_files": holds.open_files,
                    "threads": holds.threads,
                    "cpu_ms": 1000 * landed.cpu_s / landed.images,
                }
            )
            due += EVERY_S
            late += time.monotonic() > due
    warm = samples[int(WARM_UP * len(samples)) :]
    courses = {name: course([(one["s"], one[name]) for one in warm], may) for name, (*_, may) in WATCHED.items()}
    return {
        "plots": PLOTS,
        "minutes": samples[-1]["s"] / 60,
        "images": PLOTS * len(samples),
        "late": late,
        "flat": all(one.flat for one in courses.values()),
        "samples": samples,
        **{name: asdict(one) | {"flat": one.flat} for name, one in courses.items()},
    }


def rows(found: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    """Lines of a table: figure, value, unit, baseline, bound."""
    over = f"{found['plots']} plots every {EVERY_S:.0f} s for {found['minutes']:.0f} min"
    for name, (says, unit, _) in WATCHED.items():
        one = found[name]
        verdict = "flat" if one["flat"] else "NOT FLAT"
        bound = f"may rise by {one['allowed']:.1f}: rose by {one['rise']:.1f}, {verdict}"
        yield f"{over}: {says} at the end", one["last"], unit, f"{one['first']:.1f} at the beginning", bound
    yield f"{over}: landings that began late", found["late"], "", "", "0"
