"""Batches are computed on a Ray cluster, whose nodes, head and broker are killed; `make test-ray` alone runs it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ray_nodes import cluster, kill

from hydrad import shipped
from hydrad.classify import bundle as bundles
from hydrad.classify.opening import Opener
from hydrad.classify.ray_broker import FEWEST
from hydrad.classify.ray_runtime import Cluster, RayRuntime
from hydrad.classify.runtime import Answers, Batch, Runtime, ready

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("default")]  # of Ray's own making


class Counted:
    """A runtime, and how many images it was asked for."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.images = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._runtime, name)

    def compute(self, batch: Batch) -> Answers:
        self.images += len(batch)
        return self._runtime.compute(batch)


@pytest.fixture(scope="module")
def local() -> Runtime:
    return ready(bundles.read(shipped.folder()), Opener("openvino", "float32"), 32)


@pytest.fixture(scope="module")
def pictures(local: Runtime) -> Batch:
    shape = local.bundle.manifest.preparation.shape
    return np.random.default_rng(1).integers(0, 256, (32, *shape), np.uint8)


def on(there: Cluster) -> tuple[RayRuntime, Counted]:
    runtime = RayRuntime(bundles.read(shipped.folder()), 32, cluster=there, open_runtime=Opener("openvino", "float32"))
    counted = runtime._local = Counted(runtime._local)  # type: ignore[assignment]  the rest it has of the other
    return runtime, counted


def until(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not fact():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture
def asked(local: Runtime, pictures: Batch) -> Callable[[RayRuntime, Counted], bool]:
    """Whether the cluster alone computes a batch; whoever does, the answers are those of this host."""
    expected = local.compute(pictures)

    def ask(runtime: RayRuntime, counted: Counted) -> bool:
        before = counted.images
        found = runtime.compute(pictures)
        assert np.array_equal(found.scores.argmax(axis=1), expected.scores.argmax(axis=1))
        assert np.abs(found.scores - expected.scores).max() < 1e-3
        assert found.heatmaps is not None
        assert expected.heatmaps is not None
        assert found.heatmaps.shape == expected.heatmaps.shape
        assert (found.novelties is None) == (expected.novelties is None)
        assert len(found.embeddings) == len(pictures)
        return counted.images == before

    return ask


def test_what_a_lost_cluster_does_not_answer_this_host_does_until_it_is_back(
    asked: Callable[[RayRuntime, Counted], bool], pictures: Batch
) -> None:
    with cluster() as made, Cluster(made.address, wait_s=10, pause_s=0.5) as there:
        runtime, counted = on(there)
        assert runtime.name == f"ray {made.address}, else openvino cpu float32"
        assert not asked(runtime, counted)  # nobody waits for a cluster to come
        nodes = [made.add(), made.add()]
        until(lambda: asked(runtime, counted), "the cluster does not compute")
        before = counted.images
        runtime.compute(pictures[: FEWEST - 1])  # not worth a worker's while
        assert counted.images == before + FEWEST - 1

        kill(nodes[0])
        until(lambda: asked(runtime, counted), "the node that is left does not compute")

        broker = there._broker
        assert broker is not None
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)  # hangs
        there._wait_s = 0.1
        assert not asked(runtime, counted)
        there._wait_s = 10
        until(lambda: asked(runtime, counted), "no new broker computes")

    began = time.monotonic()  # all of it is gone
    with Cluster(made.address, wait_s=5, pause_s=0.5) as there:
        runtime, counted = on(there)
        until(lambda: not there.serves and not asked(runtime, counted), "this host does not compute")
        assert time.monotonic() - began < 60


def test_when_all_nodes_go_while_it_computes_every_batch_is_answered(
    asked: Callable[[RayRuntime, Counted], bool],
) -> None:
    with cluster() as made, Cluster(made.address, wait_s=5, pause_s=0.5) as there:
        runtime, counted = on(there)
        made.add()
        until(lambda: asked(runtime, counted), "the cluster does not compute")
        made.close()
        began = time.monotonic()
        until(lambda: not asked(runtime, counted), "a cluster that is gone computes")
        assert time.monotonic() - began < 30
        for _ in range(5):
            asked(runtime, counted)


def test_nothing_of_it_is_left_when_the_daemon_ends() -> None:
    with Cluster("local", wait_s=5) as there:
        broker = there._broker
        assert broker is not None
        until(lambda: there.serves, "a cluster of this host's own does not come")
        pid = broker.pid
    assert pid is not None
    until(lambda: not Path(f"/proc/{pid}").exists(), "the broker is still there")
