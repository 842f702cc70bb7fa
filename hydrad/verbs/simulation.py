"""`hydrad simulate`: a hall without a hall."""

from __future__ import annotations

import argparse
import asyncio
import signal

from hydrad import log
from hydrad.errors import HydradError
from hydrad.sim.faults import parse
from hydrad.sim.simulate import Plan
from hydrad.sim.simulate import simulate as go_on


def simulate(options: argparse.Namespace) -> None:
    """Write images and serve a beam until told to stop."""
    log.configure()
    plan = Plan(
        folder=options.folder,
        layout=options.layout,
        cadence_s=options.cadence_s,
        seed=options.seed,
        run=options.run,
        faults=tuple(parse(text) for text in options.fault),
        port=options.beam_port,
        story=options.story,
    )
    try:
        asyncio.run(_until_told(plan, options.seconds))
    except OSError as fault:
        raise HydradError(f"{fault.filename or options.folder}: {fault.strerror}") from fault


async def _until_told(plan: Plan, seconds: float | None) -> None:
    task = asyncio.current_task()
    if task is None:  # pragma: no cover  asyncio.run always makes one
        raise RuntimeError
    told = False

    def stop() -> None:
        nonlocal told
        told = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await go_on(plan, until=seconds)
    except asyncio.CancelledError:
        if not told:
            raise
