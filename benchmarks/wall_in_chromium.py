"""The wall as Chromium draws it: when it is first seen, when it is whole, whether it stutters while verdicts come."""

from __future__ import annotations

import hashlib
import shutil
import statistics
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from big_base import Base
from fortnight import CELLS, MEANINGS, MODEL, PLOTS
from playwright.sync_api import Page, sync_playwright

from hydrad.domain import Beam, BeamState, Cause, LedgerEntry, Outcome, Status, Verdict
from hydrad.errors import HydradError
from hydrad.store.images import ImageFolder
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store

FIRST_PAINT_S = 1.0  # the aim
RATE = 100  # verdicts a second
FOR_S = 15.0
OPENINGS = 5  # of the wall, each in a fresh browser context
LONG_MS = 50.0
WHOLE_WITHIN_S = 60.0
WATCH = """
window.hydradTold = {long: [], frames: []};
new PerformanceObserver((list) => hydradTold.long.push(...list.getEntries().map((one) => one.duration)))
    .observe({type: "longtask", buffered: true});
"""
WHOLE = """() => {
    const inSight = (one) => {
        const box = one.getBoundingClientRect();
        return box.width > 0 && box.bottom > 0 && box.top < innerHeight;
    };
    const seen = [...document.images].filter(inSight);
    return seen.length > 20 && seen.every((one) => one.complete && one.naturalWidth) ? performance.now() : 0;
}"""
PAINTS = "() => Object.fromEntries(performance.getEntriesByType('paint').map((one) => [one.name, one.startTime]))"
FRAMES = """(for_ms) => new Promise((done) => {
    const began = performance.now(), gaps = [];
    let last = began;
    const next = (now) => {
        gaps.push(now - last);
        last = now;
        if (now - began < for_ms) requestAnimationFrame(next); else done(gaps);
    };
    requestAnimationFrame(next);
})"""


@dataclass(frozen=True, slots=True)
class Wall:
    """What was seen; seconds unless a name says otherwise."""

    plots: int
    first_paint_s: float  # the median of some openings
    first_contentful_paint_s: float
    whole_s: float  # all pictures in sight are drawn
    blank_s: float  # first paint of an empty document, for comparison
    arrived: int  # verdicts, while it was looked at
    arrived_per_s: float
    script_share: float  # of one core, in scripts
    work_share: float  # of one core, in all of the page's work
    long_tasks: int  # over LONG_MS
    longest_task_ms: float
    frame_p99_ms: float  # between two frames

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Words, value and aim, for the table."""
        aim = f"aim {FIRST_PAINT_S:.0f} s: {'reached' if self.first_paint_s <= FIRST_PAINT_S else 'MISSED'}"
        yield f"first paint of the wall with {self.plots} plots", f"{self.first_paint_s:.2f} s", aim
        yield "first contentful paint", f"{self.first_contentful_paint_s:.2f} s", ""
        yield "first paint of an empty document, for comparison", f"{self.blank_s:.2f} s", ""
        yield "all pictures in sight drawn", f"{self.whole_s:.2f} s", ""
        yield f"verdicts that arrived ({self.arrived_per_s:.0f}/s)", f"{self.arrived}", ""
        yield "scripts, share of a core", f"{self.script_share:.0%}", ""
        yield "all of the page's work, share of a core", f"{self.work_share:.0%}", ""
        yield f"tasks longer than {LONG_MS:.0f} ms", f"{self.long_tasks}", f"longest {self.longest_task_ms:.0f} ms"
        yield "99 % of frames follow within", f"{self.frame_p99_ms:.0f} ms", ""


def look_at_wall(base: Base, address: str, *, for_s: float = FOR_S, openings: int = OPENINGS) -> Wall:
    """Open the wall some times, then watch it while verdicts arrive."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise HydradError("no Chromium is installed (Debian: chromium); --no-browser leaves it out")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        screen = {"width": 3840, "height": 2160}

        def opened(path: str) -> tuple[Any, Page]:
            context = browser.new_context(base_url=address, viewport=screen)  # type: ignore[arg-type]
            context.add_init_script(WATCH)
            page = context.new_page()
            page.goto(path)
            return context, page

        blank, _ = _paint(opened, "/api/v1/session")
        painted = [_paint(opened, "/") for _ in range(openings)]
        context, page = opened("/")
        whole = page.wait_for_function(WHOLE, timeout=WHOLE_WITHIN_S * 1000).json_value()
        plots = page.evaluate("() => document.querySelectorAll('[data-plot]').length")
        watched = _watch(base, page, for_s)
        context.close()
        browser.close()
    first = statistics.median(paint for paint, _ in painted)
    contentful = statistics.median(paint for _, paint in painted)
    return Wall(plots, first, contentful, whole / 1000, blank, **watched)


