"""What the cases of the fault suite are given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from trial import LONG, Trial

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A case drives the daemon as a process; it may take its time when it was asked for, and else may have to wait."""
    cases = [item for item in items if FOLDER in item.path.parents]
    for item in cases:
        item.add_marker(pytest.mark.system)
        if LONG:
            item.add_marker(pytest.mark.timeout(3600))
    if not LONG:
        put_off = [item for item in cases if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=put_off)
        items[:] = [item for item in items if item not in put_off]


@pytest.fixture
def trial(tmp_path: Path) -> Callable[..., Trial]:
    """Makes a :class:`trial.Trial` in this test's folder: the case's name, and parts of the daemon."""
    return partial(Trial, tmp_path)
