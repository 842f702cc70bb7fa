"""Two IOCs with the same records, for the tests that ask both the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from side_by_side import Side


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    """Ours and theirs."""
    from side_by_side import both  # noqa: PLC0415  libca is for those who use it

    with both() as pair:
        yield pair
