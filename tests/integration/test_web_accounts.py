"""People come in, govern and leave, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Pages, looking, until
from playwright.sync_api import Browser, Page, ViewportSize, expect
from web_world import World, usual, world

from hydrad.domain import Role
from hydrad.store.models.registry import Who
from hydrad.store.people import accounts, passes
from hydrad.web.doors import passwords

pytestmark = pytest.mark.browser

ROOT = Who("root", "counting-1", "cli")
PASSWORD = "correct horse battery"  # noqa: S105  of accounts that live as long as a test
PHONE = {"width": 390, "height": 844}


@dataclass(frozen=True)
class House:
    """Pages with accounts, as a process."""

    world: World
    address: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    here = world(tmp_path_factory.mktemp("accounts"), web='auth = "local"')
    with here.store:
        here.see(*usual(2))
        here.beat()
        for name, role in (("ana", Role.ADMIN), ("otto", Role.LABELER)):
            accounts.add(here.store, name, role, ROOT, hashed=passwords.hashed(PASSWORD))
        with Pages(here.settings) as served:
            yield House(here, served.address)


@pytest.fixture
def house(running: House) -> House:
    return running


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.goto("/account")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Password").press("Enter")


def find_nothing_wrong(page: Page) -> None:
    """Neither by day nor by night, as axe sees it."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{scheme}: {found.generate_report()}"
    page.emulate_media(color_scheme="light")


