"""The log: what lasts, what has ended, who has seen it; page by page, on every data base."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from log_world import Streak, end, judged, label, person, streaks
from sqlalchemy import event

from hydrad.domain import BeamState, Severity, Status
from hydrad.store import schema
from hydrad.store.history import episodes
from hydrad.store.history.episodes import Wanted
from hydrad.store.people import digests
from hydrad.store.queries import Store

EVERYTHING = Wanted()
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


def put(store: Store, *found: Streak) -> list[int]:
    return streaks(store, found, now=NOW)


def ago(**words: float) -> datetime:
    return NOW - timedelta(**words)


def numbers(store: Store, wanted: Wanted = EVERYTHING, **how: object) -> list[int]:
    return [one.id for one in episodes.find(store, wanted, **how)[0]]


def test_what_lasts_stands_before_what_has_ended_and_the_newest_first(store):
    old_ended, lasting, new_ended, stale, newer_lasting = put(
        store,
        Streak(ago_s=9000, lasted_s=100),
        Streak("A_b", ago_s=7200),
        Streak("A_c", ago_s=8000, lasted_s=7000),
        Streak("A_d", Status.STALE, ago_s=90000),
        Streak("A_e", ago_s=60),
    )
    assert numbers(store) == [newer_lasting, lasting, stale, new_ended, old_ended]


def test_an_entry_says_all_there_is_to_say(store):
    put(store, Streak("FCAL_map", ago_s=600, lasted_s=60, runs=3))
    [one], older = episodes.find(store, Wanted())
    assert older is None
    assert (one.plot, one.detector, one.status, one.severity) == ("FCAL_map", "FCAL", Status.BAD, Severity.MAJOR)
    assert (one.label, one.confidence, one.images, one.first_run, one.last_run) == ("Bad", 0.97, 3, 30408, 30410)
    assert one.started_at == one.alarmed_at == ago(seconds=600)
    assert one.ended_at == ago(seconds=540)
    assert one.lasted_s(NOW) == 60.0
    assert (one.beam.state, one.beam.current, one.beam.units) == (BeamState.ON, 201.3, "nA")
    assert one.heatmap
    assert one.sha256 is None  # no image is kept
    assert episodes.get(store, one.id) == one


def test_what_lasts_has_lasted_until_now(store):
    [number] = put(store, Streak(ago_s=600))
    assert episodes.get(store, number).lasted_s(NOW) == 600.0


def test_pages_hold_every_entry_once_however_they_are_cut(store):
    made = put(
        store,
        *(Streak(f"A_{n}", ago_s=100 + n) for n in range(5)),
        *(Streak(f"A_{n % 3}", ago_s=5000, lasted_s=100 + 10 * (n // 2)) for n in range(9)),  # some end at one time
    )
    whole = numbers(store)
    assert sorted(whole) == sorted(made)
    for size in (1, 2, 3, 5, 6, 14, 100):
        found, place = [], None
        while True:
            page, place = episodes.find(store, Wanted(), limit=size, before=place)
            assert len(page) <= size
            found += [one.id for one in page]
            if place is None:
                break
        assert found == whole


def test_what_ends_while_one_pages_is_not_met_twice(store):
    first, second, third = put(store, Streak("A_1", ago_s=10), Streak("A_2", ago_s=20), Streak("A_3", ago_s=30))
    page, place = episodes.find(store, Wanted(), limit=2)
    assert [one.id for one in page] == [first, second]
    assert numbers(store, before=place) == [third]


FILTERS = [
    (Wanted(), "lasts stale ended past"),
    (Wanted(since=ago(hours=24)), "lasts stale ended"),
    (Wanted(since=ago(seconds=1)), "lasts stale"),
    (Wanted(until=ago(hours=24)), "stale past"),
    (Wanted(since=ago(hours=49), until=ago(hours=47)), "stale past"),
    (Wanted(plot="CDC_a"), "lasts"),
    (Wanted(plot="cdc_a"), ""),
    (Wanted(plot="none"), ""),
    (Wanted(detector="FCAL"), "stale ended"),
    (Wanted(detector="none"), ""),
    (Wanted(statuses=frozenset({Status.STALE})), "stale"),
    (Wanted(statuses=frozenset({Status.BAD, Status.SUSPECT})), "lasts ended past"),
    (Wanted(label="Bad"), "lasts past"),
    (Wanted(label="bad"), ""),
    (Wanted(label="Odd ü 漢"), "ended"),
    (Wanted(run=7), "lasts"),
    (Wanted(run=9), "lasts ended"),
    (Wanted(run=2**63), ""),
    (Wanted(acknowledged=True), "past"),
    (Wanted(acknowledged=False), "lasts stale ended"),
    (Wanted(since=ago(hours=24), detector="FCAL", statuses=frozenset({Status.SUSPECT}), run=9), "ended"),
]


def test_a_filter_keeps_what_fits_it(store):
    made = put(
        store,
        Streak("CDC_a", ago_s=100, run=7, runs=4),
        Streak("FCAL_b", Status.STALE, ago_s=200_000, label=None, confidence=None, run=None),
        Streak("FCAL_c", Status.SUSPECT, ago_s=5000, lasted_s=60, label="Odd ü 漢", run=9),
        Streak("TOF_d", ago_s=172_800, lasted_s=600, run=5),
    )
    called = dict(zip(made, ("lasts", "stale", "ended", "past"), strict=True))
    episodes.acknowledge(store, [made[3]], comment="", person="otto", host="counting-1")
    for wanted, names in FILTERS:
        assert [called[number] for number in numbers(store, wanted)] == names.split(), wanted
        assert episodes.count(store, wanted) == len(names.split()), wanted


def test_counting_stops_where_it_is_told_to(store):
    put(store, *(Streak(f"A_{n}", ago_s=100 + n, lasted_s=50 if n % 2 else None) for n in range(7)))
    assert [episodes.count(store, Wanted(), up_to=n) for n in (1, 3, 5, 7, 100)] == [1, 3, 5, 7, 7]


def test_an_entry_remembers_everybody_who_acknowledged_it(store):
    one, other = put(store, Streak("A_1"), Streak("A_2"))
    [seen] = episodes.acknowledge(store, [one], comment="called the expert", person="otto", host="counting-1")
    assert (seen.acknowledged_by, [said.comment for said in seen.acknowledgements]) == ("otto", ["called the expert"])
    [again] = episodes.acknowledge(store, [one], comment="", person="änna", host="counting-2")
    assert [(said.person, said.comment) for said in again.acknowledgements] == [
        ("otto", "called the expert"),
        ("änna", ""),
    ]
    assert again.acknowledged_by == "änna"
    assert again.acknowledged_at == again.acknowledgements[-1].at > seen.acknowledged_at
    assert episodes.get(store, other).acknowledged_at is None


def test_several_are_acknowledged_at_once_and_what_is_none_is_left_out(store):
    made = put(store, Streak("A_1"), Streak("A_2"), Streak("A_3"))
    found = episodes.acknowledge(store, [made[0], made[2], made[2], 999, 2**70], comment="x", person="o", host="h")
    assert sorted(one.id for one in found) == [made[0], made[2]]
    assert all(len(one.acknowledgements) == 1 for one in found)
    assert episodes.acknowledge(store, [999], comment="x", person="o", host="h") == []


def test_an_entry_shows_what_was_written_of_it_in_the_logbook(store):
    one, other = put(store, Streak("A_1"), Streak("A_1", ago_s=5000, lasted_s=10))
    for title in ("first", "second"):
        episodes.note_entry(
            store, episodes.get(store, one), title=title, person="otto", host="h", reference=f"https://olog/{title}"
        )
    assert [(e.title, e.reference) for e in episodes.get(store, one).entries] == [
        ("first", "https://olog/first"),
        ("second", "https://olog/second"),
    ]
    assert episodes.get(store, other).entries == ()


def test_a_number_of_no_entry_is_none(store):
    assert episodes.get(store, 1) is None
    assert episodes.get(store, 2**80) is None


def test_a_plots_verdicts_up_to_a_time_come_newest_first(store):
    put(store, Streak("A_1", ago_s=900, lasted_s=10), Streak("A_1", ago_s=500, lasted_s=10), Streak("A_2", ago_s=400))
    found = episodes.verdicts_until(store, "A_1", ago(seconds=500), limit=10)
    assert [filed.verdict.judged_at for filed in found] == [ago(seconds=s) for s in (500, 891, 900)]
    assert len(episodes.verdicts_until(store, "A_1", NOW, limit=2)) == 2
    assert episodes.verdicts_until(store, "none", NOW, limit=2) == []


def test_images_are_counted_by_the_hour(store):
    judged(store, "A_1", ago(hours=30), 1000)
    judged(store, "A_1", ago(hours=5), 20)
    judged(store, "A_2", ago(hours=5), 3, Status.BAD)
    judged(store, "A_1", NOW, 400)
    assert episodes.judged(store, ago(hours=24), NOW) == 423
    assert episodes.judged(store, ago(hours=24), ago(hours=4)) == 23
    assert episodes.judged(store, ago(hours=3), ago(hours=2)) == 0


def test_one_may_choose_among_what_there_is(store):
    put(store, Streak("B_1"), Streak("A_2", detector="Z"))
    label(store, "B_1", "Bad", "Good")
    label(store, "A_2", "Good", "Cosmic")
    there = episodes.choices(store)
    assert (there.plots, there.detectors, there.labels) == (["A_2", "B_1"], ["B", "Z"], ["Bad", "Cosmic", "Good"])


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(), "ix_episodes_ended_at_started_at"),
        (Wanted(since=ago(hours=24), statuses=frozenset(Status)), "ix_episodes_status_ended_at_started_at"),
        (Wanted(statuses=frozenset({Status.BAD})), "ix_episodes_status_ended_at_started_at"),
        (Wanted(plot="A_1", since=ago(hours=24)), "ix_episodes_plot_id_ended_at"),
    ],
)
def test_a_page_of_the_log_reads_no_more_than_it_shows(tmp_path, wanted, index):
    """On the embedded data base, whose plans are the same for any number of rows."""
    schema.upgrade(f"sqlite:///{tmp_path}/hydra.db")
    with Store(f"sqlite:///{tmp_path}/hydra.db") as store:
        put(store, Streak("A_1"), Streak("A_1", lasted_s=5), Streak("A_2", lasted_s=5))
        asked = []

        def note(_connection, _cursor, statement, parameters, *_):
            asked.append((statement, parameters))

        event.listen(store._engine, "before_cursor_execute", note)
        episodes.find(store, wanted)
        event.remove(store._engine, "before_cursor_execute", note)
        plans = []
        with store.reading() as connection:
            for statement, parameters in asked:
                if "FROM episodes" in statement:
                    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                    plans.append(" | ".join(row.detail for row in rows))
    lasting, *ended, _rows = plans
    assert "SEARCH episodes USING INDEX ix_episodes_" in lasting
    assert len(ended) == max(1, len(wanted.statuses))
    for one in ended:
        assert f"SEARCH episodes USING COVERING INDEX {index}" in one or f"USING INDEX {index}" in one
        assert "USE TEMP B-TREE FOR ORDER BY" not in one


# ---- who has the digest ----


def test_those_who_want_a_digest_and_have_an_address_are_its_readers(store):
    person(store, "otto", "otto@example.org")
    person(store, "anna", "anna@example.org", digest_wanted=False)
    person(store, "left", "left@example.org", disabled=True)
    person(store, "none", None, digest_wanted=True)
    person(store, "empty", "", digest_wanted=True)
    assert [one.name for one in digests.readers(store, "2026-11-23")] == ["otto"]


def test_a_day_goes_to_a_person_once(store):
    person(store, "otto", "otto@example.org")
    [otto] = digests.readers(store, "2026-11-23")
    assert digests.claim(store, otto, "2026-11-23", NOW)
    assert not digests.claim(store, otto, "2026-11-23", NOW)
    assert digests.claim(store, otto, "2026-11-24", NOW)
    digests.sent(store, otto, "2026-11-23")
    assert digests.readers(store, "2026-11-23") == []
    assert not digests.claim(store, otto, "2026-11-23", NOW + timedelta(hours=1))


def test_what_could_not_be_sent_may_be_tried_again_at_once(store):
    person(store, "otto", "otto@example.org")
    [otto] = digests.readers(store, "2026-11-23")
    assert digests.claim(store, otto, "2026-11-23", NOW)
    digests.give_up(store, otto, "2026-11-23")
    assert digests.claim(store, otto, "2026-11-23", NOW)
    digests.sent(store, otto, "2026-11-23")
    digests.give_up(store, otto, "2026-11-23")  # too late
    assert not digests.claim(store, otto, "2026-11-23", NOW)


def test_who_died_before_sending_is_relieved(store):
    person(store, "otto", "otto@example.org")
    [otto] = digests.readers(store, "2026-11-23")
    assert digests.claim(store, otto, "2026-11-23", NOW)
    assert not digests.claim(store, otto, "2026-11-23", NOW + timedelta(minutes=14))
    assert digests.claim(store, otto, "2026-11-23", NOW + timedelta(minutes=16))
    assert not digests.claim(store, otto, "2026-11-23", NOW + timedelta(minutes=17))


def test_of_many_who_claim_at_once_one_has_it(store):
    person(store, "otto", "otto@example.org")
    [otto] = digests.readers(store, "2026-11-23")
    together = Barrier(4)

    def one_of_them() -> bool:
        together.wait()
        return digests.claim(store, otto, "2026-11-23", NOW)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: one_of_them(), range(4))) == [False, False, False, True]


def test_an_entry_that_ended_is_shown_as_ended(store):
    [number] = put(store, Streak("A_1"))
    end(store, number, now=NOW)
    one = episodes.get(store, number)
    assert one.ended_at == NOW
    assert replace(one, ended_at=None).lasted_s(NOW) == one.lasted_s(NOW + timedelta(hours=1))
