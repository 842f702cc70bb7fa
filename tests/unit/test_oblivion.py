"""Files that are gone are forgotten, even when that cannot be noted at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fakes import in_no_time

from hydrad.errors import TryAgain
from hydrad.oblivion import EVERY_S, Oblivion


class Memory:
    def __init__(self):
        self.away, self.forgotten, self.known = True, [], {}

    def seen(self, path):
        return self.known.get(path)

    async def forget(self, paths):
        if self.away:
            raise TryAgain("the disk is full")
        self.forgotten.append(set(paths))


@in_no_time
async def test_gone_files_are_forgotten_together_and_after_all():
    memory = Memory()
    oblivion = Oblivion(memory)
    task = asyncio.create_task(oblivion.run())
    oblivion.add(["/a", "/b"])
    oblivion.add(["/b", "/c"])
    await asyncio.sleep(2 * EVERY_S)
    assert memory.forgotten == []
    memory.away = False
    await asyncio.sleep(3 * EVERY_S)
    assert memory.forgotten == [{"/a", "/b", "/c"}]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@in_no_time
async def test_a_file_that_came_again_meanwhile_and_was_dealt_with_is_not_forgotten():
    memory = Memory()
    memory.away = False
    memory.known = {"/a": "as it was", "/b": "as it was"}
    oblivion = Oblivion(memory)
    task = asyncio.create_task(oblivion.run())
    oblivion.add(["/a", "/b"])
    await asyncio.sleep(EVERY_S / 2)
    memory.known["/a"] = "as it came again"
    await asyncio.sleep(EVERY_S)
    assert memory.forgotten == [{"/b"}]
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
