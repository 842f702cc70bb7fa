"""The PVs: their names, where they are served, who may put to which, and the mirror's alarm limits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hydrad.config.section import Section
from hydrad.config.values import NotNegative, Number, Port, Text

Patterns = tuple[Text, ...]  # user@host
Group = Literal["thresholds", "delays", "shelve", "enable", "beam", "alarms", "acknowledge"]
Level = Literal["NO_ALARM", "MINOR", "MAJOR", "INVALID"]


class WritersOf(Section):
    """Who may put to a group of PVs, where that is not ``ioc.writers``."""

    thresholds: Patterns | None = None
    delays: Patterns | None = None
    shelve: Patterns | None = None
    enable: Patterns | None = None
    beam: Patterns | None = None
    alarms: Patterns | None = None
    acknowledge: Patterns = ("*@*",)


class MirrorLimits(Section):
    """The alarm limits of a mirror that nobody has changed; one without a severity has no effect."""

    hihi: Number = 0.0
    high: Number = 0.0
    low: Number = 0.0
    lolo: Number = 0.0
    hyst: NotNegative = 0.0
    hhsv: Level = "NO_ALARM"
    hsv: Level = "NO_ALARM"
    lsv: Level = "MINOR"
    llsv: Level = "MAJOR"


class Ioc(Section):
    """The PVs and who may put to them."""

    prefix: str = Field(default="HYDRA:D:", pattern=r"^[A-Z0-9_:]{1,20}$")
    interfaces: tuple[Text, ...] = Field(default=("127.0.0.1",), min_length=1)
    port: Port = 5064
    writers: tuple[str, ...] = ("*@*",)
    writers_of: WritersOf = WritersOf()
    mirror: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_:]{1,40}$")
    mirror_limits: MirrorLimits = MirrorLimits()

    def writers_to(self, group: Group) -> tuple[str, Patterns]:
        """Who may put to a group of PVs, after the key that says so."""
        own: Patterns | None = getattr(self.writers_of, group)
        return ("ioc.writers", self.writers) if own is None else (f"ioc.writers_of.{group}", own)
