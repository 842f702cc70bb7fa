"""Pictures that may be the death of the daemon: what was in hand when one ended without a word is remembered."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from hydrad import log

MOST_DEATHS = 2  # the first perhaps in the company of the one that did it, the second alone
MOST_REMEMBERED = 1000

_END = "\0"  # of what is in hand; what stands after it in the file is older

_log = log.get("deaths")


class Deaths:
    """What was in native code whenever a daemon was killed, crashed or was ended for hanging; a context manager.

    A picture is named by a word of the caller's choice without white space. What was in hand at a death is a
    *suspect*: it is in hand alone from then on. After ``most`` deaths it is *hopeless*, and should be in hand no more.
    A suspect that is survived is none any more.

    The file is written before each picture and not synced: the kernel keeps it when a process dies, and when the host
    does, no picture was to blame. A disk that does not take it stops nothing.

    Args:
        note: the file, written by one process at a time; another beside it has the counts. None: nothing is remembered.
        most: deaths.
    """

    def __init__(self, note: Path | None = None, *, most: int = MOST_DEATHS) -> None:
        self._note = note
        self._most = most
        self._descriptor: int | None = None
        self._counts: dict[str, int] = {}
        self._mute = False
        self._changed = threading.Condition()
        self._in_hand: list[str] = []
        self._suspects = 0  # calls that have a suspect in hand, or wait until they may

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
        with self._changed:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def suspect(self, name: str) -> bool:
        """Whether it was in hand when a daemon died."""
        return name in self._counts

    def hopeless(self, name: str) -> bool:
        """Whether a daemon has died of it often enough."""
        return self._counts.get(name, 0) >= self._most

    @contextmanager
    def survived(self, names: Sequence[str]) -> Iterator[None]:
        """These are in hand in the meantime; any thread. That something fails is no death.

        Waits, with a suspect until nothing else is in hand, and else until no suspect is.
        """
        suspect = any(map(self.suspect, names))
        with self._changed:
            self._suspects += suspect
            self._changed.wait_for(lambda: not (self._in_hand if suspect else self._suspects))
            self._in_hand += names
            self._write()
        try:
            yield
        finally:
            with self._changed:
                self._suspects -= suspect
                for name in names:
                    self._in_hand.remove(name)
                self._write()
                if len(names) == 1 and self._counts.pop(names[0], 0):
                    _log.info("suspect_survived", picture=names[0])
                    self._keep()
                self._changed.notify_all()

    def _read(self, note: Path) -> None:
        counts = self._place(note)
        if counts.exists():
            self._counts = _counts_in(counts.read_text(encoding="utf-8"))
        if note.exists():
            text = note.read_text(encoding="utf-8", errors="replace").partition(_END)[0]
            if in_hand := dict.fromkeys(text.split()):  # a picture may be in hand twice
                self._blame(in_hand)
        self._descriptor = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)

    def _blame(self, in_hand: Collection[str]) -> None:
        for name in in_hand:
            self._counts[name] = self._counts.pop(name, 0) + 1  # the newest stand last
            tell = _log.error if self.hopeless(name) else _log.warning
            tell("daemon_died", picture=name, times=self._counts[name], in_hand=len(in_hand))
        self._counts = dict(list(self._counts.items())[-MOST_REMEMBERED:])
        self._keep()

    def _write(self) -> None:
        if self._descriptor is None:
            return
        try:
            os.pwrite(self._descriptor, ("\n".join(self._in_hand) + _END).encode(), 0)
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
