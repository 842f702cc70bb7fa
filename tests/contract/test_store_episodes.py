"""Episodes and hours are written with the verdicts, once, in whatever batches and by however many writers they come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select
from store_world import entry_of, later, verdict_of

from hydrad.domain import Cause, Outcome, Status, Verdict
from hydrad.episodes import Episode, follow
from hydrad.errors import StoreAway
from hydrad.store import tables
from hydrad.store.engine import Unacceptable
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store

FACTS = ImageFacts(48_000, "png", 1378, 636)
NUMBERS = ("first_verdict_id", "last_verdict_id", "worst_verdict_id")


def judged(plot: str, status: Status, seconds: float, **words: Any) -> Parcel:
    """An image of a plot that was judged so."""
    verdict = verdict_of(plot, later(seconds), status=status, severity=status.severity, **words)
    if verdict.cause is not Cause.IMAGE:
        return Parcel(verdict=verdict)
    outcome = Outcome.SUPERSEDED if verdict.superseded else Outcome.JUDGED
    return Parcel(entry_of(verdict, outcome), verdict, FACTS)


def verdict_in(parcel: Parcel) -> Verdict:
    assert parcel.verdict is not None
    return parcel.verdict


def episodes_in(store: Store) -> dict[str, list[Episode]]:
    """By plot, in their order; verdicts are named by the times they were given at, in seconds after MORNING."""
    names = [field.name for field in fields(Episode)]
    with store.reading() as connection:
        number = {row.id: row.verdict_key for row in connection.execute(select(tables.verdicts))}
        plot = {row.id: row.name for row in connection.execute(select(tables.plots))}
        detector = {row.id: row.name for row in connection.execute(select(tables.detectors))}
        rows = connection.execute(select(tables.episodes).order_by(tables.episodes.c.started_at)).all()
    found: dict[str, list[Episode]] = {}
    for row in rows:
        episode = Episode(*(getattr(row, name) for name in names))
        keys: dict[str, Any] = {name: number[getattr(row, name)] for name in NUMBERS}
        found.setdefault(plot[row.plot_id], []).append(replace(episode, **keys))
        assert detector[row.detector_id] == plot[row.plot_id].split("_", 1)[0]
    return found


def told(parcels: Sequence[Parcel]) -> dict[str, list[Episode]]:
    """The same from the whole list, by the rule alone."""
    by_plot: dict[str, list[Verdict]] = {}
    for parcel in parcels:
        verdict = verdict_in(parcel)
        theirs = by_plot.setdefault(verdict.plot, [])
        if not verdict.superseded and (not theirs or theirs[-1].judged_at <= verdict.judged_at):
            theirs.append(verdict)
    found = {}
    for plot, theirs in by_plot.items():
        if episodes := follow(None, enumerate(theirs)):
            found[plot] = [
                replace(one, **{name: theirs[getattr(one, name)].key for name in NUMBERS})  # type: ignore[arg-type]  # keys in place of numbers
                for one in episodes
            ]
    return found


def hours_in(store: Store) -> Counter[tuple[datetime, str, Status]]:
    with store.reading() as connection:
        plot = {row.id: row.name for row in connection.execute(select(tables.plots))}
        rows = connection.execute(select(tables.hours)).all()
    return Counter({(row.hour, plot[row.plot_id], row.status): row.images for row in rows})


def counted(parcels: Sequence[Parcel]) -> Counter[tuple[datetime, str, Status]]:
    return Counter(
        (verdict.judged_at.replace(minute=0, second=0, microsecond=0), verdict.plot, verdict.status)
        for verdict in map(verdict_in, parcels)
        if verdict.cause is Cause.IMAGE
    )


def insist(store: Store, parcels: Sequence[Parcel]) -> None:
    """Put them there as the delivery does, which tries again after a deadlock."""
    for _ in range(50):
        try:
            store.put(parcels)
        except StoreAway:
            continue
        return
    pytest.fail("never got through")


def history(seed: int, length: int = 150, plots: int = 4) -> list[Parcel]:
    """What several plots went through in some hours, in the order of time but for what came too late."""
    chance = random.Random(seed)
    parcels = []
    for n in range(length):
        status = chance.choice([*Status, Status.GOOD, Status.BAD, Status.SUSPECT])
        cause = chance.choice([Cause.IMAGE, Cause.IMAGE, Cause.IMAGE, Cause.CLOCK, Cause.CHANGE])
        parcels.append(
            judged(
                f"CDC_{chance.randrange(plots)}",
                status,
                120 * n,
                cause=cause,
                superseded=cause is Cause.IMAGE and chance.random() < 0.15,
                run=chance.choice([None, 11, 12]),
                path=f"/data/{n:04}.png",
                sha256=f"{n:064x}",
                reason=f"reason {n}",
            )
        )
    return parcels


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_whatever_the_batches_the_data_base_tells_what_the_whole_list_tells(store: Store, batch: int) -> None:
    parcels = history(batch)
    for start in range(0, len(parcels), batch):
        store.put(parcels[start : start + batch])
        store.put(parcels[max(0, start - 3) : start + batch : 2])  # comes again, in other company
    assert episodes_in(store) == told(parcels)
    assert hours_in(store) == counted(parcels)


def test_several_writers_tell_one_story(store: Store) -> None:
    parcels = history(5, length=90)

    def put(_writer: int) -> None:
        for start in range(0, len(parcels), 15):
            insist(store, parcels[start : start + 15])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(4)))
    assert episodes_in(store) == told(parcels)
    assert hours_in(store) == counted(parcels)


def test_two_daemons_that_judge_a_plot_at_the_same_time_make_one_episode(store: Store) -> None:
    both = [
        [
            judged("CDC_a", status, 0, path=f"/data/{status.name}{n}.png", sha256=f"{status:032x}{n:032x}")
            for n in range(20)
        ]
        for status in (Status.BAD, Status.SUSPECT)
    ]

    def put(parcels: list[Parcel]) -> None:
        for parcel in parcels:
            insist(store, [parcel])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(put, both))
    (episode,) = episodes_in(store)["CDC_a"]
    assert (episode.status, episode.images, episode.ended_at) == (Status.BAD, 40, None)
    assert hours_in(store) == counted(both[0] + both[1])


def test_an_image_that_comes_too_late_changes_no_episode_but_its_hour(store: Store) -> None:
    store.put([judged("CDC_a", Status.BAD, 10), judged("CDC_a", Status.GOOD, 20)])
    before = episodes_in(store)
    late = [judged("CDC_a", Status.BAD, 15), judged("CDC_a", Status.BAD, 30, superseded=True)]
    store.put(late)
    assert episodes_in(store) == before
    assert sum(hours_in(store).values()) == 4
    (standing,) = store.standings()
    assert (standing.status, standing.judged_at) == (Status.GOOD, later(20))


def test_verdicts_of_one_batch_are_followed_in_the_order_in_which_they_were_given(store: Store) -> None:
    parcels = [judged("CDC_a", Status.GOOD, 20), judged("CDC_a", Status.BAD, 10)]
    store.put(parcels)
    (episode,) = episodes_in(store)["CDC_a"]
    assert (episode.started_at, episode.ended_at) == (later(10), later(20))


def test_what_people_said_of_an_episode_stays_while_it_goes_on(store: Store) -> None:
    store.put([judged("CDC_a", Status.BAD, 0)])
    with store.writing() as connection:
        connection.execute(tables.episodes.update().values(acknowledged_at=later(5), acknowledged_by="ana"))
    store.put([judged("CDC_a", Status.NODATA, 10), judged("CDC_a", Status.GOOD, 20)])
    with store.reading() as connection:
        (row,) = connection.execute(select(tables.episodes)).all()
    assert (row.acknowledged_at, row.acknowledged_by, row.images) == (later(5), "ana", 2)
    assert (row.last_at, row.ended_at) == (later(10), later(20))


def test_a_plot_that_stood_badly_before_there_were_episodes_gets_one_with_its_next_verdict(store: Store) -> None:
    store.put([judged("CDC_a", Status.BAD, 0)])
    with store.writing() as connection:
        connection.execute(tables.episodes.delete())
    store.put([judged("CDC_a", Status.BAD, 10)])
    (episode,) = episodes_in(store)["CDC_a"]
    assert (episode.started_at, episode.alarmed_at, episode.images) == (later(10), later(10), 1)


def test_a_batch_that_is_refused_leaves_no_episode_and_no_hour(store: Store) -> None:
    with pytest.raises(Unacceptable):
        store.put([judged("CDC_a", Status.BAD, 0), judged("CDC_b", Status.BAD, 1, novelty=float("nan"))])
    assert episodes_in(store) == {}
    assert not hours_in(store)


def test_where_all_is_well_nothing_is_asked_of_episodes(store: Store, statements: list[str]) -> None:
    store.put([judged(f"CDC_{n}", Status.GOOD, n) for n in range(9)])
    store.put([judged(f"CDC_{n}", Status.GOOD, 9 + n) for n in range(9)])
    assert not [statement for statement in statements if "episodes" in statement]
    store.put([judged("CDC_1", Status.BAD, 30)])
    assert len([statement for statement in statements if "episodes" in statement]) == 1
