"""The story of one image, with everything around it in memory and on virtual time."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from fakes import (
    NOON,
    OFF,
    Clock,
    FakeBeam,
    FakeClassifier,
    FakeDecoder,
    FakeLedger,
    FakeRuns,
    FakeSink,
    FakeWatcher,
    arrival,
    card,
    configuration,
    in_no_time,
    picture,
    prediction,
    rest,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from hydrad.domain import Cause, Change, Status
from hydrad.errors import BundleError, UnfinishedImage, UnreadableImage
from hydrad.pipeline import Pipeline, utc_now
from hydrad.roster import Roster
from hydrad.settings import Settings
from hydrad.shadowing import Shadowing

PLOT = "CDC_occupancy"


class House:
    """A pipeline and all that it talks to."""

    def __init__(self, sinks=1):
        self.clock = Clock()
        self.decoder, self.classifier, self.beam = FakeDecoder(), FakeClassifier(), FakeBeam()
        self.runs = FakeRuns()
        self.ledger, self.watcher = FakeLedger(), FakeWatcher()
        self.sinks = [FakeSink(f"sink {n}") for n in range(sinks)]
        self.roster = Roster(configuration(), self.classifier.card, Settings())
        self.pipeline = Pipeline(
            decode=self.decoder,
            classifier=self.classifier,
            beam=self.beam,
            runs=self.runs,
            roster=self.roster,
            sinks=self.sinks,
            ledger=self.ledger,
            fill_s=30,
            clock=self.clock,
        )

    @property
    def sink(self):
        return self.sinks[0]

    def write(self, content="peak", *, plot=PLOT, age_s=0.0, says=None, **how):
        """A producer writes an image; what the classifier will say of it, if not Good."""
        one = arrival(plot, self.clock() - timedelta(seconds=age_s), **how)
        self.decoder.put(one.path, content if isinstance(content, Exception) else picture(content))
        if says is not None:
            self.classifier.says[content] = says if isinstance(says, BundleError) else prediction(says)
        self.watcher.drop(one)
        return one

    @asynccontextmanager
    async def running(self, attendants=2):
        """The pipeline at work."""
        tasks = [asyncio.create_task(self.pipeline.follow(self.watcher))]
        tasks += [asyncio.create_task(self.pipeline.attend()) for _ in range(attendants)]
        try:
            yield
            await rest()
            assert not any(task.done() for task in tasks), "eternal tasks do not end"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def see(self, *contents, every_s=30, **how):
        """Images of one plot, one after the other, each to its end."""
        for content in contents:
            self.clock.advance(every_s)
            self.write(content, **how)
            await rest()


@in_no_time
async def test_an_image_goes_its_way_from_file_to_sinks_and_ledger():
    house = House(sinks=3)
    house.classifier.says["peak"] = prediction("Bad")
    async with house.running():
        one = house.write(submission=7)
        house.clock.advance(2)
    [verdict] = house.sink.told
    assert (verdict.plot, verdict.status, verdict.label, verdict.path) == (PLOT, Status.SUSPECT, "Bad", str(one.path))
    assert verdict.judged_at == NOON + timedelta(seconds=2)
    assert [sink.told for sink in house.sinks] == [[verdict]] * 3
    [(entry, recorded, kept, heatmap)] = house.ledger.entries
    assert recorded is verdict
    assert kept.sha256 == entry.sha256 == verdict.sha256
    assert heatmap.shape == (2, 2)
    assert (entry.path, entry.size, entry.mtime_ns) == (str(one.path), one.size, one.mtime_ns)
    assert (entry.outcome, entry.reason) == ("judged", verdict.reason)
    assert (entry.seen_at, entry.done_at) == (one.seen_at, house.clock())
    assert (entry.plot, entry.run, entry.submission) == (PLOT, 111652, 7)
    assert house.pipeline.pulse.latency_s == 2.0
    assert len(house.pipeline.backlog) == 0


@in_no_time
async def test_one_line_is_logged_for_one_image():
    house = House()
    with capture_logs() as lines:
        async with house.running():
            house.write()
    assert [line["event"] for line in lines] == ["image_judged"]
    assert lines[0] | {"plot": PLOT, "status": "GOOD", "label": "Good", "outcome": "judged"} == lines[0]


@in_no_time
async def test_an_image_is_judged_by_the_beam_while_it_filled():
    house = House()
    async with house.running():
        house.write(age_s=100)
        await rest()
        house.write("later", age_s=-100)
    taken_at = NOON - timedelta(seconds=100)
    assert house.beam.asked == [
        (taken_at - timedelta(seconds=30), taken_at),
        (NOON - timedelta(seconds=30), NOON),  # what comes from the future was taken now
    ]


@in_no_time
async def test_the_newest_image_wins_and_those_it_overtook_are_recorded_without_being_told():
    house = House()
    for age_s in (60, 30, 0):
        house.write(f"{age_s} s ago", age_s=age_s, says="Bad" if age_s else "Good")
    async with house.running():
        pass
    assert house.sink.statuses() == ["GOOD"]
    assert [(entry.outcome, verdict.superseded) for entry, verdict, *_ in house.ledger.entries] == [
        ("judged", False),
        ("superseded", True),
        ("superseded", True),
    ]
    assert house.ledger.entries[1][0].reason.startswith("a newer image was judged before it; Bad at 0.97")
    assert house.roster.shown(PLOT).status is Status.GOOD


@in_no_time
async def test_equal_pixels_are_not_classified_again_and_still_raise_the_alarm():
    house = House()
    async with house.running():
        await house.see("dead", "dead", says="Bad")
        assert house.sink.statuses() == ["SUSPECT", "BAD"]
        assert house.classifier.asked == [(PLOT, "dead")]
        await house.see(*["dead"] * 9)
    assert house.ledger.outcomes() == ["judged"] + ["unchanged"] * 10
    assert all(heatmap is not None for *_, heatmap in house.ledger.entries)
    assert "the histogram is frozen" in house.sink.told[-1].reason
    assert house.sink.told[-1].taken_at == house.clock()
    assert len(house.classifier.asked) == 1


@in_no_time
async def test_equal_pixels_of_another_plot_are_another_image():
    house = House()
    async with house.running():
        house.write("same")
        house.write("same", plot="FDC_hits")
    assert house.ledger.outcomes() == ["judged", "judged"]
    assert sorted(house.classifier.asked) == [(PLOT, "same"), ("FDC_hits", "same")]


@in_no_time
async def test_another_model_is_asked_again_of_equal_pixels():
    house = House()
    async with house.running():
        await house.see("same")
        house.classifier.cards[PLOT] = card("m2")
        house.classifier.says["same"] = prediction("Bad", model="m2")
        await house.see("same")
    assert len(house.classifier.asked) == 2
    assert [verdict.model for verdict in house.sink.told] == ["m1", "m2"]
    assert house.sink.statuses() == ["GOOD", "SUSPECT"]
    assert house.ledger.outcomes() == ["judged", "unchanged"]


@in_no_time
async def test_a_model_that_cannot_answer_gives_no_green_and_is_asked_again():
    house = House()
    async with house.running():
        await house.see("good")
        with capture_logs() as lines:
            await house.see("odd", says=BundleError("golden outputs differ"))
        await house.see("odd")
        house.classifier.says["odd"] = prediction("Good")
        await house.see("odd")
    assert house.sink.statuses() == ["GOOD", "UNKNOWN", "UNKNOWN", "GOOD"]
    assert house.sink.told[1].reason == "the model m1 could not judge this image: golden outputs differ"
    assert house.ledger.outcomes() == ["judged", "judged", "unchanged", "unchanged"]
    assert house.ledger.entries[1][3] is None
    assert lines[0]["event"] == "image_not_classified"
    assert lines[0]["why"] == "golden outputs differ"


@in_no_time
async def test_a_plot_without_a_model_is_followed_and_nobody_is_asked():
    house = House()
    house.classifier.cards[PLOT] = None
    async with house.running():
        await house.see("any")
    assert house.sink.statuses() == ["NOMODEL"]
    assert house.classifier.asked == []
    assert house.ledger.outcomes() == ["judged"]


# ---- files that are no image, or not yet ---------------------------------------------------------------------------


@in_no_time
async def test_what_may_yet_become_an_image_is_looked_at_again_and_rejected_when_patience_ends():
    house, fault = House(), UnfinishedImage("ends in the middle")
    async with house.running():
        young = house.write(fault, at_rest_s=4.9)
        await rest()
        assert house.watcher.asked_again == [young]
        assert house.ledger.outcomes() == []
        old = house.write(fault, at_rest_s=5.0, name="old.png")
    assert house.watcher.asked_again == [young]
    [(entry, verdict, kept, heatmap)] = house.ledger.entries
    assert (entry.path, entry.outcome) == (str(old.path), "rejected")
    assert entry.reason == f"{fault}; unchanged for 5 s"
    assert (verdict, kept, heatmap, entry.sha256) == (None, None, None, None)
    assert entry.done_at == house.clock()
    assert house.sink.told == []


@in_no_time
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied"),
        (OSError(5, "I/O error"), "[Errno 5] I/O error"),
        (OSError(24, "Too many open files"), "[Errno 24] Too many open files"),
        (MemoryError(), "not memory enough to open it"),
    ],
)
async def test_what_may_not_be_read_is_pending_with_its_reason_until_it_may(fault, reason):
    house = House()
    async with house.running():
        one = house.write(fault, at_rest_s=5.0)
        await rest()
        house.watcher.drop(*house.watcher.asked_again)
        await rest()
        assert house.watcher.asked_again == [one, one]
        [(entry, *_)] = house.ledger.entries
        assert (entry.outcome, entry.reason, entry.done_at) == ("pending", reason, None)
        house.decoder.put(one.path, picture())
        house.watcher.drop(one)
    assert house.ledger.outcomes() == ["pending", "judged"]
    assert house.sink.statuses() == ["GOOD"]


@in_no_time
async def test_what_was_handed_in_by_hand_and_may_not_be_read_is_rejected_when_patience_ends():
    house = House()
    async with house.running():
        house.write(PermissionError(13, "Permission denied"), at_rest_s=5.0, submission=7)
    assert house.ledger.outcomes() == ["rejected"]
    assert house.watcher.asked_again == []


@in_no_time
async def test_each_folder_has_a_patience_of_its_own():
    house = House()
    house.watcher.patience_s = 60
    async with house.running():
        slow = house.write(UnfinishedImage("ends in the middle"), at_rest_s=59)
        await rest()
        assert house.watcher.asked_again == [slow]
        house.write(UnfinishedImage("ends in the middle"), at_rest_s=60, name="old.png")
    assert house.ledger.outcomes() == ["rejected"]


@in_no_time
async def test_a_file_finished_at_its_second_look_is_judged():
    house = House()
    async with house.running():
        one = arrival()
        house.decoder.put(one.path, UnfinishedImage("ends in the middle"), picture())
        house.watcher.drop(one)
        await rest()
        house.watcher.drop(*house.watcher.asked_again)
    assert house.sink.statuses() == ["GOOD"]


@in_no_time
async def test_what_is_no_image_is_rejected_at_once_with_its_reason():
    house = House()
    with capture_logs() as lines:
        async with house.running():
            one = house.write(UnreadableImage("is a text"), at_rest_s=0.0)
    [(entry, *_)] = house.ledger.entries
    assert (entry.outcome, entry.reason) == ("rejected", "is a text")
    assert lines == [
        {
            "event": "file_rejected",
            "log_level": "warning",
            "path": str(one.path),
            "plot": PLOT,
            "reason": "is a text",
            "part": "pipeline",
        }
    ]


@in_no_time
async def test_a_file_that_vanished_is_accounted_for():
    house = House()
    async with house.running():
        gone = arrival(name="gone.png")
        house.watcher.drop(gone)
    [(entry, *_)] = house.ledger.entries
    assert (entry.outcome, entry.reason) == ("rejected", "gone before it could be read")
    assert entry.gone
    assert house.watcher.gone == [gone]


@in_no_time
async def test_a_rejected_file_changes_nothing_of_its_plot():
    house = House()
    async with house.running():
        await house.see("good")
        before = house.roster.shown(PLOT)
        await house.see(UnreadableImage("is a text"))
    assert house.roster.shown(PLOT) is before
    assert house.sink.told == [before]


# ---- many plots ----------------------------------------------------------------------------------------------------


@in_no_time
async def test_a_plot_whose_model_is_slow_holds_up_no_other():
    house = House()
    async with house.running(attendants=2):
        with house.classifier.held(PLOT):
            for age_s in (2, 1, 0):
                house.write(f"slow {age_s}", age_s=age_s)
            await rest()
            await house.see(*[f"quick {n}" for n in range(5)], plot="FDC_hits", every_s=0.1)
            assert house.sink.statuses(PLOT) == []
            assert house.sink.statuses("FDC_hits") == ["GOOD"] * 5
        await rest()
        assert house.ledger.outcomes().count("superseded") == 2
    assert house.classifier.most_at_work[PLOT] == 1


files = st.lists(
    st.tuples(
        st.sampled_from(["A_1", "A_2", "B_1"]),
        st.integers(0, 200),
        st.sampled_from(
            ["good", "bad", "empty", UnreadableImage("text"), UnfinishedImage("torn"), FileNotFoundError(2, "gone")]
        ),
        st.sampled_from([0.0, 0.02, 0.2]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(files, st.integers(1, 4))
@in_no_time
async def test_every_file_is_accounted_for_and_the_newest_is_what_is_shown(history, attendants):
    house = House()
    house.classifier.says = {"bad": prediction("Bad"), "empty": prediction("NoData"), "good": prediction("Good")}
    written = {}
    async with house.running(attendants):
        for n, (plot, age_s, content, pause_s) in enumerate(history):
            one = house.write(content, plot=plot, age_s=age_s, name=f"{n}.png", at_rest_s=10)
            written[str(one.path)] = (one, content)
            await asyncio.sleep(pause_s)
        await rest()
    accounts = house.ledger.by_path()
    assert len(house.ledger.entries) == len(accounts) == len(written)
    for path, (_, content) in written.items():
        assert (accounts[path].outcome == "rejected") is isinstance(content, Exception)
    for plot in ("A_1", "A_2", "B_1"):
        judged = [one for one, content in written.values() if one.plot == plot and not isinstance(content, Exception)]
        told = [verdict for verdict in house.sink.told if verdict.plot == plot]
        assert [verdict.taken_at for verdict in told] == sorted(verdict.taken_at for verdict in told)
        if judged:
            assert told[-1].taken_at == max(one.taken_at for one in judged)
            assert house.roster.shown(plot) is told[-1]
        else:
            assert told == []


# ---- a disk that is away -------------------------------------------------------------------------------------------


@in_no_time
async def test_while_the_disk_is_away_verdicts_are_told_and_nothing_is_lost():
    house = House()
    house.ledger.away = True
    async with house.running():
        one = house.write("first", says="Bad")
        house.write(UnreadableImage("is a text"), plot="FDC_hits")
        await asyncio.sleep(300)
        assert house.sink.statuses() == ["SUSPECT"]
        assert house.ledger.outcomes() == []
        assert len(house.pipeline.backlog) == 2
        second = house.write("second", age_s=-1)
        await rest()
        assert house.sink.statuses() == ["SUSPECT"]  # one image of a plot at a time
        house.ledger.away = False
        await asyncio.sleep(30)
    assert sorted(house.ledger.outcomes()) == ["judged", "judged", "rejected"]
    assert {str(one.path), str(second.path)} <= set(house.ledger.by_path())


@in_no_time
async def test_while_the_disk_is_away_statuses_go_on_growing_stale():
    house = House()
    async with house.running():
        await house.see("a")
        await house.see("b", plot="FDC_hits", every_s=0)
        house.ledger.away = True
        house.clock.advance(121)
        with capture_logs() as lines:
            await house.pipeline.look_again()
            await house.pipeline.look_again()
            assert house.sink.statuses(PLOT) == ["GOOD", "STALE"]
            assert house.sink.statuses("FDC_hits") == ["GOOD", "STALE"]
            assert house.ledger.notes == []
            house.beam.beam = OFF
            await house.pipeline.look_again()
            house.ledger.away = False
            await house.pipeline.look_again()
            await house.pipeline.look_again()
    assert [(verdict.plot, verdict.status.name) for verdict in house.ledger.notes] == [
        (PLOT, "STALE"),
        ("FDC_hits", "STALE"),
        (PLOT, "NOBEAM"),
        ("FDC_hits", "NOBEAM"),
    ]
    said = [line["event"] for line in lines if line["event"] != "status_changed"]
    assert said == ["cannot_note", "noted_after_all"]


# ---- time, beam and people -----------------------------------------------------------------------------------------


@in_no_time
async def test_what_time_alters_is_told_and_kept_once():
    house = House()
    async with house.running():
        await house.see("good")
        house.clock.advance(121)
        await house.pipeline.look_again()
        await house.pipeline.look_again()
    assert house.sink.statuses() == ["GOOD", "STALE"]
    assert [verdict.cause for verdict in house.ledger.notes] == [Cause.CLOCK]


@in_no_time
async def test_what_a_person_alters_is_told_as_such():
    house = House()
    async with house.running():
        await house.see("good")
        house.roster.change(Change("enabled", 0, "ana", "desk", house.clock(), "ca", plot=PLOT))
        await house.pipeline.look_again(Cause.CHANGE)
    assert house.sink.statuses() == ["GOOD", "DISABLED"]
    assert house.ledger.notes[0].cause is Cause.CHANGE


class SlowSink(FakeSink):
    """Is still busy with its first verdict when the next is given."""

    def __init__(self):
        super().__init__("slow")
        self.gate = asyncio.Event()

    async def tell(self, verdict):
        self.told.append(verdict)
        await self.gate.wait()


@in_no_time
async def test_what_no_longer_holds_is_told_to_nobody():
    house = House(sinks=0)
    slow, last = SlowSink(), FakeSink()
    slow.gate.set()
    house.pipeline.sinks = [slow, last]
    async with house.running():
        await house.see("a")
        await house.see("b", plot="FDC_hits", every_s=0)
        slow.gate.clear()
        house.clock.advance(121)
        look = asyncio.create_task(house.pipeline.look_again())
        await rest()
        assert slow.told[-1].status is Status.STALE  # and this is as far as it came
        house.write("bad", says="Bad")
        house.write("bad too", plot="FDC_hits", says="Bad")
        await rest()
        slow.gate.set()
        await look
    for plot in (PLOT, "FDC_hits"):
        assert last.statuses(plot)[-1] == "SUSPECT"
        assert slow.statuses(plot)[-1] == "SUSPECT"
        assert house.roster.shown(plot).status is Status.SUSPECT
    assert len(house.ledger.notes) == 2  # history has them all the same


@in_no_time
async def test_a_pipeline_that_is_stopped_lets_go_of_what_it_had_in_hand():
    house = House()
    with house.classifier.held(PLOT):
        async with house.running():
            house.write()
            await rest()
            assert len(house.pipeline.backlog) == 1
    assert len(house.pipeline.backlog) == 0
    assert house.ledger.outcomes() == []


def test_the_clock_of_the_house_is_utc():
    before = datetime.now(UTC)
    assert before <= utc_now() <= datetime.now(UTC)
    assert utc_now().utcoffset() == timedelta(0)


# ---- models that change places, and models in shadow ----


@in_no_time
async def test_an_image_whose_model_was_replaced_meanwhile_is_asked_of_the_one_that_serves():
    house = House()
    async with house.running():
        with house.classifier.held(PLOT):
            house.write("peak")
            await rest()
            house.classifier.cards[PLOT] = card("m2", threshold=0.99)
        house.classifier.says["peak"] = prediction("Good", 0.97, model="m2")
        await rest()
    [verdict] = house.sink.told
    assert (verdict.model, verdict.status, verdict.confirmed) == ("m2", Status.SUSPECT, False)


@in_no_time
async def test_a_model_that_fails_as_it_goes_is_no_failure_of_the_one_that_came():
    house = House()
    house.classifier.says["peak"] = BundleError("the classifier stopped")
    async with house.running():
        with house.classifier.held(PLOT):
            house.write("peak")
            await rest()
            house.classifier.cards[PLOT] = card("m2")
        house.classifier.says["peak"] = prediction(model="m2")
        await rest()
    [verdict] = house.sink.told
    assert (verdict.model, verdict.status) == ("m2", Status.GOOD)


@in_no_time
async def test_a_shadow_judges_along_by_its_own_thresholds_and_changes_nothing():
    house = House()
    house.classifier.in_shadow = [card("s1", threshold=0.9), card("s2", threshold=0.5)]
    house.classifier.whispers = {"s1": prediction("Bad", 0.8, model="s1"), "s2": prediction("Bad", 0.8, model="s2")}
    async with house.running(), along(house):
        await house.see("one", "one", "two")
    [first, _, second] = house.sink.told
    assert [(verdict.key, said.model, sure) for verdict, said, sure in house.ledger.opinions] == [
        (first.key, "s1", False), (first.key, "s2", True), (second.key, "s1", False), (second.key, "s2", True),
    ]  # fmt: skip
    assert house.sink.statuses() == ["GOOD"] * 3


@in_no_time
async def test_shadows_wait_until_nobody_else_does():
    house = House()
    house.classifier.in_shadow = [card("s1")]
    async with house.running(), along(house):
        with house.classifier.held("FDC_hits"):
            house.write("fdc", plot="FDC_hits")
            house.write("peak")
            await rest()
            await rest()
            assert [verdict.plot for verdict in house.sink.told] == [PLOT]
            assert ("s1", "peak") not in house.classifier.asked
        await rest()
        await rest()
    assert {content for name, content in house.classifier.asked if name == "s1"} == {"peak", "fdc"}


@in_no_time
async def test_a_shadow_is_not_asked_of_a_file_that_has_changed_or_gone():
    house = House()
    house.classifier.in_shadow = [card("s1")]
    async with house.running(), along(house):
        one, two, three = house.write("one"), house.write("two", plot="A"), house.write("three", plot="B")
        house.decoder.put(one.path, picture("one"), picture("another"))
        house.decoder.put(two.path, picture("two"), FileNotFoundError())
        house.decoder.put(three.path, picture("three"), picture("three"))
        await rest()
        await rest()
    assert [said.model for _, said, _ in house.ledger.opinions] == ["s1"]
    assert house.ledger.opinions[0][0].plot == "B"
    assert len(house.sink.told) == 3


@in_no_time
async def test_a_shadow_that_cannot_answer_silences_no_other():
    house = House()
    house.classifier.in_shadow = [card("s1"), card("s2")]
    house.classifier.whispers["s1"] = BundleError("no memory")
    async with house.running(), along(house):
        with capture_logs() as lines:
            await house.see("one")
    assert [said.model for _, said, _ in house.ledger.opinions] == ["s2"]
    assert [line["model"] for line in lines if line["event"] == "shadow_silent"] == ["s1"]


@asynccontextmanager
async def along(house):
    """Shadows at work."""
    shadowing = Shadowing(house.pipeline)
    house.pipeline.judged = shadowing.hear
    task = asyncio.create_task(shadowing.run())
    yield
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
