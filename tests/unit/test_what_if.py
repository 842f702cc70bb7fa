"""What a threshold would have done is what the rule on the wall would have said."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hydrad.domain import Beam, BeamState, Meaning, Prediction, Rules, Status
from hydrad.verdict import Standing, confirmed, find, judge
from hydrad.web.plot import what_if
from hydrad.web.plot.what_if import FINDINGS, SILENT, Said

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LABELS = ("Good", "Bad", "NoData", "LED", "Odd")  # the last is one that the model does not know
MEANINGS = (Meaning.GOOD, Meaning.BAD, Meaning.EMPTY, Meaning.OTHER, Meaning.BAD)
THEIRS = (Meaning.GOOD, Meaning.BAD, Meaning.EMPTY, Meaning.OTHER, Meaning.OTHER)
RAISED = {Status.BAD, Status.NODATA}
FAULTY = {Meaning.BAD, Meaning.EMPTY}

# Few levels, so that scores meet thresholds exactly.
levels = st.sampled_from([0.0, 0.25, 0.5, 0.65, 0.65 + 1e-16, 0.7, 0.1 + 0.2, 0.9, 1.0])
thresholds = st.fixed_dictionaries(dict.fromkeys(LABELS[:-1], levels))
images = st.lists(
    st.tuples(
        st.integers(0, 4), levels, st.booleans(), st.sampled_from(BeamState), st.sampled_from([SILENT, 0, 1, 2, 3, 4])
    ),
    max_size=60,
)
# Long stretches of the same, as detectors give them: delays are reached.
stretches = st.lists(st.tuples(images.filter(bool), st.integers(1, 6)), max_size=5).map(
    lambda parts: [one for few, times in parts for one in few[:3] for _ in range(times)]
)

delays = st.integers(1, 4)
windows = st.tuples(st.integers(0, 6), st.integers(0, 6))


def said_of(seen) -> Said:
    columns = list(zip(*seen, strict=True)) or [[], [], [], [], []]
    return Said(
        label=np.array(columns[0], np.int8),
        confidence=np.array(columns[1], np.float64),
        novel=np.array(columns[2], np.bool_),
        beam=np.array(columns[3], np.int8),
        human=np.array(columns[4], np.int8),
        labels=LABELS,
        meanings=MEANINGS,
        human_meanings=THEIRS,
    )


def prediction_of(label: int, confidence: float, *, novel: bool) -> Prediction:
    name = LABELS[label]
    return Prediction("m", {name: confidence}, {name: MEANINGS[label]}, novelty=1.5 if novel else 0.5)


def rules_of(lines, on: int = 2, off: int = 2, *, windows: tuple[int, int] = (0, 0), needs_beam: bool = True) -> Rules:
    within = {"on_window": windows[0], "off_window": windows[1]}
    return Rules("CDC", needs_beam=needs_beam, on_delay=on, off_delay=off, **within, thresholds=lines, model="m")


@given(st.one_of(images, stretches), thresholds, delays, delays, windows, st.booleans())
def test_every_image_leaves_the_status_that_the_rule_itself_gives_it(seen, lines, on, off, within, needs_beam) -> None:
    rules = rules_of(lines, on, off, windows=within, needs_beam=needs_beam)
    found = what_if.findings(said_of(seen), rules)
    statuses = what_if.earned(found, rules)
    standing = Standing()
    for (label, confidence, novel, state, _), code, status in zip(seen, found, statuses, strict=True):
        prediction = prediction_of(label, confidence, novel=novel)
        standing = judge(prediction, Beam(state), rules, standing, NOON)
        assert FINDINGS[code] is standing.finding is find(prediction, Beam(state), rules)
        assert Status(status) is standing.earned


@given(st.one_of(images, stretches), thresholds, st.integers(1, 3), st.integers(1, 3))
def test_the_figures_are_those_that_one_counts_by_hand(seen, lines, on, off) -> None:
    rules = rules_of(lines, on, off)
    standing, rows = Standing(), []
    for label, confidence, novel, state, human in seen:
        prediction = prediction_of(label, confidence, novel=novel)
        standing = judge(prediction, Beam(state), rules, standing, NOON)
        theirs = None if human == SILENT else THEIRS[human]
        rows.append((standing.earned in RAISED, standing.finding.value, theirs, confirmed(prediction, rules)))
    effect = what_if.effect(said_of(seen), rules)
    assert effect.images == len(seen)
    assert effect.images_alarmed == sum(raised for raised, *_ in rows)
    assert effect.alarms == sum(after and not before for before, after in pairwise([False, *(row[0] for row in rows)]))
    assert effect.false == sum(
        found in {"bad", "empty"} and theirs is not None and theirs not in FAULTY for _, found, theirs, _ in rows
    )
    assert effect.missed == sum(
        theirs in FAULTY and found not in {"bad", "empty", "masked"} for _, found, theirs, _ in rows
    )
    assert effect.confirmed == sum(sure for *_, sure in rows)
    assert effect.confirmed + effect.unconfirmed == len(rows)
    alarms: list[list[Meaning]] = []
    for (before, *_), (raised, _, theirs, _) in pairwise([(False, "", None, False), *rows]):
        if raised and not before:
            alarms.append([])
        if raised and theirs is not None:
            alarms[-1].append(theirs)
    assert effect.alarms_false == sum(bool(its) and not FAULTY & set(its) for its in alarms)


def test_a_model_without_an_answer_keeps_a_raised_alarm_and_starts_every_count_anew() -> None:
    bad, silent = (1, 0.9, False, BeamState.ON, SILENT), (SILENT, np.nan, False, BeamState.ON, SILENT)
    rules = rules_of({"Bad": 0.65})
    seen = [bad, silent, bad, bad, silent, bad]
    found = what_if.findings(said_of(seen), rules)
    assert [SILENT if code == SILENT else FINDINGS[code].value for code in found][1] == SILENT
    statuses = [Status(status).name for status in what_if.earned(found, rules)]
    assert statuses == ["SUSPECT", "UNKNOWN", "SUSPECT", "BAD", "BAD", "BAD"]
    assert what_if.effect(said_of(seen), rules).unconfirmed == 0


@given(images, levels, levels)
def test_images_that_change_sides_come_nearest_to_the_line_first(seen, old, new) -> None:
    said = said_of(seen)
    places = what_if.turned(said, 1, old, new).tolist()
    sides = {n for n, (label, confidence, *_) in enumerate(seen) if label == 1 and min(old, new) <= confidence}
    assert set(places) == {n for n in sides if seen[n][1] < max(old, new)}
    distances = [abs(seen[n][1] - new) for n in places]
    assert distances == sorted(distances)


def test_two_weeks_of_images_take_no_time() -> None:
    rng = np.random.default_rng(7)
    many = 40_000
    said = Said(
        label=rng.integers(0, 4, many, dtype=np.int8),
        confidence=rng.random(many),
        novel=rng.random(many) < 0.01,
        beam=rng.integers(0, 3, many, dtype=np.int8),
        human=np.full(many, SILENT, np.int8),
        labels=LABELS,
        meanings=MEANINGS,
        human_meanings=THEIRS,
    )
    effect = what_if.effect(said, rules_of({"Good": 0.5, "Bad": 0.6, "NoData": 0.7}))
    assert effect.images == many
    assert effect.alarms > 0
