"""The bundle that ships with the package knows the simulated hall, well and ill."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from hydrad import schooling, shipped
from hydrad.classify import bundle as bundles
from hydrad.classify import runtime
from hydrad.classify.bundle import Bundle
from hydrad.classify.keras_runtime import KerasRuntime
from hydrad.classify.prepare import prepare
from hydrad.classify.runtime import Answers, Runtime
from hydrad.domain import Meaning
from hydrad.sim import hall
from hydrad.sim.faults import Fault

pytestmark = [pytest.mark.keras]

LARGEST = 10_000_000  # bytes
SEED = 99_000_000  # none that it was trained, validated or measured on


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundles.read(shipped.folder())


@pytest.fixture(scope="module")
def served(bundle: Bundle) -> Runtime:
    return runtime.ready(bundle, KerasRuntime, 32)


def said(served: Runtime, bundle: Bundle, pictures: list[np.ndarray]) -> Answers:
    return served.compute(np.stack([prepare(pixels, bundle.manifest.preparation) for pixels in pictures]))


def confirmed(answers: Answers, bundle: Bundle, label: str) -> np.ndarray:
    return answers.scores[:, bundle.manifest.names.index(label)] >= bundle.manifest.thresholds[label]


def test_it_is_small_and_complete(bundle: Bundle) -> None:
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) < LARGEST
    assert bundle.manifest.meanings == {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}
    assert set(bundle.manifest.plots) == set(hall.PLOTS)
    assert bundle.novelty() is not None


def test_it_was_made_from_the_hall_as_it_is_now(bundle: Bundle) -> None:
    pictures = [schooling.render(sitting) for sitting in schooling.golden()]
    for now, then in zip(pictures, bundle.golden().pictures, strict=True):
        assert np.array_equal(now, then), "the hall draws otherwise than the model knows it: make bundle"


def test_its_own_figures_are_good_enough_for_a_wall(bundle: Bundle) -> None:
    metrics = bundle.manifest.metrics
    assert metrics["false_alarms"]["value"] < 0.003
    assert metrics["good_confirmed"]["value"] > 0.98
    assert metrics["faults_raised"]["value"] > 0.9
    assert metrics["empty_raised"]["value"] > 0.99
    assert metrics["pointing"]["near"]["value"] > 0.7


def test_good_images_of_every_plot_are_good(served: Runtime, bundle: Bundle) -> None:
    pictures = [
        hall.render(plot, seed=SEED + n, run=SEED + n, beam=beam, statistics=statistics)
        for plot in hall.PLOTS
        for n, (beam, statistics) in enumerate([(1.0, 1.0), (1.0, 1.0), (0.6, 1.0), (1.0, 0.4)])
    ]
    answers = said(served, bundle, pictures)
    good = confirmed(answers, bundle, "Good")

    assert good.mean() > 0.95
    assert confirmed(answers, bundle, "Bad").mean() < 0.02
    assert answers.novelties is not None
    assert np.mean(answers.novelties[good] > 1.0) < 0.02


def test_drastic_faults_of_every_kind_are_found_on_every_plot(served: Runtime, bundle: Bundle) -> None:
    cases = [(plot, name) for plot in hall.PLOTS for name in hall.faults_of(plot) if name != "empty"]
    pictures = [
        hall.render(plot, seed=SEED + n, run=SEED + n, faults=[Fault(name, seed=SEED + n, strength=1.0)])
        for n, (plot, name) in enumerate(cases)
    ]
    found = confirmed(said(served, bundle, pictures), bundle, "Bad")

    missed = [case for case, hit in zip(cases, found, strict=True) if not hit]
    assert len(missed) <= 0.05 * len(cases), missed


def test_nothing_without_beam_is_taken_for_a_fault(served: Runtime, bundle: Bundle) -> None:
    pictures = [hall.render(plot, seed=SEED, run=SEED, beam=0.0) for plot in hall.PLOTS]
    pictures += [hall.render(plot, seed=SEED, run=SEED, faults=[Fault("empty")]) for plot in hall.PLOTS]
    empty = confirmed(said(served, bundle, pictures), bundle, "NoData")
    assert empty.all(), [plot for plot, is_empty in zip([*hall.PLOTS] * 2, empty, strict=True) if not is_empty]


def test_the_map_has_a_place_for_every_eight_pixels(served: Runtime, bundle: Bundle) -> None:
    answers = said(served, bundle, [hall.render("CDC_occupancy", seed=SEED)])
    assert answers.heatmaps is not None
    assert answers.heatmaps.shape == (
        1,
        bundle.manifest.preparation.height // 8,
        bundle.manifest.preparation.width // 8,
    )


def test_git_does_not_ignore_it_so_that_wheels_have_it() -> None:
    files = [str(path) for path in shipped.folder().iterdir()]
    found = subprocess.run(["git", "check-ignore", *files], cwd=Path(__file__).parent, capture_output=True, check=False)
    assert found.stdout == b""
