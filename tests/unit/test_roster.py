"""What is remembered of every plot, what is shown of it, and that nothing stale or unproven is ever green."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from fakes import LOST, NOON, OFF, ON, arrival, card, picture, prediction
from hypothesis import given, settings
from hypothesis import strategies as st
from roster_world import COSMIC, IDLE, PHYSICS, PLOT, Hall, statuses

from hydrad.domain import Cause, Meaning, ModelCard, Severity, Status
from hydrad.errors import ChangeRefused
from hydrad.verdict import CLOCK_SLACK_S, FROZEN_AFTER

ALARMS = {"BAD", "NODATA"}


# ---- an image and its verdict --------------------------------------------------------------------------------------


def test_a_plot_that_was_never_seen_has_nothing_to_show():
    hall = Hall()
    assert list(hall.roster) == []
    assert hall.roster.shown(PLOT) is None
    assert hall.roster.last_prediction(PLOT) is None
    assert not hall.roster.equals_last(PLOT, picture())
    assert hall.later(1000) == []


def test_a_verdict_tells_all_that_is_known_of_its_image():
    hall = Hall(detector=[{"name": "Drift", "plots": ["CDC_*"]}])
    image, seen = arrival(PLOT, NOON - timedelta(seconds=2)), picture()
    verdict = hall.roster.judge(image, seen, prediction("Bad", novelty=0.5), beam=LOST, beam_now=ON, now=NOON)
    assert (verdict.plot, verdict.detector, verdict.status) == (PLOT, "Drift", Status.SUSPECT)
    assert verdict.severity is Severity.MINOR
    assert (verdict.cause, verdict.superseded) == (Cause.IMAGE, False)
    assert (verdict.path, verdict.run, verdict.sha256) == (str(image.path), 111652, seen.sha256)
    assert (verdict.taken_at, verdict.judged_at) == (image.taken_at, NOON)
    assert (verdict.model, verdict.label, verdict.confidence) == ("m1", "Bad", 0.97)
    assert verdict.scores == prediction("Bad").scores
    assert verdict.meanings["Bad"] is Meaning.BAD
    assert verdict.confirmed
    assert (verdict.novelty, verdict.bad_in_a_row) == (0.5, 1)
    assert verdict.beam is LOST
    assert verdict.reason == "Bad at 0.97, 1 of 2 such images that raise an alarm"
    assert hall.roster.shown(PLOT) is verdict
    assert list(hall.roster) == [PLOT]


def test_every_verdict_has_a_key_of_its_own():
    hall = Hall()
    hall.images("Good", "Bad", "Bad")
    hall.later(500)
    keys = [verdict.key for verdict in hall.verdicts] + [hall.roster.shown(PLOT).key]
    assert len(set(keys)) == 4


def test_an_image_from_the_future_was_taken_now_at_the_latest():
    hall = Hall()
    assert hall.image(age_s=-3600).taken_at == NOON
    assert not hall.image(age_s=0).superseded


@pytest.mark.parametrize("age_s", [1, 3000])
def test_an_older_image_is_recorded_and_overwrites_nothing(age_s):
    hall = Hall()
    hall.images("Bad", "Bad")
    before, newest = hall.roster.shown(PLOT), hall.roster.last_prediction(PLOT)
    verdict = hall.image("Good", age_s=age_s, content="older")
    assert verdict.superseded
    assert verdict.status is Status.GOOD
    assert verdict.reason == "a newer image was judged before it; Good at 0.97"
    assert hall.roster.shown(PLOT) is before
    assert hall.roster.last_prediction(PLOT) is newest
    assert not hall.roster.equals_last(PLOT, picture("older"))
    assert hall.later(1) == []
    assert hall.images("Good") == ["BAD"]  # the first of two that end the alarm: the older one does not count


def test_an_older_image_counts_towards_no_alarm():
    hall = Hall()
    hall.images("Good")
    assert [hall.image("Bad", age_s=age_s).status.name for age_s in (3, 2, 1)] == ["SUSPECT"] * 3
    assert hall.images("Bad") == ["SUSPECT"]


def test_an_image_of_the_same_moment_is_no_older_one():
    hall = Hall()
    hall.image("Good")
    assert not hall.image("Bad").superseded


def test_equal_pixels_renew_the_age_and_count_towards_the_alarm():
    hall = Hall()
    assert hall.images("Bad", content="same") == ["SUSPECT"]
    assert hall.roster.equals_last(PLOT, picture("same"))
    assert not hall.roster.equals_last(PLOT, picture("other"))
    assert not hall.roster.equals_last("CDC_other", picture("same"))
    assert hall.images("Bad", content="same") == ["BAD"]
    assert hall.later(119) == []


def test_ten_equal_images_with_beam_are_called_frozen_and_a_moving_one_is_not():
    hall = Hall()
    hall.images(*["Good"] * FROZEN_AFTER, content="same")
    assert "frozen" not in hall.reason
    hall.images("Good", content="same")
    assert hall.reason.startswith("the histogram is frozen: 11 equal images with beam")
    hall.images("Good")
    assert "frozen" not in hall.reason


def test_what_another_model_said_is_not_reused():
    hall = Hall()
    hall.image(content="same")
    assert hall.roster.last_prediction(PLOT).model == "m1"
    hall.cards[PLOT] = card("m2")
    assert hall.roster.equals_last(PLOT, picture("same"))
    assert hall.roster.last_prediction(PLOT) is None
    hall.cards[PLOT] = None
    assert hall.roster.last_prediction(PLOT) is None


def test_a_model_that_cannot_answer_leaves_the_status_unknown_and_says_so():
    hall = Hall()
    hall.images("Good")
    [status] = hall.images(None)
    assert status == "UNKNOWN"
    assert hall.reason == "the model m1 could not judge this image"
    shown = hall.roster.shown(PLOT)
    assert (shown.severity, shown.model, shown.label, shown.confidence) == (Severity.INVALID, "m1", None, None)
    assert (dict(shown.scores), shown.confirmed) == ({}, False)
    assert hall.later(1) == []
    assert hall.images("Good") == ["GOOD"]


def test_a_plot_without_a_model_is_followed_and_says_so_when_it_gets_one():
    hall = Hall()
    hall.cards[PLOT] = None
    assert hall.images("Good") == ["NOMODEL"]
    assert hall.later(10_000) == []
    assert hall.image(age_s=20_000).reason == "no model serves this plot"
    hall.images("Good")
    hall.cards[PLOT] = card()
    assert statuses(hall.later(1)) == [(PLOT, "UNKNOWN")]
    assert hall.reason == "no model served this plot when its newest image came"
    hall.images("Good")
    hall.cards[PLOT] = None
    assert statuses(hall.later(1)) == [(PLOT, "NOMODEL")]


def test_an_image_is_judged_by_the_beam_while_it_filled():
    hall = Hall()
    assert hall.image("NoData", beam=OFF).status is Status.NOBEAM
    hall.clock.advance(30)
    assert hall.image("NoData", beam=LOST).status is Status.SUSPECT


def test_an_image_that_is_old_already_is_shown_by_the_beam_of_now():
    hall = Hall()
    assert hall.image("Good", age_s=200, beam=OFF).status is Status.STALE
    hall.beam = OFF
    assert hall.image("Good", age_s=150, beam=ON).status is Status.NOBEAM


# ---- time, beam and people -----------------------------------------------------------------------------------------


def test_a_plot_grows_stale_once():
    hall = Hall()
    hall.images("Good")
    assert hall.later(120) == []
    [verdict] = hall.later(1)
    assert (verdict.status, verdict.severity, verdict.cause) == (Status.STALE, Severity.INVALID, Cause.CLOCK)
    assert verdict.reason == "no new image for 2 min, beam 201 nA"
    assert verdict.judged_at == hall.clock()
    assert (verdict.label, verdict.confidence, verdict.taken_at) == ("Good", 0.97, NOON + timedelta(seconds=30))
    assert hall.roster.shown(PLOT) is verdict
    assert hall.later(3600) == []
    assert hall.images("Good") == ["GOOD"]


def test_without_beam_a_plot_waits_instead():
    hall = Hall()
    hall.images("Good")
    hall.beam = OFF
    assert hall.later(60) == []
    assert statuses(hall.later(61)) == [(PLOT, "NOBEAM")]
    assert hall.later(61) == []
    hall.beam = replace(ON, since=hall.clock())
    assert hall.later(120) == []  # its first image is awaited
    assert statuses(hall.later(1)) == [(PLOT, "STALE")]
    hall.beam = LOST
    assert hall.later(1) == []


def test_each_plot_ages_by_itself():
    hall = Hall(detector=[{"name": "FDC", "stale_s": 300}, {"name": "RF", "needs_beam": False}])
    for plot in (PLOT, "FDC_hits", "RF_phase"):
        hall.image(plot=plot)
    hall.beam = OFF
    assert statuses(hall.later(121)) == [(PLOT, "NOBEAM"), ("RF_phase", "STALE")]
    assert statuses(hall.later(180)) == [("FDC_hits", "NOBEAM")]


def test_what_is_switched_off_is_shown_so_at_once_and_back_when_switched_on():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.change("enabled", 0, reason="HV work")
    [verdict] = hall.later(0, Cause.CHANGE)
    assert (verdict.status, verdict.cause) == (Status.DISABLED, Cause.CHANGE)
    assert verdict.severity is Severity.NO_ALARM
    assert verdict.reason == "switched off by ana: HV work"
    assert hall.later(1) == []
    assert hall.images("Bad") == ["DISABLED"]
    hall.change("enabled", 1)
    assert statuses(hall.later(0, Cause.CHANGE)) == [(PLOT, "BAD")]


def test_switching_a_detector_off_switches_its_plots():
    hall = Hall()
    for plot in (PLOT, "CDC_time", "FDC_hits"):
        hall.image(plot=plot)
    hall.change("enabled", 0, plot=None, detector="CDC", reason="opened")
    assert statuses(hall.later(1, Cause.CHANGE)) == [(PLOT, "DISABLED"), ("CDC_time", "DISABLED")]
    hall.change("enabled", 1, plot=None, detector="CDC")
    assert statuses(hall.later(1, Cause.CHANGE)) == [(PLOT, "GOOD"), ("CDC_time", "GOOD")]


def test_a_shelf_ends_by_itself():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.change("shelved_until", hall.clock().timestamp() + 60, reason="known")
    assert statuses(hall.later(0, Cause.CHANGE)) == [(PLOT, "DISABLED")]
    assert hall.reason.endswith("UTC by ana: known")
    assert hall.later(59) == []
    assert statuses(hall.later(1)) == [(PLOT, "BAD")]


def test_a_shelf_that_is_prolonged_says_until_when():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.change("shelved_until", hall.clock().timestamp() + 600)
    hall.later(0, Cause.CHANGE)
    assert "12:11 UTC" in hall.reason
    hall.clock.advance(1)
    hall.change("shelved_until", hall.clock().timestamp() + 1200, by="eva")
    assert statuses(hall.later(0, Cause.CHANGE)) == [(PLOT, "DISABLED")]
    assert "12:21 UTC by eva" in hall.reason
    hall.clock.advance(1)
    hall.change("shelved_until", 0)
    assert statuses(hall.later(0, Cause.CHANGE)) == [(PLOT, "BAD")]


def test_a_threshold_counts_from_the_next_image_on():
    hall = Hall()
    assert hall.images("Good", confidence=0.85) == ["GOOD"]
    assert hall.change("threshold.Good", 0.9).old == 0.8
    assert hall.later(0, Cause.CHANGE) == []
    assert hall.images("Good", confidence=0.85) == ["SUSPECT"]
    assert hall.reason == "Good at 0.85, below its threshold 0.90"
    hall.clock.advance(1)
    assert hall.change("threshold.Good", 0.5).old == 0.9
    assert hall.images("Good", "Good", confidence=0.85) == ["SUSPECT", "GOOD"]


def test_delays_count_from_the_next_image_on():
    hall = Hall()
    hall.change("on_delay", 1)
    hall.change("off_delay", 3)
    assert hall.images("Bad", "Good", "Good", "Good") == ["BAD", "BAD", "BAD", "GOOD"]


@pytest.mark.parametrize(
    ("key", "value", "old"),
    [
        ("threshold.Bad", 0.7, 0.8),
        ("threshold.Unheard", 0.7, None),
        ("on_delay", 3, 2.0),
        ("enabled", 0, 1.0),
        ("shelved_until", 0, None),
    ],
)
def test_a_change_remembers_what_it_changed(key, value, old):
    hall = Hall()
    assert hall.change(key, value).old == old
    hall.clock.advance(1)
    assert hall.change(key, value).old == value


def test_the_halls_beam_threshold_remembers_too():
    hall = Hall()
    assert hall.change("beam.on_above", 7, plot=None).old is None
    hall.clock.advance(1)
    assert hall.change("beam.on_above", 8, plot=None).old == 7


def test_a_change_that_comes_too_late_is_none():
    hall = Hall()
    hall.change("on_delay", 5)
    hall.clock.advance(-10)
    assert hall.change("on_delay", 1) is None
    assert hall.roster.rules(PLOT).on_delay == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [("detector", 1), ("thresholds", 1), ("model", 1), ("reason", 2), ("threshold.Bad", float("nan")), ("on_delay", 0)],
)
def test_a_refused_change_changes_nothing(key, value):
    hall = Hall()
    hall.images("Bad", "Bad")
    before = hall.roster.rules(PLOT)
    with pytest.raises(ChangeRefused):
        hall.change(key, value)
    assert hall.roster.rules(PLOT) == before
    assert hall.later(0, Cause.CHANGE) == []


# ---- runs ----------------------------------------------------------------------------------------------------------


def test_a_masked_run_masks_what_alarms_and_after_it_an_alarm_needs_its_delay_anew():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.run = COSMIC
    [verdict] = hall.later(1)
    assert (verdict.status, verdict.severity, verdict.bad_in_a_row) == (Status.OTHER, Severity.NO_ALARM, 0)
    assert "run 7 is of type cosmic" in verdict.reason
    assert hall.images("Bad", "Bad", "Good", "NoData") == ["OTHER", "OTHER", "GOOD", "OTHER"]
    hall.run = replace(PHYSICS, since=hall.clock())
    assert hall.later(1) == []
    assert hall.images("Bad", "Bad") == ["SUSPECT", "BAD"]


def test_the_first_good_image_of_a_masked_run_is_good_however_soon_it_comes():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.run = COSMIC
    assert hall.images("Good") == ["GOOD"]


def test_an_alarm_from_before_a_short_masked_run_does_not_come_back_by_itself():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.run = COSMIC
    hall.later(1)
    hall.restart()
    hall.run = PHYSICS
    assert hall.later(1) == []
    assert hall.status == "OTHER"
    assert statuses(hall.later(200)) == [(PLOT, "STALE")]


def test_a_switched_off_plot_remembers_over_a_restart_that_a_masked_run_was():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.change("enabled", 0)
    hall.later(0)
    hall.run = COSMIC
    assert statuses(hall.later(1)) == [(PLOT, "DISABLED")]
    assert hall.later(1) == []
    hall.restart()
    hall.run = PHYSICS
    hall.clock.advance(1)
    hall.change("enabled", 1)
    assert statuses(hall.later(1)) == [(PLOT, "OTHER")]


def test_an_image_of_an_earlier_run_counts_by_the_type_of_its_own_run():
    hall = Hall()
    hall.run = PHYSICS
    assert hall.images("Bad", "Bad", "Bad", run=COSMIC) == ["OTHER"] * 3
    hall.run = COSMIC
    assert hall.images("Bad", run=PHYSICS) == ["OTHER"]  # it may not alarm while a masked run is going
    hall.run = PHYSICS
    assert hall.images("Bad") == ["SUSPECT"]


def test_without_a_run_nothing_is_stale_and_nothing_old_is_good():
    hall = Hall()
    hall.images("Good")
    hall.run = IDLE
    assert hall.later(119) == []
    [verdict] = hall.later(2)
    assert verdict.status is Status.OTHER
    assert verdict.reason == "no new image for 2 min, no run is going"
    hall.run = replace(PHYSICS, since=hall.clock())
    assert statuses(hall.later(1)) == [(PLOT, "OTHER")]  # said anew
    assert hall.reason == "no new image for 2 min, a run has begun and its first image is awaited"
    assert hall.later(119) == []
    assert statuses(hall.later(2)) == [(PLOT, "STALE")]


def test_an_alarm_outlives_the_time_between_two_runs():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.run = IDLE
    assert statuses(hall.later(200)) == [(PLOT, "OTHER")]
    hall.run = PHYSICS
    assert hall.images("Good", "Good") == ["BAD", "GOOD"]


def test_the_newest_image_tells_the_run_where_no_pv_does():
    hall = Hall()
    assert hall.roster.newest_run() is None
    hall.images("Good")
    assert hall.roster.newest_run() == 111652


def test_the_newest_image_tells_the_run_also_after_a_restart_and_when_the_clock_was_set_back():
    hall = Hall()
    hall.image()
    hall.restart()
    assert hall.roster.newest_run() == 111652
    late = replace(arrival("FDC_0", NOON - timedelta(seconds=600)), run=111651)
    hall.roster.judge(late, picture("late"), None, beam=ON, beam_now=ON, now=hall.clock())
    assert hall.roster.newest_run() == 111652
    next_one = replace(late, run=111653)
    hall.roster.judge(next_one, picture("next"), None, beam=ON, beam_now=ON, now=hall.clock.advance(-600))
    assert hall.roster.newest_run() == 111653


# ---- after a restart -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "then"),
    [
        (["Good"], "GOOD"),
        (["Cosmic"], "OTHER"),
        (["Bad"], "SUSPECT"),
        (["Bad", "Bad"], "BAD"),
        (["NoData", "NoData"], "NODATA"),
        ([None], "UNKNOWN"),
        (["Bad", "Bad", "Good"], "BAD"),
    ],
)
def test_a_young_status_is_taken_up_after_a_restart(images, then):
    hall = Hall()
    hall.images(*images)
    before = hall.roster.shown(PLOT)
    hall.restart()
    assert hall.roster.shown(PLOT) is before
    assert hall.later(60) == []
    assert (hall.status, hall.reason) == (then, before.reason)


@pytest.mark.parametrize("images", [["Good"], ["Bad", "Bad"], [None], ["Bad"]])
def test_an_old_status_is_stale_after_a_restart(images):
    hall = Hall()
    hall.images(*images)
    hall.clock.advance(121)
    hall.restart()
    assert statuses(hall.later(0)) == [(PLOT, "STALE")]


def test_one_good_image_does_not_end_an_alarm_from_before_the_restart():
    hall = Hall()
    hall.images("Bad", "Bad", "Bad")
    hall.restart()
    assert hall.images("Good") == ["BAD"]
    hall.restart()
    assert hall.images("Good") == ["GOOD"]


def test_bad_images_are_counted_on_over_a_restart():
    hall = Hall()
    hall.images("Bad")
    hall.restart()
    assert hall.images("Bad") == ["BAD"]
    hall.restart()
    assert hall.images("Bad") == ["BAD"]
    assert hall.roster.shown(PLOT).bad_in_a_row == 3


def test_an_alarm_that_was_stale_or_switched_off_over_a_restart_is_an_alarm_still():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.change("enabled", 0)
    hall.later(1)
    hall.restart()
    hall.change("enabled", 1)
    assert statuses(hall.later(1)) == [(PLOT, "BAD")]
    hall.later(200)
    hall.restart()
    assert hall.status == "STALE"
    assert hall.images("Bad") == ["BAD"]


def test_equal_pixels_are_known_again_after_a_restart():
    hall = Hall()
    hall.image("Bad", content="same")
    hall.restart()
    assert hall.roster.equals_last(PLOT, picture("same"))
    recalled = hall.roster.last_prediction(PLOT)
    assert (recalled.model, recalled.label, recalled.confidence) == ("m1", "Bad", 0.97)
    hall.cards[PLOT] = card("m2")
    assert hall.roster.last_prediction(PLOT) is None


def test_images_older_than_the_restart_overwrite_nothing():
    hall = Hall()
    hall.images("Bad", "Bad")
    hall.restart()
    assert hall.image("Good", age_s=1).superseded
    assert hall.status == "BAD"


def test_a_plot_without_a_model_is_taken_up_too():
    hall = Hall()
    hall.cards[PLOT] = None
    hall.images("Good")
    hall.restart()
    assert hall.status == "NOMODEL"
    assert hall.later(1000) == []


# ---- a clock that was set back -------------------------------------------------------------------------------------


def test_a_clock_set_back_leaves_no_green_and_keeps_no_new_image_out():
    hall = Hall()
    hall.images("Good")
    [verdict] = hall.later(-3600)
    assert verdict.status is Status.STALE
    assert verdict.reason == "the clock was set back by 60 min since the last image"
    new = hall.image("Bad")
    assert not new.superseded
    assert hall.status == "SUSPECT"


def test_a_clock_set_back_a_little_disturbs_nobody():
    hall = Hall()
    hall.images("Good")
    assert hall.later(-CLOCK_SLACK_S) == []
    assert statuses(hall.later(-1)) == [(PLOT, "STALE")]


# ---- random lives --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What the newest image of a plot was, by an account of its own."""

    proven: bool  # a confirmed good image of a kind the model knows
    taken_at: object


