"""What is new, as it comes: told to many at once, resumed, and ended when the server ends."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import Pages
from databases import started
from store_world import entry_of, verdict_of
from web_world import Seen, World, world

from hydrad.domain import Cause, Health, Role, Status, as_json
from hydrad.store import news, schema
from hydrad.store.history import episodes, newest
from hydrad.store.models.registry import Who
from hydrad.store.packing import Parcel
from hydrad.store.people import accounts, passes
from hydrad.store.queries import Store
from hydrad.web import feed as feeding
from hydrad.web.clocks import DEAD_AFTER
from hydrad.web.feed import MISSED, MOST_WAITING, Feed, Listener
from hydrad.web.verdicts import MOST_RESUMED

WITHIN_S = 30.0


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    made = world(tmp_path)
    with made.store:
        made.see(Seen("CDC_occupancy", Status.GOOD, 0))
        made.beat()
        yield made


def told(frame: bytes) -> tuple[str, Any]:
    """An event's name and document."""
    lines = dict(line.split(": ", 1) for line in frame.decode().strip().splitlines())
    return lines["event"], json.loads(lines["data"])


class Heard:
    """What a listener has heard so far."""

    def __init__(self, listener: Listener) -> None:
        self.events: list[tuple[str, Any]] = []
        self.task = asyncio.create_task(self._hear(listener))

    async def _hear(self, listener: Listener) -> None:
        async for _, frame in listener.frames():
            self.events.append(told(frame))

    def of(self, name: str) -> list[Any]:
        return [document for event, document in self.events if event == name]

    async def until(self, fact: Callable[[Heard], object]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not fact(self):
            assert time.monotonic() < deadline, self.events[-5:]
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Feed]:
    feed = Feed(store)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        feed.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def listening(feed: Feed) -> AsyncIterator[Heard]:
    with feed.listening() as listener:
        heard = Heard(listener)
        try:
            yield heard
        finally:
            listener.close()
            await heard.task


async def test_a_verdict_is_told_to_everybody_who_listens(here: World) -> None:
    async with running(here.store) as feed, listening(feed) as one, listening(feed) as other:
        await one.until(lambda heard: heard.of("health"))
        here.see(Seen("CDC_occupancy", Status.BAD, 30, "Bad", 0.97), Seen("FCAL_map", Status.GOOD, 31))
        for heard in (one, other):
            await heard.until(lambda heard: len(heard.of("verdict")) == 2)
            assert [document["status"] for document in heard.of("verdict")] == ["BAD", "GOOD"]
        assert one.of("verdict")[0] == as_documents(here)[1]


def as_documents(here: World) -> list[Any]:
    return [as_json(filed.verdict, filed.id) for filed in newest.after(here.store, 0, 100)]


async def test_the_daemons_health_is_told_and_its_death(here: World) -> None:
    async with running(here.store) as feed, listening(feed) as heard:
        await heard.until(lambda heard: heard.of("health"))
        said = heard.of("health")[-1]
        assert (said["alive"], said["health"], said["beam"]["state"]) == (True, "OK", "ON")
        here.beat(health=Health.DEGRADED, why="the data base is slow")
        await heard.until(lambda heard: heard.of("health")[-1]["why"] == "the data base is slow")
        here.beat(ago_s=DEAD_AFTER.total_seconds() + 1)
        await heard.until(lambda heard: not heard.of("health")[-1]["alive"])


async def test_health_is_told_again_though_nothing_has_changed(here: World) -> None:
    async with running(here.store) as feed, listening(feed) as heard:
        await heard.until(lambda heard: len(heard.of("health")) >= 3)


async def test_news_are_told_when_they_come_and_when_they_go(here: World) -> None:
    async with running(here.store) as feed, listening(feed) as heard:
        await heard.until(lambda heard: heard.of("health"))
        news.say(here.store, "beam at eight", person="otto", host="desk", now=here.began)
        await heard.until(lambda heard: heard.of("news")[-1]["text"] == "beam at eight")
        news.say(here.store, "", person="otto", host="desk", now=here.began)
        await heard.until(lambda heard: heard.of("news")[-1]["text"] == "")


async def test_who_has_seen_it_is_told_to_pages_that_were_just_opening_too(here: World) -> None:
    here.see(Seen("CDC_occupancy", Status.BAD, 30, "Bad", 0.97))
    episode = newest.showing(here.store).plots[0].episode
    assert episode is not None
    async with running(here.store) as feed, listening(feed) as early:
        await early.until(lambda heard: heard.of("health"))
        episodes.acknowledge(here.store, [episode.id], comment="", person="anna", host="desk-1")
        await early.until(lambda heard: heard.of("acknowledged"))
        async with listening(feed) as late:
            await late.until(lambda heard: heard.of("acknowledged"))
            (told_late,) = late.of("acknowledged")
            assert (told_late["plot"], told_late["episode"], told_late["by"]) == ("CDC_occupancy", episode.id, "anna")


