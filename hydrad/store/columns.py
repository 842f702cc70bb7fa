"""Column types that keep a value exactly, on SQLite and on MySQL or MariaDB."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Double, Integer, LargeBinary, String, Text, TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

SERVERS = ("mysql", "mariadb")  # SQLAlchemy's names of the dialects

RowId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself only in an INTEGER column
Blob = LargeBinary().with_variant(mysql.MEDIUMBLOB(), *SERVERS)

_NOT_TEXT = re.compile(r"[\\\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(\\|u[0-9a-f]{4})")
_LARGEST = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_THERE = _EPOCH.replace(tzinfo=None)  # as a data base has it
_quoted = json.encoder.encode_basestring_ascii  # a string in JSON
_in_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode  # json.dumps would make one each time


@functools.lru_cache(maxsize=8192)  # plots and labels come again and again
def digest(*parts: str | int | None) -> bytes:
    """Sixteen bytes that stand for these parts in unique indices: exact where collations and lengths are not."""
    text = ",".join([_quoted(part) if isinstance(part, str) else _number(part) for part in parts])
    return hashlib.blake2b(f"[{text}]".encode("ascii"), digest_size=16).digest()  # of a list in JSON


def _number(part: int | None) -> str:
    return "null" if part is None else str(part)


def is_plain(text: str) -> bool:
    """True if :func:`escape` has nothing to do."""
    return "\\" not in text and text.isascii()


def escape(text: str) -> str:
    r"""Any str as text that has a UTF-8 form: bytes of a file's name that are no UTF-8 become ``\udcXX``."""
    if is_plain(text):
        return text
    return _NOT_TEXT.sub(lambda hit: r"\\" if hit[0] == "\\" else rf"\u{ord(hit[0]):04x}", text)


def unescape(text: str) -> str:
    """What :func:`escape` was given."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda hit: "\\" if hit[1] == "\\" else chr(int(hit[1][1:], 16)), text)


class Words(TypeDecorator[str]):
    """Text of any length that may hold file names of any bytes."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MEDIUMTEXT on a server, whose TEXT ends at 64 KiB."""
        return dialect.type_descriptor(mysql.MEDIUMTEXT() if dialect.name in SERVERS else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002  the base's word
        """Escape what has no UTF-8 form."""
        return None if value is None else escape(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002  the base's word
        """Give back what was stored."""
        return None if value is None else unescape(value)


class Document(TypeDecorator[Mapping[str, Any]]):
    """A JSON document as ASCII text: keeps the order of keys and every digit, which native JSON columns do not."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MEDIUMTEXT on a server, whose TEXT ends at 64 KiB."""
        return dialect.type_descriptor(mysql.MEDIUMTEXT() if dialect.name in SERVERS else Text())

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write the document; a number that is none is refused."""
        return None if value is None else _in_ascii(dict(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Mapping[str, Any] | None:  # noqa: ARG002
        """Read the document."""
        return None if value is None else json.loads(value)


class Number(TypeDecorator[float]):
    """A finite double; NaN and infinity are refused everywhere, not NULL on one data base and an error on the next."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        """Refuse what is no number."""
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{value} is no finite number")
        return None if value is None else float(value)


class Moment(TypeDecorator[datetime]):
    """An instant: aware in Python, UTC to the microsecond in the data base."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """DATETIME(6) on a server, whose DATETIME drops the fraction."""
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name in SERVERS else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Bring it to UTC; a time without zone is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} does not say its time zone")
        at = value if value.tzinfo is UTC else value.astimezone(UTC)
        without_zone = at - _EPOCH + _EPOCH_THERE  # replace() takes five times as long
        # A server's client library would make the same text of it.
        return without_zone.isoformat(" ") if dialect.name in SERVERS else without_zone

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware again."""
        return None if value is None else value.replace(tzinfo=UTC)


def of_sha256(value: str) -> bytes:
    """The 32 bytes of a SHA-256 in hex; raises ValueError for what is none."""
    if len(value) != 64:
        raise ValueError(f"{value!r} is no SHA-256")
    return bytes.fromhex(value)


class Hash(TypeDecorator[str]):
    """A SHA-256, hex in Python, 32 bytes in the data base."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """BINARY(32) on a server: it can be indexed whole."""
        return dialect.type_descriptor(mysql.BINARY(32) if dialect.name in SERVERS else LargeBinary(32))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Refuse what is no SHA-256."""
        return None if value is None else of_sha256(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Hex again."""
        return None if value is None else bytes(value).hex()


class Digest(TypeDecorator[bytes]):
    """What :func:`digest` gives."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """BINARY(16) on a server: it can be indexed whole."""
        return dialect.type_descriptor(mysql.BINARY(16) if dialect.name in SERVERS else LargeBinary(16))


class Word(TypeDecorator[Enum]):
    """A member of an enumeration by its word, so that people's own SQL can read it."""

    impl = String
    cache_ok = True

    def __init__(self, kind: type[Enum]) -> None:
        super().__init__(12)
        self.kind = kind

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """One byte a letter and case counts, on a server."""
        narrow = mysql.VARCHAR(12, charset="ascii", collation="ascii_bin")
        return dialect.type_descriptor(narrow if dialect.name in SERVERS else String(12))

    def process_bind_param(self, value: Enum | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """The value where it is a word, else the name."""
        return None if value is None else value.value if isinstance(value.value, str) else value.name

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Enum | None:  # noqa: ARG002
        """The member again."""
        if value is None:
            return None
        return self.kind(value) if issubclass(self.kind, str) else self.kind[value]


class Nanoseconds(TypeDecorator[int]):
    """A file's time of last write; file systems know years that 64 bits of nanoseconds do not (after 2262)."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Stop at what the column can hold."""
        return None if value is None else max(-_LARGEST, min(value, _LARGEST))
