"""What the bench lets land, and how it tells what it found."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydrad import cli, footprint
from hydrad.classify.claims import Claim
from hydrad.verbs import bench
from hydrad.verbs.benches import drawings, flat, growth, landing
from hydrad.verbs.benches.drawings import Drawings
from hydrad.verbs.benches.flatness import course


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_no_two_files_are_alike_and_no_plot_sees_the_same_pixels_twice_running(tmp_path: Path) -> None:
    drawn = Drawings(3)
    files = [drawn.write(tmp_path, plot, run) for plot in range(12) for run in (1, 2)]
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in files}) == len(files)
    assert len({pixels(path).tobytes() for path in files}) == 3
    for first, second in zip(files[::2], files[1::2], strict=True):
        assert pixels(first).shape == (636, 1378, 3)
        assert (pixels(first) != pixels(second)).any()


def test_names_are_read_and_served_as_they_are_written(tmp_path: Path) -> None:
    path = Drawings(2).write(tmp_path, 3999, 17)
    read = re.fullmatch(drawings.PATTERN, path.name)
    assert read is not None
    assert (read["plot"], read["run"]) == (drawings.name(3999), "17")
    assert drawings.pv(3999, "RUN") == "B9:3999:RUN"
    assert Claim("bench", (drawings.SERVED,), None).covers(drawings.name(3999))


@pytest.mark.parametrize("plots", ["10", "10 10", "100 10"])
def test_a_hall_that_does_not_grow_is_refused_before_anything_is_measured(
    plots: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", "--plots", *plots.split()]) == cli.WRONG
    assert "ascend" in capsys.readouterr().err


def test_every_line_has_a_baseline_or_a_bound() -> None:
    landed = {"seconds": 4.0, "per_s": 100.0, "cpu_ms": 20.0, "to_baseline": 10.0, "to_slowest": 0.8, "to_bound": 0.9}
    numbers = (
        "baseline_per_s baseline_cpu_ms service_per_s decode_per_s network_per_s bare_ms bound_per_s slowest_per_s"
    )
    found = dict.fromkeys((*numbers.split(), "file_to_pv_p50_ms", "file_to_pv_p99_ms"), 10.0)
    told = found | {"slowest_stage": "decoding", "runtime": "here", "new": landed, "known": landed}
    lines = list(landing.rows("shipped", 400, told))
    assert all(len(line) == 5 and (line[3] or line[4]) for line in lines)
    beside = {str(line[0]): line for line in lines}
    assert beside["shipped: 400 images of known plots, all done after"][2:] == ("s", "40.0", "40.0")


def test_growth_is_told_beside_the_smallest_hall() -> None:
    step = {"images": 400, "per_s": 50.0, "idle_share": 0.01}
    steps = [
        {"plots": 10, "cpu_ms": 20.0, "memory_mb": 200.0} | step,
        {"plots": 40, "cpu_ms": 22.0, "memory_mb": 203.0} | step,
    ]
    lines = list(growth.rows({"steps": steps, "memory_per_plot_kb": 100.0, "cpu_growth": 1.1}))
    assert lines[3] == ("40 plots: cost of an image", 22.0, "CPU-ms", "20.0 at 10 plots", "")
    assert lines[-1][:3] == ("memory of a plot", 100.0, "kB")


def test_what_rises_is_called_not_flat() -> None:
    def gone(each: float) -> dict[str, object]:
        went = course([(30.0 * n, 200 + each * n) for n in range(120)], flat.WATCHED["memory_mb"][2])
        facts = {name: getattr(went, name) for name in ("first", "last", "rise", "allowed", "flat")}
        return {"plots": 400, "minutes": 60.0, "late": 0} | dict.fromkeys(flat.WATCHED, facts)

    assert all("NOT FLAT" in str(line[4]) for line in list(bench.rows({"flat": gone(1.0)}))[:-1])
    assert "NOT FLAT" not in str(list(bench.rows({"flat": gone(0.0)})))


def test_another_process_is_measured_as_ones_own() -> None:
    assert footprint.of(os.getpid()).threads == footprint.own().threads
