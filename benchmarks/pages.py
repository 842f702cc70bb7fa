"""Measures how fast the pages are before a data base of two weeks: 400 plots, ten million verdicts, on MariaDB.

    make bench-pages ARGS="--keep /data/big"

Each page and each address of the API is asked for one after the other, as a browser does; what it took is put beside
the least that this host could do at all: the data base's answer to SELECT 1, and a file that the same server sends.
Then Chromium opens the wall, and 100 verdicts a second arrive while it is looked at. Exit 1 where an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import psutil
from big_base import ROWS, Base, big_base
from slow_statements import SlowStatements
from wall_in_chromium import FIRST_PAINT_S, Wall, look_at_wall

from hydrad import log
from hydrad.domain import Health, Status
from hydrad.errors import HydradError
from hydrad.store.queries import Store
from hydrad.store.rows import Heartbeat
from hydrad.verbs.processes import child, free_port, tail

ANSWER_S = 0.300  # the aim
START_WITHIN_S = 60.0
BEATS_EVERY_S = 1.0
DETAILS = {
    "beam": {
        "state": "ON", "current": 201.3, "units": "nA", "reason": "", "read_at": "2026-11-23T07:01:02Z",
        "on_above": 5.0,
    },
    "images_per_s": 8.3,
    "latency_s": 0.041,
    "database_ok": True,
    "model_ok": True,
    "stages": {name: {"p50_ms": 9.5, "p99_ms": 38.0} for name in ("wait", "read", "classify", "judge", "tell", "keep")},
    "outbox": 0,
    "pv_server": {"prefix": "HYDRA:BENCH:", "port": 5064, "clients": 2},
    "disk": {"images": {"path": "images", "free_bytes": 8 * 10**11, "total_bytes": 10**12}},
}  # fmt: skip
ENDLESS = ("/api/v1/events",)  # answers that never end; the wall is what measures them


@dataclass(frozen=True, slots=True)
class Route:
    """An address that is asked for; ``aim_s`` is None for what the others are compared with."""

    name: str
    path: str
    aim_s: float | None = ANSWER_S


@dataclass(frozen=True, slots=True)
class Measured:
    """What it took, in seconds."""

    name: str
    path: str
    status: int
    bytes: int
    first_s: float
    p50_s: float
    p95_s: float
    aim_s: float | None
    work_s: float | None = None  # of processors, in pages and data base, for each request
    slow: Sequence[Mapping[str, Any]] = ()  # statements of it that took long, each with its plan

    @property
    def missed(self) -> bool:
        """Whether it was too slow, or gave no answer at all."""
        return self.aim_s is not None and (self.status != 200 or self.p95_s > self.aim_s)


# ---- what there is to ask for ----


def facts_of(store: Store) -> dict[str, str]:
    """Names and numbers of this base that addresses are made with, by the words the API has for them."""
    standings = store.standings()
    bad = next((one for one in standings if one.status is Status.BAD), standings[0])
    [filed] = store.log(plot=bad.plot, limit=1)
    with store.reading() as connection:
        episode, training = (
            connection.exec_driver_sql(f"SELECT COALESCE(MAX(id), 0) FROM {table}").scalar()  # noqa: S608
            for table in ("episodes", "trainings")
        )
    return {
        "plot": bad.plot, "detector": str(bad.detector), "run": str(bad.run), "label": "Bad", "value": "0.8",
        "verdict": str(filed.id), "episode": str(episode), "training": str(training),
        "sha256": str(filed.verdict.sha256), "name": str(filed.verdict.model), "deed": "retire",
    }  # fmt: skip


def routes_of(description: Mapping[str, Any], facts: Mapping[str, str], now: datetime) -> Iterator[Route]:
    """The pages and their filters, then every address that the API's description has for reading."""
    plot, run, day = quote(facts["plot"]), facts["run"], f"{now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    week = f"{now - timedelta(days=8):%Y-%m-%dT%H:%M:%SZ}"
    log_page = {
        "the log": {},
        "the log, a plot": {"plot": facts["plot"]},
        "the log, a detector": {"detector": facts["detector"]},
        "the log, a run": {"run": run},
        "the log, a status": {"status": "BAD"},
        "the log, a label": {"label": "Bad"},
        "the log, a week": {"since": week},
    }
    yield Route("the wall", "/")
    yield from (Route(name, f"/log?{urlencode(wish)}" if wish else "/log") for name, wish in log_page.items())
    yield Route("the log as CSV", "/log.csv")
    yield Route("a logbook entry", f"/log/entry/{facts['episode']}")
    yield Route("a plot", f"/plot/{plot}")
    yield Route("the labeler's plots", "/labeler")
    yield Route("the labeler", f"/labeler?plot={plot}")
    yield Route("the library", "/library")
    yield Route("a model", f"/library/{quote(facts['name'])}")
    yield Route("thresholds", f"/library/thresholds?plot={plot}")
    yield Route("the status", "/status")
    yield Route("the account", "/account")
    yield Route("the API's page", "/api/docs")
    yield Route("figures for Prometheus", "/metrics")
    yield Route("health", "/healthz")
    yield Route("verdicts of a run", f"/api/v1/verdicts?run={run}")
    yield Route("verdicts of a plot", f"/api/v1/verdicts?plot={plot}&since={week}&limit=1000")
    yield Route("bad verdicts", "/api/v1/verdicts?status=BAD")
    yield Route("verdicts of a day", f"/api/v1/verdicts?since={day}&limit=1000")
    for days in (1, 14):
        yield Route(f"what if, {days} d", f"/api/v1/plots/{plot}/what-if?label=Bad&value=0.8&days={days}")
    for hours in (24, 336):
        yield Route(f"scores over {hours} h", f"/api/v1/plots/{plot}/series?hours={hours}")
    for mode in ("new", "edit"):
        yield Route(f"a sheet, {mode}", f"/api/v1/labeler/sheet?plot={plot}&mode={mode}&limit=60")
    for path, deeds in description["paths"].items():
        if "get" in deeds and path not in ENDLESS:
            yield _described(path, deeds["get"].get("parameters", ()), facts)


