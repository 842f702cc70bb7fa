"""Limits and severities that people set: in force before a PV is served, whatever stands in old settings."""

from __future__ import annotations

import pytest
from fakes import NOON
from structlog.testing import capture_logs

from hydrad import config
from hydrad.domain import Change, Rules, Severity
from hydrad.errors import ChangeRefused
from hydrad.ioc.controls import Who
from hydrad.ioc.fields import Field
from hydrad.ioc.records import Analog, States
from hydrad.ioc.server import Ioc
from hydrad.settings import Settings, keys_of_pvs, of_pv

PLOT = "CDC_occupancy"
ANA = Who("ana", "desk")


class Desk:
    """Takes what is put, or refuses all."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.changes: list[Change] = []
        self._refuses = refuses

    async def put(self, change: Change) -> None:
        if self._refuses:
            raise ChangeRefused("the disk is full")
        self.changes.append(change)


def set_to(leaf: str, field: str, value: float, **owner: str) -> Change:
    return Change(of_pv(leaf, field), value, "ana", "desk", NOON, "ca", **(owner or {"plot": PLOT}))


async def house(*changes: Change, desk: Desk | None = None) -> Ioc:
    ioc = Ioc(
        config.Ioc(prefix="T:", mirror="M:"), controls=desk or Desk(), changed=Settings(changes), hall="X", units="nA"
    )
    await ioc.show_rules(PLOT, Rules("CDC", thresholds={"Bad": 0.5}))
    return ioc


def field(ioc: Ioc, name: str) -> Field:
    found = ioc.pvs.find(name)
    assert isinstance(found, Field), name
    return found


async def test_what_was_set_is_there_when_the_pv_is() -> None:
    ioc = await house(
        set_to("STATUS", "THSV", 1), set_to("CONF", "LOLO", 0.25), set_to("THRESH:Bad", "HIHI", 0.9),
        set_to("mirror", "LOLO", -0.5), set_to("NBAD", "HIGH", 3, detector="CDC"),
        Change(of_pv("BEAM:CURRENT", "HIHI"), 300.0, "ana", "desk", NOON, "ca"),
    )  # fmt: skip
    for name, value in (
        ("T:CDC:OCCUPANCY:STATUS.THSV", Severity.MINOR),
        ("T:CDC:OCCUPANCY:CONF.LOLO", 0.25),
        ("T:CDC:OCCUPANCY:THRESH:BAD.HIHI", 0.9),
        ("M:CDC_occupancy.LOLO", -0.5),
        ("T:CDC:NBAD.HIGH", 3),
        ("T:BEAM:CURRENT.HIHI", 300.0),
    ):
        assert field(ioc, name).value == value, name


async def test_what_no_pv_can_have_is_left_and_told() -> None:
    with capture_logs() as lines:
        ioc = await house(
            set_to("STATUS", "FTSV", 1), set_to("STATUS", "LOLO", 1), set_to("NBAD", "LOLO", 0.5),
            set_to("GONE", "LOLO", 1), set_to("THRESH:Gone", "LOLO", 1), set_to("CONF", "LOLO", 0.5),
        )  # fmt: skip
    assert [(line["pv"], line["field"]) for line in lines if line["event"] == "stored_setting_refused"] == [
        ("T:CDC:OCCUPANCY:STATUS", "FTSV"), ("T:CDC:OCCUPANCY:STATUS", "LOLO"), ("T:CDC:OCCUPANCY:NBAD", "LOLO"),
    ]  # fmt: skip
    assert field(ioc, "T:CDC:OCCUPANCY:CONF.LOLO").value == 0.5


async def test_what_cannot_be_kept_is_not_shown() -> None:
    ioc = await house(desk=Desk(refuses=True))
    low = field(ioc, "T:CDC:OCCUPANCY:CONF.LOW")
    with pytest.raises(ChangeRefused, match="the disk is full"):
        await low.put(0.5, ANA)
    assert low.value == 0.0


async def test_what_is_put_again_as_it_is_changes_nothing() -> None:
    desk = Desk()
    ioc = await house(desk=desk)
    for value in ("MINOR", 1, "1"):
        await field(ioc, "T:CDC:OCCUPANCY:CONF.LSV").put(value, ANA)
    assert [(one.key, one.value, one.old, one.plot) for one in desk.changes] == [("pv.CONF.LSV", 1.0, 0.0, PLOT)]


async def test_a_plot_s_history_knows_every_field_that_can_be_set() -> None:
    desk = Desk()
    ioc = await house(desk=desk)
    own = [record for record in ioc.pvs if record.name.startswith(("T:CDC:OCCUPANCY:", "M:CDC_"))]
    for record in own:
        for name, of in record.kinds.items():
            if of.live and not (
                isinstance(record, States) and of.element is not None and of.element >= len(record.states)
            ):
                its = record.field(name)
                assert its is not None
                await its.put(7 if isinstance(record, Analog) and not of.states else 3, ANA)
    assert len(desk.changes) > 100
    assert {change.key for change in desk.changes} <= set(keys_of_pvs(["Bad"]))
