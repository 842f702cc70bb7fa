"""The how-to for a lab that has Phoebus, followed word by word."""

from __future__ import annotations

import os
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import how_to
import kit
import pytest
from alarm_trees import read_phoebus
from broker import Alarms, Broker
from control_room import GOOD, Watch
from daemon import Daemon
from listening import Listener, read_settings

from hydrad.config import Ioc

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

STEPS = ("Tree and screens", "Settings", "Alarm server", "Console")
SEE = "See it work"


def land(hydrad: Daemon, *shades: int) -> None:
    """One more image for each shade, judged; they are counted up from 1."""
    for shade in shades:
        hydrad.land("CDC_occupancy.png", shade)
        hydrad.until(lambda shade=shade: hydrad.counts()["judged"] == shade)


@contextmanager
def x_server() -> Iterator[str]:
    """A screen that nobody sees; its DISPLAY."""
    reading, writing = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1920x1080x24"], pass_fds=[writing]
    ) as process:
        os.close(writing)
        with os.fdopen(reading) as number:
            yield f":{number.readline().strip()}"
        process.terminate()


def test_every_block_of_the_page_is_run() -> None:
    assert set(how_to.blocks("sh")) == {*STEPS, SEE}
    (ioc,) = how_to.blocks("toml")[""]
    Ioc.model_validate(tomllib.loads(ioc)["ioc"])


def test_a_lab_that_follows_the_page_has_tree_topics_settings_and_screens(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, scores=GOOD) as hydrad,
        Broker(tmp_path) as broker,
        how_to.Followed(hydrad, broker.address) as page,
    ):
        hydrad.start()
        land(hydrad, 1)
        for heading in STEPS:
            page.run(heading)

        tree = tmp_path / "control-room" / "hydrad.xml"
        name, _ = read_phoebus(tree.read_bytes())
        assert broker.topics() is not None
        assert {name, f"{name}Command", f"{name}Talk"} <= (broker.topics() or set())
        imported, served = page.told("alarm-server.sh")
        assert {imported["-config"], served["-config"]} == {name}
        assert {imported["-server"], served["-server"]} == {broker.address}
        assert (tmp_path / imported["-import"]).samefile(tree)
        assert "-noshell" in served
        settings = read_settings(tmp_path / imported["-settings"])
        (opened,) = page.told("phoebus.sh")
        assert opened["-settings"] == imported["-settings"]
        screen, _, app = opened["-resource"].removeprefix("file:").partition("?")
        assert app == "app=display_runtime"
        assert Path(screen).read_text().startswith("<?xml")

        alarm = f"{hydrad.prefix}:CDC:OCCUPANCY:STATUS"
        with Listener(settings) as listener:
            watch = Watch(tree, listener)
            watch.until({})
            raising, calming = how_to.blocks("sh")[SEE]
            page.run_text(raising)
            land(hydrad, 2)
            watch.until({alarm: "MINOR"})
            page.run_text(calming)
            land(hydrad, 3, 4)
            watch.until({})
        assert settings["org.phoebus.applications.alarm/config_name"] == name
        assert settings["org.phoebus.applications.alarm/server"] == broker.address


@pytest.mark.skipif(not how_to.INSTALLED["phoebus.sh"], reason="PHOEBUS names no CS-Studio")
def test_cs_studio_opens_the_hall_and_hears_its_pvs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        x_server() as display,
        Daemon(tmp_path, scores=GOOD) as hydrad,
        how_to.Followed(hydrad, "127.0.0.1:9092") as page,
    ):
        monkeypatch.setenv("DISPLAY", display)
        hydrad.start()
        land(hydrad, 1)
        clients = hydrad.pv("CA_CLNT_CNT")
        hydrad.until(lambda: clients.get() == 1)
        for heading in (STEPS[0], STEPS[1], STEPS[3]):
            page.run(heading)
        hydrad.until(lambda: clients.get() > 1, within_s=120)
        time.sleep(10)  # for the eye: what is drawn meanwhile is not looked at by the test
        subprocess.run(["import", "-window", "root", kit.PICTURES / "cs-studio.png"], check=True)


@pytest.mark.skipif(not how_to.INSTALLED["alarm-server.sh"], reason="ALARM_SERVER names no alarm server of Phoebus")
def test_phoebus_alarm_server_raises_latches_is_acknowledged_and_clears(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, scores=GOOD) as hydrad,
        Broker(tmp_path) as broker,
        how_to.Followed(hydrad, broker.address) as page,
    ):
        hydrad.start()
        land(hydrad, 1)
        for heading in STEPS[:3]:
            page.run(heading)
        _, leaves = read_phoebus((tmp_path / "control-room" / "hydrad.xml").read_bytes())
        alarm, watchdog = (
            "/".join(["", *leaves[pv].path, pv])
            for pv in (f"{hydrad.prefix}:CDC:OCCUPANCY:STATUS", f"{hydrad.prefix}:WATCHDOG")
        )
        with Alarms(broker, page.config) as alarms:
            raising, calming = how_to.blocks("sh")[SEE]
            page.run_text(raising)
            land(hydrad, 2)
            alarms.until(lambda: alarms.severity(alarm) == "MINOR", within_s=120)
            page.run_text(calming)
            land(hydrad, 3, 4)
            alarms.until(lambda: alarms.state(alarm)["current_severity"] == "OK")
            assert alarms.severity(alarm) == "MINOR"
            alarms.acknowledge(alarm)
            alarms.until(lambda: alarms.severity(alarm) == "OK")

            hydrad.kill()
            alarms.until(lambda: alarms.severity(watchdog) == "UNDEFINED")
            assert alarms.severity(alarm) == "OK"
