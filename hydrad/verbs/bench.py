"""`hydrad bench`: hydrad's own figures, each beside its baseline in the same run."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import URL

from hydrad import config as configuration
from hydrad import log, shipped
from hydrad.classify import bench as classifying
from hydrad.classify import bundle as bundles
from hydrad.domain import Outcome
from hydrad.errors import HydradError, StoreAway
from hydrad.images import ImageReader
from hydrad.password import VARIABLE
from hydrad.sim import hall
from hydrad.store import bench as storing
from hydrad.store import schema
from hydrad.store.private_server import MariaDB, installed
from hydrad.store.queries import Store
from hydrad.verbs import printing
from hydrad.verbs.processes import child, free_port, tail

BASELINE_IMAGES = 100  # one by one is slow, and a rate needs no more
LATENCIES = 100  # images that come alone, for the times from file to PV
VERDICTS = 5000  # rows, for the rate of the data base
WAIT_S = 300.0
PLOT = "BENCH_{:04d}"

HALL = """\
[hall]
name = "BENCH"

[store]
url = "{url}"

[ioc]
prefix = "HYDRA:BENCH:"
port = {port}

[beam]
kind = "fixed"

[[watch]]
root = "dumps"
pattern = '(?P<plot>BENCH_\\d+)_run(?P<run>\\d+)\\.png'
"""

Figures = dict[str, Any]


def bench(options: argparse.Namespace) -> None:
    """Measure, and print a table or one JSON document."""
    log.configure(level="warning")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hydrad-bench-")))
        fresh = stack.enter_context(_data_bases(folder))
        _say(f"drawing {options.images} images")
        files = _draw(folder / "drawn", options.images)
        model = _model(folder / "models")
        figures: Figures = {
            "images": options.images,
            "data_base": (url := fresh()).get_backend_name(),
            "model": model.name,
        }
        _say("classifying them one by one, and through the service")
        figures |= _classified(model, files)
        _say("storing verdicts")
        figures |= storing.rates(url, VERDICTS)
        _say("letting them land in front of the daemon")
        figures |= _followed(folder, fresh(), files)
        figures["pipeline_to_baseline"] = figures["pipeline_per_s"] / figures["baseline_per_s"]
    if options.json:
        printing.document(figures)
        return
    printing.table(("figure", "value", "unit", "beside"), _rows(figures))


def _rows(figures: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    baseline = f"{figures['baseline_per_s']:.1f} by keras.Model.predict in a loop"
    yield "pipeline: file to verdict, row and PV", figures["pipeline_per_s"], "images/s", baseline
    yield "classification alone, in batches", figures["service_per_s"], "images/s", baseline
    yield "pipeline over baseline", figures["pipeline_to_baseline"], "times", ""
    yield "file closed to PV, p50", figures["file_to_pv_p50_ms"], "ms", "one image at a time"
    yield "file closed to PV, p99", figures["file_to_pv_p99_ms"], "ms", "one image at a time"
    one = f"{figures['one_by_one_per_s']:.0f} with a commit each"
    yield f"verdicts stored ({figures['data_base']})", figures["rows_per_s"], "rows/s", one


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


def _draw(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    plots = list(hall.PLOTS)
    files = []
    for n in range(count):
        path = folder / f"{PLOT.format(n)}_run1.png"
        Image.fromarray(hall.render(plots[n % len(plots)], seed=n)).save(path, compress_level=1)
        files.append(path)
    return files


def _model(models: Path) -> Path:
    """The shipped bundle, made to serve the bench's plots."""
    bundle = bundles.read(shipped.folder())
    manifest = bundle.manifest.model_copy(update={"id": "bench", "plots": ("BENCH_*",)})
    parts = {name: bundle.folder / name for name in bundle.manifest.files}
    return bundles.write(models, manifest, parts).folder


def _classified(model: Path, files: Sequence[Path]) -> Figures:
    with ImageReader() as decode:
        found = asyncio.run(classifying.compare(model, PLOT.format(0), files[:BASELINE_IMAGES], decode))
    return {name: found[name] for name in ("baseline_per_s", "service_per_s", "runtime")}


def _followed(folder: Path, url: URL, files: Sequence[Path]) -> Figures:
    root, journal = folder / "dumps", folder / "hydrad.log"
    root.mkdir()
    port = free_port()
    bare = url._replace(password=None).render_as_string(hide_password=False)
    if url.password is not None:
        os.environ[VARIABLE] = str(url.password)
    os.environ |= {"EPICS_CA_ADDR_LIST": f"127.0.0.1:{port}", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
    (folder / "hydra.toml").write_text(HALL.format(url=bare, port=port), encoding="utf-8")
    with ExitStack() as stack:
        output = stack.enter_context(journal.open("wb"))
        daemon = stack.enter_context(child(["run", "-c", str(folder / "hydra.toml")], output=output))
        store = stack.enter_context(Store(configuration.load(folder / "hydra.toml").store_url()))

        def alive() -> None:
            if daemon.poll() is not None:
                raise HydradError(f"the daemon ended by itself:\n{tail(journal)}")

        from hydrad.verbs.listening import Listener  # noqa: PLC0415  libca reads its environment when it is loaded

        listener = stack.enter_context(Listener("HYDRA:BENCH:"))
        listener.wait_for("HEARTBEAT", WAIT_S, alive)
        began = time.perf_counter()
        for path in files:
            path.rename(root / path.name)
        _until(lambda: _done(store) >= len(files), alive)
        took_s = time.perf_counter() - began
        latencies_ms = sorted(_alone(root, n % len(files), listener) for n in range(LATENCIES))
    return {
        "pipeline_per_s": len(files) / took_s,
        "file_to_pv_p50_ms": statistics.median(latencies_ms),
        "file_to_pv_p99_ms": latencies_ms[int(0.99 * (len(latencies_ms) - 1))],
    }


def _alone(root: Path, n: int, listener: Any) -> float:
    """The time in ms from an image's renaming into the folder to the event at a client that hears of its run."""
    plots = list(hall.PLOTS)
    name = f"{PLOT.format(n)}_run{2 + n}.png"
    aside = root.parent / name
    Image.fromarray(hall.render(plots[n % len(plots)], seed=100_000 + n)).save(aside, compress_level=1)
    pv = f"BENCH:{n:04d}:RUN"
    listener.wait_for(pv, WAIT_S)
    began = time.perf_counter()
    aside.rename(root / name)
    heard: float = listener.wait_until(pv, 2 + n, WAIT_S)
    return 1000 * (heard - began)


def _done(store: Store) -> int:
    try:
        counts = store.ledger_counts()
    except StoreAway:
        return 0
    return sum(count for outcome, count in counts.items() if outcome is not Outcome.PENDING)


def _until(holds: Any, alive: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        alive()
        if time.monotonic() > deadline:
            raise HydradError(f"not done within {WAIT_S:g} s")
        time.sleep(0.05)


def _say(what: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{what} …\n")
