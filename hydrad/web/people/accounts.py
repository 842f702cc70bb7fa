"""Everybody's account, for those who govern."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from hydrad.domain import Role, zulu
from hydrad.store.people import accounts, passes
from hydrad.store.people.accounts import PeopleChange, Person
from hydrad.store.people.passes import Token
from hydrad.web import pages
from hydrad.web.doors import passwords
from hydrad.web.doors.visitors import Governs, GovernsInPerson
from hydrad.web.people.account import (
    ROLES,
    Address,
    Asked,
    Contact,
    Number,
    Password,
    RoleWord,
    TokenKept,
    TokenMade,
    TokenWanted,
    by,
    forget,
    kept,
    made,
)
from hydrad.web.site import Here, Site

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=1000)]


class PersonKept(BaseModel):
    """Somebody's account."""

    id: int
    name: str
    role: RoleWord
    email: str | None
    digest_wanted: bool
    disabled: bool
    has_password: bool
    created_at: str


class PersonWanted(Asked):
    """Somebody new."""

    name: Annotated[str, Field(min_length=1, max_length=accounts.NAME_LETTERS)]
    role: RoleWord = "viewer"
    password: Password | None = None  # None: known by the proxy's header, or by a token, only
    email: Address | None = None


class RoleWanted(Asked):
    """What somebody may do from now on."""

    role: RoleWord


class Shut(Asked):
    """Whether somebody is shut out."""

    disabled: bool


class PasswordSet(Asked):
    """Somebody's new password; null takes it away."""

    password: Password | None


class ChangeKept(BaseModel):
    """A change of what somebody may do."""

    name: str
    what: str
    by: str
    host: str
    via: str
    at: str


@router.get("/people", include_in_schema=False)
def page(request: Request, site: Here, visitor: Governs) -> Response:  # noqa: ARG001  it takes one who governs
    """Everybody, and what was changed."""
    tokens: dict[int, list[Token]] = {}
    for token in passes.tokens_of(site.store):
        tokens.setdefault(token.person.id, []).append(token)
    return pages.draw(
        request,
        "people.html",
        people=accounts.everybody(site.store),
        tokens=tokens,
        changes=accounts.changes(site.store, 100),
        roles=ROLES,
        auth=site.config.web.auth,
        default_role=site.config.web.default_role,
        least=passwords.LEAST_LETTERS,
        now=datetime.now(UTC),
    )


@router.get("/api/v1/people", tags=["people"], summary="Everybody's account")
def everybody(site: Here, visitor: Governs) -> list[PersonKept]:  # noqa: ARG001  it takes one who governs
    """By name."""
    return [_kept(person) for person in accounts.everybody(site.store)]


@router.post("/api/v1/people", status_code=201, tags=["people"], summary="Add an account")
def add(site: Here, visitor: GovernsInPerson, wanted: PersonWanted) -> PersonKept:
    """Accounts are never deleted, since histories name them; they can be disabled."""
    name = accounts.proper(wanted.name)
    person = accounts.add(
        site.store, name, _role(wanted.role), by(visitor), hashed=_hashed(wanted.password, name), email=wanted.email
    )
    forget(site)
    return _kept(person)


@router.get("/api/v1/people/changes", tags=["people"], summary="Who changed what somebody may do")
def changes(site: Here, visitor: Governs, limit: Limit = 100) -> list[ChangeKept]:  # noqa: ARG001  as above
    """The newest first."""
    return [_change(change) for change in accounts.changes(site.store, limit)]


@router.put("/api/v1/people/{number}/role", status_code=204, tags=["people"], summary="Change what somebody may do")
def set_role(site: Here, visitor: GovernsInPerson, number: Number, wanted: RoleWanted) -> None:
    """The last admin stays one."""
    accounts.set_role(site.store, _known(site, number).id, _role(wanted.role), by(visitor))
    forget(site)


@router.put("/api/v1/people/{number}/disabled", status_code=204, tags=["people"], summary="Shut out, or let in again")
def set_disabled(site: Here, visitor: GovernsInPerson, number: Number, wanted: Shut) -> None:
    """It takes effect within seconds, and ends every session; the last admin cannot be shut out."""
    accounts.set_disabled(site.store, _known(site, number).id, by(visitor), disabled=wanted.disabled)
    forget(site)


@router.put("/api/v1/people/{number}/contact", status_code=204, tags=["people"], summary="Say where e-mail goes")
def set_contact(site: Here, visitor: GovernsInPerson, number: Number, wanted: Contact) -> None:
    """The address, and whether the last day's log goes there."""
    person = _known(site, number)
    accounts.set_contact(
        site.store, person.id, by(visitor), email=wanted.email, digest_wanted=wanted.digest_wanted
    )  # fmt: skip


@router.put("/api/v1/people/{number}/password", status_code=204, tags=["people"], summary="Set a password")
def set_password(site: Here, visitor: GovernsInPerson, number: Number, wanted: PasswordSet) -> None:
    """It ends every session of theirs."""
    person = _known(site, number)
    accounts.set_password(site.store, person.id, _hashed(wanted.password, person.name), by(visitor))
    forget(site)


@router.get("/api/v1/people/{number}/tokens", tags=["people"], summary="Somebody's tokens")
def tokens(site: Here, visitor: Governs, number: Number) -> list[TokenKept]:  # noqa: ARG001  as above
    """The newest first; revoked ones stay in the list."""
    return [kept(token) for token in passes.tokens_of(site.store, _known(site, number).id)]


@router.post("/api/v1/people/{number}/tokens", status_code=201, tags=["people"], summary="Make somebody a token")
def make_token(site: Here, visitor: GovernsInPerson, number: Number, wanted: TokenWanted) -> TokenMade:
    """The secret stands in this answer and nowhere else."""
    return made(site, _known(site, number), visitor, wanted)


def _known(site: Site, number: int) -> Person:
    person = accounts.numbered(site.store, number)
    if person is None:
        raise HTTPException(404, f"there is no account number {number}")
    return person


def _hashed(password: str | None, name: str) -> str | None:
    if password is None:
        return None
    passwords.require_strong(password, name)
    return passwords.hashed(password)


def _role(word: RoleWord) -> Role:
    return Role[word.upper()]


def _kept(person: Person) -> PersonKept:
    return PersonKept.model_validate(
        {
            "id": person.id, "name": person.name, "role": person.role.name.lower(), "email": person.email,
            "digest_wanted": person.digest_wanted, "disabled": person.disabled, "has_password": person.has_password,
            "created_at": zulu(person.created_at),
        }
    )  # fmt: skip


def _change(change: PeopleChange) -> ChangeKept:
    return ChangeKept.model_validate(
        {
            "name": change.name, "what": change.what, "by": change.by.person, "host": change.by.host,
            "via": change.by.via, "at": zulu(change.at),
        }
    )  # fmt: skip
