"""A simulated day at ten times speed: does hydrad hold as much of its host in the evening as in the morning?

    make soak
    make soak ARGS="--minutes 20"

The daemon with the shipped model, the pages and the simulated hall run as processes, with a dump of every plot each 3 s
where a hall has one each 30 s, faults all the time, and visitors on the pages. A producer's housekeeping removes old
dumps; images and verdicts are purged by the configuration, after minutes where a hall says days. What the processes
hold is asked of `/metrics`, as Prometheus would; files are measured on disk. Exit 1 where something was not flat.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from hydrad.errors import HydradError
from hydrad.shipped import folder as shipped_bundle
from hydrad.verbs.benches.flatness import Allowance, Course, course
from hydrad.verbs.processes import child, free_port, tail

FASTER = 10
DAY_MINUTES = 24 * 60 / FASTER
CADENCE_S = 30 / FASTER
WARM_UP = 0.5  # share of the time, and no more than this many minutes:
WARM_UP_MINUTES = 15.0
FILES_STAY_S = 120.0
VISITED = ("/", "/log", "/status", "/api/v1/plots", "/api/v1/status", "/healthz")
START_WITHIN_S = 120.0
REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "soak.md"

HALL = """\
[hall]
name = "SOAK"

[store]
keep_all_h = 0.033
keep_verdicts_d = 0.0028

[saving]
share = 0.02

[ioc]
prefix = "HYDRA:SOAK:"
port = {port}

[beam]
pv = "SIM:BEAM:CURRENT"
permit_pv = "SIM:BEAM:PERMIT"
permit_value = 6
window_s = {cadence_s}
stale_s = 10

[web]
port = {web_port}
{classify}
[[watch]]
root = "dumps"
layout = "rsai"
rescan_s = 10

[defaults]
stale_s = 30
"""
FIXED = '[classify]\nkind = "fixed"\nscores = { Good = 0.9, Bad = 0.08, NoData = 0.02 }\n'
EXPLAINED = """\
*first* and *last* are medians of the first and the last tenth; *rises by* is the slope (the median of the slopes
between samples, which a spike does not bend) times the time watched. A figure is flat while that is not more than it
may rise by: 5 % of memory and at least 8 MB, 5 % of a count and at least 3, 10 % of the journal and at least 2 MB, 15 %
of the data base and at least 4 MB, whose size is a saw's: every five minutes what is old goes. The shorter a soak, the
faster a rise it lets pass: only the whole day, which is `make soak` alone, says that a day is borne.
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """What is watched; without an allowance it is told, and may grow."""

    says: str
    unit: str
    allowance: Allowance | None = None


