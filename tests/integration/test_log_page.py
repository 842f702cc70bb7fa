"""The log as people use it: filters without a reload, new entries as they come, comments from the keyboard, a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Pages, looking, until
from log_world import Streak, end, judged, label, streaks
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete
from web_world import World, world

from hydrad.domain import Status
from hydrad.store.history import episodes
from hydrad.store.images import ImageFolder
from hydrad.store.tables import episodes as rows

RUNS = count(1001)
expect.set_options(timeout=20_000)  # the page looks for what is new every 5 s


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world(tmp_path_factory.mktemp("hall"))
    with made.store:
        yield made


@pytest.fixture(scope="module")
def address(hall: World) -> Iterator[str]:
    with Pages(hall.settings) as pages:
        yield pages.address


@pytest.fixture
def run(hall: World) -> Iterator[int]:
    """A run of the test's own; its entries are gone afterwards."""
    number = next(RUNS)
    yield number
    with hall.store.writing() as connection:
        connection.execute(delete(rows).where(rows.c.first_run == number, rows.c.acknowledged_at.is_(None)))


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    with looking(chromium, address, viewport={"width": 1366, "height": 768}) as opened:
        yield opened


def put(hall: World, run: int, *found: Streak, images: bool = False) -> list[int]:
    folder = ImageFolder(hall.config.store.images) if images else None
    return streaks(hall.store, [replace(one, run=run) for one in found], folder=folder)


def plots(page: Page) -> list[str]:
    return page.locator("tbody.entry .plot a").all_inner_texts()


def shows(page: Page, *names: str) -> None:
    expect(page.locator("tbody.entry .plot a")).to_have_text(list(names))


# ---- the page ----


@pytest.mark.browser
def test_the_log_shows_what_lasts_before_what_has_ended(hall, page, run):
    put(
        hall, run,
        Streak("A_ended", Status.SUSPECT, ago_s=4000, lasted_s=90, confidence=0.55),
        Streak("A_lasts", ago_s=7205, images=14),
        Streak("A_stale", Status.STALE, ago_s=90_000, label=None, confidence=None, reason="no image for 25 h"),
    )  # fmt: skip
    page.goto(f"/log?run={run}")
    shows(page, "A_lasts", "A_stale", "A_ended")
    first, stale, ended = page.locator("tbody.entry > tr:first-child").all()
    assert "BAD" in first.inner_text()
    assert "Bad @ 0.97" in first.inner_text()
    assert re.search(r"2 h 00 min\s+lasts", first.inner_text())
    assert "14" in first.inner_text()
    assert "201 nA" in first.inner_text()
    assert "no image for 25 h" in stale.inner_text()
    assert "90 s" in ended.inner_text()
    assert "lasts" not in ended.inner_text()
    began = datetime.now(UTC) - timedelta(seconds=7205)
    local = began.astimezone(hall.config.hall.zone)
    assert f"{local:%m-%d %H:}" in first.inner_text()


@pytest.mark.browser
def test_a_filter_takes_effect_at_once_and_stands_in_the_address(hall, page, run):
    label(hall.store, f"B{run}_x", "Cosmic")
    put(
        hall, run,
        Streak(f"B{run}_x", ago_s=100, label="Cosmic"),
        Streak(f"B{run}_y", Status.NODATA, ago_s=200, lasted_s=20),
        Streak(f"C{run}_z", Status.SUSPECT, ago_s=40_000, lasted_s=20),
    )  # fmt: skip
    page.goto("/log")
    page.evaluate("window.stays = true")
    page.get_by_label("Run").fill(str(run))
    shows(page, f"B{run}_x", f"B{run}_y", f"C{run}_z")
    page.get_by_role("combobox", name="Detector").select_option(f"B{run}")
    shows(page, f"B{run}_x", f"B{run}_y")
    page.get_by_role("checkbox", name="NODATA").uncheck()
    shows(page, f"B{run}_x")
    page.get_by_role("checkbox", name="NODATA").check()
    shows(page, f"B{run}_x", f"B{run}_y")
    page.get_by_role("combobox", name="Label").select_option("Cosmic")
    shows(page, f"B{run}_x")
    page.get_by_role("combobox", name="Label").select_option("")
    page.get_by_role("combobox", name="Detector").select_option("")
    page.get_by_label("Plot").fill(f"C{run}_z")
    shows(page, f"C{run}_z")
    page.get_by_label("8 h").check()
    expect(page.locator("#empty")).to_be_visible()
    page.get_by_label("24 h").check()
    shows(page, f"C{run}_z")
    until(lambda: "last=day" in page.url)
    assert page.evaluate("window.stays")
    page.reload()
    shows(page, f"C{run}_z")
    assert page.get_by_label("Plot").input_value() == f"C{run}_z"
    soon = (datetime.now(hall.config.hall.zone) - timedelta(seconds=39_000)).strftime("%Y-%m-%dT%H:%M")
    page.get_by_label("Plot").fill("")
    page.get_by_label("from").fill(soon)
    shows(page, f"B{run}_x", f"B{run}_y")
    page.get_by_label("from").fill("")
    page.get_by_label("until").fill(soon)
    shows(page, f"C{run}_z")


