"""How many images a second: the service beside what one would write first, on the same bundle and the same files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from hydrad.classify import backend
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.prepare import prepare
from hydrad.classify.service import ModelService
from hydrad.ports import Decoder


async def compare(
    folder: Path, plot: str, files: Sequence[Path], decode: Decoder, *, batch: int = 32, max_wait_ms: float = 20.0
) -> dict[str, float | int | str]:
    """Classify files twice, one by one with ``keras.Model.predict`` and through the service.

    Both decode every file and are warm before the clock starts.

    Args:
        folder: a bundle.
        plot: one that the bundle serves.
        files: images; each is classified once.

    Returns:
        ``baseline_per_s`` and ``service_per_s`` (images), ``ratio``, ``images``, ``model`` and ``runtime``.
    """
    bundle = bundles.read(folder)
    baseline_s = await asyncio.to_thread(_one_by_one, bundle, files)
    with ModelService(batch=batch, max_wait_ms=max_wait_ms) as service:
        card = await service.load(folder)
        serving = asyncio.create_task(service.run(), name="classify")
        try:
            service_s = await _together(service, plot, files, decode, 4 * batch)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
    return {
        "model": card.id,
        "runtime": card.runtime,
        "images": len(files),
        "baseline_per_s": len(files) / baseline_s,
        "service_per_s": len(files) / service_s,
        "ratio": baseline_s / service_s,
    }


def _one_by_one(bundle: Bundle, files: Sequence[Path]) -> float:
    preparation = bundle.manifest.preparation
    model = backend.keras().saving.load_model(bundle.model, compile=False, safe_mode=True)

    def predict(path: Path) -> None:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        prepared = prepare(pixels, preparation)[None].astype(np.float32) * preparation.scale + preparation.offset
        model.predict(prepared, verbose=0)

    predict(files[0])
    started = time.perf_counter()
    for path in files:
        predict(path)
    return time.perf_counter() - started


async def _together(service: ModelService, plot: str, files: Sequence[Path], decode: Decoder, at_once: int) -> float:
    room = asyncio.Semaphore(at_once)

    async def classify(path: Path) -> None:
        async with room:
            await service.classify(plot, await decode(path))

    await classify(files[0])
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for path in files:
            group.create_task(classify(path))
    return time.perf_counter() - started
