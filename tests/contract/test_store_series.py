"""A plot's scores over time, its film and figures, and the history of its settings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from store_world import MEANINGS, change_of, entry_of, later, leave, verdict_of

from hydrad.domain import Beam, BeamState, Cause, Meaning, Rules, Severity, Status
from hydrad.errors import ChangeRefused
from hydrad.settings import Settings
from hydrad.store import changing
from hydrad.store.history import series
from hydrad.store.history.series import Known, Series
from hydrad.store.labels import marking
from hydrad.store.labels.defining import Hand
from hydrad.store.labels.marking import Mark
from hydrad.store.models import registry
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState

PLOT = "CDC_occupancy"
FACTS = ImageFacts(5000, "png", 640, 480)
LABELS = ["Good", "Bad", "NoData"]


def see(store: Store, seconds: float, label: str | None = "Good", confidence: float | None = 0.9, **words: Any) -> Any:
    verdict = verdict_of(
        words.pop("plot", PLOT), later(seconds), label=label, confidence=confidence, confirmed=bool(confidence), **words
    )
    if verdict.cause is Cause.IMAGE:
        store.put([Parcel(entry_of(verdict), verdict, FACTS)])
    else:
        store.put([Parcel(verdict=verdict)])
    return verdict


def plot_of(store: Store, name: str = PLOT) -> Known:
    known = series.known(store, name)
    assert known is not None
    return known


def test_scores_come_as_columns_in_the_order_of_judgement(store: Store) -> None:
    see(store, 20, "Bad", 0.7, status=Status.SUSPECT, novelty=1.2, run=7, beam=Beam(BeamState.UNKNOWN))
    see(
        store, 10, "Good", 0.65 + 1e-16, status=Status.GOOD, novelty=None, run=None, beam=Beam(BeamState.OFF, 0.2, "nA")
    )
    see(store, 15, "Good", 0.5, cause=Cause.CLOCK)
    see(store, 17, "Good", 0.5, superseded=True)
    see(store, 30, None, None, status=Status.UNKNOWN, novelty=None)
    see(store, 12, plot="CDC_time")
    known = plot_of(store)
    assert known.labels == tuple(sorted(MEANINGS))
    found = series.scores(store, known, later(0))
    assert found.at.tolist() == [int(later(n).timestamp() * 1e6) for n in (10, 20, 30)]
    assert [known.labels[n] if n >= 0 else None for n in found.label] == ["Good", "Bad", None]
    assert found.confidence.tolist()[:2] == [0.65 + 1e-16, 0.7]
    assert np.isnan(found.confidence[2])
    assert found.novel.tolist() == [False, True, False]
    assert [Status(n) for n in found.status] == [Status.GOOD, Status.SUSPECT, Status.UNKNOWN]
    assert [BeamState(n) for n in found.beam] == [BeamState.OFF, BeamState.UNKNOWN, BeamState.ON]
    assert found.current.tolist()[0] == 0.2
    assert np.isnan(found.current[1])
    assert found.run.tolist() == [-1, 7, 111652]
    assert (found.image > 0).all()


def test_scores_are_asked_for_by_time_run_and_number(store: Store) -> None:
    for n in range(6):
        see(store, n, run=n % 2)
    known = plot_of(store)
    everything = series.scores(store, known, later(0))
    assert len(everything) == 6
    assert len(series.scores(store, known, later(2), later(4))) == 2
    assert len(series.scores(store, known, later(0), run=1)) == 3
    assert len(series.scores(store, known, later(6))) == 0
    newest = int(everything.id[3])
    assert series.scores(store, known, later(0), after=newest).id.tolist() == everything.id.tolist()[4:]
    assert series.reached(store, newest) == later(3) - timedelta(seconds=series.LATE_S)
    assert series.reached(store, 10**9) is None
    assert series.known(store, "CDC_Occupancy") is None
    assert series.newest(store, known) == everything.id[-1]
    assert series.from_run(store, 99) is None
    span = series.from_run(store, 1)
    assert span is not None
    assert span[0] < span[1]


def test_labels_are_told_apart_even_where_they_are_longer_than_the_index(store: Store) -> None:
    odd = ["漢字 と かな", "a\\b", "x" * 39]
    meanings = dict.fromkeys(odd, Meaning.OTHER)
    for n, label in enumerate(odd):
        see(store, n, label, 0.5, meanings=meanings, scores={label: 0.5})
    known = plot_of(store)
    assert [known.labels[n] for n in series.scores(store, known, later(0)).label] == odd


def test_one_index_finds_all_scores(store: Store) -> None:
    for n in range(3):
        see(store, n)
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(store._engine, "before_cursor_execute", note)
    series.scores(store, plot_of(store), later(0))
    event.remove(store._engine, "before_cursor_execute", note)
    (statement, parameters) = asked[-1]
    with store.reading() as connection:
        if connection.dialect.name == "sqlite":
            # Before version 3.41 SQLite reads the row for a column that is computed; it is for small halls.
            (row,) = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            assert "INDEX ix_verdicts_scores (plot_id=? AND cause=? AND judged_at>?)" in row.detail
        else:
            (row,) = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).mappings().all()
            assert row["key"] == "ix_verdicts_scores"
            assert "Using index" in row["Extra"]


def test_labelled_images_are_known_with_what_people_said(store: Store) -> None:
    first, second = see(store, 1), see(store, 2, "Bad")
    hand = Hand("anna", "h", "page", later(5))
    marking.give(store, [Mark(PLOT, first.sha256, "NoData", hand)], lambda _: Meaning.OTHER)
    known = plot_of(store)
    images = series.scores(store, known, later(0)).image.tolist()
    assert series.labelled(store, known, later(0)) == {images[0]: known.labels.index("NoData")}
    assert series.labelled(store, known, later(3)) == {}
    frames = series.film(store, known)
    assert [(frame.filed.verdict.key, frame.human) for frame in frames] == [(second.key, None), (first.key, "NoData")]


def test_the_film_is_the_newest_images_first_and_goes_on_where_it_ended(store: Store) -> None:
    for n in range(5):
        see(store, n)
    see(store, 9, cause=Cause.CLOCK)
    known = plot_of(store)
    frames = series.film(store, known, limit=2)
    assert [frame.filed.verdict.judged_at for frame in frames] == [later(4), later(3)]
    assert frames[0].kept
    assert frames[0].format == "png"
    assert not frames[0].heatmap
    more = series.film(store, known, before=frames[-1].filed.verdict.judged_at, limit=2)
    assert [frame.filed.verdict.judged_at for frame in more] == [later(2), later(1)]
    numbers = [frames[0].filed.id, more[1].filed.id]
    assert [frame.filed.id for frame in series.film(store, known, numbers=numbers)] == numbers
    see(store, 3, plot="CDC_time")
    assert series.film(store, plot_of(store, "CDC_time"), numbers=numbers) == []


def test_figures_count_hours_alarms_and_changes_of_status(store: Store) -> None:
    good = {"status": Status.GOOD, "severity": Severity.NO_ALARM}
    see(store, 0, **good)
    see(store, 60, "Bad", status=Status.BAD)
    see(store, 120, "Bad", status=Status.BAD)
    see(store, 3700, **good)
    figures = series.figures(store, plot_of(store), later(-7200), later(3800))
    assert sum(sum(counts.values()) for counts in figures.images.values()) == 4
    assert sum(counts.get(Status.BAD, 0) for counts in figures.images.values()) == 2
    assert figures.alarmed_at == later(60)
    assert figures.alarm_ended_at == later(3700)
    assert len(figures.changes_by_hour) == 24
    assert figures.changes_by_hour[-2:] == [1, 1]


def columns_of(n: int, rng: np.random.Generator, *, raised: float) -> Series:
    status = rng.choice([1, 2, 6], n).astype(np.int8)
    status[rng.random(n) < raised] = Status.BAD.value
    return Series(
        id=np.arange(n), at=np.sort(rng.integers(0, 10**12, n)), status=status,
        label=rng.integers(-1, 3, n).astype(np.int8), confidence=rng.random(n), confirmed=rng.random(n) < 0.5,
        novel=np.zeros(n, np.bool_), beam=np.ones(n, np.int8), current=rng.random(n), run=np.full(n, 7),
        image=np.arange(n),
    )  # fmt: skip


@given(st.integers(0, 6000), st.integers(0, 2**32), st.sampled_from([0.0, 0.01, 0.9]))
def test_thinning_keeps_every_alarm_and_every_extreme(n: int, seed: int, raised: float) -> None:
    found = columns_of(n, np.random.default_rng(seed), raised=raised)
    few = series.thinned(found, 500)
    alarms = found.status == Status.BAD
    assert set(found.id[alarms]) <= set(few.id)
    assert len(few) <= max(500, 500 + int(alarms.sum())) + 64
    assert np.all(np.diff(few.at) >= 0)
    for label in set(found.label.tolist()):
        its, left = found.confidence[found.label == label], few.confidence[few.label == label]
        assert its.min() == left.min()
        assert its.max() == left.max()


# ---- settings ----


def test_a_change_takes_effect_although_its_writers_clock_is_behind(store: Store) -> None:
    see(store, 0)
    leave(store, change_of(0.7, later(100)))
    filed = changing.put(store, change_of(0.9, later(1), via="page", old=None))
    assert filed.change.at > later(100)
    assert filed.change.old == 0.7
    assert [one.value for one in changing.in_force(store, PLOT, "CDC", LABELS)] == [0.9]
    assert store.newest_settings() == [filed.change]
    assert changing.one(store, filed.id) == filed
    assert changing.one(store, filed.id + 1) is None
    assert changing.last_change(store, PLOT, "CDC", LABELS) == filed.id


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"plot": "CDC_x"}, "no plot is called"),
        ({"key": "threshold.Nonsense"}, "has no label 'Nonsense'; it has Bad, Good, NoData"),
        ({"key": "threshold.Bad", "value": 1.5}, "is not from 0 to 1"),
        ({"key": "colour"}, "there is no setting"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(store: Store, words: Any, why: str) -> None:
    see(store, 0)
    with pytest.raises(ChangeRefused, match=why):
        changing.put(store, replace(change_of(0.9), **words))
    assert store.newest_settings() == []


def test_a_plots_history_has_its_own_changes_and_its_detectors_newest_first(store: Store) -> None:
    see(store, 0)
    for value, words in (
        (0.7, {}),
        (3, {"key": "on_delay"}),
        (0.4, {"plot": "CDC_time"}),
        (0, {"key": "enabled", "plot": None, "detector": "CDC"}),
        (5.5, {"key": "beam.on_above", "plot": None}),
    ):
        leave(store, change_of(value, later(value), **words))
    keys = [one.change.key for one in changing.history(store, PLOT, "CDC", LABELS)]
    assert keys == ["on_delay", "threshold.Bad", "enabled"]
    assert [one.change.value for one in changing.history_of_all(store)] == [5.5, 0, 0.4, 3, 0.7]
    newest = changing.history_of_all(store, limit=2)
    assert [one.change.value for one in changing.history_of_all(store, before=newest[-1].id)] == [0.4, 3, 0.7]
    assert changing.last_change(store, "CDC_nobody", "XYZ", []) == 0


def test_limits_of_a_plot_s_pvs_and_reasons_stand_in_its_history(store: Store) -> None:
    see(store, 0)
    put = [
        (0.0, {"key": "enabled"}),
        (1.0, {"key": "reason", "reason": "HV work on sector 3"}),
        (1.0, {"key": "pv.STATUS.THSV"}),
        (-0.5, {"key": "pv.mirror.LOLO"}),
        (0.1, {"key": f"pv.THRESH:{LABELS[0]}.HYST"}),
    ]
    for n, (value, words) in enumerate(put):
        leave(store, change_of(value, later(n), **words))
    leave(store, change_of(1.0, later(9), key="pv.STATUS.THSV", plot=None, detector="CDC"))
    leave(store, change_of(1.0, later(9), key="pv.SUMMARY.THSV", plot=None))
    changes = changing.history(store, PLOT, "CDC", LABELS)
    assert [one.change.key for one in reversed(changes)] == [words["key"] for _, words in put]
    assert changes[-2].change.reason == "HV work on sector 3"
    assert changing.last_change(store, PLOT, "CDC", LABELS) == changes[0].id
    rules = Settings(changing.in_force(store, PLOT, "CDC", LABELS)).over(PLOT, Rules("CDC"))
    assert (rules.enabled, rules.reason) == (False, "HV work on sector 3")
    assert len(store.newest_settings()) == len(put) + 2


def test_cards_of_models_come_without_their_figures(store: Store) -> None:
    by = registry.Who("otto", "h", "cli")
    registry.register(store, "a", {"plots": ["A"]}, {"x": 1}, by, state=ModelState.IN_SERVICE, fault="")
    registry.register(store, "b", {"plots": ["B"]}, {}, by, state=ModelState.IN_SERVICE, fault="damaged")
    registry.register(store, "c", {"plots": ["C"]}, {}, by)
    assert changing.cards(store) == {"a": {"plots": ["A"]}}
    assert changing.cards(store, ["b", "c", "d"]) == {"b": {"plots": ["B"]}, "c": {"plots": ["C"]}}
