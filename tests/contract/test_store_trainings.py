"""Trainings in the data base: under way, asked to stop, dead without a word."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from hydrad.errors import StoreAway
from hydrad.store import tables
from hydrad.store.models import trainings
from hydrad.store.queries import Store
from hydrad.store.tables import TrainingState
from hydrad.train.modest import TooMuchMemory
from hydrad.train.progress import Progress, Stopped
from hydrad.verbs import telling
from hydrad.verbs.telling import Teller


def begun(store: Store, **others) -> int:
    return trainings.begin(store, {"id": "CDC-1"}, "ann", **({"host": "here", "pid": 17} | others))


def only(store: Store) -> trainings.Training:
    (one,) = trainings.trainings(store)
    return one


def test_a_training_leaves_its_traces_from_beginning_to_end(store):
    number = begun(store)
    assert only(store).state is TrainingState.RUNNING
    assert not trainings.tell(store, number, {"stage": "learning", "done": 0.5})
    assert only(store).progress == {"stage": "learning", "done": 0.5}

    trainings.end(store, number, TrainingState.DONE, model="CDC-1")
    one = only(store)
    assert (one.state, one.model_id, one.person, one.host, one.pid) == (TrainingState.DONE, "CDC-1", "ann", "here", 17)
    assert one.asked_at <= one.started_at <= one.ended_at


def test_one_that_was_asked_for_on_a_page_is_begun_under_its_number(store):
    number = trainings.ask(store, {"id": "x"}, "ann")
    assert only(store).state is TrainingState.QUEUED
    assert begun(store, number=number) == number
    assert only(store).state is TrainingState.RUNNING
    assert begun(store, number=999) != number


def test_whoever_asks_it_to_stop_is_heard(store):
    number = begun(store)
    assert trainings.ask_to_stop(store, number)
    assert trainings.tell(store, number, {})
    trainings.end(store, number, TrainingState.STOPPED, reason="asked to")
    assert not trainings.ask_to_stop(store, number)

    waiting = trainings.ask(store, {}, "ann")
    assert trainings.ask_to_stop(store, waiting)
    assert trainings.trainings(store)[0].state is TrainingState.STOPPED


def test_the_dead_are_told_from_the_living(store):
    mine_dead, mine_alive, far_silent, far_alive = (
        begun(store, host=host, pid=pid) for host, pid in (("here", 17), ("here", 18), ("far", 17), ("far", 18))
    )
    long_ago = datetime.now(UTC) - 2 * trainings.SILENT_AFTER
    table = tables.trainings
    with store.writing() as connection:
        connection.execute(update(table).where(table.c.id.in_([mine_alive, far_silent])).values(told_at=long_ago))

    assert sorted(trainings.bury(store, "here", {18})) == [mine_dead, far_silent]
    states = {one.id: one.state for one in trainings.trainings(store)}
    assert states[mine_alive] is states[far_alive] is TrainingState.RUNNING
    assert trainings.bury(store, "here", {18}) == []


def test_the_newest_come_first(store):
    numbers = [begun(store) for _ in range(3)]
    assert [one.id for one in trainings.trainings(store, limit=2)] == [numbers[2], numbers[1]]
    assert trainings.trainings(store, [TrainingState.DONE]) == []


def test_a_teller_stops_when_somebody_asked_for_it(store, capsys):
    number = begun(store)
    with Teller(store, number, threading.Event(), 1e3) as teller:
        teller(Progress("learning", 0.25, epoch=1, epochs=4, loss=0.5, left_s=7.0))
        assert only(store).progress["left_s"] == 7.0
        trainings.ask_to_stop(store, number)
        teller._tell_at = 0.0
        with pytest.raises(Stopped):
            teller(Progress("learning", 0.5))
    assert "learning 25%, epoch 1 of 4, loss 0.5000, 7 s left" in capsys.readouterr().err


def test_a_teller_stops_at_a_signal_and_at_too_much_memory(store):
    number = begun(store)
    stop = threading.Event()
    with Teller(store, number, stop, 1e-3) as teller, pytest.raises(TooMuchMemory, match=r"train\.memory_gb = 0\.001"):
        teller(Progress("reading", 0.5))
    stop.set()
    with Teller(store, number, stop, 1e3) as teller, pytest.raises(Stopped):
        teller(Progress("reading", 0.5))


def test_a_data_base_that_is_away_ends_no_training(store, monkeypatch):
    def away(*_):
        raise StoreAway("no answer")

    monkeypatch.setattr(telling.trainings, "tell", away)
    with Teller(store, begun(store), threading.Event(), 1e3) as teller:
        teller(Progress("learning", 0.25))
        teller(Progress("learning", 0.5))
        assert teller._away


def test_a_process_that_lives_is_not_buried(store):
    begun(store, host="here", pid=os.getpid())
    assert trainings.bury(store, "here", {os.getpid()}) == []
    assert not only(store).silent(datetime.now(UTC) + timedelta(seconds=30))


def test_of_all_who_try_one_gets_a_training_that_waits(store):
    first, second = (trainings.ask(store, {"plots": [str(n)]}, "ann") for n in range(2))
    together = threading.Barrier(4)

    def attempt(host: str) -> trainings.Training | None:
        together.wait(10)
        return trainings.claim(store, host, 17)

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(attempt, ["here", "here", "here", "here"]))

    assert [one.id for one in got if one is not None] == [first]
    assert trainings.claim(store, "here", 18) is None  # one at a time on a host
    far = trainings.claim(store, "far", 19)
    assert far is not None
    assert (far.id, far.state, far.host, far.pid) == (second, TrainingState.RUNNING, "far", 19)
    assert trainings.claim(store, "third", 20) is None


def test_a_certain_one_is_claimed_when_it_waits_and_not_otherwise(store):
    numbers = [trainings.ask(store, {}, "ann") for _ in range(2)]
    assert trainings.claim(store, "here", 17, 999) is None
    assert trainings.claim(store, "here", 17, numbers[1]).id == numbers[1]
    assert trainings.claim(store, "far", 17, numbers[1]) is None
    trainings.entrust(store, numbers[1], 18)
    assert trainings.training(store, numbers[1]).pid == 18
    trainings.entrust(store, numbers[0], 18)
    assert trainings.training(store, numbers[0]).pid is None


def test_a_wish_to_stop_is_kept_while_the_process_starts(store):
    number = trainings.ask(store, {}, "ann")
    assert trainings.claim(store, "here", 17).id == number
    assert trainings.ask_to_stop(store, number)
    assert begun(store, number=number) == number
    assert trainings.tell(store, number, {})

    trainings.end(store, number, TrainingState.STOPPED)
    assert begun(store, number=number) == number  # by hand, with --resume
    assert not trainings.tell(store, number, {})


def test_what_was_stopped_or_failed_waits_again_when_somebody_wants_it(store):
    number = begun(store)
    assert not trainings.resume(store, number)
    trainings.ask_to_stop(store, number)
    trainings.end(store, number, TrainingState.STOPPED, reason="asked to")
    assert trainings.resume(store, number)
    one = only(store)
    assert (one.state, one.stop_asked, one.reason, one.pid, one.ended_at) == (
        TrainingState.QUEUED, False, "", None, None,
    )  # fmt: skip
    assert trainings.claim(store, "here", 17).id == number
    trainings.end(store, number, TrainingState.DONE, model="x")
    assert not trainings.resume(store, number)
    assert not trainings.resume(store, 999)
    assert trainings.training(store, 999) is None


def test_a_teller_keeps_the_curve_of_the_attempt_under_way(store):
    number = begun(store)
    with Teller(store, number, threading.Event(), 1e3) as teller:
        for attempt, epoch, loss in ((1, 1, 0.9), (1, 2, 0.8), (2, 1, 0.7), (2, 2, 0.5), (2, 2, 0.4)):
            teller._tell_at = 0.0
            known = None if epoch == 1 else 0.6
            teller(
                Progress("learning", 0.1, epoch=epoch, epochs=4, loss=loss, attempt=attempt, balanced_accuracy=known)
            )
    assert only(store).progress["curve"] == [[1, 0.7, None], [2, 0.4, 0.6]]
