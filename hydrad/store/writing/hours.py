"""How many images of a plot had which status in an hour, counted along as their verdicts are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from hydrad.domain import Cause, Status, Verdict
from hydrad.store.tables import hours
from hydrad.store.writing.upserting import put_or

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


def count_images(connection: Connection, fresh: Iterable[Verdict], plot_ids: Mapping[str, int]) -> None:
    """Count these, which are new to the data base; images that came too late to be shown count too."""
    counted: Counter[tuple[int, int, Status]] = Counter(
        [
            ((verdict.judged_at - EPOCH) // HOUR, plot_ids[verdict.plot], verdict.status)
            for verdict in fresh
            if verdict.cause is Cause.IMAGE
        ]
    )
    # In one order, so that two writers wait for each other instead of crossing.
    rows = [
        {"hour": EPOCH + hour * HOUR, "plot_id": plot_id, "status": status, "images": images}
        for (hour, plot_id, status), images in sorted(counted.items())
    ]
    put_or(connection, hours, rows, add=("images",))
