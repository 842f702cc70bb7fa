"""The table of labelled images, labels.csv: one row an image, exact where folders' names cannot be."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hydrad.domain import Caption, Meaning, zulu
from hydrad.errors import ConfigurationError
from hydrad.store.colours import is_colour
from hydrad.store.labels.defining import Hand, why_not
from hydrad.store.labels.labelling import LabelledImage
from hydrad.verbs.label_folders import Offer, Refusal

NAME = "labels.csv"
COLUMNS = ("file", "plot", "label", "meaning", "colour", "run", "taken_at", "sha256", "by", "at")
NEEDED = ("file", "plot", "label")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 2**63


class _Wrong(ValueError):
    """A row that cannot be taken."""


def write(path: Path, rows: Iterable[tuple[str, LabelledImage]], colours: Mapping[tuple[str, str], str]) -> None:
    """Write the table.

    Args:
        rows: each image with the name of its file, relative to the table or absolute; empty for one that is gone.
        colours: those that people chose, by plot and label.
    """
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for name, one in rows:
            table.writerow(
                (
                    name,
                    one.plot,
                    one.label,
                    one.meaning.value,
                    colours.get((one.plot, one.label), ""),
                    "" if one.run is None else one.run,
                    zulu(one.taken_at) or "",
                    one.sha256,
                    one.by,
                    zulu(one.at) or "",
                )
            )


def read(path: Path, importer: Hand) -> Iterator[Offer | Refusal]:
    """The rows of a table, as this program or a person wrote it; a faulty row is refused, the others are not.

    Args:
        importer: who labelled the images of rows that do not say it.

    Raises:
        ConfigurationError: it is no such table.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogatepass", newline="") as file:
            head = file.readline()
            file.seek(0)
            table = csv.DictReader(file, delimiter=";" if ";" in head and "," not in head else ",", strict=True)
            names = table.fieldnames or ()
            if missing := [name for name in NEEDED if name not in names]:
                raise ConfigurationError(f"{path}: has no column {', '.join(missing)}")
            for row in table:
                yield _offer(row, path, table.line_num, importer)
    except OSError as fault:
        raise ConfigurationError(f"{path}: {fault.strerror or fault}") from fault
    except UnicodeDecodeError as fault:
        raise ConfigurationError(f"{path}: is no UTF-8") from fault
    except csv.Error as fault:
        raise ConfigurationError(f"{path}: is no table of comma-separated values: {fault}") from fault


def _offer(row: Mapping[str, Any], path: Path, line: int, importer: Hand) -> Offer | Refusal:
    said = {name: row.get(name) or "" for name in COLUMNS}
    key = said["plot"], said["label"]
    try:
        return Offer(
            name=said["file"] or f"{path.name}, line {line}",
            label=_label(said["label"]),
            caption=Caption(_plot(said["plot"]), _run(said["run"]), taken_at=_moment("taken_at", said["taken_at"])),
            file=path.parent / said["file"] if said["file"] else None,
            sha256=_sha256(said["sha256"], needed=not said["file"]),
            hand=_hand(said["by"], _moment("at", said["at"]), importer),
            meaning=_meaning(said["meaning"]),
            colour=_colour(said["colour"]),
        )
    except _Wrong as fault:
        return Refusal(f"{path.name}, line {line}", str(fault), key=key if all(key) else None)


def _label(text: str) -> str:
    if flaw := why_not(text):
        raise _Wrong(flaw)
    return text


def _plot(text: str) -> str:
    if not text.strip():
        raise _Wrong("names no plot")
    return text


def _sha256(text: str, *, needed: bool) -> str | None:
    if needed and not text:
        raise _Wrong("names neither a file nor a sha256")
    if text and not _SHA256.fullmatch(text.lower()):
        raise _Wrong(f"sha256: {text!r} is none")
    return text.lower() or None


def _run(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) < _LARGEST):
        raise _Wrong(f"run: {text!r} is no run number")
    return int(text)


def _moment(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise _Wrong(f"{name}: {text!r} is no time such as 2026-11-23T07:00:00Z") from fault
    if moment.tzinfo is None:
        raise _Wrong(f"{name}: {text!r} does not say its time zone")
    return moment


def _meaning(text: str) -> Meaning | None:
    try:
        return Meaning(text.lower()) if text else None
    except ValueError as fault:
        raise _Wrong(f"meaning: {text!r} is none of {', '.join(Meaning)}") from fault


def _colour(text: str) -> str | None:
    if text and not is_colour(text):
        raise _Wrong(f"colour: {text!r} is no colour such as #c0392b")
    return text or None


def _hand(person: str, at: datetime | None, importer: Hand) -> Hand:
    return Hand(person or importer.person, importer.host, importer.via, at or importer.at)