class Account:
    """Follows a hall independently and checks what it shows."""

    def __init__(self):
        self.hall = Hall(
            defaults={"stale_s": 100}, detector=[{"name": "RF", "needs_beam": False, "off_delay": 1, "on_delay": 1}]
        )
        self.newest = {}

    def image(self, plot, label, confidence, novelty, beam, age_s):
        now = self.hall.clock()
        verdict = self.hall.image(
            label,
            plot=plot,
            confidence=confidence,
            novelty=novelty,
            beam=beam,
            age_s=age_s,
            content=f"{confidence:.1f}",
        )
        taken_at = min(now - timedelta(seconds=age_s), now)
        newest = self.newest.get(plot)
        slack = timedelta(seconds=CLOCK_SLACK_S)
        older = newest is not None and taken_at < newest.taken_at and newest.taken_at <= now + slack
        assert verdict.superseded is older
        if not older:
            self.newest[plot] = Seen(self._proven(plot, label, confidence, novelty), taken_at)

    def _proven(self, plot, label, confidence, novelty):
        rules = self.hall.roster.rules(plot)
        known = novelty is None or novelty <= 1
        return rules.model is not None and label == "Good" and known and confidence >= rules.thresholds.get("Good", 1.0)

    def restart(self):
        # What was not told by its images (stale, switched off) is judged anew, by the thresholds of now.
        for plot in self.hall.roster:
            shown = self.hall.roster.shown(plot)
            if shown.label is not None and not self.newest[plot].proven:
                proven = self._proven(plot, shown.label, shown.confidence, shown.novelty)
                self.newest[plot] = replace(self.newest[plot], proven=proven)
        self.hall.restart()

    def check(self):
        hall, now = self.hall, self.hall.clock()
        hall.roster.look_again(hall.beam, now)
        assert hall.roster.look_again(hall.beam, now) == []  # each transition once
        for plot in hall.roster:
            shown, rules = hall.roster.shown(plot), hall.roster.rules(plot)
            assert shown.reason
            assert shown.severity is shown.status.severity
            if shown.status is Status.GOOD:
                age_s = (now - self.newest[plot].taken_at).total_seconds()
                assert self.newest[plot].proven
                assert shown.taken_at == self.newest[plot].taken_at
                assert -CLOCK_SLACK_S <= age_s <= rules.stale_s
                assert rules.model is not None
                assert rules.enabled
                assert rules.shelved_until is None or rules.shelved_until <= now


