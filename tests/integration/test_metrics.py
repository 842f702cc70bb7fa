"""What watches the watcher: who may ask, what they are told, and what they are told while things are away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from databases import Database
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from web_world import World, usual, world

from hydrad.domain import Health
from hydrad.web.app import application, site_of


class Program:
    """A program that asks, from some address."""

    def __init__(self, app: FastAPI, client: str) -> None:
        self._reached = httpx.ASGITransport(app, client=(client, 4711))

    def get(self, path: str, **words: Any) -> httpx.Response:
        return asyncio.run(self._ask("GET", path, words))

    def put(self, path: str, **words: Any) -> httpx.Response:
        return asyncio.run(self._ask("PUT", path, words))

    async def _ask(self, method: str, path: str, words: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._reached, base_url="http://127.0.0.1") as program:
            return await program.request(method, path, **words)


@contextmanager
def asking(here: World, client: str = "127.0.0.1") -> Iterator[Program]:
    """The pages in this process, and a program that asks them."""
    with ExitStack() as stack:
        yield Program(application(site_of(here.config, stack)), client)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    one = world(tmp_path)
    with one.store:
        yield one


def figures_of(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_figure_has_its_help_and_is_what_the_daemon_said(here: World) -> None:
    here.see(*usual())
    here.beat()
    with asking(here) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.name.startswith("hydrad_") and family.documentation for family in families)
    found = figures_of(answer.text)
    assert found["hydrad_database_up", ()] == found["hydrad_daemon_up", ()] == 1
    assert found["hydrad_plots", (("status", "BAD"),)] == found["hydrad_plots", (("status", "NODATA"),)] == 1
    assert found["hydrad_plots", (("status", "GOOD"),)] == 2
    assert found["hydrad_files", (("outcome", "judged"),)] == len(usual())
    assert found["hydrad_alarms_standing", ()] == 2
    assert found["hydrad_images_per_second", ()] == 3.2
    assert found["hydrad_latency_seconds", ()] == 0.041
    assert found["hydrad_stage_seconds", (("quantile", "0.99"), ("stage", "wait"))] == pytest.approx(0.84)
    assert found["hydrad_beam_current", (("units", "nA"),)] == 201.3
    assert found["hydrad_beam_state", (("state", "ON"),)] == 1
    assert found["hydrad_health", (("state", "OK"),)] == 1
    assert found["hydrad_pv_clients", ()] == 2
    assert found["hydrad_daemon_memory_bytes", ()] == 6e8
    assert [found[f"hydrad_daemon_{name}", ()] for name in ("open_files", "threads", "tasks")] == [61, 24, 57]
    assert found["hydrad_pages_memory_bytes", ()] > 1e7
    assert all(found[f"hydrad_pages_{name}", ()] >= 1 for name in ("open_files", "threads", "tasks"))
    assert found["hydrad_disk_free_bytes", (("folder", "images"),)] == 8e11


def test_a_daemon_that_is_gone_leaves_no_figures_of_its_own(here: World) -> None:
    here.beat(ago_s=60)
    with asking(here) as client:
        found = figures_of(client.get("/metrics").text)
    assert found["hydrad_daemon_up", ()] == 0
    assert found["hydrad_heartbeat_age_seconds", ()] >= 60
    assert not [
        name
        for name, _ in found
        if name in {"hydrad_images_per_second", "hydrad_beam_current", "hydrad_health", "hydrad_daemon_tasks"}
    ]


@pytest.mark.parametrize(
    ("beat", "status", "words"),
    [
        (None, 503, "no daemon has ever been here"),
        ({}, 200, None),
        ({"health": Health.DEGRADED}, 200, None),
        ({"health": Health.STALLED, "why": "no sign of life from the watch of /data/secret"}, 503, "has stalled"),
        ({"ago_s": 60.0}, 503, "no sign of life"),
    ],
)
def test_health_is_told_to_anybody_with_the_reasons_and_no_secrets(
    here: World, beat: dict[str, Any] | None, status: int, words: str | None
) -> None:
    if beat is not None:
        here.beat(**beat)
    with asking(here, client="10.1.2.3") as client:
        answer = client.get("/healthz")
    told = answer.json()
    assert answer.status_code == status
    assert told["ok"] == (status == 200)
    assert told["database"]
    assert not told["reasons"] if words is None else words in told["reasons"][0]
    assert "secret" not in answer.text
    assert "counting-1" not in answer.text


def test_a_data_base_that_is_away_is_told_and_everything_still_answers(here: World) -> None:
    with asking(here) as client:
        here.config.store_url()
        path = here.home / "hydra.db"
        path.rename(here.home / "away.db")
        path.mkdir()
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()["database"]) == (503, False)
        assert answer.json()["reasons"] == ["the data base does not answer"]
        assert figures_of(client.get("/metrics").text)["hydrad_database_up", ()] == 0
        document = client.get("/api/v1/status")
        assert document.status_code == 200
        parts = {part["name"]: part["level"] for part in document.json()["parts"]}
        assert (parts["Data base"], parts["Daemon"], parts["Pages"]) == ("bad", "unknown", "well")
        assert document.json()["sentence"].startswith("Data base")
        page = client.get("/status", headers={"accept": "text/html"})
        assert (page.status_code, "Data base" in page.text) == (200, True)


@pytest.mark.parametrize(
    ("web", "client", "status"),
    [
        ("", "10.1.2.3", 200),  # nobody asks who comes: they all may look
        ('auth = "local"\nplain_http = true', "127.0.0.1", 200),
        ('auth = "local"\nplain_http = true', "::1", 200),
        ('auth = "local"\nplain_http = true', "10.1.2.3", 401),
        ('auth = "local"\nhttps = true', "127.0.0.1", 401),  # what the proxy hands on comes from here too
        ('auth = "proxy"', "127.0.0.1", 401),
    ],
)
def test_figures_are_for_programs_of_this_host_or_whoever_may_look(
    tmp_path: Path, web: str, client: str, status: int
) -> None:
    here = world(tmp_path, web=web)
    with here.store, asking(here, client=client) as program:
        assert program.get("/metrics").status_code == status
        assert program.get("/healthz").status_code == 503


def test_the_status_document_is_the_same_story_on_each_data_base(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.url.password is not None:
        monkeypatch.setenv("HYDRA_DB_PASSWORD", str(database.url.password))
    here = world(tmp_path, url=database.url._replace(password=None).render_as_string(hide_password=False))
    with here.store:
        here.see(*usual())
        here.beat()
        with asking(here) as client:
            told = client.get("/api/v1/status").json()
            assert client.put("/api/v1/beam/on_above", json={"value": 3.5}).json()["old"] == 5.0
            assert client.put("/api/v1/beam/on_above", json={"value": 4}).json()["old"] == 3.5
    assert told["alarms"]["day"]["alarms"] == 2
    assert [one["plot"] for one in told["alarms"]["standing"]] == ["CDC_occupancy", "FCAL_map"]
    assert sum(day["good"] for day in told["days"]) == sum(one.status.name == "GOOD" for one in usual())
    assert told["ledger"]["judged"] == len(usual())
    assert [stage["name"] for stage in told["stages"]] == ["wait", "read", "classify", "judge", "tell", "keep"]
