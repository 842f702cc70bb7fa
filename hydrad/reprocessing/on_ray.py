"""The same work on a Ray cluster, of one host or of many: what a lost node held is given to another one by Ray."""

from __future__ import annotations

from concurrent.futures import Future
from types import TracebackType
from typing import Final, Self

from hydrad.cluster import Attached
from hydrad.errors import HydradError
from hydrad.reprocessing.archive import Portion
from hydrad.reprocessing.engines import Lost
from hydrad.reprocessing.work import Answered, Job, judge

GIVEN_AGAIN: Final = 3  # times that Ray gives a portion to another worker before it counts as lost


class RayCluster:
    """A cluster's workers; a context manager. Nodes may come and go while it lasts.

    Args:
        address: ``auto``, ``host:port``, or ``local``.
        workers: the most at once; of a local cluster how many there are; None: as many as the cluster has cores.
        gpus: that each worker needs, or a share of one; 0 for none.

    Raises:
        ConfigurationError: Ray is not installed.
        HydradError: no cluster answers there.
    """

    def __init__(self, job: Job, address: str, *, workers: int | None = None, gpus: float = 0.0) -> None:
        self._job = job
        self._address = address
        self._workers = workers
        self._gpus = gpus

    def __enter__(self) -> Self:
        self._cluster = Attached(self._address, key="--ray", cores=self._workers, gpus=self._gpus)
        self._judge = self._cluster.remote(judge, retries=GIVEN_AGAIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cluster.close()

    @property
    def name(self) -> str:
        """What it is, for people."""
        nodes = self.nodes
        return f"Ray, {nodes} node{'s' * (nodes != 1)}"

    @property
    def nodes(self) -> int:
        """How many hosts take part at present."""
        return self._cluster.nodes

    @property
    def at_once(self) -> int:
        """As many as the cluster has room for, which changes."""
        room = self._cluster.at_once
        return min(room, self._workers or room)

    def submit(self, portion: Portion) -> Future[Answered]:
        """Give a portion to whichever worker is free next."""
        future: Future[Answered] = self._judge.remote(self._job, portion).future()
        return future

    def result(self, future: Future[Answered]) -> Answered:
        """See :class:`hydrad.reprocessing.engines.Engine`."""
        faults = self._cluster.ray.exceptions
        try:
            return future.result()
        except faults.RayTaskError as fault:
            raise fault.cause from fault
        except self._cluster.losses as fault:
            raise Lost("a worker of the cluster ended") from fault
        except faults.RayError as fault:
            raise HydradError(f"Ray gave up: {fault}") from fault
