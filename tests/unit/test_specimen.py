"""Which of a bundle's golden images is known to be bad, and what is done where none is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from classify_world import BrightnessRuntime, brightness_bundle

from hydrad import shipped
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle, Golden
from hydrad.classify.fixed import FixedClassifier
from hydrad.classify.service import ModelService
from hydrad.classify.specimen import specimen_of
from hydrad.flights import _stamped


def sealed(models: Path, *logits: tuple[float, float]) -> Bundle:
    """A bundle whose golden pictures, each of a shade of its own, have these logits of Good and Bad."""
    one = brightness_bundle(models / "first")
    pictures = tuple(np.full((40, 60, 3), n, np.uint8) for n in range(len(logits)))
    golden = Golden(pictures, np.array(logits, np.float32))
    parts = {"model.keras": b"brightness", "golden.npz": golden.to_bytes()}
    return bundles.write(models, one.manifest.model_copy(update={"files": {}}), parts)


def test_the_one_that_is_most_surely_bad_is_taken(tmp_path: Path) -> None:
    found = specimen_of(sealed(tmp_path, (9, 0), (0, 3), (0, 5), (0, 2)))
    assert (found.model, found.known_bad, found.why_not) == ("brightness", True, "")
    assert found.pixels[0, 0, 0] == 2


@pytest.mark.parametrize("bad", [0.3, 1.0])  # of the threshold 0.6 and what is asked beyond it, 0.57 and 0.73
def test_one_that_is_not_far_above_its_threshold_is_not_known_to_be_bad(tmp_path: Path, bad: float) -> None:
    found = specimen_of(sealed(tmp_path, (9, 0), (0, bad)))
    assert not found.known_bad
    assert found.why_not == "its bundle has no known-bad image"


def test_the_shipped_bundle_has_one() -> None:
    assert specimen_of(bundles.read(shipped.folder())).known_bad


def test_each_is_another_picture_that_no_eye_tells_apart(tmp_path: Path) -> None:
    pixels = specimen_of(sealed(tmp_path, (0, 5))).pixels
    one, other = _stamped(pixels), _stamped(pixels)
    assert (one != other).any()
    assert np.abs(one.astype(int) - pixels).max() <= 1
    assert not np.shares_memory(one, pixels)


async def test_a_service_names_one_for_each_model_that_serves(tmp_path: Path) -> None:
    with ModelService(open_runtime=BrightnessRuntime) as service:
        assert [(one.model, one.why_not) for one in service.specimens] == [("no-model", "no model serves")]
        assert service.specimens[0] is service.specimens[0]  # else it would be taken for another each time
        await service.load(brightness_bundle(tmp_path).folder)
        assert [(one.model, one.known_bad) for one in service.specimens] == [("brightness", True)]
        card = service.named("brightness")
        assert card is not None
        assert card.id == "brightness"
        assert service.named("another") is None


def test_of_a_fixed_answer_nothing_can_be_learned() -> None:
    fixed = FixedClassifier({"Good": 1.0})
    (one,) = fixed.specimens
    assert (one.model, one.known_bad, one.why_not) == ("fixed", False, "every image gets the same answer")
    assert one is fixed.specimens[0]
