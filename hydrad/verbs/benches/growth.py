"""What a plot more costs: the same images, by the same daemon, while it knows 10 plots, and 4000."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydrad.errors import ConfigurationError
from hydrad.verbs.benches.daemon import Daemon, Site, running
from hydrad.verbs.benches.idle import SETTLE_S

IMAGES = 400  # whose cost is measured at each size
IDLE_S = 10.0
AT_ONCE = 400  # first images of plots that land together


def check(sizes: Sequence[int]) -> None:
    """Raise ConfigurationError unless a hall can grow by these sizes."""
    if len(sizes) < 2 or any(less >= more for less, more in itertools.pairwise((0, *sizes))):
        raise ConfigurationError(f"--plots: at least two sizes that ascend are wanted, not {' '.join(map(str, sizes))}")


def figures(site: Site, model: Path, sizes: Sequence[int]) -> dict[str, Any]:
    """Let a hall grow, over at least two sizes that ascend.

    Returns:
        ``steps``, of each size: ``plots``, ``images`` and their ``cpu_ms`` each, ``per_s``, ``memory_mb`` resident and
        ``idle_share`` of a core; ``memory_per_plot_kb``, the rise of memory over the last three sizes by the plots
        that came meanwhile; ``cpu_growth``, the last ``cpu_ms`` over the first.
    """
    steps: list[dict[str, float]] = []
    with running(site, model) as daemon:
        for before, plots in zip((0, *sizes), sizes, strict=False):
            for start in range(before, plots, AT_ONCE):
                daemon.land(range(start, min(start + AT_ONCE, plots)))
            steps.append({"plots": plots, **_measured(daemon, plots, IMAGES)})
    first, last = steps[max(0, len(steps) - 3)], steps[-1]
    per_plot_kb = 1e3 * (last["memory_mb"] - first["memory_mb"]) / (last["plots"] - first["plots"])
    return {
        "steps": steps,
        "memory_per_plot_kb": per_plot_kb,
        "cpu_growth": last["cpu_ms"] / steps[0]["cpu_ms"],
    }


def rows(found: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    """Lines of a table: figure, value, unit, baseline, bound."""
    first = found["steps"][0]
    for step in found["steps"]:
        at, few = f"{step['plots']} plots", f"at {first['plots']} plots"
        idle = f"{100 * first['idle_share']:.1f} {few}"
        yield f"{at}: cost of an image", step["cpu_ms"], "CPU-ms", f"{first['cpu_ms']:.1f} {few}", ""
        yield f"{at}: memory", step["memory_mb"], "MB", f"{first['memory_mb']:.0f} {few}", ""
        yield f"{at}: without news", 100 * step["idle_share"], "% of a core", idle, "0"
    yield "memory of a plot", found["memory_per_plot_kb"], "kB", "", ""


def _measured(daemon: Daemon, plots: int, images: int) -> dict[str, float]:
    """The cost of images of plots that are known, spread over all of them."""
    cpu_s = seconds = judged = 0.0
    while judged < images:
        count = min(images - int(judged), plots)
        landed = daemon.land([n * plots // count for n in range(count)])
        cpu_s, seconds, judged = cpu_s + landed.cpu_s, seconds + landed.seconds, judged + landed.images
    time.sleep(SETTLE_S)
    idle_share = daemon.share_of_a_core(IDLE_S)
    return {
        "images": judged,
        "cpu_ms": 1000 * cpu_s / judged,
        "per_s": judged / seconds,
        "memory_mb": daemon.holds.memory_bytes / 1e6,
        "idle_share": idle_share,
    }
