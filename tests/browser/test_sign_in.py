"""Signing in as a browser does it, looked at on both screens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.archives import PASSWORD, archive_in, signed_in
from tests.browser.conftest import NODE_MODULES
from tests.serving import Server, serving

from huitong.access.actions import SESSION_COOKIE
from huitong.access.model import Role


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("sign-in") / "data"
    with archive_in(data) as archive:
        signed_in(archive, "zhang", Role.DOCTOR, institution="TAIYUAN")
        signed_in(archive, "zhao", Role.ADMIN)
        for name in ("sun-1366", "sun-390"):
            accounts, work = archive.access.accounts, archive.access.local()
            accounts.add(work, name, PASSWORD, institution="TAIYUAN", roles=frozenset({Role.DOCTOR}))
    with serving(data, "--readers", "192.0.2.0/24") as running:
        yield running


@pytest.mark.parametrize("width", [1366, 390])
def test_a_doctor_signs_in_and_is_where_they_wanted_to_be(chromium: Browser, server: Server, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 768})
    tab = context.new_page()
    tab.goto(f"{server.base}/people")
    assert "/sign-in?next=" in tab.url
    _look(tab, f"sign-in-{width}", width)
    tab.fill("#name", "zhang")
    tab.fill("#password", PASSWORD)
    tab.click("main button")
    tab.wait_for_url(f"{server.base}/people")
    cookie = next(each for each in context.cookies() if each["name"] == SESSION_COOKIE)
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    context.close()


@pytest.mark.parametrize("width", [1366, 390])
def test_an_authenticator_is_shown_to_be_enrolled(chromium: Browser, server: Server, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 768})
    tab = context.new_page()
    tab.goto(f"{server.base}/sign-in")
    tab.fill("#name", "zhao")
    tab.fill("#password", PASSWORD)
    tab.click("main button")
    tab.wait_for_selector("#code")
    assert tab.evaluate("document.querySelector('.sign-in img').naturalWidth") > 100
    _look(tab, f"sign-in-code-{width}", width)
    context.close()


@pytest.mark.parametrize(("width", "language"), [(1366, "zh-CN"), (390, "en-US")])
def test_a_first_password_is_changed_before_anything_opens(
    chromium: Browser, server: Server, width: int, language: str
) -> None:
    context = chromium.new_context(base_url=server.base, viewport={"width": width, "height": 768})
    context.request.get(f"/language/{language}")
    tab = context.new_page()
    tab.goto("/people")
    tab.fill("#name", f"sun-{width}")
    tab.fill("#password", PASSWORD)
    tab.click("main button")
    tab.wait_for_url("**/sign-in/password?next=%2Fpeople")
    tab.goto("/")
    tab.wait_for_url("**/sign-in/password?next=%2F")
    _look(tab, f"sign-in-password-{width}", width)
    for new in (PASSWORD, "one of my own"):
        tab.fill("#new", new)
        tab.fill("#again", new)
        tab.keyboard.press("Enter")
        if new == PASSWORD:
            tab.wait_for_selector("[role=alert]")
            _look(tab, f"sign-in-password-wrong-{width}", width)
    tab.wait_for_url(f"{server.base}/")
    context.close()


def _look(tab: Page, name: str, width: int) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        tab.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.evaluate((NODE_MODULES / "axe-core/axe.min.js").read_text("utf-8"))
    assert tab.evaluate("axe.run()")["violations"] == []
