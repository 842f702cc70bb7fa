"""`hydrad reprocess`, with the model that ships: what it asks for, what it says, and that it does nothing twice."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_world import entry_of, verdict_of

from hydrad import schooling, shipped
from hydrad.classify import bundle as bundles
from hydrad.cli import main
from hydrad.sim.producers import png
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store

PLOT = schooling.GOLDEN_PLOT
Verb = Callable[..., tuple[str, str]]


@pytest.fixture
def hall(tmp_path: Path) -> Path:
    """A configuration with one model that nobody has decided about."""
    shutil.copytree(shipped.folder(), tmp_path / "models" / shipped.ID)
    settings = tmp_path / "hydra.toml"
    settings.write_text('[beam]\nkind = "fixed"\n[classify]\nbatch = 4\n')
    return settings


@pytest.fixture
def verb(hall: Path, capsys: pytest.CaptureFixture[str]) -> Verb:
    def run(*words: object, status: int = 0) -> tuple[str, str]:
        answer = main(["reprocess", *map(str, words), "-c", str(hall)])
        out, err = capsys.readouterr()
        assert answer == status, out + err
        return out, err

    return run


def told(verb: Verb, *words: object, status: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in verb(*words, "--json", status=status)[0].splitlines()]


@pytest.fixture
def archive(hall: Path) -> dict[str, str]:
    """Images that the model was tested with, what it said of each, and one file that is none of them."""
    golden = bundles.read(shipped.folder()).golden()
    names = bundles.read(shipped.folder()).manifest.names
    folder = hall.parent / "archive/Run000011"
    folder.mkdir(parents=True)
    said = {}
    for n, (pixels, logits) in enumerate(zip(golden.pictures, golden.logits, strict=True)):
        (folder / f"{PLOT}_{n:04d}.png").write_bytes(png(pixels))
        said[f"Run000011/{PLOT}_{n:04d}.png"] = names[int(logits.argmax())]
    (folder / f"{PLOT}_9999.png").write_text("no image")
    (folder / "ELSE_where_0001.png").write_text("of a plot that the model is not for")
    return said


@pytest.mark.keras
def test_it_judges_compares_lists_does_nothing_twice_and_forgets(
    verb: Verb, hall: Path, archive: dict[str, str]
) -> None:
    first, *_, last = archive
    data = (hall.parent / "archive" / first).read_bytes()
    wrong = next(label for label in ("Bad", "Good") if label != archive[first])
    verdict = verdict_of(PLOT, sha256=hashlib.sha256(data).hexdigest(), label=wrong, model="old", confidence=0.9)
    with Store(f"sqlite:///{hall.parent}/hydra.db") as store:
        store.put([Parcel(entry_of(verdict), verdict, ImageFacts(len(data), "png", 8, 6))])

    [said] = told(verb, shipped.ID, hall.parent / "archive", "--layout", "rsai", "--portion", 2, "--user", "otto")
    assert (said["files"], said["judged"], said["rejected"], said["pending"]) == (len(archive) + 1, len(archive), 1, 0)
    assert (said["of_other_plots"], said["done_now"], said["by"]) == (1, len(archive) + 1, "otto")
    assert said["ended_at"] is not None
    assert said["refused"] == [{"outcome": "rejected", "reason": "it is no PNG, JPEG or GIF", "files": 1}]
    beside = said["beside"]
    assert (beside["images"], beside["judged_before"], beside["agreed"]) == (len(archive), 1, 0)
    assert beside["live"] == [{"plot": PLOT, "before": wrong, "now": archive[first], "images": 1}]
    [worst] = beside["worst"]
    assert (worst["path"], worst["by"], worst["before"], worst["run"]) == (first, "old", wrong, 11)

    out, _ = verb(shipped.ID, hall.parent / "archive", "--layout", "rsai")  # the same again: nothing is left to do
    assert f"0 of {len(archive) + 1} files just now" in out
    assert "agreed with what served then on 0 of 1 images" in out
    assert first in out
    assert last not in out
    [row] = told(verb, "--list")
    assert (row["id"], row["judged"], row["source"]) == (said["id"], len(archive), str(hall.parent / "archive"))
    assert "simulated-hall" in verb("--list")[0]
    assert told(verb, "--forget", row["id"]) == [{"id": row["id"], "forgotten": len(archive) + 1}]
    assert told(verb, "--list") == []
    verb("--forget", row["id"], status=2)


def test_every_fault_of_what_is_asked_for_is_named(verb: Verb, hall: Path) -> None:
    assert "MODEL: name the model" in verb(status=2)[1]
    assert "ARCHIVE: name a folder" in verb(shipped.ID, status=2)[1]
    _, err = verb(shipped.ID, hall.parent, "--from-store", "--layout", "rsai", "--gpus", "1", status=2)
    assert {line.split(":")[1] for line in err.splitlines()} == {" ARCHIVE", " --layout", " --gpus"}
    assert "no such folder" in verb(shipped.ID, hall.parent / "nowhere", "--layout", "rsai", status=2)[1]
    assert "--layout: say how names" in verb(shipped.ID, hall.parent, status=2)[1]
    assert "no bundle 'unheard-of'" in verb("unheard-of", hall.parent, status=1)[1]


def test_an_empty_archive_is_soon_done_and_read_as_the_hall_is_watched(verb: Verb, hall: Path) -> None:
    watched, other = hall.parent / "watched", hall.parent / "other"
    for folder in (watched / "Run000001", other):
        folder.mkdir(parents=True)
    hall.write_text(f'{hall.read_text()}[[watch]]\nroot = "{watched}"\nlayout = "mon12"\nignore = []\n')
    for folder in (watched / "Run000001", other):
        [said] = told(verb, shipped.ID, folder)
        assert (said["names"], said["files"], said["engine"]) == ("mon12, in UTC", 0, "nobody")
    assert [row["source"] for row in told(verb, "--list")] == [str(other), str(watched / "Run000001")]


def test_where_ray_is_not_installed_it_says_what_installs_it(
    verb: Verb, archive: dict[str, str], hall: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert archive
    monkeypatch.setitem(__import__("sys").modules, "ray", None)  # as if it were not there, wherever this runs
    _, err = verb(shipped.ID, hall.parent / "archive", "--layout", "rsai", "--ray", "auto", status=2)
    assert "Ray is not installed: pip install" in err
    assert "constraints/ray.txt" in err
