"""`hydrad bench`: hydrad's own figures, each beside a baseline in the same run and beside what bounds it."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from hydrad import log
from hydrad.store import schema
from hydrad.store.outbox import bench as storing
from hydrad.store.private_server import MariaDB, installed
from hydrad.verbs import printing
from hydrad.verbs.benches import flat, growth, idle, landing, models, pvs
from hydrad.verbs.benches.daemon import Site
from hydrad.verbs.benches.drawings import DRAWN, Drawings

PARTS = ("rows", "landing", "pvs", "idle", "growth")  # and, only where it is asked for, "flat"
VERDICTS = 5000  # rows, for the rate of the data base

Figures = dict[str, Any]


def bench(options: argparse.Namespace) -> int:
    """Measure, and print a table or one JSON document; 1 if something was not flat."""
    log.configure(level="warning")
    growth.check(options.plots)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hydrad-bench-")))
        fresh = stack.enter_context(_data_bases(folder))
        site = stack.enter_context(Site.of(folder, fresh, Drawings(min(options.images, DRAWN))))
        found = measured(site, options)
    if options.json:
        printing.document(found)
    else:
        printing.table(("figure", "value", "unit", "baseline", "bound"), rows(found))
    return 0 if found.get("flat", {}).get("flat", True) else 1


def measured(site: Site, options: argparse.Namespace) -> Figures:
    """The figures of the parts that were asked for, each below its part's name.

    Returns:
        ``images``, ``data_base`` (``mysql`` or ``sqlite``) and, where asked for, ``rows``, ``landing`` (by network),
        ``pvs``, ``idle``, ``growth``, ``flat``: what the modules of these parts say of themselves.
    """
    parts = options.only or PARTS
    shipped = models.made("shipped", site.folder / "models")
    found: Figures = {"images": options.images, "data_base": (url := site.fresh()).get_backend_name()}
    if "rows" in parts:
        _say("storing verdicts")
        found["rows"] = storing.rates(url, VERDICTS)
    if "landing" in parts:
        found["landing"] = {}
        for network in dict.fromkeys(options.network or models.NETWORKS):
            _say(f"classifying by the network {network}, one by one and as the daemon does")
            model = shipped if network == "shipped" else models.made(network, site.folder / "models")
            rows_per_s = found.get("rows", {}).get("rows_per_s")
            found["landing"][network] = landing.figures(site, model, options.images, rows_per_s)
    if "pvs" in parts:
        _say("serving PVs, hydrad's and those of EPICS base")
        found["pvs"] = pvs.figures()
    if "idle" in parts:
        _say("doing nothing")
        found["idle"] = idle.figures(site, shipped)
    if "growth" in parts:
        _say("growing")
        found["growth"] = growth.figures(site, shipped, options.plots)
    if "flat" in parts:
        _say(f"staying flat for {options.minutes:g} minutes")
        found["flat"] = flat.figures(site, shipped, options.minutes)
    return found


def rows(found: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    """Lines of a table: figure, value, unit, baseline, bound."""
    if stored := found.get("rows"):
        one = f"{stored['one_by_one_per_s']:.0f} with a commit each"
        bare = f"{stored['bare_per_s']:.0f}: verdicts alone, nothing else written or looked for"
        yield f"verdicts stored ({found['data_base']})", stored["rows_per_s"], "rows/s", one, bare
    for network, landed in found.get("landing", {}).items():
        yield from landing.rows(network, found["images"], landed)
    for name, part in (("pvs", pvs), ("idle", idle), ("growth", growth), ("flat", flat)):
        if name in found:
            yield from part.rows(found[name])


@contextmanager
def _data_bases(folder: Path) -> Iterator[Callable[[], URL]]:
    """Yield what makes a fresh data base."""
    numbers = itertools.count()

    def upgraded(url: URL) -> URL:
        schema.upgrade(url)
        return url

    if not installed():
        _say("no MariaDB server is installed here: the figures are SQLite's")
        yield lambda: upgraded(URL.create("sqlite", database=str(folder / f"hydra{next(numbers)}.db")))
        return
    with MariaDB() as server:
        yield lambda: upgraded(server.create())


def _say(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{what} …\n")
