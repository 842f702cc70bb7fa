"""How far long work is: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(says: str, total: int, *, rate: str = "") -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while this lasts; hand out what is called with each number of things done.

    Args:
        rate: what is counted each second, to show that too.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415  costs 50 ms, and most verbs show no bar
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    ]
    columns += [TextColumn("{task.fields[speed]}")] if rate else []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(says, total=total, speed="")

        def advance(done: int) -> None:
            progress.advance(task, done)
            progress.update(task, speed=f"{progress.tasks[0].speed or 0.0:.1f} {rate}/s")

        yield advance


@contextmanager
def named() -> Iterator[Callable[[str, int], None]]:
    """Show on stderr what is being done, and how much of it; hand out what is called with both."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415  likewise

    with Console(stderr=True).status("…") as line:
        yield lambda name, done: line.update(f"{name} {done:,}" if done else name)
