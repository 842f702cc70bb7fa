"""The verbs as one types them: exit 0 done, 1 fault, 2 wrong arguments or configuration."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest

from hydrad import cli, shipped

FIXED = '[beam]\nkind = "fixed"\n[classify]\nkind = "fixed"\n'


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "hydra.toml"
    path.write_text(FIXED)
    return str(path)


@pytest.mark.parametrize(
    "line",
    [
        "run",
        "demo --minutes 2",
        "simulate DIR --fault X",
        "check",
        "status A B",
        "log --since 24h --status bad",
        "ledger --files",
        "submit F --wait",
        "models list",
        "models show ID",
        "thresholds list",
        "thresholds set P L 0.5",
        "db upgrade",
        "db status",
        "bench",
    ],
)
def test_every_verb_leads_to_a_function(line):
    module, _, function = cli.parser().parse_args(line.split()).runs.partition(":")
    assert callable(getattr(import_module(f"hydrad.verbs.{module}"), function))


@pytest.mark.parametrize(
    "line", ["", "fly", "log --status FINE", "log --since yesterday", "demo --minutes 0", "demo --minutes nan",
             "simulate DIR --beam-port 0", "thresholds set P L high", "submit"],
)  # fmt: skip
def test_wrong_arguments_are_exit_2(line, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(line.split())
    assert end.value.code == 2
    assert "hydrad" in capsys.readouterr().err


def test_an_age_is_a_time_before_now():
    ages = {"90s": 90, "90m": 5400, "24h": 86400, "7d": 604800, "1.5h": 5400}
    for text, seconds in ages.items():
        assert abs(datetime.now(UTC) - timedelta(seconds=seconds) - cli.since(text)) < timedelta(seconds=5)
    assert cli.since("2026-11-23T07:00+02:00") == datetime(2026, 11, 23, 5, tzinfo=UTC)


def test_a_wrong_configuration_is_told_fault_by_fault(tmp_path, capsys):
    path = tmp_path / "hydra.toml"
    path.write_text("[beam]\nkind = 'fixed'\nspeed = 1\n[hall]\ntimezone = 'Mars'\n")
    assert cli.main(["check", "-c", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["hall.timezone", "beam.speed"]


def test_the_configuration_is_found_by_the_environment(settings, monkeypatch, capsys):
    monkeypatch.setenv("HYDRA_CONFIG", settings)
    cli.main(["check", "--json"])
    assert settings in capsys.readouterr().out


def test_a_model_without_the_precision_that_is_asked_for_is_told_of(tmp_path, capsys):
    path = tmp_path / "hydra.toml"
    store = f'[store]\nmodels = "{shipped.MODELS}"\n'
    for precision, told in (("int8", True), ("float32", False), ("auto", False)):
        path.write_text(f'{store}[beam]\nkind = "fixed"\n[classify]\nprecision = "{precision}"\n')
        cli.main(["check", "--json", "-c", str(path)])
        found = {one["what"]: one["says"] for one in map(json.loads, capsys.readouterr().out.splitlines())}
        assert ("not calibrated for int8" in found[f"model {shipped.ID}"]) == told


@pytest.mark.parametrize("line", ["status", "log", "ledger", "thresholds list", "db status"])
def test_a_report_makes_no_data_base(line, settings, tmp_path, capsys):
    assert cli.main([*line.split(), "-c", settings]) == 1
    assert "there is no data base" in capsys.readouterr().err
    assert not (tmp_path / "hydra.db").exists()


def test_a_data_base_that_was_made_is_reported_as_empty(settings, capsys):
    assert cli.main(["db", "upgrade", "-c", settings]) == 0
    assert cli.main(["db", "status", "-c", settings]) == 0
    for line in ("status", "log", "ledger", "models list", "thresholds list"):
        assert cli.main([*line.split(), "-c", settings]) == 0
    capsys.readouterr()
    assert cli.main(["ledger", "--json", "-c", settings]) == 0
    assert capsys.readouterr().out == '{"pending": 0, "judged": 0, "unchanged": 0, "superseded": 0, "rejected": 0}\n'
    assert cli.main(["status", "NOPE", "-c", settings]) == 2
    assert cli.main(["models", "show", "NOPE", "-c", settings]) == 2
    assert cli.main(["submit", "nowhere.png", "-c", settings]) == 2
