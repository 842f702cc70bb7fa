"""Computes large batches on a Ray cluster, where one host is not enough; without it this host computes them as ever."""

from __future__ import annotations

import threading
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Final, Self

from hydrad import log
from hydrad.classify.bundle import Bundle
from hydrad.classify.fitness import Wanted
from hydrad.classify.ray_broker import FEWEST, KEY, Asked, Part, Remote, serve
from hydrad.classify.runtime import Answers, Batch, OpenRuntime, Runtime, ready
from hydrad.cluster import require_installed
from hydrad.errors import BundleError

WAIT_S: Final = 5.0  # the longest that a batch waits for the cluster
GRACE_S: Final = 2.0  # after that the broker itself hangs
PAUSE_S: Final = 5.0  # after a loss this host computes by itself for so long, each time twice as long …
LONGEST_PAUSE_S: Final = 300.0  # … but no longer than this

_log = log.get("classify")


class Cluster:
    """The daemon's way to a cluster, through a process of its own; a context manager.

    Nothing here waits for a cluster to come: until one answers, there is none.

    Args:
        address: ``auto``, ``host:port``, or ``local``.
        gpus: that each worker needs, or a share of one; 0 for none.
        wait_s: the longest that a batch waits for it.
        pause_s: how long it is left alone after a first loss.

    Raises:
        ConfigurationError: Ray is not installed.
    """

    def __init__(self, address: str, *, gpus: float = 0.0, wait_s: float = WAIT_S, pause_s: float = PAUSE_S) -> None:
        require_installed(KEY)
        self.address = address
        self._gpus = gpus
        self._wait_s = wait_s
        self._shortest_pause_s = self._pause_s = pause_s
        self._left_alone_until = 0.0
        self._context = get_context("spawn")  # a fork would inherit locks that threads of libraries hold
        self._lock = threading.Lock()
        self._broker: SpawnProcess | None = None
        self._serves = False
        self._said: bool | None = None  # the last that the log was told

    def __enter__(self) -> Self:
        self._end, self._ours = self._context.Pipe(duplex=False)
        with self._lock:
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stop()
            self._ours.close()
            self._end.close()

    @property
    def serves(self) -> bool:
        """Whether it answered the last time, or has come since."""
        with self._lock:
            return self._is_there()

    def compute(self, model: Remote, batch: Batch) -> list[Part]:
        """Parts of the batch, each with its answers or without; all without while there is no cluster."""
        with self._lock:
            if not self._is_there() or self._broker is None:
                return [Part(0, len(batch), None)]
            try:
                parts = self._exchange(self._broker, Asked(model, batch, self._wait_s))
            except (EOFError, OSError):
                self._lose("its broker ended, or hung and was ended")
                return [Part(0, len(batch), None)]
            missing = [part.why for part in parts if part.answers is None]
            if len(missing) == len(parts):
                self._leave_alone(missing[0])
            elif missing:
                _log.warning("cluster_answered_in_part", address=self.address, reason=missing[0])
            else:
                self._pause_s = self._shortest_pause_s
                self._say(serves=True)
            return parts

    def _exchange(self, broker: SpawnProcess, asked: Asked) -> list[Part]:
        # Also to send may last for ever: where the broker hangs, nobody empties the pipe.
        end = threading.Timer(self._wait_s + GRACE_S, broker.kill)
        end.start()
        try:
            self._pipe.send(asked)
            parts: list[Part] = self._pipe.recv()
        finally:
            end.cancel()
            end.join()  # it must not end the next broker's number
        return parts

    def _is_there(self) -> bool:
        if time.monotonic() < self._left_alone_until:
            return False
        if self._broker is None:
            self._start()
        if not self._serves:
            try:
                if not self._pipe.poll():
                    if self._broker is not None and not self._broker.is_alive():
                        self._lose("its broker ended")
                    return False
                why: str | None = self._pipe.recv()
            except (EOFError, OSError):
                why = "its broker ended"
            if why is not None:
                self._lose(why)
                return False
            self._serves = True
        return True

    def _start(self) -> None:
        self._pipe: Connection
        self._pipe, theirs = self._context.Pipe()
        self._broker = self._context.Process(
            target=serve, args=(self._end, theirs, self.address, self._gpus), name="hydrad-ray", daemon=True
        )
        self._broker.start()
        theirs.close()  # so that its end is seen here

    def _stop(self) -> None:
        self._serves = False
        if self._broker is not None:
            self._broker.kill()
            self._broker.join()
            self._broker.close()
            self._broker = None
            self._pipe.close()

    def _lose(self, why: str) -> None:
        self._stop()
        self._leave_alone(why)

    def _leave_alone(self, why: str) -> None:
        self._left_alone_until = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._say(serves=False, reason=why, again_in_s=round(self._left_alone_until - time.monotonic(), 1))

    def _say(self, *, serves: bool, **more: object) -> None:
        if serves is not self._said:
            self._said = serves
            tell = _log.info if serves else _log.warning
            tell("cluster_serves" if serves else "cluster_lost", address=self.address, **more)


class RayRuntime:
    """A bundle on a cluster and, for few images and whatever the cluster does not answer, on this host.

    Both are tested with the bundle's golden images where they open it.

    Args:
        open_runtime: opens it, here and on the cluster's hosts; it has to be pickled.
        batch: the most images at once.

    Raises:
        BundleError: this host cannot compute it.
    """

    def __init__(self, bundle: Bundle, batch: int, *, cluster: Cluster, open_runtime: OpenRuntime) -> None:
        self._local = ready(bundle, open_runtime, batch)
        self._cluster = cluster
        try:
            self._model = Remote(Wanted.of(bundle.folder.absolute()), open_runtime, batch)
        except OSError as fault:
            raise BundleError(f"its manifest cannot be read: {fault.strerror or fault}") from fault
        self.name = f"ray {cluster.address}, else {self._local.name}"

    @property
    def bundle(self) -> Bundle:
        """What it computes."""
        return self._local.bundle

    @property
    def batch(self) -> int:
        """The most images it computes at once."""
        return self._local.batch

    def warm(self) -> None:
        """This host is warm already; the cluster's get warm when they open the model."""

    def rest(self) -> None:
        """Let this host give back what it computes in."""
        self._local.rest()

    def compute(self, batch: Batch) -> Answers:
        """Answer prepared pictures, shape (images, height, width, channels), as many as there are."""
        if len(batch) < FEWEST:
            return self._local.compute(batch)
        parts = self._cluster.compute(self._model, batch)
        return Answers.together(
            [
                self._local.compute(batch[part.start : part.stop]) if part.answers is None else part.answers
                for part in parts
            ]
        )


def on_cluster(cluster: Cluster, open_runtime: OpenRuntime) -> OpenRuntime:
    """What opens bundles on a cluster, and on this host by the way given."""

    def open_both(bundle: Bundle, batch: int) -> Runtime:
        return RayRuntime(bundle, batch, cluster=cluster, open_runtime=open_runtime)

    return open_both
