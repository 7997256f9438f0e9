"""Signing in by a real OpenID Provider in a real browser, and everything by which that must come to nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy import select
from tests.archives import PASSWORD, archive_in, signed_in
from tests.browser.conftest import NODE_MODULES
from tests.openid.provider import SECRET, Provider, provider_for
from tests.serving import Server, free_port, huitong, serving

from huitong.access.actions import SESSION_COOKIE
from huitong.access.model import Role
from huitong.store.tables import LEDGER

MAPPING = """
[bind]
claim = "preferred_username"

[create]
name = "preferred_username"
institution = "org"
roles = "groups"

[create.institutions]
"TY-ORG" = "TAIYUAN"

[create.role]
"ward-doctors" = "doctor"
"supervisors" = "supervisor"
"""


@dataclass
class Place:
    server: Server
    provider: Provider
    data: Path
    base: str


@pytest.fixture(scope="module")
def place(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A hospital's exchange with local accounts, and a provider on another host (`localhost`, we are 127.0.0.1)."""
    folder = tmp_path_factory.mktemp("openid")
    data, port = folder / "data", free_port()
    (folder / "mapping.toml").write_text(MAPPING, "utf-8")
    with archive_in(data) as archive:
        signed_in(archive, "zhang", Role.DOCTOR, institution="TAIYUAN")
    base = f"http://127.0.0.1:{port}"
    with provider_for(base) as provider:
        flags = [
            "--readers", "192.0.2.0/24", "--http", f"127.0.0.1:{port}", "--public-url", base,
            "--oidc-issuer", provider.issuer, "--oidc-client-id", "huitong", "--oidc-client-secret", SECRET,
            "--oidc-mapping", str(folder / "mapping.toml"), "--oidc-second-factor", "otp",
            "--sign-ins-per-min", "0",
        ]  # fmt: skip
        with serving(data, *flags) as server:
            yield Place(server, provider, data, base)


@pytest.fixture
def context(chromium: Browser, place: Place) -> Iterator[BrowserContext]:
    opened = chromium.new_context(base_url=place.base, viewport={"width": 1366, "height": 768})
    opened.set_default_timeout(30_000)
    yield opened
    opened.close()


@pytest.fixture
def tab(context: BrowserContext) -> Page:
    return context.new_page()


def leave(tab: Page, path: str = "/people") -> None:
    """To the provider's form, by our button."""
    tab.goto(path)
    tab.click("a.provider")
    tab.wait_for_selector("input[name=login]")


def sign_in(tab: Page, name: str, path: str = "/people") -> None:
    leave(tab, path)
    tab.fill("input[name=login]", name)
    tab.fill("input[name=password]", "any")
    tab.click("button[type=submit]")
    tab.wait_for_selector("input[name=prompt][value=consent]", state="attached")
    tab.click("button[type=submit]")
    tab.wait_for_load_state()


def is_signed_in(context: BrowserContext) -> bool:
    return any(each["name"] == SESSION_COOKIE for each in context.cookies("http://127.0.0.1"))


def test_who_signs_in_at_the_provider_lands_where_they_wanted_to_be(tab: Page, place: Place) -> None:
    sign_in(tab, "zhang", "/people?q=%E7%8E%8B")
    assert tab.url == f"{place.base}/people?q=%E7%8E%8B"
    cookies = {each["name"]: each for each in tab.context.cookies(place.base)}
    assert cookies[SESSION_COOKIE]["httpOnly"]
    assert "huitong_openid" not in cookies
    # The account that was there keeps what it had, and its password.
    assert tab.inner_text(".asker a") == "zhang"


def test_an_account_is_made_by_the_mapping_and_follows_the_provider(tab: Page, place: Place) -> None:
    sign_in(tab, "li")
    assert tab.url == f"{place.base}/people"
    assert tab.inner_text(".asker a") == "li 医师"
    listed = huitong("account", "list", "--data", str(place.data), "--demo").stdout
    row = next(line for line in listed.splitlines() if line.startswith("li "))
    assert "TAIYUAN" in row
    assert "doctor" in row


