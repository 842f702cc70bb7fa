"""How people and programs are known: by account and password, by the lab's single sign-on, by token."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from fastapi import Request

from hydrad import log
from hydrad.config import Web
from hydrad.domain import Role
from hydrad.errors import ChangeRefused, StoreAway
from hydrad.store.people import accounts, passes
from hydrad.store.people.accounts import Lock
from hydrad.store.queries import Store
from hydrad.web.doors import passwords
from hydrad.web.doors.patience import Patience
from hydrad.web.doors.peers import Peers
from hydrad.web.doors.visitors import Gate, NotAllowed, OpenGate, Unknown, Visitor

REMEMBERED_S: Final = 2.0  # whoever is shut out may still come in for so long, through another process's pages
REMEMBERED: Final = 1024
SESSION_H_AT_MOST: Final = 24 * 366

_log = log.get("gate")

Known = tuple[str, Role]


class WrongPassword(Unknown):
    """Name and password do not go together; which of the two is wrong is not said."""

    def __init__(self) -> None:
        super().__init__("name or password is wrong, or the account is disabled")


def gate(web: Web, store: Store) -> Gate:
    """The gate that the configuration wants; says so when nobody can pass it.

    Raises:
        ConfigurationError: ``web.proxy_from`` is not what it should be.
    """
    match web.auth:
        case "local":
            passwords.make_ready()
            _warn_of_empty(store, needs_password=True)
            return LocalGate(web, store)
        case "proxy":
            _warn_of_empty(store, needs_password=False)
            return ProxyGate(web, store)
        case _:
            return OpenGate()


class LocalGate:
    """Knows people by a session that a password opened, programs by their token."""

    def __init__(self, web: Web, store: Store) -> None:
        self._store = store
        self._peers = Peers(web)
        self._recent = _Recent()
        self._patience = Patience()
        self._lasts = timedelta(hours=min(web.session_h, SESSION_H_AT_MOST))
        # Browsers keep cookies per host, not per port: two halls on one host need two names.
        self.cookie = f"{'__Host-' if web.encrypted else ''}hydrad-{web.port}"
        self.encrypted = web.encrypted

    def whom(self, request: Request) -> Visitor | None:
        """Whoever holds an open session, or a valid token; a token that is not valid hides a session that is."""
        host = self._peers.host_of(request)
        if (secret := _bearer(request)) is not None:
            return _program(self._store, self._recent, secret, host)
        secret = request.cookies.get(self.cookie)
        if not secret:
            return None
        known = self._recent.ask(passes.digest_of(secret), lambda: self._seen(secret))
        return None if known is None else Visitor(*known, host, "session")

    def log_in(self, request: Request, name: str, password: str) -> str:
        """Try a password; return the secret of a new session, never one that was there before.

        Raises:
            TooOften: it may not be tried now.
            WrongPassword: it is wrong, or the account is disabled.
        """
        host = self._peers.host_of(request)
        lock = self._try(name, password, host)
        fresh = passwords.hashed(password) if lock.hashed and passwords.outdated(lock.hashed) else None
        secret = passes.begin(self._store, lock, host, self._lasts, hashed=fresh)
        if secret is None:
            raise WrongPassword
        self.log_out(request)
        _log.info("logged_in", person=lock.person.name, host=host)
        return secret

    def confirm(self, visitor: Visitor, password: str) -> None:
        """Make sure that it is still the same person who sits there; raises as :meth:`log_in`."""
        self._try(visitor.name, password, visitor.host)

    def begin_anew(self, visitor: Visitor) -> str:
        """Open a session for somebody whose password was just changed; all the others have ended."""
        self.forget()
        lock = accounts.lock_of(self._store, visitor.name)
        secret = None if lock is None else passes.begin(self._store, lock, visitor.host, self._lasts)
        if secret is None:
            raise Unknown("log in again")
        return secret

    def log_out(self, request: Request) -> None:
        """End the session that this browser shows, if any."""
        if secret := request.cookies.get(self.cookie):
            passes.end(self._store, secret)
            self.forget()

    def forget(self) -> None:
        """Somebody's account was changed: ask the data base again."""
        self._recent.forget()

    def _seen(self, secret: str) -> Known | None:
        session = passes.session(self._store, secret, self._lasts)
        return None if session is None else (session.person.name, session.person.role)

    def _try(self, name: str, password: str, host: str) -> Lock:
        name = unicodedata.normalize("NFC", name)[: accounts.NAME_LETTERS + 1]
        self._patience.spend(name, host)
        lock = accounts.lock_of(self._store, name)
        fits = passwords.fits(None if lock is None else lock.hashed, password)
        if lock is None or not fits or lock.person.disabled:
            # A name that nobody has may be a password typed into the wrong field.
            why = "unknown_name" if lock is None else "disabled" if fits else "wrong_password"
            _log.warning("login_refused", person=None if lock is None else name, host=host, why=why)
            raise WrongPassword
        self._patience.forgive(name, host)
        return lock


