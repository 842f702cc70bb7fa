"""Brings Keras in, once, quietly and with modest means: the only place that decides how it computes."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, cast

from hydrad.errors import BundleError

BACKENDS: Final = ("tensorflow", "jax", "torch")
MOST_THREADS = 8  # beyond that a batch of small images gains nothing

_NOISE = re.compile(rb"^(WARNING: All log messages before absl|[IW]\d{4} [\d:. ]+\d+ )")
Forward = Callable[[Any], Any]

_lock = threading.Lock()
_keras: ModuleType | None = None


def keras() -> ModuleType:
    """Keras on the backend that ``KERAS_BACKEND`` names, else on the first of BACKENDS that is installed.

    Raises:
        BundleError: when it, or its backend, is not installed or has no way to serve here.
    """
    global _keras  # noqa: PLW0603  a process has one Keras, whoever asks first
    with _lock:
        if _keras is None:
            _set_environment()
            with _without_noise():
                _keras = _imported()
        return _keras


def compiled(forward: Forward) -> Forward:
    """The same function, as fast as the backend can make it; the one step that differs between backends."""
    backend = keras().backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  only where it is the backend

        return cast(Forward, tf.function(forward, autograph=False))
    if backend == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  an optional backend

        return cast(Forward, jax.jit(forward))
    if backend == "torch":
        import torch  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  an optional backend

        return cast(Forward, torch.inference_mode()(forward))
    raise BundleError(f"the backend {backend!r} of Keras cannot serve; set KERAS_BACKEND to tensorflow, jax or torch")


def faults() -> tuple[type[BaseException], ...]:
    """What Keras and its backend raise when a network cannot be read or computed."""
    named: tuple[type[BaseException], ...] = (
        RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, OSError,
    )  # fmt: skip
    if keras().backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  only where it is the backend

        return (*named, tf.errors.OpError)
    return named


def is_lack_of_memory(fault: BaseException) -> bool:
    """Whether there was not memory enough, of the host or of a GPU; fewer images at once may then be computed."""
    # TensorFlow and PyTorch have a class for it, JAX has only words, and none of them shall be imported for this.
    named = type(fault).__name__ in {"ResourceExhaustedError", "OutOfMemoryError"}
    return named or isinstance(fault, MemoryError) or "RESOURCE_EXHAUSTED" in str(fault)


def where() -> str:
    """What computes, e.g. ``keras/tensorflow cpu float32``."""
    module = keras()
    backend = module.backend.backend()
    return f"keras/{backend} {'gpu' if _gpus(backend) else 'cpu'} {module.config.floatx()}"


def threads() -> int:
    """As many as are worth computing with on this host."""
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0))))


def on_gpu() -> bool:
    """Whether Keras computes on a GPU here; imports it."""
    return _gpus(keras().backend.backend())


def _set_environment() -> None:
    count = threads()
    for name, value in {
        "KERAS_BACKEND": next((name for name in BACKENDS if find_spec(name) is not None), BACKENDS[0]),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_NUM_INTRAOP_THREADS": str(count),
        "TF_NUM_INTEROP_THREADS": "1",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "OMP_NUM_THREADS": str(count),
    }.items():
        os.environ.setdefault(name, value)


def _imported() -> ModuleType:
    try:
        import keras as module  # noqa: PLC0415  it takes seconds and half a gigabyte
    except ImportError as fault:
        raise BundleError(f"Keras or its backend is not installed: {fault}") from fault
    if module.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415  likewise

        tf.get_logger().setLevel("ERROR")  # it takes the few sizes of batches for a mistake and warns of them
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    return cast(ModuleType, module)


def _gpus(backend: str) -> bool:
    match backend:
        case "tensorflow":
            import tensorflow as tf  # noqa: PLC0415  only where it is the backend

            return bool(tf.config.list_physical_devices("GPU"))
        case "jax":
            import jax  # noqa: PLC0415  likewise

            return bool(jax.default_backend() == "gpu")
        case "torch":
            import torch  # noqa: PLC0415  likewise

            return bool(torch.cuda.is_available())
        case _:
            return False


@contextmanager
def _without_noise() -> Iterator[None]:
    """Hold stderr back for the time of an import and let through what is not the chatter of C++ start-up.

    TensorFlow writes to file descriptor 2 before it reads its own log level, so nothing finer helps.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not _NOISE.match(line):
                    os.write(2, line)
