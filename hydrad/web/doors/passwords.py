"""Passwords: how they are kept (argon2id), how one is tried, which are too weak."""

from __future__ import annotations

import functools
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hydrad.errors import ChangeRefused, TryAgain

LEAST_LETTERS = 10
MOST_LETTERS = 1024
LEAST_DIFFERENT = 5
AT_ONCE = 2  # each takes 64 MiB and a fifth of a second: more at once would make everybody wait
WAIT_S = 5.0

_hasher = PasswordHasher()
_room = threading.BoundedSemaphore(AT_ONCE)


def hashed(password: str) -> str:
    """A password as it is kept."""
    with _one_of_few():
        return _hasher.hash(_plain(password))


def fits(kept: str | None, password: str) -> bool:
    """Whether a password is the one that is kept.

    Args:
        kept: None where there is none: the answer is no, and takes as long as any other.
    """
    with _one_of_few():
        try:
            return _hasher.verify(kept or _nobodys(), _plain(password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False


def outdated(kept: str) -> bool:
    """Whether it was kept with other parameters than those of today."""
    return _hasher.check_needs_rehash(kept)


def require_strong(password: str, name: str) -> None:
    """Refuse a password that is soon guessed.

    Raises:
        ChangeRefused: says what is wrong with it, and not the password.
    """
    if len(password) < LEAST_LETTERS:
        raise ChangeRefused(f"a password has at least {LEAST_LETTERS} letters")
    if len(password) > MOST_LETTERS:
        raise ChangeRefused(f"a password has at most {MOST_LETTERS} letters")
    if len(set(password)) < LEAST_DIFFERENT:
        raise ChangeRefused(f"a password has at least {LEAST_DIFFERENT} different letters")
    if password.casefold() in {name.casefold(), name.casefold()[::-1]}:
        raise ChangeRefused("a password is not the name")


def make_ready() -> None:
    """Have at hand what an unknown name's password is tried on: the first such login takes no longer than others."""
    _nobodys()


@functools.cache
def _nobodys() -> str:
    return _hasher.hash(secrets.token_urlsafe())


def _plain(password: str) -> bytes:
    """The same bytes on every keyboard that types the same letters."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


@contextmanager
def _one_of_few() -> Iterator[None]:
    if not _room.acquire(timeout=WAIT_S):
        raise TryAgain("too many people log in at this moment: try again")
    try:
        yield
    finally:
        _room.release()
