"""Computes a bundle's export with OpenVINO, fast on a CPU: the same answers as Keras, without Keras."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache, cached_property
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import numpy as np

from hydrad import footprint
from hydrad.classify import backend
from hydrad.classify.bundle import Bundle
from hydrad.classify.export_vetting import vet
from hydrad.classify.manifest import Precision, export_in
from hydrad.classify.runtime import Batch, InBatches, NoRoom, first_line
from hydrad.classify.silent import openvino
from hydrad.errors import BundleError

SMALL: Final = 2_000_000  # parameters; the shipped network has half as many
SHARE: Final = 6  # images: of more what lies between the layers leaves the cache of a core, and computing takes longer
OUTPUTS: Final = ("logits", "scores", "embeddings", "heatmaps")  # the last only where the network has maps

# As OpenVINO calls them. What is quantized says so itself; the rest of it is computed as it was calibrated everywhere.
_NAMES: Final[dict[Precision, str]] = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


class OpenVinoRuntime(InBatches):
    """A bundle's export on the CPU, in one precision and with that precision's calibration.

    Args:
        batch: the most images at once.
        precision: None for the fastest that this CPU computes by itself and the bundle was calibrated for, int8 aside.

    Raises:
        BundleError: there is no export, it cannot be read, or it is not calibrated for that precision.
    """

    def __init__(self, bundle: Bundle, batch: int = 32, precision: Precision | None = None) -> None:
        if bundle.export is None:
            raise BundleError("it has no export for the CPU runtime")
        chosen = precision or fastest(bundle)
        super().__init__(bundle.computed_in(chosen), batch, range(1, batch + 1))
        self._temperature = self.bundle.temperature
        export, manifest = bundle.folder / export_in(chosen)[0], bundle.manifest
        self._network = Network(
            export, manifest.preparation.shape, len(manifest.labels), chosen, _threads(manifest.parameters)
        )
        self.name = f"openvino cpu {chosen}"

    def warm(self) -> None:
        """Compute one image and the largest batch: what lies between takes its first time milliseconds longer."""
        for size in {1, self.batch}:
            self._answer(np.zeros((size, *self.bundle.manifest.preparation.shape), np.uint8))

    def rest(self) -> None:
        """Give back the memory of what lies between the layers: 15 MiB of the 32 that the shipped network takes."""
        self._network.rest()

    def _answer(self, batch: Batch) -> list[Any]:
        try:
            return self._network.answer(batch, self._temperature)
        except (RuntimeError, MemoryError) as fault:  # of C++ it has no other words
            kind = NoRoom if isinstance(fault, MemoryError) or "alloc" in str(fault) else BundleError
            raise kind(f"model {self.bundle.id!r} could not compute: {first_line(fault)}") from fault


class Network:
    """An exported network, compiled for this CPU: for few images at once, and, when many come, for many.

    All threads compute few images together, so that the answer comes soon. Of many each thread computes shares by
    itself: threads that compute together wait for each other after every layer, busily, and the longer the more other
    work there is for the cores.

    Args:
        export: the description; the weights lie beside it.
        shape: of one prepared image, (height, width, channels).
        labels: how many.
        precision: in which it is computed.
        threads: that compute; as many as there are when None.

    Raises:
        BundleError: it is no network of known operations, or fits neither the images nor the labels.
    """

    def __init__(
        self, export: Path, shape: tuple[int, int, int], labels: int, precision: Precision, threads: int | None = None
    ) -> None:
        vet(export)
        self._threads = threads or _threads()
        self._precision = precision
        try:
            self._model = _core().read_model(export)
            self._check(self._model, shape, labels)
            self._compiled = [self._compile(streams=1)]
            self._together = self._compiled[0].create_infer_request()
        except RuntimeError as fault:
            raise BundleError(f"its export cannot be loaded: {first_line(fault)}") from fault
        names = {name for output in self._compiled[0].outputs for name in output.get_names()}
        self._outputs = [name for name in OUTPUTS if name in names]

    def answer(self, batch: Batch, temperature: float) -> list[Any]:
        """Logits, scores, embeddings and, where the network has maps, heatmaps; the first axis is the images'."""
        if len(batch) < self._threads:
            return self._pass(self._together, batch, temperature)
        found: list[list[Any]] = []
        busy: deque[Any] = deque()
        with ExitStack() as begun:
            for request, share in zip(cycle(self._apart), shares_of(batch, self._threads), strict=False):
                if len(busy) == self._threads:
                    found.append(self._answered(busy.popleft()))
                self._start(request, share, temperature)
                begun.callback(request.wait)
                busy.append(request)
            found += map(self._answered, busy)
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def rest(self) -> None:
        """Give back the memory of what lies between the layers; nobody may compute meanwhile."""
        for compiled in self._compiled:
            compiled.release_memory()
        footprint.shrink()

    def _pass(self, request: Any, images: Batch, temperature: float) -> list[Any]:
        self._start(request, images, temperature)
        return self._answered(request)

    def _start(self, request: Any, images: Batch, temperature: float) -> None:
        request.start_async({"images": images, "temperature": np.float32(temperature)}, share_inputs=True)

    def _answered(self, request: Any) -> list[Any]:
        request.wait()
        return [request.get_tensor(name).data.copy() for name in self._outputs]

    @cached_property
    def _apart(self) -> list[Any]:
        """What computes a share each, at once."""
        if self._threads > 1:
            self._compiled.append(self._compile(streams=self._threads))
        return [self._compiled[-1].create_infer_request() for _ in range(self._threads)]

    def _compile(self, *, streams: int) -> Any:
        precision = _NAMES[self._precision]
        hints = {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": self._threads, "INFERENCE_PRECISION_HINT": precision}
        return _core().compile_model(self._model, "CPU", hints)

    @staticmethod
    def _check(model: Any, shape: tuple[int, int, int], labels: int) -> None:
        inputs = {port.get_any_name(): port for port in model.inputs}
        outputs = {port.get_any_name(): port for port in model.outputs}
        if set(inputs) != {"images", "temperature"} or not set(OUTPUTS[:3]) <= set(outputs) <= set(OUTPUTS):
            raise BundleError("its export has not the inputs and outputs of a bundle's network")
        shape_of, byte = openvino().PartialShape, openvino().Type.u8
        images, logits = inputs["images"].partial_shape, outputs["logits"].partial_shape
        if inputs["images"].element_type != byte or not images.compatible(shape_of([-1, *shape])):
            raise BundleError(f"its export wants images of shape {images}, its manifest says {shape}")
        if not logits.compatible(shape_of([-1, labels])):
            raise BundleError(f"its export gives logits of shape {logits} for {labels} labels")


def fastest(bundle: Bundle) -> Precision:
    """Of the precisions that a bundle was calibrated for the one in which this CPU is fastest, but for int8.

    Quantized numbers answer only where somebody asked for them.
    """
    return "bfloat16" if "bfloat16" in bundle.precisions and computes_bfloat16() else "float32"


def computes_bfloat16() -> bool:
    """Whether this CPU has instructions for it; others would compute in float32 what was calibrated for bfloat16."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _threads(parameters: int | None = None) -> int:
    """As many as the process was told, or as there are cores; fewer for a network of so few parameters.

    What a small one computes costs less than to decode its images, and its threads would wait for each other while
    the cores decode the next ones.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told):
        return int(told)
    there = backend.threads()
    return there if parameters is None or parameters > SMALL else max(1, there // 4)


def shares_of(batch: Batch, threads: int) -> Iterator[Batch]:
    """What threads compute in turn: smaller towards the end, so that none of them waits long for the last."""
    start = 0
    while left := len(batch) - start:
        size = min(SHARE, math.ceil(left / threads))
        yield batch[start : start + size]
        start += size


@cache
def _core() -> Any:
    return openvino().Core()