@pytest.mark.browser
def test_an_empty_log_says_why(hall, page, run):
    def says(query: str) -> str:
        page.goto(f"/log?{query}")
        return page.locator("#empty").inner_text()

    past = "since=2001-01-01T00:00Z&until=2001-01-01T12:00Z"
    hall.beat()
    assert says(past) == "No image was judged in this time."
    judged(hall.store, "A_quiet", datetime(2001, 1, 1, 4, tzinfo=UTC), 123_000)
    judged(hall.store, "A_quiet", datetime(2001, 1, 1, 5, tzinfo=UTC), 456)
    assert says(past) == "No faults in this time; 123,456 images judged."
    hall.beat(ago_s=7200)
    heard = (datetime.now(UTC) - timedelta(hours=2)).astimezone(hall.config.hall.zone)
    judged_words, daemon = says(past).split(". ", 1)
    assert judged_words == "No faults in this time; 123,456 images judged"
    assert re.fullmatch(rf"The daemon was last heard of at {heard:%Y-%m-%d} \d\d:\d\d\.", daemon)
    assert says(f"run={run}").startswith(f"No image was judged in run {run}.")
    put(hall, run, Streak("A_one", ago_s=50))
    assert says(f"plot=A_one&label=None&run={run}") == f"The only entry of run {run} does not fit these filters."
    put(hall, run, Streak("A_two", ago_s=50))
    assert says(f"plot=A_one&label=None&run={run}") == f"None of the 2 entries of run {run} fits these filters."
    assert says("run=soon").startswith("run: input should be a valid integer")


@pytest.mark.browser
def test_a_new_entry_appears_by_itself_and_an_old_one_ends(hall, page, run):
    [first] = put(hall, run, Streak("D_first", ago_s=30))
    page.goto(f"/log?run={run}")
    shows(page, "D_first")
    page.get_by_role("button", name="More of D_first").click()
    put(hall, run, Streak("D_second", ago_s=5))
    shows(page, "D_second", "D_first")
    expect(page.locator("#news")).to_have_text("New in the log: D_second")
    assert page.locator("tbody.fresh .plot a").inner_text() == "D_second"
    end(hall.store, first)
    expect(page.locator("tbody", has_text="D_first").locator("time")).to_have_count(2)
    assert page.get_by_role("button", name="More of D_first").get_attribute("aria-expanded") == "true"


@pytest.mark.browser
def test_a_row_opens_to_its_image_under_its_heatmap(hall, page, run):
    [number] = put(hall, run, Streak("CDC_occupancy", ago_s=300, reason="<i>two</i> in a row"), images=True)
    page.goto(f"/log?run={run}")
    more = page.locator(f"#more-{number}")
    assert more.is_hidden()
    opens = page.get_by_role("button", name="More of CDC_occupancy")
    opens.focus()
    page.keyboard.press("Enter")
    expect(more).to_be_visible()
    assert opens.get_attribute("aria-expanded") == "true"
    assert "<i>two</i> in a row" in more.inner_text()
    assert "Check the HV of the boards" in more.inner_text()
    until(lambda: page.evaluate("[...document.querySelectorAll('.picture img')].every((one) => one.naturalWidth > 0)"))
    image, heat = (one.bounding_box() for one in page.locator(".picture img").all())
    assert image["width"] > 200
    assert all(abs(image[side] - heat[side]) <= 1 for side in image)
    page.get_by_label("Heatmap").uncheck()
    expect(page.locator(".picture .heat")).to_be_hidden()
    page.keyboard.press("Escape")
    opens.click()
    expect(more).to_be_hidden()


@pytest.mark.browser
def test_a_comment_is_given_from_the_keyboard(hall, page, run):
    [number] = put(hall, run, Streak("E_one", ago_s=60))
    page.goto(f"/log?run={run}")
    page.get_by_role("button", name="Acknowledge E_one").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("HV board 7 <is> off")
    page.keyboard.press("Enter")
    expect(page.locator(".seen q")).to_have_text("HV board 7 <is> off")
    [said] = episodes.get(hall.store, number).acknowledgements
    assert said.comment == "HV board 7 <is> off"
    expect(page.get_by_role("button", name="More of E_one")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Say more…").click()
    page.keyboard.press("Escape")
    expect(page.locator("#acknowledging")).to_be_hidden()
    page.get_by_role("button", name="Say more…").click()
    page.keyboard.type("back on")
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".seen q")).to_have_text("back on")
    expect(page.locator(".said li")).to_have_count(2)


