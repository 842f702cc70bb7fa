"""The tables of the data base, and the questions each index is there to answer; with this, METADATA knows them all."""

from hydrad.store.tables.accounts import digests, people, people_changes, sessions, tokens
from hydrad.store.tables.archive import reprocessed, reprocessings
from hydrad.store.tables.faults import acknowledgements, episodes, logbook_entries
from hydrad.store.tables.judged import files, images, tallies, verdicts
from hydrad.store.tables.labelled import definitions, labellings, labels
from hydrad.store.tables.library import ModelState, TrainingState, models, moves, shadows, trainings
from hydrad.store.tables.messages import canaries, heartbeats, news, settings, submissions
from hydrad.store.tables.metadata import METADATA
from hydrad.store.tables.watched import detectors, hours, plots, runs, standings

__all__ = [
    "METADATA", "ModelState", "TrainingState", "acknowledgements", "canaries", "definitions", "detectors", "digests",
    "episodes", "files", "heartbeats", "hours", "images", "labellings", "labels", "logbook_entries", "models", "moves",
    "news", "people", "people_changes", "plots", "reprocessed", "reprocessings", "runs", "sessions", "settings",
    "shadows", "standings", "submissions", "tallies", "tokens", "trainings", "verdicts",
]  # fmt: skip
