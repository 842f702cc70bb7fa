"""hydra.toml is edited while the daemon and the pages work, and they are told to read it again."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import Pages
from daemon import Daemon
from listening_systemd import ListeningSystemd

from hydrad.domain import Status

pytestmark = pytest.mark.system

BAD = {"Good": 0.02, "Bad": 0.9, "NoData": 0.08}
CDC = '\n[[detector]]\nname = "CDC"\nplots = ["CDC_*"]\non_delay = {delay}\nguidance = "{guidance}"\n'


@pytest.fixture
def systemd() -> Iterator[ListeningSystemd]:
    with ListeningSystemd() as listening:
        yield listening


def edit(hydrad: Daemon, before: str, after: str) -> None:
    text = hydrad.settings.read_text()
    assert before in text
    hydrad.settings.write_text(text.replace(before, after))


def log(path: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, path.read_text().splitlines()) if line["event"] == event]


def reload(hydrad: Daemon) -> None:
    """Tell the daemon to read its file, and return when it has."""

    def read() -> int:
        return len(log(hydrad.log, "configuration_reread")) + len(log(hydrad.log, "configuration_refused"))

    before = read()
    hydrad.signal(signal.SIGHUP)
    hydrad.until(lambda: read() > before)


def test_delays_and_writers_change_while_it_runs_and_what_people_set_stays_above(
    tmp_path: Path, systemd: ListeningSystemd
) -> None:
    with Daemon(
        tmp_path, scores=BAD, environment=systemd.environment, defaults=CDC.format(delay=5, guidance="Call.")
    ) as hydrad:
        hydrad.start()
        for shade in (1, 2):
            hydrad.land("CDC_occupancy.png", shade)
            hydrad.land("CDC_time.png", 10 + shade)
            hydrad.until(lambda shade=shade: hydrad.counts()["judged"] == 2 * shade)
        status, delay = hydrad.pv("CDC:OCCUPANCY:STATUS"), hydrad.pv("CDC:OCCUPANCY:ONDELAY")
        theirs = hydrad.pv("CDC:TIME:ONDELAY")
        theirs.put(7, wait=True, timeout=10)
        assert (status.get(), delay.get(), theirs.get()) == (Status.SUSPECT, 5, 7)

        edit(hydrad, "on_delay = 5", "on_delay = 3")
        edit(hydrad, f"port = {hydrad.port}", f'port = {hydrad.port}\nwriters = ["nobody@nowhere"]')
        edit(hydrad, 'name = "TEST"', 'name = "OTHER"')
        reload(hydrad)
        hydrad.until(lambda: delay.get() == 3)
        assert theirs.get() == 7
        hydrad.land("CDC_occupancy.png", 3)
        hydrad.until(lambda: status.get() == Status.BAD)
        theirs.put(9, wait=True, timeout=10)
        hydrad.until(lambda: "ioc.writers" in hydrad.pv("MSG").get(as_string=True))
        assert theirs.get(use_monitor=False) == 7

        assert log(hydrad.log, "configuration_reread")[-1]["changed"] == ["ioc.writers", "detector.CDC.on_delay"]
        assert log(hydrad.log, "configuration_waits")[-1]["keys"] == ["hall.name"]
        systemd.until(lambda: systemd.status().endswith("; a restart is needed for hall.name"))


def test_a_wrong_file_is_refused_whole_and_the_old_one_stays_in_force(
    tmp_path: Path, systemd: ListeningSystemd
) -> None:
    with Daemon(tmp_path, scores=BAD, environment=systemd.environment) as hydrad:
        hydrad.start()
        hydrad.land("CDC_occupancy.png", 1)
        hydrad.until(lambda: hydrad.counts()["judged"] == 1)
        edit(hydrad, "on_delay = 2", "on_delay = 4")
        edit(hydrad, "off_delay = 2", "off_delay = 0\nof_delay = 3")
        reload(hydrad)
        (refused,) = log(hydrad.log, "configuration_refused")
        assert {fault.partition(":")[0] for fault in refused["faults"]} == {"defaults.off_delay", "defaults.of_delay"}
        systemd.until(lambda: "; the new configuration is refused: defaults.of" in systemd.status())
        hydrad.land("CDC_occupancy.png", 2)
        hydrad.until(lambda: hydrad.pv("CDC:OCCUPANCY:STATUS").get() == Status.BAD)  # after 2, as before
        assert hydrad.pv("CDC:OCCUPANCY:ONDELAY").get() == 2

        edit(hydrad, "off_delay = 0\nof_delay = 3", "off_delay = 3")
        reload(hydrad)
        hydrad.until(lambda: hydrad.pv("CDC:OCCUPANCY:ONDELAY").get() == 4)
        systemd.until(lambda: "refused" not in systemd.status())


def test_a_beam_threshold_that_somebody_put_stays_above_the_files(tmp_path: Path) -> None:
    with Daemon(tmp_path, beam='[beam]\nkind = "fixed"\non_above = 5.0\n') as hydrad:
        hydrad.start()
        least = hydrad.pv("BEAM:MIN")
        hydrad.until(lambda: least.get() == 5.0)
        edit(hydrad, "on_above = 5.0", "on_above = 400.0")
        reload(hydrad)
        hydrad.until(lambda: least.get() == 400.0)
        assert hydrad.pv("BEAM:STATE").get(as_string=True) == "OFF"
        least.put(20.0, wait=True, timeout=10)
        edit(hydrad, "on_above = 400.0", "on_above = 300.0")
        reload(hydrad)
        heartbeat = hydrad.pv("HEARTBEAT").get()
        hydrad.until(lambda: hydrad.pv("HEARTBEAT").get() > heartbeat + 1)
        assert least.get() == 20.0


def test_the_pages_show_new_guidance_without_a_restart(tmp_path: Path) -> None:
    with Daemon(tmp_path, scores=BAD, defaults=CDC.format(delay=2, guidance="Call the expert.")) as hydrad:
        hydrad.start()
        hydrad.land("CDC_occupancy.png", 1)
        hydrad.until(lambda: hydrad.counts()["judged"] == 1)
        with Pages(hydrad.settings) as pages:

            def guidance() -> str:
                (plot,) = httpx.get(f"{pages.address}/api/v1/plots", timeout=10).json()["plots"]
                return plot["guidance"]

            hydrad.until(lambda: guidance() == "Call the expert.")
            edit(hydrad, "Call the expert.", "Look at the HV.")
            pages.process.send_signal(signal.SIGHUP)
            hydrad.until(lambda: guidance() == "Look at the HV.")
            assert log(pages.log, "configuration_reread")[-1]["changed"] == ["detector.CDC.guidance"]
