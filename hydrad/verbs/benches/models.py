"""The bundles that the bench's plots are served by: the shipped one, and a large network that knows nothing."""

from __future__ import annotations

from pathlib import Path

from hydrad import shipped
from hydrad.classify import bundle as bundles
from hydrad.train.assemble import random_bundle
from hydrad.verbs.benches.drawings import SERVED

NETWORKS = ("shipped", "inception")
LABELS = ("Good", "Bad", "NoData")
INCEPTION = ("InceptionV3", 299)  # and the edge of its images, pixels


def made(network: str, folder: Path) -> Path:
    """A folder of models with one bundle; returns the bundle."""
    models = folder / network
    if network == "inception":
        architecture, size = INCEPTION
        return random_bundle(architecture, LABELS, [SERVED], models, size, model_id="bench", export=True).folder
    bundle = bundles.read(shipped.folder())
    manifest = bundle.manifest.model_copy(update={"id": "bench", "plots": (SERVED,)})
    parts = {name: bundle.folder / name for name in bundle.manifest.files}
    return bundles.write(models, manifest, parts).folder
