"""Alarm trees as alarm handlers read them: hall, detectors, plots, and one alarm for one fault."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest
from alarm_trees import Leaf, read_alh, read_phoebus
from hall_plans import configured, hall_of, large_hall

from hydrad.errors import ConfigurationError
from hydrad.ioc.trees import alh, edits, phoebus
from hydrad.ioc.trees.planting import plant
from hydrad.ioc.trees.tree import Tree

HALL_ALARMS = {"WATCHDOG", "DB:STATUS", "MODEL:STATUS", "BEAM:STATE", "RUN:STATE", "SUMMARY"}


def tree_of(*plots: str, own: str = "", **words) -> Tree:
    tree = plant(hall_of(*plots, **words), "/screens")
    return edits.apply(tree, edits.Edits.model_validate(_toml(own))).tree if own else tree


def _toml(text: str):
    return tomllib.loads(text)


def as_phoebus(*plots: str, **words) -> dict[str, Leaf]:
    return read_phoebus(phoebus.write(tree_of(*plots, **words)))[1]


def as_alh(*plots: str, **words) -> dict[str, Leaf]:
    return read_alh(alh.write(tree_of(*plots, **words)))


@pytest.fixture(params=[as_phoebus, as_alh], ids=["phoebus", "alh"])
def read(request: pytest.FixtureRequest):
    return request.param


def test_the_tree_goes_from_the_hall_over_detectors_to_plots(read) -> None:
    leaves = read("CDC_occupancy", "CDC_time", "FDC_a")
    assert {pv.removeprefix("HYDRA:T:") for pv in leaves} == HALL_ALARMS | {
        "CDC:STATUS", "CDC:OCCUPANCY:STATUS", "CDC:TIME:STATUS", "FDC:STATUS", "FDC:A:STATUS",
    }  # fmt: skip
    assert leaves["HYDRA:T:CDC:TIME:STATUS"].path[-1] == "CDC"
    assert leaves["HYDRA:T:WATCHDOG"].path == leaves["HYDRA:T:CDC:TIME:STATUS"].path[:-1]


def test_a_plot_without_a_model_has_no_alarm_and_neither_has_a_detector_of_such_plots(read) -> None:
    leaves = read("CDC_a", "CDC_b", "FDC_a", unserved=("CDC_b", "FDC_a"))
    assert {pv.removeprefix("HYDRA:T:") for pv in leaves} == HALL_ALARMS | {"CDC:STATUS", "CDC:A:STATUS"}


def test_each_alarm_says_what_to_do_whom_to_call_and_where_to_look(read) -> None:
    leaves = read("CDC_occupancy", "FDC_a")
    said = " ".join(details for _, details in leaves["HYDRA:T:CDC:OCCUPANCY:STATUS"].guidance)
    assert "Check the HV." in said
    assert "cdc@example.org" in said
    assert "HYDRA:T:CDC:OCCUPANCY:MSG" in said
    assert "expert of FDC" in " ".join(details for _, details in leaves["HYDRA:T:FDC:A:STATUS"].guidance)
    for leaf in leaves.values():
        assert "HYDRA" in leaf.pv
        assert leaf.guidance


def test_displays_are_the_screens_and_the_pages() -> None:
    leaves = as_phoebus("CDC_occupancy")
    addresses = [details for _, details in leaves["HYDRA:T:CDC:OCCUPANCY:STATUS"].displays]
    assert "http://pages.example:8000/plot/CDC_occupancy" in addresses
    assert "/screens/detector-CDC.bob" in addresses
    assert "/screens/hall.bob" in addresses
    assert as_alh("CDC_occupancy")["HYDRA:T:CDC:OCCUPANCY:STATUS"].commands == [
        ("", "xdg-open http://pages.example:8000/plot/CDC_occupancy")
    ]


def test_a_link_leads_to_the_screen_that_has_the_plot() -> None:
    plots = [f"CDC_{n:02}" for n in range(60)]
    leaves = as_phoebus(*plots)
    for plot, file in (("00", "detector-CDC.bob"), ("30", "detector-CDC-2.bob"), ("59", "detector-CDC-3.bob")):
        assert f"/screens/{file}" in [details for _, details in leaves[f"HYDRA:T:CDC:{plot}:STATUS"].displays]


def test_counts_are_left_to_the_ioc(read) -> None:
    for leaf in read("CDC_a").values():
        assert leaf.words.get("count", "0") == "0"
        assert "$ALARMCOUNTFILTER" not in leaf.words


def test_phoebus_waits_until_a_filter_has_been_heard_and_no_longer_unless_told() -> None:
    leaves = as_phoebus("CDC_a", "FDC_a", own=OWN.replace("delay = 5", "delay = 30"))
    assert all(
        leaf.words["delay"] == ("5" if leaf.words.get("filter") else "0") for leaf in as_phoebus("CDC_a").values()
    )
    assert leaves["HYDRA:T:FDC:A:STATUS"].words["delay"] == "30"
    assert leaves["HYDRA:T:CDC:A:STATUS"].words["delay"] == "5"
    assert leaves["LAB:CDC:GAS"].words["delay"] == "0"


def holds(leaf: Leaf, values: dict[str, float]) -> bool:
    """Whether the alarm counts: its filter in Phoebus, or the mask that ALH forces, worked out here."""
    if not leaf.enabled:
        return False
    formula = leaf.words.get("filter")
    if formula is None:
        formula = leaf.words.get("$FORCEPV_CALC", "1")
        letters = {key[-1]: pv for key, pv in leaf.words.items() if re.fullmatch(r"\$FORCEPV_CALC_[A-F]", key)}
        formula = re.sub(r"[A-F]", lambda found: f"'{letters[found.group()]}'", formula)
    python = formula.replace("&&", " and ").replace("||", " or ").replace("!", " not ")
    python = re.sub(r"'HYDRA:T:([^']+)'", lambda found: f"values[{found.group(1)!r}]", python)
    return bool(eval(python, {"values": values}))  # noqa: S307  made of numbers and comparisons: the reader saw to it


NAN = float("nan")
WELL = {"WATCHDOG": 0, "DB:STATUS": 0, "MODEL:STATUS": 0, "CDC:FLOOD": 0}


@pytest.mark.parametrize(
    ("state", "count"),
    [
        (WELL, {"WATCHDOG", "DB:STATUS", "MODEL:STATUS", "BEAM:STATE", "RUN:STATE", "CDC:A:STATUS"}),
        (
            WELL | {"CDC:FLOOD": 1},
            {"WATCHDOG", "DB:STATUS", "MODEL:STATUS", "BEAM:STATE", "RUN:STATE", "CDC:A:STATUS", "CDC:STATUS"},
        ),
        (WELL | {"WATCHDOG": 2, "CDC:FLOOD": 1}, {"WATCHDOG"}),
        (WELL | {"WATCHDOG": 2, "DB:STATUS": 1}, {"WATCHDOG"}),
        (
            WELL | {"WATCHDOG": 1, "DB:STATUS": 1},
            {"DB:STATUS", "MODEL:STATUS", "BEAM:STATE", "RUN:STATE", "CDC:A:STATUS"},
        ),
        (
            WELL | {"WATCHDOG": 1, "MODEL:STATUS": 1},
            {"DB:STATUS", "MODEL:STATUS", "BEAM:STATE", "RUN:STATE", "CDC:A:STATUS"},
        ),
        (WELL | {"WATCHDOG": 1}, {"WATCHDOG", "DB:STATUS", "MODEL:STATUS", "BEAM:STATE", "RUN:STATE", "CDC:A:STATUS"}),
    ],
    ids=["well", "flood", "stalled", "stalled and more", "data base", "model", "other trouble"],
)
def test_one_fault_is_one_alarm(read, state: dict[str, float], count: set[str]) -> None:
    leaves = read("CDC_a")
    assert {pv.removeprefix("HYDRA:T:") for pv, leaf in leaves.items() if holds(leaf, state)} == count


def test_of_an_ioc_that_is_gone_only_the_watchdog_counts() -> None:
    leaves = as_phoebus("CDC_a")
    gone = dict.fromkeys(WELL, NAN)  # what a filter of Phoebus has for a PV that is not connected
    assert {pv for pv, leaf in leaves.items() if holds(leaf, gone)} == {"HYDRA:T:WATCHDOG"}


def test_the_same_hall_gives_the_same_bytes_in_whatever_order_its_plots_came() -> None:
    plots = ["CDC_b", "CDC_a", "FDC_a"]
    for write in (phoebus.write, alh.write):
        assert len({write(tree_of(*order)) for order in itertools.permutations(plots)}) == 1


def test_odd_names_do_not_break_the_file(read) -> None:
    leaves = read("Faraday Cup_canvas0", "A/B_<x>&'\"_\x07", "CDC_größe")
    assert "HYDRA:T:FARADAY_CUP:CANVAS0:STATUS" in leaves
    assert "HYDRA:T:A_B:_X______:STATUS" in leaves
    assert all(re.fullmatch(r"[A-Z0-9_:]+", pv) for pv in leaves)


def test_a_detector_called_as_the_root_does_not_become_its_own_child() -> None:
    leaves = as_alh("HYDRA_T_a")
    assert leaves["HYDRA:T:HYDRA:T_A:STATUS"]
    settings = configured(detector=[{"name": "HYDRA_T", "plots": ["X_*"]}])
    read_alh(alh.write(plant(hall_of("X_a", settings=settings), "/screens")))


def test_no_guidance_ends_before_its_end() -> None:
    settings = configured(
        detector=[{"name": "CDC", "guidance": "First this.\n$END\nCHANNEL CDC evil\n\n" + "word " * 100}]
    )
    content = alh.write(plant(hall_of("CDC_a", settings=settings), "/screens"))
    leaf = read_alh(content)["HYDRA:T:CDC:A:STATUS"]
    said = " ".join(text for _, text in leaf.guidance)
    assert "CHANNEL CDC evil" in said
    assert said.count("word") == 100
    assert max(map(len, content.decode().splitlines())) <= 120


OWN = """
[[change]]
at = ["CDC"]
guidance = [{ title = "The key", details = "Hangs in the\\nrack." }]

