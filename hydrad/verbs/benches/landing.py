"""Many images at once, and one alone: the whole way, beside a plain script and beside what its stages do bare."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydrad.classify.bench import compare
from hydrad.verbs.benches import drawings
from hydrad.verbs.benches.daemon import Site, running

BASELINE_IMAGES = 100  # one by one is slow, and a rate needs no more
ALONE = 100  # images that come alone, for the times from file to PV


def figures(site: Site, model: Path, images: int, rows_per_s: float | None = None) -> dict[str, Any]:
    """What a network costs on its way through the house.

    Args:
        images: that land at once, one of each plot.
        rows_per_s: what the data base takes, where that was measured; it is a stage too.

    Returns:
        What :func:`hydrad.classify.bench.compare` gives; ``new`` and ``known``, the landing of plots that were never
        seen and their second one, each with ``seconds`` until the last row (and, of known plots, the last PV at a
        client), ``per_s``, ``cpu_ms`` of the daemon an image, ``to_baseline`` (times as fast), ``to_slowest`` and
        ``to_bound`` (shares); ``slowest_stage`` and ``slowest_per_s``; ``bound_per_s``, decoding and network sharing
        all cores; ``file_to_pv_p50_ms``, ``file_to_pv_p99_ms``.
    """
    folder = site.folder / f"one_by_one_{model.parent.name}"
    folder.mkdir()
    files = [site.drawn.write(folder, plot, 1) for plot in range(min(images, BASELINE_IMAGES))]
    found: dict[str, Any] = asyncio.run(compare(model, drawings.name(0), files))
    plots = range(images)
    with running(site, model) as daemon:
        new = daemon.land(plots)
        daemon.listen(plots)
        known = daemon.land(plots, heard=True)
        alone_ms = sorted(daemon.alone(n % images) for n in range(ALONE))
    stages = {"decoding": found["decode_per_s"], "the network": found["network_per_s"]}
    found["bound_per_s"] = 1 / sum(1 / per_s for per_s in stages.values())
    if rows_per_s is not None:
        stages["the data base"] = rows_per_s
    found["slowest_stage"] = min(stages, key=lambda stage: stages[stage])
    found["slowest_per_s"] = min(stages.values())
    for name, landed in (("new", new), ("known", known)):
        told = landed.told()
        beside = {"baseline": "baseline_per_s", "slowest": "slowest_per_s", "bound": "bound_per_s"}
        found[name] = told | {f"to_{what}": told["per_s"] / found[key] for what, key in beside.items()}
    found["file_to_pv_p50_ms"] = statistics.median(alone_ms)
    found["file_to_pv_p99_ms"] = alone_ms[int(0.99 * (len(alone_ms) - 1))]
    return found


def rows(network: str, images: int, found: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    """Lines of a table: figure, value, unit, baseline, bound."""
    predict = f"{found['baseline_per_s']:.1f} images/s by keras.Model.predict in a loop"
    bound = f"{found['bound_per_s']:.0f} images/s: decoding and network on the same cores"
    for name in ("new", "known"):
        landed, what = found[name], f"{network}: {images} images of {name} plots"
        alone_s, bound_s = images / found["baseline_per_s"], images / found["bound_per_s"]
        yield f"{what}, all done after", landed["seconds"], "s", f"{alone_s:.1f}", f"{bound_s:.1f}"
        yield f"{what}, rate", landed["per_s"], "images/s", predict, bound
        yield f"{what}, over baseline", landed["to_baseline"], "times", "1", ""
        slowest = f"1: {found['slowest_stage']} bare, {found['slowest_per_s']:.0f} images/s"
        yield f"{what}, over slowest stage", landed["to_slowest"], "times", "", slowest
        yield f"{what}, cost of an image", landed["cpu_ms"], "CPU-ms", f"{found['baseline_cpu_ms']:.1f}", ""
    yield f"{network}: classification alone, in batches", found["service_per_s"], "images/s", predict, bound
    yield f"{network}: decoding and scaling alone", found["decode_per_s"], "images/s", "", "all cores for itself"
    yield f"{network}: the network alone", found["network_per_s"], "images/s", "", f"{found['runtime']}, likewise"
    bare = f"{found['bare_ms']:.1f}: decoded and computed, nothing else"
    yield f"{network}: file closed to PV, p50", found["file_to_pv_p50_ms"], "ms", "", bare
    yield f"{network}: file closed to PV, p99", found["file_to_pv_p99_ms"], "ms", "", bare
