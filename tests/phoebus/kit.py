"""What scripts/phoebus-prerequisites has put outside the tree: jars, a Python with PyDM, and a page for screens."""

from __future__ import annotations

import os
from pathlib import Path

HOME = Path(os.environ.get("HYDRA_PHOEBUS_KIT") or Path.home() / ".cache" / "hydrad-phoebus")
JARS = HOME / "jars"
CLASSES = HOME / "classes"
PYTHON = HOME / "venv" / "bin" / "python"
PAGE = HOME / "page"
HERE = Path(__file__).parent
PICTURES = HERE.parents[1] / "artifacts" / "phoebus"  # for people to look at
