"""What verbs and pages are answered."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from store_world import MORNING, change_of, entry_of, later, leave, verdict_of

from hydrad.domain import Health, Outcome, Status
from hydrad.errors import StoreAway
from hydrad.store import queries
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store
from hydrad.store.rows import Heartbeat

AFTER_ALL = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def history(store: Store) -> Store:
    """Three plots, two runs, thirty verdicts, ten seconds apart."""
    statuses = [Status.GOOD, Status.BAD, Status.SUSPECT]
    for n in range(30):
        verdict = verdict_of(
            ["CDC_a", "CDC_b", "FDC_a"][n % 3], later(10 * n), run=1 + n // 15, status=statuses[n // 3 % 3]
        )
        store.put([Parcel(entry_of(verdict), verdict)])
    return store


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"plot": "CDC_a"},
        {"run": 2},
        {"status": Status.BAD},
        {"status": {Status.BAD, Status.SUSPECT}},
        {"status": []},
        {"since": later(200)},
        {"plot": "CDC_b", "run": 1, "status": Status.SUSPECT, "since": later(20)},
        {"plot": "never heard of"},
    ],
)
def test_the_log_gives_what_was_asked_for_newest_first(history: Store, words: dict[str, Any]) -> None:
    everything = [filed.verdict for filed in history.log(limit=1000)]
    assert len(everything) == 30
    wanted = words.get("status", set(Status))
    wanted = {wanted} if isinstance(wanted, Status) else set(wanted)
    expected = [
        verdict
        for verdict in sorted(everything, key=lambda verdict: verdict.judged_at, reverse=True)
        if verdict.plot == words.get("plot", verdict.plot)
        and verdict.run == words.get("run", verdict.run)
        and verdict.status in wanted
        and verdict.judged_at >= words.get("since", MORNING)
    ]
    assert [filed.verdict for filed in history.log(**words)] == expected
    assert [filed.verdict for filed in history.log(**words, limit=2)] == expected[:2]


def test_the_number_of_a_verdict_is_that_of_its_row(history: Store) -> None:
    numbers = [filed.id for filed in history.log()]
    assert numbers == sorted(set(numbers), reverse=True)
    assert history.heatmap(numbers[0]) is None
    assert history.heatmap(max(numbers) + 1) is None


def test_standings_are_asked_for_by_name_or_all_of_them(history: Store) -> None:
    assert [standing.plot for standing in history.standings()] == ["CDC_a", "CDC_b", "FDC_a"]
    assert [standing.plot for standing in history.standings(["FDC_a", "cdc_a", "CDC_a"])] == ["CDC_a", "FDC_a"]


def test_the_ledger_lists_files_by_outcome_and_time(history: Store) -> None:
    rejected = entry_of(verdict_of(at=later(5), path="/x"), Outcome.REJECTED)
    history.put([Parcel(rejected)])
    assert list(history.ledger_files(outcome=Outcome.REJECTED)) == [rejected]
    assert len(list(history.ledger_files(since=later(199)))) == 10
    seen = [entry.seen_at for entry in history.ledger_files()]
    assert len(seen) == 31
    assert seen == sorted(seen, reverse=True)
    counts = history.ledger_counts()
    assert (counts[Outcome.JUDGED], counts[Outcome.REJECTED], counts[Outcome.PENDING]) == (30, 1, 0)


def test_a_long_ledger_is_read_in_pieces_and_wholly(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "AT_ONCE", 7)
    verdicts = [verdict_of(at=later(n // 10), path=f"/data/{n}") for n in range(50)]  # ten at one instant
    store.put([Parcel(entry_of(verdict)) for verdict in verdicts])
    paths = [entry.path for entry in store.ledger_files()]
    assert paths == [f"/data/{n}" for n in reversed(range(50))]


# ---- files handed in by people ----


def test_what_is_handed_in_is_taken_once_in_order(store: Store) -> None:
    numbers = store.submit(["/a\udcff.png", "/b.png"], by="otto", plot="CDC_x", run=7)
    taken = store.take_submissions()
    assert [submission.id for submission in taken] == numbers
    assert [submission.path for submission in taken] == ["/a\udcff.png", "/b.png"]
    assert {(one.plot, one.run, one.by) for one in taken} == {("CDC_x", 7, "otto")}
    assert all(one.taken_at is not None and one.taken_at >= one.at for one in taken)
    assert store.take_submissions() == []


def test_what_was_taken_and_never_finished_is_taken_again_when_asked(store: Store) -> None:
    first, second = store.submit(["/a.png", "/b.png"], by="otto")
    store.take_submissions()
    store.put([Parcel(replace(entry_of(verdict_of(path="/a.png")), submission=first))])
    assert [one.id for one in store.take_submissions(taken_before=AFTER_ALL)] == [second]
    store.put([Parcel(replace(entry_of(verdict_of(path="/b.png"), Outcome.PENDING), done_at=None, submission=second))])
    assert [one.id for one in store.take_submissions(taken_before=AFTER_ALL)] == [second]


def test_what_an_earlier_daemon_left_unfinished_is_taken_again_once_however_much_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = store.submit([f"/{n}" for n in range(5)], by="otto")
    store.take_submissions()
    monkeypatch.setattr(queries, "SUBMISSIONS_AT_ONCE", 2)
    began = datetime.now(UTC)
    taken = [[one.id for one in store.take_submissions(taken_before=began)] for _ in range(4)]
    assert taken == [list(numbers[:2]), list(numbers[2:4]), list(numbers[4:]), []]


def test_many_submissions_are_taken_in_several_gos(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "SUBMISSIONS_AT_ONCE", 2)
    numbers = store.submit([f"/{n}" for n in range(5)], by="otto")
    taken = [[one.id for one in store.take_submissions()] for _ in range(4)]
    assert taken == [list(numbers[:2]), list(numbers[2:4]), list(numbers[4:]), []]


def test_what_became_of_a_submission_is_told_once_it_is_done(store: Store) -> None:
    good, torn, waiting = store.submit(["/a.png", "/b.png", "/c.png"], by="otto")
    verdict = verdict_of(path="/a.png")
    entry = replace(entry_of(verdict), submission=good)
    rejected = replace(entry_of(verdict_of(path="/b.png"), Outcome.REJECTED), submission=torn)
    store.put([Parcel(entry, verdict), Parcel(rejected), Parcel(entry_of(verdict_of(path="/c.png")))])
    told = store.handled([torn, waiting, good])
    assert [one.entry for one in told] == [rejected, entry]
    assert told[0].filed is None
    assert told[1].filed == store.log(plot=verdict.plot)[0]
    assert store.handled([]) == []


def test_the_same_file_handed_in_twice_is_answered_twice(store: Store) -> None:
    first, second = store.submit(["/a.png", "/a.png"], by="otto")
    one = verdict_of(path="/a.png")
    other = replace(one, key="other")
    store.put([Parcel(replace(entry_of(one), submission=first), one)])
    store.put([Parcel(replace(entry_of(one), submission=second), other)])
    assert [told.filed.verdict for told in store.handled([first, second]) if told.filed] == [one, other]


# ---- settings ----


def test_the_history_of_settings_is_followed_by_number(store: Store) -> None:
    leave(store, change_of(0.7))
    store.put([Parcel(change=change_of(0.8, later(1)), ticket="t", origin="j" * 32)])
    leave(store, change_of(0.9, later(2)))
    filed = store.settings_after(0)
    assert [(one.origin, one.change.value) for one in filed] == [(None, 0.7), ("j" * 32, 0.8), (None, 0.9)]
    assert store.settings_after(filed[0].id) == filed[1:]
    assert store.settings_after(filed[-1].id) == []


def test_a_long_history_is_followed_in_several_gos(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "AT_ONCE", 3)
    store.put([Parcel(change=change_of(n, later(n)), ticket=f"{n}") for n in range(5)])
    first = store.settings_after(0)
    assert [one.change.value for one in [*first, *store.settings_after(first[-1].id)]] == [0, 1, 2, 3, 4]


def test_the_newest_change_of_each_setting_counts_whatever_the_order_of_arrival(store: Store) -> None:
    leave(store, change_of(0.9, later(20)))
    store.put([Parcel(change=change_of(0.7, later(10)), ticket="late")])  # from a journal that was kept waiting
    leave(store, change_of(3, later(5), key="on_delay"))
    leave(store, change_of(4.5, later(1), key="beam.on_above", plot=None))
    newest = store.newest_settings()
    assert [(change.key, change.value) for change in newest] == [
        ("beam.on_above", 4.5),
        ("on_delay", 3),
        ("threshold.Bad", 0.9),
    ]


# ---- the daemon ----


def test_the_newest_heartbeat_of_any_host_is_the_daemons(store: Store) -> None:
    assert store.heartbeat() is None
    here = Heartbeat(socket.gethostname(), 12, MORNING, later(1), "0.1.0", Health.OK)
    assert store.beat(here) == []
    there = Heartbeat("elsewhere", 13, MORNING, later(2), "0.1.0", Health.DEGRADED, "no beam PV", 4)
    assert store.beat(there) == [here]
    assert store.heartbeat() == there
    again = replace(here, pid=14, beat_at=later(3))
    assert sorted(store.beat(again), key=lambda sign: sign.pid) == [here, there]
    assert store.heartbeat() == again
    store.beat(replace(again, beat_at=later(3) - timedelta(seconds=2.5)))  # a clock set back
    assert store.heartbeat() == there


# ---- away ----


def test_a_data_base_that_is_not_there_is_away(tmp_path: object) -> None:
    for url in (
        f"mysql+mysqldb://hydra@localhost/hydra?unix_socket={tmp_path}/none",
        "sqlite:////proc/nowhere.db",
    ):
        with Store(url) as store:
            for ask in (store.ping, store.standings, store.log, store.take_submissions):
                with pytest.raises(StoreAway, match="the data base says"):
                    ask()


def test_the_password_is_in_no_fault(tmp_path: object) -> None:
    with (
        Store(f"mysql+mysqldb://hydra:s3cret@localhost/hydra?unix_socket={tmp_path}/none") as store,
        pytest.raises(StoreAway) as caught,
    ):
        store.ping()
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__}"
