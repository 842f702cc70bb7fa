"""Writes the table of all PVs into docs/reference/pvs.md, from the records as they are served.

Usage: ``pv_table.py [--write]``; without it the page as it should be goes to the terminal.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from hydrad import config
from hydrad.domain import Change, Rules
from hydrad.ioc.fields import FTVL
from hydrad.ioc.records import Analog, Record, States, Text
from hydrad.ioc.server import Ioc
from hydrad.ioc.waveforms import Array

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "pvs.md"
BEGIN, END = "<!-- begin: scripts/pv_table.py -->\n", "<!-- end -->\n"
PREFIX, MIRROR = "ZZ:", "MM:"
WORDS = (("ZZ:DET:QQ:", "P<DET>:<PLOT>:"), ("ZZ:DET", "P<DET>"), ("ZZ:", "P"), ("LABEL", "<LABEL>"))

MEANINGS = {
    "P<DET>:<PLOT>:STATUS": "the plot's status; the severity of each state is in `.ZRSV`, `.ONSV` …",
    "P<DET>:<PLOT>:CONF": "confidence of the label; NaN and INVALID where there is none",
    "P<DET>:<PLOT>:CLASS": "the label that the model gave the newest image",
    "P<DET>:<PLOT>:MSG": "why the status is as it is",
    "P<DET>:<PLOT>:AGE": "age of the newest image",
    "P<DET>:<PLOT>:NBAD": "bad or empty images in a row",
    "P<DET>:<PLOT>:RUN": "run of the newest image",
    "P<DET>:<PLOT>:ONDELAY": "bad or empty images that raise the alarm: in a row, or within ONWINDOW",
    "P<DET>:<PLOT>:OFFDELAY": "good images that end it: in a row, or within OFFWINDOW",
    "P<DET>:<PLOT>:ONWINDOW": "images within which those of ONDELAY must come; up to ONDELAY: in a row",
    "P<DET>:<PLOT>:OFFWINDOW": "images within which those of OFFDELAY must come; up to OFFDELAY: in a row",
    "P<DET>:<PLOT>:ENABLE": "0: DISABLED for good",
    "P<DET>:<PLOT>:SHELVE": "DISABLED for so long; reads what is left; 0 takes it off the shelf",
    "P<DET>:<PLOT>:REASON": "why it is off or shelved: write it before or after; empty when that is over",
    "P<DET>:<PLOT>:THRESH:<LABEL>": "from this confidence on the label is confirmed",
    "P<DET>:STATUS": "status of the detector's worst plot",
    "P<DET>:CONF": "its confidence",
    "P<DET>:CLASS": "its label",
    "P<DET>:MSG": "its name and why its status is as it is",
    "P<DET>:AGE": "age of its image",
    "P<DET>:NBAD": "plots of the detector that are BAD or NODATA",
    "P<DET>:PLOT": "the worst plot's name",
    "P<DET>:FLOOD": "more of its plots alarm than `flood_above`: the detector alarms in their place, which is MAJOR",
    "P<DET>:ENABLE": "0: all plots of the detector DISABLED for good",
    "P<DET>:REASON": "why the detector is off: write it before or after",
    "PSUMMARY": "status of the hall's worst detector; parent for masking",
    "PNBAD": "plots of the hall that are BAD or NODATA",
    "PNSTALE": "plots of the hall that are STALE",
    "PBEAM:CURRENT": "beam current; INVALID with LINK when it is lost",
    "PRUN:NUMBER": "number of the run that is going: by its PV, else by the newest image's path",
    "PRUN:STATE": "IDLE: nothing becomes STALE; UNKNOWN: a run is assumed to be going",
    "PRUN:TYPE": "type of the run; in a masked one nothing alarms",
    "PBEAM:STATE": "OFF, ON or UNKNOWN; UNKNOWN is INVALID with LINK",
    "PBEAM:MIN": "the beam is on at this current and above (`beam.on_above`)",
    "PWATCHDOG": "whether the pipeline gets on: DEGRADED is MINOR, STALLED is MAJOR",
    "PDB:STATUS": "whether the data base answers; a fault is MINOR",
    "PMODEL:STATUS": "whether all models could be loaded and find their known-bad images bad; a fault is MAJOR",
    "PCANARY:STATUS": "what came of the known-bad image that is sent now and then: BAD, without an alarm, is as it "
    "should be; UNKNOWN: it has not come out; DISABLED: none is sent",
    "PCANARY:MSG": "the same in words",
    "PCANARY:AGE": "since the known-bad images of all models last came out BAD",
    "PCANARY:LATENCY": "from its file to the data base, the slowest of the last ones",
    "PRATE": "images judged in a second, over the last minute",
    "PLATENCY": "from file to PV, 99 % within, over the last minute",
    "PPENDING": "files waiting",
    "PMSG": "the last refused put: who, what, why",
    "PHEARTBEAT": "counts seconds since the start",
    "PUPTIME": "time since the start",
    "PSTARTTOD": "when it started",
    "PVERSION": "version of hydrad",
    "PHOSTNAME": "the host it runs on",
    "PPROCESS_ID": "its process",
    "PCA_CLNT_CNT": "clients that are connected",
    "PMEM_USED": "memory in use",
    "M<Plot>": "P(good) - P(bad) of a plot, its name in its own case",
    "Mwf": "the same of all plots, in the order in which they were first seen; posted once a second at most",
    "Mwfnames": "names of the PVs that `wf` is of, each cut at 39 characters",
}


class Nobody:
    """Takes nothing: the records are only looked at."""

    async def put(self, change: Change) -> None:
        """Nobody puts."""


async def served() -> list[Record]:
    """The records of a hall with one plot and one label."""
    ioc = Ioc(config.Ioc(prefix=PREFIX, mirror=MIRROR), controls=Nobody(), hall="X", units="nA")
    await ioc.show_rules("DET_QQ", Rules("DET", thresholds={"label": 0.5}))
    return list(ioc.pvs)


def called(name: str) -> str:
    """A PV as the table calls it."""
    if name.startswith(MIRROR):
        return name.replace("MM:DET_QQ", "M<Plot>").replace(MIRROR, "M")
    for word, shown in WORDS:
        name = name.replace(word, shown, 1)
    return name


def holds(record: Record) -> str:
    """What its value may be."""
    if isinstance(record, States):
        return " ".join(record.states)
    if isinstance(record, Analog):
        span = f"{record.lopr:g} to {record.hopr:g}" if record.lopr < record.hopr else ""
        return f"{span} {record.units}".strip()
    if isinstance(record, Array):
        return f"many {FTVL[record.element_type].lower()}s"
    return f"{record.capacity} characters" if isinstance(record, Text) else ""


def lines(records: list[Record]) -> Iterator[str]:
    """The table: plots first, then detectors, the hall and the mirror."""
    order = {name: n for n, name in enumerate(MEANINGS)}
    shown = {called(record.name): record for record in records}
    if set(shown) != set(order):
        sys.exit(f"say what these mean, or that they are gone: {sorted(set(shown) ^ set(order))}")
    yield "| PV | record | value | meaning | who may put |"
    yield "|---|---|---|---|---|"
    for name in sorted(shown, key=order.__getitem__):
        record = shown[name]
        groups = " or ".join(f"`{group}`" for group in record.groups)
        yield f"| `{name}` | {record.rtyp} | {holds(record)} | {MEANINGS[name]} | {groups} |"


def main() -> None:
    """Put the table where its place is."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page = f"{before}{BEGIN}" + "".join(f"{line}\n" for line in lines(asyncio.run(served()))) + f"{END}{after}"
    if "--write" in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)


if __name__ == "__main__":
    main()
