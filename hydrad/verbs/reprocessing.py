"""`hydrad reprocess`: a model judges an archive, and what it said is laid beside history."""

from __future__ import annotations

import argparse
import getpass
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from hydrad import config, log
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.fitness import Wanted, sha256_of
from hydrad.classify.opening import Opener, on_any_host
from hydrad.config import Config, Models, Watch
from hydrad.errors import ConfigurationError
from hydrad.reprocessing.archive import Extent, FolderArchive, Source, StoreArchive, extent
from hydrad.reprocessing.driving import Driver
from hydrad.reprocessing.engines import Engine, Processes, cores
from hydrad.reprocessing.on_ray import RayCluster
from hydrad.reprocessing.work import Job
from hydrad.store.queries import Store
from hydrad.store.reprocessing import records
from hydrad.store.reprocessing.beside import Beside, Disagreement, beside
from hydrad.store.reprocessing.records import Asked, Reprocessing
from hydrad.verbs import advancing, printing
from hydrad.verbs.reports import existing
from hydrad.watchers.layouts import Names

MOST_LINES: Final = 20  # of a table on a terminal


def reprocess(options: argparse.Namespace) -> int:
    """Judge what is left of an archive and say what came of it; 1 where files or folders could not be read."""
    log.configure(level="warning")
    settings = config.load(config.find(options.config))
    if options.list:
        return _list(options, settings)
    if options.forget is not None:
        return _forget(options, settings)
    _check(options)
    bundle = bundles.present(settings.store.models, options.model)
    with Store(settings.store_url()) as store:
        store.ping()
        source = _source(options, settings, store)
        wants = _wants(options.plot or bundle.manifest.plots)
        with advancing.named() as told:
            there = extent(source, wants, lambda files: told("counting files:", files))
        asked = Asked(bundle.id, sha256_of(bundle.folder), source.says, source.names)
        one = records.begin(
            store, asked, files=there.files, by=options.user or getpass.getuser(), host=socket.gethostname(),
            again=options.again,
        )  # fmt: skip
        before, started, by = one.judged + one.rejected, time.monotonic(), "nobody"
        if there.files:
            with (
                _engine(options, settings, bundle, source.root) as engine,
                advancing.bar("judging", there.files, rate="images") as tell,
            ):
                Driver(store, one.id, source, wants, engine, options.portion, tell).run()
                by = engine.name
        took_s = time.monotonic() - started
        one = records.one(store, one.id)
        unlisted = source.unlisted if isinstance(source, FolderArchive) else {}
        if not (one.pending or unlisted):
            one = records.end(store, one.id)
        now = one.judged + one.rejected - before
        done = Done(one, there, by, now, took_s, unlisted, beside(store, one.id, bundle.manifest.meanings))
    _report(options, done)
    return int(bool(one.pending or unlisted))


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it."""

    one: Reprocessing
    there: Extent
    by: str
    now: int  # files that were done this time
    took_s: float
    unlisted: dict[str, str]
    beside: Beside


def _check(options: argparse.Namespace) -> None:
    faults = []
    if options.model is None:
        faults.append("MODEL: name the model that shall judge; `hydrad models list` has them")
    if options.from_store and options.archive is not None:
        faults.append("ARCHIVE: either a folder or --from-store, not both")
    if options.from_store and options.layout is not None:
        faults.append("--layout: the store knows whose its images are")
    if not options.from_store and options.archive is None and options.model is not None:
        faults.append("ARCHIVE: name a folder of images, or say --from-store")
    if options.gpus is not None and options.ray is None:
        faults.append("--gpus: only with --ray; processes of this host share what there is")
    if faults:
        raise ConfigurationError(*faults)


def _source(options: argparse.Namespace, settings: Config, store: Store) -> Source:
    if options.from_store:
        return StoreArchive(store, Path(os.path.abspath(settings.store.images)))  # noqa: PTH100  as below
    top = Path(os.path.abspath(options.archive))  # noqa: PTH100  resolve() would follow links to other names
    if not top.is_dir():
        raise ConfigurationError(f"{printing.printable(str(options.archive))}: no such folder")
    watch = _layout_of(options, settings, top)
    ignored = f", without {' '.join(watch.ignore)}" if watch.ignore else ""
    timed = f", times as {watch.time_format}" if watch.time_format else ""
    names = f"{watch.layout or watch.pattern}{timed}, in {settings.hall.timezone}{ignored}"
    return FolderArchive(top, Names(watch, settings.hall.zone), names)


def _layout_of(options: argparse.Namespace, settings: Config, top: Path) -> Watch:
    """How names in a folder are read: as is said, as where it is watched, or as this hall's producers all do it."""
    if options.layout is not None:
        # Its own name may tell the run, as that of a producer's dump does.
        return Watch(root=top.parent, layout=options.layout)
    for watch in settings.watch:
        if top.is_relative_to(watch.root):
            return watch
    if settings.watch and len({(w.layout, w.pattern, w.time_format, w.ignore) for w in settings.watch}) == 1:
        watch = settings.watch[0]
        by_path = "/" in "".join((watch.pattern or "", *watch.ignore))
        return watch.model_copy(update={"root": top if by_path else top.parent})
    raise ConfigurationError("--layout: say how names in this folder are read; the [[watch]] sections do not tell")


