"""What has to be done now and then: count labels, and remove the images and verdicts that nobody needs any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import NoReturn, Protocol, Self, TypeVar

from hydrad import log
from hydrad.errors import StoreAway, TryAgain
from hydrad.saving import Labels, Sampling
from hydrad.store.forgetting import Forgetting, Forgotten
from hydrad.store.purging import Freed, Purge

COUNT_EVERY_S = 10.0
FIRST_ROUND_AFTER_S = 2.0
ROUND_EVERY_S = 300.0
WHOLE_ROUND_EVERY_S = 86400.0  # of those that look again at everything
GRACE_S = 60.0  # for another process between keeping an image and telling the data base, whatever keep_all_h says
FOR_EVER_H = 1e6  # a century; what is longer has no date
REST_S = 0.02  # at least, between two steps: as long as the last one took, so that others have half of the time

_log = log.get("upkeep")
T = TypeVar("T")


class Deliveries(Protocol):
    """Knows which images the data base has not heard of."""

    async def undelivered_since(self) -> datetime:
        """When they began to come (aware), or now; raise TryAgain when that cannot be known."""
        ...


class Upkeep:
    """A context manager whose :meth:`run` is a root task. While the data base is away it waits; others say so.

    Args:
        labels: asks the data base how many labels each plot has; blocks, raises StoreAway.
        keep_all_h: how long every image stays, h.
        keep_verdicts_d: how long every verdict stays, d; 0: for ever.
    """

    def __init__(
        self,
        *,
        labels: Callable[[], Labels],
        sampling: Sampling,
        purge: Purge,
        forgetting: Forgetting,
        deliveries: Deliveries,
        keep_all_h: float,
        keep_verdicts_d: float = 0,
    ) -> None:
        self._labels = labels
        self._sampling = sampling
        self._purge = purge
        self._forgetting = forgetting
        self._deliveries = deliveries
        self.keep_all_h = keep_all_h  # may change at any time, like the next
        self.keep_verdicts_d = keep_verdicts_d
        self._looked_at_all = float("-inf")  # the loop's time
        self._stuck = False

    def __enter__(self) -> Self:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="upkeep")
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._executor.shutdown(cancel_futures=True)

    async def run(self) -> NoReturn:
        """Count and remove, for ever."""
        clock = asyncio.get_running_loop().time
        due = clock() + FIRST_ROUND_AFTER_S
        while True:
            try:
                self._sampling.learn(await self._away(self._labels))
                if clock() >= due:
                    due = clock() + ROUND_EVERY_S
                    await self.round()
            except StoreAway as why:
                _log.debug("upkeep_waits", why=str(why))
            except TryAgain as why:
                if not self._stuck:
                    _log.error("images_not_purged", why=str(why))
                self._stuck = True
            await asyncio.sleep(max(0.0, min(COUNT_EVERY_S, due - clock())))

    async def round(self) -> None:
        """Remove what nobody needs; raises StoreAway or TryAgain where it had to stop."""
        clock = asyncio.get_running_loop().time
        whole = clock() - self._looked_at_all >= WHOLE_ROUND_EVERY_S
        delivered_until = await self._deliveries.undelivered_since()
        now = datetime.now(UTC)
        freed, forgotten = Freed(), Forgotten()
        try:
            images = self._purge.round(min(now - _kept(self.keep_all_h), delivered_until), whole=whole)
            async for step in self._each(images):
                freed += step
            if self.keep_verdicts_d:
                limit = min(now - _kept(24 * self.keep_verdicts_d), delivered_until)
                async for gone in self._each(self._forgetting.round(limit, whole=whole)):
                    forgotten += gone
        finally:
            self._tell(freed)
            if forgotten != Forgotten():
                _log.info("verdicts_purged", count=forgotten.verdicts, files=forgotten.files, images=forgotten.images)
        self._stuck = False
        if whole:
            self._looked_at_all = clock()

    async def _each(self, steps: Iterator[T]) -> AsyncIterator[T]:
        clock = asyncio.get_running_loop().time
        began = clock()
        while (step := await self._away(lambda: next(steps, None))) is not None:
            yield step
            await asyncio.sleep(max(REST_S, clock() - began))
            began = clock()

    def _tell(self, total: Freed) -> None:
        if total.unknown:
            _log.warning("images_unknown", files=total.unknown, so="no plot has them, and they stay")
        if total.images:
            least = min(self._sampling.shares.values(), default=None)
            _log.info("images_purged", count=total.images, bytes=total.size, least_share=least)

    async def _away(self, ask: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, ask)


def _kept(hours: float) -> timedelta:
    return max(timedelta(hours=min(hours, FOR_EVER_H)), timedelta(seconds=GRACE_S))
