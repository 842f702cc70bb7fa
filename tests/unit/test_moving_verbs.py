"""What `hydrad models` says and does where no daemon runs: it decides, and says from when on it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from classify_world import brightness_bundle
from store_world import entry_of, later, verdict_of

from hydrad.cli import main
from hydrad.domain import Health
from hydrad.store.models import registry
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store
from hydrad.store.rows import Heartbeat
from hydrad.store.tables import ModelState


class Hall:
    """A configuration, its data base and its folder of models."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.models = home / "models"
        self.settings = home / "hydra.toml"
        self.settings.write_text('[beam]\nkind = "fixed"\n')
        self.store = Store(f"sqlite:///{home}/hydra.db")
        self._capsys = capsys

    def verb(self, *words: str, status: int = 0) -> tuple[str, str]:
        """What it prints on stdout and stderr."""
        answer = main(["models", *words, "-c", str(self.settings)])
        out, err = self._capsys.readouterr()
        assert answer == status, out + err
        return out, err

    def told(self, *words: str, status: int = 0) -> list[dict[str, Any]]:
        """What it prints with ``--json``."""
        return [json.loads(line) for line in self.verb(*words, "--json", status=status)[0].splitlines()]

    @property
    def states(self) -> dict[str, str]:
        return {place.id: place.state.value for place in registry.places(self.store)}


@pytest.fixture
def hall(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Hall]:
    made = Hall(tmp_path, capsys)
    with made.store as store:
        verdicts = [verdict_of(plot, later(n)) for n, plot in enumerate(("CDC_adc", "CDC_tdc", "FDC_adc"))]
        store.put([Parcel(entry_of(verdict), verdict) for verdict in verdicts])
        yield made


def test_a_promotion_says_which_plots_it_will_serve_and_which_it_will_not(hall: Hall) -> None:
    brightness_bundle(hall.models, "all", ("CDC_*",))
    brightness_bundle(hall.models, "one", ("CDC_adc",), 2)
    hall.verb("promote", "one", "--user", "otto", "--reason", "for the run")
    [told] = hall.told("promote", "all")
    assert told["serves"] == ["CDC_tdc"]
    assert told["leaves"] == [{"plot": "CDC_adc", "to": "one"}]
    assert told["unserved"] == ["FDC_adc"]
    assert told["moves"] == [{"model": "all", "old": "candidate", "new": "in_service"}]
    assert told["daemon"] is False
    out, err = hall.verb("rollback", "all")
    assert "all: in_service → candidate" in out
    assert "it holds from its next start" in err
    [row] = [row for row in hall.told("list") if row["id"] == "one"]
    assert (row["state"], row["by"], row["serves"]) == ("in_service", "otto", ["CDC_adc"])
    shown = hall.told("show", "one")[0]
    assert [move["reason"] for move in shown["history"]] == ["for the run", "decided about for the first time"]
    assert "for the run" in hall.verb("show", "one")[0]


def test_a_promotion_retires_its_equal_and_the_rollback_brings_it_back(hall: Hall) -> None:
    for day, name in enumerate(("old", "new"), 1):
        brightness_bundle(hall.models, name, day=day)
        hall.verb("promote", name)
    assert hall.states == {"old": "retired", "new": "in_service"}
    hall.verb("rollback", "new")
    assert hall.states == {"old": "in_service", "new": "candidate"}
    hall.verb("shadow", "new")
    hall.verb("retire", "old")
    assert hall.states == {"old": "retired", "new": "shadow"}


def test_a_bundle_with_one_flipped_byte_is_refused_before_anything_is_decided(hall: Hall) -> None:
    brightness_bundle(hall.models, "old")
    hall.verb("promote", "old")
    folder = brightness_bundle(hall.models, "torn", day=2).folder
    (folder / "model.keras").write_bytes(b"brightnesz")
    _, err = hall.verb("promote", "torn", status=1)
    assert "model.keras is not the file it was" in err
    assert hall.states == {"old": "in_service"}
    rows = {row["id"]: row for row in hall.told("list", status=1)}
    assert rows["torn"]["state"] == "refused"
    assert "no bundle 'nobody'" in hall.verb("promote", "nobody", status=1)[1]


def test_what_cannot_be_undone_is_said(hall: Hall) -> None:
    brightness_bundle(hall.models, "old")
    hall.verb("shadow", "old")
    assert "'old' is not in service (shadow)" in hall.verb("rollback", "old", status=1)[1]
    assert "knows no model 'nobody'" in hall.verb("retire", "nobody", status=1)[1]


def test_a_bundle_nobody_decided_about_is_said_to_be_new_and_what_becomes_of_it(hall: Hall) -> None:
    brightness_bundle(hall.models, "first")
    assert hall.told("list")[0]["state"] == "new"
    assert "it serves from the daemon's next start" in hall.verb("list")[1]
    hall.verb("promote", "first")
    brightness_bundle(hall.models, "second", day=2)
    assert "the daemon enters it as a candidate" in hall.verb("list")[1]


def test_a_daemon_that_does_not_answer_in_time_is_a_fault(hall: Hall) -> None:
    brightness_bundle(hall.models, "old")
    now = datetime.now(UTC)
    hall.store.beat(Heartbeat("here", 1, now, now, "0.1.0", Health.OK))
    _, err = hall.verb("promote", "old", "--wait-s", "0.2", status=1)
    assert "has not answered within 0.2 s" in err
    assert registry.places(hall.store)[0].state is ModelState.IN_SERVICE
    hall.verb("retire", "old")  # without waiting it is no fault
