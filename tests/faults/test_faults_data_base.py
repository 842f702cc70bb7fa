"""The data base is away, slow, full, shut, or not the one it was: the PVs live on, and nothing is lost or double."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mariadb
import MySQLdb
import pytest
from between import Between
from databases import started
from outages import OUTAGES, SIZE, Base, Outage, crossed, frozen, replicated, small_disk
from trial import LONG, Trial

from hydrad.domain import Health, Severity
from hydrad.store.engine import ANSWER_WITHIN_S
from hydrad.verbs.processes import free_port

pytestmark = pytest.mark.mariadb

Trials = Callable[..., Trial]
PLOTS = 20
AT_A_TIME = 100 if LONG else 4
AWAY_S = 10.0 if LONG else 0.0  # an outage lasts this much longer than until it is noticed
FAULT = Severity.MINOR, Health.DEGRADED
WATCH = ["DB:STATUS", "WATCHDOG", "CDC:P0:STATUS"]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A small disk for the server, where this process may mount one."""
    with small_disk(tmp_path_factory.mktemp("server") / "disk") as mounted:
        yield mounted


@pytest.fixture(scope="module")
def server(disk: Path | None) -> Iterator[mariadb.MariaDB]:
    """A server that these tests ill-treat."""
    with started(data=None if disk is None else disk / "data", options=SIZE) as mortal:
        mortal.execute("CREATE USER crowd@localhost")
        yield mortal


@pytest.fixture
def base(server: mariadb.MariaDB, disk: Path | None) -> Iterator[Base]:
    """A data base on it."""
    server.start()
    made = Base.on(server, disk)
    yield made
    server.start()
    server.drop(made.url)
    server.stop()


def write(hall: Trial, files: int = AT_A_TIME) -> None:
    """Let files appear, some of each plot."""
    for _ in range(files):
        n = len(hall.written)
        hall.write(f"Run{n:06}/CDC_p{n % PLOTS}.png")


def database_pv(hall: Trial) -> tuple[Severity, Health]:
    """What DB:STATUS and WATCHDOG said last."""
    said, dog = hall.clients.events("DB:STATUS"), hall.clients.events("WATCHDOG")
    return Severity(said[-1].severity if said else 3), Health(int(dog[-1].value or 0)) if dog else Health.STALLED


def until_back(hall: Trial) -> None:
    """The PVs say that all is well."""
    hall.until(lambda: database_pv(hall) == (Severity.NO_ALARM, Health.OK), 180)


def endure(hall: Trial, outage: Outage, base: Base, away_s: float = AWAY_S) -> None:
    """Let files come before, during and after an outage, and see that the PVs say what is so."""
    write(hall)
    until_back(hall)
    with outage(base):
        hall.tries += 1
        while database_pv(hall) != FAULT:
            write(hall, 1)  # a disk that is full may still have room in its last page
            hall.until(lambda: True)
            time.sleep(0.2)
        until = time.monotonic() + away_s
        while time.monotonic() < until:
            write(hall, 10)
            time.sleep(1.0)
        assert database_pv(hall) == FAULT
        write(hall)
    write(hall)
    until_back(hall)


@pytest.mark.skipif(LONG, reason="each by itself in the long form")
def test_whatever_befalls_the_data_base_in_turn_nothing_is_lost(trial: Trials, base: Base) -> None:
    with trial("a data base with one fault after the other", watch=WATCH, **base.parts()) as hall:
        hall.start()
        for name in ("killed", "read-only", *(["full"] if base.disk is not None else [])):
            endure(hall, OUTAGES[name], base)


@pytest.mark.skipif(not LONG, reason="minutes: make faults")
@pytest.mark.parametrize(("name", "outage"), OUTAGES.items(), ids=OUTAGES)
def test_a_data_base_that_is_away_costs_nothing_but_patience(
    trial: Trials, base: Base, name: str, outage: Outage
) -> None:
    with trial(f"data base {name}", watch=WATCH, **base.parts()) as hall:
        hall.start()
        for _ in range(2):
            endure(hall, outage, base)


@pytest.mark.skipif(not LONG, reason="minutes: make faults")
def test_a_data_base_that_is_frozen_for_minutes_costs_nothing_but_patience(trial: Trials, base: Base) -> None:
    with trial("data base frozen for two minutes", watch=WATCH, **base.parts()) as hall:
        hall.start()
        endure(hall, frozen, base, away_s=120.0)


@pytest.mark.skipif(not LONG, reason="minutes: make faults")
def test_a_data_base_in_which_others_take_the_same_rows_crosswise_gets_everything(trial: Trials, base: Base) -> None:
    with trial("data base with deadlocks", watch=WATCH, **base.parts()) as hall:
        hall.start()
        write(hall)
        with crossed(base):
            for _ in range(30):
                hall.tries += 1
                write(hall, 20)
                time.sleep(1.0)


