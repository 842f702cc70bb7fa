"""The daemon as a process: what has been kept long enough goes, and nothing else."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon
from PIL import Image
from sqlalchemy import select, update

from hydrad.store.columns import digest
from hydrad.store.queries import Store
from hydrad.store.tables import images, labels, plots

pytestmark = pytest.mark.system

GOOD = {"Good": 0.9, "Bad": 0.08, "NoData": 0.02}
DAY_S = 86400


def files_in(hydrad: Daemon) -> set[str]:
    return {path.parent.name + path.stem for path in (hydrad.home / "images").glob("??/*.png")}


def lines(hydrad: Daemon, event: str) -> list[dict[str, Any]]:
    said = [json.loads(line) for line in hydrad.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in said if line["event"] == event]


def a_day_passes(hydrad: Daemon) -> None:
    """For the images; the daemon is not running."""
    with Store(f"sqlite:///{hydrad.home / 'hydra.db'}") as store, store.writing() as connection:
        for row in connection.execute(select(images)).all():
            earlier = row.taken_at - timedelta(seconds=DAY_S)
            connection.execute(update(images).where(images.c.id == row.id).values(taken_at=earlier))
    for path in (hydrad.home / "images").glob("??/*.png"):
        os.utime(path, (time.time() - DAY_S,) * 2)


def rows(hydrad: Daemon, plot: str) -> list[Any]:
    """The images of a plot, the oldest first."""
    query = select(images).join(plots, plots.c.id == images.c.plot_id).where(plots.c.name == plot).order_by(images.c.id)
    with Store(f"sqlite:///{hydrad.home / 'hydra.db'}") as store, store.reading() as connection:
        return list(connection.execute(query))


def label(hydrad: Daemon, image: Any) -> None:
    with Store(f"sqlite:///{hydrad.home / 'hydra.db'}") as store, store.writing() as connection:
        good = select(labels.c.id).where(labels.c.plot_id == image.plot_id, labels.c.digest == digest("Good"))
        labelled = update(images).where(images.c.id == image.id).values(label_id=connection.scalars(good).one())
        connection.execute(labelled)


def land_and_wait(hydrad: Daemon, *shades: int) -> None:
    for shade in shades:
        before = len(lines(hydrad, "image_judged"))
        hydrad.land("CDC_occupancy.png", shade)
        hydrad.until(lambda before=before: len(lines(hydrad, "image_judged")) > before)


def test_the_daemon_removes_what_nobody_needs_and_goes_on(tmp_path: Path) -> None:
    with Daemon(tmp_path, scores=GOOD) as hydrad:
        words = hydrad.settings.read_text().replace("[store]", "[store]\nkeep_all_h = 12", 1)
        hydrad.settings.write_text(f"{words}\n[saving]\nshare = 0.0\nleast = 0.0\n")
        hydrad.start()
        by_hand = tmp_path / "by_hand.png"
        Image.new("RGB", (40, 30), (1, 2, 3)).save(by_hand)
        with Store(f"sqlite:///{hydrad.home / 'hydra.db'}") as store:
            store.submit([str(by_hand)], by="ana", plot="CDC_occupancy")
        hydrad.until(lambda: lines(hydrad, "image_judged"))
        land_and_wait(hydrad, 1, 2, 3, 4, 5)
        hydrad.until(lambda: len(rows(hydrad, "CDC_occupancy")) == 6)
        assert hydrad.stop() == 0
        handed_in, *others = rows(hydrad, "CDC_occupancy")
        assert [image.sampled for image in (handed_in, *others)] == [True, *[False] * 5]
        label(hydrad, others[1])
        assert files_in(hydrad) == {image.sha256 for image in (handed_in, *others)}
        a_day_passes(hydrad)
        unknown = tmp_path / "images" / "ab" / f"{'c' * 62}.png"
        unknown.parent.mkdir(exist_ok=True)
        by_hand.rename(unknown)
        os.utime(unknown, (0, 0))
        hydrad.start()
        hydrad.until(lambda: lines(hydrad, "images_unknown"))
        (said,) = lines(hydrad, "images_purged")
        gone = [others[0], others[2], others[3]]
        assert (said["count"], said["bytes"]) == (3, sum(image.size for image in gone))
        stay = {handed_in.sha256, others[1].sha256, others[4].sha256}  # by hand, labelled, on the wall
        assert files_in(hydrad) == stay | {f"ab{'c' * 62}"}
        assert {image.sha256 for image in rows(hydrad, "CDC_occupancy") if image.kept} == stay
        land_and_wait(hydrad, 6, 1)
        hydrad.until(lambda: [i.kept for i in rows(hydrad, "CDC_occupancy")].count(True) == 5)
        assert {others[0].sha256, *stay} < files_in(hydrad)
        found = {line["what"]: line["says"] for line in hydrad.ask_json("check", status=1)}  # its port is taken
        assert "; 5 images kept, " in found["images"]
        assert found["images"].endswith(" free")
        assert hydrad.stop() == 0
