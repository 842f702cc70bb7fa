"""The model that comes with the package: it knows the simulated hall's plots, and no real hall's.

No hall serves it unless somebody copies it into its folder of models. :mod:`hydrad.schooling` makes it anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ID: Final = "simulated-hall"
MODELS: Final = Path(__file__).parent / "sim" / "bundle"  # a folder of bundles, inside the package


def folder() -> Path:
    """The shipped bundle; its name is the model's."""
    return MODELS / ID