def fits_the_width(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_somebody_logs_in_lands_where_they_wanted_and_logs_out(house: House, chromium: Browser) -> None:
    with looking(chromium, house.address) as page:
        log_in(page, "otto")
        page.wait_for_url("**/account")
        expect(page.get_by_role("heading", level=1)).to_have_text("otto")
        expect(page.locator(".visitor")).to_have_text("otto")
        assert not page.evaluate("document.cookie")  # scripts cannot read it
        page.get_by_role("button", name="Log out", exact=True).click()
        page.wait_for_url("**/login")
        page.goto("/account")
        expect(page).to_have_url(re.compile(r"/login\?next=/account$"))


def test_a_wrong_password_is_told_and_the_name_stays(house: House, chromium: Browser) -> None:
    with looking(chromium, house.address) as page:
        log_in(page, "otto", "a wrong one")
        expect(page.get_by_role("alert")).to_have_text("name or password is wrong, or the account is disabled")
        expect(page.get_by_label("Name")).to_have_value("otto")
        expect(page.get_by_label("Password")).to_be_focused()
        expect(page.get_by_label("Password")).to_have_value("")
        find_nothing_wrong(page)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/account")


def test_an_admin_adds_a_labeler_who_may_label_and_no_more(house: House, chromium: Browser) -> None:
    with looking(chromium, house.address) as page:
        log_in(page, "ana")
        page.get_by_role("link", name="People").click()
        form = page.locator("#add")
        form.get_by_label("Name").fill("lena")
        form.get_by_label("Role").select_option("labeler")
        form.get_by_label("Password").fill("four words make one")
        form.get_by_label("E-mail").fill("lena@example.org")
        form.get_by_role("button", name="Add").click()
        expect(page.locator("#everybody summary", has_text="lena")).to_contain_text("labeler")
        expect(page.locator("#history tbody tr").first).to_contain_text("added as labeler")
        find_nothing_wrong(page)
        form.get_by_label("Name").fill("LENA")
        form.get_by_role("button", name="Add").click()
        expect(page.locator(".note.trouble")).to_have_text("lena has an account already")
        expect(form.get_by_label("Name")).to_have_value("LENA")  # what was typed stays
    with looking(chromium, house.address) as page:
        log_in(page, "lena", "four words make one")
        page.wait_for_url("**/account")
        assert page.request.get("/api/v1/labeler/leaders").status == 200
        page.goto("/people")
        expect(page.get_by_role("heading", level=1)).to_have_text("Not yours to do")
        expect(page.get_by_role("main")).to_contain_text("this takes the role admin; lena is labeler")
        find_nothing_wrong(page)
        refused = page.evaluate(
            """async () => {
              const answer = await fetch("/api/v1/plots/CDC_occupancy/thresholds/Bad", {
                method: "PUT", headers: {"Content-Type": "application/json"}, body: JSON.stringify({value: 0.9}),
              });
              return [answer.status, (await answer.json()).detail];
            }"""
        )
        assert refused == [403, "this takes the role expert; lena is labeler"]


def test_an_admin_changes_a_role_a_password_and_shuts_somebody_out(house: House, chromium: Browser) -> None:
    zoe = accounts.add(house.world.store, "zoe", Role.VIEWER, ROOT)
    with looking(chromium, house.address) as page:
        log_in(page, "ana")
        page.goto("/people")
        box = page.locator(f"#person-{zoe.id}")
        expect(box.locator("summary")).to_contain_text("no password")
        box.locator("summary").click()
        box.get_by_label("Role").first.select_option("expert")
        box.get_by_role("button", name="Set the role of zoe").click()
        expect(box.locator("summary")).to_contain_text("expert")
        box.get_by_label("New password").fill("a new long password")
        box.get_by_role("button", name="Set the password of zoe").click()
        expect(box.locator("summary")).not_to_contain_text("no password")
        assert box.get_attribute("open") is not None  # it stays folded open
        find_nothing_wrong(page)
        box.get_by_role("button", name="Shut out").click()
        expect(box.locator("summary")).to_contain_text("disabled")
        now = accounts.numbered(house.world.store, zoe.id)
        assert now is not None
        assert (now.role, now.disabled, now.has_password) == (Role.EXPERT, True, True)
        ana = accounts.find(house.world.store, "ana")
        assert ana is not None
        mine = page.locator(f"#person-{ana.id}")
        mine.locator("summary").click()
        mine.get_by_role("button", name="Shut out").click()
        expect(page.locator(".note.trouble")).to_contain_text("ana is the last admin")


def test_a_token_is_shown_once_works_and_is_revoked(house: House, chromium: Browser) -> None:
    with looking(chromium, house.address) as page:
        log_in(page, "otto")
        page.wait_for_url("**/account")
        page.get_by_label("For").fill("grafana")
        page.get_by_role("button", name="Make a token").click()
        secret = page.locator("#secret")
        expect(secret).to_have_value(re.compile(r"^hydrad_[\w-]{43}$"))
        find_nothing_wrong(page)
        shown = {"Authorization": f"Bearer {secret.input_value()}"}
        answer = httpx.get(f"{house.address}/api/v1/session", headers=shown)
        assert (answer.json()["name"], answer.json()["role"], answer.json()["way"]) == ("otto", "viewer", "token")
        expect(page.locator("#tokens tbody tr").first).to_contain_text("grafana")
        page.reload()
        expect(page.locator("#secret")).to_have_count(0)
        assert "hydrad_" not in page.content()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke token").first.click()
        expect(page.locator("#tokens tbody tr").first).to_contain_text("revoked")
        until(lambda: httpx.get(f"{house.address}/api/v1/session", headers=shown).status_code == 401, 5)


def test_one_changes_ones_own_password_and_stays_logged_in(house: House, chromium: Browser) -> None:
    person = accounts.add(house.world.store, "paul", Role.VIEWER, ROOT, hashed=passwords.hashed(PASSWORD))
    with looking(chromium, house.address) as page:
        log_in(page, "paul")
        page.wait_for_url("**/account")
        page.get_by_label("Address").fill("paul@example.org")
        page.get_by_label("The log of the last day").check()
        page.get_by_role("button", name="Keep").click()
        expect(page.locator(".note")).to_have_text("Kept.")
        expect(page.get_by_label("Address")).to_have_value("paul@example.org")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("New password", exact=True).fill("another long password")
        page.get_by_label("New password, once more").fill("another long passwor")
        page.get_by_role("button", name="Change the password").click()
        assert page.evaluate("document.getElementById('again').validationMessage") == "This is not the same as above."
        page.get_by_label("New password, once more").fill("another long password")
        page.get_by_role("button", name="Change the password").click()
        expect(page.locator(".note", has_text="The password is changed")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("paul")
        page.get_by_role("button", name="Log out everywhere").click()
        page.wait_for_url("**/login")
        assert not passes.open_sessions(house.world.store, person.id)
    lock = accounts.lock_of(house.world.store, "paul")
    assert lock is not None
    assert passwords.fits(lock.hashed, "another long password")
    assert (lock.person.email, lock.person.digest_wanted) == ("paul@example.org", True)


@pytest.mark.parametrize("size", [PHONE, {"width": 1366, "height": 768}], ids=["phone", "laptop"])
def test_accounts_people_and_the_api_fit_and_please_axe(house: House, chromium: Browser, size: ViewportSize) -> None:
    ana = accounts.find(house.world.store, "ana")
    assert ana is not None
    passes.make_token(house.world.store, ana, ROOT, purpose="grafana")
    with looking(chromium, house.address, viewport=size) as page:
        page.goto("/login")
        assert fits_the_width(page)
        find_nothing_wrong(page)
        log_in(page, "ana")
        page.wait_for_url("**/account")
        for path in ("/account", "/people", "/api/docs"):
            page.goto(path)
            for details in page.locator("details").all()[:2]:
                details.locator("summary").click()
            assert fits_the_width(page), (path, size)
            find_nothing_wrong(page)
