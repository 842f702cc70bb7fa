"""`hydrad models promote`, `shadow`, `retire`, `rollback`: what a person decides about a model."""

from __future__ import annotations

import argparse
import getpass
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from hydrad import config
from hydrad.classify import bundle as bundles
from hydrad.classify.claims import Claim, claim_of, outlook
from hydrad.config import Config, FixedClassify
from hydrad.errors import HydradError
from hydrad.store.models import registry
from hydrad.store.models.registry import Decision, Who
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState
from hydrad.verbs import printing
from hydrad.verbs.reports import existing, is_alive

ASK_EVERY_S = 0.1

Decide = Callable[[Store, Who], Decision]


def promote(options: argparse.Namespace) -> int:
    """Put a model into service; what serves exactly the same patterns of plots is retired with it."""
    return _decide(options, lambda store, who: registry.promote(store, options.id, who, options.reason), loads=True)


def shadow(options: argparse.Namespace) -> int:
    """Let a model judge along without effect."""
    return _decide(
        options,
        lambda store, who: registry.move(store, options.id, ModelState.SHADOW, who, options.reason),
        loads=True,
    )


def retire(options: argparse.Namespace) -> int:
    """Take a model out of service or out of the shadow."""
    return _decide(
        options, lambda store, who: registry.move(store, options.id, ModelState.RETIRED, who, options.reason)
    )


def rollback(options: argparse.Namespace) -> int:
    """Undo the newest decision that put a model into service."""
    return _decide(options, lambda store, who: registry.rollback(store, options.id, who, options.reason))


def _decide(options: argparse.Namespace, decide: Decide, *, loads: bool = False) -> int:
    """Decide, say what comes of it, and wait for the daemon if asked to; 1 when the daemon refuses.

    Args:
        loads: the decision has a bundle loaded: refuse it at once when the bundle cannot be read.
    """
    settings = config.load(config.find(options.config))
    me = Who(options.user or getpass.getuser(), socket.gethostname(), "cli")
    with existing(settings) as store:
        if loads:
            _require_readable(settings, store, options.id, me)
        decision = decide(store, me)
        works = _works(settings, store)
        answer = _answer(store, decision, options.wait_s) if options.wait_s is not None and works else None
        plots = [standing.plot for standing in store.standings()]
        claims = _claims(store)  # after the answer: what was refused is undone by then
    words = _words(options.id, decision, plots, claims) | {"daemon": works, "answer": answer}
    if options.json:
        printing.document(words)
    else:
        _say(words)
    if options.wait_s is None or not works:
        return 0
    if answer is None:
        raise HydradError(f"the daemon has not answered within {options.wait_s:g} s; see `hydrad models list`")
    return int(bool(answer["refused"]))


def _require_readable(settings: Config, store: Store, name: str, me: Who) -> None:
    """See that the bundle is what it was when it was written, and that the library knows it.

    Raises:
        BundleError: it is not there, or damaged.
    """
    card = bundles.present(settings.store.models, name).manifest.model_dump(mode="json")
    registry.introduce(store, name, card, card.pop("metrics"), me)


def _works(settings: Config, store: Store) -> bool:
    """True if a daemon is there that will act on it."""
    return is_alive(store.heartbeat()) and not isinstance(settings.classify, FixedClassify)


def _claims(store: Store) -> Sequence[Claim]:
    """What the models in service claim."""
    serving = [model for model in registry.models(store) if model.state is ModelState.IN_SERVICE]
    return [claim for model in serving if (claim := claim_of(model.id, model.card)) is not None]


def _answer(store: Store, decision: Decision, wait_s: float) -> dict[str, str] | None:
    """What the daemon has made of it: ``refused`` is empty when all of it is done; None when it said nothing."""
    deadline = time.monotonic() + wait_s
    moved = {move.model: move for move in decision.moves}
    while True:
        places = [place for place in registry.places(store) if place.id in moved]
        refusals = [place.fault for place in places if place.fault]
        if refusals:
            return {"refused": "; ".join(refusals)}
        if all(place.fault == "" for place in places):
            return {"refused": ""}
        if time.monotonic() > deadline:
            return None
        time.sleep(ASK_EVERY_S)


def _words(name: str, decision: Decision, plots: Sequence[str], claims: Sequence[Claim]) -> dict[str, Any]:
    comes_of_it = outlook(name, plots, claims)
    return {
        "id": name,
        "ticket": decision.ticket,
        "at": decision.at,
        "moves": [
            {"model": move.model, "old": None if move.old is None else move.old.value, "new": move.new.value}
            for move in decision.moves
        ],
        "serves": comes_of_it.serves,
        "leaves": [{"plot": plot, "to": server} for plot, server in comes_of_it.leaves.items()],
        "unserved": comes_of_it.unserved,
    }


def _say(words: dict[str, Any]) -> None:
    for move in words["moves"]:
        printing.say(f"{move['model']}: {move['old'] or 'new'} → {move['new']}")
    if words["serves"]:
        printing.say(f"{words['id']} serves {' '.join(words['serves'])}")
    for left in words["leaves"]:
        printing.say(f"{left['plot']} stays with {left['to']}, whose pattern says more about it")
    if words["unserved"]:
        printing.say(f"no model serves {' '.join(words['unserved'])}")
    answer = words["answer"]
    if not words["daemon"]:
        sys.stderr.write("no daemon is running that loads models: it holds from its next start\n")
    elif answer is not None:
        printing.say(f"refused, and undone: {answer['refused']}" if answer["refused"] else "done")