plots = st.sampled_from([PLOT, "RF_phase"])
beams = st.sampled_from([ON, OFF, LOST])
chances = st.sampled_from([0.4, 0.75, 0.85, 0.97, 1.0])
image_events = st.tuples(
    st.just("image"),
    plots,
    st.sampled_from(["Good", "Good", "Good", "Bad", "Bad", "NoData", "Cosmic", None]),
    chances,
    st.sampled_from([None, None, 0.5, 1.0, 1.5]),
    beams,
    st.sampled_from([0, 0, 0, 1, 30, 99, 101, 4000, -50]),
)
change_events = st.tuples(
    st.just("change"),
    plots,
    st.one_of(
        st.tuples(st.just("threshold.Good"), st.sampled_from([0.0, 0.5, 0.9, 1.0])),
        st.tuples(st.just("enabled"), st.sampled_from([0, 1])),
        st.tuples(st.just("shelved_for"), st.sampled_from([0, 20, 200])),
        st.tuples(st.sampled_from(["on_delay", "off_delay"]), st.integers(1, 3)),
        st.tuples(st.just("detector"), st.sampled_from([0, 1])),
    ),
)
events = st.one_of(
    image_events,
    image_events,
    st.tuples(st.just("wait"), st.sampled_from([0.5, 10, 30, 60, 99, 101, 400, -3, -6, -90, -4000])),
    st.tuples(st.just("beam"), beams, st.booleans()),
    change_events,
    st.tuples(st.just("model"), plots, st.sampled_from(["m1", "m2", None])),
    st.tuples(st.just("restart")),
)


