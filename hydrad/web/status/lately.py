"""Answers that are given again for a while: many who look at a page cost the data base as much as one."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from hydrad.web.site import Site

T = TypeVar("T")


class Lately(Generic[T]):
    """What was found not long ago, else what is found now.

    Args:
        find: asks the data base; what it raises is raised, and nothing is remembered.
        for_s: how long an answer is given again.
    """

    def __init__(self, find: Callable[[Site], T], for_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._for_s = for_s
        self._clock = clock
        self._found: WeakKeyDictionary[Site, tuple[float, T]] = WeakKeyDictionary()
        self._lock = Lock()  # one asks, and the others wait for what it hears

    def __call__(self, site: Site) -> T:
        """The answer; may be called from any thread."""
        with self._lock:
            held = self._found.get(site)
            if held is None or self._clock() - held[0] >= self._for_s:
                held = self._clock(), self._find(site)
                self._found[site] = held
            return held[1]
