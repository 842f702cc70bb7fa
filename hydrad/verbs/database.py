"""`hydrad db`: the schema."""

from __future__ import annotations

import argparse

from hydrad import config
from hydrad.store import schema
from hydrad.verbs import printing
from hydrad.verbs.reports import existing


def upgrade(options: argparse.Namespace) -> None:
    """Bring the data base to this program's schema."""
    state = schema.upgrade(config.load(config.find(options.config)).store_url())
    printing.say(f"the schema is {state.present}, as this program wants it")


def status(options: argparse.Namespace) -> int:
    """Say how the schema stands; exit 1 if `hydrad db upgrade` is called for."""
    settings = config.load(config.find(options.config))
    with existing(settings):
        state = schema.schema_state(settings.store_url())
    if options.json:
        printing.document({"present": state.present, "wanted": state.wanted, "age": state.age.value})
    else:
        printing.say(f"present {state.present or 'none'}, wanted {state.wanted}: {state.age.value}")
    return int(state.age is not schema.Age.CURRENT)
