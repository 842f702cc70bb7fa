"""How verbs print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hydrad.domain import zulu


def document(words: Mapping[str, Any]) -> None:
    """One JSON document."""
    sys.stdout.write(f"{json.dumps(words, default=_plain, ensure_ascii=False)}\n")


def objects(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    for row in rows:
        document(row)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their widest word, the last one as long as it is."""
    lines = [list(header), *([_word(cell) for cell in row] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(header))]
    for line in lines:
        padded = [*(word.ljust(width) for word, width in zip(line[:-1], widths[:-1], strict=True)), line[-1]]
        sys.stdout.write(f"{'  '.join(padded).rstrip()}\n")


def say(text: str) -> None:
    """One line."""
    sys.stdout.write(f"{text}\n")


def printable(text: str) -> str:
    """A path or name as a terminal can show it, however it was spelt on disk."""
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return shown.encode("utf-8", "backslashreplace").decode()


def size(number: float) -> str:
    """Bytes in a unit that leaves few digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _word(cell: object) -> str:
    match cell:
        case None:
            return "-"
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M:%S}"
        case float():
            return f"{cell:.2f}"
        case _:
            return printable(str(cell))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return zulu(value)
    raise TypeError(f"{value!r} has no JSON form")