@pytest.mark.mariadb
async def test_a_data_base_that_hangs_or_goes_is_told_of_and_so_is_its_return() -> None:
    with started() as server:
        url = server.create()
        schema.upgrade(url)
        with Store(url) as store:
            async with running(store) as feed, listening(feed) as heard:
                await heard.until(lambda heard: heard.of("health"))
                server.freeze()
                try:
                    await heard.until(lambda heard: len(heard.of("trouble")) >= 2)  # said again while it lasts
                finally:
                    server.thaw()
                assert "has not answered" in heard.of("trouble")[0]["words"]
                await heard.until(lambda heard: heard.of("trouble")[-1]["words"] is None)
                server.kill()
                await heard.until(lambda heard: heard.of("trouble")[-1]["words"])
                assert feed.trouble
                missed = len(heard.of("missed"))
                await asyncio.to_thread(server.start)
                await heard.until(lambda heard: heard.of("trouble")[-1]["words"] is None)
                assert feed.trouble is None
                await heard.until(lambda heard: len(heard.of("missed")) > missed)
                verdict = verdict_of()
                await asyncio.to_thread(store.put, [Parcel(entry_of(verdict), verdict)])
                await heard.until(lambda heard: heard.of("verdict"))


async def test_a_listener_that_does_not_listen_keeps_nobody_waiting_and_little_memory() -> None:
    slow = Listener()
    tracemalloc.start()
    try:
        for number in range(20 * MOST_WAITING):
            slow.offer(b"x" * 1000 + str(number).encode(), number)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * MOST_WAITING * 1100
    frames = slow.frames()
    assert (await anext(frames))[1] == MISSED
    last = None
    while slow._waiting:
        last = await anext(frames)
    assert last is not None
    assert last[0] == 20 * MOST_WAITING - 1  # the newest is there
    await frames.aclose()


async def test_more_listeners_than_it_serves_are_turned_away(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "MOST_LISTENERS", 1)
    feed = Feed(here.store)
    with feed.listening(), pytest.raises(feeding.TryAgain):
        feed.require_room()
    feed.require_room()


# ---- over the wire ----


@contextmanager
def stream(pages: Pages, **words: Any) -> Iterator[Iterator[tuple[str, Any, str | None]]]:
    """Events as a program hears them: name, document, number."""
    with httpx.stream("GET", f"{pages.address}/api/v1/events", timeout=WITHIN_S, **words) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")

        def events() -> Iterator[tuple[str, Any, str | None]]:
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                if "event" in fields:
                    yield fields["event"], json.loads(fields["data"]), fields.get("id")
                fields = {}

        yield events()


def verdicts_of(events: Iterator[tuple[str, Any, str | None]], count: int) -> list[tuple[int, str | None]]:
    found = []
    for name, document, number in events:
        if name == "verdict":
            found.append((document["id"], number))
            if len(found) == count:
                break
    return found


def test_the_stream_goes_on_where_it_was_left_and_ends_with_the_server(here: World) -> None:
    with Pages(here.settings) as pages:
        with stream(pages) as events:
            assert next(events)[0] == "health"
            here.see(Seen("CDC_occupancy", Status.BAD, 30, "Bad", 0.97))
            ((first, number),) = verdicts_of(events, 1)
            assert number == str(first)
        here.see(*(Seen("CDC_occupancy", Status.BAD, 60 + n, "Bad", 0.97) for n in range(3)))
        expected = [(first + n, str(first + n)) for n in (1, 2, 3)]
        with stream(pages, headers={"Last-Event-ID": str(first)}) as events:
            assert verdicts_of(events, 3) == expected
        with stream(pages, params={"after": first}) as events:
            assert verdicts_of(events, 3) == expected
        with stream(pages, params={"after": first}, headers={"Last-Event-ID": str(first + 2)}) as events:
            assert verdicts_of(events, 1) == expected[2:]
        with stream(pages, headers={"Last-Event-ID": "none of yours"}) as events:
            assert next(events)[0] == "health"
        assert httpx.get(f"{pages.address}/api/v1/events", params={"after": -1}).status_code == 422
        with stream(pages) as events, stream(pages) as others:
            assert next(events)[0] == next(others)[0] == "health"
            pages.process.send_signal(signal.SIGTERM)
            with suppress(httpx.RemoteProtocolError):
                for _ in events:
                    pass
            assert pages.process.wait(15) == 0
            assert "graceful shutdown exceeded" not in pages.log.read_text()  # it does not wait for what has no end


def test_whoever_missed_too_much_is_told_to_look_at_everything(here: World) -> None:
    here.store.put([Parcel(verdict=verdict_of(cause=Cause.CLOCK)) for _ in range(MOST_RESUMED + 10)])
    with Pages(here.settings) as pages, stream(pages, params={"after": 1}) as events:
        assert next(name for name, _, _ in events if name in {"verdict", "missed"}) == "missed"


def test_a_stream_ends_when_whoever_listens_is_shut_out(tmp_path: Path) -> None:
    made = world(tmp_path, web='auth = "local"')
    with made.store:
        made.beat()
        by = Who("ann", "here", "cli")
        ana = accounts.add(made.store, "ana", Role.VIEWER, by)
        accounts.add(made.store, "ann", Role.ADMIN, by)
        token, _ = passes.make_token(made.store, ana, by, purpose="a wall")
        with Pages(made.settings) as pages:
            words = {"Authorization": f"Bearer {token}"}
            with httpx.stream("GET", f"{pages.address}/api/v1/events", headers=words, timeout=WITHIN_S) as answer:
                assert answer.status_code == 200
                lines = answer.iter_lines()
                assert any(line == "event: health" for line in lines)
                accounts.set_disabled(made.store, ana.id, by, disabled=True)
                began = time.monotonic()
                for _ in lines:
                    assert time.monotonic() < began + WITHIN_S, "it went on"
            assert httpx.get(f"{pages.address}/api/v1/events", headers=words).status_code == 401
