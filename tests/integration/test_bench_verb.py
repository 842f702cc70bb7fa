"""The bench in short: each part runs the real thing, and says what its documentation promises."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from hydrad.verbs.benches import flat

pytestmark = [pytest.mark.system, pytest.mark.mariadb]

SHORT = """
import sys
from hydrad import cli
from hydrad.verbs import bench
from hydrad.verbs.benches import flat, growth, idle, landing
bench.VERDICTS = 200
landing.ALONE, landing.BASELINE_IMAGES = 5, 4
idle.SECONDS, idle.SETTLE_S, idle.PLOTS = 0.5, 0.2, 4
growth.IDLE_S, growth.SETTLE_S, growth.IMAGES = 0.5, 0.2, 6
flat.EVERY_S, flat.PLOTS, flat.KEPT_LANDINGS = 0.5, 4, 1
sys.exit(cli.main(["bench", "--json", *sys.argv[1:]]))
"""


def told(*arguments: str) -> dict[str, Any]:
    """What it prints, by a process of its own: libca reads its environment once."""
    ended = subprocess.run(
        [sys.executable, "-c", SHORT, *arguments], capture_output=True, text=True, check=False, timeout=110
    )
    assert ended.returncode in {0, 1}, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    assert ended.returncode == (0 if found.get("flat", {}).get("flat", True) else 1)
    return found


def test_without_a_baseline_of_networks_nothing_loads_tensorflow_and_all_is_told() -> None:
    parts = ("rows", "idle", "growth", "flat")
    found = told("--only", *parts, "--images", "4", "--plots", "2", "5", "--minutes", "0.01")
    assert found.keys() == {"images", "data_base", *parts}
    assert found["rows"].keys() == {"rows_per_s", "kept_per_s", "one_by_one_per_s", "bare_per_s"}
    assert found["rows"]["bare_per_s"] > found["rows"]["one_by_one_per_s"]
    assert found["idle"]["plots"] == 4
    assert 0 <= found["idle"]["share"] < 1
    steps = found["growth"]["steps"]
    assert [(step["plots"], step["images"]) for step in steps] == [(2, 6), (5, 6)]
    assert all(step["cpu_ms"] > 0 and step["memory_mb"] > 50 for step in steps)
    assert found["growth"]["cpu_growth"] == pytest.approx(steps[1]["cpu_ms"] / steps[0]["cpu_ms"])
    assert found["flat"]["images"] == 4 * len(found["flat"]["samples"])
    assert all(found["flat"][name]["last"] > 0 for name in flat.WATCHED)


@pytest.mark.keras
def test_images_land_before_the_daemon_and_before_a_plain_script() -> None:
    found = told("--only", "landing", "--network", "shipped", "--images", "6")["landing"]
    assert found.keys() == {"shipped"}
    shipped = found["shipped"]
    for name in ("new", "known"):
        landed = shipped[name]
        assert landed["per_s"] == pytest.approx(6 / landed["seconds"])
        assert landed["to_baseline"] == pytest.approx(landed["per_s"] / shipped["baseline_per_s"])
        assert landed["cpu_ms"] > 0
    assert shipped["slowest_per_s"] == min(shipped["decode_per_s"], shipped["network_per_s"])
    assert shipped["bound_per_s"] < shipped["slowest_per_s"]
    assert 0 < shipped["file_to_pv_p50_ms"] <= shipped["file_to_pv_p99_ms"]
    assert shipped["bare_ms"] > 0
