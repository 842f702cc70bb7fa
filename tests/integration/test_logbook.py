"""An entry goes into the hall's logbook with one click: Olog's service, a folder of files, or by hand."""

from __future__ import annotations

import base64
import io
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest
from browsing import Pages, looking, until
from log_world import Streak, picture, streak, worst_of
from olog import OlogServer
from PIL import Image
from web_world import World, world

from hydrad.config import Elog, Olog
from hydrad.domain import Status
from hydrad.errors import ChangeRefused, ConfigurationError, TryAgain
from hydrad.store.history import episodes
from hydrad.store.images import ImageFolder
from hydrad.web.log import logbook
from hydrad.web.log.logbook import Draft, ElogFolder, Enclosure, OlogService

ODD = 'Größe < 3 & > 1 \u2014 \U0001f525 ]]> "quoted" 漢字'
PNG = b"\x89PNG\r\n\x1a\n\r\n--boundary\r\n" + bytes(range(256)) * 40
DRAFT = Draft(
    f"CDC: {ODD}",
    f"What was seen.\n\n- {ODD}\n",
    "otto",
    [
        Enclosure("CDC.png", "image/png", "the image", PNG),
        Enclosure("CDC_heatmap.png", "image/png", "where it looked", PNG[::-1]),
    ],
)


@pytest.fixture
def olog() -> Iterator[OlogServer]:
    with OlogServer() as server:
        yield server


def service(olog: OlogServer, tmp_path: Path, **words: Any) -> OlogService:
    secret = tmp_path / "olog.password"
    secret.write_text(f"{olog.password}\n", encoding="utf-8")
    facts = {"url": olog.url, "logbooks": ["Operations", "Hall"], "tags": ["Monitoring"], "user": "hydra"}
    return OlogService(Olog.model_validate({**facts, "password_file": secret, **words}))


# ---- Olog ----


def test_olog_takes_the_entry_with_its_pictures(olog, tmp_path):
    reference = service(olog, tmp_path).make(DRAFT)
    assert reference == f"{olog.url}/logs/575"
    [made] = olog.made
    assert made.query == {"markup": ["commonmark"]}
    assert made.entry["title"] == DRAFT.title
    assert made.entry["description"].startswith(DRAFT.text)
    assert made.entry["level"] == "Info"
    assert made.entry["logbooks"] == [{"name": "Operations"}, {"name": "Hall"}]
    assert made.entry["tags"] == [{"name": "Monitoring"}]
    assert [(one.filename, one.kind, one.data) for one in made.files] == [
        ("CDC.png", "image/png", PNG),
        ("CDC_heatmap.png", "image/png", PNG[::-1]),
    ]
    for attachment in made.entry["attachments"]:
        assert attachment["fileMetadataDescription"] == "image/png"
        assert f"](attachment/{attachment['id']})" in made.entry["description"]
    assert len({attachment["id"] for attachment in made.entry["attachments"]}) == 2


def test_olog_takes_an_entry_without_pictures(olog, tmp_path):
    service(olog, tmp_path, tags=[]).make(Draft("title", "text", "otto"))
    [made] = olog.made
    assert (made.entry["description"], made.entry["attachments"], made.files) == ("text", [], [])


def test_a_wrong_password_is_said_to_be_one(olog, tmp_path):
    book = service(olog, tmp_path)
    (tmp_path / "olog.password").write_text("wrong", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"logbook\.user: Olog at .* does not let hydra write \(401\)"):
        book.make(DRAFT)
    assert olog.made == []


