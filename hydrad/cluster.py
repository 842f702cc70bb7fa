"""A Ray cluster, of one host or of many, as whoever gives it work finds it; the only file that knows Ray's name."""

from __future__ import annotations

import logging
import os
import secrets
import time
from importlib.util import find_spec
from typing import Any, Final

from hydrad.errors import ConfigurationError, HydradError

LOCAL: Final = "local"  # in place of an address: a cluster of this host's own, for as long as it lasts
LOOPBACK: Final = "127.0.0.2"  # what its processes call each other by; 127.0.0.1 Ray would replace
STORE_BYTES: Final = 100 * 2**20  # of shared memory, of which next to nothing is used
LOOK_EVERY_S: Final = 5.0
INSTALL: Final = "pip install --no-deps --require-hashes -r constraints/ray.txt"


def require_installed(key: str) -> None:
    """Raise ConfigurationError, naming what asked for it, unless Ray is installed."""
    if find_spec("ray") is None:
        raise ConfigurationError(f"{key}: Ray is not installed: {INSTALL}")


class Attached:
    """A process's one connection to a cluster.

    Args:
        address: ``auto``, ``host:port``, or ``local``.
        key: what asked for it: an option or a key of the configuration.
        cores: of a local cluster; None: as many as the host has.
        gpus: that each worker needs, or a share of one; 0 for none.

    Raises:
        ConfigurationError: Ray is not installed.
        HydradError: no cluster answers there.
    """

    def __init__(self, address: str, *, key: str, cores: int | None = None, gpus: float = 0.0) -> None:
        require_installed(key)
        if address == LOCAL:  # nobody else on this host may give it work, and no token is left in a home
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nobody is told that it is used
        import ray  # noqa: PLC0415  an optional part, and a large one

        self.ray: Any = ray
        self._gpus = gpus
        self._room = 1
        self._looked_at = float("-inf")
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "hydrad"}
        try:
            if address == LOCAL:
                ray.init(
                    address=LOCAL, num_cpus=cores, include_dashboard=False, object_store_memory=STORE_BYTES,
                    _node_ip_address=LOOPBACK, **quiet,
                )  # fmt: skip
            else:
                ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as fault:
            words = str(fault).strip().splitlines() or [type(fault).__name__]
            raise HydradError(f"{key} {address}: no Ray cluster answers there: {words[0]}") from fault

    @property
    def losses(self) -> tuple[type[Exception], ...]:
        """What is raised of work whose worker ended."""
        faults = self.ray.exceptions
        return faults.WorkerCrashedError, faults.NodeDiedError, faults.OutOfMemoryError, faults.ObjectLostError

    @property
    def nodes(self) -> int:
        """How many hosts take part at present."""
        return sum(node["Alive"] for node in self.ray.nodes())

    @property
    def at_once(self) -> int:
        """How many workers it has room for, which changes; at least one."""
        now = time.monotonic()
        if now - self._looked_at > LOOK_EVERY_S:
            self._looked_at = now
            there = self.ray.cluster_resources()
            self._room = max(1, int(there.get("GPU", 0) / self._gpus if self._gpus else there.get("CPU", 0)))
        return self._room

    def remote(self, function: Any, *, retries: int) -> Any:
        """A function that workers compute, given again so often to another one where one ends."""
        return self.ray.remote(
            num_cpus=1, num_gpus=self._gpus, max_retries=retries, retry_exceptions=False,
            max_calls=0,  # a worker keeps its model, also on a GPU
            scheduling_strategy="SPREAD",
        )(function)  # fmt: skip

    def close(self) -> None:
        """End what our workers are at; a cluster that others started goes on."""
        self.ray.shutdown()
