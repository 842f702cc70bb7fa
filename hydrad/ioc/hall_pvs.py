"""The PVs of the hall: its worst detector, the beam, and how hydrad itself is."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import hydrad
from hydrad.domain import BeamState, Canary, Health, Run, RunState, Severity, Status, Vitals
from hydrad.ioc.alarm import QUIET, Alarm, Condition, worse
from hydrad.ioc.detector_pvs import DetectorPvs
from hydrad.ioc.names import Names
from hydrad.ioc.plot_pvs import NO_RUN, OVER, SEVERITIES, STATUSES, clean
from hydrad.ioc.records import Analog, Putter, Record, States, String, Text, Whole
from hydrad.ranking import worst

LOST = Alarm(Condition.LINK, Severity.INVALID)
_STATM = Path("/proc/self/statm")


class HallPvs:
    """What there is once.

    Args:
        units: of the beam current.
        least: takes what is put to BEAM:MIN.
    """

    def __init__(self, names: Names, hall: str, units: str, *, least: Putter, now: datetime) -> None:
        about = f"Hall {hall}"
        self.summary = States(names.hall("SUMMARY"), f"{about}: worst detector"[:40], STATUSES, SEVERITIES)
        self.nbad = Whole(names.hall("NBAD"), f"{about}: plots that are bad"[:40])
        self.nstale = Whole(names.hall("NSTALE"), f"{about}: plots without new images"[:40])
        self.current = Analog(names.hall("BEAM:CURRENT"), f"{about}: beam current"[:40], units=units, precision=2)
        self.beam = States(
            names.hall("BEAM:STATE"),
            f"{about}: beam"[:40],
            tuple(state.name for state in BeamState),
            (Severity.NO_ALARM, Severity.NO_ALARM, Severity.INVALID),
        )
        self.least = Analog(
            names.hall("BEAM:MIN"),
            f"{about}: beam is on from"[:40],
            units=units,
            precision=2,
            putter=least,
            groups=("beam",),
        )
        self.run = Whole(names.hall("RUN:NUMBER"), f"{about}: run"[:40])
        self.run_state = States(
            names.hall("RUN:STATE"),
            f"{about}: is a run going?"[:40],
            tuple(state.name for state in RunState),
            (Severity.NO_ALARM,) * len(RunState),
        )
        self.run_type = String(names.hall("RUN:TYPE"), f"{about}: type of the run"[:40])
        self.watchdog = States(
            names.hall("WATCHDOG"),
            "Does the pipeline get on?",
            tuple(health.name for health in Health),
            (Severity.NO_ALARM, Severity.MINOR, Severity.MAJOR),
        )
        self.database = _lamp(names.hall("DB:STATUS"), "Data base", Severity.MINOR)
        self.model = _lamp(names.hall("MODEL:STATUS"), "Models", Severity.MAJOR)
        self.canary = States(
            names.hall("CANARY:STATUS"),
            "Known-bad image: BAD is as it should be",
            STATUSES,
            [Severity.INVALID if status is Status.UNKNOWN else Severity.NO_ALARM for status in Status],
        )
        self.canary_says = Text(names.hall("CANARY:MSG"), "Known-bad image: what came of it")
        self.canary_age = Analog(names.hall("CANARY:AGE"), "Known-bad image: since it came out BAD", units="s")
        self.canary_latency = Analog(
            names.hall("CANARY:LATENCY"), "Known-bad image: file to data base", units="s", precision=3
        )
        self.rate = Analog(names.hall("RATE"), "Images in a second", units="1/s", precision=2)
        self.latency = Analog(names.hall("LATENCY"), "From file to PV, 99 % within", units="s", precision=3)
        self.pending = Analog(names.hall("PENDING"), "Files waiting")
        self.message = Text(names.hall("MSG"), "The last refused put")
        self.heartbeat = Whole(names.hall("HEARTBEAT"), "1 Hz counter since startup")
        self.uptime = String(names.hall("UPTIME"), "Elapsed time since start")
        self.clients = Analog(names.hall("CA_CLNT_CNT"), "Number of CA clients")
        self.memory = Analog(names.hall("MEM_USED"), "Memory in use", units="byte")
        self._prefix = names.hall("")
        self._began = now
        self._fixed = [
            _said(String(names.hall("STARTTOD"), "Time and date of startup"), f"{now:%m/%d/%Y %H:%M:%S}", now),
            _said(String(names.hall("VERSION"), "Version of hydrad"), hydrad.__version__, now),
            _said(String(names.hall("HOSTNAME"), "Host it runs on"), socket.gethostname(), now),
            _said(Analog(names.hall("PROCESS_ID"), "Process ID"), float(os.getpid()), now),
        ]
        self.message.post("", now.timestamp())
        self.heartbeat.post(0, now.timestamp())

    def records(self) -> Iterator[Record]:
        """All of them."""
        yield from (self.summary, self.nbad, self.nstale, self.current, self.beam, self.least, self.watchdog)
        yield from (self.run, self.run_state, self.run_type)
        yield from (self.canary, self.canary_says, self.canary_age, self.canary_latency)
        yield from (self.database, self.model, self.rate, self.latency, self.pending, self.message)
        yield from (self.heartbeat, self.uptime, self.clients, self.memory, *self._fixed)

    def leaf(self, record: Record) -> str:
        """What one of its PVs is called among them."""
        return record.name.removeprefix(self._prefix)

    def follow(self, detectors: Sequence[DetectorPvs], now: datetime) -> None:
        """Show the detector that now stands for all of them."""
        stands = worst(detector.showing for detector in detectors)
        if stands is not None:
            self.summary.post(stands.status.value, now.timestamp())
        self.nbad.post(sum(detector.faulty for detector in detectors), now.timestamp())
        self.nstale.post(sum(detector.stale for detector in detectors), now.timestamp())

    def show_vitals(self, vitals: Vitals, now: datetime) -> None:
        """Show beam and pipeline; a beam that is not known is INVALID/LINK."""
        stamp, beam = now.timestamp(), vitals.beam
        read = stamp if beam.read_at is None else beam.read_at.timestamp()
        lost = LOST if beam.state is BeamState.UNKNOWN else QUIET
        self.current.post(math.nan if beam.current is None else beam.current, read, lost)
        self.beam.post(beam.state.value, stamp, lost)
        self.least.post(vitals.beam_on_above, stamp)
        self._show_run(vitals.run, stamp)
        self.watchdog.post(vitals.health.value, stamp)
        self.database.post(int(not vitals.database_ok), stamp)
        self.model.post(int(not vitals.model_ok), stamp)
        self.rate.post(vitals.images_per_s, stamp)
        self.latency.post(vitals.latency_s, stamp)
        self.pending.post(float(vitals.pending), stamp)
        self._show_canary(vitals.canary, stamp)

    def _show_run(self, run: Run, stamp: float) -> None:
        lost = LOST if run.reason else QUIET  # without a reason nobody was asked
        self.run.post(run.number or 0, stamp, QUIET if run.number is not None else worse(lost, NO_RUN))
        self.run_state.post(run.state.value, stamp, lost if run.state is RunState.UNKNOWN else QUIET)
        self.run_type.post(clean(run.type), stamp, QUIET if run.type else lost)

    def _show_canary(self, canary: Canary, stamp: float) -> None:
        self.canary.post(canary.status.value, stamp)
        self.canary_says.post(clean(canary.says), stamp)
        self.canary_age.post(math.nan if canary.age_s is None else float(math.floor(canary.age_s)), stamp)
        self.canary_latency.post(math.nan if canary.latency_s is None else canary.latency_s, stamp)

    def tick(self, now: datetime, clients: int) -> None:
        """A second has passed."""
        stamp = now.timestamp()
        self.heartbeat.post(int(self.heartbeat.value) % (2**31 - 1) + 1, stamp)
        days, rest = divmod(max(0, int((now - self._began).total_seconds())), 86400)
        clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
        self.uptime.post(f"{days} day{'s' * (days > 1)}, {clock}" if days else clock, stamp)
        self.clients.post(float(clients), stamp)
        pages = int(_STATM.read_text().split()[1]) if _STATM.exists() else math.nan
        self.memory.post(float(pages * os.sysconf("SC_PAGE_SIZE")), stamp)

    def refuse(self, sentence: str, now: datetime) -> None:
        """Show why a put was refused, also when it was refused before."""
        self.message.post(clean(sentence), now.timestamp(), always=True)

    def end(self, stamp: float) -> None:
        """Nothing is known any more."""
        self.summary.post(Status.UNKNOWN.value, stamp, OVER)
        self.watchdog.post(Health.STALLED.value, stamp, OVER)
        self.current.post(math.nan, stamp, OVER)
        self.beam.post(BeamState.UNKNOWN.value, stamp, OVER)
        self.run_state.post(RunState.UNKNOWN.value, stamp, OVER)
        self.run.post(self.run.value, stamp, OVER)
        self.run_type.post(self.run_type.value, stamp, OVER)
        self.canary.post(Status.UNKNOWN.value, stamp, OVER)
        self.canary_says.post(self.canary_says.value, stamp, OVER)
        self.canary_age.post(math.nan, stamp, OVER)
        self.canary_latency.post(math.nan, stamp, OVER)
        for record in (self.nbad, self.nstale, self.rate, self.latency, self.pending, self.database, self.model):
            record.post(record.value, stamp, OVER)


def _lamp(name: str, desc: str, fault: Severity) -> States:
    return States(name, desc, ("OK", "Fault"), (Severity.NO_ALARM, fault))


def _said(record: Record, value: float | str, now: datetime) -> Record:
    record.post(value, now.timestamp())
    return record
