"""Trainings that were asked for on a page: started one at a time, outliving the pages, buried when they died."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from browsing import Pages, until
from training_world import MEANINGS, brought, season
from web_world import World, world

from hydrad.store.models import trainings
from hydrad.store.tables import TrainingState
from hydrad.web.library.trainer import Trainer, last_lines, log_of

TRAIN = "[train]\nwidth = 32\nheight = 32\nthreads = 1\n"
HERE = socket.gethostname()


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[World]:
    made = world(tmp_path / "hall", more=TRAIN)
    with made.store:
        yield made


@pytest.fixture
def trainer(hall: World) -> Trainer:
    return Trainer(hall.config, hall.store, hall.settings)


def one(hall: World, number: int) -> trainings.Training:
    found = trainings.training(hall.store, number)
    assert found is not None
    return found


def look_until(trainer: Trainer, hall: World, number: int, state: TrainingState) -> trainings.Training:
    """Let the trainer look about until a training has come so far."""
    deadline = time.monotonic() + 60
    while one(hall, number).state is not state or trainer._child is not None:
        assert time.monotonic() < deadline, one(hall, number)
        trainer.look()
        time.sleep(0.05)
    return one(hall, number)


def test_those_that_wait_are_tried_one_after_the_other_and_say_why_they_failed(hall: World, trainer: Trainer) -> None:
    first, second = (trainings.ask(hall.store, {"plots": [plot]}, "ann") for plot in ("CDC_a", "CDC_b"))
    trainer.look()
    running = one(hall, first)
    assert (running.state, running.host) == (TrainingState.RUNNING, HERE)
    child = psutil.Process(running.pid)
    assert os.getsid(child.pid) == child.pid != os.getsid(0)  # Ctrl-C does not reach it
    trainer.look()
    assert one(hall, second).state is TrainingState.QUEUED

    for number, plot in ((first, "CDC_a"), (second, "CDC_b")):
        failed = look_until(trainer, hall, number, TrainingState.FAILED)
        assert failed.reason == f"PLOT: nobody has labelled an image of {plot!r}: see `hydrad label import`"
        assert failed.person == "ann"
        assert plot in last_lines(hall.config, number, 5)[-1]


def test_one_that_dies_without_a_word_is_said_to_have_failed_with_its_last_line(hall: World) -> None:
    number = trainings.ask(hall.store, {"plots": ["x"]}, "ann")
    trainer = Trainer(hall.config, hall.store, hall.home / "no such file.toml")
    trainer.look()
    failed = look_until(trainer, hall, number, TrainingState.FAILED)
    assert failed.reason.startswith("it ended without a word (exit 2): hydrad: ")
    assert "no such file.toml" in failed.reason


def test_the_dead_of_an_earlier_process_are_buried_when_the_next_one_looks(hall: World, trainer: Trainer) -> None:
    mine, gone = (
        trainings.begin(hall.store, {"plots": ["x"]}, "ann", host=HERE, pid=pid) for pid in (os.getpid(), 2**22 + 1)
    )
    far = trainings.begin(hall.store, {"plots": ["x"]}, "ann", host="elsewhere", pid=2**22 + 1)
    trainer.look()
    assert one(hall, mine).state is one(hall, gone).state is TrainingState.FAILED
    assert one(hall, far).state is TrainingState.RUNNING


def test_of_its_own_child_it_says_what_it_died_of_also_when_that_happens_between_two_steps(
    hall: World, trainer: Trainer
) -> None:
    number = trainings.ask(hall.store, {"plots": ["x"]}, "ann")
    trainer.look()
    child = psutil.Process(one(hall, number).pid)
    child.kill()
    until(lambda: child.status() == psutil.STATUS_ZOMBIE)
    trainer._bury()
    assert one(hall, number).state is TrainingState.RUNNING
    assert "killed by SIGKILL" in look_until(trainer, hall, number, TrainingState.FAILED).reason


def test_while_somebody_trains_on_this_host_nothing_else_is_started(hall: World, trainer: Trainer) -> None:
    by_hand = trainings.begin(hall.store, {"plots": ["x"]}, "ann", host=HERE, pid=os.getppid())
    number = trainings.ask(hall.store, {"plots": ["x"]}, "ann")
    trainer.look()
    assert (one(hall, by_hand).state, one(hall, number).state) == (TrainingState.RUNNING, TrainingState.QUEUED)


def test_a_log_is_read_from_its_end(hall: World) -> None:
    assert last_lines(hall.config, 7, 3) == []
    log_of(hall.config, 7).parent.mkdir(parents=True)
    log_of(hall.config, 7).write_bytes(b"x\n" * 100_000 + b"torn \xff letter\n\nlast " + b"y" * 900 + b"\n")
    torn, last = last_lines(hall.config, 7, 2)
    assert torn == "torn \ufffd letter"
    assert last.startswith("last yyy")
    assert len(last) == 500


@pytest.mark.keras
@pytest.mark.timeout(300)
def test_a_training_outlives_the_pages_that_started_it(hall: World, tmp_path: Path) -> None:
    brought(hall.store, hall.config.store.images, season(tmp_path / "seen", runs=4, good=4, bad=3), MEANINGS)
    address = "/api/v1/trainings"

    def epoch() -> int:
        return one(hall, number).progress.get("epoch") or 0

    def ask(pages: Pages, path: str, **words: Any) -> httpx.Response:
        return httpx.post(f"{pages.address}{address}{path}", timeout=30, **words)

    with Pages(hall.settings) as pages:
        asked = ask(pages, "", json={"plots": ["CDC_x"], "id": "long", "epochs": 1000})
        assert asked.status_code == 201
        number = asked.json()["number"]
        until(lambda: epoch() >= 2, 90, lambda: "\n".join(last_lines(hall.config, number, 20)))
        child = psutil.Process(one(hall, number).pid)
    assert child.is_running()
    assert one(hall, number).state is TrainingState.RUNNING

    with Pages(hall.settings) as pages:
        seen = epoch()
        until(lambda: epoch() > seen, 30)
        assert one(hall, number).pid == child.pid
        assert ask(pages, f"/{number}/stop").json()["stop_asked"]
        until(lambda: one(hall, number).state is TrainingState.STOPPED, 30)
        learned = epoch()

        assert ask(pages, f"/{number}/resume").json()["state"] == "queued"
        until(lambda: one(hall, number).state is TrainingState.RUNNING and one(hall, number).pid != child.pid, 30)
        until(lambda: epoch() > learned, 60)
        assert min(point[0] for point in one(hall, number).progress["curve"]) >= learned  # not from the beginning
        os.kill(one(hall, number).pid, signal.SIGKILL)
        until(lambda: one(hall, number).state is TrainingState.FAILED, 30)
        assert "killed by SIGKILL" in one(hall, number).reason
        assert httpx.get(f"{pages.address}{address}/{number}", timeout=30).json()["log"]
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
