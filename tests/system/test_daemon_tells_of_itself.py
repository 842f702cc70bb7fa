"""What a living daemon leaves of itself in the data base: where images' time goes, PVs, disks, episodes, the beam."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon
from store_world import leave

from hydrad import config
from hydrad.domain import Change, Status
from hydrad.pulse import STAGES
from hydrad.store.history import figures
from hydrad.store.queries import Store

pytestmark = pytest.mark.system


def test_the_sign_of_life_tells_of_stages_pvs_and_disks_and_of_a_threshold_that_a_page_changed(tmp_path: Path) -> None:
    began = datetime.now(UTC)
    with Daemon(tmp_path, scores={"Good": 0.02, "Bad": 0.9, "NoData": 0.08}) as hydrad:
        hydrad.start()
        with Store(config.load(hydrad.settings).store_url()) as store:

            def said(*keys: str) -> Any:
                beat = store.heartbeat()
                found: Any = {} if beat is None or beat.details is None else beat.details
                for key in keys:
                    found = found.get(key, {})
                return found

            for shade, wanted in enumerate((Status.SUSPECT, Status.BAD)):
                hydrad.land("CDC_occupancy.png", shade)
                status = hydrad.pv("CDC:OCCUPANCY:STATUS")
                hydrad.until(lambda status=status, wanted=wanted: status.get() == wanted)
            hydrad.until(lambda: set(said("stages")) == set(STAGES))
            assert all(0 <= one["p50_ms"] <= one["p99_ms"] < 60_000 for one in said("stages").values())
            hydrad.until(
                lambda: said("pv_server") == {"prefix": f"{hydrad.prefix}:", "port": hydrad.port, "clients": 1}
            )
            hydrad.until(lambda: said("outbox") == 0)
            assert said("disk").keys() == {"images", "journal"}
            assert (said("beam", "state"), said("beam", "on_above")) == ("ON", 5.0)
            hydrad.until(lambda: [alarm.plot for alarm in figures.alarms(store, began)] == ["CDC_occupancy"])
            hour = began.replace(minute=0, second=0, microsecond=0)
            assert sum(one.images for one in figures.images_by_hour(store, hour)) == 2

            leave(store, Change("beam.on_above", 400.0, "ana", "c1", datetime.now(UTC), "page"))
            hydrad.until(lambda: said("beam", "on_above") == 400.0)
            hydrad.until(lambda: said("beam", "state") == "OFF")
