"""What was written is held against what the ledger says of it: lost, double, wrong."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from sqlalchemy import select

from hydrad.domain import Cause, Outcome, Status
from hydrad.store.images import ImageFolder
from hydrad.store.queries import Store
from hydrad.store.tables import verdicts


class Fate(Enum):
    """What may become of a file."""

    JUDGED = frozenset({Outcome.JUDGED, Outcome.UNCHANGED, Outcome.SUPERSEDED})
    REJECTED = frozenset({Outcome.REJECTED})
    EITHER = frozenset({Outcome.JUDGED, Outcome.UNCHANGED, Outcome.SUPERSEDED, Outcome.REJECTED})


@dataclass(frozen=True, slots=True)
class Version:
    """One content that a path had."""

    path: str
    sha256: str
    fate: Fate = Fate.JUDGED

    @classmethod
    def of(cls, path: Path, data: bytes, fate: Fate = Fate.JUDGED) -> Version:
        """That of a file with these bytes."""
        return cls(str(path), hashlib.sha256(data).hexdigest(), fate)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the ledger."""

    path: str
    sha256: str | None
    outcome: Outcome
    reason: str = "why"


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict on an image."""

    path: str
    sha256: str
    status: Status


@dataclass(slots=True)
class Findings:
    """What is not as it must be, in words: one sentence each."""

    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.double or self.wrong)

    def __str__(self) -> str:
        return "\n".join(
            f"{len(found)} {word}, e.g.\n  " + "\n  ".join(found[:10])
            for word, found in (("lost", self.lost), ("double", self.double), ("wrong", self.wrong))
            if found
        )


def compare(
    written: Sequence[Version],
    rows: Iterable[Row],
    said: Iterable[Said],
    statuses: Collection[Status],
    *,
    judged_again: bool = False,
) -> Findings:
    """Hold the ledger and the verdicts against what was written.

    The newest content of a path must be there; an older one may have been written over before anybody could read it.
    None may be there more often than it was written, and nothing may be there that never was.

    Args:
        written: in order; the last of a path is what lies there at the end.
        rows: the ledger.
        said: the verdicts on images.
        statuses: what a verdict may say.
        judged_again: whether a line of the ledger may have more than one verdict.
    """
    found = Findings()
    versions: dict[str, list[Version]] = defaultdict(list)
    for version in written:
        versions[version.path].append(version)
    rows_of: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        rows_of[row.path].append(row)
    for path in rows_of.keys() - versions.keys():
        found.wrong.append(f"{path!r} is in the ledger and was never written")
    for path, its in versions.items():
        _compare_path(found, its, rows_of.get(path, []))
    _compare_verdicts(found, rows_of, said, statuses, judged_again=judged_again)
    return found


def _compare_path(found: Findings, versions: Sequence[Version], rows: Sequence[Row]) -> None:
    path, newest = versions[-1].path, versions[-1]
    if not rows:
        found.lost.append(f"{path!r} is not in the ledger")
        return
    _compare_contents(found, path, versions, [row for row in rows if row.sha256 is not None])
    rejected = [row for row in rows if row.sha256 is None]
    found.wrong += [f"{path!r} is rejected without a reason" for row in rejected if not row.reason]
    may_be_rejected = sum(version.fate is not Fate.JUDGED for version in versions)
    if len(rejected) > may_be_rejected:
        word = found.double if may_be_rejected else found.wrong
        word.append(f"{path!r} is {len(rejected)} times rejected: {rejected[-1].reason}")
    arrived = any(row.sha256 == newest.sha256 for row in rows) or (newest.fate is not Fate.JUDGED and rejected)
    if not arrived:
        found.lost.append(f"what {path!r} ended as is not in the ledger")


def _compare_contents(found: Findings, path: str, versions: Sequence[Version], rows: Sequence[Row]) -> None:
    written: dict[str | None, list[Version]] = defaultdict(list)
    for version in versions:
        written[version.sha256].append(version)
    for sha256, times in Counter(row.sha256 for row in rows).items():
        if sha256 not in written:
            found.wrong.append(f"{path!r} has a content in the ledger that it never had")
        elif times > len(written[sha256]):
            found.double.append(f"{path!r} is {times} times in the ledger with the same content")
    found.wrong += [
        f"{path!r} is {row.outcome.value}: {row.reason}"
        for row in rows
        if row.sha256 in written and not any(row.outcome in version.fate.value for version in written[row.sha256])
    ]


def _compare_verdicts(
    found: Findings,
    rows_of: Mapping[str, Sequence[Row]],
    said: Iterable[Said],
    statuses: Collection[Status],
    *,
    judged_again: bool,
) -> None:
    counted: Counter[tuple[str, str | None]] = Counter()
    for verdict in said:
        counted[verdict.path, verdict.sha256] += 1
        if verdict.status not in statuses:
            found.wrong.append(f"{verdict.path!r} was called {verdict.status.name}")
    judged = Counter(
        (row.path, row.sha256)
        for rows in rows_of.values()
        for row in rows
        if row.outcome in Fate.JUDGED.value and (row.outcome, row.sha256) != (Outcome.SUPERSEDED, None)  # passed over
    )
    for (path, _), times in (counted - judged).items() if not judged_again else ():
        found.double.append(f"{path!r} has {times} verdict(s) more than lines in the ledger")
    for path, _ in judged - counted:
        found.wrong.append(f"{path!r} is in the ledger as judged, without a verdict")


def ledger(store: Store) -> list[Row]:
    """Every line of the ledger."""
    return [Row(entry.path, entry.sha256, entry.outcome, entry.reason) for entry in store.ledger_files()]


def image_verdicts(store: Store) -> list[Said]:
    """Every verdict that an image caused."""
    columns = (verdicts.c.path, verdicts.c.sha256, verdicts.c.status)
    with store.reading() as connection:
        rows = connection.execute(select(*columns).where(verdicts.c.cause == Cause.IMAGE))
        return [Said(*row) for row in rows]


def images_missing(rows: Iterable[Row], folder: Path) -> list[str]:
    """Images that the ledger says are kept and that do not lie in their folder whole."""
    images = ImageFolder(folder)
    missing = []
    for sha256 in {row.sha256 for row in rows if row.sha256 is not None}:
        kept = [path for kind in ("png", "jpeg", "gif") if (path := images.path(sha256, kind)).exists()]
        if not any(hashlib.sha256(path.read_bytes()).hexdigest() == sha256 for path in kept):
            missing.append(f"the image {sha256} is not kept")
    return missing
