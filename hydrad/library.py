"""The bundles on this host and which of them serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hydrad import log
from hydrad.classify import bundle as bundles
from hydrad.classify.fixed import FixedClassifier
from hydrad.classify.manifest import Manifest
from hydrad.classify.service import ModelService
from hydrad.errors import BundleError
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState

_log = log.get("library")


@dataclass(frozen=True, slots=True)
class Shelved:
    """A bundle's place in the library; ``fault`` says why it could not be put into service."""

    id: str
    state: ModelState
    manifest: Manifest | None = None  # of one that serves
    fault: str = ""


class Library:
    """Puts bundles into service. A bundle whose state nobody has set serves; any other only when it is in service.

    Args:
        folder: of the bundles.
        states: of the models, by their ids, as the data base had them.
    """

    def __init__(
        self, folder: Path, classifier: ModelService | FixedClassifier, states: Mapping[str, ModelState]
    ) -> None:
        self._folder = folder
        self._classifier = classifier
        self._states = states
        self._shelf: list[Shelved] = []

    @property
    def ok(self) -> bool:
        """False while a bundle that should serve does not."""
        return not any(model.fault for model in self._shelf)

    def register(self, store: Store) -> None:
        """Enter every model that serves and that the data base does not know; blocks, raises StoreAway."""
        known = {model.id for model in store.models()}
        for model in self._shelf:
            if model.manifest is not None and model.id not in known:
                document = model.manifest.model_dump(mode="json")
                store.register_model(model.id, card=document, metrics=document.pop("metrics"), state=model.state)

    async def serve(self) -> None:
        """Load every bundle that should serve; one that is refused is said to be, and the others serve."""
        if isinstance(self._classifier, FixedClassifier):
            return
        for folder in bundles.listed(self._folder):
            state = self._states.get(folder.name, ModelState.IN_SERVICE)
            self._shelf.append(await self._put(folder, state, self._classifier))
        if not self._shelf:
            _log.warning("no_models", folder=str(self._folder), so="every plot is shown as NOMODEL")

    async def _put(self, folder: Path, state: ModelState, classifier: ModelService) -> Shelved:
        if state != ModelState.IN_SERVICE:
            return Shelved(folder.name, state)
        try:
            card = await classifier.load(folder)
        except BundleError as fault:
            return Shelved(folder.name, state, fault=str(fault))
        return Shelved(folder.name, state, classifier.manifest(card.id))
