"""A model judges an archive on Ray: three nodes on this machine, one of them killed; `make test-ray` alone runs it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import reprocessing_world as world
from classify_world import brightness_bundle
from databases import Database
from ray_nodes import Cluster, cluster, kill

from hydrad.classify.fitness import Unfit
from hydrad.domain import Outcome
from hydrad.errors import HydradError
from hydrad.reprocessing import on_ray
from hydrad.reprocessing.driving import Driver
from hydrad.reprocessing.engines import Processes
from hydrad.reprocessing.on_ray import RayCluster
from hydrad.store.queries import Store
from hydrad.store.reprocessing import records

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("default")]  # of Ray's own making

ON_ONE_KIND = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # nothing of it is the data base's


def joined(made: Cluster, engine: RayCluster, nodes: int) -> list[subprocess.Popen[bytes]]:
    """So many nodes, which come one after the other: of several on one machine that begin at once some give up."""
    deadline = time.monotonic() + 240
    found: list[subprocess.Popen[bytes]] = []
    while len(found) < nodes:
        node = made.add()
        while node.poll() is None and engine.nodes < len(found) + 2:
            assert time.monotonic() < deadline, "the nodes do not come together"
            time.sleep(0.2)
        found += [node] if node.poll() is None else []
    return found


@contextmanager
def entered(engine: RayCluster) -> Iterator[RayCluster]:
    """An engine, once its cluster answers."""
    deadline = time.monotonic() + 120
    while True:
        try:
            engine.__enter__()
        except HydradError:
            assert time.monotonic() < deadline, "the cluster does not answer"
            time.sleep(0.5)
        else:
            break
    try:
        yield engine
    finally:
        engine.__exit__(None, None, None)


def test_a_node_is_killed_and_every_file_is_there_once_as_by_processes_of_this_host(
    store: Store, database: Database, tmp_path: Path
) -> None:
    assert database.kind in {"sqlite", "mariadb"}
    model, archive = brightness_bundle(tmp_path / "models").folder, tmp_path / "archive"
    said = world.drawn(archive, 240)
    (archive / "CDC_text_0001.png").write_text("no image")
    source = world.archive_of(archive)
    number = world.begun(store, source)
    done, killed = 0, threading.Event()
    job = world.job_of(model, archive, world.open_slow)
    with cluster() as made, entered(RayCluster(job, made.address)) as engine:
        nodes = joined(made, engine, 3)

        def tell(files: int) -> None:
            nonlocal done
            done += files
            if done >= 60 and not killed.is_set():
                killed.set()
                kill(nodes[1])

        Driver(store, number, source, world.everything, engine, 5, tell).run()
        deadline = time.monotonic() + 120
        while engine.nodes != 3:  # Ray takes its time to miss a node
            assert time.monotonic() < deadline, "no node is missed"
            time.sleep(0.2)
    assert killed.is_set()
    assert {path: label for path, label in world.labels(store) if label} == said
    assert len(world.labels(store)) == len(said) + 1
    one = records.one(store, number)
    assert (one.judged, one.rejected, one.pending) == (len(said), 1, 0)
    again = world.begun(store, source, again=True)
    with Processes(world.job_of(model, archive), 1) as engine:
        Driver(store, again, source, world.everything, engine, 60).run()
    assert answers(store, number) == answers(store, again)


def answers(store: Store, number: int) -> list[tuple[Any, ...]]:
    table = world.reprocessed.c
    query = world.select(table.path, table.sha256, table.label, table.confidence, table.confirmed, table.reason)
    with store.reading() as connection:
        return [
            tuple(row) for row in connection.execute(query.where(table.reprocessing_id == number).order_by(table.path))
        ]


@ON_ONE_KIND
def test_what_ends_a_worker_each_time_is_found_and_a_host_that_is_not_fit_is_named(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "GIVEN_AGAIN", 0)  # it would die as often as it is given
    model, archive = brightness_bundle(tmp_path / "models").folder, tmp_path / "archive"
    said = world.drawn(archive, 6)
    world.draw(archive / "Run000001/CDC_adc_0003.png", world.DEADLY)
    source = world.archive_of(archive)
    number = world.begun(store, source)
    with cluster() as made:
        with entered(RayCluster(world.job_of(model, archive, world.open_fragile), made.address)) as engine:
            joined(made, engine, 1)
            Driver(store, number, source, world.everything, engine, 2).run()
        world.draw(archive / "Run000001/CDC_adc_0007.png", 250)
        job = world.job_of(model, archive)
        model.rename(model.with_name("away"))
        with entered(RayCluster(job, made.address)) as engine, pytest.raises(Unfit, match="does not see"):
            Driver(store, number, source, world.everything, engine, 2).run()
    assert {path: label for path, label in world.labels(store) if label} == said
    assert list(world.not_judged(store, Outcome.REJECTED)) == ["Run000001/CDC_adc_0003.png"]
