"""What of a new hydra.toml comes into force while working, what waits, and what a wrong one does: nothing."""

from __future__ import annotations

import pytest
from fakes import configuration
from structlog.testing import capture_logs

from hydrad.config import Config
from hydrad.errors import ConfigurationError
from hydrad.reload import DAEMON, PAGES, Rereading, merge

EPICS = {"kind": "epics", "pv": "IBEAM"}
CDC = {"name": "CDC", "plots": ["CDC_*"], "guidance": "Call.", "stale_s": 300}
FDC = {"name": "FDC"}


def merged(before, after, keys=DAEMON):
    return merge(configuration(**before), configuration(**after), keys)


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({}, {"defaults": {"on_delay": 3, "stale_s": 60}}, ["defaults.stale_s", "defaults.on_delay"]),
        ({"detector": [CDC]}, {"detector": [CDC | {"guidance": "Look."}]}, ["detector.CDC.guidance"]),
        ({"detector": [CDC]}, {"detector": [CDC | {"expert": "ana"}]}, ["detector.CDC.expert"]),
        ({"detector": [FDC]}, {"detector": [FDC | {"needs_beam": False, "off_delay": 5}]},
         ["detector.FDC.needs_beam", "detector.FDC.off_delay"]),
        ({}, {"saving": {"half_at": 10}}, ["saving.half_at"]),
        ({}, {"ioc": {"writers": ["ana@*"]}}, ["ioc.writers"]),
        ({}, {"store": {"keep_all_h": 1}}, ["store.keep_all_h"]),
        ({"beam": EPICS}, {"beam": EPICS | {"on_above": 9.0, "off_below": 4.0, "noise_above": 900.0}},
         ["beam.on_above", "beam.off_below", "beam.noise_above"]),
        ({}, {"web": {"port": 8001}, "train": {"epochs": 3}, "logbook": {"kind": "elog", "folder": "x",
          "logbooks": ["a"]}, "mail": {"host": "m", "sender": "a@b.example"}}, []),
    ],
)  # fmt: skip
def test_what_the_daemon_can_change_while_it_works_it_changes(before, after, changed):
    found = merged(before, after)
    assert (found.changed, found.waiting) == (changed, [])
    held, wanted = configuration(**before), configuration(**after)
    for name in changed:
        section, _, _ = name.partition(".")
        assert getattr(found.config, section) == getattr(wanted, section) != getattr(held, section)


@pytest.mark.parametrize(
    ("before", "after", "waiting"),
    [
        ({}, {"hall": {"name": "X"}}, ["hall.name"]),
        ({}, {"ioc": {"port": 5070, "prefix": "OTHER:"}}, ["ioc.prefix", "ioc.port"]),
        ({}, {"watch": [{"root": "x", "layout": "plain"}]}, ["watch"]),
        ({}, {"store": {"url": "sqlite:///other.db"}}, ["store.url"]),
        ({}, {"beam": EPICS}, ["beam"]),
        ({}, {"beam": {"kind": "fixed", "window_s": 9}}, ["beam.window_s"]),
        ({}, {"classify": {"kind": "fixed"}}, ["classify"]),
        ({"detector": [CDC]}, {"detector": [CDC | {"plots": ["*"]}]}, ["detector.CDC.plots"]),
        ({"detector": [CDC]}, {"detector": [CDC, FDC]}, ["detector.FDC"]),
        ({"detector": [CDC, FDC]}, {"detector": [FDC]}, ["detector.CDC"]),
        ({"detector": [CDC, FDC]}, {"detector": [FDC, CDC]}, ["the order of the detectors"]),
    ],
)
def test_what_a_restart_is_needed_for_stays_as_it_was_and_is_named(before, after, waiting):
    found = merged(before, after)
    assert (found.config, found.changed, found.waiting) == (configuration(**before), [], waiting)


def test_both_kinds_side_by_side_are_told_apart():
    found = merged(
        {"detector": [CDC]},
        {"detector": [CDC | {"plots": ["*"], "stale_s": 60}, FDC], "ioc": {"port": 5070, "writers": ["ana@*"]}},
    )
    assert found.changed == ["ioc.writers", "detector.CDC.stale_s"]
    assert sorted(found.waiting) == ["detector.CDC.plots", "detector.FDC", "ioc.port"]
    (detector,) = found.config.detector
    assert (detector.plots, detector.stale_s, found.config.ioc.port) == (("CDC_*",), 60, 5064)


def test_the_pages_take_over_what_they_show_and_what_they_use_of_their_own():
    found = merged(
        {"detector": [CDC]},
        {
            "detector": [CDC | {"guidance": "Look."}],
            "logbook": {"kind": "elog", "folder": "x", "logbooks": ["a"]},
            "train": {"epochs": 3},
            "web": {"port": 8001},
            "ioc": {"port": 5070},
        },
        PAGES,
    )
    assert found.changed == ["logbook", "train.epochs", "detector.CDC.guidance"]
    assert found.waiting == ["web.port"]


class Process:
    """Rereads what a test gives it to read."""

    def __init__(self, **before):
        self.taken, self.remarks = [], []
        self.reads = configuration(**before)
        self.reread = Rereading(self.reads, self.read, DAEMON, self.take, self.remarks.append)

    def read(self) -> Config:
        if isinstance(self.reads, Exception):
            raise self.reads
        return self.reads

    async def take(self, new):
        self.taken.append(new)


async def test_the_log_and_the_status_name_what_changed_and_what_waits():
    process = Process()
    process.reads = configuration(defaults={"on_delay": 3}, ioc={"port": 5070})
    with capture_logs() as lines:
        await process.reread()
    assert process.taken[-1].defaults.on_delay == 3
    assert process.remarks == ["a restart is needed for ioc.port"]
    reread, waits = lines
    assert (reread["event"], reread["changed"]) == ("configuration_reread", ["defaults.on_delay"])
    assert (waits["event"], waits["keys"]) == ("configuration_waits", ["ioc.port"])


async def test_a_wrong_file_changes_nothing_and_every_fault_of_it_is_in_the_log():
    process = Process()
    process.reads = ConfigurationError("ioc.port: is none", "hall.nane: is not known")
    with capture_logs() as lines:
        await process.reread()
    assert process.taken == []
    assert lines[0]["faults"] == ["ioc.port: is none", "hall.nane: is not known"]
    assert process.remarks == ["the new configuration is refused: ioc.port: is none"]
    process.reads = configuration()
    await process.reread()
    assert (process.taken, process.remarks[-1]) == ([], "")


async def test_a_file_that_says_what_holds_anyway_disturbs_nobody():
    process = Process(defaults={"on_delay": 3})
    await process.reread()
    assert (process.taken, process.remarks) == ([], [""])