class ProxyGate:
    """Knows people by the header of the lab's single sign-on, programs by their token."""

    def __init__(self, web: Web, store: Store) -> None:
        self._store = store
        self._peers = Peers(web)
        self._recent = _Recent()
        self._header = web.proxy_header
        self.default_role = Role[web.default_role.upper()]

    def whom(self, request: Request) -> Visitor | None:
        """Whoever the proxy names, or a valid token; the header from anywhere else is refused."""
        host = self._peers.host_of(request)
        said = request.headers.getlist(self._header)
        if said and not self._peers.is_proxy(request):
            _log.warning("header_refused", header=self._header, host=host)
            raise Unknown(f"{self._header} is believed from the proxy only")
        if (secret := _bearer(request)) is not None:
            return _program(self._store, self._recent, secret, host)
        if not said:
            return None
        if len(said) > 1:
            _log.warning("header_refused", header=self._header, host=host, why="given twice")
            raise Unknown(f"{self._header} was given twice")
        name = _named(said[0], self._header)
        known = self._recent.ask(name, lambda: self._standing(name))
        if known is None:
            raise NotAllowed(f"the account of {name} is disabled")
        return Visitor(*known, host, "proxy")

    def forget(self) -> None:
        """Somebody's account was changed: ask the data base again."""
        self._recent.forget()

    def _standing(self, name: str) -> Known | None:
        person = accounts.find(self._store, name)
        if person is None:
            return name, self.default_role
        return None if person.disabled else (person.name, person.role)


class _Recent:
    """What was known a moment ago: a page of four hundred thumbnails asks four hundred times."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[float, Known]] = OrderedDict()
        self._alone = threading.Lock()
        self._changes = 0

    def ask(self, key: Hashable, look: Callable[[], Known | None]) -> Known | None:
        with self._alone:
            until, known = self._known.get(key, (0.0, ("", Role.VIEWER)))
            if time.monotonic() < until:
                return known
            changes = self._changes
        found = look()
        with self._alone:
            self._known.pop(key, None)
            if found is not None and changes == self._changes:  # else what was found may be of before the change
                self._known[key] = time.monotonic() + REMEMBERED_S, found
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        with self._alone:
            self._known.clear()
            self._changes += 1


def _bearer(request: Request) -> str | None:
    """The token that a program shows, if it shows one; other schemes are the affair of a proxy."""
    said = [header.strip().partition(" ") for header in request.headers.getlist("authorization")]
    shown = [secret.strip() for scheme, _, secret in said if scheme.lower() == "bearer"]
    if len(shown) > 1:
        raise Unknown("Authorization was given twice")
    return shown[0] if shown else None


def _program(store: Store, recent: _Recent, secret: str, host: str) -> Visitor:
    def look() -> Known | None:
        token = passes.token(store, secret)
        return None if token is None else (token.person.name, min(token.role, token.person.role))

    known = recent.ask(passes.digest_of(secret), look)
    if known is None:
        _log.warning("token_refused", host=host)
        raise Unknown("this token is not known, has ended, or was revoked")
    return Visitor(*known, host, "token")


def _named(said: str, header: str) -> str:
    """The name in a header, which proxies write as UTF-8."""
    try:
        return accounts.proper(said.encode("latin-1").decode("utf-8"))
    except (UnicodeDecodeError, ChangeRefused) as why:
        raise Unknown(f"{header} names nobody") from why


def _warn_of_empty(store: Store, *, needs_password: bool) -> None:
    with suppress(StoreAway):  # then there is more to worry about, and the pages say so
        can_govern = [
            person
            for person in accounts.everybody(store)
            if person.role is Role.ADMIN and not person.disabled and (person.has_password or not needs_password)
        ]
        if not can_govern:
            more = "" if needs_password else " --no-password"
            _log.warning("nobody_governs", mend=f"hydrad people add NAME --role admin{more}")
