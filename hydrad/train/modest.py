"""A training takes what others leave: lower priority, few threads, bounded memory, first to go when memory is short."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hydrad import log
from hydrad.errors import HydradError

NICE: Final = 10  # of 19; reading and writing the disk are ranked by it too
FIRST_TO_GO: Final = 800  # of 1000: where memory runs out, the system ends a training before a daemon

HINT: Final = "smaller images, a smaller batch or a smaller good_share need less"

_THREADS: Final = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_log = log.get("train")


class TooMuchMemory(HydradError):
    """The training needs more memory than it was granted."""


def step_back(threads: int) -> int:
    """Give way to everything else on this machine; call it before anything that computes is imported.

    Args:
        threads: to compute with; 0 for one fewer than there are cores, at least one.

    Returns:
        How many threads it will be.
    """
    cores = len(os.sched_getaffinity(0))
    count = max(1, cores - 1) if threads == 0 else min(threads, cores)
    os.nice(max(0, NICE - os.nice(0)))
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        Path("/proc/self/oom_score_adj").write_text(f"{FIRST_TO_GO}\n", encoding="ascii")
    except OSError as fault:  # a container may forbid either; the priority stands
        _log.info("not_all_modesty_allowed", reason=fault.strerror)
    if "tensorflow" in sys.modules:
        _log.info("threads_not_bounded", reason="TensorFlow is there already")
    for name in _THREADS:
        os.environ[name] = str(count)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    return count


def check_memory(limit_gb: float) -> None:
    """Raise TooMuchMemory when this process holds more than it was granted.

    What is resident counts. A limit of the system (RLIMIT_DATA) would count what libraries merely reserve, which for
    TensorFlow is many times as much, and would end the process in the midst of C++, without a sentence.

    Args:
        limit_gb: in 10⁹ bytes.
    """
    held_gb = held_bytes() / 1e9
    if held_gb > limit_gb:
        raise TooMuchMemory(
            f"the training holds {held_gb:.1f} GB of memory, more than train.memory_gb = {limit_gb:g}: {HINT}"
        )


@contextmanager
def in_words() -> Iterator[None]:
    """Say in a sentence what Python and TensorFlow say of memory that is not to be had; raises TooMuchMemory."""
    try:
        yield
    except _exhausted() as fault:  # asked when it happens: TensorFlow comes in meanwhile
        raise TooMuchMemory(f"there is not enough memory for this training: {HINT}") from fault


def _exhausted() -> tuple[type[Exception], ...]:
    tensorflow = sys.modules.get("tensorflow")
    return (MemoryError,) if tensorflow is None else (MemoryError, tensorflow.errors.ResourceExhaustedError)


def held_bytes() -> int:
    """Memory of this process that is resident."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
