"""`hydrad label`: folders and tables in, folders and tables out, and every file accounted for."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy import update

from hydrad import cli
from hydrad.domain import Meaning
from hydrad.store.images import ImageFolder
from hydrad.store.labels.defining import Hand, why_not
from hydrad.store.labels.labelling import LabelledImage, definitions_of, history, labelled, tallies
from hydrad.store.queries import Store
from hydrad.store.tables import images
from hydrad.verbs import bringing, label_table, leaving

TOML = '[beam]\nkind = "fixed"\n[hall]\ntimezone = "America/New_York"\n'
DUMP = "clas12mon_11_10-17-2017_06.09.49_PM"
ODD = ["Good", "good", "a/b", "a\\b", "über", "漢 字", "👩‍🔬🔥", "con", "..", "Good~2", "a,b;c*"]

Run = Callable[..., tuple[int, Any, str]]


def png(n: int) -> bytes:
    """A small picture of its own."""
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (n % 256, n // 256 % 256, 7)).save(file, "png")
    return file.getvalue()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def furnish(folder: Path, **labels: int) -> Path:
    """A folder per label with so many pictures."""
    n = 0
    for label, count in labels.items():
        for _ in range(count):
            put(folder / label / f"{n}.png", png(n))
            n += 1
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, and nothing else."""
    return set_up(tmp_path / "home", monkeypatch)


def set_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir()
    (folder / "hydra.toml").write_text(TOML)
    monkeypatch.setenv("HYDRA_CONFIG", str(folder / "hydra.toml"))
    return folder


