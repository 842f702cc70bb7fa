"""The colours that labels are painted in where nobody has chosen one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from hydrad.domain import Meaning
from hydrad.store.rows import Label

_HEX = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)
# By meaning, told apart by lightness too; those of `other` are of Okabe and Ito's palette (jfly.uni-koeln.de/color),
# which people see apart whatever cones they have.
_PALETTES: Mapping[Meaning, tuple[str, ...]] = MappingProxyType(
    {
        Meaning.GOOD: ("#2e9e5b", "#8fd19e", "#14633a"),
        Meaning.BAD: ("#c0392b", "#f1948a", "#7b241c", "#d55e00"),
        Meaning.EMPTY: ("#8a8f94", "#c8ccd0", "#54585c"),
        Meaning.OTHER: ("#0072b2", "#e69f00", "#cc79a7", "#56b4e9", "#f0e442"),
    }
)


def is_colour(text: str) -> bool:
    """True for a colour as CSS writes it in hex, such as ``#c0392b``."""
    return _HEX.fullmatch(text) is not None


def painted(rows: Iterable[Any]) -> Mapping[str, Label]:
    """One plot's labels by name, in the rows' order, each with a colour.

    A label that nobody coloured gets the first of its meaning's colours that no earlier label has; so the same labels
    met in the same order have the same colours everywhere, and a new label changes none.

    Args:
        rows: with ``name``, ``meaning`` and ``colour``.
    """
    found: dict[str, Label] = {}
    for row in rows:
        colour = row.colour
        if colour is None:
            palette = _PALETTES[row.meaning]
            taken = {label.colour for label in found.values()}
            nth = sum(label.meaning is row.meaning for label in found.values())
            colour = next((one for one in palette if one not in taken), palette[nth % len(palette)])
        found[row.name] = Label(row.meaning, colour, chosen=row.colour is not None)
    return found
