"""Files for other programs are written whole or not at all, and never over somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydrad.ioc import own_files
from hydrad.ioc.own_files import MARK, NotOurs, NotWritten


def ours(text: str) -> bytes:
    return f"<!-- {MARK} -->\n{text}".encode()


def inside(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_is_made_filled_renewed_and_tidied(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "screens"
    first = own_files.put_all(folder, {"a.bob": ours("1"), "b.bob": ours("1")}, suffix=".bob")
    assert first.new == ("a.bob", "b.bob")
    (folder / "lab.bob").write_text("the lab's")
    (folder / "notes.txt").write_bytes(ours("with the mark, and yet no screen"))
    second = own_files.put_all(folder, {"a.bob": ours("2"), "c.bob": ours("1")}, suffix=".bob")
    assert (second.new, second.changed, second.unchanged, second.removed) == (("c.bob",), ("a.bob",), (), ("b.bob",))
    assert inside(folder).keys() == {"a.bob", "c.bob", "lab.bob", "notes.txt"}
    assert (folder / "a.bob").read_bytes() == ours("2")
    assert (folder / "lab.bob").read_text() == "the lab's"


def test_what_says_the_same_is_left_alone(tmp_path: Path) -> None:
    own_files.put(tmp_path / "a.xml", ours("1"))
    before = (tmp_path / "a.xml").stat()
    assert own_files.put(tmp_path / "a.xml", ours("1")).unchanged == ("a.xml",)
    after = (tmp_path / "a.xml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_that_somebody_else_wrote_stops_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "b.bob").write_text("the lab's")
    (tmp_path / "c.bob").write_text("the lab's")
    with pytest.raises(NotOurs, match=r"b\.bob.*c\.bob"):
        own_files.put_all(tmp_path, {name: ours("1") for name in ("a.bob", "b.bob", "c.bob")}, suffix=".bob")
    assert inside(tmp_path) == {"b.bob": b"the lab's", "c.bob": b"the lab's"}


def test_a_name_that_cannot_be_taken_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch) -> None:
    own_files.put_all(tmp_path, {"a.bob": ours("1"), "gone.bob": ours("1")}, suffix=".bob")
    before = inside(tmp_path)
    replace = Path.replace

    def refuses(path: Path, target: Path) -> Path:
        if target.name == "c.bob":
            raise OSError(28, "No space left on device", str(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuses)
    with pytest.raises(NotWritten, match=r"c\.bob: No space left on device"):
        own_files.put_all(tmp_path, {"a.bob": ours("2"), "b.bob": ours("2"), "c.bob": ours("2")}, suffix=".bob")
    assert inside(tmp_path) == before


def test_a_folder_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(NotWritten, match="file"):
        own_files.put(tmp_path / "file" / "a.xml", ours("1"))
