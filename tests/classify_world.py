"""Bundles and runtimes small enough for unit tests: a network that only looks at the mean brightness."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from hydrad.classify import bundle
from hydrad.classify.bundle import Bundle, Golden
from hydrad.classify.manifest import DataSet, Label, Manifest
from hydrad.classify.manifest import Golden as Closeness
from hydrad.classify.prepare import Preparation, prepare
from hydrad.classify.runtime import Answers, Batch
from hydrad.classify.service import ModelService
from hydrad.domain import Meaning, Picture
from hydrad.errors import BundleError
from hydrad.images import picture_of

PREPARATION = Preparation(width=32, height=16)


def picture(brightness: int = 200, *, width: int = 60, height: int = 40) -> Picture:
    return picture_of(drawn(shade(brightness, width=width, height=height)))


def shade(brightness: int, *, width: int = 60, height: int = 40) -> np.ndarray:
    return np.full((height, width, 3), brightness, np.uint8)


def drawn(pixels: np.ndarray) -> bytes:
    """A PNG file that shows them."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    return file.getvalue()


def brightness_logits(batch: Batch) -> np.ndarray:
    bright = batch.reshape(len(batch), -1).mean(axis=1) / 25.5 - 5.0
    return np.stack([bright, -bright], axis=1).astype(np.float32)


def brightness_bundle(
    models: Path,
    name: str = "brightness",
    plots: tuple[str, ...] = ("*",),
    day: int = 1,
    *,
    lie: float = 0.0,
    preparation: Preparation = PREPARATION,
) -> Bundle:
    """A bundle that :class:`BrightnessRuntime` serves; with a ``lie`` its golden answers are not its own."""
    pictures = [shade(n) for n in (10, 240)]
    logits = brightness_logits(np.stack([prepare(pixels, preparation) for pixels in pictures])) + np.float32(lie)
    manifest = Manifest(
        id=name,
        created_at=datetime(2026, 11, day, tzinfo=UTC),
        labels=(Label(name="Good", meaning=Meaning.GOOD), Label(name="Bad", meaning=Meaning.BAD)),
        plots=plots,
        preparation=preparation,
        architecture="brightness",
        parameters=1,
        temperature=1.0,
        thresholds={"Good": 0.5, "Bad": 0.6},
        golden=Closeness(tolerance=0.001),
        data=DataSet(images=0),
    )
    golden = Golden(tuple(pictures), logits)
    return bundle.write(models, manifest, {"model.keras": b"brightness", "golden.npz": golden.to_bytes()})


def nothing(_size: int) -> None:
    """What happens before a batch unless a test says otherwise."""


class BrightnessRuntime:
    """Bright pictures are good. ``before`` is called in the inference thread with each batch's size."""

    name = "brightness"

    def __init__(self, bundle: Bundle, batch: int, before: Callable[[int], object] = nothing) -> None:
        self.bundle = bundle
        self.batch = batch
        self.sizes: list[int] = []
        self.threads: set[str] = set()
        self.warmed = False
        self.rests = 0
        self.poison: float | None = None  # given instead of a score to dark pictures
        self.before = before

    def compute(self, batch: Batch) -> Answers:
        if self.warmed:
            self.sizes.append(len(batch))
            self.threads.add(threading.current_thread().name)
            self.before(len(batch))
        logits = brightness_logits(batch)
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        if self.poison is not None and self.warmed:
            scores[logits[:, 0] < 0] = self.poison
        maps = np.zeros((len(batch), 2, 4), np.uint8)
        return Answers(logits, scores, np.zeros((len(batch), 3), np.float32), maps, np.zeros(len(batch), np.float32))

    def warm(self) -> None:
        self.warmed = True

    def rest(self) -> None:
        self.rests += 1


class Hall:
    """A service on brightness runtimes, and those runtimes by their bundle's name."""

    def __init__(self, *, batch: int = 8, max_wait_ms: float = 20.0, open_models: int = 32) -> None:
        self.runtimes: dict[str, BrightnessRuntime] = {}
        self.before: Callable[[int], object] = nothing
        self.service = ModelService(
            batch=batch, max_wait_ms=max_wait_ms, open_runtime=self._open, open_models=open_models
        )

    def _open(self, bundle: Bundle, batch: int) -> BrightnessRuntime:
        if bundle.model.read_bytes() != b"brightness":
            raise BundleError("its network is unknown")
        runtime = BrightnessRuntime(bundle, batch, self._before)
        self.runtimes[bundle.id] = runtime
        return runtime

    def _before(self, size: int) -> None:
        self.before(size)


@asynccontextmanager
async def serving(service: ModelService) -> AsyncIterator[None]:
    with service:
        task = asyncio.create_task(service.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
