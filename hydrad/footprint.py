"""What a process holds of its host: memory, open files, threads; and the event loop's tasks."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, NoReturn

SHRINK_EVERY_S: Final = 30.0

_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds at one moment, as Linux counts it."""

    memory_bytes: int  # resident
    open_files: int  # sockets and pipes too
    threads: int  # those of libraries too


def own() -> Footprint:
    """This process's; raises OSError where there is no /proc."""
    found = of("self")
    return replace(found, open_files=found.open_files - 1)  # but for the one that lists them


def of(pid: int | Literal["self"]) -> Footprint:
    """A process's of the same user; raises OSError where it or /proc is not."""
    process = Path(f"/proc/{pid}")
    facts = dict(line.split(":", 1) for line in (process / "status").read_text(encoding="utf-8").splitlines())
    return Footprint(
        memory_bytes=1024 * int(facts["VmRSS"].split()[0]),
        open_files=len(os.listdir(process / "fd")),  # noqa: PTH208  names are enough
        threads=int(facts["Threads"]),
    )


def tidy() -> None:
    """Free what refers to itself, and regard what is left as there to stay.

    Python looks at all objects whenever there is a quarter more of them. Those of a daemon that has just begun are
    150,000, and nothing else gets on for the 60 to 300 ms that it takes; what stays it passes over.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def shrink() -> None:
    """Give the host back the pages that the allocator keeps for later: milliseconds, without holding Python up.

    What lies free between blocks in use stays with the process otherwise.
    """
    if _trim is not None:
        _trim(0)


async def stay_small(every_s: float = SHRINK_EVERY_S) -> NoReturn:
    """A root task that shrinks the process now and then.

    glibc keeps a heap for each of some threads. What one has ever needed at once stays with it, and the peaks of a
    dozen meet by and by: tens of MB that nobody uses. To fault them in again takes a landing some 10 ms.
    """
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(shrink)
