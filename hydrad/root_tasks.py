"""Root tasks are named and live for ever: when one ends, all of them stop, and somebody restarts the process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

from hydrad import log
from hydrad.errors import HydradError
from hydrad.systemd import Systemd

Work = Callable[[], Awaitable[object]]

_log = log.get("root")


class Told(Exception):
    """Somebody asked the process to stop."""


class RootTaskEnded(HydradError):
    """A task that lives for ever has ended."""


def live(main: Callable[[], Awaitable[None]]) -> None:
    """Run an asynchronous program that holds root tasks.

    Raises:
        HydradError: the first that one of its tasks ended with.
    """

    async def program() -> None:
        await main()

    try:
        asyncio.run(program())
    except ExceptionGroup as faults:
        known = faults.subgroup(HydradError)
        if known is None:
            raise
        first: BaseException = known
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from faults


async def until_told(tasks: Mapping[str, Work], *, ready: Work, farewell: Work, reread: Work, systemd: Systemd) -> None:
    """Keep these tasks, by name, until SIGTERM or SIGINT.

    Args:
        ready: returns when everything is in place; only then do signals have an effect in order.
        farewell: what is to be done before the tasks are cancelled.
        reread: what SIGHUP asks for.
        systemd: hears of all this.

    Raises:
        ExceptionGroup: with RootTaskEnded for a task that returned, or with what it raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for name, work in tasks.items():
                group.create_task(_for_ever(name, work), name=name)
            group.create_task(_signals(ready, farewell, reread, systemd), name="signals")
    except* Told:
        _log.info("stopped")


async def _for_ever(name: str, work: Work) -> NoReturn:
    await work()
    task = asyncio.current_task()
    if task is not None and task.cancelling():  # a server that answers cancellation by returning
        raise asyncio.CancelledError
    raise RootTaskEnded(f"{name} has ended by itself")


async def _signals(ready: Work, farewell: Work, reread: Work, systemd: Systemd) -> NoReturn:
    asked: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked.put_nowait, number)
    await ready()
    _log.info("ready")
    systemd.ready()
    while (number := await asked.get()) is signal.SIGHUP:
        systemd.rereading()
        await reread()
        systemd.ready()
    systemd.stopping(f"told to stop by {number.name}")
    await farewell()
    raise Told
