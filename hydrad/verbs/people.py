"""`hydrad people`: accounts and tokens, from the command line."""

from __future__ import annotations

import argparse
import getpass
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from hydrad import config
from hydrad.domain import Role
from hydrad.errors import ChangeRefused, ConfigurationError
from hydrad.store.models.registry import Who
from hydrad.store.people import accounts, passes
from hydrad.store.people.accounts import Person
from hydrad.store.people.passes import Token
from hydrad.store.queries import Store
from hydrad.verbs import printing
from hydrad.web.doors import passwords


def everybody(options: argparse.Namespace) -> None:
    """Everybody, with their role and tokens."""
    with _opened(options) as store:
        persons, tokens = accounts.everybody(store), passes.tokens_of(store)
    if options.json:
        printing.objects(_words(person, tokens) for person in persons)
        return
    printing.table(
        ("name", "role", "state", "e-mail", "since"),
        ((p.name, p.role.name.lower(), _state(p), p.email, p.created_at) for p in persons),
    )
    if tokens:
        printing.say("")
        printing.table(
            ("token", "of", "role", "state", "ends", "used", "for"),
            (
                (t.id, t.person.name, t.role.name.lower(), _validity(t), t.expires_at, t.used_at, t.purpose)
                for t in sorted(tokens, key=lambda token: token.id)
            ),
        )


def add(options: argparse.Namespace) -> None:
    """A new account."""
    with _opened(options) as store:
        name = accounts.proper(options.name)
        if accounts.find(store, name) is not None:  # before anybody types a password for nothing
            raise ChangeRefused(f"{name} has an account already")
        kept = None if options.no_password else passwords.hashed(_asked(name))
        accounts.add(store, name, Role[options.role.upper()], _who(), hashed=kept, email=options.email)


def role(options: argparse.Namespace) -> None:
    """Change what somebody may do."""
    with _opened(options) as store:
        accounts.set_role(store, _known(store, options.name).id, Role[options.role.upper()], _who())


def password(options: argparse.Namespace) -> None:
    """A new password; ends every session."""
    with _opened(options) as store:
        person = _known(store, options.name)
        accounts.set_password(store, person.id, passwords.hashed(_asked(person.name)), _who())


def disable(options: argparse.Namespace) -> None:
    """Shut somebody out; ends every session."""
    with _opened(options) as store:
        accounts.set_disabled(store, _known(store, options.name).id, _who(), disabled=True)


def enable(options: argparse.Namespace) -> None:
    """Let somebody in again."""
    with _opened(options) as store:
        accounts.set_disabled(store, _known(store, options.name).id, _who(), disabled=False)


def token(options: argparse.Namespace) -> None:
    """A new token, on standard output and nowhere else."""
    with _opened(options) as store:
        wanted = None if options.role is None else Role[options.role.upper()]
        secret, made = passes.make_token(
            store, _known(store, options.name), _who(), purpose=options.purpose, role=wanted, days=options.days
        )
    sys.stderr.write(f"token {made.id}, {made.role.name.lower()}; it cannot be read again:\n")
    printing.say(secret)


def revoke(options: argparse.Namespace) -> None:
    """End a token."""
    with _opened(options) as store:
        passes.revoke(store, options.token, _who())


@contextmanager
def _opened(options: argparse.Namespace) -> Iterator[Store]:
    """The data base; what is refused there is an argument that somebody has to change."""
    try:
        with Store(config.load(config.find(options.config)).store_url()) as store:
            yield store
    except ChangeRefused as why:
        raise ConfigurationError(str(why)) from why


def _known(store: Store, name: str) -> Person:
    person = accounts.find(store, name)
    if person is None:
        raise ChangeRefused(f"nobody is called {printing.printable(name)}")
    return person


def _who() -> Who:
    return Who(getpass.getuser(), socket.gethostname(), "cli")


def _asked(name: str) -> str:
    """A password: typed twice on a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        said = getpass.getpass(f"password of {name}: ")
        passwords.require_strong(said, name)
        if getpass.getpass("once more: ") != said:
            raise ChangeRefused("the two are not the same")
        return said
    said = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    passwords.require_strong(said, name)
    return said


def _state(person: Person) -> str:
    return "disabled" if person.disabled else "" if person.has_password else "no password"


def _validity(token: Token) -> str:
    return "valid" if token.valid(datetime.now(UTC)) else "revoked" if token.revoked_at else "ended"


def _words(person: Person, tokens: Sequence[Token]) -> dict[str, Any]:
    return {
        "name": person.name,
        "role": person.role.name.lower(),
        "disabled": person.disabled,
        "has_password": person.has_password,
        "email": person.email,
        "digest_wanted": person.digest_wanted,
        "created_at": person.created_at,
        "tokens": [
            {
                "id": token.id, "purpose": token.purpose, "role": token.role.name.lower(),
                "state": _validity(token), "expires_at": token.expires_at, "used_at": token.used_at,
            }
            for token in tokens
            if token.person.id == person.id
        ],
    }  # fmt: skip
