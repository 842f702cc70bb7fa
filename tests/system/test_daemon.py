"""The daemon as a process: what lands on disk becomes verdicts and PVs, whatever happens to it meanwhile."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from daemon import Daemon
from databases import Database, started
from PIL import Image

from hydrad import shipped
from hydrad.domain import Severity, Status
from hydrad.sim import hall
from hydrad.sim.producers import Dump, producer
from hydrad.store import schema
from hydrad.store.models import registry
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState

pytestmark = pytest.mark.system

REAL = Path(__file__).parents[3] / "shared" / "real"
GOOD = {"Good": 0.9, "Bad": 0.08, "NoData": 0.02}
BAD = {"Good": 0.02, "Bad": 0.9, "NoData": 0.08}
EMPTY = {"Good": 0.02, "Bad": 0.08, "NoData": 0.9}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    with ExitStack() as stack:
        yield lambda **parts: stack.enter_context(Daemon(tmp_path, **parts))


def dumps(folder: Path) -> list[Path]:
    """Two dumps of online monitoring, 50 images: the real ones where they are at hand."""
    if REAL.is_dir():
        shutil.copytree(REAL, folder)
    else:
        writer = producer("mon12", folder, ZoneInfo("America/New_York"))
        plots = list(hall.PLOTS)
        for run, count in ((11, 25), (12, 25)):
            writer.begin()
            for plot in plots[:count]:
                pixels = hall.render(plot, seed=run, beam=0.0 if run == 12 else 1.0)
                writer.write(Dump(run, datetime(2026, 11, 2, 18, 15, run, tzinfo=UTC)), plot, pixels)
    return sorted(folder.glob("*/*.png"))


def test_fifty_images_of_two_dumps_are_recorded_once_whatever_happens(
    daemon: Callable[..., Daemon], stored: dict[str, Any], tmp_path: Path
) -> None:
    images = dumps(tmp_path / "real")
    assert len(images) == 50
    hydrad = daemon(layout="mon12", **stored)
    for image in images[:30]:
        target = hydrad.root / image.parent.name / image.name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(image, target)
    hydrad.start()
    hydrad.until(lambda: sum(hydrad.counts().values()) == 30)
    hydrad.kill()
    for image in images[30:]:
        target = hydrad.root / image.parent.name / image.name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(image, target)
    hydrad.start()
    hydrad.until(lambda: sum(hydrad.counts().values()) >= 50)
    files = hydrad.ask_json("ledger", "--files")
    assert Counter(file["path"] for file in files) == Counter(
        str(hydrad.root / image.parent.name / image.name) for image in images
    )
    assert {file["outcome"] for file in files} <= {"judged", "superseded"}
    names = {image.stem for image in images}
    standings = hydrad.ask_json("status")
    assert {standing["plot"] for standing in standings} == names
    assert {standing["status"] for standing in standings} == {"NOMODEL"}
    assert len(hydrad.ask_json("log", "--limit", "1000")) >= 50
    for name in names:
        detector, _, plot = name.partition("_")
        pv = f"{detector}:{plot}:STATUS".upper().replace(" ", "_")
        assert hydrad.pv(pv).get(as_string=True) == "NOMODEL", name
        assert hydrad.pv(pv).severity == Severity.NO_ALARM


def test_a_bad_plot_goes_suspect_then_bad_and_its_pvs_say_so(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=BAD).start()
    hydrad.land("CDC_occupancy.png", 1)
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    hydrad.until(lambda: status.get() == Status.SUSPECT)
    assert status.severity == Severity.MINOR
    hydrad.land("CDC_occupancy.png", 2)
    hydrad.until(lambda: status.get() == Status.BAD)
    assert status.severity == Severity.MAJOR
    assert hydrad.pv("CDC:OCCUPANCY:CONF").get() == pytest.approx(0.9)
    assert hydrad.pv("CDC:OCCUPANCY:CLASS").get() == "Bad"
    assert "2 in a row" in hydrad.pv("CDC:OCCUPANCY:MSG").get(as_string=True)
    assert hydrad.pv("CDC:OCCUPANCY:NBAD").get() == 2
    assert hydrad.pv("CDC:STATUS").get() == Status.BAD
    assert hydrad.pv("SUMMARY").get() == Status.BAD
    assert hydrad.pv("SUMMARY").severity == Severity.MAJOR
    assert hydrad.pv("NBAD").get() == 1
    assert hydrad.pv("BEAM:STATE").get(as_string=True) == "ON"


def test_an_empty_histogram_with_beam_is_nodata_although_its_pixels_never_change(
    daemon: Callable[..., Daemon],
) -> None:
    hydrad = daemon(scores=EMPTY).start()
    for _ in range(2):
        before = hydrad.counts()
        hydrad.land("CDC_occupancy.png", 1)
        hydrad.until(lambda before=before: hydrad.counts() != before)
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    hydrad.until(lambda: status.get() == Status.NODATA)
    hydrad.until(lambda: hydrad.counts()["unchanged"] == 1)
    assert hydrad.counts()["judged"] == 1


def test_a_threshold_by_caput_changes_the_next_verdict_and_survives_a_restart(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=GOOD).start()
    hydrad.land("CDC_occupancy.png", 1)
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    hydrad.until(lambda: status.get() == Status.GOOD)
    threshold = hydrad.pv("CDC:OCCUPANCY:THRESH:GOOD")
    threshold.put(0.95, wait=True, timeout=10)
    assert threshold.get() == pytest.approx(0.95)
    hydrad.land("CDC_occupancy.png", 2)
    hydrad.until(lambda: status.get() == Status.SUSPECT)
    hydrad.until(lambda: hydrad.ask_json("thresholds", "list"))
    (kept,) = hydrad.ask_json("thresholds", "list")
    assert kept["value"] == pytest.approx(0.95)
    assert (kept["by"], kept["via"]) == (getpass.getuser(), "ca")
    assert kept["host"].split(".")[0] == socket.gethostname().split(".")[0]
    assert hydrad.stop() == 0
    hydrad.start()
    hydrad.until(lambda: threshold.connected and threshold.get() == pytest.approx(0.95))
    hydrad.land("CDC_occupancy.png", 3)
    hydrad.until(lambda: len(hydrad.ask_json("log", "--status", "SUSPECT")) == 2)


def test_a_refused_put_changes_nothing_and_says_why(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=GOOD).start()
    hydrad.land("CDC_occupancy.png", 1)
    threshold = hydrad.pv("CDC:OCCUPANCY:THRESH:GOOD")
    before = threshold.get()
    for nonsense in (1.5, float("nan")):
        threshold.put(nonsense, wait=True, timeout=10)
        hydrad.until(lambda: getpass.getuser() in hydrad.pv("MSG").get(as_string=True))
        assert threshold.get(use_monitor=False) == before
    assert hydrad.ask_json("thresholds", "list") == []


def test_a_threshold_set_by_command_reaches_the_pv(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=GOOD).start()
    hydrad.land("CDC_occupancy.png", 1)
    threshold = hydrad.pv("CDC:OCCUPANCY:THRESH:GOOD")
    hydrad.until(lambda: hydrad.counts()["judged"] == 1)
    hydrad.ask("thresholds", "set", "CDC_occupancy", "Good", "0.77", "--user", "ana")
    hydrad.until(lambda: threshold.get() == pytest.approx(0.77))
    hydrad.ask("thresholds", "set", "CDC_occupancy", "Good", "7", status=2)
    hydrad.ask("thresholds", "set", "CDC_occupancy", "Nonsense", "0.5", status=2)


def test_a_shelved_plot_is_disabled_and_comes_back(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=BAD).start()
    for shade in (1, 2):
        hydrad.land("CDC_occupancy.png", shade)
        hydrad.until(lambda shade=shade: hydrad.counts()["judged"] == shade)
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    hydrad.until(lambda: status.get() == Status.BAD)
    hydrad.pv("CDC:OCCUPANCY:SHELVE").put(5, wait=True, timeout=10)
    hydrad.until(lambda: status.get() == Status.DISABLED)
    assert status.severity == Severity.NO_ALARM
    hydrad.pv("CDC:OCCUPANCY:SHELVE").put(0, wait=True, timeout=10)
    hydrad.until(lambda: status.get() == Status.BAD)
    hydrad.pv("CDC:ENABLE").put(0, wait=True, timeout=10)
    hydrad.until(lambda: status.get() == Status.DISABLED)


def test_what_a_status_was_is_taken_up_after_a_restart(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=BAD).start()
    for shade in (1, 2):
        hydrad.land("CDC_occupancy.png", shade)
        hydrad.until(lambda shade=shade: hydrad.counts()["judged"] == shade)
    hydrad.kill()
    hydrad.start()
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    hydrad.until(lambda: status.connected and status.get() == Status.BAD)
    assert hydrad.counts()["judged"] == 2


def test_a_plot_without_new_images_goes_stale(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=GOOD, defaults="stale_s = 2").start()
    hydrad.land("CDC_occupancy.png", 1)
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    hydrad.until(lambda: status.get() == Status.STALE)
    assert status.severity == Severity.INVALID
    hydrad.until(lambda: hydrad.ask_json("status")[0]["status"] == "STALE")


def test_an_orderly_stop_leaves_no_green_behind(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=GOOD).start()
    hydrad.land("CDC_occupancy.png", 1)
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    seen: list[int] = []
    status.add_callback(lambda severity, **_: seen.append(severity))
    hydrad.until(lambda: status.get() == Status.GOOD)
    assert hydrad.stop() == 0
    hydrad.until(lambda: Severity.INVALID in seen)


def test_a_torn_image_is_rejected_with_its_reason_and_left_where_it_is(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=GOOD).start()
    whole = hydrad.home / "whole.png"
    Image.effect_noise((200, 200), 50).save(whole)
    torn = hydrad.root / "CDC_torn.png"
    torn.write_bytes(whole.read_bytes()[:5000])
    (hydrad.root / "CDC_words.png").write_text("not an image")
    hydrad.until(lambda: hydrad.counts()["rejected"] == 2)
    reasons = {Path(file["path"]).name: file["reason"] for file in hydrad.ask_json("ledger", "--files")}
    assert all(reasons.values())
    assert torn.exists()
    shutil.copy(whole, torn)
    hydrad.until(lambda: hydrad.counts()["judged"] == 1)


def test_images_are_handed_in_by_hand(daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    hydrad = daemon(scores=GOOD).start()
    image = tmp_path / "elsewhere.png"
    Image.new("RGB", (40, 30), (1, 2, 3)).save(image)
    (answer,) = hydrad.ask_json("submit", str(image), "--plot", "HMS_focal", "--run", "77", "--wait")
    assert answer["verdict"]["plot"] == "HMS_focal"
    assert answer["verdict"]["run"] == 77
    assert answer["verdict"]["status"] == "GOOD"
    assert hydrad.pv("HMS:FOCAL:STATUS").get() == Status.GOOD
    words = tmp_path / "words.png"
    words.write_text("no image")
    (answer,) = hydrad.ask_json("submit", str(words), "--wait", status=1)
    assert answer["outcome"] == "rejected"
    hydrad.ask("submit", str(tmp_path / "missing.png"), status=2)


def test_check_says_what_is_there_and_what_is_not(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=GOOD)
    found = {line["what"]: line for line in hydrad.ask_json("check")}
    assert all(line["ok"] for line in found.values())
    hydrad.root.rmdir()
    found = {line["what"]: line for line in hydrad.ask_json("check", status=1)}
    assert not found["watch[0]"]["ok"]


def test_a_wrong_configuration_is_told_whole_and_the_daemon_does_not_start(tmp_path: Path) -> None:
    settings = tmp_path / "hydra.toml"
    settings.write_text(
        '[beam]\nkind = "fixed"\nspeed = 3\n[ioc]\nport = 99999999\n[[watch]]\nroot = "nowhere"\nlayout = "rsai"\n'
    )
    answer = subprocess.run(
        [sys.executable, "-m", "hydrad", "run", "-c", str(settings)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 2
    for key in ("beam.speed", "ioc.port", "watch[0].root"):
        assert key in answer.stderr


def test_an_old_schema_is_refused_by_name_of_the_command(
    daemon: Callable[..., Daemon], bare_database: Database
) -> None:
    if bare_database.kind == "sqlite":
        pytest.skip("an embedded data base upgrades itself")
    url = bare_database.url
    hydrad = daemon(
        url=url._replace(password=None).render_as_string(hide_password=False),
        environment={"HYDRA_DB_PASSWORD": str(url.password)},
        scores=GOOD,
    )
    with pytest.raises(AssertionError, match="hydrad db upgrade"):
        hydrad.start()
    hydrad.ask("db", "upgrade")
    hydrad.ask("db", "status")
    hydrad.start()


@pytest.mark.mariadb
def test_a_data_base_that_is_away_stops_nothing_and_gets_everything_once_it_is_back(
    daemon: Callable[..., Daemon],
) -> None:
    with started() as server:
        url = server.create()
        schema.upgrade(url)
        hydrad = daemon(
            url=url._replace(password=None).render_as_string(hide_password=False),
            environment={"HYDRA_DB_PASSWORD": str(url.password)},
            scores=BAD,
        ).start()
        hydrad.land("CDC_occupancy.png", 1)
        hydrad.until(lambda: hydrad.counts()["judged"] == 1)
        server.kill()
        hydrad.land("CDC_occupancy.png", 2)
        status = hydrad.pv("CDC:OCCUPANCY:STATUS")
        hydrad.until(lambda: status.get() == Status.BAD)
        hydrad.until(lambda: hydrad.pv("DB:STATUS").severity == Severity.MINOR, 60)
        hydrad.until(lambda: hydrad.pv("WATCHDOG").get(as_string=True) == "DEGRADED")
        hydrad.kill()
        hydrad.start()  # with the data base still away
        hydrad.until(lambda: status.connected and status.get() == Status.BAD)
        hydrad.land("CDC_occupancy.png", 3)
        hydrad.until(lambda: hydrad.pv("CDC:OCCUPANCY:NBAD").get() == 3)
        server.start()
        hydrad.until(lambda: hydrad.counts()["judged"] == 3, 60)
        assert len(hydrad.ask_json("log")) == 3
        hydrad.until(lambda: hydrad.pv("DB:STATUS").severity == Severity.NO_ALARM)


@pytest.mark.keras
def test_a_retired_model_does_not_serve_even_when_the_journal_has_never_heard_of_it(
    daemon: Callable[..., Daemon],
) -> None:
    hydrad = daemon()
    shutil.copytree(shipped.folder(), hydrad.home / "models" / shipped.ID)
    with Store(f"sqlite:///{hydrad.home / 'hydra.db'}") as store:
        who = registry.Who("ana", "counting-3", "cli")
        registry.register(store, shipped.ID, {}, {}, who, state=ModelState.RETIRED)
    hydrad.start()
    hydrad.land("CDC_occupancy.png", 1)
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    hydrad.until(lambda: status.get() == Status.NOMODEL)
