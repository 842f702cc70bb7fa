"""`hydrad run` with a fixed classifier that hangs once a file ``hang`` lies beside the configuration.

Usage: ``told_daemon.py run -c FILE``.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hydrad import app, cli
from hydrad.classify.fixed import FixedClassifier
from hydrad.domain import Picture, Prediction

HANG = Path(sys.argv[-1]).parent / "hang"


class Hanging(FixedClassifier):
    """Answers as it is told, until it no longer answers."""

    async def classify(self, plot: str, picture: Picture) -> Prediction:
        """The one answer there is, or none for ever."""
        if HANG.exists():
            await asyncio.Event().wait()
        return await super().classify(plot, picture)


if __name__ == "__main__":
    app.FixedClassifier = Hanging  # type: ignore[misc]
    sys.exit(cli.main(sys.argv[1:]))