def _paint(opened: Any, path: str) -> tuple[float, float]:
    context, page = opened(path)
    page.wait_for_function("() => performance.getEntriesByType('paint').length > 1")
    paints = page.evaluate(PAINTS)
    context.close()
    return paints["first-paint"] / 1000, paints["first-contentful-paint"] / 1000


def _watch(base: Base, page: Page, for_s: float) -> dict[str, Any]:
    """What the page does while verdicts arrive."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    page.evaluate("() => { hydradTold.long.length = 0; }")
    before = _figures(devtools)
    with _arriving(base, for_s + 5) as arrived:
        began, first = time.perf_counter(), len(arrived)
        gaps = page.evaluate(FRAMES, for_s * 1000)
        took_s, count = time.perf_counter() - began, len(arrived) - first
    after = _figures(devtools)
    long = page.evaluate("() => hydradTold.long")
    return {
        "arrived": count,
        "arrived_per_s": count / took_s,
        "script_share": (after["ScriptDuration"] - before["ScriptDuration"]) / took_s,
        "work_share": (after["TaskDuration"] - before["TaskDuration"]) / took_s,
        "long_tasks": len(long),
        "longest_task_ms": max(long, default=0.0),
        "frame_p99_ms": float(np.percentile(gaps, 99)),
    }


def _figures(devtools: Any) -> dict[str, float]:
    return {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}


@contextmanager
def _arriving(base: Base, for_s: float) -> Iterator[Sequence[int]]:
    """Verdicts that reach the data base as the daemon delivers them; yields a list that grows by one for each."""
    ready = list(_fresh(base, round(for_s * RATE)))
    arrived: list[int] = []
    enough = threading.Event()
    raised: list[HydradError] = []

    def deliver() -> None:
        began = time.monotonic()
        try:
            with Store(base.url) as store:
                while ready and not enough.wait(0.1):
                    due = max(0, round((time.monotonic() - began) * RATE) - len(arrived))
                    some = [_now(ready.pop()) for _ in range(min(due, len(ready)))]
                    store.put(some)
                    arrived.extend(range(len(some)))
        except HydradError as fault:
            raised.append(fault)

    thread = threading.Thread(target=deliver)
    thread.start()
    try:
        yield arrived
    finally:
        enough.set()
        thread.join()
    if raised:
        raise raised[0]


def _fresh(base: Base, count: int) -> Iterator[tuple[str, str, int, float]]:
    """Images that nobody has seen, their bytes in the images folder: plot, content, bytes, P(good)."""
    folder = base.config.store.images
    kept = ImageFolder(folder)
    samples = [path.read_bytes() for path in sorted(folder.glob("??/*.png"))[:40]]
    rng = np.random.default_rng()
    for n in rng.permutation(count):
        _, plot = PLOTS[n % len(PLOTS)]
        data = samples[n % len(samples)] + uuid.uuid4().bytes  # what stands behind its end, no reader of PNG reads
        sha256 = hashlib.sha256(data).hexdigest()
        path: Path = kept.path(sha256, "png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        yield plot, sha256, len(data), float(1 - 0.5 * rng.random() ** 8)


def _now(fresh: tuple[str, str, int, float]) -> Parcel:
    plot, sha256, size, good = fresh
    now = datetime.now(UTC)
    status = Status.GOOD if good > 0.65 else Status.SUSPECT
    path = f"/data/monitoring/Run099999/{plot}_{now:%H%M%S%f}.png"
    verdict = Verdict(
        uuid.uuid4().hex, plot, plot.split("_", 1)[0], status, status.severity, f"Good at {good:.2f}, beam 201 nA", now,
        Cause.IMAGE, Beam(BeamState.ON, 201.3, "nA", now), path=path, run=99999, chunk=1, sha256=sha256,
        taken_at=now - timedelta(seconds=0.2), model=MODEL, label="Good", confidence=good,
        scores={"Good": good, "Bad": (1 - good) / 2, "NoData": (1 - good) / 2}, meanings=MEANINGS,
        confirmed=good > 0.65, novelty=0.3,
    )  # fmt: skip
    entry = LedgerEntry(path, size, time.time_ns(), Outcome.JUDGED, verdict.reason, now, now, plot, verdict.run, sha256)
    return Parcel(entry, verdict, ImageFacts(size, "png", 1000, 920), np.zeros(CELLS, np.uint8))
