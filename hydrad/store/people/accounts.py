"""Who may do what: accounts, and the history of every change to them.

An account is never deleted: the history of labels, thresholds and acknowledgements names people.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from hydrad.domain import Role
from hydrad.errors import ChangeRefused
from hydrad.store.columns import digest
from hydrad.store.models.registry import Who
from hydrad.store.queries import Store
from hydrad.store.tables import people as table
from hydrad.store.tables import people_changes as history_table
from hydrad.store.tables import sessions as sessions_table

NAME_LETTERS = 64
EMAIL_LETTERS = 254


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    id: int
    name: str
    role: Role
    email: str | None
    digest_wanted: bool  # the log of the last day, by e-mail
    disabled: bool
    has_password: bool
    created_at: datetime  # aware, UTC


@dataclass(frozen=True, slots=True)
class Lock:
    """What a password is tried on: ``hashed`` as argon2 writes it, None where no password opens the account."""

    person: Person
    hashed: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class PeopleChange:
    """One change of what somebody may do, and by whom."""

    name: str
    what: str
    by: Who
    at: datetime  # aware, UTC


def proper(name: str) -> str:
    """The name as accounts have it (Unicode NFC).

    Raises:
        ChangeRefused: nobody can be called that.
    """
    name = unicodedata.normalize("NFC", name)
    if not name or len(name) > NAME_LETTERS:
        raise ChangeRefused(f"a name has 1 to {NAME_LETTERS} letters")
    if name != name.strip() or not name.isprintable() or "," in name:
        raise ChangeRefused("a name has no comma, no control characters, and no space at its ends")
    return name


def everybody(store: Store) -> Sequence[Person]:
    """All accounts, by name."""
    with store.reading() as connection:
        return sorted(map(person_from, connection.execute(select(table))), key=lambda person: person.name.casefold())


def find(store: Store, name: str) -> Person | None:
    """The account of this name."""
    lock = lock_of(store, name)
    return None if lock is None else lock.person


def numbered(store: Store, number: int) -> Person | None:
    """The account of this number."""
    with store.reading() as connection:
        row = connection.execute(select(table).where(table.c.id == number)).one_or_none()
    return None if row is None else person_from(row)


def lock_of(store: Store, name: str) -> Lock | None:
    """What the password of this name is tried on, or None where nobody is called that."""
    query = select(table).where(table.c.digest == digest(unicodedata.normalize("NFC", name)))
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else Lock(person_from(row), row.password)


def changes(store: Store, limit: int = 200) -> Sequence[PeopleChange]:
    """What was changed last, the newest first."""
    query = select(history_table).order_by(history_table.c.id.desc()).limit(limit)
    with store.reading() as connection:
        return [
            PeopleChange(row.name, row.what, Who(row.person, row.host, row.via), row.changed_at)
            for row in connection.execute(query)
        ]


def add(store: Store, name: str, role: Role, by: Who, *, hashed: str | None = None, email: str | None = None) -> Person:
    """Make an account.

    Args:
        hashed: its password as argon2 writes it; None: no password opens it.

    Raises:
        ChangeRefused: the name is taken, differs from a taken one in case only, or is none.
    """
    name, email = proper(name), _address(email)

    def enter(connection: Connection) -> None:
        for row in connection.execute(select(table.c.name)):
            if row.name.casefold() == name.casefold():
                raise ChangeRefused(f"{row.name} has an account already")
        fresh = {
            "digest": digest(name), "name": name, "role": role, "password": hashed, "email": email,
            "digest_wanted": False, "disabled": False, "created_at": datetime.now(UTC),
        }  # fmt: skip
        connection.execute(insert(table).values(fresh))
        note(connection, name, f"added as {role.name.lower()}{'' if hashed else ', without a password'}", by)

    store.insist(enter)
    person = find(store, name)
    if person is None:
        raise ChangeRefused(f"{name} was added, and is gone again")
    return person


def set_role(store: Store, number: int, role: Role, by: Who) -> None:
    """Say what somebody may do.

    Raises:
        ChangeRefused: there is no such account, or nobody would be left who says who may do what.
    """
    with store.writing() as connection:
        person = _held(connection, number)
        if person.role is role:
            return
        if role is not Role.ADMIN:
            _require_other_admin(connection, person)
        connection.execute(update(table).where(table.c.id == number).values(role=role))
        note(connection, person.name, f"role {person.role.name.lower()} → {role.name.lower()}", by)


def set_disabled(store: Store, number: int, by: Who, *, disabled: bool) -> None:
    """Shut somebody out, which ends their sessions, or let them in again.

    Raises:
        ChangeRefused: there is no such account, or nobody would be left who says who may do what.
    """
    with store.writing() as connection:
        person = _held(connection, number)
        if person.disabled is disabled:
            return
        if disabled:
            _require_other_admin(connection, person)
            connection.execute(delete(sessions_table).where(sessions_table.c.person_id == number))
        connection.execute(update(table).where(table.c.id == number).values(disabled=disabled))
        note(connection, person.name, "disabled" if disabled else "enabled", by)


def set_password(store: Store, number: int, hashed: str | None, by: Who) -> None:
    """Change somebody's password, or take it away; ends their sessions.

    Raises:
        ChangeRefused: there is no such account.
    """
    with store.writing() as connection:
        person = _held(connection, number)
        connection.execute(update(table).where(table.c.id == number).values(password=hashed))
        connection.execute(delete(sessions_table).where(sessions_table.c.person_id == number))
        note(connection, person.name, "password changed" if hashed else "password taken away", by)


def set_contact(store: Store, number: int, by: Who, *, email: str | None, digest_wanted: bool) -> None:
    """Say where somebody's e-mail goes, and whether they want the last day's log there.

    Raises:
        ChangeRefused: there is no such account, the address is none, or there is none to send the log to.
    """
    email = _address(email)
    if digest_wanted and email is None:
        raise ChangeRefused("the log goes out by e-mail: an address is wanted for that")
    with store.writing() as connection:
        person = _held(connection, number)
        new = {"email": email, "digest_wanted": digest_wanted}
        if (person.email, person.digest_wanted) == tuple(new.values()):
            return
        connection.execute(update(table).where(table.c.id == number).values(new))
        wanted = ", the day's log goes there" if digest_wanted else ""
        note(connection, person.name, f"e-mail {email or 'none'}{wanted}", by)


# ---- for this package's own modules ----


def person_from(row: Any) -> Person:
    """The account that a row of the table holds."""
    return Person(
        row.id, row.name, row.role, row.email, row.digest_wanted, row.disabled, row.password is not None, row.created_at
    )


def note(connection: Connection, name: str, what: str, by: Who) -> None:
    """Put a change into the history."""
    said = {"person": by.person, "host": by.host, "via": by.via, "changed_at": datetime.now(UTC)}
    connection.execute(insert(history_table).values({"name": name, "what": what} | said))


def _held(connection: Connection, number: int) -> Person:
    # All who govern are held with it: of two who demote each other at once, one comes second and sees the other gone.
    query = select(table).where(or_(table.c.id == number, table.c.role == Role.ADMIN)).order_by(table.c.id)
    for row in connection.execute(query.with_for_update()):
        if row.id == number:
            return person_from(row)
    raise ChangeRefused(f"there is no account number {number}")


def _require_other_admin(connection: Connection, person: Person) -> None:
    if person.role is not Role.ADMIN or person.disabled:
        return
    others = select(table.c.id).where(
        table.c.id != person.id, table.c.role == Role.ADMIN, table.c.disabled.is_(other=False)
    )
    if connection.execute(others.limit(1)).first() is None:
        raise ChangeRefused(f"{person.name} is the last admin: nobody would be left to say who may do what")


def _address(email: str | None) -> str | None:
    """An e-mail address as it was given, or None for none."""
    email = (email or "").strip()
    if not email:
        return None
    local, _, domain = email.rpartition("@")
    if not (local and domain and len(email) <= EMAIL_LETTERS and email.isascii() and email.isprintable()):
        raise ChangeRefused(f"an e-mail address has the form name@example.org, in at most {EMAIL_LETTERS} letters")
    if set(email) & set(' ,;:<>()[]"\\') or "@" in local:  # it must stay one address in a message's header
        raise ChangeRefused('an e-mail address has none of these: space , ; : < > ( ) [ ] " \\')
    return email
