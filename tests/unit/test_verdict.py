"""The rule on the wall, line by line and by random histories."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.delays import ALARMING, RAISED
from hydrad.domain import Beam, BeamState, Meaning, Prediction, Rules, Run, RunState, Status
from hydrad.verdict import FROZEN_AFTER, NEVER, Standing, in_words, judge, mask, present, stands_until

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MEANINGS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY, "Cosmic": Meaning.OTHER}
RULES = Rules(detector="CDC", thresholds=dict.fromkeys(MEANINGS, 0.8), model="m1")
ON = Beam(BeamState.ON, 201.3, "nA")
OFF = Beam(BeamState.OFF, 0.4, "nA")
LOST = Beam(BeamState.UNKNOWN, None, "nA", reason="beam PV disconnected")


def seen(label, confidence=0.97, novelty=None):
    rest = (1 - confidence) / 3
    scores = {name: confidence if name == label else rest for name in MEANINGS}
    return Prediction("m1", scores, MEANINGS, novelty=novelty)


def after(*images, rules=RULES, every_s=30):
    """The standing after images given as (prediction, beam) or a label with beam on."""
    standing = Standing()
    for n, image in enumerate(images):
        prediction, beam = (seen(image), ON) if isinstance(image, str) else image
        standing = judge(prediction, beam, rules, standing, NOON + timedelta(seconds=n * every_s))
    return standing


def shown(standing, beam=ON, rules=RULES, age_s=1):
    return present(standing, beam, rules, (standing.taken_at or NOON) + timedelta(seconds=age_s))


@pytest.mark.parametrize(
    ("images", "status"),
    [
        ([], Status.UNKNOWN),
        (["Good"], Status.GOOD),
        (["Cosmic"], Status.OTHER),
        (["Bad"], Status.SUSPECT),
        (["Bad", "Bad"], Status.BAD),
        (["Bad", (seen("Bad"), LOST)], Status.BAD),
        (["NoData", "NoData"], Status.NODATA),
        (["Bad", "NoData"], Status.NODATA),
        (["Bad", "Good", "Bad"], Status.SUSPECT),
        ([(seen("NoData"), LOST)] * 5, Status.SUSPECT),
        ([(seen("NoData"), OFF)], Status.NOBEAM),
        ([(seen("Bad"), OFF)] * 5, Status.NOBEAM),
        ([(seen("Bad", 0.5), OFF)], Status.NOBEAM),
        ([(seen("Good"), OFF)], Status.GOOD),
        ([(seen("Cosmic"), OFF)], Status.OTHER),
        ([(seen("Good", novelty=1.5), OFF)], Status.NOBEAM),
        ([(seen("Good", 0.7), ON)], Status.SUSPECT),
        ([(seen("Bad", 0.7), ON)] * 5, Status.SUSPECT),
        ([(seen("Good", novelty=1.5), ON)], Status.UNFAMILIAR),
        ([(seen("Good", 0.5, novelty=1.5), ON)], Status.UNFAMILIAR),
        ([(seen("Good", novelty=1.0), ON)], Status.GOOD),
        ([(seen("Bad", novelty=9.0), ON)] * 2, Status.BAD),
        # An alarm ends after off_delay good images, and holds through doubt.
        (["Bad", "Bad", "Good"], Status.BAD),
        (["Bad", "Bad", "Good", "Good"], Status.GOOD),
        (["Bad", "Bad", "Good", "Bad", "Good"], Status.BAD),
        (["Bad", "Bad", "Cosmic"], Status.BAD),
        (["Bad", "Bad", "Cosmic", "Good"], Status.BAD),
        (["Bad", "Bad", "Cosmic", "Cosmic"], Status.OTHER),
        (["Bad", "Bad", (seen("Good", 0.5), ON)], Status.BAD),
        (["Bad", "Bad", (seen("Good", novelty=2.0), ON)], Status.BAD),
        (["NoData", "NoData", (seen("NoData"), LOST)], Status.NODATA),
        (["Bad", "Bad", "NoData"], Status.BAD),
        (["Bad", "Bad", "NoData", "NoData"], Status.NODATA),
        (["Bad", "Good"], Status.SUSPECT),
        (["Bad", "Good", "Good"], Status.GOOD),
        # Without beam an alarm is masked; with it back, good is good at once and bad must prove itself again.
        (["Bad", "Bad", (seen("NoData"), OFF)], Status.NOBEAM),
        (["Bad", "Bad", (seen("NoData"), OFF), "Good"], Status.GOOD),
        (["Bad", "Bad", (seen("NoData"), OFF), "Bad"], Status.SUSPECT),
    ],
)
def test_the_table_of_statuses(images, status):
    assert shown(after(*images)).status is status


def course(images, **rules):
    """The statuses after each image, told by first letters of labels; D is doubt, M an image without beam."""
    kinds = {
        "G": "Good",
        "B": "Bad",
        "N": "NoData",
        "C": "Cosmic",
        "D": (seen("Good", 0.5), ON),
        "M": (seen("Bad"), OFF),
    }
    told = [after(*(kinds[one] for one in images[: n + 1]), rules=replace(RULES, **rules)) for n in range(len(images))]
    return [standing.earned.name for standing in told]


G, S, B, N, X = "GOOD", "SUSPECT", "BAD", "NODATA", "NOBEAM"


@pytest.mark.parametrize(
    ("images", "rules", "statuses"),
    [
        # In a row, a plot that is bad in every second image stays SUSPECT; m of n raises it.
        ("BGBGBG", {}, [S] * 6),
        ("BGBGB", {"on_delay": 3, "on_window": 5}, [S, S, S, S, B]),
        ("BGGBGGB", {"on_delay": 3, "on_window": 5, "off_delay": 3}, [S] * 7),  # three within seven
        ("BBB", {"on_delay": 3, "on_window": 5}, [S, S, B]),  # as soon as there are as many
        ("BB", {"on_delay": 2, "on_window": 1}, [S, B]),  # a window shorter than the delay: in a row
        # Bad and empty count together; doubt takes a place and is neither.
        ("BGN", {"on_delay": 2, "on_window": 3}, [S, S, N]),
        ("BDDB", {"on_delay": 2, "on_window": 4}, [S, S, S, B]),
        ("BDDB", {"on_delay": 2, "on_window": 3}, [S, S, S, S]),
        # Without beam every count begins anew.
        ("BMB", {"on_delay": 2, "on_window": 5}, [S, X, S]),
        ("BMBB", {"on_delay": 2, "on_window": 5}, [S, X, S, B]),
        # m of n ends an alarm too, counted from its beginning.
        ("BBGBG", {"off_delay": 2, "off_window": 3}, [S, B, B, B, G]),
        ("BBGDG", {"off_delay": 2, "off_window": 3}, [S, B, B, B, G]),
        ("GGGBBG", {"off_delay": 2, "off_window": 5}, [G, G, G, S, B, B]),
        ("GGGDGG", {"off_delay": 2, "off_window": 5}, [G, G, G, S, S, G]),
        ("BBGCG", {"off_delay": 2, "off_window": 3}, [S, B, B, B, G]),
        # What raised an alarm that is over raises no second one.
        ("BBBGGBGB", {"on_delay": 3, "on_window": 5}, [S, S, B, B, G, S, S, S]),
        ("BBBGGBGBB", {"on_delay": 3, "on_window": 5}, [S, S, B, B, G, S, S, S, B]),
        ("BBBBBGGB", {"on_delay": 3, "on_window": 5}, [S, S, B, B, B, B, G, S]),
        # With an off-delay of one a SUSPECT ends at once, and its images count on.
        ("BGBGB", {"on_delay": 3, "on_window": 5, "off_delay": 1}, [S, G, S, G, B]),
        # A raised alarm changes its kind as slowly as it was raised, and does not chatter between the two.
        ("BBNBN", {"on_delay": 2, "on_window": 3}, [S, B, B, B, N]),
        ("BBNBNBN", {"on_delay": 2, "on_window": 3}, [S, B, B, B, N, N, N]),
    ],
)
def test_delays_count_images_in_a_row_or_within_a_window(images, rules, statuses):
    assert course(images, **rules) == statuses


def test_a_reason_counts_within_the_window():
    rules = replace(RULES, on_delay=3, on_window=5, off_delay=2, off_window=4)
    assert after("Bad", "Good", "Bad", rules=rules).reason.endswith("2 of 3 such images within 5 that raise an alarm")
    raised = ("Bad", "Good", "Bad", "Good", "Bad")
    assert after(*raised, rules=rules).reason == "Bad at 0.97, 3 of the last 5 images, beam 201 nA"
    assert after("Bad", "Bad", "Bad", rules=rules).reason == "Bad at 0.97, 3 of the last 3 images, beam 201 nA"
    assert after(*raised, "Good", rules=rules).reason == "Good at 0.97, 1 of 2 such images within 4 that end BAD"


COSMIC = Run(RunState.RUNNING, 7, "cosmic", masked=True)
IDLE, RUNNING = Run(RunState.IDLE), Run(RunState.RUNNING)


@pytest.mark.parametrize(
    ("image", "status"),
    [
        (seen("Bad"), Status.OTHER),
        (seen("NoData"), Status.OTHER),
        (seen("Good", 0.5), Status.OTHER),
        (seen("Good", novelty=2.0), Status.OTHER),
        (seen("Good"), Status.GOOD),
        (seen("Cosmic"), Status.OTHER),
    ],
)
@pytest.mark.parametrize("beam", [ON, OFF, LOST])
def test_an_image_of_a_masked_run_is_good_or_it_is_other(image, status, beam):
    for rules in (RULES, replace(RULES, needs_beam=False)):
        standing = after("Bad", "Good", "Good", rules=rules)
        for n in range(5):
            standing = judge(image, beam, rules, standing, NOON + timedelta(minutes=n), run=COSMIC)
            assert standing.earned is status
    assert judge(seen("Bad"), ON, RULES, Standing(), NOON, run=COSMIC).reason == (
        "Bad at 0.97, but run 7 is of type cosmic"
    )


def test_images_of_a_masked_run_count_towards_no_alarm_after_it():
    standing = after("Bad")
    standing = judge(seen("Bad"), ON, RULES, standing, NOON, run=COSMIC)
    standing = judge(seen("Bad"), ON, RULES, standing, NOON)
    assert standing.earned is Status.SUSPECT
    assert judge(seen("Bad"), ON, RULES, standing, NOON).earned is Status.BAD


def test_a_masked_run_ends_what_alarmed_before_it_and_takes_no_green_away():
    for images in (["Bad", "Bad"], ["Bad"], [(seen("Good", 0.5), ON)]):
        standing = mask(after(*images), COSMIC)
        assert standing.earned is Status.OTHER
        assert standing.reason.startswith("run 7 is of type cosmic, ")
        assert judge(seen("Bad"), ON, RULES, standing, NOON).earned is Status.SUSPECT
    good = after("Good")
    assert mask(good, COSMIC) is good
    faulty_before = after("Bad", "Good", "Good")
    assert mask(faulty_before, COSMIC).earned is Status.GOOD
    window = replace(RULES, on_delay=2, on_window=9)
    assert judge(seen("Bad"), ON, window, mask(faulty_before, COSMIC), NOON).earned is Status.SUSPECT
    assert judge(seen("Bad"), ON, window, faulty_before, NOON).earned is Status.BAD


def test_what_would_alarm_in_a_masked_run_is_shown_as_other_and_names_the_run():
    for standing, age_s in ((after("Bad", "Bad"), 1), (after("Bad"), 1), (after("Good"), 1000)):
        ruling = present(standing, ON, RULES, NOON + timedelta(seconds=30 + age_s), COSMIC)
        assert ruling.status is Status.OTHER
        assert ruling.reason.startswith("run 7 is of type cosmic: ")
    young = present(after("Good"), ON, RULES, NOON, COSMIC)
    assert young.status is Status.GOOD
    assert present(after("Good"), OFF, RULES, NOON + timedelta(hours=1), COSMIC).status is Status.NOBEAM
    assert present(Standing(taken_at=NOON), ON, RULES, NOON, COSMIC).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("run", "status", "words"),
    [
        (IDLE, Status.OTHER, "no run is going"),
        (RUNNING, Status.STALE, "beam 201 nA"),
        (Run(reason="run state PV lost"), Status.STALE, "beam 201 nA"),
        (replace(RUNNING, since=NOON + timedelta(seconds=100)), Status.OTHER, "its first image is awaited"),
        (replace(RUNNING, since=NOON - timedelta(seconds=1)), Status.STALE, "beam 201 nA"),
    ],
)
def test_an_old_image_is_stale_only_while_a_run_is_going_and_never_good(run, status, words):
    for needs_beam in (True, False):
        rules = replace(RULES, needs_beam=needs_beam)
        assert present(after("Good"), ON, rules, NOON + timedelta(seconds=120), run).status is Status.GOOD
        ruling = present(after("Good"), ON, rules, NOON + timedelta(seconds=121), run)
        assert ruling.status is status
        assert words in ruling.reason or not needs_beam
    assert present(after("Bad", "Bad"), ON, RULES, NOON + timedelta(seconds=60), IDLE).status is Status.BAD


def test_a_clock_that_was_set_back_makes_nothing_good_without_a_run_either():
    assert present(after("Good"), ON, RULES, NOON - timedelta(hours=1), IDLE).status is Status.OTHER
    just_begun = replace(RUNNING, since=NOON - timedelta(hours=1))
    assert present(after("Good"), ON, RULES, NOON - timedelta(hours=1), just_begun).status is Status.STALE


def test_a_path_that_contradicts_the_pv_is_said_in_the_reason():
    run = Run(RunState.RUNNING, 6, reason="the path says run 6, the PV 7")
    assert judge(seen("Good"), ON, RULES, Standing(), NOON, run=run).reason.endswith("; the path says run 6, the PV 7")


def test_a_plot_that_needs_no_beam_is_judged_without_it():
    rules = replace(RULES, needs_beam=False)
    for beam in (ON, OFF, LOST):
        assert after((seen("NoData"), beam), (seen("NoData"), beam), rules=rules).earned is Status.NODATA
        assert shown(after("Good", rules=rules), beam, rules, age_s=121).status is Status.STALE


def test_a_label_without_a_threshold_is_never_confirmed_by_less_than_certainty():
    rules = replace(RULES, thresholds={})
    assert after((seen("Good", 0.999), ON), rules=rules).earned is Status.SUSPECT
    assert after((seen("Good", 1.0), ON), rules=rules).earned is Status.GOOD


@pytest.mark.parametrize(
    ("beam", "status"),
    [
        (ON, Status.STALE),
        (LOST, Status.STALE),
        (OFF, Status.NOBEAM),
        (replace(ON, since=NOON - timedelta(hours=1)), Status.STALE),
        (replace(ON, since=NOON + timedelta(seconds=100)), Status.NOBEAM),
    ],
)
def test_an_image_grows_stale_with_beam_and_waits_without(beam, status):
    standing = after("Good")
    assert shown(standing, beam, age_s=120).status is Status.GOOD
    ruling = shown(standing, beam, age_s=121)
    assert ruling.status is status
    assert "no new image for 2 min" in ruling.reason


def test_the_grace_after_a_trip_ends():
    back = replace(ON, since=NOON + timedelta(seconds=100))
    assert shown(after("Good"), back, age_s=220).status is Status.NOBEAM
    assert shown(after("Good"), back, age_s=221).status is Status.STALE


def test_a_clock_that_was_set_back_makes_nothing_young():
    assert shown(after("Good"), age_s=-4).status is Status.GOOD
    ruling = shown(after("Good"), age_s=-3600)
    assert ruling.status is Status.STALE
    assert "set back by 60 min" in ruling.reason


def test_people_come_first():
    off = replace(RULES, enabled=False, shelved_by="ana", reason="HV work")
    assert shown(after("Bad", "Bad"), rules=off).status is Status.DISABLED
    assert shown(after("Bad", "Bad"), rules=off).reason == "switched off by ana: HV work"
    shelved = replace(RULES, shelved_until=NOON + timedelta(minutes=1), shelved_by="ana")
    assert shown(after("Bad", "Bad"), rules=shelved).status is Status.DISABLED
    assert "2026-11-23 12:01 UTC by ana" in shown(after("Bad", "Bad"), rules=shelved).reason
    assert shown(after("Bad", "Bad"), rules=shelved, age_s=31).status is Status.BAD


def test_a_plot_without_a_model_says_so():
    assert shown(Standing(), rules=replace(RULES, model=None)).status is Status.NOMODEL


def test_a_reason_tells_what_was_seen():
    assert after("Bad", "Bad").reason == "Bad at 0.97, 2 in a row, beam 201 nA"
    assert after("Bad").reason == "Bad at 0.97, 1 of 2 such images that raise an alarm"
    assert after("Bad", "Bad", "Good").reason == "Good at 0.97, 1 of 2 such images that end BAD"
    assert after((seen("Bad", 0.5), ON)).reason == "Bad at 0.50, below its threshold 0.80"
    assert after((seen("NoData"), LOST)).reason == "NoData at 0.97, beam unknown (beam PV disconnected)"
    assert after((seen("NoData"), OFF)).reason == "NoData at 0.97, but no beam (0.4 nA)"
    assert "novelty 1.5" in after((seen("Good", novelty=1.5), ON)).reason
    assert after("Bad", "Bad", (seen("Good", 0.5), ON)).reason.endswith("BAD until good images end it")


@pytest.mark.parametrize(
    ("beam", "words"),
    [
        (ON, "beam 201 nA"),
        (Beam(BeamState.ON), "beam on"),
        (Beam(BeamState.OFF), "no beam"),
        (Beam(BeamState.OFF, 300.0, "nA", reason="no permit"), "no beam (no permit)"),
        (Beam(BeamState.UNKNOWN), "beam unknown"),
    ],
)
def test_the_beam_in_words(beam, words):
    assert in_words(beam) == words


@pytest.mark.parametrize(("age_s", "words"), [(125, "2 min"), (8000, "2 h"), (200_000, "2 d"), (121, "2 min")])
def test_ages_are_said_in_words(age_s, words):
    assert f"no new image for {words}" in shown(after("Good"), age_s=age_s).reason


def test_short_ages_are_said_in_seconds():
    rules = replace(RULES, stale_s=10)
    assert "no new image for 11 s" in shown(after("Good"), rules=rules, age_s=11).reason


def test_a_histogram_that_never_moves_is_called_frozen():
    standing = after("Good")
    for n in range(1, FROZEN_AFTER + 1):
        assert "frozen" not in standing.reason
        standing = judge(seen("Good"), ON, RULES, standing, NOON + timedelta(seconds=n), equal=True)
    assert standing.reason.startswith("the histogram is frozen: 11 equal images with beam")
    assert "frozen" not in judge(seen("Good"), OFF, RULES, standing, NOON, equal=True).reason


labels = st.sampled_from(sorted(MEANINGS))
images = st.tuples(
    labels,
    st.floats(0.4, 1.0),
    st.one_of(st.none(), st.floats(0, 3)),
    st.sampled_from([ON, OFF, LOST]),
    st.integers(1, 200),
)
delays = st.integers(1, 4)


def lived(history, rules):
    """Each (before, after, finding image) of a random life."""
    standing, now = Standing(), NOON
    for label, confidence, novelty, beam, gap_s in history:
        now += timedelta(seconds=gap_s)
        before, standing = standing, judge(seen(label, confidence, novelty), beam, rules, standing, now)
        yield before, standing, (label, confidence, novelty, beam), now


@given(
    st.lists(images, max_size=40), delays, delays, st.booleans(), st.integers(0, 400), st.sampled_from([ON, OFF, LOST])
)
def test_nothing_is_green_without_a_confirmed_good_image_that_is_young(history, on, off, needs_beam, age_s, beam_now):
    rules = replace(RULES, on_delay=on, off_delay=off, needs_beam=needs_beam)
    for _, standing, (label, confidence, novelty, _beam), now in lived(history, rules):
        ruling = present(standing, beam_now, rules, now + timedelta(seconds=age_s))
        if ruling.status is Status.GOOD:
            assert label == "Good"
            assert confidence >= 0.8
            assert novelty is None or novelty <= 1
            assert age_s <= rules.stale_s
        assert ruling.reason


@given(st.lists(images, max_size=60), delays, delays, st.integers(0, 6), st.integers(0, 6))
def test_m_of_n_raises_no_alarm_without_m_faulty_images_nor_ends_one_without_as_many_calm_ones(
    history, on, off, on_window, off_window
):
    rules = replace(RULES, on_delay=on, off_delay=off, on_window=on_window, off_window=off_window)
    life = list(lived(history, rules))
    for n, (before, standing, _, _) in enumerate(life):
        recent = [earlier[1].finding.value for earlier in life[: n + 1]]
        if standing.earned in RAISED and before.earned not in RAISED:
            assert sum(one in {"bad", "empty"} for one in recent[-max(on, on_window) :]) >= on
        if before.earned in ALARMING and standing.earned in {Status.GOOD, Status.OTHER}:
            assert recent[-max(off, off_window) :].count(recent[-1]) >= off


@given(st.lists(images, max_size=60), delays, delays)
def test_chatter_is_bounded_by_the_delays(history, on, off):
    rules = replace(RULES, on_delay=on, off_delay=off, needs_beam=False)
    life = list(lived(history, rules))
    for n, (before, standing, _, _) in enumerate(life):
        recent = [earlier[1].finding for earlier in life[: n + 1]]
        if standing.earned in RAISED and before.earned not in RAISED:
            assert len(recent) >= on
            assert {finding.value for finding in recent[-on:]} <= {"bad", "empty"}
        if before.earned in ALARMING and standing.earned not in ALARMING:
            assert len(set(recent[-off:])) == 1
            assert len(recent[-off:]) == off


@given(st.lists(images, max_size=40), delays, delays)
def test_an_alarm_is_raised_as_soon_as_its_delay_is_over(history, on, off):
    rules = replace(RULES, on_delay=on, off_delay=off)
    for _, standing, _, _ in lived(history, rules):
        if standing.faulty_in_a_row >= on:
            assert standing.earned in RAISED


@given(st.lists(images, max_size=40))
def test_without_beam_a_plot_that_needs_it_never_starts_an_alarm(history):
    dark = [(label, confidence, novelty, OFF, gap) for label, confidence, novelty, _, gap in history]
    for _, standing, _, _ in lived(dark, RULES):
        assert standing.earned not in ALARMING


moments = st.none() | st.integers(-400, 400).map(lambda s: NOON + timedelta(seconds=s))


@given(
    st.builds(Standing, earned=st.sampled_from(Status), taken_at=moments),
    st.builds(Beam, state=st.sampled_from(BeamState), current=st.none(), since=moments),
    st.builds(Run, state=st.sampled_from(RunState), type=st.just("cosmic"), masked=st.booleans(), since=moments),
    st.builds(
        Rules,
        detector=st.just("CDC"),
        model=st.sampled_from(["m1", None]),
        enabled=st.booleans(),
        needs_beam=st.booleans(),
        stale_s=st.sampled_from([1.0, 60.0, 200.0]),
        shelved_until=moments,
    ),
    st.integers(0, 1000),
)
def test_nothing_else_is_shown_before_the_moment_that_was_foretold(standing, beam, run, rules, seconds):
    def shown_at(now):
        ruling = present(standing, beam, rules, now, run)
        return ruling.status, ruling.because

    until = stands_until(standing, beam, rules, NOON, run)
    assert until >= NOON
    last = until - timedelta(microseconds=1) if until < NEVER else NOON + timedelta(days=1000)
    for now in (NOON + timedelta(seconds=seconds), last):
        if NOON <= now < until:
            assert shown_at(now) == shown_at(NOON)


def test_a_good_image_stands_until_it_is_stale_and_an_old_one_until_somebody_is_heard():
    good = after("Good")
    assert stands_until(good, ON, RULES, NOON) == NOON + timedelta(seconds=RULES.stale_s)
    assert stands_until(good, ON, RULES, NOON + timedelta(days=1)) == NEVER
