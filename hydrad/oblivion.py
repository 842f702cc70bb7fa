"""What the journal need not remember any more: files that are gone from the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NoReturn, Protocol

from hydrad.keeping import keep

EVERY_S = 10.0


class Memory(Protocol):
    """Remembers files."""

    def seen(self, path: str) -> object:
        """What is remembered of one."""
        ...

    async def forget(self, paths: Iterable[str]) -> None:
        """Remember these no longer; raise TryAgain when that cannot be noted now."""
        ...


class Oblivion:
    """Gathers paths and lets them be forgotten a good many at a time, so that no memory grows for ever."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._gone: dict[str, object] = {}  # paths, and what was remembered of them then

    def add(self, paths: Sequence[str]) -> None:
        """These files are gone."""
        self._gone.update((path, self._memory.seen(path)) for path in paths)

    async def run(self) -> NoReturn:
        """Forget, for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            gone, self._gone = self._gone, {}
            # What has come again since and was dealt with is no longer gone.
            if paths := [path for path, was in gone.items() if self._memory.seen(path) == was]:
                await keep(partial(self._memory.forget, paths))
