"""How `hydrad train` says how far it is: a bar on a terminal, lines elsewhere, and a row in the data base."""

from __future__ import annotations

import dataclasses
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from hydrad import log
from hydrad.errors import StoreAway
from hydrad.store.models import trainings
from hydrad.store.queries import Store
from hydrad.train.modest import check_memory
from hydrad.train.progress import Progress, Stopped

TOLD_EVERY_S: Final = 2.0
AWAY_S: Final = 30.0  # a data base that did not answer is left alone for so long
LINE_EVERY_S: Final = 10.0

_log = log.get("train")


class Teller:
    """Hears of the progress about once a second and passes it on; a context manager.

    Args:
        store: its row says how far the training is, and whether somebody asked it to stop.
        number: of that row.
        stop: set when the process was told to end.
        memory_gb: that it may hold, 10⁹ bytes.
    """

    def __init__(self, store: Store, number: int, stop: threading.Event, memory_gb: float) -> None:
        self._store = store
        self._number = number
        self._stop = stop
        self._memory_gb = memory_gb
        self._tell_at = self._line_at = 0.0
        self._away = False
        self._last: tuple[str, int | None, int] | None = None
        self._curve = _Curve()
        console = Console(stderr=True)
        self._bar: Bar | None = None
        if console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"),
                TextColumn("{task.fields[facts]}"), TimeElapsedColumn(), console=console,
            )  # fmt: skip
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("reading", total=1.0, facts="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Show it; raises Stopped when somebody asked for that, TooMuchMemory when there is too much in memory."""
        self._show(progress)
        self._curve.add(progress)
        if self._stop.is_set():
            raise Stopped("stopped by a signal")
        check_memory(self._memory_gb)
        if time.monotonic() >= self._tell_at and self._told(progress):
            raise Stopped("somebody asked for it")

    def remark(self, sentences: Sequence[str]) -> None:
        """What whoever trains should know of the data."""
        for sentence in sentences:
            self._say(sentence)

    def _told(self, progress: Progress) -> bool:
        """Leave a sign of life; True when a stop was asked for. A data base that is away must not end a training."""
        try:
            said = dataclasses.asdict(progress) | {"curve": self._curve.points}
            stop = trainings.tell(self._store, self._number, said)
        except StoreAway as away:
            if not self._away:
                _log.warning("progress_not_recorded", reason=str(away))
            self._away, self._tell_at = True, time.monotonic() + AWAY_S
            return False
        self._away, self._tell_at = False, time.monotonic() + TOLD_EVERY_S
        return stop

    def _show(self, progress: Progress) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task, description=progress.stage, completed=progress.done, facts=", ".join(_facts(progress))
            )
            return
        now, here = time.monotonic(), (progress.stage, progress.epoch, progress.attempt)
        if here != self._last or now >= self._line_at:
            self._last, self._line_at = here, now + LINE_EVERY_S
            self._say(", ".join([f"{progress.stage} {progress.done:.0%}", *_facts(progress)]))

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


class _Curve:
    """Loss and balanced validation accuracy by epoch, as far as they were told; of the attempt under way."""

    def __init__(self) -> None:
        self._attempt = 1
        self._by_epoch: dict[int, tuple[float, float | None]] = {}

    def add(self, progress: Progress) -> None:
        if progress.attempt != self._attempt:
            self._attempt, self._by_epoch = progress.attempt, {}
        if progress.epoch is not None and progress.loss is not None:
            self._by_epoch[progress.epoch] = (progress.loss, progress.balanced_accuracy)

    @property
    def points(self) -> list[tuple[int, float, float | None]]:
        """Epoch (from 1), loss in it, and the accuracy known by then."""
        return [(epoch, *values) for epoch, values in self._by_epoch.items()]


@contextmanager
def stops() -> Iterator[threading.Event]:
    """An event that is set by Ctrl-C or SIGTERM; a second Ctrl-C ends the process as ever."""
    event = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        event.set()
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _facts(progress: Progress) -> Iterator[str]:
    if progress.attempt > 1:
        yield f"attempt {progress.attempt}"
    if progress.epoch is not None:
        yield f"epoch {progress.epoch} of {progress.epochs}"
    if progress.loss is not None:
        yield f"loss {progress.loss:.4f}"
    if progress.balanced_accuracy is not None:
        yield f"balanced accuracy {progress.balanced_accuracy:.3f}"
    if progress.left_s is not None:
        yield f"{progress.left_s:.0f} s left"
