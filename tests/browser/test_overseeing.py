"""The supervisor's pages of who looked, in both languages, wide and narrow: accessible, fitting, usable by keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.archives import PASSWORD, archive_in, signed_in
from tests.askers import doctor, work_of
from tests.browser.conftest import NODE_MODULES
from tests.serving import Server, serving

from huitong.access import auditing
from huitong.access.auditing import Looked
from huitong.access.model import Role


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("audit") / "data"
    with archive_in(data) as archive:
        signed_in(archive, "sun", Role.SUPERVISOR)
        for number in range(60):
            allowed = number % 5 != 0
            what = Looked(
                "imaging.see", allowed, "open visit" if allowed else "none", "TREAT" if allowed else "",
                f"HT7Q2M8ZK4N1{number:02}", "study", f"1.2.826.0.1.3680043.10.1234.20261119.{number}", "YUNCHENG",
            )  # fmt: skip
            auditing.record(work_of(archive, doctor()), what)
        archive.access.heads.make()
    with serving(data, "--readers", "192.0.2.0/24", "--totp-roles", "") as running:
        yield running


@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
@pytest.mark.parametrize("width", [1366, 390])
def test_a_supervisor_finds_who_looked(
    chromium: Browser, server: Server, pictures: Path, width: int, language: str
) -> None:
    size: Any = {"width": width, "height": 800}
    with closing(chromium.new_context(viewport=size, base_url=server.base)) as context:
        context.request.get(f"/language/{language}")
        tab = context.new_page()
        tab.goto("/sign-in?next=/audit")
        tab.fill("#name", "sun")
        tab.fill("#password", PASSWORD)
        tab.click("main button")
        tab.wait_for_url(f"{server.base}/audit")
        expect(tab.locator(".listing:not(.heads) tbody tr")).to_have_count(50)
        expect(tab.locator(".heads tbody tr")).to_have_count(1)
        _look(tab, pictures / f"audit-{width}-{language}.png", width)
        tab.select_option("#outcome", "refused")
        tab.focus("#object")
        tab.keyboard.type("1.2.826.0.1.3680043.10.1234.20261119.5")
        tab.keyboard.press("Enter")
        expect(tab.locator(".listing:not(.heads) tbody tr")).to_have_count(1)
        tab.locator("a.open").focus()
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/audit/*")
        expect(tab.locator("dl.facts")).to_contain_text("HT7Q2M8ZK4N105")
        _look(tab, pictures / f"audit-line-{width}-{language}.png", width)
        tab.goto("/audit?object=none")
        _look(tab, pictures / f"audit-none-{width}-{language}.png", width)


def _look(tab: Page, picture: Path, width: int) -> None:
    tab.screenshot(path=picture, full_page=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.evaluate((NODE_MODULES / "axe-core/axe.min.js").read_text("utf-8"))
    assert tab.evaluate("axe.run()")["violations"] == []