def test_a_password_that_is_nowhere_is_asked_for(olog, tmp_path, monkeypatch):
    monkeypatch.delenv("HYDRA_LOGBOOK_PASSWORD", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    book = service(olog, tmp_path, password_file=None)
    with pytest.raises(ConfigurationError, match="HYDRA_LOGBOOK_PASSWORD"):
        book.make(DRAFT)
    monkeypatch.setenv("HYDRA_LOGBOOK_PASSWORD", olog.password)
    assert book.make(DRAFT).endswith("/575")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"logbooks": ["None"]}, r"does not take the entry: One or more invalid logbook name\(s\) \(400\)"),
        ({"tags": ["None"]}, r"does not take the entry: One or more invalid tag name\(s\) \(400\)"),
        ({"url": "{url}/elsewhere"}, r"does not take the entry: Not Found \(404\)"),
    ],
)
def test_what_olog_refuses_is_told_in_its_words(olog, tmp_path, words, said):
    told = {key: value.format(url=olog.url) if isinstance(value, str) else value for key, value in words.items()}
    with pytest.raises(ChangeRefused, match=said):
        service(olog, tmp_path, **told).make(DRAFT)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ((500, b'{"error": "Internal Server Error"}'), TryAgain, r"fails: Internal Server Error \(500\)"),
        ((502, b"<html>no gateway</html>"), TryAgain, r"fails: Bad Gateway \(502\)"),
        ((200, b"<html>another service</html>"), ChangeRefused, "is no Olog service"),
        ((200, b'{"number": 3}'), ChangeRefused, "is no Olog service"),
        ((200, b"[]"), ChangeRefused, "is no Olog service"),
        ((302, b""), ChangeRefused, r"does not take the entry: Found \(302\)"),
        ((413, b"[1]"), ChangeRefused, r"\(413\)"),
    ],
)
def test_an_odd_answer_is_a_sentence(olog, tmp_path, answer, kind, said):
    olog.answers = answer
    with pytest.raises(kind, match=said):
        service(olog, tmp_path).make(DRAFT)


def test_a_service_that_is_away_is_said_to_be_away(tmp_path):
    with OlogServer() as gone:
        pass
    with pytest.raises(TryAgain, match="cannot be reached"):
        service(gone, tmp_path).make(DRAFT)


def test_nobody_waits_for_ever_for_a_service_that_hangs(olog, tmp_path, monkeypatch):
    olog.hold = threading.Event()
    monkeypatch.setattr(logbook, "ANSWERS_WITHIN_S", 0.3)
    with pytest.raises(TryAgain, match=r"has not answered within .* look there before you try again"):
        service(olog, tmp_path).make(DRAFT)


# ---- files ----

# The elements of Logentry.xsd that are used here, and what may stand in each: (element, least, most).
FORM = {
    "Logentry": [
        ("created", 1, 1), ("title", 1, 1), ("Author", 1, 1), ("Logbooks", 1, 1), ("Tags", 0, 1),
        ("Entrymakers", 0, 1), ("body", 0, 1), ("Attachments", 0, 1),
    ],
    "Author": [("username", 1, 1)],
    "Logbooks": [("logbook", 1, 99)],
    "Tags": [("tag", 1, 99)],
    "Entrymakers": [("Entrymaker", 1, 99)],
    "Entrymaker": [("username", 1, 1)],
    "Attachments": [("Attachment", 1, 99)],
    "Attachment": [("caption", 1, 1), ("filename", 1, 1), ("type", 1, 1), ("data", 1, 1)],
}  # fmt: skip


def conforms(element: ET.Element) -> None:
    counts: dict[str, int] = {}
    for child in element:
        counts[child.tag] = counts.get(child.tag, 0) + 1
        conforms(child)
    allowed = {tag: (least, most) for tag, least, most in FORM.get(element.tag, [])}
    assert set(counts) <= set(allowed), element.tag
    for tag, (least, most) in allowed.items():
        assert least <= counts.get(tag, 0) <= most, (element.tag, tag)


def elog(folder: Path, **words: Any) -> ElogFolder:
    return ElogFolder(Elog.model_validate({"folder": folder, "logbooks": ["ELOG", "HALL"], "tags": ["Auto"], **words}))


