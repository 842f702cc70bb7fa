"""What a label says about the detector when nobody has said so: told from its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from hydrad.domain import Meaning

_BY_NAME: Mapping[str, Meaning] = MappingProxyType(
    {"good": Meaning.GOOD, "bad": Meaning.BAD, "nodata": Meaning.EMPTY, "empty": Meaning.EMPTY}
)


def meaning_of(label: str) -> Meaning:
    """Good → good, Bad → bad, NoData and Empty → empty, any other → other; case, spaces, ``_`` and ``-`` aside."""
    return _BY_NAME.get(re.sub(r"[\s_-]+", "", label).casefold(), Meaning.OTHER)