def live(account, event):
    """One thing happens."""
    hall = account.hall
    match event:
        case ("image", plot, label, confidence, novelty, beam, age_s):
            account.image(plot, label, confidence, novelty, beam, age_s)
        case ("wait", seconds):
            hall.clock.advance(seconds)
        case ("beam", beam, back):
            hall.beam = replace(beam, since=hall.clock() if back and beam is ON else None)
        case ("change", plot, ("shelved_for", seconds)):
            hall.change("shelved_until", hall.clock().timestamp() + seconds if seconds else 0, plot=plot)
        case ("change", plot, ("detector", on)):
            hall.change("enabled", on, plot=None, detector=plot.split("_")[0])
        case ("change", plot, (key, value)):
            hall.change(key, value, plot=plot)
        case ("model", plot, model):
            hall.cards[plot] = None if model is None else card(model)
        case ("restart",):
            account.restart()


@settings(max_examples=400, deadline=None)
@given(st.lists(events, max_size=25))
def test_nothing_that_happens_ever_shows_a_green_that_is_stale_or_unproven(history):
    account = Account()
    for event in history:
        live(account, event)
        account.check()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["Good", "Bad", "NoData"]), min_size=1, max_size=20), st.sets(st.integers(0, 19)))
def test_restarts_never_let_an_alarm_end_early_nor_begin_early(labels, restarts):
    steady, shaken = Hall(), Hall()
    alarmed, good_in_a_row = False, 0
    for n, label in enumerate(labels):
        good_in_a_row = good_in_a_row + 1 if label == "Good" else 0
        if n in restarts:
            shaken.restart()
        [one], [other] = steady.images(label), shaken.images(label)
        if alarmed and other == "GOOD":
            assert good_in_a_row >= 2
        assert other not in ALARMS or one in ALARMS
        assert one not in ALARMS or other in ALARMS
        alarmed = other in ALARMS


def test_a_model_with_other_labels_confirms_nothing_by_thresholds_of_the_old():
    hall = Hall()
    hall.change("threshold.Good", 0.1)
    hall.cards[PLOT] = ModelCard("m3", {"Fine": Meaning.GOOD}, {"Fine": 0.9})
    assert hall.roster.rules(PLOT).thresholds == {"Fine": 0.9}
    assert hall.images("Good", confidence=0.99) == ["SUSPECT"]