@pytest.mark.browser
def test_all_that_is_shown_is_acknowledged_at_once(hall, page, run):
    mine = put(hall, run, *(Streak(f"F_{n}", ago_s=60 + n) for n in range(3)))
    episodes.acknowledge(hall.store, mine[:1], comment="mine", person="anna", host="h")
    page.goto(f"/log?run={run}&acknowledged=no")
    shows(page, "F_1", "F_2")
    page.get_by_role("button", name="Acknowledge all shown").click()
    assert page.locator("#acknowledging-what").inner_text() == "2 entries"
    page.keyboard.type("end of shift")
    page.keyboard.press("Enter")
    expect(page.locator("tbody.entry")).to_have_count(0)
    assert [[said.comment for said in episodes.get(hall.store, n).acknowledgements] for n in mine] == [
        ["mine"], ["end of shift"], ["end of shift"],
    ]  # fmt: skip


@pytest.mark.browser
def test_older_entries_come_to_those_that_are_there(hall, page, run):
    put(hall, run, *(Streak(f"G_{n:03}", ago_s=100 + n, lasted_s=1) for n in range(130)))
    page.goto(f"/log?run={run}")
    expect(page.locator("tbody.entry")).to_have_count(100)
    page.get_by_role("link", name="Older entries").click()
    expect(page.locator("tbody.entry")).to_have_count(130)
    assert plots(page) == [f"G_{n:03}" for n in range(130)]
    expect(page.get_by_role("link", name="Older entries")).to_have_count(0)
    put(hall, run, Streak("G_new", ago_s=1))
    expect(page.locator("tbody.entry")).to_have_count(131)
    assert plots(page)[:2] == ["G_new", "G_000"]


@pytest.mark.browser
def test_a_server_that_is_gone_is_said_to_be_gone_and_its_return_is_noticed(hall, page, run):
    put(hall, run, Streak("H_one", ago_s=60))
    page.goto(f"/log?run={run}")
    page.context.set_offline(True)
    expect(page.locator("#unreachable")).to_be_visible()
    assert "cannot be reached since" in page.locator("#unreachable").inner_text()
    shows(page, "H_one")
    page.context.set_offline(False)
    expect(page.locator("#unreachable")).to_be_hidden()


@pytest.mark.browser
def test_the_table_is_downloaded_as_it_is_filtered(hall, page, run):
    put(hall, run, Streak("I_one", ago_s=60), Streak("J_one", ago_s=60))
    page.goto(f"/log?run={run}&detector=J")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert re.fullmatch(r"hydra-log-TEST-[\d-]+\.csv", download.value.suggested_filename)
    text = download.value.path().read_text(encoding="utf-8")
    assert [row["plot"] for row in csv.DictReader(io.StringIO(text))] == ["J_one"]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1366, 768), (390, 844)], ids=["laptop", "phone"])
def test_everybody_can_use_it(hall, chromium, address, run, scheme, size):
    [number, *_] = put(
        hall, run,
        Streak("CDC_occupancy", ago_s=300),
        *(Streak(f"K_{status.name}", status, ago_s=900, lasted_s=60) for status in (Status.NODATA, Status.STALE,
                                                                                Status.SUSPECT, Status.UNFAMILIAR)),
        images=True,
    )  # fmt: skip
    episodes.acknowledge(hall.store, [number], comment="seen " * 20, person="otto", host="h")
    episodes.note_entry(
        hall.store,
        episodes.get(hall.store, number),
        title="CDC is bad",
        person="o",
        host="h",
        reference="http://olog/1",
    )
    options = {"viewport": {"width": size[0], "height": size[1]}, "color_scheme": scheme}
    with looking(chromium, address, **options) as page:
        for path in (f"/log?run={run}", f"/log/entry/{number}", f"/log?run={run + 10**6}"):
            page.goto(path)
            if page.get_by_role("button", name="More of CDC_occupancy").count():
                page.get_by_role("button", name="More of CDC_occupancy").click()
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        page.goto(f"/log?run={run}&acknowledged=no")
        page.get_by_role("button", name="Acknowledge K_STALE").click()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


# ---- for programs ----


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address) as opened:
        yield opened


def test_programs_page_through_the_log(hall, client, run):
    put(hall, run, *(Streak(f"L_{n}", ago_s=100 + n, lasted_s=None if n < 3 else 2) for n in range(7)))
    found, before = [], None
    while True:
        params = {"run": run, "limit": 2} | ({"before": before} if before else {})
        document = client.get("/api/v1/episodes", params=params).json()
        found += document["episodes"]
        before = document["older"]
        if before is None:
            break
    assert [one["plot"] for one in found] == [f"L_{n}" for n in range(7)]
    one = client.get(f"/api/v1/episodes/{found[0]['id']}").json()
    assert {**one, "duration_s": 0} == {**found[0], "duration_s": 0}
    assert one["started_at"].endswith("Z")
    assert one["beam"] == {"state": "ON", "current": 201.3, "units": "nA"}


