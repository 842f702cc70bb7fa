"""What was found is kept, however long the disk or the data base is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hydrad import log
from hydrad.errors import TryAgain

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 15.0

_log = log.get("keeping")


async def keep(attempt: Callable[[], Awaitable[None]]) -> None:
    """Await ``attempt()`` until it raises TryAgain no more; say so once when it begins and once when it is over."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            await attempt()
        except TryAgain as why:
            if wait_s == FIRST_WAIT_S:
                _log.error("cannot_keep", why=str(why))
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        else:
            if wait_s != FIRST_WAIT_S:
                _log.info("kept_after_all")
            return
