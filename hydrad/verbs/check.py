"""`hydrad check`: will it run here? One line for each thing it needs."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hydrad import config, runs
from hydrad.beam import monitor
from hydrad.classify import bundle as bundles
from hydrad.classify.specimen import specimen_of
from hydrad.config import Config, EpicsBeam, EpicsRun, FixedClassify
from hydrad.domain import Beam, BeamState, Run
from hydrad.errors import BundleError, HydradError
from hydrad.store import purging, schema
from hydrad.verbs import printing, reports
from hydrad.verbs.processes import is_free
from hydrad.verdict import in_words
from hydrad.watchers.mounts import choose

BEAM_WAIT_S, LOOK_EVERY_S = 5.0, 0.1

Finding = tuple[str, bool, str]  # what, whether it is fine, and a sentence


def check(options: argparse.Namespace) -> int:
    """Print what was found; exit 1 if something is wrong that keeps the daemon from its work."""
    path = config.find(options.config)
    settings = config.load(path)
    findings = list(_all(path, settings))
    if options.json:
        printing.objects({"what": what, "ok": fine, "says": says} for what, fine, says in findings)
    else:
        printing.table(("", "what", "says"), (("ok" if fine else "NO", what, says) for what, fine, says in findings))
    return int(not all(fine for _, fine, _ in findings))


def _all(path: Path, settings: Config) -> Iterator[Finding]:
    yield "configuration", True, str(path.resolve())
    yield from _packages(settings)
    yield _database(settings)
    yield _images(settings)
    yield _writable("journal", settings.store.journal.parent)
    yield from _models(settings)
    yield from _folders(settings)
    yield from _pvs(settings)


def _packages(settings: Config) -> Iterator[Finding]:
    wanted = ["caproto"]
    wanted += ["pyepics"] if isinstance(settings.beam, EpicsBeam) or isinstance(settings.run, EpicsRun) else []
    wanted += [] if isinstance(settings.classify, FixedClassify) else ["keras"]
    wanted += ["ray"] if settings.classify.kind == "ray" else []
    wanted += [] if settings.store.url.startswith("sqlite") else ["mysqlclient"]
    for name in wanted:
        try:
            yield f"package {name}", True, version(name)
        except PackageNotFoundError:
            yield f"package {name}", False, "is not installed; the README names the extra it comes with"


def _database(settings: Config) -> Finding:
    url = settings.store_url()
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return "data base", True, f"{settings.store.url} is not there yet; the daemon will make it"
    try:
        state = schema.schema_state(url)
    except HydradError as fault:
        return "data base", False, str(fault)
    embedded = settings.store.url.startswith("sqlite")
    fine = state.age is schema.Age.CURRENT or (embedded and state.age is not schema.Age.AHEAD)
    if state.age is schema.Age.CURRENT:
        return "data base", True, f"{settings.store.url}, schema {state.present}"
    cure = "the daemon will bring it there" if embedded else "run `hydrad db upgrade`"
    return "data base", fine, f"{settings.store.url}: schema is {state.age.value}; {cure}"


def _images(settings: Config) -> Finding:
    """The folder of images: whether it can be written, what is kept there, and how much more would fit."""
    what, fine, says = _writable("images", settings.store.images)
    if not fine:
        return what, fine, says
    free = f"{printing.size(shutil.disk_usage(_there(settings.store.images)).free)} free"
    try:
        with reports.existing(settings) as store:
            if schema.schema_state(settings.store_url()).age is not schema.Age.CURRENT:  # opened, it would be upgraded
                return what, True, f"{says}; {free}"
            held = purging.holding(store)
    except HydradError:  # the line of the data base says why
        return what, True, f"{says}; {free}"
    return what, True, f"{says}; {held.images} images kept, {printing.size(held.size)}; {free}"


def _models(settings: Config) -> Iterator[Finding]:
    if isinstance(settings.classify, FixedClassify):
        yield "models", True, "the same answer for every image (classify.kind = fixed)"
        return
    folders = bundles.listed(settings.store.models)
    if not folders:
        yield "models", True, f"none in {settings.store.models}: every plot will be NOMODEL"
    for folder in folders:
        try:
            bundle = bundles.read(folder)
            specimen = specimen_of(bundle)
        except BundleError as fault:
            yield f"model {folder.name}", False, str(fault)
        else:
            manifest = bundle.manifest
            canary = f"; no canary: {specimen.why_not}" if specimen.why_not else ""
            lacks = _lacking(settings.classify.precision, bundle.precisions)
            says = f"{manifest.architecture}, serves {' '.join(manifest.plots)}{canary}{lacks}"
            yield f"model {bundle.id}", True, says


def _lacking(wished: str, has: Sequence[str]) -> str:
    """That an export is not computed as the configuration wants it; nothing where there is none."""
    if wished == "auto" or not has or wished in has:
        return ""
    return f"; not calibrated for {wished}, so on a CPU computed in {' or '.join(has)}"


def _folders(settings: Config) -> Iterator[Finding]:
    if not settings.watch:
        yield "watch", False, "no [[watch]]: nothing will be followed but what is handed in"
    for n, watch in enumerate(settings.watch):
        what = f"watch[{n}]"
        if not watch.root.is_dir() or not os.access(watch.root, os.R_OK | os.X_OK):
            yield what, False, f"{watch.root} is no folder that can be read"
            continue
        names = watch.layout or f"pattern {watch.pattern}"
        yield what, True, f"{watch.root}, {choose(watch.kind, watch.root)}, {names}"


def _pvs(settings: Config) -> Iterator[Finding]:
    for host in settings.ioc.interfaces:
        free = is_free(host, settings.ioc.port)
        says = f"{settings.ioc.prefix}* on {host}:{settings.ioc.port}"
        yield "PV server", free, says if free else f"{says}: the port is taken (is the daemon running?)"
    beam = asyncio.run(_beam(settings))
    yield "beam", beam.state is not BeamState.UNKNOWN, in_words(beam)
    run = asyncio.run(_run(settings))
    which = "" if run.number is None else f" {run.number}"
    kind = f", {run.type}" if run.type else ""
    by_path = "by the images' paths" if run.state.name == "UNKNOWN" else f"{run.state.name}{which}{kind}"
    yield "run", not run.reason, run.reason or by_path


async def _beam(settings: Config) -> Beam:
    """The beam, as soon as it is known, or why it is not."""
    with monitor(settings.beam) as watch:
        for _ in range(int(BEAM_WAIT_S / LOOK_EVERY_S)):
            if watch.now().state is not BeamState.UNKNOWN:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return watch.now()


async def _run(settings: Config) -> Run:
    """The run, as soon as all of it is known, or why it is not."""
    with runs.monitor(settings.run) as watch:
        for _ in range(int(BEAM_WAIT_S / LOOK_EVERY_S)):
            if not watch.now().reason:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return watch.now()


def _writable(what: str, folder: Path) -> Finding:
    there = _there(folder)
    fine = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return what, fine, f"{folder}" if fine else f"{there} cannot be written"


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
