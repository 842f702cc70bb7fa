"""The soak in short: it runs and reports, and what leaks is called by its name."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hydrad.verbs.benches.flatness import Allowance, course

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import soak  # noqa: E402  benchmarks are scripts that lie beside the package

SAMPLES = 200
EVERY_S = 5.0
LEVEL = 6e8  # bytes


def sampled(**leaks: float) -> list[dict[str, float]]:
    """What a soak of some minutes finds: figures that swing, spike and saw, and of each leak so much more a sample."""
    usual = dict.fromkeys(soak.FIGURES, 50.0) | dict.fromkeys(
        ("daemon_memory_bytes", "pages_memory_bytes", "database_bytes", "journal_bytes", "images_bytes"), LEVEL
    )
    return [
        {
            "s": n * EVERY_S,
            "files_judged": 20.0 * n,
            "files_rejected": 0.0,
            **{
                name: level * (1 + 0.01 * math.sin(n) + 0.02 * (n % 60) / 60 + 0.5 * (n % 50 == 0))
                + leaks.get(name, 0.0) * n
                for name, level in usual.items()
            },
        }
        for n in range(SAMPLES)
    ]


@pytest.mark.parametrize(
    ("name", "each"),
    [("daemon_memory_bytes", 5e5), ("daemon_open_files", 0.1), ("pages_tasks", 0.1), ("journal_bytes", 8e5)],
)
def test_what_leaks_is_found_and_nothing_else_is(name: str, each: float) -> None:
    found = soak.courses_of(sampled(**{name: each}))
    assert [one for one, its in found.items() if not its.flat and soak.FIGURES[one].allowance] == [name]
    report = "\n".join(soak.lines(found, sampled(**{name: each})))
    assert report.count("NOT FLAT") == 1
    assert soak.FIGURES[name].says in next(line for line in report.splitlines() if "NOT FLAT" in line)


def test_what_swings_spikes_and_saws_is_flat_and_what_may_grow_is_told() -> None:
    samples = sampled(images_bytes=1e6)
    found = soak.courses_of(samples)
    assert "NOT FLAT" not in "\n".join(soak.lines(found, samples))
    assert found["images_bytes"].rise == pytest.approx(1e6 * SAMPLES / 2, rel=0.1)


def test_the_warm_up_does_not_count() -> None:
    samples = sampled()
    for n in range(SAMPLES // 2):
        samples[n]["daemon_memory_bytes"] = LEVEL * n / SAMPLES
    assert soak.courses_of(samples)["daemon_memory_bytes"].flat


def test_a_rise_is_the_slope_times_the_time() -> None:
    went = course([(float(s), 1000.0 + 3 * s) for s in range(101)], Allowance(0.1, 50))
    assert (went.per_s, went.rise, went.allowed, went.flat) == (3.0, 300.0, 115.0, False)
    assert course([(float(s), 1000.0 - 3 * s) for s in range(101)], Allowance(0, 0)).flat


def test_too_few_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="say nothing"):
        course([(0.0, 1.0), (1.0, 1.0)], Allowance(0, 0))


def test_the_day_in_seconds() -> None:
    """The real daemon, pages and simulated hall; what is measured has a beginning, so it need not be flat yet."""
    told = subprocess.run(
        [sys.executable, str(BENCHMARKS / "soak.py"), "--minutes", "0.1", "--every-s", "1", "--fixed", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert told.returncode in {0, 1}, told.stderr
    document: dict[str, Any] = json.loads(told.stdout)
    assert document["courses"].keys() == soak.FIGURES.keys()
    assert len(document["samples"]) >= 3
    last = document["samples"][-1]
    assert all(
        last[f"{whose}_{what}"] > 0 for whose in ("daemon", "pages") for what in ("open_files", "threads", "tasks")
    )
    assert last["daemon_memory_bytes"] > 3e7
    assert last["database_bytes"] > 0
    assert last["journal_bytes"] > 0
