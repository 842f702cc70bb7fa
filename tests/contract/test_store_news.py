"""What the wall asks of the data base: news, how all plots stand, and what comes as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import delete, insert, select, update
from store_world import MORNING, entry_of, later, verdict_of

from hydrad.domain import Cause, Severity, Status, Verdict
from hydrad.store import news, tables
from hydrad.store.history import episodes, newest
from hydrad.store.history.tail import LATE_S, MOST_BEHIND, Tail
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store

FACTS = ImageFacts(5000, "png", 600, 550)
HOT = np.full((3, 4), 200, np.uint8)


def put(store: Store, *verdicts: Verdict) -> None:
    store.put([Parcel(entry_of(one), one, FACTS, HOT) for one in verdicts])


def noted(store: Store, verdict: Verdict) -> None:
    """A verdict that no new image caused."""
    store.put([Parcel(verdict=verdict)])


def keys(found: Sequence[object]) -> list[str]:
    return [one.verdict.key for one in found]  # type: ignore[attr-defined]


def test_there_is_no_news_until_somebody_says_some(store: Store) -> None:
    assert news.current(store, MORNING) is None


def test_the_newest_line_holds_until_its_time_is_over(store: Store) -> None:
    news.say(store, "beam at eight", person="otto", host="desk-1", now=MORNING)
    news.say(store, "no beam today", person="anna", host="desk-2", now=later(1), until=later(60))
    line = news.current(store, later(59))
    assert line is not None
    assert (line.text, line.person, line.said_at, line.until) == ("no beam today", "anna", later(1), later(60))
    assert news.current(store, later(60)) is None


def test_a_cleared_line_is_gone_and_stays_recorded(store: Store) -> None:
    news.say(store, "beam at eight ☕", person="otto", host="desk-1", now=MORNING)
    news.say(store, "", person="anna", host="desk-2", now=later(1))
    assert news.current(store, later(2)) is None
    with store.reading() as connection:
        said = connection.execute(select(tables.news.c.text, tables.news.c.person).order_by(tables.news.c.id)).all()
    assert [tuple(row) for row in said] == [("beam at eight ☕", "otto"), ("", "anna")]


def test_each_plot_is_shown_as_it_stands_with_its_newest_image(store: Store) -> None:
    good = verdict_of("CDC_occupancy", status=Status.GOOD, severity=Severity.NO_ALARM, label="Good", confidence=0.98)
    bad = verdict_of("CDC_occupancy", later(30))
    put(store, good, bad, verdict_of("FCAL map", later(1)))
    shown = newest.showing(store)
    assert [one.plot for one in shown.plots] == ["CDC_occupancy", "FCAL map"]
    one = shown.plots[0]
    assert (one.status, one.label, one.confidence, one.run) == (Status.BAD, "Bad", 0.97, 111652)
    assert (one.sha256, one.width, one.height, one.heatmap) == (bad.sha256, 600, 550, True)
    assert (one.model, one.taken_at, one.detector) == ("cdc-7", bad.taken_at, "CDC")
    assert shown.after == max(filed.id for filed in store.log())


def test_one_plot_can_be_asked_for_and_an_unknown_one_is_none(store: Store) -> None:
    put(store, verdict_of("A_1"), verdict_of("B_1", later(1)))
    assert [one.plot for one in newest.showing(store, ["B_1"]).plots] == ["B_1"]
    assert newest.showing(store, ["b_1"]).plots == []


def test_an_empty_data_base_shows_no_plots(store: Store) -> None:
    assert newest.showing(store) == newest.Showing(0, [])


def test_a_plot_that_is_stale_still_shows_its_image_and_where_the_model_looked(store: Store) -> None:
    seen = verdict_of("CDC_occupancy")
    put(store, seen)
    noted(store, replace(seen, key="stale", status=Status.STALE, cause=Cause.CLOCK, judged_at=later(300)))
    (one,) = newest.showing(store).plots
    assert (one.status, one.sha256, one.heatmap) == (Status.STALE, seen.sha256, True)
    assert one.verdict_id is not None
    found = newest.heatmap(store, one.verdict_id)
    assert found is not None
    assert found.tolist() == HOT.tolist()


def test_the_stretch_of_trouble_a_plot_is_in_comes_along_with_who_has_seen_it(store: Store) -> None:
    well = {"status": Status.GOOD, "severity": Severity.NO_ALARM}
    put(store, verdict_of("CDC_occupancy"), verdict_of("FCAL_map", later(1)), verdict_of("PS_1", later(2), **well))
    put(store, verdict_of("CDC_occupancy", later(30), **well))
    before = {one.plot: one.episode for one in newest.showing(store).plots}
    lasting = before["FCAL_map"]
    assert lasting is not None
    assert before == {"CDC_occupancy": None, "FCAL_map": lasting, "PS_1": None}
    assert lasting == newest.OpenEpisode(lasting.id, later(1))
    episodes.acknowledge(store, [lasting.id], comment="", person="anna", host="desk-1")
    seen = newest.showing(store, ["FCAL_map"]).plots[0].episode
    assert seen is not None
    assert (seen.id, seen.acknowledged_by) == (lasting.id, "anna")
    assert seen.acknowledged_at is not None


def test_verdicts_between_two_times_come_newest_first(store: Store) -> None:
    given = [verdict_of(f"P_{n % 2}", later(n), run=n % 3) for n in range(10)]
    put(store, *given)
    expected = [one.key for one in reversed(given)]
    assert keys(store.log()) == expected
    assert keys(store.log(since=later(3), until=later(6))) == expected[4:7]
    assert keys(store.log(plot="P_1", run=0)) == [given[9].key, given[3].key]
    assert keys(store.log(status=[Status.BAD, Status.GOOD], limit=2)) == expected[:2]
    assert store.log(status=[Status.GOOD]) == []
    assert store.log(plot="nobody's") == []


def test_images_are_known_by_their_hash_and_others_are_not(store: Store) -> None:
    seen = verdict_of("CDC_occupancy")
    put(store, seen)
    assert seen.sha256 is not None
    assert newest.kept_image(store, seen.sha256) == newest.KeptImage(seen.sha256, "png", 600, 550, kept=True)
    assert newest.kept_image(store, "0" * 64) is None


def test_what_comes_is_told_once_and_in_order(store: Store) -> None:
    put(store, verdict_of("P_0"))
    tail = Tail(store)
    assert tail.look().verdicts == ()
    fresh = [verdict_of(f"P_{n}", later(n + 1)) for n in range(3)]
    put(store, *fresh)
    look = tail.look()
    assert keys(look.verdicts) == [one.key for one in fresh]
    assert tail.last == look.verdicts[-1].id
    assert tail.look().verdicts == []


@pytest.mark.parametrize("gap_seen_at_start", [False, True])
def test_a_verdict_that_becomes_visible_after_a_higher_number_is_not_lost(
    store: Store, gap_seen_at_start: bool
) -> None:
    put(store, verdict_of("P_0"))
    tail = Tail(store)
    if not gap_seen_at_start:
        tail.look()
    put(store, verdict_of("P_1", later(1)), slow := verdict_of("P_2", later(2)), verdict_of("P_3", later(3)))
    columns = tables.verdicts.c
    with store.reading() as connection:
        row = connection.execute(select(tables.verdicts).where(columns.verdict_key == slow.key)).mappings().one()
    take_back(store, row["id"])
    assert slow.key not in keys(tail.look().verdicts)
    with store.writing() as connection:
        given = {column.name for column in columns if column.computed is None}
        connection.execute(insert(tables.verdicts), {name: value for name, value in row.items() if name in given})
    look = tail.look()
    assert keys(look.verdicts) == [slow.key]
    assert look.late == {row["id"]}
    assert tail.look().verdicts == []


def take_back(store: Store, number: int) -> None:
    """As if its writer had not come to its end yet."""
    with store.writing() as connection:
        connection.execute(update(tables.files).where(tables.files.c.verdict_id == number).values(verdict_id=None))
        connection.execute(delete(tables.standings).where(tables.standings.c.verdict_id == number))
        connection.execute(delete(tables.episodes))
        connection.execute(delete(tables.verdicts).where(tables.verdicts.c.id == number))


def test_a_number_that_nobody_ever_writes_is_given_up(store: Store) -> None:
    now = 0.0
    tail = Tail(store, clock=lambda: now)
    tail.look()
    put(store, verdict_of("P_1", later(1)), gone := verdict_of("P_2", later(2)), verdict_of("P_3", later(3)))
    with store.reading() as connection:
        number = connection.scalar(select(tables.verdicts.c.id).where(tables.verdicts.c.verdict_key == gone.key))
    take_back(store, number)
    tail.look()
    assert tail._gaps
    now = LATE_S + 1
    tail.look()
    assert not tail._gaps


def test_whoever_is_far_behind_is_told_to_look_at_everything_instead(store: Store) -> None:
    put(store, verdict_of("P_0"))
    tail = Tail(store)
    tail.look()
    tail._last = tail.last - MOST_BEHIND - 1
    assert tail.look().missed
    put(store, fresh := verdict_of("P_1", later(1)))
    look = tail.look()
    assert not look.missed
    assert keys(look.verdicts) == [fresh.key]


def test_an_acknowledgement_is_told_with_its_plot(store: Store) -> None:
    put(store, verdict_of("FCAL map"))
    episode = newest.showing(store).plots[0].episode
    assert episode is not None
    tail = Tail(store)
    tail.look()
    episodes.acknowledge(store, [episode.id], comment="", person="anna", host="desk-1")
    (told,) = tail.look().acknowledged
    assert (told.plot, told.episode, told.person) == ("FCAL map", episode.id, "anna")
    assert tail.look().acknowledged == []