MEMORY, COUNT = Allowance(0.05, 8e6), Allowance(0.05, 3)
FIGURES: Mapping[str, Figure] = {
    "daemon_memory_bytes": Figure("daemon: memory", "MB", MEMORY),
    "daemon_open_files": Figure("daemon: open files", "", COUNT),
    "daemon_threads": Figure("daemon: threads", "", COUNT),
    "daemon_tasks": Figure("daemon: tasks", "", COUNT),
    "pages_memory_bytes": Figure("pages: memory", "MB", MEMORY),
    "pages_open_files": Figure("pages: open files", "", COUNT),
    "pages_threads": Figure("pages: threads", "", COUNT),
    "pages_tasks": Figure("pages: tasks", "", COUNT),
    "outbox_records": Figure("records waiting for the data base", "", Allowance(0, 50)),
    "pending_files": Figure("files waiting", "", Allowance(0, 50)),
    "journal_bytes": Figure("journal", "MB", Allowance(0.1, 2e6)),
    "database_bytes": Figure("data base", "MB", Allowance(0.15, 4e6)),
    "images_bytes": Figure("images kept: those with faults, and 2 %", "MB"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Let it run, print what it came to; 1 if something was not flat."""
    parser = argparse.ArgumentParser(description="A simulated day at ten times speed.")
    parser.add_argument("--minutes", type=float, default=DAY_MINUTES, help=f"of real time ({DAY_MINUTES:.0f})")
    parser.add_argument("--every-s", type=float, default=5.0, help="between two samples (5)")
    parser.add_argument("--fixed", action="store_true", help="the same answer for every image, without TensorFlow")
    parser.add_argument("--json", action="store_true", help="one document, with every sample")
    parser.add_argument("--write", action="store_true", help=f"write {REFERENCE.name} too")
    options = parser.parse_args(arguments)
    command = "make soak" + (f' ARGS="--minutes {options.minutes:g}"' if options.minutes != DAY_MINUTES else "")
    with tempfile.TemporaryDirectory(prefix="hydrad-soak-") as folder, _running(Path(folder), options.fixed) as house:
        samples = list(_watch(house, options.minutes * 60, options.every_s, quiet=options.json))
    courses = courses_of(samples)
    images = samples[-1]["files_judged"] - samples[0]["files_judged"]
    if options.json:
        told = {name: asdict(one) | {"flat": one.flat} for name, one in courses.items()}
        print(json.dumps({"images": images, "courses": told, "samples": samples}))
    else:
        report = "\n".join(lines(courses, samples))
        print(report)
        if options.write:
            REFERENCE.write_text(document(report, command), encoding="utf-8")
    return int(not all(one.flat for name, one in courses.items() if FIGURES[name].allowance))


def courses_of(samples: Sequence[Mapping[str, float]]) -> Mapping[str, Course]:
    """How each figure went after the warm-up."""
    over = samples[-1]["s"]
    warm = [one for one in samples if one["s"] >= min(WARM_UP * over, 60 * WARM_UP_MINUTES)]
    return {
        name: course([(one["s"], one[name]) for one in warm], figure.allowance or Allowance(0, 0))
        for name, figure in FIGURES.items()
    }


def lines(courses: Mapping[str, Course], samples: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """The report, as Markdown."""
    last = samples[-1]
    minutes, judged = last["s"] / 60, last["files_judged"] - samples[0]["files_judged"]
    other = last["files_rejected"] - samples[0]["files_rejected"]
    warm_up = min(WARM_UP * minutes, WARM_UP_MINUTES)
    yield (
        f"{minutes:.0f} minutes, {minutes * FASTER / 60:.1f} simulated hours; {judged:.0f} images judged, {other:.0f} "
        f"rejected; {len(samples)} samples,\nthe first {warm_up:.0f} minutes left out as warm-up."
    )
    yield ""
    yield "| | first | last | most | rises by | may rise by | |"
    yield "|---|---|---|---|---|---|---|"
    for name, one in courses.items():
        figure = FIGURES[name]
        scale = 1e6 if figure.unit else 1
        cells = [f"{value / scale:.1f} {figure.unit}".strip() for value in (one.first, one.last, one.most, one.rise)]
        allowed = f"{one.allowed / scale:.1f} {figure.unit}".strip() if figure.allowance else "—"
        verdict = ("flat" if one.flat else "**NOT FLAT**") if figure.allowance else "grows as it is told to"
        yield f"| {figure.says} | {' | '.join(cells)} | {allowed} | {verdict} |"


def document(report: str, command: str) -> str:
    """The page of the reference."""
    told = (__doc__ or "").partition("\n\n")[2].partition("\n\n")[2].strip()
    when = f"`{command}`, {datetime.now(UTC):%-d %B %Y}, {os.cpu_count()} cores"
    return f"# A day at ten times speed\n\n{told}\n\n{when}:\n\n{report}\n\n{EXPLAINED}"


@dataclass(frozen=True, slots=True)
class _House:
    folder: Path
    address: str
    alive: Callable[[], None]


@contextmanager
def _running(folder: Path, fixed: bool) -> Iterator[_House]:
    with ExitStack() as stack:
        (folder / "dumps").mkdir()
        if not fixed:
            bundle = shipped_bundle()
            shutil.copytree(bundle, folder / "models" / bundle.name)
        port, beam_port, web_port = free_port(), free_port(), free_port()
        settings = folder / "hydra.toml"
        classify = FIXED if fixed else ""
        settings.write_text(
            HALL.format(port=port, web_port=web_port, cadence_s=CADENCE_S, classify=classify), encoding="utf-8"
        )
        log = folder / "hydrad.log"
        output = stack.enter_context(log.open("wb"))
        environment = {"EPICS_CA_ADDR_LIST": f"127.0.0.1:{beam_port}", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
        simulate = [
            "simulate",
            str(folder / "dumps"),
            "--story",
            f"--cadence-s={CADENCE_S}",
            f"--beam-port={beam_port}",
        ]
        processes = {
            name: stack.enter_context(child(arguments, environment=environment, output=output))
            for name, arguments in {
                "the daemon": ["run", "-c", str(settings)],
                "the pages": ["web", "-c", str(settings)],
                "the simulated hall": simulate,
            }.items()
        }

        def alive() -> None:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise HydradError(f"{name} ended by itself:\n{tail(log)}")

        yield _House(folder, f"http://127.0.0.1:{web_port}", alive)


def _watch(house: _House, for_s: float, every_s: float, *, quiet: bool) -> Iterator[dict[str, float]]:
    """A sample now and then, from the first moment at which all of them can be had."""
    with httpx.Client(base_url=house.address, timeout=30) as client:
        deadline = time.monotonic() + START_WITHIN_S
        while (sample := _sample(house, client)) is None:
            house.alive()
            if time.monotonic() > deadline:
                raise HydradError(
                    f"nothing to measure within {START_WITHIN_S:.0f} s:\n{tail(house.folder / 'hydrad.log')}"
                )
            time.sleep(0.2)
        began = due = time.monotonic()
        while (now := time.monotonic()) - began < for_s:
            house.alive()
            _keep_house(house.folder / "dumps")
            for path in VISITED:
                client.get(path, headers={"accept": "text/html"} if not path.startswith("/api") else {})
            sample = _sample(house, client)
            if sample is not None:
                yield {"s": now - began, **sample}
                if not quiet:
                    _say(now - began, sample)
            due += every_s
            time.sleep(max(0.0, due - time.monotonic()))


def _sample(house: _House, client: httpx.Client) -> dict[str, float] | None:
    """Every figure at this moment; None while one of them cannot be had."""
    try:
        answer = client.get("/metrics").raise_for_status().text
    except httpx.HTTPError:
        return None
    told = {
        f"{sample.name.removeprefix('hydrad_')}{''.join(f'_{value}' for value in sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(answer)
        for sample in family.samples
        if sample.name != "hydrad_daemon_info"
    }
    told |= {
        "journal_bytes": _size(house.folder.glob("journal.db*")),
        "database_bytes": _size(house.folder.glob("hydra.db*")),
        "images_bytes": _size((house.folder / "images").glob("*/*.*")),
    }
    wanted = (*FIGURES, "files_judged", "files_rejected")
    return {name: told[name] for name in wanted} if all(name in told for name in wanted) else None


def _size(files: Iterator[Path]) -> float:
    total = 0
    for file in files:
        with suppress(FileNotFoundError):  # gone since it was listed
            total += file.stat().st_size
    return float(total)


def _keep_house(dumps: Path) -> None:
    """What a producer's cron job does: old dumps go."""
    oldest = time.time() - FILES_STAY_S
    for file in dumps.rglob("*.png"):
        with suppress(FileNotFoundError):
            if file.lstat().st_mtime < oldest:
                file.unlink()


def _say(seconds: float, sample: Mapping[str, float]) -> None:
    if sys.stdout.isatty():
        memory, files = sample["daemon_memory_bytes"] / 1e6, sample["daemon_open_files"]
        told = f"{sample['files_judged']:8.0f} images, daemon {memory:.0f} MB, {files:.0f} files"
        print(f"\r{seconds / 60:6.1f} min {told} ", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
