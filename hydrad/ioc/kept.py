"""Limits and severities that people set on PVs: in force before a PV is first served, kept when one is put."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from hydrad import log
from hydrad.errors import ChangeRefused
from hydrad.ioc.controls import Who
from hydrad.ioc.fields import Field
from hydrad.ioc.records import Analog, Record, States
from hydrad.settings import of_pv

Asks = Callable[[Who, str, float, float], Awaitable[None]]  # who, the setting's key, the new value, the old one
Set = Callable[[], Mapping[tuple[str, str], float]]  # by leaf and field

_log = log.get("ioc")


class KeptFields:
    """The fields of the PVs of one plot, of one detector or of the hall.

    Args:
        asks: has a change applied and kept.
        set_before: what people have set so far.
    """

    def __init__(self, asks: Asks, set_before: Set) -> None:
        self._asks = asks
        self._set_before = set_before
        self._records: dict[str, Record] = {}  # by leaf

    def hold(self, records: Iterable[tuple[str, Record]]) -> None:
        """Give these PVs, by their leaves, what was set before, and keep what will be."""
        new = {leaf: record for leaf, record in records if isinstance(record, Analog | States)}
        self._records.update(new)
        for record in new.values():
            record.keeper = self
        for (leaf, field), value in self._set_before().items():
            if leaf in new:
                self.show(leaf, field, value)

    def show(self, leaf: str, field: str, value: float) -> None:
        """Set a field; one that the PV does not have, or that cannot be so, is left and the log says so."""
        record = self._records.get(leaf)
        if record is None:  # of a plot or a label that has no PV at present
            return
        channel = record.field(field)
        try:
            wanted = channel.accepted(value) if isinstance(channel, Field) else None
        except ChangeRefused:
            wanted = None
        if not isinstance(channel, Field) or wanted is None:
            _log.error("stored_setting_refused", pv=record.name, field=field, value=value)
        elif wanted != channel.value:
            channel.show(wanted)

    async def keep(self, record: Record, field: str, value: float, old: float, who: Who) -> None:
        """Have it kept; raise ChangeRefused if it cannot be."""
        leaf = next(leaf for leaf, its in self._records.items() if its is record)
        await self._asks(who, of_pv(leaf, field), value, old)
