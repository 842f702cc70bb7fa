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

    async def forget(self, paths: Iterable[str]) -> None:
        """Remember these no longer; raise TryAgain when that cannot be noted now."""
        ...


class Oblivion:
    """Gathers paths and lets them be forgotten a good many at a time, so that no memory grows for ever."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._paths: set[str] = set()

    def add(self, paths: Sequence[str]) -> None:
        """These files are gone."""
        self._paths.update(paths)

    async def run(self) -> NoReturn:
        """Forget, for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            if self._paths:
                gone, self._paths = self._paths, set()
                await keep(partial(self._memory.forget, gone))
