"""More at once than the kernel's queue holds: what is not told of is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from trial import LONG, Trial

QUEUE = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
FILES, PLOTS, UNHEARD = (50_000, 400, 20_000) if LONG else (150, 40, 100)


@pytest.mark.long
def test_a_burst_past_the_kernels_queue_is_found_file_by_file(trial: Callable[..., Trial]) -> None:
    with trial("50,000 files at once, past inotify's queue", watch=[f"CDC:P{n}:STATUS" for n in range(3)]) as hall:
        hall.start()
        with hall.frozen():
            for _ in range(QUEUE // 2):  # made, closed, gone: more events than it holds
                noise = hall.root / ".noise"
                noise.touch()
                noise.unlink()
            for n in range(UNHEARD):
                hall.write(f"Run{n // PLOTS}/CDC_p{n % PLOTS}.png")
        hall.tries += 1
        for n in range(UNHEARD, FILES):
            hall.write(f"Run{n // PLOTS}/CDC_p{n % PLOTS}.png")
        hall.until(lambda: hall.said("kernel_dropped_events"))
