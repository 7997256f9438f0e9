"""The pages about accounts in a browser: both languages, desk and phone, accessible."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.archives import PASSWORD, archive_in, signed_in
from tests.browser.screens import LANGUAGES, SCREENS, opened
from tests.browser.test_people_pages import faults_of
from tests.serving import Server, serving

from huitong.access.model import Role

PAGES = {
    "account": "/account",
    "accounts": "/accounts",
    "accounts-none": "/accounts?q=xyz",
    "account-of": "/accounts/sun",
}


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("accounts") / "data"
    with archive_in(data) as archive:
        work, accounts = archive.access.local(), archive.access.accounts
        roles = {"display": "赵管理", "institution": None, "roles": frozenset({Role.ADMIN, Role.SUPERVISOR})}
        accounts.add(work, "zhao", PASSWORD, **roles, known=False)
        for name, shown in (("sun", "孙主任"), ("li", "李医生"), ("zhou", "周医生")):
            given = {"display": shown, "institution": "TAIYUAN", "roles": frozenset({Role.DOCTOR, Role.REGISTRAR})}
            accounts.add(work, name, PASSWORD, **given, known=False)
        accounts.set_active(work, "zhou", active=False)
        signed_in(archive, "wang", person="HT3V8Q2M7K")
        accounts.sign_in("sun", PASSWORD, "10.20.30.40", "Chrome, Windows")
        accounts.sign_in("zhao", PASSWORD, "10.20.30.41", "Firefox, Linux")
    with serving(data, "--readers", "192.0.2.0/24", "--totp-roles", "") as running:
        yield running


def _sign_in(tab: Page) -> None:
    tab.goto("/sign-in")
    tab.fill("#name", "zhao")
    tab.fill("#password", PASSWORD)
    tab.click("main button")
    tab.wait_for_url("**/audit")  # where a supervisor begins


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_everybody_can_use_the_pages(chromium: Browser, server: Server, screen: str, language: str) -> None:
    context = opened(chromium, server, screen, language)
    tab = context.new_page()
    _sign_in(tab)
    faults = {}
    for name, path in PAGES.items():
        tab.goto(path)
        if name == "accounts":
            tab.click("summary")
        faults[name] = _look(tab, f"{name}-{screen}-{language}", SCREENS[screen][0])
    tab.goto("/account")
    tab.fill("#proof", PASSWORD)
    tab.click("section:has(#authenticator) button")
    tab.wait_for_selector("#code")
    assert tab.evaluate("document.querySelector('.account img').naturalWidth") > 100
    faults["enrolling"] = _look(tab, f"account-enrolling-{screen}-{language}", SCREENS[screen][0])
    tab.goto("/accounts/li")
    tab.click("button[value=password]")
    tab.wait_for_selector(".once")
    faults["once"] = _look(tab, f"account-once-{screen}-{language}", SCREENS[screen][0])
    context.close()
    assert {name: each for name, each in faults.items() if each} == {}


def test_an_admin_adds_an_account_by_keys(chromium: Browser, server: Server) -> None:
    context = opened(chromium, server, "desk", "zh")
    tab = context.new_page()
    _sign_in(tab)
    tab.goto("/accounts")
    tab.focus("summary")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    tab.keyboard.type("qian")
    tab.keyboard.press("Tab")
    tab.keyboard.type("钱医生")
    tab.focus("input[value=doctor]")
    tab.keyboard.press("Space")
    tab.focus("#name")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".once")
    password = tab.inner_text(".once")
    context.close()
    other = opened(chromium, server, "phone", "zh")
    tab = other.new_page()
    tab.goto("/sign-in")
    tab.fill("#name", "qian")
    tab.fill("#password", password)
    tab.click("main button")
    for field in ("#new", "#again"):
        tab.fill(field, "one of my own")
    tab.click("main button")
    tab.wait_for_url(f"{server.base}/")
    tab.click(".asker a")
    tab.wait_for_url("**/account")
    assert "钱医生" in tab.inner_text("h1")
    other.close()


def _look(tab: Page, name: str, width: int) -> list[tuple[str, object]]:
    if folder := os.environ.get("SCREENSHOTS"):
        tab.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    return faults_of(tab, width)
