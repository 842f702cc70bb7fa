"""Whether a worker on another host may answer for a model: it has to have the same hydrad and the same bundle."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hydrad import __version__
from hydrad.classify.bundle import MANIFEST
from hydrad.errors import HydradError


class Unfit(HydradError):
    """This host cannot take part; what it would say of any file would be worth nothing."""


def sha256_of(folder: Path) -> str:
    """Of a bundle's manifest, in which stand those of its files; raises OSError."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bundle, as the host that hands out the work has it."""

    folder: Path  # at the same path on every host
    sha256: str  # of its manifest
    version: str = __version__

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The bundle in this folder; raises OSError."""
        return cls(folder, sha256_of(folder))

    def require_here(self, *others: Path) -> None:
        """Raise Unfit, naming this host, unless it has exactly that, and these other folders."""
        host = socket.gethostname()
        if self.version != __version__:
            raise Unfit(f"{host} has hydrad {__version__}, and this is {self.version}: install the same everywhere")
        for folder in (self.folder, *others):
            if not folder.is_dir():
                raise Unfit(f"{host} does not see {folder}: mount it there, at the same path")
        try:
            sha256 = sha256_of(self.folder)
        except OSError as fault:
            raise Unfit(f"{host} cannot read {self.folder}: {fault.strerror or fault}") from fault
        if sha256 != self.sha256:
            raise Unfit(f"{host} has another model in {self.folder}: let every host see the same folder of models")
