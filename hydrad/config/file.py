"""The whole of hydra.toml."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import field_validator

from hydrad import password, texts
from hydrad.config.beam import BeamSection
from hydrad.config.classify import Canary, ClassifySection, Models
from hydrad.config.hall import Hall, Watch
from hydrad.config.ioc import Ioc
from hydrad.config.logbook import LogbookSection, Mail, NoLogbook
from hydrad.config.plots import Detector, PlotDefaults
from hydrad.config.run import PathRun, RunSection
from hydrad.config.section import Section
from hydrad.config.store import Saving, Store
from hydrad.config.train import Train
from hydrad.config.web import Web
from hydrad.domain import Rules

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


def _once(names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} stands there twice")


class Config(Section):
    """The whole file."""

    hall: Hall = Hall()
    store: Store = Store()
    ioc: Ioc = Ioc()
    beam: BeamSection
    run: RunSection = PathRun()
    classify: ClassifySection = Models()
    web: Web = Web()
    logbook: LogbookSection = NoLogbook()
    mail: Mail | None = None
    saving: Saving = Saving()
    canary: Canary = Canary()
    train: Train = Train()
    watch: tuple[Watch, ...] = ()
    defaults: PlotDefaults = PlotDefaults()
    detector: tuple[Detector, ...] = ()

    @field_validator("watch")
    @classmethod
    def _roots_once(cls, watches: tuple[Watch, ...]) -> tuple[Watch, ...]:
        _once([str(watch.root) for watch in watches])
        return watches

    @field_validator("detector")
    @classmethod
    def _names_once(cls, detectors: tuple[Detector, ...]) -> tuple[Detector, ...]:
        _once([detector.name for detector in detectors])
        return detectors

    def detector_of(self, plot: str) -> str:
        """The detector a plot belongs to: the first that claims it, else the name up to its first ``_``."""
        return self.rules_of(plot).detector

    def rules_of(self, plot: str) -> Rules:
        """How this file wants a plot judged; thresholds are the model's affair."""
        values = {name: getattr(self.defaults, name) for name in PlotDefaults.model_fields}
        section = next((detector for detector in self.detector if detector.claims(plot)), None)
        if section is None:
            return Rules(detector=plot.split("_", 1)[0] or plot, **values)
        values |= {name: value for name in values if (value := getattr(section, name)) is not None}
        return Rules(detector=section.name, **values)

    def pages_address(self) -> str:
        """Where people find the pages, as far as the file tells."""
        if self.mail is not None and self.mail.address is not None:
            return self.mail.address
        host = {"0.0.0.0": socket.getfqdn(), "::": socket.getfqdn()}.get(self.web.host, self.web.host)  # noqa: S104
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self.web.encrypted else 'http'}://{host}:{self.web.port}"

    def store_url(self) -> URL:
        """The data base's URL with its password, which comes from a file, a systemd credential or the environment.

        So does, from the environment, whose it is, where a process shall have an account of its own.
        """
        from sqlalchemy.engine import make_url  # noqa: PLC0415  most verbs never open the data base

        url = make_url(self.store.url)
        if self.store.url.startswith(texts.SQLITE):
            return url
        secret, user = password.find(self.store.password_file), os.environ.get("HYDRA_DB_USER")
        return url.set(username=user or url.username, password=url.password if secret is None else secret)
