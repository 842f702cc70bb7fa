"""How many images a second: the service beside what one would write first, on the same bundle and the same files."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from hydrad.classify import backend
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.prepare import Prepared, prepare
from hydrad.classify.runtime import Runtime
from hydrad.classify.service import ModelService
from hydrad.image_files import ImageReader
from hydrad.ports import Decoder

ALONE = 20  # images one after the other, for the time that one takes


async def compare(
    folder: Path, plot: str, files: Sequence[Path], *, batch: int = 32, max_wait_ms: float = 20.0
) -> dict[str, float | int | str]:
    """Classify files twice, one by one with ``keras.Model.predict`` and through the service.

    Both decode every file and are warm before the clock starts. The service's model is opened once, and computes alone
    before it serves.

    Args:
        folder: a bundle.
        plot: one that the bundle serves.
        files: images; each is classified once.

    Returns:
        ``baseline_per_s`` and ``service_per_s`` (images), ``ratio``, ``images``, ``model`` and ``runtime``; of the
        baseline also ``baseline_cpu_ms`` an image; what each stage does alone, with all cores for itself:
        ``decode_per_s`` (decoded and scaled), ``network_per_s`` in full batches; and ``bare_ms``, how long one image
        takes through both when nothing else is done (median).
    """
    bundle = bundles.read(folder)
    baseline_s, baseline_cpu_s = await asyncio.to_thread(_one_by_one, bundle, files)
    with ModelService(batch=batch, max_wait_ms=max_wait_ms) as service:
        loaded = await service.prepare(folder)
        service.swap(serve=[loaded])
        decode_s, prepared = await _prepared(service, plot, bundle, files, 4 * batch)
        network_per_s = await asyncio.to_thread(_computed, loaded.runtime, prepared, batch)
        bare_ms = await _bare(service, plot, loaded.runtime, files[:ALONE])
        serving = asyncio.create_task(service.run(), name="classify")
        try:
            service_s = await _together(service, plot, files, 4 * batch)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
    return {
        "model": loaded.card.id,
        "runtime": loaded.card.runtime,
        "images": len(files),
        "baseline_per_s": len(files) / baseline_s,
        "baseline_cpu_ms": 1000 * baseline_cpu_s / len(files),
        "service_per_s": len(files) / service_s,
        "ratio": baseline_s / service_s,
        "decode_per_s": len(files) / decode_s,
        "network_per_s": network_per_s,
        "bare_ms": bare_ms,
    }


def _one_by_one(bundle: Bundle, files: Sequence[Path]) -> tuple[float, float]:
    """Seconds, and seconds of this process's threads, that the loop takes which one would write first."""
    preparation = bundle.manifest.preparation
    model = backend.keras().saving.load_model(bundle.model, compile=False, safe_mode=True)

    def predict(path: Path) -> None:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        prepared = prepare(pixels, preparation)[None].astype(np.float32) * preparation.scale + preparation.offset
        model.predict(prepared, verbose=0)

    predict(files[0])
    started, cpu_s = time.perf_counter(), time.process_time()
    for path in files:
        predict(path)
    return time.perf_counter() - started, time.process_time() - cpu_s


async def _prepared(
    service: ModelService, plot: str, bundle: Bundle, files: Sequence[Path], at_once: int
) -> tuple[float, list[Prepared]]:
    """How long decoding and scaling take, in seconds, and what the network is given then."""
    room = asyncio.Semaphore(at_once)

    async def one(decode: Decoder, path: Path) -> Prepared:
        async with room:
            picture = await decode(path, plot)
            return picture.views[bundle.manifest.preparation]

    with ImageReader(service.expecting) as decode:
        started = time.perf_counter()
        prepared = await asyncio.gather(*(one(decode, path) for path in files))
        return time.perf_counter() - started, prepared


def _computed(runtime: Runtime, prepared: Sequence[Prepared], batch: int) -> float:
    """How many images a second the network answers in full batches."""
    shape = runtime.bundle.manifest.preparation.shape
    full = np.resize(np.stack(prepared), (max(1, len(prepared) // batch) * batch, *shape))
    started = time.perf_counter()
    runtime.compute(full)
    return len(full) / (time.perf_counter() - started)


async def _bare(service: ModelService, plot: str, runtime: Runtime, files: Sequence[Path]) -> float:
    """How long an image takes to its scores when it is alone and nobody hears of it: the median, in ms."""
    took_ms = []
    with ImageReader(service.expecting) as decode:
        for path in files:
            started = time.perf_counter()
            picture = await decode(path, plot)
            runtime.compute(picture.views[runtime.bundle.manifest.preparation][None])
            took_ms.append(1000 * (time.perf_counter() - started))
    return statistics.median(took_ms)


async def _together(service: ModelService, plot: str, files: Sequence[Path], at_once: int) -> float:
    room = asyncio.Semaphore(at_once)

    async def classify(decode: Decoder, path: Path) -> None:
        async with room:
            await service.classify(plot, await decode(path, plot))

    with ImageReader(service.expecting) as decode:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for path in files:
                group.create_task(classify(decode, path))
        return time.perf_counter() - started
