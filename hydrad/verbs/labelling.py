"""`hydrad label`: labels of people's own, in and out and looked at."""

from __future__ import annotations

import argparse
import getpass
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydrad import config
from hydrad.classify.labels import meaning_of
from hydrad.config import Watch
from hydrad.domain import Meaning
from hydrad.errors import ChangeRefused, ConfigurationError, HydradError
from hydrad.saving import shares
from hydrad.store.images import ImageFolder
from hydrad.store.labels.defining import Hand, why_not
from hydrad.store.labels.defining import define as define_label
from hydrad.store.labels.labelling import labelled, tallies
from hydrad.store.queries import Store
from hydrad.verbs import advancing, label_folders, label_table, printing
from hydrad.verbs.bringing import KINDS, Bringing, Report
from hydrad.verbs.label_folders import Offer, Refusal
from hydrad.verbs.leaving import leave
from hydrad.verbs.reports import existing

MOST_LINES = 20  # of files not taken, on a terminal
LARGEST_RUN = 2**63


@dataclass(frozen=True, slots=True)
class Source:
    """Where labelled images come from; ``offers`` reads it from the beginning each time."""

    offers: Callable[[], Iterator[Offer | Refusal]]
    says: str  # how it was understood
    restores: bool = False


def bring(options: argparse.Namespace) -> None:
    """Bring labelled images into the data base; raises HydradError when there was none that could be taken."""
    settings = config.load(config.find(options.config))
    hand = _hand(options, "import")
    source, meanings = _understood(options, settings, hand)
    with Store(settings.store_url()) as store:
        store.ping()  # before anything is read: is it there, and of this schema?
        folder = ImageFolder(settings.store.images)
        bringing = Bringing(store, folder, hand, meanings, restores=source.restores)
        total = sum(isinstance(one, Offer) for one in source.offers())
        with advancing.bar("looking at images", total) as tell:
            bringing.take(source.offers(), tell)
        report = bringing.report
        report.notes += [
            f"--meaning: no image has the label {label!r}"
            for label in sorted(set(meanings) - {label for _, label in report.counts})
        ]
        rows = _summary(store, report)
    if options.json:
        printing.document(
            {
                "source": str(options.folder),
                "labels": rows,
                "taken": report.taken,
                "rejected": [{"file": printing.printable(one.name), "reason": one.reason} for one in report.rejected],
                "skipped": [{"file": printing.printable(one.name), "reason": one.reason} for one in report.skipped],
                "notes": [source.says, *report.notes],
            }
        )
    else:
        _print(source, rows, report)
    if not report.taken:
        raise HydradError(f"nothing was imported: {printing.printable(str(options.folder))} has no image to take")


def export(options: argparse.Namespace) -> None:
    """Write labelled images and their table into a folder of their own."""
    settings = config.load(config.find(options.config))
    folder: Path = options.folder
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError(f"{printing.printable(str(folder))}: is not empty; name a new folder")
    except OSError as fault:
        raise ConfigurationError(f"{printing.printable(str(folder))}: {fault.strerror or fault}") from fault
    with existing(settings) as store:
        counted = _wanted(store, options.plot)
        found = labelled(store, options.plot, purged=True)
    colours = {(one.plot, one.label): one.colour for one in counted if one.chosen}
    with advancing.bar("writing images", len(found)) as tell:
        left = leave(found, folder, settings.store.images, colours, pictures=not options.csv_only, tell=tell)
    words = {
        "folder": str(folder),
        "images": left.written,
        "gone": left.gone,
        "plots": len({one.plot for one in found}),
        "table": str(left.table),
    }
    if options.json:
        printing.document(words)
        return
    printing.say(f"{len(found)} labelled images of {words['plots']} plots: {printing.printable(str(left.table))}")
    if left.gone:
        printing.say(
            f"the pictures of {left.gone} of them are gone or damaged; the table has their labels all the same"
        )


def listed(options: argparse.Namespace) -> None:
    """Each plot's labels, how many images have them, and what share of its other images is kept to be labelled."""
    settings = config.load(config.find(options.config))
    with existing(settings) as store:
        found = _wanted(store, options.plots)
    counts: Counter[str] = Counter()
    for one in found:
        counts[one.plot] += one.images
    kept = shares(settings.saving, counts)
    if options.json:
        printing.objects(
            {
                "plot": one.plot,
                "label": one.label,
                "meaning": one.meaning.value,
                "colour": one.colour,
                "images": one.images,
                "share_kept": round(kept[one.plot], 4),
            }
            for one in found
        )
        return
    printing.table(
        ("plot", "images", "label", "meaning", "colour", "of others is kept"),
        ((one.plot, one.images, one.label, one.meaning.value, one.colour, f"{kept[one.plot]:.0%}") for one in found),
    )


def define(options: argparse.Namespace) -> None:
    """Define a label of a plot, or change what it means and looks like."""
    settings = config.load(config.find(options.config))
    hand = _hand(options, "cli")
    with existing(settings) as store:
        if not store.standings([options.plot]):
            raise ConfigurationError(f"no plot is called {options.plot!r}; `hydrad label import` brings new ones")
        meaning = None if options.meaning is None else Meaning(options.meaning)
        try:
            changed = define_label(
                store, options.plot, options.label, hand, meaning_of, meaning=meaning, colour=options.colour
            )
        except ChangeRefused as why:
            raise ConfigurationError(str(why)) from why
        label = store.labels(options.plot)[options.label]
    so = "now" if changed else "already"
    printing.say(f"{options.plot}: {options.label} {so} means {label.meaning} and is painted {label.colour}")


