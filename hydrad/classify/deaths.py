"""Pictures that may be the death of the daemon: what was computed when one ended without a word is remembered."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from hydrad import log

MOST_DEATHS = 2  # of a picture: the first perhaps in the company of the one that did it, the second alone
MOST_REMEMBERED = 1000

_log = log.get("classify")


class Deaths:
    """What a model was computing whenever a daemon was killed, crashed or was ended for hanging; a context manager.

    A picture is named by a word of the caller's choice without white space. What was in hand at a death is a
    *suspect*, to be computed alone; after :data:`MOST_DEATHS` it is *hopeless*, to be computed no more. A suspect that
    is survived is none any more.

    The file is written before each computation and not synced: the kernel keeps it when a process dies, and when the
    host does, no picture was to blame. A disk that does not take it stops no computation.

    Args:
        note: the file, written by one process at a time; another beside it has the counts. None: nothing is remembered.
    """

    def __init__(self, note: Path | None = None) -> None:
        self._note = note
        self._descriptor: int | None = None
        self._counts: dict[str, int] = {}
        self._mute = False

    def __enter__(self) -> Self:
        """Read what an earlier process left behind."""
        if self._note is not None:
            try:
                self._read(self._note)
            except OSError as fault:
                self._complain(fault)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def suspect(self, name: str) -> bool:
        """Whether it was in hand when a daemon died."""
        return name in self._counts

    def hopeless(self, name: str) -> bool:
        """Whether a daemon has died of it often enough."""
        return self._counts.get(name, 0) >= MOST_DEATHS

    @contextmanager
    def survived(self, names: Sequence[str]) -> Iterator[None]:
        """These are in hand in the meantime; that a computation fails is no death."""
        self._write("\n".join(names))
        try:
            yield
        finally:
            self._write("")
            if len(names) == 1 and self._counts.pop(names[0], 0):
                _log.info("suspect_survived", picture=names[0])
                self._keep()

    def _read(self, note: Path) -> None:
        counts = self._place(note)
        if counts.exists():
            self._counts = _counts_in(counts.read_text(encoding="utf-8"))
        if note.exists() and (in_hand := note.read_text(encoding="utf-8", errors="replace").split()):
            self._blame(in_hand)
        self._descriptor = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)

    def _blame(self, in_hand: Collection[str]) -> None:
        for name in in_hand:
            self._counts[name] = self._counts.pop(name, 0) + 1  # the newest stand last
            tell = _log.error if self.hopeless(name) else _log.warning
            tell("daemon_died_computing", picture=name, times=self._counts[name], in_hand=len(in_hand))
        self._counts = dict(list(self._counts.items())[-MOST_REMEMBERED:])
        self._keep()

    def _write(self, text: str) -> None:
        if self._descriptor is None:
            return
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)
        except OSError as fault:
            self._complain(fault)

    def _keep(self) -> None:
        if self._note is None:
            return
        aside = self._note.with_name(f"{self._note.name}.aside")
        try:
            aside.write_text(json.dumps(self._counts), encoding="utf-8")
            aside.rename(self._place(self._note))
        except OSError as fault:
            self._complain(fault)

    def _complain(self, fault: OSError) -> None:
        if not self._mute:
            _log.error("deaths_not_noted", file=str(self._note), why=str(fault))
        self._mute = True

    @staticmethod
    def _place(note: Path) -> Path:
        return note.with_name(f"{note.name}.deaths")


def _counts_in(text: str) -> dict[str, int]:
    try:
        counts = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(counts, dict):
        return {}
    return {name: count for name, count in counts.items() if isinstance(count, int)}
