"""The letter box between foreign threads and the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hydrad.inbox import Inbox


def box(limit: int = 10_000) -> Inbox[tuple[str, int]]:
    return Inbox(asyncio.get_running_loop(), key=lambda item: item[0], limit=limit)


async def test_what_is_posted_comes_out_in_order() -> None:
    inbox = box()
    for n, name in enumerate("abc"):
        inbox.post((name, n))
    assert inbox.pending == 3
    assert [await inbox.get() for _ in range(3)] == [("a", 0), ("b", 1), ("c", 2)]
    assert inbox.pending == 0


async def test_only_the_newest_of_a_key_is_kept_in_the_place_of_the_first() -> None:
    inbox = box()
    for item in (("a", 1), ("b", 1), ("a", 2)):
        inbox.post(item)
    assert inbox.drain() == [("a", 2), ("b", 1)]
    assert inbox.drain() == []


async def test_without_a_key_everything_is_kept() -> None:
    inbox: Inbox[tuple[str, int]] = Inbox(asyncio.get_running_loop())
    items = [("a", n) for n in range(5)]
    for item in items:
        inbox.post(item)
    assert inbox.drain() == items


async def test_what_does_not_fit_is_counted_not_kept() -> None:
    inbox = box(limit=2)
    for n, name in enumerate("abcab"):
        inbox.post((name, n))
    assert inbox.take_loss() == 1
    assert inbox.take_loss() == 0
    assert inbox.drain() == [("a", 3), ("b", 4)]


async def test_a_loss_wakes_the_reader() -> None:
    inbox = box(limit=0)
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0)
    inbox.post(("a", 1))
    await asyncio.wait_for(waiting, 2)
    assert inbox.take_loss() == 1


async def test_a_nudge_wakes_the_reader_and_nothing_else_does() -> None:
    inbox = box()
    await inbox.wait(0.01)
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    inbox.nudge()
    await asyncio.wait_for(waiting, 2)


async def test_waiting_with_something_inside_returns_at_once() -> None:
    inbox = box()
    inbox.post(("a", 1))
    async with asyncio.timeout(2):
        await inbox.wait()
    assert inbox.pending == 1


async def test_a_reader_that_gives_up_loses_nothing() -> None:
    inbox = box()
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.post(("a", 1))
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await asyncio.wait_for(inbox.get(), 2) == ("a", 1)


async def test_eight_threads_lose_nothing() -> None:
    inbox = box(limit=100_000)
    threads = [
        threading.Thread(target=lambda k=k: [inbox.post((f"{k}-{n}", n)) for n in range(2000)]) for k in range(8)
    ]
    for thread in threads:
        thread.start()
    taken: list[tuple[str, int]] = []
    async with asyncio.timeout(20):
        async for item in inbox:
            taken.append(item)
            if len(taken) == 16_000:
                break
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 16_000
    for k in range(8):
        mine = [n for name, n in taken if name.startswith(f"{k}-")]
        assert mine == sorted(mine)


async def test_a_thousand_posts_ring_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    inbox = box()
    rings = []
    call = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda ring, *how: rings.append(ring) or call(ring, *how))
    for n in range(1000):
        inbox.post((str(n), n))
    assert len(rings) == 1
    await asyncio.sleep(0)
    inbox.post(("more", 1))
    assert len(rings) == 2


def test_a_post_after_the_loop_has_closed_does_no_harm() -> None:
    async def make() -> Inbox[tuple[str, int]]:
        return box()

    inbox = asyncio.run(make())
    inbox.post(("a", 1))
    inbox.nudge()
    assert inbox.pending == 1
