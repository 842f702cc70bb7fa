"""A model that is ready to compute, with the pictures that wait for it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass, field

from hydrad import log
from hydrad.classify.bundle import Bundle
from hydrad.classify.claims import Claim
from hydrad.classify.prepare import Prepared
from hydrad.classify.runtime import Runtime
from hydrad.domain import ModelCard, Prediction, Specimen

RELIEF_S = 60.0  # after so long without room for a whole batch it is tried again

_log = log.get("classify")


@dataclass(slots=True, eq=False)
class Request:
    """A picture that waits to be computed."""

    prepared: Prepared
    name: str  # under which it is remembered should the daemon die of it
    answer: asyncio.Future[Prediction]
    since: float  # time.monotonic() at which it could have been computed


@dataclass(slots=True, eq=False)
class Loaded:
    """A model that has passed its tests and is warm, and the pictures that wait for it."""

    bundle: Bundle
    runtime: Runtime
    claim: Claim
    card: ModelCard
    specimen: Specimen
    coming: int = 0  # pictures that are read for it
    computing: int = 0  # pictures in hand
    waiting: deque[Request] = field(default_factory=deque)
    _room: int | None = None  # the most images there was memory for
    _room_until: float = 0.0  # time.monotonic() until which no more are tried

    @property
    def id(self) -> str:
        """The model's name."""
        return self.bundle.id

    @property
    def full(self) -> bool:
        """True when more pictures wait than are computed at once."""
        return len(self.waiting) >= self.at_once

    @property
    def at_once(self) -> int:
        """The most images computed at once, at present."""
        if self._room is not None and time.monotonic() >= self._room_until:
            self._room = None
        return self._room or self.runtime.batch

    def lacks_room(self, images: int) -> None:
        """There was not memory enough for so many: for a while no more than half of it are computed at once."""
        self._room = max(1, images // 2)
        self._room_until = time.monotonic() + RELIEF_S
        _log.warning("no_room_for_batch", model=self.id, images=images, now_at_once=self._room)

    @property
    def busy(self) -> bool:
        """True while it computes a picture, or one waits for it or is about to."""
        return bool(self.computing or self.waiting or self.coming)

    def due_s(self, now: float, max_wait_s: float) -> float:
        """Seconds until its next batch should start; for ever when nobody waits."""
        if not self.waiting:
            return math.inf
        return 0.0 if self.full or not self.coming else self.waiting[0].since + max_wait_s - now
