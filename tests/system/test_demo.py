"""The demo, as a newcomer sees it: two minutes in which a plot goes bad, a detector dies, and the beam trips."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from epics_env import REPEATER_PORT

pytestmark = [pytest.mark.system, pytest.mark.keras]


@pytest.mark.timeout(240)
def test_two_minutes_show_a_fault_a_dead_detector_and_a_trip() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "hydrad", "demo", "--minutes", "2.2"],
        env={**os.environ, "EPICS_CA_REPEATER_PORT": str(REPEATER_PORT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=220,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    seen = [
        (match["plot"].strip(), match["status"])
        for match in re.finditer(r"^\d\d:\d\d:\d\d (?P<plot>.{24}) (?P<status>[A-Z]+) ", answer.stdout, re.MULTILINE)
    ]
    statuses = [status for _, status in seen]
    plots = {plot for plot, _ in seen}
    assert len(plots) >= 24, answer.stdout
    for status in ("GOOD", "BAD", "NODATA", "NOBEAM"):
        assert status in statuses, answer.stdout
    assert len([plot for plot in plots if (plot, "NOBEAM") in seen]) == len(plots), answer.stdout
    bad = [plot for plot, status in seen if status == "BAD"]
    assert set(bad) <= {plot for plot, status in seen if status == "SUSPECT"}, answer.stdout
    assert {"STALE", "UNFAMILIAR"}.isdisjoint(statuses), answer.stdout
