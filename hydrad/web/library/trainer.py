"""Starts the trainings that people ask for on the pages: one at a time, each a process of its own that outlives us.

A training is a child in a session of its own, so neither Ctrl-C nor the end of the pages reaches it: pages that are
started anew find it in the data base, under way. It ends when it is done, when somebody asks for that on the page, or
when its own process is told to.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from hydrad import log, password
from hydrad.config import Config
from hydrad.errors import TryAgain
from hydrad.store.models import trainings
from hydrad.store.queries import Store
from hydrad.store.tables import TrainingState

LOOK_EVERY_S: Final = 1.0
LOGS: Final = ".trainings"  # beside the bundles: a hidden folder is none
LAST_BYTES: Final = 16384  # of a log, in which its last lines are looked for
LONGEST_LINE: Final = 500  # letters

_log = log.get("trainer")


@dataclass(frozen=True, slots=True)
class _Child:
    """A training that this process started."""

    number: int
    process: subprocess.Popen[bytes]


class Trainer:
    """Takes from the queue what somebody asked for, where nothing is being trained on this host; a root task.

    Args:
        config: says where the models lie.
        store: has the queue.
        settings: the configuration's file, for the trainings.
    """

    def __init__(self, config: Config, store: Store, settings: Path) -> None:
        self._config = config
        self._store = store
        self._settings = settings.absolute()
        self._host = socket.gethostname()
        self._child: _Child | None = None
        self._away = False

    async def run(self) -> NoReturn:
        """Look, for ever."""
        while True:
            await asyncio.to_thread(self._try)
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """See to the training that runs, bury what died without a word, start the next; raises StoreAway."""
        self._see_to_child()
        self._bury()
        if self._child is None and (one := trainings.claim(self._store, self._host, os.getpid())) is not None:
            self._start(one.id)

    def _bury(self) -> None:
        running = trainings.trainings(self._store, [TrainingState.RUNNING])
        if not running:
            return
        # A claim of this process's own never outlasts a look: one that does was an earlier process's of this number.
        alive = {one.pid for one in running if one.pid not in {None, os.getpid()} and _lives(one.pid)}
        if self._child is not None:
            alive.add(self._child.process.pid)  # should it be dead, the next look knows what of
        if dead := trainings.bury(self._store, self._host, alive):
            _log.warning("trainings_died", trainings=list(dead))

    def _try(self) -> None:
        try:
            self.look()
        except TryAgain as away:
            if not self._away:
                _log.warning("queue_out_of_reach", reason=str(away))
            self._away = True
        else:
            if self._away:
                _log.info("queue_within_reach")
            self._away = False

    def _start(self, number: int) -> None:
        path = log_of(self._config, number)
        words = ["train", "--queued", str(number), "-c", str(self._settings)]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as output:
                process = subprocess.Popen(  # noqa: S603  our own program
                    [sys.executable, "-m", "hydrad", *words],
                    env=password.environment("db"),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        except OSError as fault:
            _log.error("training_not_started", training=number, reason=str(fault))
            reason = f"it could not be started: {fault.filename or sys.executable}: {fault.strerror}"
            trainings.end(self._store, number, TrainingState.FAILED, reason=reason)
            return
        self._child = _Child(number, process)
        _log.info("training_started", training=number, pid=process.pid)
        trainings.entrust(self._store, number, process.pid)

    def _see_to_child(self) -> None:
        child = self._child
        if child is None or (code := child.process.poll()) is None:
            return
        one = trainings.training(self._store, child.number)
        if one is not None and one.state is TrainingState.RUNNING and one.pid in {child.process.pid, os.getpid()}:
            lines = last_lines(self._config, child.number, 1)
            reason = f"it ended without a word ({_ending(code)})" + (f": {lines[0]}" if lines else "")
            trainings.end(self._store, child.number, TrainingState.FAILED, reason=reason)
        elif one is not None and one.state is TrainingState.DONE:
            log_of(self._config, child.number).unlink(missing_ok=True)
        _log.info("training_ended", training=child.number, pid=child.process.pid, code=code)
        self._child = None


def log_of(config: Config, number: int) -> Path:
    """What a training says on its standard output and error; gone when it is done."""
    return config.store.models / LOGS / f"{number}.log"


def last_lines(config: Config, number: int, lines: int) -> Sequence[str]:
    """The end of a training's log, the newest last; empty where there is none."""
    try:
        with log_of(config, number).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line[:LONGEST_LINE] for line in text.splitlines() if line.strip()][-lines:]


def _lives(pid: int) -> bool:
    """Whether a process of this host is there, and more than an entry that nobody has asked after."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
