"""Faults put into good pictures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from hydrad import config
from hydrad.classify.prepare import Preparation, prepare
from hydrad.domain import Pixels
from hydrad.errors import ConfigurationError
from hydrad.sim import effects, hall, ink
from hydrad.sim import frames as drawn_frames
from hydrad.sim.faults import FAULTS, Fault
from hydrad.train.emulation import emulate, frames, kinds, panels, regions, scale, strikes
from hydrad.train.emulation.emulate import Emulator, Struck
from hydrad.train.emulation.heights import Heights

KINDS = tuple(kinds.KINDS)
REAL = Path(__file__).parents[2].parent / "shared" / "real"
# What the simulated hall calls the same thing when it happens to the counts; None: fewer counts in all of the plot.
COUNTERPARTS: dict[str, Sequence[str | None]] = {
    "dead_region": ("dead_board", "dead_sector"),
    "hot_channels": ("hot_channels",),
    "shifted_peak": ("shifted_peak",),
    "broadened_peak": ("broadened_peak",),
    "lost_statistics": ("low_occupancy", None),
    "noise": ("noise_band", "noisy_board"),
    "missing_panel": ("missing_panel",),
}


def spec(fault: str, **rest: Any) -> config.Emulate:
    return config.Emulate.model_validate({"fault": fault, **rest})


@cache
def good(plot: str, seed: int = 1) -> Pixels:
    pixels = hall.render(plot, seed=seed)
    pixels.setflags(write=False)
    return pixels


def hit(plot: str, fault: str, seed: int = 0, **rest: Any) -> Struck:
    return emulate.strike(good(plot), spec(fault, **rest), np.random.default_rng(seed))


def within_frames(plot: str) -> npt.NDArray[np.bool_]:
    inside = np.zeros(good(plot).shape[:2], np.bool_)
    for frame in drawn_frames.frames(hall.PLOTS[plot]):
        inside[frame.top + 1 : frame.bottom, frame.left + 1 : frame.right] = True
    return inside


def saved(tmp_path: Path, pixels: npt.NDArray[np.uint8]) -> Path:
    path = tmp_path / "map.png"
    Image.fromarray(pixels).save(path)
    return path


def difference(one: Pixels, other: Pixels) -> npt.NDArray[np.float64]:
    result: npt.NDArray[np.float64] = np.abs(one.astype(np.float64) - other).mean(axis=2)
    return result


# Reading a picture


@pytest.mark.parametrize("plot", hall.PLOTS)
def test_every_frame_of_the_simulated_hall_is_found_where_it_was_drawn(plot: str) -> None:
    drawn = [(f.left + 1, f.top + 1, f.right, f.bottom) for f in drawn_frames.frames(hall.PLOTS[plot])]
    found = [(f.inside.left, f.inside.top, f.inside.right, f.inside.bottom) for f in frames.find(good(plot))]
    assert found == drawn


@pytest.mark.parametrize("plot", hall.PLOTS)
def test_a_panel_is_read_as_what_it_is(plot: str) -> None:
    kind = hall.PLOTS[plot]
    for panel, histogram in zip(panels.read(good(plot)), kind.histograms, strict=True):
        assert panel.kind == ("map" if histogram.kind == "map" else "curve")
        grey = kind.style == "grey" and panel.kind == "map"
        assert panel.empty.tolist() == ([200] * 3 if grey else [255] * 3)
        if panel.kind == "map":
            table = ink.GLOW if grey or histogram.rings is not None else ink.BIRD
            colours = table.view(np.uint8).reshape(-1, 4)[:, :3]
            assert set(map(tuple, panel.palette)) <= set(map(tuple, colours))
            assert len(panel.palette) > 0.8 * len(colours)  # a box of text may hide the end of the bar
            order = [colours.tolist().index(colour) for colour in panel.palette.tolist()]
            assert order == sorted(order)


def test_a_box_of_text_is_known_wherever_it_stands() -> None:
    assert [len(frame.boxes) for frame in frames.find(good("RF_timing"))] == [1, 1, 1, 1]
    assert [len(frame.boxes) for frame in frames.find(good("CDC_occupancy"))] == [1]
    assert [len(frame.boxes) for frame in frames.find(good("DC_time"))] == [0] * 6


@pytest.mark.skipif(not REAL.is_dir(), reason="the images of a real hall are not on this machine")
@pytest.mark.parametrize(
    ("name", "kinds_of"),
    [
        ("DC_canvas0", ["map"] * 6),
        ("ECAL_canvas1", ["map"] * 9),
        ("CTOF_canvas1", ["curve", "curve", "map", "map"]),
        ("FTCAL_canvas0", ["map", "curve", "map", "map"]),
        ("RF_canvas1", ["curve"] * 4 + ["map"] * 2),
    ],
)
def test_the_canvases_of_a_real_hall_are_read(name: str, kinds_of: list[str]) -> None:
    path = next(REAL.glob(f"*_11_*/{name}.png"))
    found = panels.read(np.asarray(Image.open(path).convert("RGB")))
    assert [panel.kind for panel in found] == kinds_of
    assert all(panel.empty.tolist() == ([200] * 3 if panel.kind == "map" else [255] * 3) for panel in found)


# Dead regions


def boards(plot: str, most: int | None = None) -> tuple[Pixels, list[npt.NDArray[np.bool_]]]:
    """A channel map drawn from what the hall says each board covers, and those masks."""
    masks = []
    pixels = np.full_like(good(plot), 255)
    for n in range(min(hall.places(plot, "dead_board"), most or 10_000)):
        masks.append(hall.marked(plot, Fault("dead_board", at=plot, where=n)))
        code = 1000 * (n + 1)
        pixels[masks[-1]] = (code >> 16, code >> 8 & 255, code & 255)
    return pixels, masks


def test_an_emulated_dead_board_is_nearly_the_real_one(tmp_path: Path) -> None:
    plot = "CDC_occupancy"
    drawn, masks = boards(plot)
    emulator = Emulator(spec("dead_region", map=saved(tmp_path, drawn)))
    before = good(plot)
    places = emulator.regions(*before.shape[:2])
    assert len(places) == len(masks) == 146
    small = Preparation(width=128, height=128)
    hottest = int(hall.counts(plot, seed=1)[0].argmax())
    shown = panels.read(before)
    for n, mask in enumerate(masks):
        assert np.array_equal(places[n], np.flatnonzero(mask))
        fault = Fault("dead_board", at=plot, where=n)
        real = hall.render(plot, seed=1, faults=[fault])
        struck = kinds.dead_region(strikes.Blow(before, shown, (places[n],), 1, np.random.default_rng(n)))
        assert struck is not None
        full = difference(real, struck.pixels)
        assert full[mask].mean() < 0.1
        seen = np.asarray(Image.fromarray(mask.view(np.uint8) * 255).resize((128, 128), Image.Resampling.BOX)) > 0
        after = difference(prepare(real, small), prepare(struck.pixels, small))
        if effects.touched(hall.PLOTS[plot], fault)[0].reshape(-1)[hottest]:
            continue  # the palette ends at the hottest straw: without it every other one takes another colour
        assert after[seen].mean() < 0.5
        assert after[~seen].mean() < 0.1
        assert full[~mask].mean() < 0.2
        assert (struck.touched ^ mask).sum() < 0.05 * mask.sum()  # straws that are dead already


@pytest.mark.parametrize(("plot", "seed"), [("CDC_occupancy", 1), ("CDC_occupancy", 9004), ("FDC_occupancy", 1)])
def test_without_the_fullest_bin_the_scale_ends_elsewhere(tmp_path: Path, plot: str, seed: int) -> None:
    drawn, masks = boards(plot)
    emulator = Emulator(spec("dead_region", map=saved(tmp_path, drawn)))
    before = good(plot, seed)
    kind = hall.PLOTS[plot]
    most = [int(counts.max()) for counts in hall.counts(plot, seed=seed)]
    tried = 0
    for n, mask in enumerate(masks):
        fault = Fault("dead_board", at=plot, where=n)
        after = [int(counts.max()) for counts in hall.counts(plot, seed=seed, faults=[fault])]
        panel = next((p for p, (one, other) in enumerate(zip(most, after, strict=True)) if other < 0.975 * one), None)
        if panel is None:
            continue
        tried += 1
        real = hall.render(plot, seed=seed, faults=[fault])
        struck = emulator(before, np.random.default_rng(n), turn=n)
        assert (struck.touched & ~mask).sum() == 0
        frame = drawn_frames.frames(kind)[panel]
        beside = np.zeros(mask.shape, np.bool_)
        beside[frame.top + 30 : frame.bottom - 30, frame.left + 30 : frame.right - 30] = True
        beside &= ~mask
        moved, meant = (
            (pixels[beside].astype(np.float64) - before[beside]).mean(axis=0) for pixels in (struck.pixels, real)
        )
        assert np.abs(meant).max() > 0.3
        assert np.abs(moved - meant).max() < 0.5 * np.abs(meant).max()
        outside = ~within_frames(plot)
        assert np.array_equal(struck.pixels[outside], before[outside])
    assert tried


def test_a_picture_is_redrawn_as_if_its_fullest_bin_had_counted_more_or_less() -> None:
    before = good("CDC_occupancy")
    shown = panels.read(before)
    frame = shown[0].frame
    inner = hall.marked("CDC_occupancy", Fault("dead_board", at="CDC_occupancy", where=0))
    blues = []
    for seed in range(12):
        after = scale.redrawn(before, shown, np.random.default_rng(seed))
        assert after is not None
        assert np.array_equal(after, scale.redrawn(before, shown, np.random.default_rng(seed)))
        outside = np.ones(before.shape[:2], np.bool_)
        outside[frame.inside.window] = False
        assert np.array_equal(after[outside], before[outside])
        for box in frame.boxes:
            assert np.array_equal(after[box.window], before[box.window])
        blues.append(float(after[inner][:, 2].mean() - before[inner][:, 2].mean()))  # yellow turns white
    assert min(blues) < -4
    assert max(blues) > 4


def test_what_has_no_colour_bar_is_not_redrawn() -> None:
    for picture in (good("CDC_time"), digit()):
        assert scale.redrawn(picture, panels.read(picture), np.random.default_rng(1)) is None


def test_where_another_bin_is_as_full_the_scale_stays(tmp_path: Path) -> None:
    plot = "CDC_occupancy"
    drawn, masks = boards(plot)
    emulator = Emulator(spec("dead_region", map=saved(tmp_path, drawn)))
    for n in range(8, 146, 23):
        struck = emulator(good(plot), np.random.default_rng(n), turn=n)
        assert np.array_equal(struck.pixels[~masks[n]], good(plot)[~masks[n]])


def test_a_picture_without_a_colour_bar_changes_only_where_it_is_struck() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 200, (60, 80, 3)).astype(np.uint8)
    picture[20:30, 20:30] = (255, 240, 0)
    struck = emulate.strike(picture, spec("dead_region", boxes=[(0.2, 0.3, 0.4, 0.6)]), rng)
    assert struck.touched.any()
    assert np.array_equal(struck.pixels[~struck.touched], picture[~struck.touched])


def test_a_map_of_another_size_and_in_another_format_strikes_the_same_places(tmp_path: Path) -> None:
    plot = "CDC_occupancy"
    drawn, masks = boards(plot, 40)
    half = Image.fromarray(drawn).resize((drawn.shape[1] // 2, drawn.shape[0] // 2), Image.Resampling.NEAREST)
    found = Emulator(spec("dead_region", map=saved(tmp_path, np.asarray(half)))).regions(*drawn.shape[:2])
    assert len(found) == 40
    for places, mask in zip(found, masks, strict=True):
        assert mask.reshape(-1)[places].mean() > 0.85


def test_one_to_most_regions_die_at_once_and_each_gets_its_turn(tmp_path: Path) -> None:
    plot = "CDC_occupancy"
    emulator = Emulator(spec("dead_region", map=saved(tmp_path, boards(plot, 12)[0]), most=3))
    says = [emulator(good(plot), np.random.default_rng(seed)).says.split()[1:] for seed in range(80)]
    assert {len(names) for names in says} == {1, 2, 3}
    assert {int(name) for names in says for name in names} == set(range(12))


def test_drawn_boxes_die_within_their_frame() -> None:
    struck = hit("CDC_occupancy", "dead_region", boxes=[(0.1, 0.3, 0.4, 0.4)])
    height, width = struck.touched.shape
    rows, columns = np.nonzero(struck.touched)
    assert rows.min() >= int(0.3 * height)
    assert rows.max() <= 0.4 * height
    assert columns.max() <= 0.4 * width
    assert (struck.pixels[struck.touched] == 255).all()
    assert struck.says == "dead_region 0"


def test_what_is_dead_already_is_no_place_to_strike() -> None:
    struck = hit("CDC_occupancy", "dead_region", boxes=[(0.11, 0.12, 0.16, 0.16)])  # a corner beside the detector
    assert not struck.touched.any()
    assert np.array_equal(struck.pixels, good("CDC_occupancy"))
    assert struck.says == "dead_region: nothing to strike"


def test_regions_are_numbered_by_colour_and_may_lie_apart() -> None:
    drawn = np.full((60, 90, 3), 255, np.uint8)
    drawn[5:15, 5:15] = (0, 0, 9)
    drawn[5:15, 40:50] = (0, 0, 7)
    drawn[30:40, 5:15] = (0, 0, 9)
    drawn[40:50, 60:70] = (1, 0, 0)
    first, second, third = regions.channel_map(drawn).over(60, 90)
    assert first.tolist() == np.flatnonzero((drawn == (0, 0, 7)).all(axis=2)).tolist()
    assert second.tolist() == np.flatnonzero((drawn == (0, 0, 9)).all(axis=2)).tolist()
    assert len(third) == 100


def test_ground_and_smoothed_edges_are_no_regions() -> None:
    large = Image.new("RGB", (1600, 1200), (40, 80, 40))
    for n, (x, y) in enumerate(itertools.product(range(5), range(4))):
        large.paste((200, 10 * n, 250 - 9 * n), (60 + 300 * x, 60 + 280 * y, 262 + 300 * x, 242 + 280 * y))
    smooth = large.resize((533, 401), Image.Resampling.BILINEAR)
    assert len(set(map(tuple, np.asarray(smooth).reshape(-1, 3).tolist()))) > 100
    assert regions.channel_map(np.asarray(smooth)).count == 20
    assert regions.channel_map(np.asarray(large)).count == 20


def test_a_map_of_single_pixels_keeps_every_one_of_them() -> None:
    drawn = np.full((22, 22, 3), 255, np.uint8)
    drawn[1:-1, 1:-1, 0] = 20
    drawn[1:-1, 1:-1, 1], drawn[1:-1, 1:-1, 2] = np.divmod(np.arange(400).reshape(20, 20), 20)
    assert regions.channel_map(drawn).count == 400


@pytest.mark.parametrize(
    ("drawn", "says"),
    [
        (np.full((50, 50, 3), 255, np.uint8), "has no regions"),
        (np.full((50, 50, 3), 77, np.uint8), "has no regions"),
        (np.random.default_rng(1).integers(0, 256, (100, 100, 3), np.uint8), "cannot all be regions"),
    ],
)
def test_a_map_without_regions_is_refused(tmp_path: Path, drawn: Pixels, says: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^map: .*map.png: .*{says}"):
        Emulator(spec("dead_region", map=saved(tmp_path, drawn)))


def test_a_map_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    for path in (tmp_path / "none.png", broken, tmp_path):
        with pytest.raises(ConfigurationError, match=r"^map: .* cannot be read: "):
            Emulator(spec("noise", map=path))


def test_a_box_without_an_inside_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^boxes: .* is no box: ") as refused:
        Emulator(spec("dead_region", boxes=[(0.5, 0.1, 0.4, 0.2), (0.1, 0.1, 0.2, 0.2), (0.1, 0.3, 0.2, 0.3)]))
    assert len(refused.value.faults) == 2


# All kinds


def test_there_is_a_strike_for_every_fault_of_the_configuration() -> None:
    for name in KINDS:
        assert spec(name).fault == name
    with pytest.raises(ValueError, match="missing_panel"):
        spec("gone")


def test_each_fault_has_its_counterpart_in_the_simulated_halls_counts() -> None:
    assert set(COUNTERPARTS) == set(KINDS)
    assert {name for names in COUNTERPARTS.values() for name in names if name} <= set(FAULTS)


@pytest.mark.parametrize("fault", KINDS)
@pytest.mark.parametrize("plot", hall.PLOTS)
def test_a_fault_stays_within_the_frames_and_leaves_text_alone(plot: str, fault: str) -> None:
    before = good(plot)
    struck = hit(plot, fault, seed=3)
    assert struck.pixels.dtype == np.uint8
    assert struck.pixels.shape == before.shape
    changed = (struck.pixels != before).any(axis=2)
    assert changed.any() == struck.touched.any()
    if fault != "missing_panel" or len(hall.PLOTS[plot].histograms) > 1:
        assert changed.any()
    inside = within_frames(plot)
    assert not (changed & ~inside).any()
    assert not (struck.touched & ~inside).any()
    for frame in frames.find(before):
        for box in frame.boxes:
            assert not changed[box.window].any()


@pytest.mark.parametrize("fault", KINDS)
def test_a_seed_says_where_and_how_strongly(fault: str) -> None:
    one, again, other = (hit("FDC_occupancy", fault, seed) for seed in (5, 5, 6))
    assert np.array_equal(one.pixels, again.pixels)
    assert np.array_equal(one.touched, again.touched)
    assert one.says == again.says
    assert not np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("fault", [kind for kind in KINDS if kind != "missing_panel"])
def test_regions_limit_where_a_fault_sits(tmp_path: Path, fault: str) -> None:
    plot = "FDC_occupancy"
    drawn, masks = boards(plot, 8)
    struck = Emulator(spec(fault, map=saved(tmp_path, drawn)))(good(plot), np.random.default_rng(2))
    assert struck.touched.any()
    assert not (struck.touched & ~masks[int(struck.says.split()[1])]).any()


def test_a_missing_panel_is_empty_and_the_others_are_as_before() -> None:
    before, struck = good("DC_occupancy"), hit("DC_occupancy", "missing_panel")
    insides = [frame.inside.window for frame in frames.find(before)]
    gone = [n for n, window in enumerate(insides) if not np.array_equal(before[window], struck.pixels[window])]
    assert struck.says == f"missing_panel {gone[0]}"
    assert len(gone) == 1
    real = hall.render("DC_occupancy", seed=1, faults=[Fault("missing_panel", where=gone[0])])
    window = insides[gone[0]]
    assert difference(real[window], struck.pixels[window]).mean() < 1.0


def test_a_plot_of_one_panel_misses_none() -> None:
    struck = hit("CDC_occupancy", "missing_panel")
    assert not struck.touched.any()
    assert np.array_equal(struck.pixels, good("CDC_occupancy"))


def test_hot_channels_are_few_and_brighter_than_all_others() -> None:
    table = ink.BIRD.view(np.uint8).reshape(-1, 4)[:, :3].astype(int).tolist()
    for seed in range(2):
        struck = hit("BCAL_occupancy", "hot_channels", seed)
        assert 0 < struck.touched.mean() < 0.01
        inside = within_frames("BCAL_occupancy")
        levels = [table.index(colour) for colour in struck.pixels[struck.touched].tolist() if colour in table]
        rest = struck.pixels[inside & ~struck.touched]
        others = [table.index(colour) for colour in np.unique(rest, axis=0).tolist() if colour in table]
        assert max(levels) == 63
        assert np.mean(levels) > np.mean(others)


def heights_of(pixels: Pixels) -> npt.NDArray[np.float64]:
    shown = strikes.shown(pixels, panels.read(pixels)[0])
    assert isinstance(shown, Heights)
    return shown.by_bin()


def spread(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    places = np.arange(len(values)) / len(values)
    mean = float(values @ places / values.sum())
    return mean, float(np.sqrt(values @ (places - mean) ** 2 / values.sum()))


def test_the_heights_of_a_curve_are_its_counts() -> None:
    for plot in ("FCAL_timing", "CDC_time", "ST_occupancy", "TAGH_occupancy"):
        counts = hall.counts(plot, seed=1)[0][0]
        values = heights_of(good(plot))
        assert len(values) == pytest.approx(len(counts), abs=2)
        assert np.corrcoef(np.resize(values, len(counts)), counts)[0, 1] > 0.97


def test_a_shifted_peak_stands_elsewhere_and_is_as_high() -> None:
    before = heights_of(good("FCAL_timing"))
    for seed in range(6):
        after = heights_of(hit("FCAL_timing", "shifted_peak", seed).pixels)
        moved = abs(int(after.argmax()) / len(after) - int(before.argmax()) / len(before))
        assert moved > 0.035
        assert after.max() == pytest.approx(before.max(), abs=0.02)


def test_a_broadened_peak_is_wider_and_stays_in_place() -> None:
    before = spread(heights_of(good("RF_timing")))
    for seed in range(30):
        struck = hit("RF_timing", "broadened_peak", seed)
        if struck.touched[: struck.touched.shape[0] // 2, : struck.touched.shape[1] // 2].any():
            after = spread(heights_of(struck.pixels))
            assert after[1] > 1.2 * before[1]
            assert after[0] == pytest.approx(before[0], abs=0.03)
            return
    pytest.fail("the first panel was never struck")


def test_lost_statistics_leave_gaps_in_a_map_and_a_rougher_curve() -> None:
    ground = (good("FCAL_map")[within_frames("FCAL_map")] == 255).all(axis=1).mean()
    gaps = [
        (hit("FCAL_map", "lost_statistics", seed).pixels[within_frames("FCAL_map")] == 255).all(axis=1).mean()
        for seed in range(6)
    ]
    assert min(gaps) >= ground
    assert np.mean(gaps) > ground + 0.03
    rough = [np.abs(np.diff(heights_of(pixels))).mean() for pixels in
             (good("CDC_time"), *(hit("CDC_time", "lost_statistics", seed).pixels for seed in range(6)))]  # fmt: skip
    assert min(rough[1:]) > 2 * rough[0]


def test_lost_statistics_of_a_region_make_it_darker_than_it_was(tmp_path: Path) -> None:
    plot = "FDC_occupancy"
    path = saved(tmp_path, boards(plot, 8)[0])
    struck = Emulator(spec("lost_statistics", map=path))(good(plot), np.random.default_rng(1))
    assert struck.touched.any()
    assert struck.pixels[struck.touched].mean() != pytest.approx(good(plot)[struck.touched].mean(), abs=5)
    beside = within_frames(plot) & ~struck.touched
    assert difference(struck.pixels, good(plot))[beside].mean() < 2.0


def test_noise_adds_where_it_says() -> None:
    for seed in range(6):
        struck = hit("ST_occupancy", "noise", seed)
        columns = np.asarray(struck.touched.any(axis=0))[np.asarray(within_frames("ST_occupancy").any(axis=0))]
        before, after = heights_of(good("ST_occupancy")), heights_of(struck.pixels)
        noisy = columns[(np.arange(len(after)) + 0.5).astype(int) * len(columns) // len(after)]
        if noisy.any() and not noisy.all():
            share = after[: len(before)] / before[: len(after)]
            assert share[noisy].mean() > 1.2 * share[~noisy].mean()


# Any picture


def digit() -> Pixels:
    image = np.zeros((28, 28, 3), np.uint8)
    image[5:23, 12:16] = 255
    image[5:9, 8:14] = 200
    return image


ODD = {
    "white": np.full((300, 400, 3), 255, np.uint8),
    "black": np.zeros((300, 400, 3), np.uint8),
    "a pixel": np.full((1, 1, 3), 9, np.uint8),
    "a row": np.zeros((1, 500, 3), np.uint8),
    "a column": np.full((500, 1, 3), 200, np.uint8),
    "a digit": digit(),
    "a photograph": np.asarray(
        Image.fromarray(np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8)).resize((320, 240))
    ),
    "static": np.random.default_rng(4).integers(0, 256, (200, 260, 3), np.uint8),
    "a chessboard": np.repeat(np.kron(np.indices((8, 8)).sum(0) % 2 * 255, np.ones((30, 30)))[..., None], 3, 2).astype(
        np.uint8
    ),
    "a ramp": np.repeat(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], 200, 0).repeat(3, 2),
}


@pytest.mark.parametrize("fault", KINDS)
@pytest.mark.parametrize("name", ODD)
def test_any_picture_gives_some_picture(name: str, fault: str) -> None:
    for seed in range(3):
        for rest in ({}, {"boxes": [(0.2, 0.2, 0.6, 0.7)]}):
            struck = emulate.strike(ODD[name], spec(fault, **rest), np.random.default_rng(seed))
            assert struck.pixels.shape == ODD[name].shape
            assert struck.touched.shape == ODD[name].shape[:2]
            assert struck.touched.any() == (struck.pixels != ODD[name]).any()


@given(
    arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60), st.just(3)), elements=st.integers(0, 255)
    ),
    st.sampled_from(KINDS),
    st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_no_picture_is_too_odd(pixels: Pixels, fault: str, seed: int) -> None:
    struck = emulate.strike(pixels, spec(fault), np.random.default_rng(seed))
    assert struck.pixels.shape == pixels.shape
    assert struck.touched.any() == (struck.pixels != pixels).any()


def test_a_white_picture_is_left_as_it_is() -> None:
    for fault in KINDS:
        assert not emulate.strike(ODD["white"], spec(fault), np.random.default_rng(0)).touched.any()


def test_a_digit_can_lose_a_part() -> None:
    struck = emulate.strike(digit(), spec("dead_region"), np.random.default_rng(1))
    assert struck.touched.any()
    assert (struck.pixels[struck.touched] == 0).all()


# On the command line, and for an expert's eyes


def test_a_fault_is_said_with_the_keys_of_the_configuration() -> None:
    assert emulate.parse("noise") == spec("noise")
    said = emulate.parse("dead_region,plots=CDC_*,map=maps/cdc.png,share=0.5,weight=0.7,most=2,label=Dead")
    assert said == spec(
        "dead_region", plots=("CDC_*",), map=Path("maps/cdc.png"), share=0.5, weight=0.7, most=2, label="Dead"
    )
    said = emulate.parse(" noise , plots=A_x , plots=B_y, box=0:0.1:0.5:1 ,box=0:0:1:1")
    assert said == spec("noise", plots=("A_x", "B_y"), boxes=((0.0, 0.1, 0.5, 1.0), (0.0, 0.0, 1.0, 1.0)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "--emulate: fault: "),
        ("gone", "--emulate: fault: .*'dead_region'.*not 'gone'"),
        ("noise,share", "--emulate: 'share' is not KEY=VALUE"),
        ("noise,share=much", "--emulate: share: should be a valid number, not 'much'"),
        ("noise,share=-1", "--emulate: share: should be greater than 0"),
        ("noise,most=0", "--emulate: most: should be greater than or equal to 1"),
        ("noise,most=1.5", "--emulate: most: should be a valid integer"),
        ("noise,weigth=1", "--emulate: weigth: is no key of this table"),
        ("noise,share=1,share=2", "--emulate: share stands there twice"),
        ("noise,box=0:0:1", "--emulate: boxes"),
        ("noise,box=0:0:1:2", "--emulate: boxes.* should be less than or equal to 1"),
        ("noise,label=", "--emulate: label: must not be empty"),
    ],
)
def test_a_fault_said_wrongly_is_refused_by_its_key(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        emulate.parse(text)


def test_a_sheet_shows_faults_outlined_and_the_same_ones_for_the_same_seed() -> None:
    pictures = [good("FCAL_map"), good("CDC_occupancy")]
    page = emulate.sheet(pictures, spec("dead_region"), seed=1, count=5, columns=2, width=200)
    assert page.dtype == np.uint8
    assert page.shape[1] == 2 * 206 + 6
    outlined = (page == (255, 0, 255)).all(axis=2)
    third = page.shape[0] // 3
    for row, column in itertools.product(range(2), range(2)):
        assert outlined[row * third : (row + 1) * third, column * 206 : (column + 1) * 206].any()
    assert np.array_equal(page, emulate.sheet(pictures, spec("dead_region"), seed=1, count=5, columns=2, width=200))
    assert not np.array_equal(page, emulate.sheet(pictures, spec("dead_region"), seed=2, count=5, columns=2, width=200))


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one picture"):
        emulate.sheet([], spec("noise"), seed=1, count=3)
