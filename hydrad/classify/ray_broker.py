"""The process between the daemon and a Ray cluster: what Ray does to whoever loses a cluster, it does to this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any, Final

from hydrad import offspring
from hydrad.classify import bundle as bundles
from hydrad.classify.fitness import Wanted
from hydrad.classify.runtime import Answers, Batch, OpenRuntime, Runtime, first_line, ready
from hydrad.cluster import Attached
from hydrad.errors import HydradError

KEY: Final = "classify.ray_address"
FEWEST: Final = 8  # images that are worth a worker's while
OPEN_MODELS: Final = 4  # that a worker keeps


@dataclass(frozen=True, slots=True)
class Remote:
    """A model as workers open it."""

    bundle: Wanted
    open_runtime: OpenRuntime
    batch: int  # the most images computed at once


@dataclass(frozen=True, slots=True)
class Asked:
    """Pictures to be answered."""

    model: Remote
    batch: Batch
    wait_s: float


@dataclass(frozen=True, slots=True)
class Part:
    """Pictures ``start`` to ``stop``, and their answers, or why there are none."""

    start: int
    stop: int
    answers: Answers | None
    why: str = ""


def serve(end: Connection, ours: Connection, address: str, gpus: float) -> None:
    """Attach to a cluster and answer :class:`Asked` with lists of :class:`Part`, until the daemon ends.

    The first thing sent is None, or why no cluster is there; after that it ends.
    """
    offspring.begin(end)
    try:
        cluster = Attached(address, key=KEY, gpus=gpus)
    except HydradError as fault:
        ours.send(str(fault))
        return
    ours.send(None)
    work = cluster.remote(_answer, retries=0)  # what is not answered the daemon computes itself, sooner than another
    under_way: list[Any] = []
    while True:
        asked: Asked = ours.recv()
        under_way = _unfinished(cluster, under_way, 0.0)
        parts, late = _computed(cluster, work, asked, cluster.at_once - len(under_way))
        under_way += late
        ours.send(parts)


def _computed(cluster: Attached, work: Any, asked: Asked, room: int) -> tuple[list[Part], list[Any]]:
    """Parts of it from so many workers, and what they have not answered in time."""
    count = len(asked.batch)
    if room < 1:  # it would wait behind what nobody waits for any more
        return [Part(0, count, None, "all workers are busy")], []
    pieces = _pieces(count, room)
    asking = [work.remote(asked.model, asked.batch[start:stop]) for start, stop in pieces]
    late = _unfinished(cluster, asking, asked.wait_s)
    parts = [
        Part(start, stop, None, f"no answer within {asked.wait_s:g} s")
        if reference in late
        else _part(cluster, start, stop, reference)
        for (start, stop), reference in zip(pieces, asking, strict=True)
    ]
    return parts, late


def _pieces(count: int, room: int) -> Sequence[tuple[int, int]]:
    """So many pictures for so many workers, none with less than is worth its while unless there are no more."""
    workers = max(1, min(room, count // FEWEST))
    edges = [count * n // workers for n in range(workers + 1)]
    return list(pairwise(edges))


def _part(cluster: Attached, start: int, stop: int, reference: Any) -> Part:
    faults = cluster.ray.exceptions
    try:
        return Part(start, stop, cluster.ray.get(reference))
    except faults.RayTaskError as fault:
        return Part(start, stop, None, first_line(fault.cause))
    except faults.RayError as fault:
        return Part(start, stop, None, f"{type(fault).__name__}: {first_line(fault)}")


def _unfinished(cluster: Attached, references: list[Any], wait_s: float) -> list[Any]:
    if not references:
        return []
    _, rest = cluster.ray.wait(references, num_returns=len(references), timeout=wait_s)
    return list(rest)


def _answer(model: Remote, batch: Batch) -> Answers:
    """In a worker: compute with the model, which it opens once."""
    return _opened(model).compute(batch)


@lru_cache(maxsize=OPEN_MODELS)
def _opened(model: Remote) -> Runtime:
    """The model, tested here as everywhere."""
    model.bundle.require_here()
    return ready(bundles.read(model.bundle.folder), model.open_runtime, model.batch)
