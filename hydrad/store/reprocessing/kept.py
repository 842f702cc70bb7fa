"""The images whose bytes are kept, one after the other, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, true

from hydrad.store.queries import Store
from hydrad.store.tables import images, plots

AT_ONCE = 1000  # rows read in one go


@dataclass(frozen=True, slots=True)
class KeptImage:
    """An image as one plot's; a content that several plots have is there for each."""

    plot: str
    sha256: str
    format: str
    run: int | None
    taken_at: datetime | None  # aware, UTC


def kept_images(store: Store) -> Iterator[KeptImage]:
    """All of them, in the order in which they came."""
    columns = [images.c[name] for name in ("id", "sha256", "format", "run", "taken_at")]
    query = (
        select(*columns, plots.c.name.label("plot"))
        .join(plots, plots.c.id == images.c.plot_id)
        .where(images.c.kept == true())
        .order_by(images.c.id)
        .limit(AT_ONCE)
    )
    last = 0
    while True:
        with store.reading() as connection:
            rows = connection.execute(query.where(images.c.id > last)).all()
        if not rows:
            return
        yield from (KeptImage(row.plot, row.sha256, row.format, row.run, row.taken_at) for row in rows)
        last = rows[-1].id
