"""What is learned from: everything that can be, nothing that must not be, and all that was left out is said."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from training_world import HEIGHT, MEANINGS, WIDTH, histogram, season, written

from hydrad.classify.prepare import Preparation
from hydrad.config import Emulate
from hydrad.domain import Meaning
from hydrad.errors import ConfigurationError
from hydrad.sim import hall
from hydrad.train import balance, struck, twins
from hydrad.train.dataset import Wish, gather
from hydrad.train.examples import Examples
from hydrad.train.progress import Progress, Stopped
from hydrad.train.reading import in_threads

WISH = Wish(Preparation(width=WIDTH, height=HEIGHT), threads=2)


def silent(_: Progress) -> None:
    """Nobody listens."""


def test_runs_are_kept_apart_and_labels_are_on_every_side(tmp_path):
    sets = gather(season(tmp_path), MEANINGS, WISH, silent)

    runs = {record.sha256: record.run for record in season(tmp_path)}
    sides = [{runs[name] for name in part.names} for part in (sets.training, sets.validation, sets.test)]
    assert sides[0] | sides[1] | sides[2] == {100, 101, 102, 103, 104, 105}
    assert sum(map(len, sides)) == 6
    assert list(sets.labels) == ["Good", "Bad"]
    for part in (sets.training, sets.validation, sets.test):
        assert set(part.truth) == {0, 1}
    assert sets.facts["split"]["kind"] == "run"
    assert [record.sha256 for record in sets.test_records] == list(sets.test.names)
    assert {record.label for record in sets.golden} == {"Good", "Bad"}


def test_equal_arguments_give_equal_sets_however_many_threads_read(tmp_path):
    records = season(tmp_path, plots=("A_1", "B_1"))
    spec = Emulate(fault="dead_region", share=1.0)
    wish = replace(WISH, emulate=(spec,), good_share=0.5)
    one, other = (gather(records, MEANINGS, replace(wish, threads=n), silent) for n in (1, 3))
    assert one.training.fingerprint == other.training.fingerprint
    assert one.test.fingerprint == other.test.fingerprint
    assert one.training.names == other.training.names


def test_what_cannot_be_read_is_left_out_and_named(tmp_path):
    records = season(tmp_path)
    records[3].path.write_bytes(b"no image")
    records[4].path.unlink()
    sets = gather(records, MEANINGS, WISH, silent)
    assert len(sets.facts["unreadable"]) == 2
    assert sets.facts["images"] == len(records) - 2
    assert any("2 images cannot be read" in remark for remark in sets.remarks)


def test_one_picture_under_two_labels_is_left_out_on_all_sides(tmp_path):
    records = season(tmp_path)
    torn = replace(records[0], label="Bad")
    sets = gather([*records, torn], MEANINGS, WISH, silent)
    everything = {*sets.training.names, *sets.validation.names, *sets.test.names}
    assert records[0].sha256 not in everything
    assert len(everything) == len(records) - 1
    assert len(sets.facts["contradicting"]) == 2


def test_copies_are_counted_once(tmp_path):
    records = season(tmp_path)
    sets = gather([*records, *(replace(record, run=999) for record in records[:5])], MEANINGS, WISH, silent)
    assert sets.facts["copies"] == 5
    assert sets.facts["images"] == len(records)


def test_labels_without_examples_are_ignored_and_said_to_be(tmp_path):
    sets = gather(season(tmp_path), {**MEANINGS, "Cosmic": Meaning.OTHER}, WISH, silent)
    assert "Cosmic" not in sets.labels
    assert sets.facts["ignored"] == ["Cosmic"]
    assert "label 'Cosmic' has no examples: ignored" in sets.remarks


def test_a_label_of_one_image_is_learned_from_and_said_to_be_untested(tmp_path):
    records = [*season(tmp_path), written(tmp_path, histogram(np.random.default_rng(9), empty=True), "NoData", run=100)]
    sets = gather(records, {**MEANINGS, "NoData": Meaning.EMPTY}, WISH, silent)
    number = list(sets.labels).index("NoData")
    assert (sets.training.truth == number).sum() == 1
    assert number not in {*sets.validation.truth, *sets.test.truth}
    assert sets.facts["few"] == ["NoData"]
    assert any("'NoData' cannot be split" in remark for remark in sets.remarks)


def test_twenty_images_are_enough_to_begin_with(tmp_path):
    records = [replace(record, run=None) for record in season(tmp_path, runs=1, good=12, bad=8)]
    sets = gather(records, MEANINGS, WISH, silent)
    for part in (sets.training, sets.validation, sets.test):
        assert set(part.truth) == {0, 1}


@pytest.mark.parametrize("keep", [[], ["Good"]])
def test_fewer_than_two_labels_are_wrong_configuration(tmp_path, keep):
    records = [record for record in season(tmp_path) if record.label in keep]
    with pytest.raises(ConfigurationError, match="at least two"):
        gather(records, MEANINGS, WISH, silent)


def test_only_good_images_can_be_thinned_out_and_only_those_learned_from(tmp_path):
    records = season(tmp_path, good=10, bad=3)
    whole, thin = (gather(records, MEANINGS, replace(WISH, good_share=share), silent) for share in (1.0, 0.2))
    assert (thin.training.truth == 0).sum() == round(0.2 * (whole.training.truth == 0).sum())
    assert (thin.training.truth == 1).sum() == (whole.training.truth == 1).sum()
    assert thin.validation.fingerprint == whole.validation.fingerprint
    assert thin.test.fingerprint == whole.test.fingerprint


def test_emulated_faults_stand_beside_the_real_images_and_never_among_them(tmp_path):
    records = [record for record in season(tmp_path, good=12) if record.label == "Good"]
    spec = Emulate(fault="dead_region", boxes=((0.2, 0.2, 0.5, 0.5),), share=0.5, weight=0.25, label="Dead")
    meanings = {**MEANINGS, "Dead": Meaning.BAD}
    sets = gather(records, meanings, replace(WISH, emulate=(spec,)), silent)

    assert list(sets.labels) == ["Good", "Dead"]
    made = sets.training.truth == 1
    assert made.sum() == round(0.5 * (~made).sum())
    assert set(sets.training.weights[made]) == {np.float32(0.25)}
    assert set(sets.training.weights[~made]) == {np.float32(1.0)}
    assert {group[1] for group, is_made in zip(sets.training.groups, made, strict=True) if is_made} == {"dead_region"}
    assert set(sets.validation.truth) == set(sets.test.truth) == {0}
    assert sets.made_for_test is not None
    assert set(sets.made_for_test.examples.truth) == {1}
    marked = sets.made_for_test.marked
    assert marked.shape[1:] == (HEIGHT, WIDTH)
    assert marked.any(axis=(1, 2)).all()
    inside = np.zeros((HEIGHT, WIDTH), np.bool_)
    inside[int(0.2 * HEIGHT) - 1 : int(0.5 * HEIGHT) + 2, int(0.2 * WIDTH) - 1 : int(0.5 * WIDTH) + 2] = True
    assert not (marked & ~inside).any()
    held = {name.split("+")[0] for name in sets.made_for_test.examples.names}
    assert held <= set(sets.test.names)


def test_no_region_of_a_channel_map_is_left_out_by_chance(tmp_path):
    records = [record for record in season(tmp_path, good=12) if record.label == "Good"]
    boxes = tuple((0.2 + 0.1 * n, 0.2, 0.3 + 0.1 * n, 0.8) for n in range(6))
    spec = Emulate(fault="dead_region", boxes=boxes, share=1.0)
    sets = gather(records, MEANINGS, replace(WISH, emulate=(spec,)), silent)
    struck = Counter(
        name.split()[-1] for name, truth in zip(sets.training.names, sets.training.truth, strict=True) if truth
    )
    assert set(struck) == {str(n) for n in range(6)}
    assert max(struck.values()) - min(struck.values()) <= 1


def test_regions_that_no_real_image_shows_dead_are_emulated_on_every_side_however_many_real_ones_there_are(tmp_path):
    boxes = tuple((0.2 + 0.1 * n, 0.2, 0.3 + 0.1 * n, 0.8) for n in range(6))
    spec = Emulate(fault="dead_region", boxes=boxes, share=1.0)
    sets = gather(season(tmp_path), MEANINGS, replace(WISH, emulate=(spec,), few=2), silent)
    assert (sets.validation.truth == 1).sum() > 2
    for part, made in ((sets.validation, sets.made_for_validation), (sets.test, sets.made_for_test)):
        assert made is not None
        assert {name.split()[-1] for name in made.examples.names} == {str(n) for n in range(6)}
        good = {name for name, truth in zip(part.names, part.truth, strict=True) if truth == 0}
        assert {name.split("+")[0] for name in made.examples.names} <= good


def test_good_images_are_redrawn_on_other_scales_like_those_that_are_struck(tmp_path):
    plot = "CDC_occupancy"
    records = [written(tmp_path, hall.render(plot, seed=n, run=n), "Good", plot=plot, run=n) for n in range(9)]
    spec = Emulate(fault="dead_region", boxes=((0.4, 0.6, 0.5, 0.7),), share=4.0)
    sets = gather(records, MEANINGS, replace(WISH, emulate=(spec,)), silent)
    groups = Counter(group[1] for group in sets.training.groups if len(group) > 1)
    taken = sum(len(group) == 1 for group in sets.training.groups)
    assert groups == {"dead_region": 4 * taken, struck.REDRAWN: struck.REDRAWN_EACH * taken}
    redrawn = np.array([group[1:] == (struck.REDRAWN,) for group in sets.training.groups])
    assert set(sets.training.truth[redrawn]) == {0}
    by_name = dict(zip(sets.training.names, sets.training.images, strict=True))
    beside = np.s_[:, : WIDTH // 3]  # of the box
    unlike = Counter()
    for name, group, image in zip(sets.training.names, sets.training.groups, sets.training.images, strict=True):
        if len(group) > 1:
            unlike[group[1]] += not np.array_equal(image[beside], by_name[name.split("+")[0]][beside])
    assert unlike[struck.REDRAWN] == groups[struck.REDRAWN]
    assert 0.2 < unlike["dead_region"] / groups["dead_region"] < 0.8
    for made in (sets.made_for_validation, sets.made_for_test):
        assert set(made.examples.truth) == {0, 1}
        assert not made.marked[made.examples.truth == 0].any()


def test_what_is_struck_again_is_struck_at_the_same_place_of_other_images(tmp_path):
    boxes = tuple((0.2 + 0.1 * n, 0.2, 0.3 + 0.1 * n, 0.8) for n in range(6))
    spec = Emulate(fault="dead_region", boxes=boxes, share=1.0)
    sets = gather(season(tmp_path), MEANINGS, replace(WISH, emulate=(spec,)), silent)
    made = sets.made_for_validation
    assert len(made.blows) == len(made.examples)
    more = sets.strike(struck.again(made, [1, 4]))
    assert len(more.examples) == 2 * struck.AGAIN_EACH
    for n, chosen in ((0, 1), (1, 4)):
        some = more.examples.names[n * struck.AGAIN_EACH : (n + 1) * struck.AGAIN_EACH]
        assert {name.split("+")[1] for name in some} == {made.examples.names[chosen].split("+")[1]}
        assert {name.split("+")[0] for name in some} == {blow.record.sha256 for blow in made.blows}
    assert sets.strike(struck.again(made, [1, 4])).examples.fingerprint == more.examples.fingerprint


def test_whoever_is_told_may_stop_it(tmp_path):
    def enough(_: Progress) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        gather(season(tmp_path), MEANINGS, WISH, enough)


def test_a_dead_board_makes_no_twin_and_another_title_none_either():
    rng = np.random.default_rng(1)
    board = rng.integers(100, 120, (64, 96, 3)).astype(np.uint8)
    dead, again, refilled = board.copy(), board.copy(), rng.integers(100, 120, (64, 96, 3)).astype(np.uint8)
    dead[8:14, 8:14] = 255
    again[0, 0] += 30  # a pixel
    kinds = [("P", "Good", 1)] * 4
    assert twins.near(np.stack([board, again, dead, refilled]), kinds).tolist()[:3] == [0, 0, 1]
    apart = twins.near(np.stack([board, again]), [("P", "Good", 1), ("P", "Bad", 1)])
    assert apart[0] != apart[1]


def test_weights_make_labels_count_alike_but_none_without_bound():
    truth = np.array([0] * 900 + [1] * 100 + [2])
    weights = balance.weights_of(Examples(np.zeros((1001, 1, 1, 3), np.uint8), truth))
    np.testing.assert_allclose(weights.mean(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(weights[truth == 0].sum(), weights[truth == 1].sum(), rtol=1e-5)
    np.testing.assert_allclose(weights[-1] / weights[0], balance.MOST, rtol=1e-5)


def test_few_of_many_wait_in_memory():
    running: list[int] = []
    taken = in_threads(lambda n: running.append(n) or n, range(100), 2)
    assert [next(taken) for _ in range(3)] == [0, 1, 2]
    taken.close()
    assert len(running) <= 10
