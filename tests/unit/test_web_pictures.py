"""Images, thumbnails and heatmaps, as pages ask for them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from web_world import Seen, World, world

from hydrad.domain import Cause, Status
from hydrad.store.images import ImageFolder
from hydrad.web import pictures
from hydrad.web.app import application, site_of
from hydrad.web.pictures import NoPicture, Pictures, heat


def drawn(width: int = 800, height: int = 500, colour: str = "navy") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def kept(folder: ImageFolder, data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    folder.keep(data, sha256, "png")
    return sha256


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    return ImageFolder(tmp_path / "images")


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_heatmap_has_one_pixel_a_cell_and_nothing_where_it_is_cold() -> None:
    cells = np.zeros((3, 5), np.uint8)
    cells[1, 2] = 230
    cells[2, 4] = 10
    image = opened(heat(cells))
    assert (image.mode, image.size) == ("RGBA", (5, 3))
    alpha = np.asarray(image)[..., 3]
    assert alpha[1, 2] == 230
    assert alpha.sum() == 230


async def test_a_thumbnail_is_as_wide_as_asked_and_made_once(folder: ImageFolder, tmp_path: Path) -> None:
    makes = Pictures(folder, tmp_path / "cache")
    sha256 = kept(folder, drawn())
    first = await makes.thumbnail(sha256, "png", 320)
    assert opened(first).format == "WEBP"
    assert opened(first).size == (320, 200)
    folder.path(sha256, "png").unlink()  # it is not asked for again
    assert await makes.thumbnail(sha256, "png", 320) == first
    assert [path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [".webp"]


async def test_a_small_image_is_not_blown_up(folder: ImageFolder, tmp_path: Path) -> None:
    sha256 = kept(folder, drawn(100, 40))
    assert opened(await Pictures(folder, tmp_path).thumbnail(sha256, "png", 640)).size == (100, 40)


@pytest.mark.parametrize("sha256", ["../../etc/passwd", "0" * 63, "0" * 63 + "/", "A" * 64, "0" * 64])
async def test_what_is_no_kept_image_is_refused(folder: ImageFolder, tmp_path: Path, sha256: str) -> None:
    makes = Pictures(folder, tmp_path)
    with pytest.raises(NoPicture):
        makes.original(sha256, "png")
    with pytest.raises(NoPicture):
        await makes.thumbnail(sha256, "png", 160)


async def test_an_image_that_the_disk_has_spoilt_is_refused(folder: ImageFolder, tmp_path: Path) -> None:
    sha256 = kept(folder, drawn())
    folder.path(sha256, "png").write_bytes(drawn()[:100])
    with pytest.raises(NoPicture, match="cannot be read any more"):
        await Pictures(folder, tmp_path).thumbnail(sha256, "png", 160)


async def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(folder: ImageFolder, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    sha256 = kept(folder, drawn())
    assert opened(await Pictures(folder, tmp_path / "cache").thumbnail(sha256, "png", 160)).width == 160


async def test_two_are_made_at_a_time_and_each_once(
    folder: ImageFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, most, made = 0, 0, 0
    alone = threading.Lock()
    together = threading.Barrier(2, timeout=10)
    really = pictures.image_of

    def counting(data: bytes) -> object:
        nonlocal at_work, most, made
        with alone:
            at_work += 1
            made += 1
            most = max(most, at_work)
        together.wait()  # never comes through unless two are at it
        try:
            return really(data)
        finally:
            with alone:
                at_work -= 1

    monkeypatch.setattr(pictures, "image_of", counting)
    makes = Pictures(folder, tmp_path)
    hashes = [kept(folder, drawn(colour=colour)) for colour in ("red", "green", "blue", "white")]
    await asyncio.gather(*(makes.thumbnail(sha256, "png", 160) for sha256 in hashes))
    await asyncio.gather(*(makes.thumbnail(sha256, "png", 160) for sha256 in hashes * 2))
    assert (most, made) == (2, 4)


async def test_the_oldest_thumbnails_go_when_there_are_too_many(folder: ImageFolder, tmp_path: Path) -> None:
    makes = Pictures(folder, tmp_path)
    hashes = [kept(folder, drawn(colour=colour)) for colour in ("red", "green", "blue", "white")]
    for sha256 in hashes:
        await makes.thumbnail(sha256, "png", 160)
    there = {sha256: tmp_path / "thumbnails" / "160" / sha256[:2] / f"{sha256[2:]}.webp" for sha256 in hashes}
    for age, path in enumerate(reversed(there.values())):  # the last made is the youngest
        os.utime(path, (1e9 - age, 1e9 - age))
    sizes = [path.stat().st_size for path in there.values()]
    Pictures(folder, tmp_path, most_bytes=int((sizes[2] + sizes[3]) / 0.9) + 1).sweep()
    assert [path.exists() for path in there.values()] == [False, False, True, True]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    made = world(tmp_path)
    with made.store:
        made.see(Seen("CDC_occupancy", Status.BAD, 0, "Bad", 0.97, "dead_board"))
        yield made


@pytest.fixture
async def client(here: World) -> AsyncIterator[httpx.AsyncClient]:
    with ExitStack() as stack:
        reached = httpx.ASGITransport(application(site_of(here.config, stack)), client=("127.0.0.1", 50000))
        async with httpx.AsyncClient(transport=reached, base_url="http://127.0.0.1") as asking:
            yield asking


async def test_an_image_comes_as_it_was_and_may_be_kept_for_ever(here: World, client: httpx.AsyncClient) -> None:
    (verdict,) = here.verdicts.values()
    answer = await client.get(f"/images/{verdict.sha256}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert "immutable" in answer.headers["cache-control"]
    assert hashlib.sha256(answer.content).hexdigest() == verdict.sha256
    again = await client.get(f"/images/{verdict.sha256}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_thumbnail_comes_in_three_widths_and_no_other(here: World, client: httpx.AsyncClient) -> None:
    (verdict,) = here.verdicts.values()
    address = f"/images/{verdict.sha256}/thumbnail"
    widths = {width: await client.get(address, params={"width": width}) for width in (160, 320, 640, 641, 0, -1)}
    assert {width: answer.status_code for width, answer in widths.items()} == {
        160: 200, 320: 200, 640: 200, 641: 422, 0: 422, -1: 422,
    }  # fmt: skip
    assert opened(widths[160].content).width == 160
    assert "immutable" in widths[160].headers["cache-control"]
    assert (
        await client.get(f"{address}?width=160", headers={"If-None-Match": widths[160].headers["etag"]})
    ).status_code == 304


@pytest.mark.parametrize("sha256", ["0" * 64, "0" * 63 + "g", "F" * 64, "..%2f..%2fhydra.toml", b"x\x00".hex()])
async def test_what_the_data_base_does_not_know_is_not_given_out(client: httpx.AsyncClient, sha256: str) -> None:
    assert (await client.get(f"/images/{sha256}")).status_code in {404, 422}
    assert (await client.get(f"/images/{sha256}/thumbnail")).status_code in {404, 422}


async def test_a_purged_image_is_not_there(here: World, client: httpx.AsyncClient) -> None:
    (verdict,) = here.verdicts.values()
    ImageFolder(here.config.store.images).path(str(verdict.sha256), "png").unlink()
    assert (await client.get(f"/images/{verdict.sha256}")).status_code == 404
    assert (await client.get(f"/images/{verdict.sha256}/thumbnail")).status_code == 404


async def test_heatmaps_are_there_for_those_that_have_one(client: httpx.AsyncClient) -> None:
    (plot,) = (await client.get("/api/v1/plots")).json()["plots"]
    assert plot["heatmap"]
    answer = await client.get(f"/api/v1/verdicts/{plot['verdict']}/heatmap.png")
    assert answer.headers["content-type"] == "image/png"
    assert opened(answer.content).size == (24, 16)
    assert (await client.get("/api/v1/verdicts/999999/heatmap.png")).status_code == 404
    assert (await client.get(f"/api/v1/verdicts/{2**63}/heatmap.png")).status_code == 422


async def test_the_api_tells_how_plots_stand_and_what_was_said(here: World, client: httpx.AsyncClient) -> None:
    here.see(Seen("Faraday Cup/x", Status.GOOD, 30), Seen("CDC_occupancy", Status.STALE, 60, cause=Cause.CLOCK))
    plots = {one["plot"]: one for one in (await client.get("/api/v1/plots")).json()["plots"]}
    assert plots["CDC_occupancy"]["status"] == "STALE"
    assert plots["CDC_occupancy"]["expert"] == "cdc-expert@example.org"
    assert plots["CDC_occupancy"]["guidance"].startswith("Check the HV")
    assert plots["CDC_occupancy"]["stale_s"] == 120
    one = (await client.get("/api/v1/plots/Faraday%20Cup/x")).json()
    assert (one["status"], one["severity"], one["label"]) == ("GOOD", "NO_ALARM", "Good")
    assert (await client.get("/api/v1/plots/nobody")).status_code == 404
    (bad,) = (
        await client.get("/api/v1/verdicts", params={"status": "BAD", "plot": "CDC_occupancy", "run": 30408})
    ).json()
    assert bad["label"] == "Bad"
    assert (await client.get(f"/api/v1/verdicts/{bad['id']}")).json() == bad
    assert len((await client.get("/api/v1/verdicts", params={"status": ["BAD", "GOOD"]})).json()) == 2
    assert (await client.get("/api/v1/verdicts", params={"until": bad["judged_at"]})).json() == []
    assert (await client.get("/api/v1/verdicts", params={"since": "0001-01-01T00:00:00+14:00"})).status_code == 422
    assert (await client.get("/api/v1/verdicts", params={"since": "2026-01-01T00:00:00"})).status_code == 422
    assert (await client.get("/api/v1/verdicts", params={"limit": 1001})).status_code == 422
    assert (await client.get("/api/v1/verdicts", params={"run": 2**63})).status_code == 422


async def test_a_name_of_bytes_that_are_no_text_breaks_no_answer(here: World, client: httpx.AsyncClient) -> None:
    here.see(Seen("CDC_\udcff", Status.BAD, 30, "Bad", 0.97, reason="from \udcfe"))
    assert (await client.get("/api/v1/plots")).status_code == 200
    assert r"\udcfe" in (await client.get("/api/v1/verdicts")).json()[0]["reason"]
    assert (await client.get("/")).status_code == 200


async def test_news_are_said_heard_and_cleared(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/news")).json()["text"] == ""
    said = await client.put("/api/v1/news", json={"text": "  Beam at eight. <b>", "until": None})
    assert said.json()["text"] == "Beam at eight. <b>"
    assert (await client.get("/api/v1/news")).json() == said.json()
    assert (await client.delete("/api/v1/news")).status_code == 204
    assert (await client.get("/api/v1/news")).json()["text"] == ""


@pytest.mark.parametrize(
    "line",
    [
        {"text": ""},
        {"text": "   "},
        {"text": "a\nb"},
        {"text": "x" * 501},
        {"text": "\x00"},
        {"text": "x", "until": "2020-01-01T00:00:00Z"},
        {"text": "x", "until": "9999-12-31T23:59:59-12:00"},
        {"text": "x", "until": "2030-01-01T00:00:00"},
        {"text": "x", "more": 1},
        {},
    ],
)
async def test_a_line_of_news_that_makes_no_sense_is_refused(client: httpx.AsyncClient, line: dict[str, str]) -> None:
    assert (await client.put("/api/v1/news", json=line)).status_code == 422
    assert (await client.get("/api/v1/news")).json()["text"] == ""
