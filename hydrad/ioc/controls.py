"""Who may put to a PV, and where a put goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from hydrad.config import Group
from hydrad.domain import Change
from hydrad.errors import ChangeRefused


@dataclass(frozen=True, slots=True)
class Who:
    """A client as it calls itself: Channel Access knows no better."""

    user: str
    host: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}"

    def is_one_of(self, patterns: Sequence[str]) -> bool:
        """True if one of the ``user@host`` patterns fits."""
        return any(fnmatchcase(str(self), pattern) for pattern in patterns)


class NotAdmitted(ChangeRefused):
    """Whoever calls himself so may not put."""


class Controls(Protocol):
    """Whoever applies what was put and keeps it."""

    async def put(self, change: Change) -> None:
        """Apply it to the next verdict and keep it; raise ChangeRefused, with a sentence, and change nothing."""
        ...


class Gate(Protocol):
    """Decides who may put, and answers those who may not."""

    def admit(self, who: Who, groups: Sequence[Group]) -> None:
        """Raise NotAdmitted if this client may put to none of these groups of PVs."""
        ...

    def refused(self, who: Who, name: str, value: float | str | None, why: str) -> None:
        """A put was refused and changed nothing.

        Args:
            value: what was put, as far as it could be read.
        """
        ...
