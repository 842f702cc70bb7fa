"""Floods: which plots have an alarm of their own, and when they have one again."""

from fakes import configuration
from roster_world import Hall, statuses

from hydrad.domain import Cause, Severity, Status


def crowd(count, **tables):
    """A hall whose CDC has so many good plots, of which more than three that alarm are a flood."""
    hall = Hall(defaults={"flood_above": 3, "on_delay": 1, "off_delay": 1}, **tables)
    for n in range(count):
        hall.image("Good", plot=f"CDC_{n}")
    return hall


def turn(hall, label, *plots):
    """The same label for each of these plots; the severities they get."""
    hall.clock.advance(1)
    return [hall.image(label, plot=f"CDC_{n}").severity.name for n in plots]


def drowned(hall):
    return {plot for plot in hall.roster if hall.roster.shown(plot).drowned}


def test_plots_that_join_a_flood_are_shown_truly_and_have_no_alarm_of_their_own():
    hall = crowd(8)
    assert turn(hall, "Bad", 0, 1, 2, 3, 4) == ["MAJOR", "MAJOR", "MAJOR", "NO_ALARM", "NO_ALARM"]
    shown = hall.roster.shown("CDC_4")
    assert shown.status is Status.BAD
    assert shown.reason == "Bad at 0.97, 1 in a row, beam 201 nA; part of the flood of detector CDC"
    assert hall.later(1) == []
    assert hall.image("Bad", plot="FDC_0").severity is Severity.MAJOR  # another detector's plots alarm as ever


def test_a_flood_ends_at_half_and_what_is_still_faulty_alarms_by_itself():
    hall = crowd(8)
    turn(hall, "Bad", 0, 1, 2, 3, 4)
    assert turn(hall, "Good", 0, 1, 2) == ["NO_ALARM"] * 3
    assert drowned(hall) == {"CDC_3", "CDC_4"}  # two are left, more than half of three
    assert turn(hall, "Good", 3) == ["NO_ALARM"]
    [verdict] = hall.later(1)
    assert (verdict.plot, verdict.status, verdict.severity) == ("CDC_4", Status.BAD, Severity.MAJOR)
    assert "flood" not in verdict.reason
    assert drowned(hall) == set()


def test_a_plot_on_the_edge_of_a_flood_does_not_make_the_others_chatter():
    hall = crowd(8)
    turn(hall, "Bad", 0, 1, 2, 3)
    for _ in range(5):
        turn(hall, "Good", 3)
        assert hall.later(1) == []
        assert turn(hall, "Bad", 3) == ["NO_ALARM"]
        assert hall.later(1) == []


def test_minor_alarms_are_a_flood_of_their_own_and_drown_no_grave_one():
    hall = crowd(12)

    def doubt(*plots):
        hall.clock.advance(1)
        return [hall.image("Good", plot=f"CDC_{n}", confidence=0.5).severity.name for n in plots]

    assert doubt(0, 1, 2, 3, 4) == ["MINOR", "MINOR", "MINOR", "NO_ALARM", "NO_ALARM"]
    assert turn(hall, "Bad", 8, 9, 10, 11) == ["MAJOR", "MAJOR", "MAJOR", "NO_ALARM"]
    assert turn(hall, "Bad", 0, 4) == ["NO_ALARM", "NO_ALARM"]  # what grows grave now joins the grave ones
    assert drowned(hall) == {"CDC_0", "CDC_3", "CDC_4", "CDC_11"}
    turn(hall, "Good", 8, 9, 10, 11)
    assert hall.later(1) == []
    turn(hall, "Good", 0)
    assert [(one.plot, one.severity) for one in hall.later(1)] == [("CDC_4", Severity.MAJOR)]
    assert drowned(hall) == {"CDC_3"}  # four alarm at least in a minor way


def test_a_plot_that_was_suspect_first_drowns_when_it_turns_bad_in_a_flood():
    hall = Hall(defaults={"flood_above": 3, "on_delay": 2})
    assert turn(hall, "Bad", *range(6)) == ["MINOR"] * 3 + ["NO_ALARM"] * 3
    assert turn(hall, "Bad", *range(6)) == ["MAJOR"] * 3 + ["NO_ALARM"] * 3
    assert {hall.roster.shown(plot).status for plot in hall.roster} == {Status.BAD}


def test_plots_that_alarm_at_the_same_moment_are_one_flood():
    hall = crowd(8)
    verdicts = hall.later(200)
    assert {verdict.status for verdict in verdicts} == {Status.STALE}
    assert drowned(hall) == {f"CDC_{n}" for n in range(8)}
    assert hall.later(1) == []
    assert turn(hall, "Good", 0, 1, 2, 3, 4, 5) == ["NO_ALARM"] * 6
    assert drowned(hall) == {"CDC_6", "CDC_7"}
    turn(hall, "Good", 6)
    [last] = hall.later(1)
    assert (last.plot, last.severity) == ("CDC_7", Severity.INVALID)


def test_what_people_switch_off_makes_no_flood():
    hall = crowd(8)
    for n in range(4):
        hall.change("enabled", 0, plot=f"CDC_{n}")
    hall.later(0, Cause.CHANGE)
    turn(hall, "Bad", *range(7))
    assert drowned(hall) == set()
    for n in range(2):
        hall.clock.advance(1)
        hall.change("enabled", 1, plot=f"CDC_{n}")
    hall.later(0, Cause.CHANGE)
    assert drowned(hall) == {"CDC_0", "CDC_1"}


def test_a_flood_outlives_a_restart():
    hall = crowd(8)
    turn(hall, "Bad", 0, 1, 2, 3, 4)
    before = drowned(hall)
    hall.restart()
    assert hall.later(1) == []
    assert drowned(hall) == before == {"CDC_3", "CDC_4"}
    turn(hall, "Good", 0, 1)
    assert drowned(hall) == before
    turn(hall, "Good", 2, 3)
    assert statuses(hall.later(1)) == [("CDC_4", "BAD")]


def test_a_flood_is_over_also_where_its_plots_are_given_to_another_detector():
    hall = crowd(8)
    turn(hall, "Bad", 7, 6, 5, 4, 3)
    assert drowned(hall) == {"CDC_3", "CDC_4"}
    others = [{"name": "Other", "plots": [f"CDC_{n}" for n in range(4, 8)]}]
    hall.roster.config = configuration(defaults={"flood_above": 3, "on_delay": 1, "off_delay": 1}, detector=others)
    hall.later(1, Cause.CHANGE)
    hall.later(1)
    assert hall.roster.shown("CDC_3").detector == "CDC"
    assert drowned(hall) == {f"CDC_{n}" for n in range(4, 8)}  # the flood is the other detector's now
