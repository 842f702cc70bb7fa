"""The bench of the PVs, on few of them."""

from __future__ import annotations

import pytest

from hydrad.ioc.bench import LEAVES
from hydrad.verbs.benches import pvs as pv_bench


def test_the_bench_measures_both_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PLOTS", 3), ("SECONDS", 1), ("UPDATES_PER_S", 100), ("WARM_S", 0.2)):
        monkeypatch.setattr(pv_bench, name, value)
    figures = pv_bench.figures()
    assert figures["pvs"] == 3 * len(LEAVES)
    assert figures["ours"].keys() == figures["base"].keys()
    for kind in ("ours", "base"):
        measured = figures[kind]
        assert all(measured[key] > 0 for key in ("start_s", "connect_s", "server_mb", "p50_ms", "p99_ms"))
        assert measured["lost"] == 0
        assert 80 <= measured["updates_per_s"] <= 110
    table = list(pv_bench.rows(figures))
    assert len(table) == 7
    assert all("softioc" in str(beside) for *_, beside, _ in table)


def test_without_softioc_ours_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pv_bench, "find_spec", lambda _: None)
    monkeypatch.setattr(pv_bench, "_measured", lambda kind: dict.fromkeys(FIGURES, 1.0) | {"kind": kind})
    figures = pv_bench.figures()
    assert "base" not in figures
    assert [beside for *_, beside, _ in pv_bench.rows(figures)] == ["no softioc here"] * len(FIGURES)


FIGURES = ("start_s", "connect_s", "server_mb", "updates_per_s", "p50_ms", "p99_ms", "lost")
