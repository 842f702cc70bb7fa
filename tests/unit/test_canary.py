"""When the canary is said to be well, blind, late or lost: the rule, on a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from fakes import NOON, ON
from structlog.testing import capture_logs

from hydrad.canary import Canaries
from hydrad.config import Canary as Section
from hydrad.domain import Cause, Health, Specimen, Status, Verdict
from hydrad.pulse import diagnose

PIXELS = np.zeros((2, 3, 3), np.uint8)
KNOWN = Specimen("m1", PIXELS, known_bad=True)
OTHER = Specimen("m2", PIXELS, known_bad=True)
UNKNOWN = Specimen("m3", PIXELS, known_bad=False, why_not="its bundle has no known-bad image")


def sha(path: str) -> str:
    return path.encode().hex().ljust(64, "0")


def verdict(status: Status, path: str, model: str = "m1", reason: str = "Good at 0.98") -> Verdict:
    return Verdict(
        key="k", plot=model, detector="m1", status=status, severity=status.severity, reason=reason, judged_at=NOON,
        cause=Cause.IMAGE, beam=ON, path=path,
    )  # fmt: skip


@dataclass
class Sky:
    """Canaries, the time, and a number for each that is sent."""

    now_s: float = 1000.0
    n: int = 0

    def __post_init__(self) -> None:
        self.canaries = Canaries(Section(every_s=300, within_s=60), clock=lambda: self.now_s)

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds

    def send(self, *specimens: Specimen) -> str:
        """Send what is due; the path of the last one."""
        self.canaries.keep(specimens or (KNOWN,))
        path = ""
        for specimen in self.canaries.due():
            self.n += 1
            path = f"{specimen.model}_{self.n}"
            self.canaries.sent(specimen.model, path, sha(path))
        return path

    def arrive(self, status: Status = Status.BAD) -> None:
        """The data base has all that was judged."""
        for bird in self.canaries.awaited():
            self.canaries.arrived(bird, bird.sha256, status)

    def show(self, **how: Any) -> Any:
        return self.canaries.show(**how)


@pytest.fixture
def sky() -> Sky:
    return Sky()


def test_one_that_comes_out_bad_and_arrives_is_well_and_says_how_long_it_took(sky: Sky) -> None:
    path = sky.send()
    assert (sky.show().status, sky.show().trouble, sky.show().age_s) == (Status.UNKNOWN, "", None)
    sky.pass_s(0.4)
    sky.canaries.judged(verdict(Status.BAD, path))
    sky.pass_s(0.2)
    sky.arrive()
    shown = sky.show()
    assert (shown.status, shown.trouble, shown.blind) == (Status.BAD, "", False)
    assert shown.says == "the known-bad image of m1 came out BAD"
    assert (shown.latency_s, shown.age_s) == (pytest.approx(0.6), pytest.approx(0.2))


def test_the_next_is_sent_when_its_time_has_come_and_not_before(sky: Sky) -> None:
    assert sky.send() == "m1_1"
    sky.pass_s(299)
    assert sky.send() == ""
    sky.pass_s(1)
    assert sky.send() == "m1_2"


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.BAD])
def test_whatever_else_a_known_bad_image_comes_out_as_is_said_at_once_and_until_one_comes_out_bad(
    sky: Sky, status: Status
) -> None:
    sky.canaries.judged(verdict(Status.BAD, sky.send()))
    sky.pass_s(300)
    path = sky.send()
    assert sky.show().trouble == ""
    sky.canaries.judged(verdict(status, path))
    shown = sky.show()
    assert (shown.status, shown.blind) == (status, True)
    assert shown.trouble == f"the known-bad image of m1 came out {status.name}: Good at 0.98"
    assert shown.age_s == 300
    sky.pass_s(300)
    path = sky.send()
    assert sky.show().blind
    sky.canaries.judged(verdict(Status.BAD, path))
    assert (sky.show().trouble, sky.show().blind) == ("", False)


def test_one_that_does_not_come_out_is_missed_after_its_time_and_forgiven_when_it_comes(sky: Sky) -> None:
    sky.canaries.judged(verdict(Status.BAD, sky.send()))
    sky.pass_s(300)
    path = sky.send()
    sky.pass_s(60)
    assert sky.show().trouble == ""
    sky.pass_s(1)
    shown = sky.show()
    assert (shown.status, shown.out_s) == (Status.UNKNOWN, 61)
    assert shown.trouble == "the known-bad image of m1 has not come out for 61 s"
    sky.canaries.judged(verdict(Status.BAD, path))
    sky.arrive()
    assert (sky.show().trouble, sky.show().out_s, sky.show().status) == ("", 0, Status.BAD)


def test_one_after_the_other_that_does_not_come_out_is_missed_since_the_first(sky: Sky) -> None:
    first = sky.send()
    sky.pass_s(300)
    second = sky.send()
    assert sky.show().out_s == 300
    sky.canaries.judged(verdict(Status.BAD, first))  # nobody waits for it any more
    assert sky.show().out_s == 300
    sky.canaries.judged(verdict(Status.BAD, second))
    assert sky.show().out_s == 0


def test_one_that_was_judged_and_does_not_arrive_is_missed_while_the_data_base_answers(sky: Sky) -> None:
    sky.canaries.judged(verdict(Status.BAD, sky.send()))
    for bird in sky.canaries.awaited():
        sky.canaries.arrived(bird, sha("another"), Status.BAD)
        sky.canaries.arrived(bird, bird.sha256, Status.GOOD)  # not what was found
    sky.pass_s(61)
    assert sky.show().trouble == "the known-bad image of m1 was judged, and is not in the data base after 61 s"
    assert not sky.show().blind
    assert sky.show(database_ok=False).trouble == ""
    sky.arrive()
    assert sky.show().trouble == ""


def test_one_that_cannot_be_written_is_said_and_tried_again(sky: Sky) -> None:
    sky.send()
    sky.canaries.not_sent("m1", "No space left on device")
    assert sky.show().trouble == "the canary of m1 cannot be written: No space left on device"
    assert not sky.canaries.due()
    sky.pass_s(60)
    path = sky.send()
    assert path
    sky.canaries.judged(verdict(Status.BAD, path))
    assert sky.show().trouble == ""


def test_one_that_is_rejected_is_said_and_is_not_the_models_fault(sky: Sky) -> None:
    sky.canaries.rejected("m1", sky.send(), "gone before it could be read")
    assert sky.show().trouble == "the canary of m1 was rejected: gone before it could be read"
    assert not sky.show().blind


def test_of_a_model_without_a_known_bad_image_any_verdict_will_do_and_that_is_said(sky: Sky) -> None:
    with capture_logs() as logs:
        path = sky.send(UNKNOWN)
    assert [line["why"] for line in logs] == ["its bundle has no known-bad image"]
    sky.canaries.judged(verdict(Status.GOOD, path, "m3"))
    shown = sky.show()
    assert (shown.status, shown.trouble, shown.blind) == (Status.GOOD, "", False)
    assert shown.says == "no canary of m3: its bundle has no known-bad image, so only the way is tested"
    sky.pass_s(300)
    sky.canaries.judged(verdict(Status.UNKNOWN, sky.send(UNKNOWN), "m3", reason="the model m3 could not judge this"))
    assert sky.show().trouble == "the test image of m3 came out UNKNOWN: the model m3 could not judge this"


def test_each_model_has_its_own_and_the_one_that_is_not_well_stands_for_all(sky: Sky) -> None:
    sky.send(KNOWN, OTHER)
    sky.canaries.judged(verdict(Status.BAD, "m1_1"))
    sky.canaries.judged(verdict(Status.GOOD, "m2_2", "m2"))
    assert (sky.show().status, sky.show().trouble) == (
        Status.GOOD,
        "the known-bad image of m2 came out GOOD: Good at 0.98",
    )


def test_a_model_that_serves_no_more_is_forgotten_with_its_file_and_a_new_one_is_tested_at_once(sky: Sky) -> None:
    path = sky.send(KNOWN)
    sky.canaries.judged(verdict(Status.GOOD, path))
    assert sky.canaries.keep([OTHER]) == [path]
    assert [specimen.model for specimen in sky.canaries.due()] == ["m2"]
    assert not sky.show().blind


def test_neither_the_canary_nor_any_image_for_long_is_a_stalled_pipeline() -> None:
    ticked = {"the classifier": 100.0}
    well = diagnose(100.0, ticked, troubles={"": False}, stuck_for_s=0, nothing_for_s=0)
    assert well.health is Health.OK
    lost = diagnose(100.0, ticked, troubles={"x": True}, stuck_for_s=0, nothing_for_s=300)
    assert (lost.health, lost.why) == (
        Health.STALLED, "no image was judged for 300 s, nor the canary that was sent",
    )  # fmt: skip
    assert not lost.silent  # so systemd does not start it anew
