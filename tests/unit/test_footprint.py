"""What a process holds is counted as it is."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

from hydrad import footprint

# In processes of their own: beside them, threads of other tests end and memory goes back at any moment.
OPENS_AND_STARTS = """
import os, threading
from hydrad import footprint

before = footprint.own()
over = threading.Event()
thread = threading.Thread(target=over.wait)
thread.start()
with open(os.devnull), open(os.devnull):
    during = footprint.own()
over.set()
thread.join()
after = footprint.own()
print(during.open_files - before.open_files, during.threads - before.threads, after.open_files - before.open_files)
"""

HOLDS_MUCH = """
from hydrad import footprint

before = footprint.own().memory_bytes
held = bytearray(b"x" * 64_000_000)
print(footprint.own().memory_bytes - before)
"""


def said_by(program: str) -> list[str]:
    """What another interpreter prints that runs this."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def test_it_counts_what_is_opened_and_started() -> None:
    assert said_by(OPENS_AND_STARTS) == ["2", "1", "0"]


def test_it_counts_memory_that_is_used() -> None:
    [taken] = said_by(HOLDS_MUCH)
    assert int(taken) > 48_000_000


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


LIVED_FOR_LONG = """
import asyncio, threading
from hydrad import footprint

def need_much_at_once():
    blocks = [bytearray(b"x") * 60_000 for _ in range(1000)]
    kept.extend(blocks[::100])  # so that the heap cannot be cut off at its end

async def main():
    held = footprint.own().memory_bytes
    resting = asyncio.create_task(footprint.stay_small(every_s=0.05))
    for _ in range(100):
        await asyncio.sleep(0.05)
        if (given := held - footprint.own().memory_bytes) > 40_000_000:
            break
    print(given, resting.done())

kept = []
thread = threading.Thread(target=need_much_at_once)
thread.start()
thread.join()
asyncio.run(main())
"""


def test_what_threads_needed_once_goes_back_to_the_host() -> None:
    given, ended = said_by(LIVED_FOR_LONG)
    assert int(given) > 40_000_000
    assert ended == "False"