@pytest.fixture
def label(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:  # noqa: ARG001  the configuration it finds
    """Run `hydrad label …`: its exit status, its JSON where it was asked for, its output and errors."""

    def run(*words: object) -> tuple[int, Any, str]:
        status = cli.main(["label", *map(str, words)])
        said = capsys.readouterr()
        document = None
        if "--json" in words and said.out:
            lines = [json.loads(line) for line in said.out.splitlines()]
            document = lines if words[0] == "list" else lines[0]
        return status, document, said.out + said.err

    return run


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{home}/hydra.db") as opened:
        yield opened


def given_labels(store: Store) -> dict[str, int]:
    return {one.label: one.images for one in tallies(store)}


def test_a_new_user_labels_before_anything_ran(home: Path, tmp_path: Path, label: Run, store: Store) -> None:
    folder = furnish(tmp_path / "My pictures", Good=3, Bad=2, NoData=1, Cosmic=1)
    status, said, _ = label("import", folder, "--plot", "CDC_occupancy", "--json", "--user", "anna")
    assert status == 0
    assert said["taken"] == 7
    assert [(row["label"], row["meaning"], row["new"]) for row in said["labels"]] == [
        ("Bad", "bad", 2), ("Cosmic", "other", 1), ("Good", "good", 3), ("NoData", "empty", 1)
    ]  # fmt: skip
    assert (said["rejected"], said["skipped"]) == ([], [])
    found = labelled(store)
    assert len(found) == 7
    assert {(one.plot, one.by, one.run) for one in found} == {("CDC_occupancy", "anna", None)}
    for one in found:
        assert one.lies_in(home / "images").read_bytes() in {png(n) for n in range(7)}
    (first,) = history(store, "CDC_occupancy", found[0].sha256)
    assert first.hand.via == "import"
    assert abs((datetime.now(UTC) - first.hand.at).total_seconds()) < 60


def test_bringing_twice_is_bringing_once_and_another_label_relabels(tmp_path: Path, label: Run, store: Store) -> None:
    folder = furnish(tmp_path / "pictures", Good=3)
    assert label("import", folder, "--plot", "P")[0] == 0
    status, said, _ = label("import", folder, "--plot", "P", "--json")
    assert (status, said["labels"][0]["known"], said["labels"][0]["new"]) == (0, 3, 0)
    (folder / "Bad").mkdir()
    (folder / "Good/0.png").rename(folder / "Bad/0.png")
    status, said, _ = label("import", folder, "--plot", "P", "--json", "--user", "anna")
    assert [(row["label"], row["known"], row["relabelled"]) for row in said["labels"]] == [
        ("Bad", 0, 1),
        ("Good", 2, 0),
    ]
    (moved,) = [one for one in labelled(store) if one.label == "Bad"]
    assert moved.by == "anna"
    assert [one.label for one in history(store, "P", moved.sha256)] == ["Good", "Bad"]
    out = label("import", folder, "--plot", "P", "--label", "X")[2]
    assert "3 of these pictures were known with another label" in out


def test_every_file_is_accounted_for(tmp_path: Path, label: Run, store: Store) -> None:
    folder = furnish(tmp_path / "pictures", Good=2)
    put(folder / "Good/deep/below/9.png", png(9))
    put(folder / "Good/no suffix", png(10))
    put(folder / "Good/notes.txt", b"look at the third ring")
    put(folder / "Good/.hidden.png", png(11))
    put(folder / ".git/x.png", png(12))
    put(folder / "Good/torn.png", png(13)[:-20])
    put(folder / "Good/empty.png", b"")
    put(folder / "Good/lies.png", b"GIF? no")
    put(folder / "stray.png", png(14))
    put(folder / ("L" * 40) / "a.png", png(15))
    put(folder / "Good/same.png", png(0))
    put(folder / "Ugly/other.png", png(1))
    (folder / "Good/gone.png").symlink_to(folder / "nowhere")
    (folder / "Good/ring").symlink_to(folder / "Good", target_is_directory=True)
    os.mkfifo(folder / "Good/pipe.png")
    status, said, _ = label("import", folder, "--plot", "P", "--json")
    assert status == 0
    assert given_labels(store) == {"Good": 4}
    reasons = {Path(one["file"]).relative_to(folder).as_posix(): one["reason"] for one in said["rejected"]}
    assert set(reasons) == {
        "Good/torn.png", "Good/empty.png", "Good/lies.png", "Good/gone.png", "Good/pipe.png", "stray.png",
        f"{'L' * 40}/a.png", "Ugly/other.png",
    }  # fmt: skip
    assert "40 bytes" in reasons[f"{'L' * 40}/a.png"]
    assert "no label's folder" in reasons["stray.png"]
    assert reasons["Ugly/other.png"] == f"is the same picture as {folder}/Good/1.png, which has the label 'Good'"
    skipped = {Path(one["file"]).relative_to(folder).as_posix(): one["reason"] for one in said["skipped"]}
    assert set(skipped) == {"Good/notes.txt", "Good/.hidden.png", ".git", "Good/ring"}
    (row,) = [row for row in said["labels"] if row["label"] == "Good"]
    assert {kind: row[kind] for kind in bringing.KINDS} == {
        "new": 4, "known": 1, "relabelled": 0, "left": 0, "rejected": 5
    }  # fmt: skip
    assert "Ugly" not in store.labels("P")  # what was only refused defines nothing


def test_nothing_to_take_is_a_fault_with_a_clear_sentence(tmp_path: Path, label: Run) -> None:
    put(tmp_path / "pictures/Good/notes.txt", b"none")
    status, _, out = label("import", tmp_path / "pictures", "--plot", "P", "--json")
    assert status == 1
    assert "nothing was imported" in out
    (tmp_path / "bare").mkdir()
    assert label("import", tmp_path / "bare", "--plot", "P")[0] == 1


def test_a_folder_without_a_word_on_the_plot_names_it(tmp_path: Path, label: Run, store: Store) -> None:
    status, _, out = label("import", furnish(tmp_path / "CDC_occ", Good=1))
    assert status == 0
    assert "all of them show the plot CDC_occ, named after the folder" in out
    assert [one.plot for one in labelled(store)] == ["CDC_occ"]


@pytest.mark.parametrize("place", [DUMP, f"top/{DUMP}", f"top/deep/{DUMP}"])
def test_a_layout_tells_plot_run_and_time(tmp_path: Path, label: Run, store: Store, place: str) -> None:
    put(tmp_path / place / "DC_canvas0.png", png(1))
    put(tmp_path / place / "Faraday Cup_canvas0.png", png(2))
    put(tmp_path / place / "tmp_canvas_17.png", png(3))
    top = tmp_path / Path(place).parts[0]
    status, said, _ = label("import", top, "--layout", "mon12", "--label", "Good", "--json")
    assert (status, said["taken"]) == (0, 2)
    assert [one["reason"] for one in said["skipped"]] == ["has a name that is ignored"]
    taken_at = datetime(2017, 10, 17, 22, 9, 49, tzinfo=UTC)
    assert [(one.plot, one.run, one.taken_at, one.label) for one in labelled(store)] == [
        ("DC_canvas0", 11, taken_at, "Good"), ("Faraday Cup_canvas0", 11, taken_at, "Good")
    ]  # fmt: skip


def test_a_layout_goes_with_folders_of_labels(tmp_path: Path, label: Run, store: Store) -> None:
    put(tmp_path / "t" / "Good" / DUMP / "DC_canvas0.png", png(1))
    put(tmp_path / "t" / "No Data" / DUMP.replace("_11_", "_0_") / "DC_canvas0.png", png(2))
    assert label("import", tmp_path / "t", "--layout", "mon12")[0] == 0
    assert [(one.label, one.meaning, one.run) for one in labelled(store)] == [
        ("Good", Meaning.GOOD, 11), ("No Data", Meaning.EMPTY, 0)
    ]  # fmt: skip


def test_runs_are_told_by_folders_or_by_the_person(tmp_path: Path, label: Run, store: Store) -> None:
    put(tmp_path / "t/Good/Run012345/a.png", png(1))
    put(tmp_path / "t/Good/b.png", png(2))
    assert label("import", tmp_path / "t", "--plot", "P")[0] == 0
    assert sorted(str(one.run) for one in labelled(store)) == ["12345", "None"]
    assert label("import", tmp_path / "t", "--plot", "Q", "--run", 7)[0] == 0
    assert {one.run for one in labelled(store, ["Q"])} == {7}


def test_a_label_for_all_makes_folders_mean_nothing(tmp_path: Path, label: Run, store: Store) -> None:
    folder = furnish(tmp_path / "t", one=2, other=1)
    put(folder / "top.png", png(9))
    assert label("import", folder, "--plot", "P", "--label", "Good")[0] == 0
    assert given_labels(store) == {"Good": 4}


def test_meanings_are_as_said_and_stay_as_people_left_them(tmp_path: Path, label: Run, store: Store) -> None:
    folder = furnish(tmp_path / "t", Good=1, Hot=1)
    status, said, _ = label("import", folder, "--plot", "P", "--meaning", "Hot=BAD", "--meaning", "Cold=bad", "--json")
    assert status == 0
    assert {row["label"]: row["meaning"] for row in said["labels"]} == {"Good": "good", "Hot": "bad"}
    assert "--meaning: no image has the label 'Cold'" in said["notes"]
    assert len(definitions_of(store, "P", "Hot")) == 1
    assert label("define", "P", "Good", "--meaning", "other", "--user", "anna")[0] == 0
    label("import", folder, "--plot", "P")
    assert store.labels("P")["Good"].meaning is Meaning.OTHER
    label("import", folder, "--plot", "P", "--meaning", "Good=good")
    assert [(one.meaning, one.hand.person != "anna") for one in definitions_of(store, "P", "Good")] == [
        (Meaning.GOOD, True), (Meaning.OTHER, False), (Meaning.GOOD, True)
    ]  # fmt: skip


def test_wrong_arguments_are_all_named_at_once(home: Path, tmp_path: Path, label: Run) -> None:
    words = ["--meaning", "Good", "--meaning", "Good=fine", "--meaning", f"{'x' * 40}=bad", "--meaning", "A=bad"]
    status, _, out = label("import", tmp_path / "none", "--plot", " ", "--label", "", "--run", -1, *words,
                           "--meaning", "A=good")  # fmt: skip
    assert status == 2
    assert len(out.splitlines()) == 8
    for word in (
        "LABEL=MEANING",
        "'fine' is none of",
        "40 bytes",
        "cannot mean both",
        "--plot:",
        "--label:",
        "--run:",
        "none: no such",
    ):
        assert word in out
    assert not (home / "hydra.db").exists()


def test_labels_are_defined_coloured_and_listed(tmp_path: Path, label: Run) -> None:
    label("import", furnish(tmp_path / "t", Good=2, Bad=1), "--plot", "CDC_a")
    status, _, out = label("define", "CDC_a", "Cosmic", "--colour", "#ABCDEF")
    assert (status, out) == (0, "CDC_a: Cosmic now means other and is painted #abcdef\n")
    assert "already means" in label("define", "CDC_a", "Cosmic", "--colour", "#abcdef")[2]
    status, rows, _ = label("list", "--json")
    assert [(row["plot"], row["label"], row["meaning"], row["images"]) for row in rows] == [
        ("CDC_a", "Bad", "bad", 1), ("CDC_a", "Good", "good", 2), ("CDC_a", "Cosmic", "other", 0)
    ]  # fmt: skip
    assert rows[2]["colour"] == "#abcdef"
    assert label("list", "CDC_*", "--json")[1] == rows
    assert "Cosmic" in label("list", "CDC_a")[2]
    wrong_words: list[tuple[object, ...]] = [
        ("list", "FDC_*"),
        ("define", "FDC", "Good"),
        ("define", "CDC_a", "x" * 40),
        ("define", "CDC_a", "Good", "--colour", "red"),
        ("export", tmp_path / "x", "--plot", "FDC"),
    ]
    for wrong in wrong_words:
        status, _, out = label(*wrong)
        assert (status, len(out.splitlines())) == (2, 1)


def test_looking_makes_no_data_base(home: Path, tmp_path: Path, label: Run) -> None:
    for words in (("list",), ("export", tmp_path / "x"), ("define", "P", "Good")):
        assert label(*words)[0] == 1
    assert not (home / "hydra.db").exists()
    assert not (tmp_path / "x").exists()


# ---- out and in again ----


def everything(store: Store) -> list[tuple[Any, ...]]:
    """All that an export must not lose."""
    labels = {(one.plot, one.label): (one.meaning, one.colour if one.chosen else None) for one in tallies(store)}
    return [
        (
            one.plot,
            one.label,
            labels[one.plot, one.label],
            one.sha256,
            one.format,
            one.run,
            one.taken_at,
            one.by,
            one.at,
        )
        for one in labelled(store)
    ]


def test_what_is_exported_and_imported_elsewhere_is_the_same_to_the_letter(
    tmp_path: Path, label: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [["file", "plot", "label", "meaning", "colour", "run", "taken_at", "by", "at"]]
    for n, (plot, name) in enumerate((plot, name) for plot in ODD for name in ODD if why_not(name) is None):
        put(tmp_path / f"in/{n}.png", png(n))
        meaning = ["good", "bad", "empty", "other"][ODD.index(name) % 4]
        colour = f"#0000{ODD.index(name):02x}" if ODD.index(name) % 3 else ""
        at = f"2026-01-01T00:00:{n % 60:02}.{n:06}Z"
        rows.append(
            [f"{n}.png", plot, name, meaning, colour, str(n) if n % 2 else "", at if n % 3 else "", f"ö {n}", at]
        )
    with (tmp_path / "in/labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    status, said, _ = label("import", tmp_path / "in", "--json")
    assert (status, said["taken"], said["rejected"]) == (0, len(rows) - 1, [])
    before = everything(store)
    assert len(before) == len(rows) - 1
    assert {one[7] for one in before} == {row[7] for row in rows[1:]}

    status, said, _ = label("export", tmp_path / "out", "--json")
    assert (status, said["images"], said["gone"], said["plots"]) == (0, len(before), 0, len(ODD))
    files = list((tmp_path / "out").rglob("*.png"))
    assert len(files) == len({str(path).casefold() for path in files}) == len(before)

    for source in (tmp_path / "out", tmp_path / "out/labels.csv"):
        other = set_up(tmp_path / f"other-{source.name}", monkeypatch)
        assert label("import", source)[0] == 0
        with Store(f"sqlite:///{other}/hydra.db") as elsewhere:
            assert everything(elsewhere) == before
            one = labelled(elsewhere)[0]
            assert {each.hand.via for each in history(elsewhere, one.plot, one.sha256)} == {"import"}
        assert label("export", tmp_path / f"again-{source.name}")[0] == 0
        again = (tmp_path / f"again-{source.name}/labels.csv").read_bytes()
        assert again == (tmp_path / "out/labels.csv").read_bytes()


def test_the_table_alone_names_the_kept_files_and_brings_labels_back(
    tmp_path: Path, label: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    label("import", furnish(tmp_path / "t", Good=2, Bad=1), "--plot", "P", "--user", "anna")
    assert label("export", tmp_path / "out", "--csv-only")[0] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["labels.csv"]
    before = everything(store)
    set_up(tmp_path / "other", monkeypatch)
    assert label("import", tmp_path / "out/labels.csv")[0] == 0
    with Store(f"sqlite:///{tmp_path}/other/hydra.db") as elsewhere:
        assert everything(elsewhere) == before


def test_an_export_goes_into_an_empty_folder_only_and_by_plot(tmp_path: Path, label: Run) -> None:
    label("import", furnish(tmp_path / "a", Good=2), "--plot", "CDC_a")
    label("import", furnish(tmp_path / "b", Bad=1), "--plot", "FDC_b")
    status, _, out = label("export", tmp_path / "a")
    assert (status, "is not empty" in out) == (2, True)
    assert label("export", tmp_path / "a/Good/0.png")[0] == 2
    (tmp_path / "out").mkdir()
    assert label("export", tmp_path / "out", "--plot", "CDC_*")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["CDC_a", "labels.csv"]


def test_a_picture_that_is_gone_leaves_its_label_in_the_table(
    home: Path, tmp_path: Path, label: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    label("import", furnish(tmp_path / "t", Good=4), "--plot", "P")
    first, second, third, _ = labelled(store)
    first.lies_in(home / "images").unlink()
    second.lies_in(home / "images").write_bytes(png(99))
    with store.writing() as connection:
        connection.execute(update(images).where(images.c.sha256 == third.sha256).values(kept=False))
    third.lies_in(home / "images").unlink()
    status, said, _ = label("export", tmp_path / "out", "--json")
    assert (status, said["images"], said["gone"]) == (0, 1, 3)
    status, said, _ = label("import", tmp_path / "out", "--json")
    assert (status, said["labels"][0]["known"], said["rejected"]) == (0, 4, [])
    set_up(tmp_path / "other", monkeypatch)
    status, said, _ = label("import", tmp_path / "out", "--json")
    assert (said["labels"][0]["new"], said["labels"][0]["rejected"]) == (1, 3)
    assert {one["reason"] for one in said["rejected"]} == {"there is no such file, and no such image is known"}


def test_a_table_of_gone_pictures_makes_no_plot_and_no_label(tmp_path: Path, label: Run, store: Store) -> None:
    put(tmp_path / "t.csv", f"file,plot,label,colour,sha256\n,P,Good,#123456,{'ab' * 32}\n".encode())
    assert label("import", tmp_path / "t.csv")[0] == 1
    assert store.standings() == []


def test_an_older_table_never_overwrites_what_was_said_since(tmp_path: Path, label: Run, store: Store) -> None:
    folder = furnish(tmp_path / "t", Good=2)
    label("import", folder, "--plot", "P")
    label("export", tmp_path / "out")
    label("import", folder, "--plot", "P", "--label", "Bad")
    status, said, _ = label("import", tmp_path / "out", "--json")
    assert (status, said["labels"][0]["left"]) == (0, 2)
    assert given_labels(store) == {"Good": 0, "Bad": 2}
    text = (tmp_path / "out/labels.csv").read_text().replace(",at\n", ",formerly\n")
    (tmp_path / "out/labels.csv").write_text(text)
    assert label("import", tmp_path / "out", "--json")[1]["labels"][0]["relabelled"] == 2
    assert given_labels(store) == {"Good": 2, "Bad": 0}


def test_a_table_edited_in_a_spreadsheet_counts_as_said_by_who_brings_it(
    tmp_path: Path, label: Run, store: Store
) -> None:
    label("import", furnish(tmp_path / "t", Good=1), "--plot", "P", "--user", "anna")
    label("export", tmp_path / "out")
    table = tmp_path / "out/labels.csv"
    edited = table.read_text().replace(",Good,good,", ",Bad,bad,").replace(",", ";").replace("\n", "\r\n")
    table.write_bytes(b"\xef\xbb\xbf" + edited.encode())
    assert label("import", table, "--user", "otto")[0] == 0
    (one,) = labelled(store)
    assert [(each.label, each.hand.person) for each in history(store, "P", one.sha256)] == [
        ("Good", "anna"), ("Bad", "otto")
    ]  # fmt: skip


def test_the_meaning_here_stays_and_a_table_that_differs_is_told(tmp_path: Path, label: Run, store: Store) -> None:
    label("import", furnish(tmp_path / "t", Hot=1), "--plot", "P", "--meaning", "Hot=bad")
    label("export", tmp_path / "out")
    label("define", "P", "Hot", "--meaning", "other", "--colour", "#111111")
    _, said, _ = label("import", tmp_path / "out", "--json")
    assert "P: Hot stays other; the table says bad" in said["notes"]
    assert (store.labels("P")["Hot"].meaning, store.labels("P")["Hot"].colour) == (Meaning.OTHER, "#111111")


def test_a_faulty_row_is_refused_and_the_others_are_not(tmp_path: Path, label: Run, store: Store) -> None:
    put(tmp_path / "a.png", png(1))
    put(tmp_path / "b.png", png(2))
    head = "file,plot,label,meaning,colour,run,taken_at,sha256,by,at"
    wrong = [
        "b.png,,Good,,,,,,,", "b.png,P,,,,,,,,", f"b.png,P,{'x' * 40},,,,,,,", "b.png,P,Good,fine,,,,,,",
        "b.png,P,Good,,red,,,,,", "b.png,P,Good,,,twelve,,,,", "b.png,P,Good,,,99999999999999999999,,,,",
        "b.png,P,Good,,,,yesterday,,,", "b.png,P,Good,,,,,,,2026-01-01T00:00:00", "b.png,P,Good,,,,,abc,,",
        f"b.png,P,Good,,,,,{'ab' * 32},,", ",P,Good,,,,,,,", "none.png,P,Good,,,,,,,", "b.png\0,P,Good,,,,,,,",
    ]  # fmt: skip
    put(tmp_path / "t.csv", "\n".join([head, "a.png,P,Good,,,7,,,,", *wrong]).encode())
    status, said, _ = label("import", tmp_path / "t.csv", "--json")
    assert (status, said["taken"], len(said["rejected"])) == (0, 1, len(wrong))
    assert "is not the picture that was labelled" in str(said["rejected"])
    assert [(one.run, one.label) for one in labelled(store)] == [(7, "Good")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a,b\n1,2\n", "has no column file, plot, label"),
        (b"", "has no column"),
        (b"file,plot,label\n\xff\xfe,P,G\n", "no UTF-8"),
        (b'file,plot,label\n"a"b,P,G\n', "comma-separated"),
    ],
)
def test_what_is_no_table_is_refused_whole(tmp_path: Path, label: Run, content: bytes, says: str) -> None:
    put(tmp_path / "t.csv", content)
    status, _, out = label("import", tmp_path / "t.csv")
    assert (status, says in out) == (2, True)
    assert label("import", tmp_path / "t.csv", "--plot", "P", "--run", 3)[2].count("itself says it") == 2


def test_a_long_import_is_written_in_pieces_that_stay(
    tmp_path: Path, label: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "AT_ONCE", 3)
    folder = furnish(tmp_path / "t", Good=10)
    keep = ImageFolder.keep

    def full(self: ImageFolder, data: bytes, *words: str) -> Path:
        if data == png(8):
            raise cli.HydradError("the disk is full")
        return keep(self, data, *words)

    monkeypatch.setattr(ImageFolder, "keep", full)
    status, _, out = label("import", folder, "--plot", "P")
    assert (status, out.endswith("the disk is full\n")) == (1, True)
    assert 3 <= given_labels(store)["Good"] <= 9
    monkeypatch.setattr(ImageFolder, "keep", keep)
    assert label("import", folder, "--plot", "P")[0] == 0
    assert given_labels(store) == {"Good": 10}


NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=60)


@settings(deadline=None)
@given(st.lists(st.one_of(NAMES, st.sampled_from(ODD)), unique=True, max_size=30))
def test_no_two_names_ever_share_a_folder(names: list[str]) -> None:
    folders = leaving.Folders()
    made = {name: folders.name(name) for name in names}
    assert len({one.casefold() for one in made.values()}) == len(names)
    assert {name: folders.name(name) for name in reversed(names)} == made
    for one in made.values():
        assert 0 < len(one.encode()) < 255
        assert not set('/\\:*?"<>|') & set(one)
        assert one not in {".", ".."}
        assert not one.startswith(".")
        assert one == one.strip().rstrip(".")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    plot=st.text(min_size=1).filter(lambda text: text.strip()),
    name=NAMES.filter(lambda text: why_not(text) is None),
    by=st.text(min_size=1),
    at=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001  made aware below
    run=st.none() | st.integers(0, 2**63 - 1),
)
def test_a_table_says_exactly_what_was_written(
    tmp_path: Path, plot: str, name: str, by: str, at: datetime, run: int | None
) -> None:
    moment = at.replace(tzinfo=UTC)
    one = LabelledImage(plot, name, Meaning.OTHER, "ab" * 32, "png", run, moment, by, moment)
    table = tmp_path / "labels.csv"
    label_table.write(table, [("x.png", one)], {(plot, name): "#123456"})
    importer = Hand("root", "here", "import", datetime(2026, 1, 1, tzinfo=UTC))
    (offer,) = label_table.read(table, importer)
    assert isinstance(offer, bringing.Offer)
    assert (offer.key, offer.caption.run, offer.caption.taken_at) == ((plot, name), run, moment)
    assert offer.hand is not None
    assert (offer.hand.person, offer.hand.at, offer.colour) == (by, moment, "#123456")


def test_pictures_whose_hashes_begin_alike_do_not_overwrite_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike = [f"{'ab' * 8}{n:048x}" for n in (1, 2)]
    monkeypatch.setattr(leaving, "_read", lambda one, _: one.sha256.encode())  # nobody can make such pictures
    found = [LabelledImage("P", "Good", Meaning.GOOD, sha256, "png", None, None, "", None) for sha256 in alike]
    left = leaving.leave(found, tmp_path / "out", tmp_path, {}, pictures=True, tell=lambda _: None)
    with left.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(tmp_path / "out" / row["file"]).read_text() for row in rows] == alike
