"""Every claim of the threat model leads to a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs/reference/threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_it_names_is_there(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (CHECKOUT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_it_names_them_and_is_found_by_readers() -> None:
    assert len(NAMED) > 20
    assert "docs/reference/threat-model.md" in (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert "threat-model.md" in (CHECKOUT / "docs/how-to/counting-house-host.md").read_text(encoding="utf-8")
