"""What the daemon says of itself is what the pages read, and holds no number that JSON has not."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_world import DETAILS

from hydrad.bulletin import Surroundings, written
from hydrad.domain import Beam, BeamState, Health, Timing, Vitals
from hydrad.store.rows import Heartbeat
from hydrad.web.status import health

NOW = datetime(2026, 11, 23, 7, 1, 2, tzinfo=UTC)
VITALS = Vitals(
    Health.OK, "", Beam(BeamState.ON, 201.3, "nA", NOW), 5.0, True, True, 3.2, 0.041, 0,
    {"wait": Timing(0.21, 0.84), "read": Timing(0.0095, 0.038)}, 17, 2,
)  # fmt: skip


def beat(details: Any, *, ago_s: float = 1.0, state: Health = Health.OK) -> Heartbeat:
    return Heartbeat(
        "counting-1", 1, NOW - timedelta(hours=1), NOW - timedelta(seconds=ago_s), "1", state, "", 0, details
    )


def keys(said: Any) -> Any:
    return {name: keys(one) for name, one in said.items()} if isinstance(said, dict) else None


def test_it_has_the_shape_that_the_pages_are_tested_with(tmp_path: Path) -> None:
    said = written(VITALS, Surroundings("HYDRA:TEST:", 5064, {"images": tmp_path}))
    wanted = keys(DETAILS)
    assert keys(said) == wanted | {"stages": {name: wanted["stages"][name] for name in ("wait", "read")}}
    assert said["stages"]["read"] == {"p50_ms": 9.5, "p99_ms": 38.0}
    assert 0 < said["disk"]["images"]["free_bytes"] <= said["disk"]["images"]["total_bytes"]


def test_the_pages_read_back_what_was_said(tmp_path: Path) -> None:
    said = json.loads(json.dumps(written(VITALS, Surroundings("P:", 5064, {"images": tmp_path}))))
    sign = health.read(beat(said), NOW)
    assert sign.alive
    assert sign.beam is not None
    assert (sign.beam.state, sign.beam.current, sign.beam.on_above) == ("ON", 201.3, 5.0)
    assert (sign.images_per_s, sign.latency_s, sign.outbox, sign.database_ok) == (3.2, 0.041, 17, True)
    assert sign.server is not None
    assert (sign.server.prefix, sign.server.clients) == ("P:", 2)
    assert sign.stages["wait"].p99_ms == 840.0
    assert sign.disks["images"].path == str(tmp_path)


@given(*[st.floats() for _ in range(5)])
def test_a_number_that_is_none_is_null(current: float, on: float, rate: float, late: float, spent: float) -> None:
    vitals = replace(
        VITALS, beam=Beam(BeamState.ON, current), beam_on_above=on, images_per_s=rate, latency_s=late,
        stages={"read": Timing(spent, spent)},
    )  # fmt: skip
    json.dumps(written(vitals, Surroundings()), allow_nan=False)


def test_where_no_more_files_can_be_opened_the_rest_is_said_all_the_same() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        said = written(VITALS, Surroundings())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert said["process"] is None
    assert health.read(beat(said), NOW).process is None


def test_a_folder_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert written(VITALS, Surroundings("", 0, {"images": tmp_path / "gone"}))["disk"] == {}


@pytest.mark.parametrize(
    "details",
    [
        None, {}, {"beam": None, "disk": [], "stages": {"read": {}}, "outbox": -1, "images_per_s": "many"},
        {"beam": {"state": "SIDEWAYS"}, "pv_server": {"port": "x"}, "outbox": True, "disk": {"images": 7}},
    ],
)  # fmt: skip
def test_a_daemon_of_another_version_is_read_as_far_as_it_can_be(details: Any) -> None:
    sign = health.read(beat(details), NOW)
    assert sign.alive
    assert (sign.beam, sign.server, sign.images_per_s) == (None, None, None)
    assert sign.disks == {}


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (None, "no daemon has ever been here"),
        (beat({}, ago_s=11), "no sign of life from the daemon for 11 s"),
        (beat({}, state=Health.STALLED), "the daemon has stalled"),
    ],
)
def test_why_nobody_may_rely_on_the_daemon(one: Heartbeat | None, words: str) -> None:
    assert health.faults(health.read(one, NOW), NOW) == [words]
    assert health.faults(health.read(beat({}, state=Health.DEGRADED), NOW), NOW) == []