def _wants(patterns: Sequence[str]) -> Callable[[str], bool]:
    known: dict[str, bool] = {}

    def wants(plot: str) -> bool:
        if plot not in known:
            known[plot] = any(plot == one or fnmatchcase(plot, one) for one in patterns)
        return known[plot]

    return wants


def _engine(
    options: argparse.Namespace, settings: Config, bundle: Bundle, root: Path
) -> AbstractContextManager[Engine]:
    workers = options.workers or max(1, cores() - 1)
    section = settings.classify if isinstance(settings.classify, Models) else Models()
    kind = "auto" if section.kind == "ray" else section.kind
    job = Job(
        bundle=Wanted.of(Path(os.path.abspath(bundle.folder))),  # noqa: PTH100  links may lead elsewhere on other hosts
        root=root,
        batch=section.batch,
        threads=1 if options.ray else max(1, cores() // workers),
        open_runtime=(on_any_host if options.ray else Opener)(kind, section.precision),
    )
    if options.ray:
        return RayCluster(job, options.ray, workers=options.workers, gpus=options.gpus or 0.0)
    return Processes(job, workers)


def _list(options: argparse.Namespace, settings: Config) -> int:
    with existing(settings) as store:
        rows = [_words(one) for one in records.all_of_them(store)]
    if options.json:
        printing.objects(rows)
    else:
        names = ("id", "model", "source", "files", "judged", "rejected", "pending", "by", "started_at", "ended_at")
        printing.table([name.removesuffix("_at") for name in names], ([row[name] for name in names] for row in rows))
    return 0


def _forget(options: argparse.Namespace, settings: Config) -> int:
    with existing(settings) as store:
        one = records.one(store, options.forget)
        rows = 0
        with advancing.bar("forgetting", one.judged + one.rejected + one.pending) as tell:
            for some in records.forget(store, one.id):
                rows += some
                tell(some)
    if options.json:
        printing.document({"id": one.id, "forgotten": rows})
    else:
        printing.say(f"reprocessing {one.id} by {one.model} is forgotten, with what it said of {rows} files")
    return 0


def _words(one: Reprocessing) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def _report(options: argparse.Namespace, done: Done) -> None:
    if options.json:
        printing.document(_document(done))
    else:
        _say(done)


def _document(done: Done) -> dict[str, Any]:
    found = done.beside
    counts = (
        "images", "judged_before", "agreed", "alarming_to_both", "alarms_added", "alarms_missed", "labelled",
        "agreed_with_people",
    )  # fmt: skip
    return _words(done.one) | {
        "of_other_plots": done.there.others,
        "done_now": done.now,
        "took_s": round(done.took_s, 3),
        "engine": done.by,
        "refused": [
            {"outcome": outcome, "reason": reason, "files": files}
            for (outcome, reason), files in found.refused.most_common()
        ],
        "unlisted": [{"folder": printing.printable(folder), "reason": why} for folder, why in done.unlisted.items()],
        "beside": {name: getattr(found, name) for name in counts}
        | {
            "live": _pairs(found.plots),
            "people": _pairs(found.people),
            "worst": [_disagreement(one) for one in found.worst],
        },
    }


def _pairs(plots: Any) -> list[dict[str, Any]]:
    return [
        {"plot": plot, "before": before, "now": now, "images": images}
        for plot, pairs in sorted(plots.items())
        for (before, now), images in pairs.most_common()
    ]


def _disagreement(one: Disagreement) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__} | {"path": printing.printable(one.path)}


def _say(done: Done) -> None:
    one, found = done.one, done.beside
    source = printing.printable(one.source)
    printing.say(
        f"reprocessing {one.id}, {one.model} on {source}: {one.judged} judged, {one.rejected} rejected, "
        f"{one.pending} that could not be read"
    )
    rate = f", {done.now / done.took_s:.1f} images/s" if done.now else ""
    printing.say(f"{done.now} of {done.there.files} files just now by {done.by}{rate}")
    if done.there.others:
        printing.say(f"{done.there.others} files of other plots were passed over (--plot names others)")
    for (outcome, reason), files in found.refused.most_common(MOST_LINES):
        printing.say(f"{outcome}: {files} × {printing.printable(reason)}")
    for folder, why in list(done.unlisted.items())[:MOST_LINES]:
        printing.say(f"not looked into: {printing.printable(folder)}: {why}")
    if one.pending or done.unlisted:
        printing.say("the same command tries again what could not be read")
    if found.judged_before:
        printing.say(
            f"agreed with what served then on {found.agreed} of {found.judged_before} images; images alarming to both "
            f"{found.alarming_to_both}, to {one.model} only {found.alarms_added}, to what served only "
            f"{found.alarms_missed}"
        )
    if found.labelled:
        printing.say(f"agreed with people on {found.agreed_with_people} of {found.labelled} labelled images")
    for says, pairs in (("served said", found.plots), ("people say", found.people)):
        rows = [row for row in _pairs(pairs) if row["before"] != row["now"]]
        if rows:
            rows = sorted(rows, key=lambda row: -row["images"])[:MOST_LINES]
            printing.table(("plot", says, f"{one.model} says", "images"), (tuple(row.values()) for row in rows))
    if found.worst:
        printing.table(
            ("the worst", "by", "said", "at", "now", "at", "file"),
            ((w.plot, w.by, w.before, w.sure_before, w.now, w.sure_now, w.path) for w in found.worst),
        )
