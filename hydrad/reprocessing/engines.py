"""Who does the work: processes of this host; how a cluster does it stands in ``on_ray``."""

from __future__ import annotations

import os
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Protocol, Self

from hydrad import offspring
from hydrad.errors import HydradError
from hydrad.reprocessing.archive import Portion
from hydrad.reprocessing.work import Answered, Job, judge


class Lost(HydradError):
    """The worker that held a portion ended; nothing is known of its files."""


class Engine(Protocol):
    """Workers; a context manager, at whose end they are gone whatever they were at."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def at_once(self) -> int:
        """How many portions are worked on at the same time, at present; at least one."""
        ...

    def submit(self, portion: Portion) -> Future[Answered]:
        """Give a portion to whichever worker is free next."""
        ...

    def result(self, future: Future[Answered]) -> Answered:
        """What came of a portion that is done.

        Raises:
            Lost: its worker ended; given again, it may be done.
            HydradError: no worker can do it, and why.
        """
        ...


def cores() -> int:
    """How many this process may compute on."""
    return len(os.sched_getaffinity(0))


class Processes:
    """So many processes of this host, which end with this one, whatever ends it.

    Args:
        workers: how many.
    """

    def __init__(self, job: Job, workers: int) -> None:
        self._job = job
        self._workers = workers
        self._context = get_context("spawn")  # a fork would inherit locks that threads of libraries hold

    def __enter__(self) -> Self:
        self._end, self._ours = self._context.Pipe(duplex=False)
        self._pool = self._started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ours.close()  # they see it, and what they hold is nobody's any more
        self._end.close()
        self._pool.shutdown(cancel_futures=True)

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"{self._workers} process{'es' * (self._workers != 1)} of this host"

    @property
    def at_once(self) -> int:
        """As many as there are processes."""
        return self._workers

    def submit(self, portion: Portion) -> Future[Answered]:
        """Give a portion to whichever process is free next; where one has ended, all begin anew."""
        try:
            return self._pool.submit(judge, self._job, portion)
        except BrokenProcessPool:
            self._pool.shutdown()
            self._pool = self._started()
            return self._pool.submit(judge, self._job, portion)

    def result(self, future: Future[Answered]) -> Answered:
        """See :class:`Engine`; with one process all portions that were under way are lost."""
        try:
            return future.result()
        except BrokenProcessPool as fault:
            raise Lost("a worker's process ended") from fault

    def _started(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, self._context, offspring.begin, (self._end,))
