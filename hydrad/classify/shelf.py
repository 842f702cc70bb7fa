"""So many networks are open at a time; those used longest ago are closed, and opened and tested anew on need."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Final

from hydrad import footprint, log
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.runtime import Answers, Batch, OpenRuntime, Runtime, ready
from hydrad.errors import BundleError

OPEN: Final = 32
HOT: Final = 4  # of those, that keep the memory in which they compute: half of what a small network takes

_log = log.get("classify")


class Shelf:
    """Keeps order among runtimes, whichever threads use them. It does not keep them alive.

    Args:
        open_models: the most networks that are open; at least one.
        hot: of them the most that keep the memory in which they compute.
    """

    def __init__(self, open_models: int = OPEN, hot: int = HOT) -> None:
        self._open_models = open_models
        self._hot = hot
        self._all: weakref.WeakSet[OnNeed] = weakref.WeakSet()
        self._uses = 0
        self._lock = threading.Lock()

    @property
    def open(self) -> int:
        """How many networks are open now."""
        with self._lock:
            return sum(one.is_open for one in self._all)

    def opener(self, open_runtime: OpenRuntime) -> OpenRuntime:
        """What opens bundles as ``open_runtime`` does, to be closed and opened again by this shelf."""

        def open_on_need(bundle: Bundle, batch: int) -> Runtime:
            return OnNeed(bundle, batch, open_runtime=open_runtime, shelf=self)

        return open_on_need

    def used(self, runtime: OnNeed) -> None:
        """This one was used last: those used longest ago may have to give way."""
        with self._lock:
            self._all.add(runtime)
            self._uses += 1
            runtime.used = self._uses
            newest = sorted((one for one in self._all if one.is_open), key=lambda one: one.used, reverse=True)
        for one in newest[self._hot : self._open_models]:
            one.rest()
        for one in newest[self._open_models :]:
            one.close()


class OnNeed:
    """A bundle whose network is open, or is opened when it is used.

    Raises:
        BundleError: it cannot be opened.
    """

    used = 0  # the shelf's number of its last use

    def __init__(self, bundle: Bundle, batch: int, *, open_runtime: OpenRuntime, shelf: Shelf) -> None:
        self._read = bundle
        self._open_runtime = open_runtime
        self._shelf = shelf
        self._busy = threading.Lock()
        self._rests = False
        self._runtime: Runtime | None = open_runtime(bundle, batch)
        self.name = self._runtime.name
        self.bundle = self._runtime.bundle
        self.batch = self._runtime.batch
        shelf.used(self)

    @property
    def is_open(self) -> bool:
        """Whether its network is there."""
        return self._runtime is not None

    def compute(self, batch: Batch) -> Answers:
        """See :class:`hydrad.classify.runtime.Runtime`; raises BundleError also when it cannot be opened any more."""
        with self._busy:
            self._rests = False
            answers = self._opened().compute(batch)
        self._shelf.used(self)
        return answers

    def warm(self) -> None:
        """Compute every size of batch once."""
        with self._busy:
            self._opened().warm()

    def rest(self) -> None:
        """Give back the memory in which it computes, unless it does so now."""
        if self._rests or not self._busy.acquire(blocking=False):
            return
        try:
            if self._runtime is not None:
                self._runtime.rest()
                self._rests = True
        finally:
            self._busy.release()

    def close(self) -> None:
        """Let the network go, unless it computes now."""
        if not self._busy.acquire(blocking=False):
            return
        try:
            self._runtime = None
        finally:
            self._busy.release()
        _log.info("model_closed", model=self.bundle.id)

    def _opened(self) -> Runtime:
        if self._runtime is not None:
            return self._runtime
        began = time.monotonic()
        footprint.tidy()  # what was closed may refer to itself
        found = bundles.read(self._read.folder)
        if found.manifest != self._read.manifest:
            raise BundleError(f"model {self.bundle.id!r} has other files now than when it came into service")
        self._runtime = ready(found, self._open_runtime, self.batch)
        _log.info("model_opened_again", model=self.bundle.id, took_s=round(time.monotonic() - began, 2))
        return self._runtime
