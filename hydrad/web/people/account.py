"""Logging in and out, and what is one's own: password, e-mail, tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from hydrad.domain import Role, zulu
from hydrad.errors import ChangeRefused
from hydrad.store.models.registry import Who
from hydrad.store.people import accounts, passes
from hydrad.store.people.accounts import Person
from hydrad.store.people.passes import Token
from hydrad.web import pages
from hydrad.web.doors import passwords
from hydrad.web.doors.gates import LocalGate, ProxyGate, WrongPassword
from hydrad.web.doors.patience import TooOften
from hydrad.web.doors.visitors import InPerson, Looks, NotAllowed, Unknown, Visitor
from hydrad.web.site import Here, Site

router = APIRouter()

ROLES: Final = tuple(role.name.lower() for role in Role)
RoleWord = Literal["viewer", "labeler", "expert", "admin"]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
Password = Annotated[str, Field(max_length=passwords.MOST_LETTERS)]
Address = Annotated[str, Field(max_length=accounts.EMAIL_LETTERS)]
Days = Annotated[float, Field(gt=0, le=passes.DAYS_AT_MOST)]
Purpose = Annotated[str, Field(max_length=passes.PURPOSE_LETTERS)]


class Asked(BaseModel):
    """What somebody wants; closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid")


class SessionNow(BaseModel):
    """Who asks, and how they are known."""

    name: str
    role: RoleWord
    way: Literal["none", "session", "token", "proxy"]
    host: str
    auth: Literal["none", "local", "proxy"]


class Contact(Asked):
    """Where e-mail goes, and whether the last day's log goes there."""

    email: Address | None = None
    digest_wanted: bool = False


class NewPassword(Asked):
    """A password to come in place of the present one."""

    current: Password
    new: Password


class TokenWanted(Asked):
    """A token for a program."""

    purpose: Purpose = ""
    role: RoleWord | None = None  # at most the person's, which it is unless said
    days: Days | None = None


class TokenKept(BaseModel):
    """A token as it is kept: without its secret."""

    id: int
    person: str
    purpose: str
    role: RoleWord
    valid: bool
    created_at: str
    expires_at: str | None
    used_at: str | None
    revoked_at: str | None


class TokenMade(TokenKept):
    """A new token; its secret is told this once."""

    token: str


# ---- in and out ----


@router.get("/login", include_in_schema=False)
def login(
    request: Request, site: Here, following: Annotated[str, Query(alias="next", max_length=2000)] = "/"
) -> Response:
    """Where somebody says who they are."""
    gate = site.gate
    try:
        visitor = gate.whom(request)
    except (Unknown, NotAllowed) as why:  # the page says why, or the browser would be sent here for ever
        return _login_page(request, site, following, words=str(why), status=401)
    if visitor is not None:
        return RedirectResponse(local(following), 303)
    return _login_page(request, site, following)


@router.post("/login", include_in_schema=False)
def log_in(
    request: Request,
    site: Here,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=4 * passwords.MOST_LETTERS)] = "",
    following: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Open a session for whoever knows the password."""
    gate = _accounts(site)
    try:
        secret = gate.log_in(request, name, password)
    except WrongPassword as why:
        return _login_page(request, site, following, words=str(why), status=401, name=name)
    except TooOften as why:
        page = _login_page(request, site, following, words=str(why), status=429, name=name)
        page.headers["Retry-After"] = str(why.wait_s)
        return page
    return _with_cookie(RedirectResponse(local(following), 303), gate, secret)


@router.post("/logout", include_in_schema=False)
def log_out(request: Request, site: Here) -> Response:
    """End this browser's session."""
    gate = _accounts(site)
    gate.log_out(request)
    return _without_cookie(RedirectResponse("/login", 303), gate)


@router.get("/api/v1/session", tags=["people"], summary="Who asks, and what they may do")
def session(site: Here, visitor: Looks) -> SessionNow:
    """Who this program or browser is taken for."""
    return SessionNow.model_validate(
        {
            "name": visitor.name, "role": visitor.role.name.lower(), "way": visitor.way, "host": visitor.host,
            "auth": site.config.web.auth,
        }
    )  # fmt: skip


@router.delete("/api/v1/session", status_code=204, tags=["people"], summary="Log out")
def end_session(
    request: Request,
    site: Here,
    visitor: InPerson,
    everywhere: Annotated[bool, Query(description="every session of the person, not this one only")] = False,
) -> Response:
    """End this browser's session, or all of one's sessions."""
    gate = _accounts(site)
    if everywhere:
        passes.end_all(site.store, own(site, visitor).id)
        gate.forget()
    gate.log_out(request)
    return _without_cookie(Response(status_code=204), gate)


# ---- one's own ----


@router.get("/account", include_in_schema=False)
def account(request: Request, site: Here, visitor: Looks) -> Response:
    """One's own account."""
    person = accounts.find(site.store, visitor.name)
    return pages.draw(
        request,
        "account.html",
        person=person,
        auth=site.config.web.auth,
        mails=site.config.mail is not None,
        tokens=passes.tokens_of(site.store, person.id) if person else (),
        sessions=passes.open_sessions(site.store, person.id) if person else (),
        roles=[word for word, role in zip(ROLES, Role, strict=True) if visitor.may(role)],
        now=datetime.now(UTC),
    )


