"""What is said to systemd, over a real socket, and when nobody listens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from listening_systemd import ListeningSystemd

from hydrad.domain import Beam, BeamState, Health, Vitals
from hydrad.overseeing import FIGURES_EVERY_S, Overseer
from hydrad.systemd import Systemd


@pytest.fixture
def listening():
    with ListeningSystemd(8.0) as end:
        yield end


def test_what_is_found_in_the_environment_is_taken_from_it_so_that_children_do_not_speak(monkeypatch, listening):
    for name, value in listening.environment.items():
        monkeypatch.setenv(name, value)
    systemd = Systemd.found()
    assert systemd.watchdog_s == 8.0
    child = [
        sys.executable,
        "-c",
        "import os; print(sorted(n for n in os.environ if n in {'NOTIFY_SOCKET', 'WATCHDOG_USEC'}))",
    ]
    assert subprocess.run(child, check=True, capture_output=True, text=True).stdout == "[]\n"
    systemd.ready()
    assert listening.lines() == ["READY=1"]


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdogs_time_is_that_of_this_process(environment, watchdog_s):
    systemd = Systemd.found(environment)
    assert systemd.watchdog_s == watchdog_s
    assert systemd.feed_every_s == (None if watchdog_s is None else watchdog_s / 4)


def test_a_socket_with_a_path_hears_as_well(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        Systemd(str(tmp_path / "notify")).status("two\nlines")
        assert end.recv(100) == b"STATUS=two lines"


def test_nobody_listening_is_no_fault(tmp_path):
    Systemd().ready()
    Systemd(str(tmp_path / "gone")).ready()
    Systemd("@nobody-is-called-so").stopping("asked")


def test_that_it_is_ready_is_said_again_once_somebody_hears(tmp_path):
    systemd = Systemd(str(tmp_path / "notify"))
    systemd.status("early")
    systemd.ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        systemd.status("late")
        assert end.recv(100) == b"READY=1\nSTATUS=late"
        systemd.status("later")
        assert end.recv(100) == b"STATUS=later"


def test_once_ready_loading_a_model_extends_no_time(listening):
    systemd = Systemd(listening.environment["NOTIFY_SOCKET"])
    systemd.starting("loading the model m1", 90.0)
    systemd.ready()
    systemd.starting("loading the model m2", 90.0)
    assert listening.lines() == ["EXTEND_TIMEOUT_USEC=90000000", "STATUS=loading the model m1", "READY=1"]


def vitals(**words):
    return Vitals(
        **{
            "health": Health.OK, "why": "", "beam": Beam(BeamState.ON), "beam_on_above": 5.0, "database_ok": True,
            "model_ok": True, "images_per_s": 3.25, "latency_s": 0.1, "pending": 2, **words,
        }
    )  # fmt: skip


class Watched:
    """An overseer on a clock that the test moves, and what systemd heard of it."""

    def __init__(self, end):
        self.now_s, self._end, self._before = 100.0, end, 0
        systemd = Systemd(end.environment["NOTIFY_SOCKET"], 8.0)
        self.overseer = Overseer(systemd, plots=lambda: 87, clock=lambda: self.now_s)

    async def hears(self, seconds=1.0, **words):
        self.now_s += seconds
        await self.overseer.show_vitals(vitals(**words))
        lines = self._end.lines()
        new, self._before = lines[self._before :], len(lines)
        return new


async def test_a_round_with_all_parts_alive_feeds_the_watchdog_and_gives_figures(listening):
    watched = Watched(listening)
    assert await watched.hears() == ["WATCHDOG=1", "STATUS=3.2 images/s of 87 plots, 2 waiting"]
    assert await watched.hears() == []
    assert await watched.hears() == ["WATCHDOG=1"]
    assert (await watched.hears(FIGURES_EVERY_S, images_per_s=4.0))[-1] == "STATUS=4.0 images/s of 87 plots, 2 waiting"


async def test_a_silent_part_starves_it_and_a_trouble_outside_does_not(listening):
    watched = Watched(listening)
    away = {"health": Health.DEGRADED, "why": "the data base does not answer"}
    assert (await watched.hears(9, **away))[0] == "WATCHDOG=1"
    full = {"health": Health.STALLED, "why": "files wait, and none was judged for 31 s"}
    assert (await watched.hears(9, **full))[0] == "WATCHDOG=1"
    hung = {"health": Health.STALLED, "why": "no sign of life from the classifier", "silent": ["the classifier"]}
    assert await watched.hears(9, **hung) == [
        "STATUS=3.2 images/s of 87 plots, 2 waiting; stalled: no sign of life from the classifier"
    ]


async def test_what_is_said_of_the_configuration_stays_until_something_else_is_said(listening):
    watched = Watched(listening)
    await watched.hears()
    watched.overseer.remember("a restart is needed for ioc.port")
    assert (await watched.hears())[-1].endswith("2 waiting; a restart is needed for ioc.port")
    watched.overseer.remember("")
    assert (await watched.hears())[-1].endswith("2 waiting")
