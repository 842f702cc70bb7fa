"""What the daemon costs while nothing happens."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydrad.verbs.benches.daemon import Site, running

PLOTS = 400
SECONDS = 60.0
SETTLE_S = 5.0  # what the landing left to do is done by then
TURNS = 20


def figures(site: Site, model: Path) -> dict[str, Any]:
    """One minute without news.

    Returns:
        ``plots``, ``seconds`` watched, ``share`` of a core, and ``polling_share``: of a loop that looks once a second
        whether one of as many files has changed.
    """
    with running(site, model) as daemon:
        daemon.land(range(PLOTS))
        time.sleep(SETTLE_S)
        share = daemon.share_of_a_core(SECONDS)
    polling_share = _polling(site.folder / "polled", PLOTS)
    return {"plots": PLOTS, "seconds": SECONDS, "share": share, "polling_share": polling_share}


def rows(found: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    """Lines of a table: figure, value, unit, baseline, bound."""
    what = f"{found['plots']} plots without news for {found['seconds']:.0f} s"
    polling = f"{100 * found['polling_share']:.2f} by looking at the files each second"
    yield what, 100 * found["share"], "% of a core", polling, "0"


def _polling(folder: Path, files: int) -> float:
    folder.mkdir()
    for n in range(files):
        (folder / str(n)).touch()
    began = time.process_time()
    for _ in range(TURNS):
        with os.scandir(folder) as found:
            for entry in found:
                entry.stat()
    return (time.process_time() - began) / TURNS