def _described(path: str, parameters: Sequence[Mapping[str, Any]], facts: Mapping[str, str]) -> Route:
    """An address of the API with what it cannot be asked without."""
    words = dict(facts)
    for kind in ("verdict", "episode", "training"):
        if f"/{kind}s/" in path:
            words["number"] = facts[kind]
    if "/people/" in path:
        words["number"] = "1"
    filled = path
    for one in parameters:
        if one["in"] == "path":
            filled = filled.replace(f"{{{one['name']}}}", quote(words.get(one["name"], "0")))
    asked = {one["name"]: words[one["name"]] for one in parameters if one["in"] == "query" and one.get("required")}
    return Route(path.removeprefix("/api/v1"), f"{filled}?{urlencode(asked)}" if asked else filled)


# ---- what it takes ----


class Meter:
    """Asks, and times the answers.

    Args:
        client: of the pages.
        processes: that work for them.
        requests: of each address, after a first one.
        slow: told of what was too slow, where that is wanted.
    """

    def __init__(
        self, client: httpx.Client, processes: Sequence[psutil.Process], requests: int, slow: SlowStatements | None
    ) -> None:
        self._client = client
        self._processes = processes
        self._requests = requests
        self._slow = slow

    def measure(self, route: Route) -> Measured:
        """Ask for it, and so many times again."""
        if self._slow is not None:
            self._slow.forget()
        busy_s = self._busy_s()
        took: list[float] = []
        for _ in range(self._requests + 1):
            began = time.perf_counter()
            answer = self._client.get(route.path)
            took.append(time.perf_counter() - began)
            if answer.status_code != 200:
                break
        work_s = (self._busy_s() - busy_s) / len(took)
        found = Measured(
            route.name, route.path, answer.status_code, len(answer.content), *_shares(took), route.aim_s, work_s
        )
        return replace(found, slow=self._slow.told()) if self._slow is not None and found.missed else found

    def _busy_s(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._processes)


def baseline(store: Store, requests: int) -> Measured:
    """The data base's round trip."""
    took = []
    for _ in range(requests + 1):
        began = time.perf_counter()
        store.ping()
        took.append(time.perf_counter() - began)
    return Measured("SELECT 1", "", 200, 0, *_shares(took), None)


def _shares(took: Sequence[float]) -> tuple[float, float, float]:
    """The first, and of the others the median and what 95 % do not exceed."""
    warm = sorted(took[1:]) or list(took)
    return took[0], statistics.median(warm), warm[round(0.95 * (len(warm) - 1))]


