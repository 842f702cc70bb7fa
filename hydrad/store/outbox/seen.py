"""Which files were dealt with before, by path: small enough to hold a million of them in memory."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hydrad.domain import Outcome
from hydrad.store.columns import digest

_FACTS = struct.Struct("<q12s1s32s")  # size, mtime_ns, outcome, sha256
_LETTERS = {outcome: outcome.value[0].encode("ascii") for outcome in Outcome}
_OUTCOMES = {letter: outcome for outcome, letter in _LETTERS.items()}
_NO_HASH = bytes(32)


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
    """The last sighting of every path. Any thread may ask; one thread at a time may tell."""

    def __init__(self) -> None:
        self._facts: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._facts)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(list(self._facts.items()))

    def get(self, path: str) -> Sighting | None:
        """What became of this path's file, or None for one never dealt with."""
        facts = self._facts.get(digest(path))
        return None if facts is None else Sighting.unpack(facts)

    def put(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take over packed sightings by the digests of their paths."""
        self._facts.update(rows)

    def drop(self, paths: Iterable[bytes]) -> None:
        """Forget these digests of paths."""
        for path in paths:
            self._facts.pop(path, None)
