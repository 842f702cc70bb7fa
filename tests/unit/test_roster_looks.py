"""What is shown of a plot is looked at again when it can have changed, and no more often."""

from dataclasses import replace
from datetime import timedelta

from fakes import LOST, OFF, ON, card
from hypothesis import given, settings
from hypothesis import strategies as st
from roster_world import COSMIC, IDLE, PHYSICS, PLOT, Hall, statuses

from hydrad.domain import SOME_RUN
from hydrad.verdict import present


def test_plots_are_looked_at_when_something_has_changed_and_not_each_second(monkeypatch):
    looked = []
    monkeypatch.setattr("hydrad.roster.present", lambda *how: looked.append(how) or present(*how))
    hall = Hall()
    since = hall.clock()
    for n in range(5):
        hall.image(plot=f"CDC_{n}")
    del looked[:]
    seen = []
    for second in range(6):
        hall.beam = replace(ON, current=200 + second, since=since)
        hall.later(1)
        seen.append(len(looked))
    assert seen == [5, 10, 10, 10, 10, 10]  # by new rules twice
    hall.image(plot="CDC_1")
    hall.change("on_delay", 3, plot="CDC_2")
    del looked[:]
    hall.later(1)
    assert len(looked) == 5  # settings have changed, so all rules are laid out anew
    hall.later(1)
    del looked[:]
    assert statuses(hall.later(200)) == [(f"CDC_{n}", "STALE") for n in range(5)]
    hall.later(3600)
    assert len(looked) == 5


def test_a_trip_that_nobody_saw_gives_an_old_plot_time_for_its_next_image():
    hall = Hall()
    hall.image()
    assert statuses(hall.later(200)) == [(PLOT, "STALE")]
    hall.beam = replace(ON, since=hall.clock())
    assert statuses(hall.later(1)) == [(PLOT, "NOBEAM")]
    assert statuses(hall.later(200)) == [(PLOT, "STALE")]


events = st.one_of(
    st.tuples(st.just("image"), st.integers(0, 5), st.sampled_from(["Good", "Bad", "NoData", "Cosmic", None])),
    st.tuples(st.just("wait"), st.sampled_from([1, 1, 30, 100, 200, 4000, -30, -600])),
    st.tuples(st.just("beam"), st.sampled_from([ON, OFF, LOST]), st.booleans()),
    st.tuples(st.just("run"), st.sampled_from([SOME_RUN, PHYSICS, COSMIC, IDLE]), st.booleans()),
    st.tuples(st.just("shelve"), st.integers(0, 5), st.sampled_from([0, 60, 600])),
    st.tuples(st.just("switch"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("model"), st.sampled_from(["m1", "m2", None])),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(events, min_size=20, max_size=60))
def test_a_plot_is_left_alone_only_when_to_look_at_it_would_change_nothing(history):
    def live(*, thorough):
        hall = Hall(defaults={"flood_above": 2, "on_delay": 1, "off_delay": 1})
        for n in range(6):
            hall.image("Good", plot=f"CDC_{n}")
        for event in history:
            _befall(hall, *event)
            if thorough:
                for followed in hall.roster._plots.values():
                    followed.stands_until = None
            altered = hall.later(0)
            shown = [hall.roster.shown(plot) for plot in hall.roster]
            yield {one.plot for one in altered}, [replace(one, key="") for one in shown]

    assert list(live(thorough=False)) == list(live(thorough=True))


def _befall(hall, what, *which):
    now = hall.clock()
    match what, *which:
        case "image", plot, label:
            hall.image(label, plot=f"CDC_{plot}")
        case "wait", seconds:
            hall.clock.advance(seconds)
        case "beam", beam, new:
            hall.beam = replace(beam, since=now if new else None)
        case "run", run, new:
            hall.run = replace(run, since=now if new else None)
        case "shelve", plot, seconds:
            until = now + timedelta(seconds=seconds)
            hall.change("shelved_until", until.timestamp() if seconds else 0, plot=f"CDC_{plot}")
        case "switch", plot, on:
            hall.change("enabled", int(on), plot=f"CDC_{plot}")
        case "model", model:
            hall.cards = {f"CDC_{n}": None if model is None else card(model) for n in range(6)}
