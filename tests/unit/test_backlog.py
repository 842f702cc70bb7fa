"""Files that wait: whose turn it is, and that no plot overtakes itself."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from fakes import NOON, arrival, in_no_time, rest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.backlog import Backlog


def at(seconds, plot="CDC_occupancy", **how):
    return arrival(plot, NOON + timedelta(seconds=seconds), **how)


async def life():
    """What happens to a file: here, nothing."""


def filled(*arrivals):
    """A backlog and what all its files are to live through."""
    backlog, its_life = Backlog(), life
    for one in arrivals:
        backlog.put(one, its_life)
    return backlog, its_life


async def taken(backlog):
    """All that can be taken, each done before the next."""
    order = []
    while len(backlog):
        one, _ = await backlog.take()
        order.append(one)
        backlog.done(one)
    return order


@in_no_time
async def test_a_file_comes_back_with_what_it_is_to_live_through():
    backlog, its_life = filled(at(0))
    assert await backlog.take() == (at(0), its_life)


@in_no_time
async def test_of_a_plot_the_newest_image_goes_first():
    backlog, _ = filled(at(1), at(3), at(2))
    assert await taken(backlog) == [at(3), at(2), at(1)]


@in_no_time
async def test_of_images_of_one_moment_the_one_written_last_goes_first():
    early, late = at(0, name="a_0001.png"), at(0, name="a_0002.png")
    late = replace(late, mtime_ns=late.mtime_ns + 1)
    backlog, _ = filled(early, late)
    assert await taken(backlog) == [late, early]


@in_no_time
async def test_the_plot_that_waited_longest_goes_first_and_then_queues_again():
    backlog, _ = filled(at(0, "A"), at(1, "A"), at(0, "B"), at(0, "C"))
    assert [one.plot for one in await taken(backlog)] == ["A", "B", "C", "A"]


@in_no_time
async def test_a_plot_in_hand_lets_others_pass():
    backlog, _ = filled(at(0, "A"), at(1, "A"), at(0, "B"))
    first, _ = await backlog.take()
    second, _ = await backlog.take()
    assert (first.plot, second.plot) == ("A", "B")
    third = asyncio.create_task(backlog.take())
    await rest()
    assert not third.done()
    assert len(backlog) == 3
    backlog.done(first)
    assert (await third)[0] == at(0, "A")


@in_no_time
async def test_a_newer_sighting_of_a_path_takes_the_place_of_the_older():
    backlog, _ = filled(at(0, name="a.png"), at(5, name="a.png"))
    assert len(backlog) == 1
    assert await taken(backlog) == [at(5, name="a.png")]


@in_no_time
async def test_whoever_waits_for_a_file_is_told_of_it():
    backlog, its_life = filled()
    takers = [asyncio.create_task(backlog.take()) for _ in range(3)]
    await rest()
    for plot in ("A", "B", "C"):
        backlog.put(at(0, plot), its_life)
    assert {one.plot for one, _ in await asyncio.gather(*takers)} == {"A", "B", "C"}


@in_no_time
async def test_a_taker_that_gives_up_takes_nothing_along():
    backlog, its_life = filled()
    taker = asyncio.create_task(backlog.take())
    await rest()
    backlog.put(at(0), its_life)
    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker
    assert (await backlog.take())[0] == at(0)


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 9), st.integers(0, 3)), max_size=30),
    st.integers(1, 4),
    st.lists(st.sampled_from([0, 0.01, 0.05, 0.3]), min_size=1, max_size=8).map(itertools.cycle),
)
@in_no_time
async def test_every_file_is_taken_once_and_no_plot_is_in_two_hands(files, hands, pauses_s):
    backlog, its_life = Backlog(), life
    in_hand, order = set(), []
    sightings = [at(moment, plot, name=f"{plot}{number}.png") for plot, moment, number in files]

    async def attend():
        while True:
            one, _ = await backlog.take()
            assert one.plot not in in_hand
            in_hand.add(one.plot)
            await asyncio.sleep(next(pauses_s))
            in_hand.remove(one.plot)
            order.append(one)
            backlog.done(one)

    attendants = [asyncio.create_task(attend()) for _ in range(hands)]
    for one in sightings:
        backlog.put(one, its_life)
        await asyncio.sleep(next(pauses_s))
    await asyncio.sleep(60)
    assert not any(attendant.done() for attendant in attendants)
    for attendant in attendants:
        attendant.cancel()
    await asyncio.wait(attendants)
    assert len(backlog) == 0
    last = {one.path: one for one in sightings}
    assert {one.path for one in order} == set(last)
    assert set(last.values()) <= set(order)
    assert set(order) <= set(sightings)


@in_no_time
async def test_what_is_new_of_a_plot_does_not_wait_for_what_others_have_overtaken():
    backlog, its_life = Backlog(), life
    for plot in "ABCDEFGH":
        for moment in range(20):
            backlog.put(at(moment, plot), its_life)
    for _ in range(8):  # the newest of each
        backlog.done((await backlog.take())[0])
    for moment in range(20, 30):
        for plot in "CF":
            backlog.put(at(moment, plot), its_life)
        for _ in "CF":
            one, _ = await backlog.take()
            assert one.taken_at == at(moment).taken_at
            backlog.done(one)


@in_no_time
async def test_of_plots_of_which_something_new_waits_the_one_shown_longest_goes_first():
    backlog, its_life = filled(at(0, "A"), at(0, "B"), at(0, "C"))
    await taken(backlog)
    for plot in "CBA":
        backlog.put(at(1, plot), its_life)
    assert [one.plot for one in await taken(backlog)] == ["A", "B", "C"]


@in_no_time
async def test_new_plots_without_end_do_not_keep_an_old_one_from_its_turn():
    backlog, its_life = filled(at(0, "A"))
    await taken(backlog)
    backlog.put(at(1, "A"), its_life)
    for number in range(100):
        backlog.put(at(2, f"B{number}"), its_life)
    assert (await backlog.take())[0].plot == "A"


@in_no_time
async def test_after_the_clock_was_set_back_what_comes_is_new():
    backlog, its_life = filled(at(3600, "A"), at(3600, "B"), at(0, "B"))
    for _ in "AB":
        backlog.done((await backlog.take())[0])
    backlog.put(replace(at(10, "A"), seen_at=NOON + timedelta(seconds=10)), its_life)
    assert [one.plot for one in await taken(backlog)] == ["A", "B"]


@in_no_time
async def test_too_many_files_cost_the_oldest_of_the_plots_that_have_most_and_no_plot_its_newest():
    backlog, its_life = Backlog(most=20), life
    for moment in range(30):
        backlog.put(at(moment, "A"), its_life)
    for moment in range(5):
        backlog.put(at(moment, "B"), its_life)
    out = []
    while surplus := backlog.surplus():
        out += [one for one, _ in surplus]
    assert len(backlog) <= 20
    assert out == [at(moment, "A") for moment in range(len(out))]
    assert len(await taken(backlog)) == 35 - len(out)


@in_no_time
async def test_a_plot_for_each_file_may_be_more_than_should_wait():
    backlog, _ = filled(*(at(0, f"P{n}") for n in range(30)))
    backlog._most = 20
    assert backlog.surplus() == []
    assert not backlog.relaxed
    assert len(await taken(backlog)) == 30
    assert backlog.relaxed


@in_no_time
async def test_no_more_files_are_in_hand_than_there_are_hands_for():
    hands = 2
    backlog = Backlog(hands=lambda _: hands)
    for n in range(4):
        backlog.put(at(n, f"P{n}"), life)
    first, second = (await backlog.take())[0], (await backlog.take())[0]
    waits = asyncio.ensure_future(backlog.take())
    await rest()
    assert not waits.done()
    backlog.put(newer := at(9, "P2"), life)
    backlog.done(first)
    assert (await waits)[0] == newer  # taken when there was a hand for it, and so the newest

    last = asyncio.ensure_future(backlog.take())
    await rest()
    hands = 3  # a model computes faster than was known
    backlog.put(at(10, "P9"), life)
    assert (await last)[0].plot == "P3"
    backlog.done(second)
