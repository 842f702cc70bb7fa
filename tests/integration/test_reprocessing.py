"""A model judges an archive by processes of this host: each file once, whoever is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import reprocessing_world as world
from classify_world import brightness_bundle
from databases import Database
from store_world import entry_of, later, verdict_of

from hydrad.classify.fitness import Unfit, Wanted
from hydrad.domain import Meaning, Outcome
from hydrad.errors import HydradError, StoreAway
from hydrad.reprocessing import driving
from hydrad.reprocessing.archive import Portion, Source, StoreArchive
from hydrad.reprocessing.driving import Driver
from hydrad.reprocessing.engines import Processes
from hydrad.reprocessing.work import GONE, Answered, Job
from hydrad.store.images import ImageFolder
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store
from hydrad.store.reprocessing import records
from hydrad.store.reprocessing.beside import beside
from hydrad.store.reprocessing.records import Rejudged

DRIVER = Path(__file__).with_name("reprocessing_driver.py")
TESTS = DRIVER.parent.parent
ON_ONE_KIND = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # nothing of it is the data base's


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return brightness_bundle(tmp_path / "models").folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def driven(store: Store, source: Source, job: Job, *, workers: int = 1, size: int = 5) -> records.Reprocessing:
    number = world.begun(store, source)
    with Processes(job, workers) as engine:
        Driver(store, number, source, world.everything, engine, size).run()
    return records.one(store, number)


@ON_ONE_KIND
def test_every_file_is_judged_once_and_what_cannot_be_is_counted_with_its_reason(
    store: Store, model: Path, archive: Path
) -> None:
    said = world.drawn(archive, 12)
    (archive / "CDC_torn_0001.png").write_bytes((archive / next(iter(said))).read_bytes()[:60])
    (archive / "CDC_text_0001.png").write_text("no image")
    (archive / "CDC_loop_0001.png").symlink_to(archive / "CDC_loop_0001.png")
    (archive / "CDC_away_0001.png").symlink_to(archive / "nowhere")
    source = world.archive_of(archive)
    one = driven(store, source, world.job_of(model, archive))
    assert (one.judged, one.rejected, one.pending) == (12, 3, 1)
    assert {path: label for path, label in world.labels(store) if label} == said
    rejected = world.not_judged(store, Outcome.REJECTED)
    assert set(rejected) == {"CDC_torn_0001.png", "CDC_text_0001.png", "CDC_away_0001.png"}
    assert rejected["CDC_away_0001.png"] == GONE
    assert list(world.not_judged(store, Outcome.PENDING)) == ["CDC_loop_0001.png"]
    # Mended, it is judged when the same is asked for again, along with what is new; and nothing else is looked at.
    (archive / "CDC_loop_0001.png").unlink()
    world.draw(archive / "CDC_loop_0001.png", 250)
    world.draw(archive / "Run000001/CDC_adc_0999.png", 5)
    (archive / next(iter(said))).write_text("changed since")
    one = driven(store, source, world.job_of(model, archive))
    assert (one.judged, one.rejected, one.pending) == (14, 3, 0)
    said |= {"CDC_loop_0001.png": "Good", "Run000001/CDC_adc_0999.png": "Bad"}
    assert {path: label for path, label in world.labels(store) if label} == said


@ON_ONE_KIND
def test_a_picture_that_ends_its_worker_is_found_and_costs_no_other_its_answer(
    store: Store, model: Path, archive: Path
) -> None:
    said = world.drawn(archive, 6)
    world.draw(archive / "Run000001/CDC_adc_0003.png", world.DEADLY)
    one = driven(store, world.archive_of(archive), world.job_of(model, archive, world.open_fragile), size=2)
    assert (one.judged, one.rejected, one.pending) == (6, 1, 0)
    assert {path: label for path, label in world.labels(store) if label} == said
    assert "its worker ended" in world.not_judged(store, Outcome.REJECTED)["Run000001/CDC_adc_0003.png"]


@ON_ONE_KIND
def test_where_no_worker_lives_it_is_not_said_of_the_files(
    store: Store, model: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "MOST_LOST", 1)
    world.drawn(archive, 4)
    with pytest.raises(HydradError, match="memory enough"):
        driven(store, world.archive_of(archive), world.job_of(model, archive, world.open_none), size=1)
    assert world.labels(store) == []


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"version": "0.0.7"}, "this is 0.0.7: install the same"),
        ({"folder": Path("/nowhere")}, "does not see /nowhere: mount it"),
    ],
)
def test_a_host_with_another_house_takes_no_part(
    model: Path, archive: Path, other: dict[str, object], why: str
) -> None:
    world.drawn(archive, 1)
    wanted = Wanted.of(model)
    wanted.require_here(archive)
    with pytest.raises(Unfit, match=why):
        replace(wanted, **other).require_here(archive)
    with pytest.raises(Unfit, match="does not see /nowhere: mount it"):
        wanted.require_here(Path("/nowhere"))


@ON_ONE_KIND
def test_a_host_with_another_model_says_so_and_nothing_of_any_file(store: Store, model: Path, archive: Path) -> None:
    world.drawn(archive, 2)
    job = replace(world.job_of(model, archive), bundle=Wanted(model, "0" * 64))
    with pytest.raises(Unfit, match="has another model in"):
        driven(store, world.archive_of(archive), job)
    assert world.labels(store) == []


@ON_ONE_KIND
def test_images_that_hydrad_has_kept_are_judged_as_those_of_their_plots(
    store: Store, model: Path, tmp_path: Path
) -> None:
    folder = ImageFolder(tmp_path / "images")
    for n, plot in enumerate(("CDC_adc", "FDC_adc")):
        data = world.draw(tmp_path / "drawn.png", 250).read_bytes()  # one content, which two plots have
        sha256 = hashlib.sha256(data).hexdigest()
        folder.keep(data, sha256, "png")
        verdict = verdict_of(plot, later(n), sha256=sha256, run=7)
        store.put([Parcel(entry_of(verdict), verdict, ImageFacts(len(data), "png", 32, 16))])
    source = StoreArchive(store, tmp_path / "images")
    one = driven(store, source, world.job_of(model, source.root))
    assert (one.judged, one.rejected, one.pending) == (2, 0, 0)
    path = f"{sha256[:2]}/{sha256[2:]}.png"
    assert world.labels(store) == [(path, "Good"), (path, "Good")]
    compared = beside(store, one.id, {"Good": Meaning.GOOD, "Bad": Meaning.BAD})
    assert (compared.judged_before, compared.alarms_missed) == (2, 2)
    assert {two.plot for two in compared.worst} == {"CDC_adc", "FDC_adc"}


class _Elsewhere:
    """The workers of a host on which the archive is an empty folder, as where a disk is not mounted."""

    name, at_once = "elsewhere", 1

    def submit(self, portion: Portion) -> Future[Answered]:
        future: Future[Answered] = Future()
        gone = tuple(Rejudged(one.plot, one.below, Outcome.REJECTED, GONE) for one in portion)
        future.set_result(Answered(gone, "counting-7"))
        return future

    def result(self, future: Future[Answered]) -> Answered:
        return future.result()


@ON_ONE_KIND
def test_a_host_on_which_files_are_gone_that_are_here_is_not_believed(store: Store, archive: Path) -> None:
    world.drawn(archive, 2)
    source = world.archive_of(archive)
    number = world.begun(store, source)
    with pytest.raises(Unfit, match=r"counting-7 does not see .*CDC_adc_0000.png, which is there"):
        Driver(store, number, source, world.everything, _Elsewhere(), 5).run()
    assert world.labels(store) == []


def test_a_data_base_that_is_away_for_a_while_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "ASK_EVERY_S", 0.0)
    answers = iter([StoreAway("restarting"), StoreAway("restarting"), None])

    def ask() -> str:
        if (fault := next(answers)) is not None:
            raise fault
        return "here"

    driver = Driver(SimpleNamespace(), 1, SimpleNamespace(), world.everything, _Elsewhere(), 5)
    assert driver._patiently(ask) == "here"
    monkeypatch.setattr(driving, "AWAY_S", -1.0)
    answers = iter([StoreAway("for good")])
    with pytest.raises(StoreAway, match="for good"):
        driver._patiently(ask)


@pytest.fixture
def killed(database: Database, store: Store, model: Path, archive: Path) -> dict[str, str]:
    """What is to be said of an archive whose reprocessing was killed in its midst, with the processes it had."""
    said = world.drawn(archive, 120)
    number = world.begun(store, world.archive_of(archive))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    words = [sys.executable, DRIVER, database.text, str(number), model, archive]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        kept = 0
        while kept < 20:  # each line comes after its files were committed
            kept += int(process.stdout.readline())
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers):
        assert time.monotonic() < deadline, "its workers outlive it"
        time.sleep(0.05)
    return said


def test_killed_in_its_midst_it_goes_on_where_it_was_and_each_file_is_there_once(
    killed: dict[str, str], store: Store, model: Path, archive: Path
) -> None:
    there = world.labels(store)
    assert 20 <= len(there) < len(killed)
    assert records.all_of_them(store)[0].judged == len(there)
    source, told = world.archive_of(archive), []
    number = world.begun(store, source)
    with Processes(world.job_of(model, archive), 1) as engine:
        Driver(store, number, source, world.everything, engine, 7, told.append).run()
    assert world.labels(store) == sorted(killed.items())
    assert sum(told) == len(killed)
    one = records.one(store, number)
    assert (one.judged, one.rejected, one.pending) == (len(killed), 0, 0)