def test_a_second_factor_of_the_provider_is_enough_and_without_one_ours_is_asked(
    chromium: Browser, place: Place, context: BrowserContext, tab: Page
) -> None:
    with place.provider.tampering("second-factor"):  # `amr` has "otp", and supervisors need an authenticator
        sign_in(tab, "chief", "/break-glass")
    assert tab.url == f"{place.base}/break-glass"
    assert huitong("account", "roles", "zhang", "--role", "supervisor", *_data(place)).returncode == 0
    try:
        other = chromium.new_context(base_url=place.base)
        second = other.new_page()
        sign_in(second, "zhang", "/break-glass")
        assert "/sign-in/code" in second.url
        other.close()
    finally:
        huitong("account", "roles", "zhang", "--role", "doctor", *_data(place))


def _data(place: Place) -> tuple[str, ...]:
    return ("--data", str(place.data), "--demo")


def test_somebody_whom_the_mapping_gives_nothing_has_no_account(tab: Page, context: BrowserContext) -> None:
    sign_in(tab, "liu")
    assert tab.get_by_role("alert").is_visible()
    assert tab.locator("#name").is_visible()
    assert not is_signed_in(context)


TAMPERED = (
    "nonce", "expired", "audience", "authorized-party", "issuer", "later", "none", "secret", "stranger", "altered",
)  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_an_id_token_that_is_not_right_signs_nobody_in(
    tab: Page, context: BrowserContext, place: Place, how: str
) -> None:
    with place.provider.tampering(how):
        sign_in(tab, "zhang")
        assert tab.get_by_role("alert").is_visible()
        assert not is_signed_in(context)
    tab.click("a.provider")  # and then it is right
    tab.wait_for_url(f"{place.base}/people")
    assert is_signed_in(context)


def test_it_can_be_left_off_at_the_provider(tab: Page, context: BrowserContext, place: Place) -> None:
    leave(tab)
    tab.click("text=Cancel")
    tab.wait_for_url(f"{place.base}/sign-in/openid/back*")
    assert tab.get_by_role("alert").is_visible()
    assert not is_signed_in(context)
    assert tab.input_value("input[name=next]", strict=True) == "/people"  # it is not forgotten where they were going


def _callback(tab: Page, name: str = "zhang") -> str:
    """The address to which the provider sends the browser back, which does not follow it."""
    leave(tab)
    tab.fill("input[name=login]", name)
    tab.fill("input[name=password]", "any")
    tab.click("button[type=submit]")
    tab.wait_for_selector("input[name=prompt][value=consent]", state="attached")
    asking, form = tab.context.request, tab.get_attribute("form", "action")
    agreed = asking.post(str(form), form={"prompt": "consent"}, max_redirects=0)
    return asking.get(agreed.headers["location"], max_redirects=0).headers["location"]


def test_another_state_is_refused(tab: Page, context: BrowserContext) -> None:
    address = _callback(tab)
    tab.goto(address.replace("state=", "state=x"))
    assert not is_signed_in(context)
    assert tab.get_by_role("alert").is_visible()


def test_what_began_in_another_browser_does_not_end_in_this_one(chromium: Browser, tab: Page, place: Place) -> None:
    address = _callback(tab)
    other = chromium.new_context(base_url=place.base)
    stranger = other.new_page()
    stranger.goto(address)
    assert not is_signed_in(other)
    leave(stranger)  # nor with a cookie of its own
    stranger.goto(address)
    assert not is_signed_in(other)
    other.close()


def test_a_code_is_good_once(tab: Page, context: BrowserContext, place: Place) -> None:
    address = _callback(tab)
    kept = context.cookies(f"{place.base}/sign-in/openid/back")
    tab.goto(address)
    assert is_signed_in(context)
    context.clear_cookies(name=SESSION_COOKIE)
    tab.goto(address)
    assert not is_signed_in(context)
    context.add_cookies([each for each in kept if each["name"] == "huitong_openid"])  # type: ignore[misc]
    tab.goto(address)  # now it is the provider that refuses
    assert not is_signed_in(context)
    assert tab.get_by_role("alert").is_visible()


