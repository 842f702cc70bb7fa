"""What is new, told to every page that listens."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from fastapi.sse import format_sse_event

from hydrad import log
from hydrad.domain import as_json, zulu
from hydrad.errors import HydradError, TryAgain
from hydrad.store import news
from hydrad.store.history.tail import Acknowledged, Look, Tail
from hydrad.store.news import News
from hydrad.store.queries import Store
from hydrad.store.rows import FiledVerdict, Heartbeat
from hydrad.web.clocks import Clocks, lives

LOOK_EVERY_S: Final = 0.5
SAY_EVERY_S: Final = 2.0  # the daemon's health, so that a page notices a connection that says nothing any more
MOST_WAITING: Final = 1000  # frames for one listener; whoever is further behind looks at the whole wall again
MOST_LISTENERS: Final = 500
RETRY_MS: Final = 1000
MOST_SEEN: Final = 200  # acknowledgements remembered for pages that are just opening
LATELY_S: Final = 60.0

_log = log.get("feed")


def printable(text: str) -> str:
    """The text with what has no UTF-8 form (bytes of a file's name) written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def health_of(heartbeat: Heartbeat | None, now: datetime) -> dict[str, Any]:
    """The daemon's health as pages and events have it; without a heartbeat there never was a daemon."""
    if heartbeat is None:
        return {
            "known": False, "alive": False, "health": None, "why": "no daemon has ever been here", "host": None,
            "beat_at": None, "started_at": None, "now": zulu(now), "pending": 0, "beam": None, "run": None,
            "images_per_s": None,
        }  # fmt: skip
    details = heartbeat.details or {}
    beam, run = details.get("beam"), details.get("run")
    return {
        "known": True,
        "alive": lives(heartbeat, now),
        "health": heartbeat.health.name,
        "why": printable(heartbeat.why),
        "host": printable(heartbeat.host),
        "beat_at": zulu(heartbeat.beat_at),
        "started_at": zulu(heartbeat.started_at),
        "now": zulu(now),
        "pending": heartbeat.pending,
        "beam": dict(beam) if isinstance(beam, Mapping) else None,
        "run": dict(run) if isinstance(run, Mapping) else None,
        "images_per_s": details.get("images_per_s"),
    }


def news_of(line: News | None) -> dict[str, Any]:
    """The line of news as pages and events have it; ``text`` is empty where there is none."""
    if line is None:
        return {"text": "", "person": None, "said_at": None, "until": None}
    return {
        "text": printable(line.text),
        "person": printable(line.person),
        "said_at": zulu(line.said_at),
        "until": zulu(line.until),
    }


def frame(event: str, document: Mapping[str, Any], number: int | None = None) -> bytes:
    """One event as it goes over the wire."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return format_sse_event(data_str=text, event=event, id=None if number is None else str(number))


MISSED: Final = frame("missed", {})


def verdict_frame(filed: FiledVerdict, *, numbered: bool = True) -> bytes:
    """A verdict as an event; a listener that comes back with its number hears what came after it."""
    return frame("verdict", as_json(filed.verdict, filed.id), filed.id if numbered else None)


def acknowledged_of(one: Acknowledged) -> dict[str, Any]:
    """That somebody has seen it, as events have it."""
    return {"plot": one.plot, "episode": one.episode, "by": printable(one.person), "at": zulu(one.at)}


class Listener:
    """What waits for one page; one that falls too far behind is told to look at the whole wall instead."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int | None, bytes]] = deque()
        self._woken = asyncio.Event()
        self._closed = False

    def offer(self, told: bytes, number: int | None = None) -> None:
        """Put this in line.

        Args:
            number: of the verdict that it tells of.
        """
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            self._waiting.append((None, MISSED))
        self._waiting.append((number, told))
        self._woken.set()

    def close(self) -> None:
        """There is no more."""
        self._closed = True
        self._woken.set()

    async def frames(self) -> AsyncIterator[tuple[int | None, bytes]]:
        """Everything in line and to come, until it is closed; the number is that of a verdict."""
        while not self._closed:
            while self._waiting and not self._closed:
                yield self._waiting.popleft()
            self._woken.clear()
            if not self._waiting and not self._closed:
                await self._woken.wait()


@dataclass(frozen=True, slots=True)
class _Glance:
    """What one look into the data base has found."""

    look: Look
    heartbeat: Heartbeat | None
    news: News | None
    at: datetime


class Feed:
    """Looks into the data base for what is new, and tells every listener; :meth:`run` is a root task."""

    def __init__(self, store: Store, clocks: Clocks | None = None) -> None:
        self._store = store
        self._clocks = clocks or Clocks(store)
        self._tail = Tail(store)
        self._listeners: set[Listener] = set()
        self._closed = False
        self._health: dict[str, Any] | None = None
        self._said_at = float("-inf")
        self._news: dict[str, Any] = news_of(None)
        self._seen: deque[tuple[datetime, bytes]] = deque(maxlen=MOST_SEEN)  # who has acknowledged what, of late
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """Why the data base cannot be asked at present, or None."""
        return self._trouble

    async def run(self) -> NoReturn:
        """Look, for ever; a data base that is away is told of once, and looked for until it is back."""
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            busy = False
            try:
                glance = await self._looked(clock)
            except HydradError as why:
                self._away(str(why), clock())
            else:
                self._back()
                self._tell(glance, clock())
                busy = bool(glance.look.verdicts)
            await asyncio.sleep(0.05 if busy else max(0.05, LOOK_EVERY_S - (clock() - began)))

    async def _looked(self, clock: Callable[[], float]) -> _Glance:
        """One look; a data base that takes its time over it is told of before it is given up."""
        began = clock()
        looking = asyncio.create_task(asyncio.to_thread(self._glance), name="look")
        try:
            while not (await asyncio.wait({looking}, timeout=SAY_EVERY_S))[0]:
                self._away(f"the data base has not answered for {clock() - began:.0f} s", clock())
            return looking.result()
        finally:
            looking.cancel()

    def require_room(self) -> None:
        """Raise TryAgain if there are as many listeners as this process will serve."""
        if self._closed or len(self._listeners) >= MOST_LISTENERS:
            raise TryAgain("as many pages listen already as this server will serve")

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Hear what is new from here on, and before it how things are at present."""
        listener = Listener()
        for told in self._present():
            listener.offer(told)
        if self._closed:
            listener.close()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """End what every listener hears: the server is about to stop."""
        self._closed = True
        for listener in self._listeners:
            listener.close()

    # ---- how it is done ----

    def _glance(self) -> _Glance:
        look = self._tail.look()
        now = datetime.now(UTC)
        return _Glance(look, self._clocks.heartbeat(), news.current(self._store, now), now)

    def _present(self) -> Iterator[bytes]:
        if self._health is not None:
            yield frame("health", {**self._health, "now": zulu(datetime.now(UTC))})
        yield frame("news", self._news)
        # A page is written before it listens: what fell between the two is told again, and changes nothing twice.
        lately = datetime.now(UTC) - timedelta(seconds=LATELY_S)
        yield from (told for at, told in self._seen if at >= lately)
        if self._trouble is not None:
            yield frame("trouble", {"words": self._trouble})

    def _all(self, told: bytes, number: int | None = None) -> None:
        for listener in self._listeners:
            listener.offer(told, number)

    def _tell(self, glance: _Glance, now: float) -> None:
        if glance.look.missed:
            self._all(MISSED)
        for filed in glance.look.verdicts:
            # One that became visible late carries no number: whoever resumes goes on after the highest.
            self._all(verdict_frame(filed, numbered=filed.id not in glance.look.late), filed.id)
        for one in glance.look.acknowledged:
            told = frame("acknowledged", acknowledged_of(one))
            self._seen.append((glance.at, told))
            self._all(told)
        line = news_of(glance.news)
        if line != self._news:
            self._news = line
            self._all(frame("news", line))
        health = health_of(glance.heartbeat, glance.at)
        if now - self._said_at >= SAY_EVERY_S or _differs(health, self._health):
            self._health, self._said_at = health, now
            self._all(frame("health", health))

    def _away(self, words: str, now: float) -> None:
        if self._trouble is None:
            _log.error("data_base_away", why=words)
        if self._trouble is None or now - self._said_at >= SAY_EVERY_S:
            self._said_at = now
            self._all(frame("trouble", {"words": printable(words)}))
        self._trouble = words

    def _back(self) -> None:
        if self._trouble is not None:
            _log.info("data_base_back")
            self._trouble = None
            self._said_at = float("-inf")
            self._all(frame("trouble", {"words": None}))
            self._all(MISSED)


def _differs(now: Mapping[str, Any], said: Mapping[str, Any] | None) -> bool:
    """Whether something has changed that people would want to know at once; ages and rates can wait."""
    if said is None:
        return True
    beams = [(one["beam"] or {}).get("state") for one in (now, said)]
    runs = [{key: (one["run"] or {}).get(key) for key in ("state", "number", "type")} for one in (now, said)]
    return (
        beams[0] != beams[1]
        or runs[0] != runs[1]
        or any(now[key] != said[key] for key in ("known", "alive", "health", "why", "host"))
    )
