"""Prints what the IOC costs: seconds and memory for its PVs, and how late one client hears of their changes.

Usage: ``measure_ioc.py [PLOTS]``; every plot has 14 PVs and a share of its detector's.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import epics
from epics_env import random_prefix
from steered import Steered, free_server_port, until

from hydrad import config
from hydrad.domain import Rules
from hydrad.ioc.server import Ioc

PLOTS = int(sys.argv[1]) if len(sys.argv) > 1 else 230
SECONDS = 10


class Nobody:
    """Controls that nobody uses."""

    async def put(self, change: Any) -> None:
        raise AssertionError(change)


async def create() -> tuple[int, float]:
    """How many PVs there are, and the seconds that took."""
    ioc = Ioc(config.Ioc(), controls=Nobody(), hall="X", units="nA")
    began = time.perf_counter()
    for n in range(PLOTS):
        rules = Rules(f"F{n % 10}", thresholds={"Good": 0.5, "Bad": 0.65, "NoData": 0.92})
        await ioc.show_rules(f"F{n % 10}_{n}", rules)
    took = time.perf_counter() - began
    KEPT.append(ioc)
    return len(ioc._records), took


KEPT: list[Ioc] = []


def cost() -> None:
    count, took = asyncio.run(create())
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    asyncio.run(create())
    kilobytes = (tracemalloc.get_traced_memory()[0] - before) / count / 1024
    tracemalloc.stop()
    print(f"{count} PVs in {took:.3f} s, {kilobytes:.2f} kB each")  # noqa: T201


def lateness(verdicts_per_s: int) -> None:
    prefix, late_s = f"{random_prefix()}:", []

    def hear(*, timestamp: float, **_: Any) -> None:
        late_s.append(time.time() - timestamp)

    settings = json.dumps({"prefix": prefix, "port": free_server_port()})
    with Steered("ioc_process.py", settings) as ioc:
        ioc.tell(json_line("flood", plots=PLOTS, seconds=1, per_s=PLOTS))
        leaves = ("STATUS", "CONF", "CLASS", "MSG", "AGE", "RUN", "NBAD", "ONDELAY", "OFFDELAY", "ENABLE", "SHELVE")
        names = [f"{prefix}F{n % 10}:{n}:{leaf}" for n in range(PLOTS) for leaf in leaves]
        pvs = [epics.PV(name, form="time", auto_monitor=True, callback=hear) for name in names]
        until(lambda: len(late_s) >= len(pvs), within_s=60)
        late_s.clear()
        began = time.process_time()
        ioc.tell(json_line("flood", plots=PLOTS, seconds=SECONDS, per_s=verdicts_per_s))
        time.sleep(1)
        told = sorted(late_s)
        percent = statistics.quantiles(told, n=100)
        print(  # noqa: T201
            f"{len(pvs)} subscriptions, {verdicts_per_s} verdicts/s: {len(told) / SECONDS:.0f} updates/s heard, "
            f"median {percent[49] * 1e3:.2f} ms, p99 {percent[98] * 1e3:.2f} ms, worst {told[-1] * 1e3:.2f} ms "
            f"(client {(time.process_time() - began) / SECONDS:.0%} of a core)"
        )
        for pv in pvs:
            pv.disconnect()


def json_line(word: str, **keys: Any) -> str:
    return f"{word} {json.dumps(keys)}"


if __name__ == "__main__":
    cost()
    for rate in (100, 600):
        lateness(rate)
