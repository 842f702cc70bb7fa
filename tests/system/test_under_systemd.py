"""The daemon as systemd sees it: through a real socket, and as a client of its PVs sees it at the same time."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import epics
import httpx
import pytest
from browsing import Pages
from classify_world import brightness_bundle
from daemon import Daemon
from databases import started
from listening_systemd import ListeningSystemd

from hydrad import shipped
from hydrad.domain import Severity, Status
from hydrad.store import schema

pytestmark = pytest.mark.system

CONFINED = (str(Path(__file__).parent / "confined.py"),)
HESITANT = (str(Path(__file__).parent / "hesitant_daemon.py"),)
GOOD = {"Good": 0.9, "Bad": 0.08, "NoData": 0.02}
WATCHDOG_S = 4.0


@pytest.fixture
def systemd() -> Iterator[ListeningSystemd]:
    with ListeningSystemd(WATCHDOG_S) as listening:
        yield listening


def test_ready_is_said_once_models_are_loaded_and_pvs_are_served_and_not_before(
    tmp_path: Path, systemd: ListeningSystemd
) -> None:
    brightness_bundle(tmp_path / "models")
    (tmp_path / "loading").touch()
    with Daemon(tmp_path, environment=systemd.environment, program=HESITANT) as hydrad:
        hydrad.launch()
        systemd.until(lambda: systemd.status() == "loading the model brightness", 40)
        assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in systemd.lines())
        early = epics.PV(f"{hydrad.prefix}:HEARTBEAT")
        assert not early.wait_for_connection(1.0)
        assert "READY=1" not in systemd.lines()
        (tmp_path / "loading").unlink()
        systemd.until(lambda: "READY=1" in systemd.lines())
        late = epics.PV(f"{hydrad.prefix}:MODEL:STATUS")
        assert late.wait_for_connection(5.0)
        assert late.get(timeout=2.0) == 0
        for pv in (early, late):
            pv.disconnect()


def test_a_hung_classifier_is_not_reported_as_progress_and_systemd_hears_which_part_it_is(
    tmp_path: Path, systemd: ListeningSystemd
) -> None:
    brightness_bundle(tmp_path / "models")
    with Daemon(tmp_path, environment=systemd.environment, program=HESITANT) as hydrad:
        hydrad.start()
        hydrad.land("CDC_occupancy.png", 250)
        hydrad.until(lambda: hydrad.counts()["judged"] == 1)
        systemd.until(lambda: systemd.silent_s("WATCHDOG=1") < WATCHDOG_S / 2)
        (tmp_path / "computing").touch()
        hydrad.land("CDC_occupancy.png", 251)
        systemd.until(lambda: systemd.silent_s("WATCHDOG=1") > WATCHDOG_S, 3 * WATCHDOG_S)
        assert systemd.status().endswith("stalled: no sign of life from the classifier")
        assert hydrad.pv("WATCHDOG").get(as_string=True) == "STALLED"
        (tmp_path / "computing").unlink()
        systemd.until(lambda: systemd.silent_s("WATCHDOG=1") < WATCHDOG_S / 2)
        hydrad.until(lambda: hydrad.counts()["judged"] == 2)


@pytest.mark.mariadb
def test_a_lost_data_base_and_a_lost_beam_starve_no_watchdog(tmp_path: Path) -> None:
    wanted_s = 8.0
    with started() as server, ListeningSystemd(wanted_s) as systemd:
        url = server.create()
        schema.upgrade(url)
        environment = {**systemd.environment, "HYDRA_DB_PASSWORD": str(url.password)}
        text = url._replace(password=None).render_as_string(hide_password=False)
        beam = '[beam]\npv = "NOWHERE:CURRENT"\n'
        with Daemon(tmp_path, url=text, beam=beam, environment=environment, scores=GOOD) as hydrad:
            hydrad.start()
            with (
                ListeningSystemd(wanted_s) as behind,
                Pages(hydrad.settings, environment={**environment, **behind.environment}) as pages,
            ):
                server.kill()
                systemd.until(lambda: "the data base does not answer" in systemd.status(), 60)
                fed = systemd.count("WATCHDOG=1")

                def fed_for_long() -> bool:
                    with suppress(httpx.TimeoutException):
                        httpx.get(pages.address, timeout=0.5)
                    return behind.count("WATCHDOG=1") > 0 and systemd.count("WATCHDOG=1") >= fed + 8

                systemd.until(fed_for_long, 60)
                for listening in (systemd, behind):
                    said = [at for at, line in listening.heard if line == "WATCHDOG=1"]
                    assert max(after - before for before, after in pairwise(said)) < wanted_s
            assert hydrad.pv("BEAM:STATE").get(as_string=True) == "UNKNOWN"


def test_every_status_is_invalid_before_an_orderly_stop_and_systemd_hears_of_it_first(
    tmp_path: Path, systemd: ListeningSystemd
) -> None:
    with Daemon(tmp_path, environment=systemd.environment, scores=GOOD) as hydrad:
        hydrad.start()
        hydrad.land("CDC_occupancy.png", 1)
        pvs = [hydrad.pv(name) for name in ("CDC:OCCUPANCY:STATUS", "CDC:STATUS", "SUMMARY")]
        seen: list[list[int]] = [[], [], []]
        for pv, severities in zip(pvs, seen, strict=True):
            hydrad.until(lambda pv=pv: pv.get() == Status.GOOD)
            pv.add_callback(lambda severity, severities=severities, **_: severities.append(severity))
        assert hydrad.stop() == 0
        systemd.until(lambda: "STOPPING=1" in systemd.lines())
        assert systemd.status() == "told to stop by SIGTERM"
        for pv in pvs:
            systemd.until(lambda pv=pv: not pv.connected)
        assert [severities[-1:] for severities in seen] == [[Severity.INVALID]] * 3


def test_a_reload_begins_and_ends_with_words_to_systemd(tmp_path: Path, systemd: ListeningSystemd) -> None:
    with Daemon(tmp_path, environment=systemd.environment, scores=GOOD) as hydrad:
        hydrad.start()
        systemd.until(lambda: systemd.count("READY=1") == 1)
        hydrad.signal(signal.SIGHUP)
        systemd.until(lambda: systemd.count("READY=1") == 2)
        lines = systemd.lines()
        began = lines.index("RELOADING=1")
        assert lines[began + 1].removeprefix("MONOTONIC_USEC=").isdecimal()
        assert "READY=1" in lines[began:]


def test_the_pages_say_when_they_serve_and_when_they_end(tmp_path: Path, systemd: ListeningSystemd) -> None:
    with Daemon(tmp_path, scores=GOOD) as hydrad:
        hydrad.start()
        with Pages(hydrad.settings, environment=systemd.environment):
            systemd.until(lambda: "READY=1" in systemd.lines())
            assert systemd.status().startswith("pages on 127.0.0.1, port ")
        assert systemd.lines()[-2] == "STOPPING=1"


def test_pages_that_hang_feed_no_watchdog(tmp_path: Path, systemd: ListeningSystemd) -> None:
    with (
        Daemon(tmp_path, scores=GOOD) as hydrad,
        Pages(hydrad.settings, environment=systemd.environment) as pages,
    ):
        systemd.until(lambda: systemd.count("WATCHDOG=1") >= 3)
        pages.process.send_signal(signal.SIGSTOP)
        systemd.until(lambda: systemd.silent_s("WATCHDOG=1") > WATCHDOG_S, 3 * WATCHDOG_S)
        pages.process.send_signal(signal.SIGCONT)
        systemd.until(lambda: systemd.silent_s("WATCHDOG=1") < WATCHDOG_S / 2)


@pytest.mark.keras
def test_the_units_filter_of_system_calls_leaves_all_that_keras_and_epics_need(tmp_path: Path) -> None:
    if ctypes.util.find_library("seccomp") is None or shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set, and libseccomp or systemd-analyze is not installed (Debian: systemd)")
        pytest.skip("libseccomp or systemd-analyze is not installed (Debian: systemd)")
    shutil.copytree(shipped.folder(), tmp_path / "models" / shipped.ID)
    beam = '[beam]\npv = "NOWHERE:CURRENT"\n'
    with Daemon(tmp_path, beam=beam, program=CONFINED) as hydrad:
        hydrad.start()
        hydrad.land("CDC_occupancy.png", 1)
        hydrad.until(lambda: hydrad.counts()["judged"] == 1)
        assert hydrad.pv("CDC:OCCUPANCY:CLASS").get() in {"Good", "Bad", "NoData"}
        assert hydrad.pv("BEAM:STATE").get(as_string=True) == "UNKNOWN"
        assert hydrad.stop() == 0
