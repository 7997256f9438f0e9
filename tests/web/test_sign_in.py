"""Signing in on the pages: the cookie, the way there and back, and what another site cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pyotp
import pytest
from tests.archives import PASSWORD, TestArchive, archive_in, signed_in
from tests.web.browsing import Browser, pages_on

from huitong.access.actions import SESSION_COOKIE
from huitong.access.model import Role

OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path, readers=()) as opened:
        signed_in(opened, "zhang", Role.DOCTOR, institution="TAIYUAN")
        yield opened


@pytest.fixture
def browser(archive: TestArchive) -> Iterator[Browser]:
    with pages_on(archive) as opened:
        yield opened


def sign_in(browser: Browser, password: str = PASSWORD, target: str = "/", **more: str) -> httpx.Response:
    form = {"name": "Zhang", "password": password, "next": target}
    return browser.ask("POST", "/sign-in", data=form, headers={**OURS, **more}, follow=False)


def test_a_page_leads_to_the_sign_in_and_back_and_out(browser: Browser) -> None:
    asked = browser.get("/people?q=%E7%8E%8B", follow=False)
    assert asked.status_code == 303
    assert asked.headers["location"] == "/sign-in?next=%2Fpeople%3Fq%3D%25E7%258E%258B"
    form = browser.get(asked.headers["location"])
    assert 'name="next" value="/people?q=%E7%8E%8B"' in form.text
    answer = sign_in(browser, target="/people?q=%E7%8E%8B")
    assert (answer.status_code, answer.headers["location"]) == (303, "/people?q=%E7%8E%8B")
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=lax" in said
    page = browser.get("/people", follow=False)
    assert page.status_code == 200
    assert 'action="/sign-out"' in page.text
    kept = browser.cookies[SESSION_COOKIE]
    assert browser.ask("POST", "/sign-out", headers=OURS, follow=False).status_code == 303
    browser.cookies.set(SESSION_COOKIE, kept)  # who has kept the cookie has nothing
    assert browser.get("/people", follow=False).status_code == 303


def test_programs_are_told_401(browser: Browser) -> None:
    answer = browser.get("/people", headers={"accept": "application/json"}, follow=False)
    assert answer.status_code == 401


def test_a_wrong_password_gives_the_form_again_and_no_cookie(browser: Browser) -> None:
    answer = sign_in(browser, "wrong")
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\r\nb: c", ""]
)
def test_no_link_leads_from_the_sign_in_to_another_site(browser: Browser, target: str) -> None:
    assert sign_in(browser, target=target).headers["location"] == "/"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/code", "/sign-in/password", "/sign-out"])
def test_another_site_can_sign_nobody_in_or_out(browser: Browser, path: str) -> None:
    form = {"name": "zhang", "password": PASSWORD}
    answer = browser.ask("POST", path, data=form, headers={"sec-fetch-site": "cross-site"}, follow=False)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_cookie_from_before_is_not_the_one_after(browser: Browser) -> None:
    browser.cookies.set(SESSION_COOKIE, "planted")
    answer = sign_in(browser)
    assert "planted" not in answer.headers["set-cookie"]


def test_pages_and_programs_are_led_to_choose_a_password_first(archive: TestArchive, browser: Browser) -> None:
    archive.access.accounts.set_password(archive.access.local(), "zhang", "given by an admin")
    step = sign_in(browser, "given by an admin", target="/people")
    assert step.headers["location"] == "/sign-in/password?next=%2Fpeople"
    for path in ("/people", "/account", "/", "/person/HT0"):
        assert browser.get(path, follow=False).headers["location"].startswith("/sign-in/password?next=")
    said = browser.ask("POST", "/account/sessions", headers=OURS, follow=False)
    assert said.headers["location"] == "/sign-in/password?next=%2F"
    program = browser.get("/people", headers={"accept": "application/json"}, follow=False)
    assert program.status_code == 403
    assert program.json()["type"].endswith("password-to-choose")
    cross = browser.ask("POST", "/sign-in/password", data={"new": "x"}, headers={"sec-fetch-site": "cross-site"})
    assert cross.status_code == 403
    form = browser.get(step.headers["location"])
    assert 'name="next" value="/people"' in form.text
    chosen = {"new": "one of my own", "again": "one of my own", "next": "/people"}
    for wrong in ({**chosen, "again": "another"}, {**chosen, "new": "short", "again": "short"},
                  {**chosen, "new": "given by an admin", "again": "given by an admin"}):  # fmt: skip
        refused = browser.ask("POST", "/sign-in/password", data=wrong, headers=OURS, follow=False)
        assert refused.status_code == 400
        assert 'role="alert"' in refused.text
    done = browser.ask("POST", "/sign-in/password", data=chosen, headers=OURS, follow=False)
    assert (done.status_code, done.headers["location"]) == (303, "/people")
    assert browser.get("/people", follow=False).status_code == 200
    assert browser.get("/sign-in/password", follow=False).headers["location"] == "/sign-in?next=%2F"


def test_an_authenticator_is_enrolled_on_the_way(tmp_path: Path) -> None:
    with archive_in(tmp_path, readers=(), totp_roles="doctor") as archive:
        archive.access.accounts.add(
            archive.access.local(), "zhang", PASSWORD, roles=frozenset({Role.DOCTOR}), known=False
        )
        with pages_on(archive) as browser:
            step = sign_in(browser, target="/people")
            assert step.headers["location"] == "/sign-in/code?next=%2Fpeople"
            assert browser.get("/people", follow=False).status_code == 303  # the password alone opens nothing
            page = browser.get(step.headers["location"]).text
            assert "data:image/svg+xml" in page
            key = page.partition("<code>")[2].partition("</code>")[0]
            for code, status in (("abc", 401), (pyotp.TOTP(key).now(), 303)):
                form = {"code": code, "next": "/people"}
                answer = browser.ask("POST", "/sign-in/code", data=form, headers=OURS, follow=False)
                assert answer.status_code == status
            assert answer.headers["location"] == "/people"
            assert browser.get("/people", follow=False).status_code == 200
