"""Labels: given, changed, taken back, defined, brought along; and nothing of it forgotten."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from store_world import MORNING, entry_of, later, verdict_of

from hydrad.domain import Meaning
from hydrad.errors import ChangeRefused
from hydrad.store.colours import is_colour
from hydrad.store.labels import marking
from hydrad.store.labels.defining import Hand, define, why_not
from hydrad.store.labels.labelling import Definition, Labelling, counts, definitions_of, history, labelled, tallies
from hydrad.store.labels.marking import Effect, Mark, NewImage, bring, give
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store
from hydrad.store.tables import images, labels

FACTS = ImageFacts(size=5000, format="png", width=640, height=480)
OTTO = Hand("otto", "counting-3", "page", MORNING)
ANNA = Hand("anna", "counting-4", "page", later(60))
ODD = ["Good", "good", "No Data", "über/schräg", "漢字 と かな", "👩‍🔬🔥", "a\\b", "q\"'`;--", "%_*[x]?", "x" * 39]


def by_name(label: str) -> Meaning:
    """What the verbs do, in short."""
    return {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}.get(label, Meaning.OTHER)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def image(name: str, plot: str = "CDC_a", **words: Any) -> NewImage:
    return replace(NewImage(plot, sha(name), FACTS, f"/home/otto/{name}.png"), **words)


def mark(name: str, label: str | None, hand: Hand = OTTO, plot: str = "CDC_a") -> Mark:
    return Mark(plot, sha(name), label, hand)


def at(hand: Hand, seconds: float) -> Hand:
    return replace(hand, at=later(seconds))


def label_of(store: Store, name: str, plot: str = "CDC_a") -> str | None:
    found = [one.label for one in labelled(store, [plot], purged=True) if one.sha256 == sha(name)]
    return found[0] if found else None


@pytest.fixture
def known(store: Store) -> Store:
    """Five images of one plot that nobody has labelled, two of another."""
    bring(store, [image(f"{n}", run=7, taken_at=later(n)) for n in range(5)], [], by_name)
    bring(store, [image(f"{n}", "FDC_b") for n in range(2)], [], by_name)
    return store


# ---- given and taken back ----


def test_a_label_is_given_changed_and_taken_back_and_its_whole_history_can_be_read(known: Store) -> None:
    assert give(known, [mark("0", "Good")], by_name) == [Effect.GIVEN]
    assert give(known, [mark("0", "Bad", ANNA)], by_name) == [Effect.CHANGED]
    assert label_of(known, "0") == "Bad"
    assert give(known, [mark("0", None, at(OTTO, 90))], by_name) == [Effect.TAKEN_BACK]
    assert label_of(known, "0") is None
    assert give(known, [mark("0", "Good", at(ANNA, 120))], by_name) == [Effect.GIVEN]
    assert history(known, "CDC_a", sha("0")) == [
        Labelling("Good", OTTO),
        Labelling("Bad", ANNA),
        Labelling(None, at(OTTO, 90)),
        Labelling("Good", at(ANNA, 120)),
    ]
    assert history(known, "FDC_b", sha("0")) == []  # an equal image of another plot is another image


def test_giving_twice_is_giving_once(known: Store) -> None:
    marks = [mark("0", "Good"), mark("1", "Bad"), mark("2", None)]
    assert give(known, marks, by_name) == [Effect.GIVEN, Effect.GIVEN, Effect.SAME]
    again = [replace(one, hand=ANNA) for one in marks]
    assert give(known, again, by_name) == [Effect.SAME] * 3
    assert [len(history(known, "CDC_a", sha(f"{n}"))) for n in range(3)] == [1, 1, 0]


def test_what_is_not_there_is_said_and_defines_nothing(known: Store) -> None:
    marks = [mark("nobody", "Strange"), mark("0", "Strange", plot="XYZ"), mark("1", "Good")]
    assert give(known, marks, by_name) == [Effect.UNKNOWN, Effect.UNKNOWN, Effect.GIVEN]
    assert list(known.labels("CDC_a")) == ["Good"]
    assert [standing.plot for standing in known.standings()] == ["CDC_a", "FDC_b"]
    assert give(known, [], by_name) == []


def test_one_image_marked_twice_at_once_has_both_in_its_history_and_the_last_for_good(known: Store) -> None:
    marks = [mark("0", "Good"), mark("0", "Bad"), mark("0", "Bad")]
    assert give(known, marks, by_name) == [Effect.GIVEN, Effect.CHANGED, Effect.SAME]
    assert label_of(known, "0") == "Bad"
    assert [one.label for one in history(known, "CDC_a", sha("0"))] == ["Good", "Bad"]


def test_many_are_given_in_pieces_but_all_or_none(known: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marking, "AT_ONCE", 2)
    names = [f"m{n}" for n in range(7)]
    done = bring(known, [image(name) for name in names], [mark(name, "Good") for name in names], by_name)
    assert (len(done.new), set(done.effects)) == (7, {Effect.GIVEN})
    with pytest.raises(ChangeRefused):
        give(known, [*(mark(name, "Bad") for name in names), mark("0", "x" * 40)], by_name)
    assert counts(known) == {"CDC_a": 7}
    assert {one.label for one in labelled(known)} == {"Good"}


def test_two_people_who_label_the_same_images_at_once_are_both_heard_and_the_last_one_counts(known: Store) -> None:
    start = Barrier(2)

    def paint(hand: Hand, label: str, *, backwards: bool) -> list[Effect]:
        marks = [mark(f"{n}", label, hand) for n in range(5)]
        start.wait()
        return list(give(known, marks[::-1] if backwards else marks, by_name))

    with ThreadPoolExecutor(2) as pool:
        for turn in range(10):
            words = [f"A{turn}", f"B{turn}"]
            first = pool.submit(paint, at(OTTO, turn), words[0], backwards=False)
            second = pool.submit(paint, at(ANNA, turn), words[1], backwards=True)
            assert {*first.result(), *second.result()} <= {Effect.GIVEN, Effect.CHANGED}
            for n in range(5):
                said = [one.label for one in history(known, "CDC_a", sha(f"{n}"))]
                assert len(said) == 2 * (turn + 1)
                assert sorted(said[-2:]) == words
                assert label_of(known, f"{n}") == said[-1]


def test_two_who_need_the_same_new_label_share_one(known: Store) -> None:
    start = Barrier(2)

    def paint(number: str, label: str) -> list[Effect]:
        start.wait()
        return list(give(known, [mark(number, label)], by_name))

    with ThreadPoolExecutor(2) as pool:
        for turn in range(8):
            given = [pool.submit(paint, f"{n}", f"New{turn}") for n in (0, 1)]
            assert [one.result()[0] in {Effect.GIVEN, Effect.CHANGED} for one in given] == [True, True]
    assert list(known.labels("CDC_a")) == [f"New{turn}" for turn in range(8)]
    assert all(len(definitions_of(known, "CDC_a", f"New{turn}")) == 1 for turn in range(8))


# ---- former times ----


def test_what_is_restored_keeps_who_and_when_and_never_overwrites_what_was_said_since(known: Store) -> None:
    restorer = Hand("root", "backup-1", "import", later(1000))
    give(known, [mark("0", "Good", at(OTTO, 50)), mark("1", "Good", at(OTTO, 50))], by_name)
    give(known, [mark("1", None, at(ANNA, 90))], by_name)
    marks = [
        mark("0", "Bad", at(ANNA, 40)),  # said before otto
        mark("1", "Bad", at(ANNA, 80)),  # said before it was taken back
        mark("2", "Bad", at(ANNA, 40)),  # nobody has said anything
        mark("3", "Bad", at(ANNA, 40)),
        mark("3", "Good", at(ANNA, 45)),
    ]
    effects = give(known, marks, by_name, restorer=restorer)
    assert effects == [Effect.LEFT, Effect.LEFT, Effect.GIVEN, Effect.GIVEN, Effect.CHANGED]
    assert [label_of(known, f"{n}") for n in range(4)] == ["Good", None, "Bad", "Good"]
    assert history(known, "CDC_a", sha("2")) == [Labelling("Bad", at(ANNA, 40))]
    newer = give(known, [mark("0", "Bad", at(ANNA, 51))], by_name, restorer=restorer)
    assert (newer, label_of(known, "0")) == ([Effect.CHANGED], "Bad")


def test_a_table_that_was_edited_since_speaks_for_whoever_brings_it_back(known: Store) -> None:
    restorer = Hand("root", "backup-1", "import", later(1000))
    give(known, [mark("0", "Good")], by_name)
    assert give(known, [mark("0", "Bad")], by_name, restorer=restorer) == [Effect.CHANGED]
    assert history(known, "CDC_a", sha("0")) == [Labelling("Good", OTTO), Labelling("Bad", restorer)]


# ---- what labels are ----


def test_a_label_is_defined_by_its_name_when_first_given_and_what_people_make_of_it_is_kept(known: Store) -> None:
    give(known, [mark("0", "Good"), mark("1", "Cosmic", ANNA)], by_name)
    assert definitions_of(known, "CDC_a", "Good") == [Definition(Meaning.GOOD, None, OTTO)]
    assert definitions_of(known, "CDC_a", "Cosmic") == [Definition(Meaning.OTHER, None, ANNA)]
    assert define(known, "CDC_a", "Cosmic", at(OTTO, 70), by_name, colour="#ABCDEF")
    assert define(known, "CDC_a", "Cosmic", at(OTTO, 80), by_name, meaning=Meaning.BAD)
    assert not define(known, "CDC_a", "Cosmic", at(OTTO, 90), by_name, meaning=Meaning.BAD, colour="#abcdef")
    assert definitions_of(known, "CDC_a", "Cosmic")[1:] == [
        Definition(Meaning.OTHER, "#abcdef", at(OTTO, 70)),
        Definition(Meaning.BAD, "#abcdef", at(OTTO, 80)),
    ]
    give(known, [mark("2", "Cosmic")], by_name)
    cosmic = known.labels("CDC_a")["Cosmic"]
    assert (cosmic.meaning, cosmic.colour, cosmic.chosen) == (Meaning.BAD, "#abcdef", True)
    assert define(known, "NEW_plot", "Good", OTTO, by_name)
    assert definitions_of(known, "NEW_plot", "Good") == [Definition(Meaning.GOOD, None, OTTO)]


def test_a_label_that_a_model_brought_keeps_its_meaning_and_its_history_begins_with_the_first_change(
    store: Store,
) -> None:
    verdict = verdict_of("CDC_a", meanings={"Noisy": Meaning.BAD})
    store.put([Parcel(entry_of(verdict), verdict, FACTS)])
    assert definitions_of(store, "CDC_a", "Noisy") == []
    assert give(store, [Mark("CDC_a", verdict.sha256 or "", "Noisy", OTTO)], by_name) == [Effect.GIVEN]
    assert store.labels("CDC_a")["Noisy"].meaning is Meaning.BAD
    define(store, "CDC_a", "Noisy", OTTO, by_name, meaning=Meaning.OTHER)
    assert definitions_of(store, "CDC_a", "Noisy") == [Definition(Meaning.OTHER, None, OTTO)]


def test_labels_that_nobody_coloured_have_colours_of_their_own_that_new_ones_do_not_change(known: Store) -> None:
    names = ["Good", "Bad", "NoData", "LED", "Cosmic", "Pedestal"]
    for n in range(1, len(names) + 1):
        before = dict(known.labels("CDC_a"))
        give(known, [mark("0", names[n - 1], at(OTTO, n))], by_name)
        now = known.labels("CDC_a")
        assert {name: now[name] for name in before} == before
        assert len({label.colour for label in now.values()}) == n
        assert all(is_colour(label.colour) and not label.chosen for label in now.values())
    define(known, "CDC_a", "Extra", OTTO, by_name, colour=now["Good"].colour)
    assert now["Good"].colour == "#2e9e5b"
    for n in range(20):
        define(known, "CDC_a", f"Many{n}", OTTO, by_name)
    assert all(is_colour(label.colour) for label in known.labels("CDC_a").values())


@pytest.mark.parametrize(
    "name", ["", " ", " Good", "Good\n", "a\tb", "\x7f", "x\udcff", "a\u2028b", "x" * 40, "é" * 20]
)
def test_a_text_that_can_be_no_label_is_refused_with_a_sentence(known: Store, name: str) -> None:
    assert (why_not(name) or "").startswith(("a label needs a name", "the label"))
    with pytest.raises(ChangeRefused):
        give(known, [mark("0", "Good"), mark("1", name)], by_name)
    with pytest.raises(ChangeRefused):
        define(known, "CDC_a", name, OTTO, by_name)
    assert known.labels("CDC_a") == {}
    assert counts(known) == {}


@pytest.mark.parametrize("colour", ["red", "#fff", "#12345g", "#1234567", "url(x)", ""])
def test_a_colour_that_is_none_is_refused(known: Store, colour: str) -> None:
    with pytest.raises(ChangeRefused, match="is no colour such as #c0392b"):
        define(known, "CDC_a", "Good", OTTO, by_name, colour=colour)
    assert known.labels("CDC_a") == {}


# ---- images brought along ----


def test_an_image_that_is_known_is_not_doubled_and_what_was_not_known_of_it_is_filled_in(store: Store) -> None:
    verdict = verdict_of("CDC_a", sha256=sha("0"), run=None, taken_at=None, chunk=None)
    store.put([Parcel(entry_of(verdict), verdict, FACTS)])
    found = [image("0", run=9, taken_at=later(5)), image("1", run=9), image("1", run=10), image("0", "FDC_b")]
    done = bring(store, found, [mark("0", "Good"), mark("1", "Bad")], by_name)
    assert done.new == {("CDC_a", sha("1")), ("FDC_b", sha("0"))}
    assert done.effects == [Effect.GIVEN, Effect.GIVEN]
    assert bring(store, found[:2], [], by_name).new == frozenset()
    first, second = sorted(labelled(store), key=lambda one: one.label == "Bad")
    assert (first.run, first.taken_at, first.format, first.by, first.at) == (9, later(5), "png", "otto", MORNING)
    assert (second.run, second.label, second.meaning) == (9, "Bad", Meaning.BAD)
    bring(store, [image("0", run=11)], [], by_name)
    assert {one.run for one in labelled(store)} == {9}  # what is known is not overwritten


def test_an_image_that_was_let_go_is_kept_again_when_somebody_brings_it(known: Store) -> None:
    give(known, [mark("0", "Good"), mark("1", "Bad")], by_name)
    with known.writing() as connection:
        connection.execute(update(images).where(images.c.sha256 == sha("0")).values(kept=False, sampled=False))
    assert [one.label for one in labelled(known)] == ["Bad"]
    both = labelled(known, purged=True)
    assert [(one.label, one.kept) for one in both] == [("Bad", True), ("Good", False)]
    bring(known, [image("0")], [], by_name)
    assert [one.label for one in labelled(known)] == ["Bad", "Good"]
    with known.reading() as connection:
        row = connection.execute(select(images).where(images.c.id == 1)).one()
    assert (row.kept, row.sampled) == (True, True)


def test_a_plot_that_is_brought_waits_for_its_detector(store: Store) -> None:
    bring(store, [image("0", "XYZ_new")], [], by_name)
    assert [(one.plot, one.detector, one.verdict_id) for one in store.standings()] == [("XYZ_new", None, None)]
    verdict = verdict_of("XYZ_new")
    store.put([Parcel(entry_of(verdict), verdict)])
    assert [one.detector for one in store.standings()] == ["XYZ"]


# ---- read ----


def test_labelled_images_are_read_by_plot_in_an_order_of_their_own(known: Store) -> None:
    give(known, [mark(f"{n}", "Good") for n in (3, 1, 0)], by_name)
    give(known, [mark("2", "Bad", ANNA), mark("1", "Good", ANNA, "FDC_b")], by_name)
    everything = labelled(known)
    assert [(one.plot, one.label) for one in everything] == [
        ("CDC_a", "Bad"), *[("CDC_a", "Good")] * 3, ("FDC_b", "Good")
    ]  # fmt: skip
    assert [one.sha256 for one in everything[1:4]] == sorted(sha(f"{n}") for n in (0, 1, 3))
    assert labelled(known, ["CDC_*"]) == everything[:4]
    assert labelled(known, ["FDC_b", "CDC_a"]) == everything
    assert labelled(known, ["nothing*"]) == []
    one = everything[0]
    assert (one.by, one.at, one.run, one.taken_at) == ("anna", later(60), 7, later(2))
    assert one.lies_in(Path("/images")) == Path(f"/images/{one.sha256[:2]}/{one.sha256[2:]}.png")


def test_labels_are_counted_with_those_that_no_image_has(known: Store) -> None:
    give(known, [mark("0", "Good"), mark("1", "Good"), mark("2", "Bad"), mark("2", "Good")], by_name)
    define(known, "FDC_b", "NoData", OTTO, by_name)
    give(known, [mark("0", "Good", plot="FDC_b")], by_name)
    assert [(one.plot, one.label, one.meaning, one.images) for one in tallies(known)] == [
        ("CDC_a", "Bad", Meaning.BAD, 0),
        ("CDC_a", "Good", Meaning.GOOD, 3),
        ("FDC_b", "NoData", Meaning.EMPTY, 0),
        ("FDC_b", "Good", Meaning.GOOD, 1),
    ]
    assert [one.label for one in tallies(known, ["FDC*"])] == ["NoData", "Good"]
    assert counts(known) == {"CDC_a": 3, "FDC_b": 1}
    assert counts(known) == {plot: len(labelled(known, [plot])) for plot in ("CDC_a", "FDC_b")}


def test_counting_reads_no_image_that_nobody_labelled(tmp_path: Path) -> None:
    asked: list[str] = []
    with Store(f"sqlite:///{tmp_path}/hydra.db") as embedded:
        embedded.ping()
        event.listen(embedded._engine, "before_cursor_execute", lambda *seen: asked.append(seen[2]))
        counts(embedded)
        (statement,) = [one for one in asked if one.startswith("SELECT")]
        with embedded.reading() as connection:
            rows = connection.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
    plan = [row.detail for row in rows if "images" in row.detail]
    assert plan == [
        (
            "SEARCH images USING COVERING INDEX ix_images_plot_id_label_id_kept_taken_at (plot_id=? AND label_id=?)"
            " LEFT-JOIN"
        )
    ]


def test_odd_names_of_plots_and_labels_are_kept_to_the_letter(store: Store) -> None:
    names = [name for name in ODD if why_not(name) is None]
    assert len(names) == len(ODD)
    plots = [*ODD, "line\nbreak", "\udcff.bytes"]
    found = [image(plot, plot) for plot in plots]
    marks = [mark(plot, label, plot=plot) for plot in plots for label in ODD]
    bring(store, found, marks, by_name)
    assert counts(store) == dict.fromkeys(plots, 1)
    for plot in plots:
        assert list(store.labels(plot)) == sorted(ODD)
        assert [one.label for one in history(store, plot, sha(plot))] == ODD


def test_a_label_that_came_by_no_way_of_ours_is_still_a_label(known: Store) -> None:
    define(known, "CDC_a", "Good", OTTO, by_name)
    with known.writing() as connection:
        good = connection.scalar(select(labels.c.id).where(labels.c.name == "Good"))
        connection.execute(update(images).where(images.c.sha256 == sha("0")).values(label_id=good))
    assert [(one.label, one.by, one.at) for one in labelled(known)] == [("Good", "", None)]
    restorer = Hand("root", "backup-1", "import", later(1000))
    assert give(known, [mark("0", "Bad")], by_name, restorer=restorer) == [Effect.CHANGED]
