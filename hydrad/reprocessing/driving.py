"""From an archive to the data base: hands out portions, and is the only one that writes what comes of them."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from hydrad import log
from hydrad.classify.fitness import Unfit
from hydrad.domain import Outcome
from hydrad.errors import HydradError, StoreAway
from hydrad.reprocessing.archive import Archived, Portion, Source, Wants, portions
from hydrad.reprocessing.engines import Engine, Lost
from hydrad.reprocessing.work import GONE, Answered
from hydrad.store.queries import Store
from hydrad.store.reprocessing import records
from hydrad.store.reprocessing.records import Rejudged, key_of

IN_HAND: Final = 2  # portions for each worker: one that it is at, and one that waits for it
TRIES_ALONE: Final = 2  # of a single file by itself, before it counts as what ended its worker
MOST_LOST: Final = 16  # in a row, beyond those in hand: then it is not the files' fault
AWAY_S: Final = 600.0  # for so long a data base that does not answer is waited for
ASK_EVERY_S: Final = 2.0

T = TypeVar("T")
Tell = Callable[[int], None]  # hears of each number of files that are done

_log = log.get("reprocessing")


@dataclass
class Driver:
    """Does what is left of one reprocessing. A file is done when the data base has its row, and not before.

    Args:
        number: of the reprocessing.
        size: files that a worker is given at once.
        tell: hears of progress, with those that were done earlier.
    """

    store: Store
    number: int
    source: Source
    wants: Wants
    engine: Engine
    size: int
    tell: Tell = lambda _: None
    _held: dict[Future[Answered], Portion] = field(default_factory=dict)
    _suspects: deque[Portion] = field(default_factory=deque)
    _lost_in_a_row: int = 0

    def run(self) -> None:
        """Judge every file that is not done yet.

        Raises:
            Unfit: a host cannot take part.
            StoreAway: the data base has not answered for long. What was kept until then stays, as in every case.
            HydradError: the model cannot be loaded, or workers end one after the other.
        """
        ahead = self._undone()
        while True:
            while len(self._held) < IN_HAND * self.engine.at_once and (portion := next(ahead, None)) is not None:
                self._held[self.engine.submit(portion)] = portion
            if not self._held:
                break
            for future in wait(self._held, return_when=FIRST_COMPLETED).done:
                portion = self._held.pop(future)
                if not self._settled(future, portion):
                    self._suspects.append(portion)
        while self._suspects:
            self._alone(self._suspects.popleft())

    def _undone(self) -> Iterator[Portion]:
        for portion in portions(self.source.files(), self.wants, self.size):
            keys = {file: key_of(file.plot, file.below) for file in portion}
            done = self._patiently(partial(records.done, self.store, self.number, keys.values()))
            self.tell(len(done))
            if left := tuple(file for file in portion if keys[file] not in done):
                yield left

    def _alone(self, portion: Portion) -> None:
        """Find the files that end their workers, by halves, while nothing else is under way that could be blamed."""
        ahead = [portion]
        tried: dict[Archived, int] = {}
        while ahead:
            some = ahead.pop()
            future = self.engine.submit(some)
            wait([future])
            if self._settled(future, some):
                continue
            if len(some) > 1:
                half = len(some) // 2
                ahead += [some[half:], some[:half]]
            elif tried.setdefault(some[0], 1) < TRIES_ALONE:
                tried[some[0]] += 1
                ahead.append(some)
            else:
                self._keep([_what_ended_workers(some[0])])

    def _settled(self, future: Future[Answered], portion: Portion) -> bool:
        """Keep what came of a portion; False if its worker ended instead."""
        try:
            answered = self.engine.result(future)
        except Lost as why:
            self._lost_in_a_row += 1
            _log.warning("portion_lost", files=len(portion), why=str(why))
            if self._lost_in_a_row > MOST_LOST + IN_HAND * self.engine.at_once:
                raise HydradError(
                    f"workers ended {self._lost_in_a_row} times in a row, the last at {portion[0].path}: is there "
                    "memory enough for so many of them? What was judged before is kept"
                ) from why
            return False
        self._lost_in_a_row = 0
        for file, one in zip(portion, answered.files, strict=True):
            if one.reason == GONE and os.path.exists(file.path):  # noqa: PTH110  of millions few ever become a Path
                raise Unfit(f"{answered.host} does not see {file.path}, which is there: mount it, at the same path")
        self._keep(answered.files)
        return True

    def _keep(self, found: Sequence[Rejudged]) -> None:
        self._patiently(partial(records.keep, self.store, self.number, found))
        self.tell(len(found))

    def _patiently(self, ask: Callable[[], T]) -> T:
        """What the data base answers, waiting for one that is away: hours of work are not ended by its restart."""
        away_since: float | None = None
        while True:
            try:
                answer = ask()
            except StoreAway as why:
                now = time.monotonic()
                if away_since is None:
                    away_since = now
                    _log.warning("data_base_away", why=str(why))
                if now - away_since > AWAY_S:
                    raise
                time.sleep(ASK_EVERY_S)
            else:
                return answer


def _what_ended_workers(file: Archived) -> Rejudged:
    reason = f"its worker ended each of the {TRIES_ALONE} times that it was judged by itself"
    return Rejudged(file.plot, file.below, Outcome.REJECTED, reason, run=file.run, taken_at=file.taken_at)
