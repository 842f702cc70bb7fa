"""Runs where no PV tells of them: one is assumed to be going, and an image's path says which."""

from __future__ import annotations

import asyncio
from datetime import datetime
from types import TracebackType
from typing import Self

from hydrad.domain import SOME_RUN, Run


class PathRunMonitor:
    """Knows nothing but what paths say."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        return None

    def now(self) -> Run:
        """UNKNOWN: one is assumed to be going."""
        return SOME_RUN

    def during(self, start: datetime, end: datetime, number: int | None) -> Run:  # noqa: ARG002  the same at any time
        """The run that the path names."""
        return Run(number=number)

    async def run(self) -> None:
        """Nothing to do, for ever."""
        await asyncio.Event().wait()