@pytest.mark.skipif(not LONG, reason="minutes: make faults")
def test_a_data_base_that_takes_seconds_for_every_answer_gets_everything(
    trial: Trials, base: Base, tmp_path: Path
) -> None:
    with (
        Between(tmp_path / "s", base.server.socket) as line,
        trial("data base slow: every answer takes 2 s, then 20 s", watch=WATCH, **base.parts(line.at)) as hall,
    ):
        hall.start()
        for slow_s in (2.0, 20.0):
            hall.tries += 1
            write(hall)
            line.delay_s = slow_s
            if slow_s > ANSWER_WITHIN_S:
                hall.until(lambda: database_pv(hall) == FAULT, 180)
            until = time.monotonic() + 60.0
            while time.monotonic() < until:
                write(hall, 10)
                time.sleep(1.0)
            line.delay_s = 0.0
            line.cut()
            until_back(hall)


@pytest.mark.skipif(not LONG, reason="minutes: make faults")
def test_a_line_to_the_data_base_that_is_cut_all_the_time_costs_nothing(
    trial: Trials, base: Base, tmp_path: Path
) -> None:
    with (
        Between(tmp_path / "s", base.server.socket) as line,
        trial("line to the data base cut all the time", watch=WATCH, **base.parts(line.at)) as hall,
    ):
        hall.start()
        line.cut_after = 12
        until = time.monotonic() + 60.0
        while time.monotonic() < until:
            write(hall, 10)
            time.sleep(1.0)
        hall.tries = line.cuts
        line.cut_after = 0
        until_back(hall)


@pytest.mark.skipif(not LONG, reason="the same is seen of the store in seconds")
def test_a_schema_that_is_behind_or_ahead_is_said_with_its_command_and_nothing_is_lost(
    trial: Trials, base: Base
) -> None:
    with trial("schema behind, and upgraded under a running daemon", watch=WATCH, **base.parts()) as hall:
        newest = revision(base, "0002")
        for verb in ("run", "web"):
            hall.tries += 1
            said = refusal(hall, verb)
            assert (said.returncode, "run `hydrad db upgrade`" in said.stderr) == (2, True), said.stderr
        revision(base, newest)
        hall.start()
        for strange in ("9999", "0002"):
            write(hall)
            until_back(hall)
            hall.tries += 1
            revision(base, strange)
            write(hall)
            hall.until(lambda: database_pv(hall) == FAULT, 180)
            said = refusal(hall, "web")
            assert (said.returncode, "`hydrad db upgrade`" in said.stderr) == (2, True), said.stderr
            write(hall)
            revision(base, newest)
            until_back(hall)
        assert all("`hydrad db upgrade`" in line["why"] for line in hall.said("cannot_deliver"))


@pytest.mark.skipif(not LONG, reason="minutes: make faults")
@pytest.mark.parametrize("lags", [False, True], ids=["in step", "behind"])
def test_a_data_base_that_fails_over_loses_nothing_not_even_to_a_replica_that_lags(
    trial: Trials, tmp_path: Path, lags: bool
) -> None:
    port = free_port()
    primary = ("--skip-networking=0", "--bind-address=127.0.0.1", f"--port={port}", "--log-bin", "--server-id=1")
    with (
        started(options=(*SIZE, *primary)) as first,
        started(options=(*SIZE, "--log-bin", "--server-id=2")) as replica,
        Between(tmp_path / "s", first.socket) as line,
        trial(
            f"data base fails over to a replica {'that lags' if lags else 'in step'}",
            watch=WATCH,
            **(base := Base.on(first)).parts(line.at),
        ) as hall,
    ):
        hall.start()
        with replicated(base, replica, port):
            write(hall)
            hall.until(lambda: hall.counted() == len(hall.written))
            hall.until(lambda: filed(replica, base) == len(hall.written))
            if lags:
                replica.execute("STOP SLAVE SQL_THREAD")
            write(hall)
            hall.until(lambda: hall.counted() == len(hall.written))
            hall.until(lambda: lags or filed(replica, base) == len(hall.written))
        hall.tries += 1
        first.kill()
        line.cut()
        write(hall)
        hall.until(lambda: database_pv(hall) == FAULT, 180)
        line.server = replica.socket
        write(hall)
        until_back(hall)
        hall.until(lambda: hall.counted() == len(hall.written), 180)
        assert bool(hall.said("data_base_went_back")) == lags


def filed(server: mariadb.MariaDB, base: Base) -> int:
    """How many files a server's ledger has."""
    connection = Base(server, base.url).as_root()
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM files")
        return int(cursor.fetchone()[0])
    except MySQLdb.Error:  # the table is still to come
        return 0
    finally:
        connection.close()


def revision(base: Base, new: str) -> str:
    """Let the data base say that it is of this revision; the one before."""
    connection = base.as_root()
    cursor = connection.cursor()
    cursor.execute("SELECT version_num FROM alembic_version")
    ((before,),) = cursor.fetchall()
    cursor.execute("UPDATE alembic_version SET version_num = %s", (new,))
    connection.commit()
    connection.close()
    return str(before)


def refusal(hall: Trial, verb: str) -> subprocess.CompletedProcess[str]:
    """What a process says that may not begin; its journal is that of no other."""
    settings = hall.daemon.home / "aside.toml"
    settings.write_text(hall.daemon.settings.read_text().replace("[store]", '[store]\njournal = "aside.db"'))
    return subprocess.run(
        [sys.executable, "-m", "hydrad", verb, "-c", str(settings)],
        env={**os.environ, **hall.daemon.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
