"""How much may be in hand at a time: who does not fit in waits, and whoever comes after waits behind."""

from __future__ import annotations

import gc
import threading
from typing import Final

_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0


class Room:
    """Room for ``size`` bytes, shared by threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._open = False

    def enter(self, cost: int) -> None:
        """Wait until it fits in; alone, everything does."""
        wait_s = _FIRST_WAIT_S
        with self._turn, self._changed:
            while not self._changed.wait_for(lambda: self._fits(cost), wait_s):
                gc.collect()  # an error that refers to itself holds what its frames held until then
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            self._taken += cost

    def leave(self, cost: int) -> None:
        """Make room again; any thread."""
        with self._changed:
            self._taken -= cost
            self._changed.notify()

    def open(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._open = True
            self._changed.notify()

    def _fits(self, cost: int) -> bool:
        return self._open or not self._taken or self._taken + cost <= self._size
