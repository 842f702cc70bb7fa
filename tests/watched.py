"""A watched folder for tests: who writes to it, and who takes what arrives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from PIL import Image

from hydrad.config import Watch
from hydrad.domain import Arrival
from hydrad.ports import Watcher
from hydrad.watchers.follow import FolderWatcher, InotifyWatcher, PollingWatcher

ZONE = ZoneInfo("America/New_York")
KINDS = {"inotify": InotifyWatcher, "polling": PollingWatcher}


def png(shade: int = 0, size: tuple[int, int] = (8, 6)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, (shade % 256, shade // 256 % 256, 7)).save(buffer, "PNG")
    return buffer.getvalue()


def section(root: Path, **how: Any) -> Watch:
    layout = {} if "pattern" in how else {"layout": "plain"}
    return Watch(root=root, **{**layout, "settle_ms": 60, "rescan_s": 30, **how})


def watcher_for(
    kind: str,
    root: Path,
    *,
    seen: Callable[[str], Any] = lambda _: None,
    gone: Callable[[Sequence[str]], None] = lambda _: None,
    **how: Any,
) -> FolderWatcher:
    return KINDS[kind](section(root, **how), ZONE, seen=seen, gone=gone, poll_s=0.04)


class Taken:
    """What a watcher has handed over so far."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.arrivals: list[Arrival] = []
        self.contents: dict[Path, list[bytes]] = {}
        self.at: list[float] = []

    async def take(self) -> None:
        async for arrival in self.watcher.arrivals():
            self.at.append(time.monotonic())
            self.arrivals.append(arrival)
            if arrival.path.is_file():
                self.contents.setdefault(arrival.path, []).append(arrival.path.read_bytes())

    @property
    def names(self) -> list[str]:
        return [arrival.path.name for arrival in self.arrivals]

    async def until(self, true: Callable[[], bool], within_s: float = 10.0) -> None:
        await until(true, within_s, lambda: f"{len(self.arrivals)} arrived: {self.names[-20:]}")

    async def count(self, number: int, within_s: float = 10.0) -> None:
        await self.until(lambda: len(self.arrivals) >= number, within_s)

    async def nothing_more(self, for_s: float = 0.15) -> None:
        """Nothing else arrives although the watcher has had the time to look around more than once."""
        before = list(self.arrivals)
        await asyncio.sleep(for_s)
        assert self.arrivals == before, f"{self.names[len(before) :]} came as well"


@asynccontextmanager
async def taking(watcher: Any) -> AsyncIterator[Taken]:
    """Enter a watcher and take what it hands over."""
    with watcher:
        taken = Taken(watcher)
        task = asyncio.create_task(taken.take())
        try:
            yield taken
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled() and task.exception() is not None:
            raise RuntimeError("the watcher fell over") from task.exception()


async def until(
    true: Callable[[], bool], within_s: float = 10.0, otherwise: Callable[[], str] = lambda: "it never came true"
) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, otherwise()
        await asyncio.sleep(0.002)


async def at_home(taken: Taken) -> None:
    """Wait until the watcher has made its first round."""
    await until(lambda: not taken.watcher._first)  # type: ignore[attr-defined]  # a watched folder's


@contextmanager
def log_lines() -> Iterator[list[dict[str, Any]]]:
    """The lines that the package logs meanwhile."""
    with structlog.testing.capture_logs() as lines:
        yield lines
