"""Who asks, and what they may do."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from hydrad.domain import Role
from hydrad.errors import HydradError


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who asks for a page, or a program that asks for them."""

    name: str
    role: Role
    host: str  # where they ask from
    way: str = "none"  # how they are known: "none" (nobody asks), "session", "token", "proxy"

    def may(self, role: Role) -> bool:
        """Whether what needs this role is theirs to do."""
        return self.role >= role


class Unknown(HydradError):
    """Nobody knows who asks."""


class NotAllowed(HydradError):
    """Somebody asks for what is not theirs to do."""


class Gate(Protocol):
    """Tells who asks."""

    def whom(self, request: Request) -> Visitor | None:
        """Whoever asks; None when nobody knows them. May ask the data base, so it blocks."""
        ...


class OpenGate:
    """Everybody may do everything: for pages that are served to this host only."""

    def __init__(self) -> None:
        self._name = getpass.getuser()

    def whom(self, request: Request) -> Visitor:
        """The account that serves the pages, whoever asks."""
        return Visitor(self._name, Role.ADMIN, host_of(request))


def host_of(request: Request) -> str:
    """The address of whoever asks."""
    return request.client.host if request.client else ""


class AtLeast:
    """Lets those pass who have this role, or a higher one."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, request: Request) -> Visitor:
        """Whoever asks, if they may."""
        gate: Gate = request.app.state.site.gate
        visitor = gate.whom(request)
        if visitor is None:
            raise Unknown("log in first")
        request.state.visitor = visitor  # on the page of a refusal too
        if not visitor.may(self.role):
            raise NotAllowed(
                f"this takes the role {self.role.name.lower()}; {visitor.name} is {visitor.role.name.lower()}"
            )
        return visitor


# What a page or an address of the API asks of whoever asks for it; `visitor: Labels` as a parameter says it all.
Looks = Annotated[Visitor, Depends(AtLeast(Role.VIEWER))]
Labels = Annotated[Visitor, Depends(AtLeast(Role.LABELER))]
Decides = Annotated[Visitor, Depends(AtLeast(Role.EXPERT))]
Governs = Annotated[Visitor, Depends(AtLeast(Role.ADMIN))]


def _in_person(visitor: Looks) -> Visitor:
    if visitor.way == "token":
        raise NotAllowed("a person does this, not a program with their token")
    return visitor


def _governs_in_person(visitor: Governs) -> Visitor:
    return _in_person(visitor)


# For accounts: whoever finds a token must not make more of them with it, nor a way in that outlasts it.
InPerson = Annotated[Visitor, Depends(_in_person)]
GovernsInPerson = Annotated[Visitor, Depends(_governs_in_person)]
