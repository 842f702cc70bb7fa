"""The beam's IOC dies, freezes, talks nonsense: the beam is UNKNOWN then, never taken for off, and known afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from accounts import image_verdicts
from epics_env import BeamIoc
from heard import Event
from trial import BAD, LONG, Trial

from hydrad.domain import BeamState, Severity, Status
from hydrad.store.queries import Store

CURRENT = 200.0
STALE_S = 5.0  # of the beam; 40 by default
ROUNDS, PLOTS = (2, 20) if LONG else (1, 3)
LONG_OUTAGE_S = 240.0  # in place of an hour: 48 times as long as it takes the beam to be UNKNOWN
QUIET_S = 30.0  # after which a plot without images is stale
EMPTY = {"Good": 0.02, "Bad": 0.03, "NoData": 0.95}
PATIENCE_S = 120.0
Trials = Callable[..., Trial]


@dataclass(slots=True)
class Machine:
    """The IOCs that tell of current and permit."""

    beam: BeamIoc
    permit: BeamIoc

    def start(self) -> None:
        self.permit.start()
        self.revive()

    def revive(self) -> None:
        self.beam.start()
        self.put(CURRENT)

    def put(self, current: float | str, severity: str = "") -> None:
        self.beam.put("CURRENT", current, severity)

    def section(self) -> str:
        return (
            f'[beam]\nkind = "epics"\npv = "{self.beam.pv("CURRENT")}"\nwindow_s = 1\nstale_s = {STALE_S}\n'
            f'permit_pv = "{self.permit.pv("PERMIT")}"\npermit_value = 6\n'
        )


FAULTS: dict[str, tuple[Callable[[Machine], object], Callable[[Machine], object]]] = {
    "IOC killed -9 and started again": (lambda m: m.beam.kill(), Machine.revive),
    "IOC frozen and thawed": (lambda m: m.beam.freeze(), lambda m: m.beam.thaw()),
    "reads NaN": (lambda m: m.put("nan"), lambda m: m.put(CURRENT)),
    "is INVALID": (lambda m: m.put(CURRENT, "INVALID"), lambda m: m.put(CURRENT)),
    "permit PV lost": (lambda m: m.permit.kill(), lambda m: m.permit.start()),
}
# What an image of each kind is called with beam, and while the beam is not known.
CALLED = {"bad": (BAD, Status.BAD, Status.BAD), "empty": (EMPTY, Status.NODATA, Status.SUSPECT)}


@pytest.fixture
def machine() -> Iterator[Machine]:
    with BeamIoc() as beam, BeamIoc() as permit:
        yield Machine(beam, permit)


def beam_events(hall: Trial) -> list[Event]:
    return hall.clients.events("BEAM:STATE")


def until_beam(hall: Trial, state: BeamState) -> float:
    """Wait until clients hear of this state; when they did."""
    hall.until(lambda: beam_events(hall) and beam_events(hall)[-1].value == state.value, PATIENCE_S)
    return beam_events(hall)[-1].at


def expect(hall: Trial, wanted: dict[Path, Status]) -> None:
    """Say what is wrong about the verdicts on these files."""
    hall.settled()
    with Store(hall.url) as store:
        was = {said.path: said.status for said in image_verdicts(store)}
    hall.found.wrong += [
        f"{path.name} was {was[str(path)].name}, not {status.name}"
        for path, status in wanted.items()
        if was[str(path)] is not status
    ]


@contextmanager
def unknown(hall: Trial, machine: Machine, fault: str) -> Iterator[None]:
    """The fault befalls the beam, which is UNKNOWN, and INVALID, and stays so until it is mended."""
    begin, end = FAULTS[fault]
    begin(machine)
    hall.tries += 1
    lost_at = until_beam(hall, BeamState.UNKNOWN)
    time.sleep(1.0)  # so that a window of a second knows nothing else
    yield
    mended_at = time.monotonic()
    meanwhile = [
        event for event in hall.clients.events() if lost_at <= event.at <= mended_at and event.name is not None
    ]
    for event in meanwhile:
        if event.name == "BEAM:STATE" and (event.value, event.severity) != (BeamState.UNKNOWN.value, Severity.INVALID):
            hall.found.wrong.append(f"BEAM:STATE was {event.value} while {fault}")
        if event.name is not None and event.name.endswith(":STATUS") and event.value == Status.NOBEAM:
            hall.found.wrong.append(f"{event.name} was NOBEAM while {fault}")
    current = [event for event in hall.clients.events("BEAM:CURRENT") if event.at <= mended_at]
    if current[-1].severity != Severity.INVALID:
        hall.found.wrong.append(f"BEAM:CURRENT was not INVALID while {fault}")
    end(machine)
    until_beam(hall, BeamState.ON)
    time.sleep(1.5)


def plots(hall: Trial, word: str) -> list[Path]:
    return [hall.write(f"CDC_{word}{n}.png") for n in range(PLOTS)]


def watched(*words: str) -> list[str]:
    return ["BEAM:STATE", "BEAM:CURRENT", *(f"CDC:{word.upper()}{n}:STATUS" for word in words for n in range(PLOTS))]


@pytest.mark.parametrize("kind", CALLED if LONG else ["empty"])
@pytest.mark.parametrize("fault", FAULTS if LONG else ["reads NaN"])
def test_a_beam_that_cannot_be_trusted_is_unknown_and_never_taken_for_off(
    trial: Trials, machine: Machine, fault: str, kind: str
) -> None:
    scores, with_beam, in_doubt = CALLED[kind]
    machine.start()
    with trial(
        f"beam: {fault} ({kind} images)", beam=machine.section(), scores=scores, statuses={with_beam, in_doubt},
        never=(Status.GOOD,), watch=watched("before0", "during0", "after0"),
    ) as hall:  # fmt: skip
        hall.start()
        until_beam(hall, BeamState.ON)
        time.sleep(1.5)
        for n in range(ROUNDS):
            expect(hall, dict.fromkeys(plots(hall, f"before{n}"), with_beam))
            with unknown(hall, machine, fault):
                expect(hall, dict.fromkeys(plots(hall, f"during{n}"), in_doubt))
            expect(hall, dict.fromkeys(plots(hall, f"after{n}"), with_beam))


@pytest.mark.skipif(not LONG, reason="minutes")
def test_a_beam_that_is_away_for_long_comes_back_by_itself(trial: Trials, machine: Machine) -> None:
    machine.start()
    fault = next(iter(FAULTS))
    with trial(
        f"beam: IOC away for {LONG_OUTAGE_S / 60:.0f} min with stale_s = {STALE_S:g}, as for an hour",
        beam=machine.section(), scores=EMPTY, statuses={Status.NODATA, Status.SUSPECT}, never=(Status.GOOD,),
        defaults=f"stale_s = {QUIET_S}", watch=[*watched("quiet", "during"), "SUMMARY"],
    ) as hall:  # fmt: skip
        hall.start()
        until_beam(hall, BeamState.ON)
        time.sleep(1.5)
        expect(hall, dict.fromkeys(plots(hall, "quiet"), Status.NODATA))
        with unknown(hall, machine, fault):
            began = time.monotonic()
            while time.monotonic() - began < LONG_OUTAGE_S:
                expect(hall, dict.fromkeys(plots(hall, "during"), Status.SUSPECT))
                time.sleep(QUIET_S / 6)
            quiet = hall.clients.events("CDC:QUIET0:STATUS")[-1]
            assert (quiet.value, quiet.severity) == (Status.STALE, Severity.INVALID)
        expect(hall, dict.fromkeys(plots(hall, "after"), Status.NODATA))


@pytest.mark.skipif(not LONG, reason="a minute")
def test_a_beam_that_flickers_loses_no_image_and_lets_none_be_green(trial: Trials, machine: Machine) -> None:
    machine.start()
    with trial(
        "beam: on and off 20 times a second", beam=machine.section(), statuses={Status.BAD, Status.NOBEAM},
        never=(Status.GOOD,), watch=watched("flicker", "after"),
    ) as hall:  # fmt: skip
        hall.start()
        until_beam(hall, BeamState.ON)
        for flip in range(1200):
            machine.put(0.0 if flip % 2 else CURRENT)
            hall.tries += 1
            if flip % 20 == 0:
                plots(hall, "flicker")
            time.sleep(0.05)
        machine.put(CURRENT)
        until_beam(hall, BeamState.ON)
        time.sleep(1.5)
        expect(hall, dict.fromkeys(plots(hall, "after"), Status.BAD))
