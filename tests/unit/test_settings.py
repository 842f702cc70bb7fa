"""What people changed: the newest counts, and what cannot be is refused with a sentence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fakes import NOON
from hypothesis import given
from hypothesis import strategies as st

from hydrad.domain import Change, Rules
from hydrad.errors import ChangeRefused
from hydrad.settings import LONGEST_SHELF_S, Settings, keys_of_pvs

RULES = Rules("CDC", thresholds={"Good": 0.5, "Bad": 0.65}, model="m1")
PLOT = "CDC_occupancy"
LATER = NOON.timestamp() + 600


def change(key="threshold.Bad", value=0.9, *, at_s=0.0, plot=PLOT, detector=None, by="ana", reason=""):
    at = NOON + timedelta(seconds=at_s)
    return Change(key, value, by, "desk", at, "ca", plot=plot, detector=detector, reason=reason)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (change(value=float("nan")), "threshold.Bad: nan is no number"),
        (change(value=float("inf")), "threshold.Bad: inf is no number"),
        (change("on_delay", float("-inf")), "on_delay: -inf is no number"),
        (change(value=1.01), "threshold.Bad: 1.01 is not from 0 to 1"),
        (change(value=-0.01), "threshold.Bad: -0.01 is not from 0 to 1"),
        (change("on_delay", 0), "on_delay: 0 is not a whole number of images from 1 to 1000"),
        (change("off_delay", 1001), "off_delay: 1001 is not a whole number of images from 1 to 1000"),
        (change("off_delay", 2.5), "off_delay: 2.5 is not a whole number of images from 1 to 1000"),
        (change("on_window", -1), "on_window: -1 is not a whole number of images from 0 to 1000"),
        (change("off_window", 1001), "off_window: 1001 is not a whole number of images from 0 to 1000"),
        (change("enabled", 2), "enabled: 2 is not 0 or 1"),
        (change("shelved_until", -1), "shelved_until: -1 is not a time within the next 7 days, or 0"),
        (change("shelved_until", NOON.timestamp()), "is not a time within the next 7 days, or 0"),
        (change("shelved_until", NOON.timestamp() + LONGEST_SHELF_S + 2), "is not a time within the next 7 days"),
        (change("shelved_until", 1e300), "is not a time within the next 7 days"),
        (change("beam.on_above", 0, plot=None), "beam.on_above: 0 is not above 0"),
        (change("threshold.", 0.5), "there is no setting 'threshold.'"),
        (change("thresholds", 0.5), "there is no setting 'thresholds'"),
        (change("detector", 1), "there is no setting 'detector'"),
        (change("", 1), "there is no setting ''"),
        (change("reason", 0.5), "reason: 0.5 is not 0 or 1"),
        (change("reason", 1, plot=None), "reason: is no setting of the hall"),
        (change("pv.STATUS.THSV", 4), "pv.STATUS.THSV: 4 is not one of 0, 1, 2, 3"),
        (change("pv.STATUS.THSV", 1.5), "pv.STATUS.THSV: 1.5 is not one of 0, 1, 2, 3"),
        (change("pv.CONF.LOW", float("nan")), "pv.CONF.LOW: nan is no number"),
        (change("pv.CONF.DESC", 1), "there is no setting 'pv.CONF.DESC'"),
        (change("pv.LOW", 1), "there is no setting 'pv.LOW'"),
        (change("pv.CONF.LOW", 1, detector="CDC"), f"pv.CONF.LOW: is no setting of {PLOT}"),
        (change("beam.on_above", 5), f"beam.on_above: is no setting of {PLOT}"),
        (change("beam.on_above", 5, plot=None, detector="CDC"), "beam.on_above: is no setting of CDC"),
        (change(plot=None), "threshold.Bad: is no setting of the hall"),
        (change(plot=None, detector="CDC"), "threshold.Bad: is no setting of CDC"),
        (change("enabled", 0, plot=None), "enabled: is no setting of the hall"),
        (change("enabled", 0, detector="CDC"), f"enabled: is no setting of {PLOT}"),
        (change("shelved_until", LATER, plot=None, detector="CDC"), "shelved_until: is no setting of CDC"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(asked, sentence):
    settings = Settings()
    with pytest.raises(ChangeRefused) as refused:
        settings.apply(asked)
    assert sentence in str(refused.value)
    assert settings.value(asked.key, plot=asked.plot, detector=asked.detector) is None
    assert settings.over(PLOT, RULES) == RULES


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        (change(value=0), {"thresholds": {"Good": 0.5, "Bad": 0}}),
        (change(value=1), {"thresholds": {"Good": 0.5, "Bad": 1}}),
        (change("threshold.Unheard", 0.3), {}),  # of a label that the present model does not have
        (change("on_delay", 1), {"on_delay": 1}),
        (change("off_delay", 1000), {"off_delay": 1000}),
        (change("on_window", 5), {"on_window": 5}),
        (change("off_window", 0), {"off_window": 0}),
        (change("enabled", 1), {}),
        (change("enabled", 0, reason="HV"), {"enabled": False, "shelved_by": "ana", "reason": "HV"}),
        (change("enabled", 0, plot=None, detector="CDC"), {"enabled": False, "shelved_by": "ana"}),
        (change("enabled", 0, plot=None, detector="FDC"), {}),
        (change("enabled", 0, plot="CDC_other"), {}),
        (change("shelved_until", 0), {}),
        (
            change("shelved_until", LATER, reason="work"),
            {"shelved_until": datetime.fromtimestamp(LATER, UTC), "shelved_by": "ana", "reason": "work"},
        ),
        (change("beam.on_above", 5, plot=None), {}),
        (change("reason", 1, reason="work"), {}),  # of nothing yet
        (change("pv.STATUS.THSV", 1), {}),
        (change("pv.THRESH:a.b.LOW", 0.3), {}),
        (change("pv.BEAM:CURRENT.HIHI", 300, plot=None), {}),
    ],
)
def test_a_change_lies_over_the_rules_of_its_plot(asked, changed):
    settings = Settings()
    assert settings.apply(asked)
    assert settings.value(asked.key, plot=asked.plot, detector=asked.detector) == asked.value
    assert settings.over(PLOT, RULES) == replace(RULES, **changed)


def test_delays_become_whole_numbers():
    settings = Settings([change("on_delay", 3.0)])
    assert isinstance(settings.over(PLOT, RULES).on_delay, int)


def test_what_a_detector_is_switched_off_for_its_plots_cannot_switch_on():
    settings = Settings([change("enabled", 0, plot=None, detector="CDC"), change("enabled", 1)])
    assert not settings.over(PLOT, RULES).enabled
    assert settings.apply(change("enabled", 1, plot=None, detector="CDC", at_s=1))
    assert settings.over(PLOT, RULES).enabled


def test_the_reason_shown_is_that_of_the_switch_before_that_of_the_shelf():
    settings = Settings([change("shelved_until", LATER, by="eva", reason="noise")])
    assert settings.over(PLOT, RULES).reason == "noise"
    settings.apply(change("enabled", 0, by="ana", reason="HV", at_s=1))
    rules = settings.over(PLOT, RULES)
    assert (rules.shelved_by, rules.reason) == ("ana", "HV")
    assert rules.shelved_until is not None


def shelf(minutes, *, at_s=0.0, **more):
    until = (NOON + timedelta(seconds=at_s)).timestamp() + 60 * minutes if minutes else 0
    return change("shelved_until", until, at_s=at_s, **more)


def said(text, *, at_s, **more):
    return change("reason", float(bool(text)), at_s=at_s, reason=text, **more)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def held(*changes):
    """Settings that have heard of these, one after the other, as the desk takes them."""
    settings = Settings()
    for one in changes:
        settings.apply(settings.explained(one))
    return settings


def stands(settings, seconds, **owner):
    why = settings.why(**(owner or {"plot": PLOT}))
    return why.reason if why.until is None or at(seconds) < why.until else ""


@pytest.mark.parametrize("quiet", [shelf(5, at_s=60), change("enabled", 0, at_s=60)])
def test_a_reason_given_before_is_that_of_the_shelf_or_switch_that_follows(quiet):
    settings = held(said("HV work", at_s=0), quiet)
    assert settings.over(PLOT, RULES).reason == stands(settings, 61) == "HV work"
    assert Settings([quiet]).explained(quiet).reason == ""


@pytest.mark.parametrize("quiet", [shelf(5), change("enabled", 0)])
def test_a_reason_given_after_is_that_of_what_was_done_before(quiet):
    settings = held(quiet, said("HV work", at_s=30, by="eva"))
    rules = settings.over(PLOT, RULES)
    assert (rules.shelved_by, rules.reason) == ("ana", "HV work")
    settings.apply(said("cooling", at_s=40))
    assert settings.over(PLOT, RULES).reason == stands(settings, 41) == "cooling"
    settings.apply(said("", at_s=50))
    assert settings.over(PLOT, RULES).reason == ""


@pytest.mark.parametrize("ends", [shelf(0, at_s=100), change("enabled", 1, at_s=100)])
def test_a_reason_is_over_with_what_it_was_of(ends):
    begins = shelf(5) if ends.key == "shelved_until" else change("enabled", 0)
    settings = held(begins, said("HV work", at_s=30), ends)
    assert stands(settings, 101) == ""
    settings.apply(settings.explained(shelf(5, at_s=200)))
    assert settings.over(PLOT, RULES).reason == ""


def test_a_reason_is_over_when_its_shelf_is_and_the_next_is_of_the_next():
    settings = held(shelf(5), said("HV work", at_s=30))
    assert stands(settings, 299) == "HV work"
    assert stands(settings, 301) == ""
    settings.apply(said("cooling", at_s=310))
    assert stands(settings, 311) == "cooling"
    assert settings.explained(shelf(5, at_s=400)).reason == "cooling"


def test_a_longer_shelf_keeps_its_reason_and_one_with_a_reason_has_its_own():
    settings = held(shelf(5), said("HV work", at_s=30), shelf(60, at_s=100))
    assert settings.over(PLOT, RULES).reason == "HV work"
    settings.apply(settings.explained(shelf(90, at_s=200, reason="cooling", by="eva")))
    assert settings.over(PLOT, RULES).reason == "cooling"


def test_a_reason_does_not_wait_for_ever_for_what_it_is_of():
    settings = held(said("HV work", at_s=0))
    assert stands(settings, 599) == "HV work"
    assert stands(settings, 601) == ""
    assert settings.explained(shelf(5, at_s=601)).reason == ""


def test_a_detector_s_reason_is_that_of_its_plots():
    off = change("enabled", 0, plot=None, detector="CDC")
    settings = held(off, said("gas", at_s=5, plot=None, detector="CDC"))
    assert settings.over(PLOT, RULES).reason == stands(settings, 6, detector="CDC") == "gas"
    assert stands(settings, 6) == ""


def test_what_was_set_of_pvs_is_found_by_their_owner():
    settings = held(
        change("pv.STATUS.THSV", 1), change("pv.THRESH:a.b.LOW", 0.3), change("pv.STATUS.THSV", 0, at_s=1),
        change("pv.STATUS.THSV", 2, plot=None, detector="CDC"), change("pv.BEAM:CURRENT.HIHI", 300, plot=None),
    )  # fmt: skip
    assert settings.of_pvs(PLOT) == {("STATUS", "THSV"): 0, ("THRESH:a.b", "LOW"): 0.3}
    assert settings.of_pvs(None, "CDC") == {("STATUS", "THSV"): 2}
    assert settings.of_pvs() == {("BEAM:CURRENT", "HIHI"): 300}
    assert {"pv.STATUS.THSV", "pv.THRESH:a.b.LOW", "pv.mirror.LOLO"} <= set(keys_of_pvs(["a.b"]))


def test_an_older_change_than_the_one_in_force_is_not_taken_over():
    settings = Settings([change(value=0.9, at_s=10)])
    assert not settings.apply(change(value=0.1, at_s=9))
    assert settings.value("threshold.Bad", plot=PLOT) == 0.9
    assert settings.apply(change(value=0.2, at_s=10))
    assert settings.value("threshold.Bad", plot=PLOT) == 0.2


values = st.tuples(st.floats(0, 1), st.integers(0, 5), st.sampled_from(["Good", "Bad"]), st.sampled_from([PLOT, "B"]))


@given(st.lists(values), st.randoms())
def test_in_whatever_order_changes_are_read_the_newest_of_each_setting_counts(history, random):
    changes = [change(f"threshold.{label}", v, at_s=n, plot=plot) for n, (v, _, label, plot) in enumerate(history)]
    shuffled = list(changes)
    random.shuffle(shuffled)
    read, heard = Settings(shuffled), Settings()
    for one in shuffled:
        heard.apply(one)
    for plot in (PLOT, "B"):
        for label in ("Good", "Bad"):
            own = [one.value for one in changes if one.plot == plot and one.key == f"threshold.{label}"]
            wanted = own[-1] if own else None
            assert read.value(f"threshold.{label}", plot=plot) == wanted
            assert heard.value(f"threshold.{label}", plot=plot) == wanted
            assert read.over(plot, RULES).thresholds[label] == (RULES.thresholds[label] if wanted is None else wanted)


@given(
    st.one_of(st.text(max_size=12), st.sampled_from(["on_delay", "enabled", "shelved_until", "threshold.Bad"])),
    st.floats(),
    st.sampled_from([None, PLOT]),
    st.sampled_from([None, "CDC"]),
)
def test_a_setting_is_either_refused_or_can_be_laid_over_the_rules(key, value, plot, detector):
    settings = Settings()
    try:
        settings.apply(change(key, value, plot=plot, detector=detector))
    except ChangeRefused:
        assert settings.over(PLOT, RULES) == RULES
    else:
        rules = settings.over(PLOT, RULES)
        assert all(0 <= threshold <= 1 for threshold in rules.thresholds.values())
        assert rules.on_delay >= 1
