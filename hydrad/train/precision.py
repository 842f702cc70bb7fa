"""Half precision where it pays: a network learns in it and serves without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from hydrad.classify import backend

FULL: Final = "float32"

Precision = Literal["auto", "float32", "mixed"]


def policy_of(precision: Precision) -> str:
    """Keras's name of what is meant: ``auto`` is half precision on a GPU, and full precision elsewhere."""
    on_gpu = " gpu " in backend.where()
    if precision == FULL or (precision == "auto" and not on_gpu):
        return FULL
    return "mixed_bfloat16" if not on_gpu or _knows_bfloat16() else "mixed_float16"


@contextmanager
def layers_in(policy: str) -> Iterator[None]:
    """Layers that are made meanwhile compute by this policy."""
    keras = backend.keras()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _knows_bfloat16() -> bool:
    """Whether the GPU computes in bfloat16, whose range is that of float32: no loss need be scaled."""
    if backend.keras().backend.backend() != "tensorflow":
        return True
    import tensorflow as tf  # noqa: PLC0415  only where it is the backend

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return all(one.get("compute_capability", (0, 0)) >= (8, 0) for one in details)
