"""The PVs of many plots in a process of their own, to be measured: hydrad's, or the same records of EPICS base.

Usage: ``python -m hydrad.ioc.bench ours|base PREFIX PORT PLOTS``; EPICS base takes its port from the environment. It
says ``ready`` and how long its PVs took. ``flood SECONDS PER_S`` on a line of stdin posts so many verdicts a second, a
new confidence and a new reason each, and is answered by ``ok`` and the number of updates.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from hydrad import config, log
from hydrad.domain import Beam, BeamState, Cause, Change, Rules, Status, Verdict
from hydrad.ioc.plot_pvs import STATUSES
from hydrad.ioc.server import Ioc

DETECTORS = 10
LEAVES = (
    "STATUS", "CONF", "CLASS", "MSG", "AGE", "RUN", "NBAD", "ONDELAY", "OFFDELAY", "ENABLE", "SHELVE", "THRESH:GOOD",
    "THRESH:BAD", "THRESH:NODATA",
)  # fmt: skip
THRESHOLDS = {"Good": 0.5, "Bad": 0.65, "NoData": 0.92}
UPDATES_OF_A_VERDICT = 2
TURN_S = 0.01


def names(prefix: str, plots: int) -> list[str]:
    """The PVs of so many plots, as both have them."""
    return [f"{prefix}F{n % DETECTORS}:{n}:{leaf}" for n in range(plots) for leaf in LEAVES]


class _Nobody:
    """Controls that nobody uses."""

    async def put(self, change: Change) -> None:
        raise AssertionError(change)


async def _ours(prefix: str, port: int, plots: int) -> None:
    began = time.monotonic()
    ioc = Ioc(config.Ioc(prefix=prefix, port=port), controls=_Nobody(), hall="X", units="nA")
    running = asyncio.create_task(ioc.run(), name="the IOC")
    for n in range(plots):
        await ioc.show_rules(_plot(n), Rules(f"F{n % DETECTORS}", thresholds=THRESHOLDS))
        await ioc.tell(_verdict(n, 0))
    await ioc.serving.wait()
    _say_ready(began)

    async def post(plot: int, number: int) -> None:
        await ioc.tell(_verdict(plot, number))

    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        seconds, per_s = map(float, line.split()[1:])
        told = 0
        for due in _pace(seconds, per_s):
            for _ in range(due):
                told += 1
                await post(told % plots, told)
            await asyncio.sleep(TURN_S)
        _say(f"ok {told * UPDATES_OF_A_VERDICT}")
    running.cancel()


def _plot(n: int) -> str:
    return f"F{n % DETECTORS}_{n}"


def _verdict(plot: int, number: int) -> Verdict:
    return Verdict(
        key=str(number),
        plot=_plot(plot),
        detector=f"F{plot % DETECTORS}",
        status=Status.GOOD,
        severity=Status.GOOD.severity,
        reason=f"{number:0100}",
        judged_at=datetime.now(UTC),
        cause=Cause.CLOCK,  # so that the time stamp is now
        beam=Beam(BeamState.ON, 100.0, "nA"),
        label="Good",
        confidence=number / 1e7,
    )


def _base(prefix: str, _port: int, plots: int) -> None:
    import numpy as np  # noqa: PLC0415  as below
    from softioc import asyncio_dispatcher, builder, softioc  # noqa: PLC0415  of the tests, not of hydrad

    began = time.monotonic()
    builder.SetDeviceName(prefix.rstrip(":"))
    make: dict[str, Callable[[str], Any]] = {
        "STATUS": lambda name: builder.mbbIn(name, *STATUSES, initial_value=1),
        "CLASS": lambda name: builder.stringIn(name, initial_value="Good"),
        "MSG": lambda name: builder.WaveformIn(name, length=256, FTVL="UCHAR"),
        "ENABLE": lambda name: builder.boolOut(name, "Disabled", "Enabled", initial_value=True),
        **dict.fromkeys(("RUN", "NBAD"), lambda name: builder.longIn(name, initial_value=0)),
        **dict.fromkeys(("ONDELAY", "OFFDELAY"), lambda name: builder.longOut(name, initial_value=2)),
        **dict.fromkeys(("CONF", "AGE"), lambda name: builder.aIn(name, initial_value=0.0, PREC=3)),
    }
    records: dict[str, Any] = {}

    def threshold(name: str) -> Any:
        return builder.aOut(name, initial_value=0.5, PREC=3)

    for name in names("", plots):
        records[name] = make.get(name.split(":", 2)[2], threshold)(name)
    builder.LoadDatabase()
    softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher())
    _say_ready(began)
    for line in sys.stdin:
        seconds, per_s = map(float, line.split()[1:])
        told = 0
        for due in _pace(seconds, per_s):
            for _ in range(due):
                told += 1
                stem, now = f"F{told % plots % DETECTORS}:{told % plots}", time.time()
                records[f"{stem}:CONF"].set(told / 1e7, timestamp=now)
                records[f"{stem}:MSG"].set(np.frombuffer(f"{told:0100}\0".encode(), np.uint8), timestamp=now)
            time.sleep(TURN_S)
        _say(f"ok {told * UPDATES_OF_A_VERDICT}")


def _pace(seconds: float, per_s: float) -> Iterator[int]:
    """How many are due now, each time it is asked, until all were."""
    began, done, all_of_them = time.monotonic(), 0, int(seconds * per_s)
    while done < all_of_them:
        due = int(per_s * min(time.monotonic() - began, seconds)) - done
        yield due
        done += due


def _say_ready(began: float) -> None:
    _say(f"ready {time.monotonic() - began}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until stdin ends."""
    kind, prefix, port, plots = sys.argv[1:]
    if kind == "ours":
        log.configure(level="warning")
        asyncio.run(_ours(prefix, int(port), int(plots)))
    else:
        _base(prefix, int(port), int(plots))


if __name__ == "__main__":
    main()
