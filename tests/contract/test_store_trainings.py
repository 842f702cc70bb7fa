"""Trainings in the data base: under way, asked to stop, dead without a word."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from hydrad.errors import StoreAway
from hydrad.store import tables, trainings
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
