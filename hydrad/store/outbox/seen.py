"""Which files were dealt with before, by path: small enough to hold a million of them in memory."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hydrad.domain import Outcome
from hydrad.store.columns import digest

_FACTS = struct.Struct("<q12s1s32s")  # size, mtime_ns, outcome, sha256
_LETTERS = {outcome: outcome.value[0].encode("ascii") for outcome in Outcome}
_OUTCOMES = {letter: outcome for outcome, letter in _LETTERS.items()}
_NO_HASH = bytes(32)
_KEY: Final = 16  # bytes of a path's digest
_ROW: Final = _KEY + _FACTS.size
_SHELVES: Final = 2**14


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file as it was when it was dealt with, and what became of it."""

    size: int  # bytes
    mtime_ns: int
    outcome: Outcome
    reason: str
    sha256: str | None

    def pack(self) -> bytes:
        """As few bytes."""
        return _FACTS.pack(
            self.size,
            self.mtime_ns.to_bytes(12, "little", signed=True),  # file systems know years beyond 64 bits
            _LETTERS[self.outcome],
            _NO_HASH if self.sha256 is None else bytes.fromhex(self.sha256),
        ) + self.reason.encode("utf-8", "surrogatepass")

    @classmethod
    def unpack(cls, facts: bytes) -> Sighting:
        """The sighting again; raises struct.error or KeyError for bytes that are none."""
        size, mtime, letter, sha256 = _FACTS.unpack_from(facts)
        return cls(
            size=size,
            mtime_ns=int.from_bytes(mtime, "little", signed=True),
            outcome=_OUTCOMES[letter],
            reason=facts[_FACTS.size :].decode("utf-8", "surrogatepass"),
            sha256=None if sha256 == _NO_HASH else sha256.hex(),
        )


class Seen:
    """The last sighting of every path. Any thread may ask; one thread at a time may tell.

    Files lie on the disk for weeks, and of nearly all there is nothing to say but that they were judged: these lie side
    by side, 69 bytes each, where a dictionary would take 200. A shelf is never changed, only put in another's place.
    """

    def __init__(self) -> None:
        self._shelves = [b""] * _SHELVES
        self._with_reason: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._with_reason) + sum(map(len, self._shelves)) // _ROW

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for rows in self._shelves:
            for start in range(0, len(rows), _ROW):
                yield rows[start : start + _KEY], rows[start + _KEY : start + _ROW]
        yield from list(self._with_reason.items())

    def get(self, path: str) -> Sighting | None:
        """What became of this path's file, or None for one never dealt with."""
        key = digest(path)
        # In this order: what comes to lie elsewhere is there before it is gone from here.
        facts = self._with_reason.get(key)
        if facts is None:
            rows = self._shelves[_shelf(key)]
            if (start := _place(rows, key)) < 0:
                return None
            facts = rows[start + _KEY : start + _ROW]
        return Sighting.unpack(facts)

    def put(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take over packed sightings by the digests of their paths."""
        for key, facts in rows:
            if len(facts) == _FACTS.size:
                self._replace(key, key + facts)
                self._with_reason.pop(key, None)
            else:
                self._with_reason[key] = facts
                self._replace(key, b"")

    def drop(self, paths: Iterable[bytes]) -> None:
        """Forget these digests of paths."""
        for key in paths:
            self._replace(key, b"")
            self._with_reason.pop(key, None)

    def _replace(self, key: bytes, row: bytes) -> None:
        number = _shelf(key)
        rows = self._shelves[number]
        if (start := _place(rows, key)) >= 0:
            self._shelves[number] = rows[:start] + row + rows[start + _ROW :]
        elif row:
            self._shelves[number] = rows + row


def _shelf(key: bytes) -> int:
    return int.from_bytes(key[:2], "little") % _SHELVES


def _place(rows: bytes, key: bytes) -> int:
    """Where a key's row begins; negative where it has none."""
    start = rows.find(key)
    while start % _ROW and start >= 0:  # it may also be part of two rows
        start = rows.find(key, start + 1)
    return start
