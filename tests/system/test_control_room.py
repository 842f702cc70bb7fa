"""What alarm handlers and CS-Studio are given, beside a daemon that runs: every PV that is named is served."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import epics
import pytest
import screens
from alarm_trees import read_alh, read_phoebus
from daemon import Daemon
from databases import Database

from hydrad.sim import hall

pytestmark = pytest.mark.system

SCORES = {"Good": 0.9, "Bad": 0.06, "NoData": 0.04}
TWIN = "CDC_a_b"
ODD = ("Faraday Cup_canvas0", "CDC_a-b", "A_plot_whose_name_is_much_longer_than_a_pv_may_be_0123456789")


@pytest.fixture
def daemon(database: Database, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """On either data base."""
    url = database.url
    told: dict[str, Any] = {
        "url": url._replace(password=None).render_as_string(hide_password=False),
        "environment": {} if url.password is None else {"HYDRA_DB_PASSWORD": str(url.password)},
    }
    with ExitStack() as stack:
        yield lambda **parts: stack.enter_context(Daemon(tmp_path, **told, **parts))


def judge(daemon: Daemon, plots: Collection[str]) -> None:
    """Let an image of each of these plots be judged."""
    before = {row["plot"] for row in daemon.ask_json("status")}
    for n, plot in enumerate(plots):
        daemon.land(f"{plot}.png", 256 * len(before) + n)
    daemon.until(lambda: {row["plot"] for row in daemon.ask_json("status")} >= before | set(plots))


def missing(names: Collection[str]) -> list[str]:
    """The PVs that do not connect."""
    pvs = [epics.PV(name, auto_monitor=False, connection_timeout=15) for name in sorted(names)]
    try:
        return [pv.pvname for pv in pvs if not pv.wait_for_connection(15)]
    finally:
        for pv in pvs:
            pv.disconnect()


def people_open(folder: Path) -> list[str]:
    """The screens that are no parts of others."""
    begins = ("hall", "health", "experts", "shelved", "detector-")
    return sorted(path.name for path in folder.glob("*.bob") if path.name.startswith(begins))


def test_every_pv_on_a_screen_or_in_a_tree_is_served_by_the_daemon(daemon: Callable[..., Daemon]) -> None:
    running = daemon(scores=SCORES).start()
    judge(running, [*hall.PLOTS, *ODD])
    judge(running, [TWIN])  # later: the other one has the plain name
    folder, tree, classic = (running.home / name for name in ("screens", "alarms.xml", "alarms.alhConfig"))
    (told,) = running.ask_json("screens", str(folder))
    assert told["plots"] == told["served"] == len(hall.PLOTS) + len(ODD) + 1
    (told,) = running.ask_json("alarms", "--format", "phoebus", str(tree))
    running.ask("alarms", "--format", "alh", str(classic))
    shown: set[str] = set()
    for file in people_open(folder):
        found = screens.read(folder, file)
        assert all((folder / target).is_file() for target in found.leads_to), file
        shown |= found.pvs
    name, leaves = read_phoebus(tree.read_bytes())
    assert name == told["name"] == running.prefix
    assert len(leaves) == told["alarms"]
    assert read_alh(classic.read_bytes()).keys() == leaves.keys()
    assert leaves.keys() - shown == set()
    assert missing(shown | leaves.keys()) == []
    for leaf in leaves.values():
        links = [details for _, details in leaf.displays if not details.startswith("http")]
        assert links
        assert all(Path(link).is_file() for link in links), leaf.pv


def test_it_is_written_anew_when_plots_appear_and_the_lab_s_own_stays(daemon: Callable[..., Daemon]) -> None:
    running = daemon(scores=SCORES).start()
    judge(running, ["CDC_a"])
    folder, tree = running.home / "screens", running.home / "alarms.xml"
    (running.home / "alarms.edits.toml").write_text('[[change]]\nat = ["CDC_*"]\nlatching = false\n')
    folder.mkdir()
    (folder / "lab.bob").write_text("<display/>")
    for verb in (("screens", str(folder)), ("alarms", "--format", "phoebus", str(tree))):
        (first,) = running.ask_json(*verb)
        assert first["new"]
        (again,) = running.ask_json(*verb)
        assert (again["new"], again["changed"], again["removed"]) == ([], [], [])
    judge(running, ["CDC_b", "FDC_c"])
    (told,) = running.ask_json("screens", str(folder))
    assert "detector-FDC.bob" in told["new"]
    assert "detector-CDC.bob" in told["changed"]
    assert (folder / "lab.bob").read_text() == "<display/>"
    (told,) = running.ask_json("alarms", "--format", "phoebus", str(tree))
    assert told["changed"] == ["alarms.xml"]
    leaves = read_phoebus(tree.read_bytes())[1]
    assert leaves[f"{running.prefix}:CDC:B:STATUS"].words["latching"] == "false"
    assert leaves[f"{running.prefix}:FDC:C:STATUS"].words["latching"] == "true"


def test_a_hall_without_a_model_has_screens_and_no_plot_alarms(daemon: Callable[..., Daemon]) -> None:
    running = daemon().start()
    judge(running, ["CDC_a"])
    (told,) = running.ask_json("screens", str(running.home / "screens"))
    assert (told["plots"], told["served"]) == (1, 0)
    shown = screens.read(running.home / "screens", "detector-CDC.bob").pvs
    assert f"{running.prefix}:CDC:A:STATUS" in shown
    assert missing(shown) == []
    tree = running.home / "alarms.xml"
    running.ask("alarms", "--format", "phoebus", str(tree))
    assert not any(":CDC:" in pv for pv in read_phoebus(tree.read_bytes())[1])


def test_what_stands_in_the_way_is_said(tmp_path: Path) -> None:
    with Daemon(tmp_path, scores=SCORES) as idle:
        tree = tmp_path / "alarms.xml"
        idle.ask("alarms", "--format", "phoebus", str(tree), status=1)  # there is no data base yet
        idle.start()
        tree.write_text("<config name='the lab's'/>")
        idle.ask("alarms", "--format", "phoebus", str(tree), status=1)
        assert tree.read_text() == "<config name='the lab's'/>"
        own = tmp_path / "own.toml"
        idle.ask("alarms", "--format", "alh", str(tmp_path / "a"), "--edits", str(own), status=2)
        own.write_text("[[change]]\n")
        idle.ask("alarms", "--format", "alh", str(tmp_path / "a"), "--edits", str(own), status=2)
        assert not (tmp_path / "a").exists()