def test_the_folder_gets_one_whole_file_of_the_known_form(tmp_path):
    path = Path(elog(tmp_path).make(DRAFT))
    assert list(tmp_path.iterdir()) == [path]
    assert re.fullmatch(rf"\d{{4}}_\d\d_\d\d_\d{{6}}_{os.getpid()}_.+_\d{{8}}\.xml", path.name)
    root = ET.fromstring(path.read_bytes())
    assert root.tag == "Logentry"
    conforms(root)
    assert root.findtext("title") == DRAFT.title
    assert root.findtext("body") == DRAFT.text
    assert root.find("body").attrib == {"type": "text"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", root.findtext("created"))
    assert [one.text for one in root.findall("Logbooks/logbook")] == ["ELOG", "HALL"]
    assert [one.text for one in root.findall("Tags/tag")] == ["Auto"]
    assert root.findtext("Entrymakers/Entrymaker/username") == "otto"
    attachments = root.findall("Attachments/Attachment")
    assert [one.findtext("filename") for one in attachments] == ["CDC.png", "CDC_heatmap.png"]
    assert all(one.find("data").attrib == {"encoding": "base64"} for one in attachments)
    assert [base64.b64decode(one.findtext("data")) for one in attachments] == [PNG, PNG[::-1]]


def test_what_xml_cannot_hold_is_replaced_and_long_titles_end(tmp_path):
    path = Path(elog(tmp_path, tags=[]).make(Draft("t" * 300, "a\x00b\x1bc\ud800d\ufffe", "o")))
    root = ET.fromstring(path.read_bytes())
    conforms(root)
    assert root.findtext("body") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert root.findtext("title") == "t" * 255


def test_every_entry_is_a_file_of_its_own(tmp_path):
    book = elog(tmp_path)
    assert len({book.make(DRAFT) for _ in range(20)}) == 20
    assert len(list(tmp_path.iterdir())) == 20


def test_a_folder_that_is_away_is_said_to_be_away_and_nothing_half_is_left(tmp_path):
    with pytest.raises(TryAgain, match="No such file or directory"):
        elog(tmp_path / "none").make(DRAFT)
    assert not (tmp_path / "none").exists()


# ---- by hand, through the pages ----


@pytest.fixture
def hall(tmp_path: Path, olog: OlogServer) -> Iterator[World]:
    (tmp_path / "olog.password").write_text(olog.password, encoding="utf-8")
    (tmp_path / "olog.password").chmod(0o600)
    section = (
        f'[logbook]\nkind = "olog"\nurl = "{olog.url}"\nlogbooks = ["Operations"]\nuser = "hydra"\n'
        'password_file = "olog.password"\n'
    )
    made = world(tmp_path, more=section)
    with made.store:
        yield made


ONE = Streak("CDC_occupancy", Status.BAD, ago_s=900, reason="Bad at 0.97, <b>2</b> in a row, beam 201 nA")


@pytest.mark.browser
def test_one_click_makes_an_entry_ready_to_be_edited_and_one_more_sends_it(hall, olog, chromium):
    number = streak(hall.store, ONE, folder=ImageFolder(hall.config.store.images))
    with Pages(hall.settings) as pages, looking(chromium, pages.address) as page:
        page.goto("/log")
        page.get_by_role("button", name="More of CDC_occupancy").click()
        page.get_by_role("link", name="Logbook entry…").click()
        assert page.get_by_label("Title").input_value() == "CDC_occupancy: Bad at 0.97, run 30408"
        text = page.get_by_label("Text").input_value()
        for words in ("<b>2</b> in a row", "cdc-expert@example.org", "Check the HV", "Run: 30408", "Beam: 201 nA",
                      "it lasts", f"{pages.address}/plot/CDC_occupancy", "Images: 3"):  # fmt: skip
            assert words in text
        until(lambda: page.evaluate("[...document.images].every((one) => one.complete && one.naturalWidth > 0)"))
        assert page.get_by_role("row").count() == 3  # the head, and what was seen before
        page.get_by_label("Text").fill(f"{text}\n\nWe are looking into it. {ODD}")
        page.get_by_role("button", name="Put it into Olog").click()
        page.get_by_role("link", name=f"{olog.url}/logs/575").wait_for()
        page.goto("/log")
        page.get_by_role("button", name="More of CDC_occupancy").click()
        assert page.locator(".written a").get_attribute("href") == f"{olog.url}/logs/575"
        page.get_by_role("link", name="Logbook entry…").click()
        assert "There is an entry already" in page.locator("#entry").inner_text()
    [made] = olog.made
    assert ODD in made.entry["description"]
    original, blended = made.files
    assert original.data == picture(ONE)
    [noted] = episodes.get(hall.store, number).entries
    assert noted.reference == f"{olog.url}/logs/575"
    before, after = (np.asarray(Image.open(io.BytesIO(one.data)).convert("RGB")).astype(int) for one in made.files)
    height, width = before.shape[:2]
    hot = np.abs(after - before).sum(axis=2)
    assert hot[int(height * 7.5 / 16), int(width * 11.5 / 24)] > 30  # where the heatmap's cells are
    assert hot[: height // 4].max() == 0
    assert hot[-height // 4 :].max() == 0
    assert blended.filename == "CDC_occupancy_heatmap.png"


@pytest.mark.browser
def test_a_logbook_that_refuses_is_heard_and_the_text_stays(hall, olog, chromium):
    streak(hall.store, ONE)
    olog.answers = (503, b'{"message": "closed for maintenance"}')
    with Pages(hall.settings) as pages, looking(chromium, pages.address) as page:
        page.goto("/log/entry/1")
        page.get_by_label("Title").fill("My own title")
        page.get_by_role("button", name="Put it into Olog").click()
        page.get_by_text("closed for maintenance (503)").wait_for()
        assert page.get_by_label("Title").input_value() == "My own title"
        olog.answers = None
        page.get_by_role("button", name="Put it into Olog").click()
        page.get_by_role("link", name=f"{olog.url}/logs/575").wait_for()
    assert [(made.entry["title"], made.files) for made in olog.made] == [("My own title", [])]


def test_an_entry_may_be_made_by_a_program(hall, olog):
    number = streak(hall.store, ONE, folder=ImageFolder(hall.config.store.images))
    with Pages(hall.settings) as pages, httpx.Client(base_url=pages.address) as client:
        body = {"episode": number, "title": "By a program", "text": "", "pictures": False}
        answer = client.post("/api/v1/logbook", json=body)
        assert answer.json() == {"reference": f"{olog.url}/logs/575", "logbook": "Olog", "pictures": 0}
        assert client.post("/api/v1/logbook", json={**body, "pictures": True}).json()["pictures"] == 2
        for odd in ({"title": ""}, {"title": "  "}, {"title": "x" * 256}, {"title": "a\x00"}, {"episode": 0},
                    {"episode": 2**63}, {"text": "x" * 20_001}):  # fmt: skip
            assert client.post("/api/v1/logbook", json={**body, **odd}).status_code == 422
        assert client.post("/api/v1/logbook", json={**body, "episode": 999}).status_code == 404
        assert client.get("/log/entry/999").status_code == 404
        assert client.get(f"/log/entry/{number}/image").content == picture(ONE)
        assert client.get(f"/log/entry/{number}/blended").headers["content-type"] == "image/png"
        where = ImageFolder(hall.config.store.images).path(episodes.get(hall.store, number).sha256, "png")
        where.unlink()
        assert client.get(f"/log/entry/{number}/image").status_code == 404
        assert client.post("/api/v1/logbook", json={**body, "pictures": True}).json()["pictures"] == 0
    assert [entry.person for entry in episodes.get(hall.store, number).entries] == [
        episodes.get(hall.store, number).entries[0].person
    ] * 3
    assert worst_of(hall.store, number) == episodes.get(hall.store, number).verdict_id


@pytest.mark.browser
def test_without_a_logbook_the_page_offers_text_and_pictures(tmp_path, chromium):
    made = world(tmp_path)
    with made.store:
        streak(made.store, ONE, folder=ImageFolder(made.config.store.images))
        with Pages(made.settings) as pages, looking(chromium, pages.address) as page:
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            page.goto("/log/entry/1")
            page.get_by_role("button", name="Copy the text").click()
            page.get_by_text("Copied.").wait_for()
            copied = page.evaluate("navigator.clipboard.readText()")
            assert copied.startswith("CDC_occupancy: Bad at 0.97, run 30408\n\nHall TEST: ")
            with page.expect_download() as download:
                page.get_by_role("link", name="Download the image").click()
            assert download.value.suggested_filename == "CDC_occupancy.png"
            assert Path(download.value.path()).read_bytes() == picture(ONE)
            assert page.get_by_role("button", name="Put it").count() == 0
