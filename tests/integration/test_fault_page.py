"""A page that cannot be shown says why, and shows itself once it can be."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import Pages, looking
from databases import started
from playwright.sync_api import Browser, expect
from web_world import usual, world


@pytest.mark.browser
@pytest.mark.mariadb
def test_a_page_comes_by_itself_when_the_data_base_is_back(
    tmp_path: Path, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started() as server:
        url = server.create()
        monkeypatch.setenv("HYDRA_DB_PASSWORD", str(url.password))
        here = world(tmp_path, url=url._replace(password=None).render_as_string(hide_password=False))
        with here.store:
            here.see(*usual())
            with Pages(here.settings) as pages, looking(chromium, pages.address) as page:
                server.kill()
                page.goto("/log")
                expect(page.locator("h1")).to_have_text("Not now")
                expect(page.locator("main")).to_contain_text("asked for again until it can be shown")
                server.start()
                expect(page.locator("h1")).to_have_text("Log", timeout=30_000)
