"""`hydrad db backup` and `restore` as one types them: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hydrad.cli import main
from hydrad.store import schema
from hydrad.store.backup import archive

TOML = '[hall]\nname = "T"\n[store]\nurl = "sqlite:///hydra.db"\n[beam]\nkind = "fixed"\n'


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "hydra.toml"
    path.write_text(TOML)
    schema.upgrade(f"sqlite:///{tmp_path / 'hydra.db'}")
    return path


def test_in_a_folder_the_newest_stay_and_one_of_them_is_restored(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old = folder / "hydra-T-20200101T000000Z.zip"
    old.write_bytes(b"")
    assert main(["db", "backup", str(folder), "--keep", "1", "-c", str(settings), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (path,) = folder.iterdir()
    assert (told["file"], told["removed"], told["hall"]) == (str(path), [str(old)], "T")
    with archive.Archive(path) as opened, opened.open("hydra.toml") as inside:
        assert inside.read().decode() == TOML
    before = (tmp_path / "hydra.db").read_bytes()
    assert main(["db", "restore", str(path), "--check", "-c", str(settings)]) == 0
    assert "is sound, and could be restored" in capsys.readouterr().out
    assert (tmp_path / "hydra.db").read_bytes() == before
    assert main(["db", "restore", str(path), "-c", str(settings), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["restored"]


@pytest.mark.parametrize(
    ("content", "status", "says"), [(None, 2, "No such file"), (b"PK\x03\x04 torn", 1, "is no backup, or only")]
)
def test_a_file_that_is_missing_or_damaged_is_told(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, status: int, says: str
) -> None:
    path = tmp_path / "b.zip"
    if content is not None:
        path.write_bytes(content)
    assert main(["db", "restore", str(path), "-c", str(settings)]) == status
    assert says in capsys.readouterr().err


def test_there_must_be_something_to_keep_and_somewhere_to_keep_it(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["db", "backup", str(tmp_path / "b.zip"), "--keep", "3", "-c", str(settings)]) == 2
    assert "--keep" in capsys.readouterr().err
    assert main(["db", "backup", str(tmp_path / "none" / "b.zip"), "-c", str(settings)]) == 2
    (tmp_path / "hydra.db").unlink()
    assert main(["db", "backup", str(tmp_path / "b.zip"), "-c", str(settings)]) == 1
    assert not (tmp_path / "b.zip").exists()