def test_an_answer_of_another_issuer_is_refused(tab: Page, context: BrowserContext, place: Place) -> None:
    address = _callback(tab)
    tab.goto(address.replace(f"localhost%3A{place.provider.port}", "elsewhere.example"))
    assert not is_signed_in(context)


def test_no_link_leads_from_the_provider_to_another_site(tab: Page, place: Place) -> None:
    tab.goto("/sign-in/openid?next=https://evil.example/")
    tab.fill("input[name=login]", "zhang")
    tab.fill("input[name=password]", "any")
    tab.click("button[type=submit]")
    tab.wait_for_selector("input[name=prompt][value=consent]", state="attached")
    tab.click("button[type=submit]")
    tab.wait_for_url(f"{place.base}/")


def test_signing_out_here_leads_to_signing_out_there(tab: Page, context: BrowserContext, place: Place) -> None:
    sign_in(tab, "zhang")
    tab.click(".asker button")
    tab.wait_for_selector("a.provider")
    assert not is_signed_in(context)
    _look(tab, "sign-out-1366", 1366)
    tab.click("a.provider")
    tab.click("button[name=logout]")
    tab.wait_for_url(f"{place.base}/sign-in")
    leave(tab)  # and it asks for a password anew


def test_a_session_that_ends_at_the_provider_ends_here(tab: Page, context: BrowserContext, place: Place) -> None:
    sign_in(tab, "zhang")
    there = context.new_page()
    there.goto(f"{place.provider.issuer}/session/end")
    there.click("button[name=logout]")
    there.wait_for_load_state()
    for _ in range(20):
        tab.goto("/people")
        if "/sign-in" in tab.url:
            break
        tab.wait_for_timeout(200)
    assert "/sign-in?next=" in tab.url


def test_what_ends_sessions_must_be_a_token_of_the_provider(place: Place) -> None:
    for token in ("", "nonsense", "e30.e30."):
        answer = httpx.post(f"{place.base}/auth/openid/ended", data={"logout_token": token})
        assert answer.status_code == 400
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("width", [1366, 390])
def test_the_page_offers_both_ways(chromium: Browser, place: Place, width: int) -> None:
    context = chromium.new_context(base_url=place.base, viewport={"width": width, "height": 768})
    tab = context.new_page()
    tab.goto("/sign-in?next=/people")
    assert "统一身份认证" in tab.inner_text("a.provider")
    _look(tab, f"sign-in-openid-{width}", width)
    tab.fill("#name", "zhang")
    tab.fill("#password", PASSWORD)
    tab.click("main form button")
    tab.wait_for_url(f"{place.base}/people")
    context.close()


def test_keys_are_changed_and_a_provider_that_is_away_leaves_the_other_way_open(
    chromium: Browser, tab: Page, context: BrowserContext, place: Place
) -> None:
    place.provider.rotate()
    other = chromium.new_context(base_url=place.base)
    page = other.new_page()
    page.wait_for_timeout(10_500)  # keys are not asked for anew more often
    sign_in(page, "zhang")
    assert is_signed_in(other)
    other.close()
    address = _callback(tab)
    place.provider.stop()
    try:
        tab.goto(address)
        assert tab.get_by_role("alert").is_visible()
        _look(tab, "sign-in-openid-away", 1366)
        tab.fill("#name", "zhang")
        tab.fill("#password", PASSWORD)
        tab.click("main form button")
        tab.wait_for_url(f"{place.base}/people")
        assert is_signed_in(context)
    finally:
        place.provider.start()


def test_what_was_bound_and_made_is_in_the_ledger(place: Place) -> None:
    with archive_in(place.data) as archive, archive.store.database.read() as tx:
        kinds = [(row.kind, row.subject) for row in tx.execute(select(LEDGER))]
    assert ("access.account_bound", "zhang") in kinds
    assert ("access.account_added", "li") in kinds


def _look(tab: Page, name: str, width: int) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        tab.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.evaluate((NODE_MODULES / "axe-core/axe.min.js").read_text("utf-8"))
    assert tab.evaluate("axe.run()")["violations"] == []
