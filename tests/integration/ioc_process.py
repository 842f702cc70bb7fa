"""The whole IOC with a desk that remembers, steered by lines on stdin; run as a process by the tests.

Usage: ``ioc_process.py SETTINGS``, the table ``[ioc]`` as JSON. Each line is a word and a JSON document; each is
answered by ``ok`` and a JSON document once detectors and hall show it:

- ``tell {"plot": …, "status": …}``: a verdict with these and what is usual for the rest
- ``rules {"plot": …}``, ``vitals {}``, ``tick {"after_s": …}``, ``farewell "why"``: likewise
- ``changes null``: what was put so far
- ``flood {"plots": N, "seconds": S, "per_s": R}``: verdicts in turn, which differ; how many there were
- ``footprint null``: bytes of resident memory, file handles, tasks, clients
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from hydrad import config, log
from hydrad.domain import (
    Beam,
    BeamState,
    Cause,
    Change,
    Health,
    Meaning,
    Rules,
    Run,
    RunState,
    Severity,
    Status,
    Verdict,
    Vitals,
)
from hydrad.errors import ChangeRefused
from hydrad.ioc.server import Ioc
from hydrad.settings import Settings

TAKEN = datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC)
MEANINGS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY, "Cosmic": Meaning.OTHER}
UNWANTED = 0.123  # a threshold that this desk will not have


class Desk:
    """Takes changes as the daemon does, and shows the rules that follow."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.settings = Settings()
        self.rules: dict[str, Rules] = {}  # as nobody has changed them
        self.ioc: Ioc | None = None

    async def put(self, change: Change) -> None:
        if change.value == UNWANTED:
            raise ChangeRefused("the expert does not want that")
        change = self.settings.explained(change)
        self.settings.apply(change)
        self.changes.append(change)
        assert self.ioc is not None
        if change.key.startswith("pv."):
            await self.ioc.show_field(change)
        for plot, rules in self.rules.items():
            if change.plot == plot or (change.detector is not None and change.detector == rules.detector):
                await self.show(plot)

    async def show(self, plot: str) -> None:
        assert self.ioc is not None
        await self.ioc.show_rules(plot, self.settings.over(plot, self.rules[plot]))


def verdict(*, plot: str, status: str, **more: Any) -> Verdict:
    """A verdict as the pipeline gives it; ``taken`` false for one of a plot without image."""
    state, label = Status[status], more.pop("label", "Good")
    scores = more.pop("scores", {"Good": 0.9, "Bad": 0.08, "NoData": 0.02})
    usual = Verdict(
        key=str(time.monotonic_ns()),
        plot=plot,
        detector=more.pop("detector", plot.split("_", maxsplit=1)[0]),
        status=state,
        severity=state.severity,
        reason=f"because it is {status}",
        judged_at=datetime.now(UTC),
        cause=Cause(more.pop("cause", "image")),
        beam=Beam(BeamState.ON, 100.0, "nA"),
        run=4711,
        taken_at=TAKEN,
        model="m",
        label=label,
        confidence=more.pop("confidence", 0.9),
        scores=scores,
        meanings=MEANINGS,
    )
    if more.pop("drowned", False):
        more["severity"] = Severity.NO_ALARM
    if not more.pop("taken", True):
        usual = replace(usual, taken_at=None, run=None, label=None, confidence=None, scores={}, model=None)
    return replace(usual, **more)


def vitals(**more: Any) -> Vitals:
    beam = Beam(BeamState[more.pop("beam", "ON")], more.pop("current", 123.4), "nA", datetime.now(UTC))
    if "run" in more:
        run = more.pop("run")
        more["run"] = Run(**run | {"state": RunState[run["state"]]})
    usual = Vitals(Health[more.pop("health", "OK")], "", beam, 5.0, True, True, 1.5, 0.25, 3)
    return replace(usual, **more)


class Steering:
    """What the lines of stdin do."""

    def __init__(self, ioc: Ioc, desk: Desk) -> None:
        self._ioc = ioc
        self._desk = desk
        self._flooded = 0

    async def tell(self, document: dict[str, Any]) -> None:
        await self._ioc.tell(verdict(**document))

    async def rules(self, document: dict[str, Any]) -> None:
        plot = document.pop("plot")
        document.setdefault("detector", plot.split("_", maxsplit=1)[0])
        document.setdefault("thresholds", {"Good": 0.5, "Bad": 0.65, "NoData": 0.92})
        self._desk.rules[plot] = Rules(**document)
        await self._desk.show(plot)

    async def vitals(self, document: dict[str, Any]) -> None:
        await self._ioc.show_vitals(vitals(**document))

    async def tick(self, document: dict[str, Any]) -> None:
        for _ in range(5):
            await self._ioc.tick(datetime.now(UTC) + timedelta(seconds=document["after_s"]))

    async def farewell(self, why: str) -> None:
        await self._ioc.farewell(why)

    async def changes(self, _: None) -> list[dict[str, Any]]:
        return [{**asdict(change), "at": change.at.timestamp()} for change in self._desk.changes]

    async def flood(self, document: dict[str, Any]) -> int:
        plots, n = document["plots"], 0
        began = time.monotonic()
        while n < document["per_s"] * document["seconds"]:
            await asyncio.sleep(0.01)
            while n < document["per_s"] * min(time.monotonic() - began, document["seconds"]):
                self._flooded += 1
                confidence = self._flooded / 1e6  # so that every one differs
                await self._ioc.tell(
                    verdict(
                        plot=f"F{n % plots % 10}_{n % plots}",
                        status="GOOD",
                        cause="clock",  # so that the time stamp is now
                        confidence=confidence,
                        reason=f"{self._flooded:0240}",
                    )
                )
                n += 1
        return n

    async def footprint(self, _: None) -> dict[str, int]:
        myself = psutil.Process()
        return {
            "bytes": myself.memory_info().rss,
            "handles": myself.num_fds(),
            "tasks": len(asyncio.all_tasks()),
            "clients": self._ioc.clients,
        }


async def main() -> None:
    log.configure(json=True)
    desk = Desk()
    settings = config.Ioc.model_validate(json.loads(sys.argv[1]))
    ioc = desk.ioc = Ioc(settings, controls=desk, changed=desk.settings, hall="X", units="nA")
    running = asyncio.create_task(ioc.run())
    await ioc.serving.wait()
    steering = Steering(ioc, desk)
    loop = asyncio.get_running_loop()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, document = line.split(maxsplit=1)
        answer = await getattr(steering, word)(json.loads(document))
        while ioc.behind:  # noqa: ASYNC110 - what is told only now and then
            await asyncio.sleep(0.001)
        sys.stdout.write(f"ok {json.dumps(answer)}\n")
        sys.stdout.flush()
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main())