[[change]]
at = ["CDC_b", "HYDRA:T:BEAM:STATE"]
enabled = false

[[change]]
at = ["SUMMARY"]
enabled = true
latching = false

[[change]]
at = ["FDC"]
annunciating = false
delay = 5

[[change]]
at = ["CDC_no_such_*"]
enabled = false

[[add]]
under = "CDC"
pv = "LAB:CDC:GAS"
description = "Gas flow"
guidance = [{ title = "What to do", details = "Open the valve." }]
command = [{ title = "Gas", details = "gas-panel --open" }]

[[add]]
under = "Solenoid/Cooling"
pv = "LAB:SOL:T"
guidance = [{ title = "What to do", details = "Call." }]
display = [{ title = "Magnet", details = "http://magnet.example/" }]
"""


def test_the_lab_s_own_edits_are_laid_over_the_tree(read) -> None:
    leaves = read("CDC_a", "CDC_b", "FDC_a", own=OWN)
    assert not leaves["HYDRA:T:CDC:B:STATUS"].enabled
    assert leaves["HYDRA:T:CDC:A:STATUS"].enabled
    assert not leaves["HYDRA:T:BEAM:STATE"].enabled
    assert leaves["HYDRA:T:SUMMARY"].enabled
    said = " ".join(details for _, details in leaves["HYDRA:T:CDC:A:STATUS"].guidance)
    assert re.search(r"Hangs in the\s+rack.", said)
    assert said.count("Hangs") == 1
    assert leaves["LAB:CDC:GAS"].path == leaves["HYDRA:T:CDC:A:STATUS"].path
    assert leaves["LAB:CDC:GAS"].commands == [("" if read is as_alh else "Gas", "gas-panel --open")]
    assert leaves["LAB:SOL:T"].path[-2:] == (("SOLENOID", "COOLING") if read is as_alh else ("Solenoid", "Cooling"))


def test_edits_reach_every_switch_of_either_format() -> None:
    in_phoebus = as_phoebus("CDC_a", "FDC_a", own=OWN)
    assert in_phoebus["HYDRA:T:SUMMARY"].words["latching"] == "false"
    assert in_phoebus["HYDRA:T:FDC:A:STATUS"].words["annunciating"] == "false"
    assert in_phoebus["HYDRA:T:FDC:A:STATUS"].words["delay"] == "5"
    in_alh = as_alh("CDC_a", "FDC_a", own=OWN)
    assert in_alh["HYDRA:T:SUMMARY"].words["mask"] == "---T-"
    assert in_alh["HYDRA:T:FDC:A:STATUS"].words["$ALARMCOUNTFILTER"] == "-1 5"


def test_edits_that_fit_nothing_are_named() -> None:
    tree = tree_of("CDC_a", "CDC_b", "FDC_a")
    assert edits.apply(tree, edits.Edits.model_validate(_toml(OWN))).idle == ["CDC_no_such_*"]


def test_a_pv_is_added_only_where_there_is_none() -> None:
    own = {"add": [{"under": "hall", "pv": pv} for pv in ("HYDRA:T:WATCHDOG", "LAB:A", "LAB:A")]}
    with pytest.raises(ConfigurationError, match=r"WATCHDOG is in the tree already(?s:.*)LAB:A is in the tree"):
        edits.apply(tree_of("CDC_a"), edits.Edits.model_validate(own))


def test_every_fault_of_a_file_of_edits_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "alarms.toml"
    file.write_text('[[change]]\nat = []\nenabeld = false\n[[add]]\nunder = "CDC"\npv = "A B"\n')
    with pytest.raises(ConfigurationError) as refused:
        edits.load(file)
    assert len(refused.value.faults) == 3
    file.write_text("[[change\n")
    with pytest.raises(ConfigurationError, match="no TOML"):
        edits.load(file)


def test_a_tree_of_400_plots_is_complete() -> None:
    hall = large_hall()
    leaves = read_phoebus(phoebus.write(plant(hall, "/screens")))[1]
    assert len(leaves) == 400 + len(hall.detectors) + len(HALL_ALARMS)
    assert read_alh(alh.write(plant(hall, "/screens"))).keys() == leaves.keys()