@pytest.mark.parametrize(
    "query",
    [
        "run=-1", "run=9223372036854775808", "run=x", "limit=0", "limit=501", "since=0001-01-01", "since=soon",
        "until=9999-12-31T23:59:59Z", "status=FINE", "acknowledged=maybe", "last=year", "plot=", "plot=%00",
        f"plot={'x' * 301}", "before=1", "before=x-1-1", "before=-123456789012345678-1", "label=%00",
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(client, query):
    assert client.get(f"/api/v1/episodes?{query}").status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "run=9223372036854775807", "before=99999999999999999-99999999999999999-9999999999999999999", "before=-0-0",
        "plot=%FF%FE",
        "plot=a%27%20OR%201=1", "since=1970-01-01T00:00:00-14:00", "until=2999-12-31", "label=%F0%9F%94%A5",
        "status=BAD&status=BAD", "detector=..%2F..",
    ],
)  # fmt: skip
def test_what_is_merely_odd_finds_nothing_or_something(client, query):
    answer = client.get(f"/api/v1/episodes?{query}")
    assert answer.status_code == 200
    assert isinstance(answer.json()["episodes"], list)
    assert client.get(f"/log?{query}").status_code == 200
    assert client.get(f"/log.csv?{query}").status_code == 200


def test_an_acknowledgement_is_checked(hall, client, run):
    [number] = put(hall, run, Streak("M_one"))
    path = f"/api/v1/episodes/{number}/acknowledge"
    for body in (b"", b"[]", b'{"comment": 3}', b'{"comment": "\\ud800"}', b'{"comment": "\\u0000"}',
                 b'{"comment": "' + b"x" * 2001 + b'"}'):  # fmt: skip
        assert client.post(path, content=body, headers={"Content-Type": "application/json"}).status_code == 422
    assert client.post("/api/v1/episodes/999999/acknowledge", json={}).status_code == 404
    assert client.post(f"/api/v1/episodes/{2**63}/acknowledge", json={}).status_code == 422
    assert client.post("/api/v1/episodes/acknowledge", json={"ids": []}).status_code == 422
    assert client.post("/api/v1/episodes/acknowledge", json={"ids": [999_999]}).json() == {"episodes": []}
    assert client.post(path, json={}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert episodes.get(hall.store, number).acknowledgements == ()
    [told] = client.post(path, json={"comment": " two\r\nlines "}).json()["episodes"]
    assert told["acknowledgements"][0]["comment"] == "two\nlines"


def test_no_cell_of_the_table_is_a_formula(hall, client, run):
    odd = ["=1+1", "+1", "-1", "@x", "\tx", 'a,"b"\r\nc', "漢字", "'x"]
    made = put(hall, run, *(Streak(f"N_{n}", ago_s=100 + n, reason=text) for n, text in enumerate(odd)))
    episodes.acknowledge(hall.store, made[:1], comment="=HYPERLINK(1)", person="-otto", host="h")
    answer = client.get("/log.csv", params={"run": run})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.content.count(b"\r\n") >= len(odd) + 1
    table = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["reason"] for row in table] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", 'a,"b"\r\nc', "漢字", "'x"]
    assert (table[0]["comment"], table[0]["acknowledged_by"]) == ("'=HYPERLINK(1)", "'-otto")
    assert table[0]["confidence"] == "0.97"
    started = datetime.fromisoformat(table[0]["started_utc"])
    assert f"{started.astimezone(hall.config.hall.zone):%Y-%m-%d %H:%M:%S}" == table[0]["started_local"]
    assert table[0]["lasts"] == "yes"
    assert table[0]["ended_utc"] == ""


def test_the_table_is_as_long_as_the_log(hall, client, run):
    put(hall, run, *(Streak(f"O_{n % 7}", ago_s=5000 + n, lasted_s=1) for n in range(1203)))
    lines = client.get("/log.csv", params={"run": run}).text.splitlines()
    assert len(lines) == 1204


def test_names_of_any_bytes_are_shown(hall, client, run):
    [number] = put(hall, run, Streak("P_\udcff odd?#/name", ago_s=10))
    for path in (f"/api/v1/episodes?run={run}", f"/log?run={run}", f"/log.csv?run={run}", f"/log/entry/{number}",
                 f"/api/v1/episodes/{number}"):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 200
        assert "P_\\\\udcff" in answer.text or "P_\\udcff" in answer.text
