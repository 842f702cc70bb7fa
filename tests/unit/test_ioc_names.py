"""PV names: legal, short enough, one each, and the same whenever plots come in the same order."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hydrad.ioc.names import HALL, LONGEST, Names, part, within

LEAVES = (
    "STATUS",
    "CONF",
    "CLASS",
    "MSG",
    "AGE",
    "RUN",
    "NBAD",
    "ONDELAY",
    "OFFDELAY",
    "ONWINDOW",
    "OFFWINDOW",
    "ENABLE",
    "SHELVE",
    "PLOT",
)
HALLS_OWN = (*HALL - {"BEAM", "DB", "MODEL"}, "BEAM:CURRENT", "BEAM:STATE", "BEAM:MIN", "DB:STATUS", "MODEL:STATUS")
prefixes = st.from_regex(r"\A[A-Z0-9_:]{1,20}\Z")
mirrors = st.one_of(st.just(""), st.from_regex(r"\A[A-Za-z0-9_:]{1,40}\Z"))
words = st.one_of(
    st.text(min_size=1, max_size=70), st.sampled_from(["a", "A", "A b", "A_b", "BEAM", "DB", "MODEL", "É"])
)
plots = st.lists(st.tuples(words, st.sampled_from(["", "_", "_x", "_x y", "_x_y", "_" * 50, "_µ"])), max_size=12)


def all_names(prefix: str, mirror: str, followed: list[tuple[str, str]], labels: list[str]) -> list[str]:
    """Every PV that there would be."""
    names = Names(prefix, mirror)
    found = [names.hall(leaf) for leaf in HALLS_OWN]
    seen = {}
    for detector, rest in followed:
        seen.setdefault(f"{detector}{rest}", detector)
    for detector in dict.fromkeys(seen.values()):
        found += [f"{names.detector(detector)}:{leaf}" for leaf in ("STATUS", "CONF", "CLASS", "MSG", "PLOT", "ENABLE")]
    for plot, detector in seen.items():
        found += [f"{names.plot(plot, detector)}:{leaf}" for leaf in LEAVES]
        found += [names.threshold(plot, detector, label) for label in dict.fromkeys(labels)]
        if mirror:
            found.append(names.mirror(plot))
    return found


@given(prefixes, mirrors, plots, st.lists(words, max_size=4))
@example("P", "P", [("A", "")], [])
@example("HYDRA:D:", "", [("BEAM", "_MIN"), ("DB", ""), ("MODEL", "_STATUS")], ["Good"])
@example("HYDRA:D:", "", [("A b", "_x"), ("A_b", "_x"), ("a b", "_x")], ["No Data", "No_Data"])
def test_every_name_is_legal_short_enough_and_nobody_else_s(
    prefix: str, mirror: str, followed: list[tuple[str, str]], labels: list[str]
) -> None:
    found = all_names(prefix, mirror, followed, labels)
    for name in found:
        allowed = r"[A-Za-z0-9_:]+" if mirror and name.startswith(mirror) else r"[A-Z0-9_:]+"
        assert re.fullmatch(allowed, name), name
        assert len(name) <= LONGEST, name
    assert len(set(found)) == len(found)


@given(prefixes, mirrors, plots, st.lists(words, max_size=4))
def test_the_same_plots_in_the_same_order_have_the_same_names(
    prefix: str, mirror: str, followed: list[tuple[str, str]], labels: list[str]
) -> None:
    assert all_names(prefix, mirror, followed, labels) == all_names(prefix, mirror, followed, labels)


@given(prefixes, plots, plots)
def test_a_plot_that_comes_later_changes_no_name(
    prefix: str, followed: list[tuple[str, str]], later: list[tuple[str, str]]
) -> None:
    names = Names(prefix)
    before = {f"{d}{rest}": names.plot(f"{d}{rest}", d) for d, rest in followed}
    for detector, rest in later:
        names.plot(f"{detector}{rest}", detector)
    assert {plot: names.plot(plot, "whatever") for plot in before} == before


@pytest.mark.parametrize(
    ("plot", "detector", "expected"),
    [
        ("CDC_occupancy", "CDC", "HYDRA:D:CDC:OCCUPANCY"),
        ("Faraday Cup_canvas0", "Faraday Cup", "HYDRA:D:FARADAY_CUP:CANVAS0"),
        ("hydra_run-7", "hydra", "HYDRA:D:HYDRA:RUN_7"),
        ("CDC", "CDC", "HYDRA:D:CDC:CDC"),
        ("lonely", "lonely", "HYDRA:D:LONELY:LONELY"),
        ("FDC_hits", "DRIFT", "HYDRA:D:DRIFT:FDC_HITS"),
        ("CDC_", "CDC", "HYDRA:D:CDC:CDC_"),
        ("A:B_c", "A:B", "HYDRA:D:A_B:C"),
    ],
)
def test_a_plot_is_called_after_its_detector_and_itself(plot: str, detector: str, expected: str) -> None:
    assert Names("HYDRA:D:").plot(plot, detector) == expected


def test_of_two_plots_of_one_name_the_first_has_the_plain_one() -> None:
    names = Names("H:")
    assert names.plot("CDC_a b", "CDC") == "H:CDC:A_B"
    assert re.fullmatch(r"H:CDC:A_B_[0-9A-F]{4}", names.plot("CDC_a_b", "CDC"))


@pytest.mark.parametrize("detector", sorted(HALL))
def test_a_detector_called_like_a_pv_of_the_hall_gives_way(detector: str) -> None:
    assert re.fullmatch(rf"H:{detector}_[0-9A-F]{{4}}", Names("H:").detector(detector))


def test_a_long_name_keeps_its_beginning_and_leaves_room_for_what_comes_behind() -> None:
    plot = "CDC_" + "occupancy_of_everything_" * 3
    stem = Names("HYDRA:D:").plot(plot, "CDC")
    assert stem.startswith("HYDRA:D:CDC:OCCUPANCY_OF_")
    assert len(f"{stem}:THRESH:NODATA") <= LONGEST


def test_labels_that_would_be_called_the_same_are_not() -> None:
    names = Names("H:")
    assert names.threshold("A_b", "A", "No Data") == "H:A:B:THRESH:NO_DATA"
    assert names.threshold("A_b", "A", "No_Data") != "H:A:B:THRESH:NO_DATA"
    assert names.threshold("A_c", "A", "No_Data") == "H:A:C:THRESH:NO_DATA"


def test_a_mirror_keeps_its_case() -> None:
    assert Names("H:", "HB:monitoring:ai:").mirror("ECAL_Occ 1") == "HB:monitoring:ai:ECAL_Occ_1"


def test_parts_are_upper_case_letters_digits_and_underscores() -> None:
    assert [part(text) for text in ("a b", "Ä", "x:y", "", "ß")] == ["A_B", "_", "X_Y", "_", "SS"]
    assert within("CDC_a", "CDC") == "a"