@router.put("/api/v1/account/contact", status_code=204, tags=["people"], summary="Say where one's e-mail goes")
def set_contact(site: Here, visitor: InPerson, wanted: Contact) -> None:
    """Somebody the single sign-on knows gets an account with it, of the role they have."""
    person = accounts.find(site.store, visitor.name)
    if person is None and visitor.way == "proxy":
        person = accounts.add(site.store, visitor.name, visitor.role, by(visitor))
    if person is None:
        person = own(site, visitor)
    accounts.set_contact(
        site.store, person.id, by(visitor), email=wanted.email, digest_wanted=wanted.digest_wanted
    )  # fmt: skip


@router.put("/api/v1/account/password", status_code=204, tags=["people"], summary="Change one's own password")
def set_password(site: Here, visitor: InPerson, wanted: NewPassword) -> Response:
    """Every other session of the person ends; this browser gets a new one."""
    gate = _accounts(site)
    person = own(site, visitor)
    try:
        gate.confirm(visitor, wanted.current)
    except WrongPassword as why:
        raise ChangeRefused("the current password is wrong") from why
    passwords.require_strong(wanted.new, person.name)
    accounts.set_password(site.store, person.id, passwords.hashed(wanted.new), by(visitor))
    return _with_cookie(Response(status_code=204), gate, gate.begin_anew(visitor))


@router.get("/api/v1/tokens", tags=["people"], summary="One's own tokens")
def tokens(site: Here, visitor: Looks) -> list[TokenKept]:
    """The newest first; revoked ones stay in the list."""
    person = accounts.find(site.store, visitor.name)
    return [] if person is None else [kept(token) for token in passes.tokens_of(site.store, person.id)]


@router.post("/api/v1/tokens", status_code=201, tags=["people"], summary="Make a token for a program of one's own")
def make_token(site: Here, visitor: InPerson, wanted: TokenWanted) -> TokenMade:
    """The secret stands in this answer and nowhere else."""
    return made(site, own(site, visitor), visitor, wanted)


@router.delete("/api/v1/tokens/{number}", status_code=204, tags=["people"], summary="Revoke a token")
def revoke_token(site: Here, visitor: InPerson, number: Number) -> None:
    """One's own, or anybody's for an admin."""
    of = None if visitor.may(Role.ADMIN) else own(site, visitor).id
    passes.revoke(site.store, number, by(visitor), of=of)
    forget(site)


# ---- for everybody's account too ----


def by(visitor: Visitor) -> Who:
    """Whoever changes something, for the history."""
    return Who(visitor.name, visitor.host, "page")


def forget(site: Site) -> None:
    """An account was changed: what the gate remembers of it holds no more."""
    if isinstance(site.gate, LocalGate | ProxyGate):
        site.gate.forget()


def made(site: Site, person: Person, visitor: Visitor, wanted: TokenWanted) -> TokenMade:
    """Make a token of somebody's."""
    role = None if wanted.role is None else Role[wanted.role.upper()]
    secret, token = passes.make_token(
        site.store, person, by(visitor), purpose=wanted.purpose, role=role, days=wanted.days
    )
    return TokenMade.model_validate(kept(token).model_dump() | {"token": secret})


def kept(token: Token) -> TokenKept:
    """A token as programs read of it."""
    return TokenKept.model_validate(
        {
            "id": token.id, "person": token.person.name, "purpose": token.purpose, "role": token.role.name.lower(),
            "valid": token.valid(datetime.now(UTC)), "created_at": zulu(token.created_at),
            "expires_at": zulu(token.expires_at), "used_at": zulu(token.used_at), "revoked_at": zulu(token.revoked_at),
        }
    )  # fmt: skip


def own(site: Site, visitor: Visitor) -> Person:
    """The account of whoever asks.

    Raises:
        ChangeRefused: they have none.
    """
    person = accounts.find(site.store, visitor.name)
    if person is None:
        raise ChangeRefused(f"{visitor.name} has no account here: an admin adds one under /people")
    return person


def local(following: str) -> str:
    """An address of this very site, or the wall's: nobody is led elsewhere by a login."""
    try:
        parts = urlsplit(following)
    except ValueError:
        return "/"
    # Browsers take \\ for / and drop tabs and line ends wherever they stand.
    strange = any(letter <= " " or letter == "\\" for letter in following)
    here = following.startswith("/") and not following.startswith("//") and not parts.scheme and not parts.netloc
    return following if here and not strange and parts.path != "/login" else "/"


# ---- how it is done ----


def _accounts(site: Site) -> LocalGate:
    if not isinstance(site.gate, LocalGate):
        raise ChangeRefused(f'no passwords are asked here: web.auth is "{site.config.web.auth}"')
    return site.gate


def _login_page(
    request: Request, site: Site, following: str, *, words: str = "", status: int = 200, name: str = ""
) -> Response:
    facts = {"following": local(following), "words": words, "name": name, "auth": site.config.web.auth}
    page = pages.draw(request, "login.html", **facts)
    page.status_code = status
    return page


def _with_cookie(answer: Response, gate: LocalGate, secret: str) -> Response:
    answer.set_cookie(gate.cookie, secret, path="/", secure=gate.encrypted, httponly=True, samesite="lax")
    return answer


def _without_cookie(answer: Response, gate: LocalGate) -> Response:
    answer.delete_cookie(gate.cookie, path="/", secure=gate.encrypted, httponly=True, samesite="lax")
    return answer