@contextmanager
def pages_of(base: Base) -> Iterator[tuple[str, int]]:
    """``hydrad web`` on this base, beside a daemon that gives signs of life; yields its address and its process."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "web.log"
        with (
            output.open("wb") as out,
            child(["web", "-c", str(base.settings), "--port", str(port)], output=out) as process,
            Store(base.url) as store,
            _signs_of_life(store),
        ):
            deadline = time.monotonic() + START_WITHIN_S
            while not _answers(address):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise HydradError(f"the pages do not answer:\n{tail(output)}")
                time.sleep(0.05)
            yield address, process.pid


@contextmanager
def _signs_of_life(store: Store) -> Iterator[None]:
    began, over = datetime.now(UTC) - timedelta(hours=30), threading.Event()

    def beat() -> None:
        while True:
            now = datetime.now(UTC)
            store.beat(Heartbeat("counting-1", 4711, began, now, "0.1.0", Health.OK, "", 3, DETAILS))
            if over.wait(BEATS_EVERY_S):
                return

    beating = threading.Thread(target=beat, name="signs of life")
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/v1/session", timeout=5.0).status_code == 200
    except httpx.TransportError:
        return False


def measure_all(base: Base, address: str, pid: int, requests: int, *, explain: bool = False) -> list[Measured]:
    """All pages and addresses, what they are compared with first."""
    with Store(base.url) as store, httpx.Client(base_url=address, timeout=60.0) as client:
        now = datetime.now(UTC)
        database = int((base.socket.parent / "pid").read_text())
        slow = SlowStatements(base.socket) if explain else None
        meter = Meter(client, [psutil.Process(pid), psutil.Process(database)], requests, slow)
        found = [baseline(store, requests)]
        static = client.get("/").text.split('rel="stylesheet" href="')[1].split('"')[0]
        found.append(meter.measure(Route("a static file", static, None)))
        description = client.get("/api/openapi.json").json()
        for route in routes_of(description, facts_of(store), now):
            found.append(meter.measure(route))
            print(line(found[-1]), file=sys.stderr, flush=True)
        return found


# ---- the table ----


def line(one: Measured) -> str:
    """A row of the table."""
    word = "" if one.aim_s is None else "MISSED" if one.missed else "reached"
    aim = "" if one.aim_s is None else f"{1000 * one.aim_s:.0f}"
    times = "".join(f"{1000 * value:>9.1f}" for value in (one.first_s, one.p50_s, one.p95_s))
    note = word if one.status == 200 else f"{word}: answers {one.status}"
    work = "" if one.work_s is None else f"{1000 * one.work_s:.1f}"
    return f"{one.name[:36]:<38}{times}{work:>9}{aim:>6}  {one.bytes // 1024:>6}  {note}"


def print_table(found: Sequence[Measured], wall: Wall | None) -> None:
    """For people."""
    print(f"{'ms':<38}{'first':>9}{'p50':>9}{'p95':>9}{'work':>9}{'aim':>6}  {'KiB':>6}")
    for one in found:
        print(line(one))
        for statement in one.slow:
            print(f"    {statement['took_s']:.3f} s  {statement['sql']}")
            print("\n".join(f"        {step}" for step in statement["plan"]))
    if wall is not None:
        print()
        for words, value, aim in wall.lines():
            print(f"{words:<58}{value:>12}  {aim}")


def main() -> int:
    """Measure it all; the exit status says whether every aim was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="verdicts (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the data base stays, to be used again")
    parser.add_argument("--requests", type=int, default=30, help="of each address (default: %(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="leave Chromium out")
    parser.add_argument("--explain", action="store_true", help="say why what is slow is slow")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    arguments = parser.parse_args()
    log.configure()
    with big_base(arguments.rows, arguments.keep) as base, pages_of(base) as (address, pid):
        found = measure_all(base, address, pid, arguments.requests, explain=arguments.explain)
        wall = None if arguments.no_browser else look_at_wall(base, address)
    print_table(found, wall)
    if arguments.json:
        document = {
            "rows": base.rows, "built_s": base.built_s, "pages": [asdict(one) for one in found],
            "wall": None if wall is None else asdict(wall),
        }  # fmt: skip
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return int(any(one.missed for one in found) or (wall is not None and wall.first_paint_s > FIRST_PAINT_S))


if __name__ == "__main__":
    sys.exit(main())