def _hand(options: argparse.Namespace, via: str) -> Hand:
    return Hand(options.user or getpass.getuser(), socket.gethostname(), via, datetime.now(UTC))


def _understood(
    options: argparse.Namespace, settings: config.Config, hand: Hand
) -> tuple[Source, Mapping[str, Meaning]]:
    """What the arguments of an import say; raises ConfigurationError with all that is wrong with them."""
    faults: list[str] = []
    meanings = _meanings(options.meaning, faults)
    if options.label is not None and (flaw := why_not(options.label)):
        faults.append(f"--label: {flaw}")
    if options.plot is not None and not (options.plot.strip() and options.plot.isprintable()):
        faults.append(f"--plot: {options.plot!r} can be no plot's name")
    if options.run is not None and not 0 <= options.run < LARGEST_RUN:
        faults.append(f"--run: {options.run} is no run number")
    top = Path(os.path.abspath(options.folder))  # noqa: PTH100  resolve() would follow links to other names
    shown = printing.printable(str(options.folder))
    table = top / label_table.NAME if top.is_dir() else top
    source = None
    if table.is_file():
        said = [name for name in ("plot", "layout", "label", "run") if getattr(options, name) is not None]
        faults += [f"--{name}: {table.name} itself says it, row by row" for name in said]
        source = Source(lambda: label_table.read(table, hand), f"read by its {table.name}", restores=True)
    elif not top.is_dir():
        faults.append(f"{shown}: no such folder or table")
    else:
        source = _folder_source(options, settings, top, faults)
    if faults or source is None:
        raise ConfigurationError(*faults)
    return source, meanings


def _folder_source(options: argparse.Namespace, settings: config.Config, top: Path, faults: list[str]) -> Source:
    if options.layout is not None:
        # Its own name may tell the run, as that of a producer's dump does.
        read = label_folders.by_layout(Watch(root=top.parent, layout=options.layout), settings.hall.zone)
        says = f"plots and runs are told by the names, as {options.layout} has them"
    else:
        plot = options.plot or label_folders.named_after(top)
        if not plot:
            faults.append(f"{top}: has no name to call a plot by; say --plot or --layout")
        read = label_folders.by_plot(plot, top, labels=options.label is None)
        says = f"all of them show the plot {printing.printable(plot)}"
        if options.plot is None:
            says += ", named after the folder (--plot and --layout say otherwise)"
    return Source(lambda: label_folders.offers(top, read, label=options.label, run=options.run), says)


def _meanings(texts: Sequence[str], faults: list[str]) -> Mapping[str, Meaning]:
    meanings: dict[str, Meaning] = {}
    for text in texts:
        label, told, word = text.rpartition("=")
        if not told:
            faults.append(f"--meaning: {text!r} is not LABEL=MEANING")
        elif flaw := why_not(label):
            faults.append(f"--meaning: {flaw}")
        elif word.lower() not in set(Meaning):
            faults.append(f"--meaning: {word!r} is none of {', '.join(Meaning)}")
        elif meanings.setdefault(label, Meaning(word.lower())) != word.lower():
            faults.append(f"--meaning: {label} cannot mean both {meanings[label]} and {word.lower()}")
    return meanings


def _wanted(store: Store, patterns: Sequence[str]) -> Sequence[Any]:
    """The labels of the plots that these patterns name; raises ConfigurationError for one that names none."""
    faults = [f"no plot with labels is called {one!r}" for one in patterns if not tallies(store, [one])]
    if faults:
        raise ConfigurationError(*faults)
    return tallies(store, patterns)


def _summary(store: Store, report: Report) -> list[dict[str, Any]]:
    plots = {plot: store.labels(plot) for plot in {plot for plot, _ in report.counts}}
    rows = []
    for (plot, label), counter in sorted(report.counts.items()):
        there = plots[plot].get(label)
        meaning = None if there is None else there.meaning.value
        rows.append({"plot": plot, "label": label, "meaning": meaning, **{kind: counter[kind] for kind in KINDS}})
    return rows


def _print(source: Source, rows: Sequence[Mapping[str, Any]], report: Report) -> None:
    printing.say(source.says)
    if rows:
        header = ("plot", "label", "meaning", *KINDS)
        printing.table(header, ([row[name] for name in header] for row in rows))
    for title, them in (("rejected", report.rejected), ("skipped", report.skipped)):
        for one in them[:MOST_LINES]:
            printing.say(f"{title}: {printing.printable(one.name)}: {one.reason}")
        if len(them) > MOST_LINES:
            printing.say(f"{title}: {len(them) - MOST_LINES} more; --json lists them all")
    if moved := sum(row["relabelled"] for row in rows):
        printing.say(f"{moved} of these pictures were known with another label; what they had is kept in their history")
    if left := sum(row["left"] for row in rows):
        printing.say(f"{left} stay as people labelled them since; a table without the column `at` counts as new")
    for note in report.notes:
        printing.say(note)
