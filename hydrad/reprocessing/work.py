"""What a worker does with a portion of files: read, decode, scale, compute; wherever it runs, it writes nothing."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from hydrad import image_files, images
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.fitness import Wanted
from hydrad.classify.prepare import Prepared
from hydrad.classify.runtime import OpenRuntime, Runtime, ready
from hydrad.domain import Outcome, Prediction, Rules
from hydrad.errors import BundleError, ImageError
from hydrad.reprocessing.archive import Archived, Portion
from hydrad.store.reprocessing.records import Rejudged
from hydrad.train.modest import step_back
from hydrad.verdict import confirmed
from hydrad.watchers.arriving import written_at
from hydrad.watchers.settling import Look

GONE: Final = "gone before it could be read"


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker has to know; it opens the model when it is first given files, and keeps it."""

    bundle: Wanted
    root: Path  # of the archive
    batch: int  # the most images computed at once
    threads: int  # that one worker computes with
    open_runtime: OpenRuntime


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a portion, and who says so."""

    files: tuple[Rejudged, ...]  # in the same order
    host: str


_at_hand: tuple[Job, Bundle, Runtime] | None = None


def judge(job: Job, portion: Portion) -> Answered:
    """Judge these files.

    Raises:
        Unfit: this host has another hydrad or another bundle, or does not see the archive.
        BundleError: the model cannot be loaded.
    """
    bundle, runtime = _opened(job)
    found: dict[Archived, Rejudged] = {}
    waiting: list[tuple[Rejudged, Archived, Prepared]] = []
    for file in portion:
        read = _read(file, bundle)
        if isinstance(read, Rejudged):
            found[file] = read
            continue
        waiting.append((read[0], file, read[1]))
        if len(waiting) == job.batch:
            found.update(_judged(bundle, runtime, waiting))
            waiting = []
    if waiting:
        found.update(_judged(bundle, runtime, waiting))
    return Answered(tuple(found[file] for file in portion), socket.gethostname())


def _opened(job: Job) -> tuple[Bundle, Runtime]:
    global _at_hand  # noqa: PLW0603  a worker's process has one model, opened once
    if _at_hand is None or _at_hand[0] != job:
        step_back(job.threads)
        job.bundle.require_here(job.root)
        runtime = ready(bundles.read(job.bundle.folder), job.open_runtime, job.batch)
        _at_hand = job, runtime.bundle, runtime
    return _at_hand[1:]


def _read(file: Archived, bundle: Bundle) -> Rejudged | tuple[Rejudged, Prepared]:
    """What is known of a file, and its picture as the network wants it where it has one."""

    def not_judged(outcome: Outcome, reason: str) -> Rejudged:
        return Rejudged(file.plot, file.below, outcome, reason, run=file.run, taken_at=file.taken_at)

    try:
        data, written_ns = image_files.read_dated(Path(file.path))
        picture = images.picture_of(data, [bundle.manifest.preparation])
    except ImageError as why:
        return not_judged(Outcome.REJECTED, str(why))
    except FileNotFoundError:
        return not_judged(Outcome.REJECTED, GONE)
    except OSError as fault:  # that it may not be read says nothing of the image: it is tried another time
        return not_judged(Outcome.PENDING, fault.strerror or str(fault))
    except MemoryError:
        return not_judged(Outcome.PENDING, os.strerror(errno.ENOMEM))
    taken_at = file.taken_at or written_at(Look(len(data), written_ns, 0, 0), datetime.now(UTC))
    known = Rejudged(file.plot, file.below, Outcome.JUDGED, sha256=picture.sha256, run=file.run, taken_at=taken_at)
    return known, picture.views[bundle.manifest.preparation]


def _judged(
    bundle: Bundle, runtime: Runtime, waiting: Sequence[tuple[Rejudged, Archived, Prepared]]
) -> Iterator[tuple[Archived, Rejudged]]:
    thresholds = Rules(detector="", thresholds=bundle.thresholds)
    said = _computed(bundle, runtime, [prepared for *_, prepared in waiting])
    for (known, file, _), one in zip(waiting, said, strict=True):
        if isinstance(one, str):
            yield file, replace(known, outcome=Outcome.REJECTED, reason=one)
        else:
            yield (
                file,
                replace(
                    known,
                    label=one.label,
                    confidence=one.confidence,
                    confirmed=confirmed(one, thresholds),
                    scores=one.scores,
                    novelty=one.novelty,
                ),
            )


def _computed(bundle: Bundle, runtime: Runtime, pictures: Sequence[Prepared]) -> Iterator[Prediction | str]:
    """What the model says of each, or why it says nothing; where it cannot answer all at once, each half by itself."""
    try:
        answers = runtime.compute(np.stack(pictures))
        answers.check(len(pictures), bundle)
        predictions = [answers.prediction(n, bundle) for n in range(len(pictures))]
    except BundleError as fault:
        if len(pictures) == 1:
            yield str(fault)
            return
        half = len(pictures) // 2
        yield from _computed(bundle, runtime, pictures[:half])
        yield from _computed(bundle, runtime, pictures[half:])
    else:
        yield from predictions
