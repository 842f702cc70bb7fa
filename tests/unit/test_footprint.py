"""What a process holds is counted as it is."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

from hydrad import footprint


def test_it_counts_what_is_opened_and_started(tmp_path: Path) -> None:
    before = footprint.own()
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    with (tmp_path / "a").open("w"), (tmp_path / "b").open("w"):
        during = footprint.own()
    over.set()
    thread.join()
    assert during.open_files == before.open_files + 2
    assert during.threads == before.threads + 1
    assert footprint.own().open_files == before.open_files


def test_it_counts_memory_that_is_used() -> None:
    before = footprint.own().memory_bytes
    held = bytearray(b"x" * 64_000_000)
    assert footprint.own().memory_bytes > before + 48_000_000
    assert held


class Loop:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_stays_is_looked_at_no_more_and_still_freed_the_next_time() -> None:
    one = Loop()
    here = weakref.ref(one)
    try:
        footprint.tidy()
        assert all(one is not found for found in gc.get_objects())
        del one
        gc.collect()
        assert here() is not None
        footprint.tidy()
        assert here() is None
    finally:
        gc.unfreeze()
