"""int8 answers where somebody asked for it, calibrated by itself, and only where no held-out image changed sides.

NNCF need not be here: a graph is quantized by hand, as coarsely as a test wants it. NNCF's own have other tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loud_network import LABELS, PREPARATION, loud, random_images

from hydrad.classify import bundle as bundles
from hydrad.classify import opening, runtime
from hydrad.classify.bundle import Bundle
from hydrad.classify.manifest import EXPORT, EXPORT_INT8, Calibration, DataSet
from hydrad.classify.openvino_runtime import OpenVinoRuntime
from hydrad.classify.silent import openvino
from hydrad.domain import Meaning
from hydrad.errors import BundleError
from hydrad.train import quantizing
from hydrad.train.assemble import Design, Measured, assemble, look
from hydrad.train.exporting import Export, Trained, exported

pytestmark = [pytest.mark.keras]

ITS_OWN = Calibration(temperature=2.5, thresholds={"Good": 0.4, "Bad": 0.7, "NoData": 0.6})
MEANINGS: list[Meaning] = [*LABELS.values()]
FINE, COARSE = 256, 2  # levels


def by_hand(levels: int) -> Any:
    """Quantizes what the first convolution sees to so many levels."""

    def quantize(export: Path, target: Path, images: np.ndarray) -> None:
        assert len(images) == 7
        ov, ops = openvino(), __import__("openvino.opset13", fromlist=["fake_quantize"])
        model = ov.Core().read_model(export)
        first = next(node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")
        low, high = np.float32(-1.0), np.float32(1.0)
        rounded = ops.fake_quantize(first.input_value(0), low, high, low, high, levels)
        first.input(0).replace_source_output(rounded.output(0))
        ov.save_model(model, target, compress_to_fp16=False)

    return quantize


@contextmanager
def export_of(quantize: Any, *, undecided: bool = False) -> Iterator[tuple[Any, Export]]:
    """A network, perhaps one that is not sure of anything, and its export, quantized so."""
    model, images = loud(), random_images(40)
    if undecided:
        head = model.layers[-1]
        head.bias.assign(head.bias - look(model, PREPARATION, MEANINGS, images).logits.mean(axis=0))
    seen = look(model, PREPARATION, MEANINGS, images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantizing, "quantize", quantize)
        trained = Trained(model, PREPARATION, MEANINGS)
        with exported(trained, images, seen, lambda _: (ITS_OWN, None), learned=random_images(7)) as export:
            assert export is not None
            yield model, export


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with export_of(by_hand(FINE)) as (model, export):
        design = Design("made", LABELS, ("*",), PREPARATION, "made")
        measured = Measured(1.5, (0.5,) * 3, DataSet(images=0))
        pictures = list(random_images(3))
        return assemble(model, design, measured, pictures, tmp_path_factory.mktemp("models"), export=export)


def test_it_answers_where_it_is_asked_for_and_nowhere_else(made: Bundle) -> None:
    assert "int8" in bundles.read(made.folder).precisions
    images = random_images(5)
    served = runtime.ready(made, opening.Opener("auto", "int8"), 4)
    assert served.name == "openvino cpu int8"
    assert runtime.card(served).thresholds == ITS_OWN.thresholds
    answers = served.compute(images)
    odds = np.exp(answers.logits / ITS_OWN.temperature)
    np.testing.assert_allclose(answers.scores, odds / odds.sum(axis=1, keepdims=True), atol=1e-4)
    exact = OpenVinoRuntime(made, 4, "float32").compute(images)
    assert 0 < np.abs(answers.logits - exact.logits).max() < 0.5

    unasked = runtime.ready(made, opening.Opener(), 4)
    assert unasked.name in {"openvino cpu float32", "openvino cpu bfloat16"}
    assert opening.on_any_host("auto", "auto") == opening.Opener("auto", "float32", "float32")


def test_hosts_of_a_cluster_say_the_same_of_a_model_without_it(made: Bundle, tmp_path: Path) -> None:
    opener = opening.on_any_host("auto", "int8")
    assert runtime.ready(made, opener, 4).name == "openvino cpu int8"
    parts = {name: made.folder / name for name in made.manifest.files if name not in EXPORT_INT8}
    kept = {name: one for name, one in made.manifest.precisions.items() if name != "int8"}
    without = bundles.write(tmp_path, made.manifest.model_copy(update={"precisions": kept}), parts)
    assert runtime.ready(without, opener, 4).name == "openvino cpu float32"


@pytest.mark.parametrize("name", EXPORT_INT8)
def test_a_quantized_network_that_was_changed_or_left_out_is_refused(made: Bundle, tmp_path: Path, name: str) -> None:
    parts = {part: made.folder / part for part in made.manifest.files}
    changed = bundles.write(tmp_path, made.manifest, parts).folder
    with (changed / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(BundleError, match=f"{name} is not the file it was"):
        bundles.read(changed)
    with pytest.raises(BundleError, match=f"{name} is missing from its list of files"):
        bundles.write(tmp_path / "other", made.manifest, {part: parts[part] for part in parts if part != name})


def test_a_quantized_network_of_another_model_fails_its_self_test(made: Bundle, tmp_path: Path) -> None:
    parts: dict[str, bytes | Path] = {part: made.folder / part for part in made.manifest.files}
    by_hand(COARSE)(made.folder / EXPORT[0], tmp_path / EXPORT_INT8[0], random_images(7))
    mixed = bundles.write(tmp_path / "models", made.manifest, parts | {name: tmp_path / name for name in EXPORT_INT8})
    with pytest.raises(BundleError, match="its self-test failed"):
        runtime.ready(mixed, opening.Opener("auto", "int8"), 4)
    assert runtime.ready(mixed, opening.Opener("auto", "float32"), 4).name == "openvino cpu float32"


def test_where_an_image_gets_another_label_it_is_left_out_and_its_cost_is_told() -> None:
    with export_of(by_hand(COARSE), undecided=True) as (_, export):
        figures: dict[str, Any] = dict(export.figures)
        assert figures["int8"]["other_label"] > 0
        assert figures["int8"]["images"] == 40
        assert figures["int8"]["score_off"] > 0.01
        assert figures["int8"]["ms_per_image"] > 0
        assert "int8" not in export.others
        assert set(EXPORT) == set(export.files)


def test_a_network_that_cannot_be_quantized_has_its_other_export() -> None:
    def refuse(*_: object) -> None:
        raise BundleError("the network cannot be quantized: it is none")

    with export_of(refuse) as (_, export):
        figures: dict[str, Any] = dict(export.figures)
        assert figures["float32"]["other_label"] == 0
        assert figures["int8"] == {"reason": "the network cannot be quantized: it is none"}
        assert "int8" not in export.others
        assert set(EXPORT) == set(export.files)
