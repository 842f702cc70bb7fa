"""`hydrad alarms` and `hydrad screens`: what alarm handlers and CS-Studio are given."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from hydrad import config
from hydrad.classify.claims import claim_of, servers
from hydrad.config import Config, FixedClassify
from hydrad.errors import ConfigurationError
from hydrad.ioc import own_files
from hydrad.ioc.own_files import Written
from hydrad.ioc.plan import Hall, plan
from hydrad.ioc.trees import alh, edits, phoebus
from hydrad.ioc.trees.planting import plant
from hydrad.store import roll
from hydrad.verbs import printing
from hydrad.verbs.reports import existing

FORMATS = {"phoebus": phoebus.write, "alh": alh.write}
SCREEN = ".bob"


def alarms(options: argparse.Namespace) -> None:
    """Write an alarm tree with the lab's edits in it; the same again where nothing has changed."""
    settings = config.load(config.find(options.config))
    hall = _hall(settings, options.web)
    tree = plant(hall, options.screens or str(options.file.absolute().parent / "screens"))
    own = options.edits or options.file.with_suffix(".edits.toml")
    if options.edits or own.exists():
        edited = edits.apply(tree, edits.load(own))
        tree = edited.tree
        for pattern in edited.idle:
            sys.stderr.write(f"{own}: {pattern!r} fits nothing in the tree\n")
    written = own_files.put(options.file, FORMATS[options.format](tree))
    _tell(options, hall, written, name=tree.name, alarms=sum(1 for _ in tree.hall.everything()))


def screens(options: argparse.Namespace) -> None:
    """Write the screens of a hall into a folder."""
    settings = config.load(config.find(options.config))
    hall = _hall(settings, options.web)
    try:
        from hydrad.ioc.screens.pages import pages  # noqa: PLC0415  only this verb needs phoebusgen
    except ImportError as fault:
        raise ConfigurationError("screens need the package phoebusgen, which the extra 'screens' installs") from fault
    written = own_files.put_all(options.folder, pages(hall), suffix=SCREEN)
    _tell(options, hall, written)


def _hall(settings: Config, address: str | None) -> Hall:
    with existing(settings) as store:
        known = [(one.plot, one.detector) for one in roll.call(store)]
        cards = roll.cards(store)
    names = [plot for plot, _ in known]
    return plan(settings, known, _labels(settings, names, cards), address=address or settings.pages_address())


def _labels(
    settings: Config, plots: Sequence[str], cards: Mapping[str, Mapping[str, object]]
) -> Mapping[str, Sequence[str]]:
    """By plot, the labels of the model that serves it."""
    if isinstance(settings.classify, FixedClassify):
        return dict.fromkeys(plots, tuple(settings.classify.scores))
    claims = [claim for model, card in cards.items() if (claim := claim_of(model, card)) is not None]
    by = servers(plots, claims)
    return {plot: tuple(_words(cards[model].get("thresholds"))) for plot, model in by.items() if model is not None}


def _words(found: object) -> Sequence[str]:
    return list(found) if isinstance(found, Mapping) else []


def _tell(options: argparse.Namespace, hall: Hall, written: Written, **more: object) -> None:
    words = {
        "detectors": len(hall.detectors),
        "plots": sum(1 for _ in hall.plots),
        "served": sum(plot.served for _, plot in hall.plots),
        **more,
    }
    if options.json:
        printing.document(words | asdict(written))
        return
    counts = ", ".join(f"{len(names)} {fate}" for fate, names in asdict(written).items() if names)
    printing.say(f"{words['plots']} plots of {words['detectors']} detectors, {words['served']} with a model: {counts}")
