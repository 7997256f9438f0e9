"""The pages about accounts: one's own, and all for admins; what each form does and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyotp
import pytest
from tests.archives import PASSWORD, TestArchive, archive_in, signed_in
from tests.web.browsing import Browser, pages_on

from huitong.access.accounts.model import device_of
from huitong.access.actions import SESSION_COOKIE
from huitong.access.model import Role
from huitong.base.errors import NotSignedIn
from huitong.catalog.sign_in import SIGN_IN

OURS = {"sec-fetch-site": "same-origin"}
HERE = "127.0.0.1"
NEW = "another good password"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path, readers=()) as opened:
        yield opened


def browser_of(archive: TestArchive, browser: Browser, name: str, *roles: Role, **more: str) -> Browser:
    browser.cookies.set(SESSION_COOKIE, signed_in(archive, name, *roles, **more))
    return browser


@pytest.fixture
def browser(archive: TestArchive) -> Iterator[Browser]:
    with pages_on(archive) as opened:
        browser_of(archive, opened, "zhang", Role.DOCTOR, institution="TAIYUAN")
        opened.cookies.set("i18next", "en-US")
        yield opened


@pytest.fixture
def admin(archive: TestArchive) -> Iterator[Browser]:
    with pages_on(archive) as opened:
        browser_of(archive, opened, "zhao", Role.ADMIN)
        opened.cookies.set("i18next", "en-US")
        yield opened


def post(browser: Browser, path: str, **form: str | list[str]) -> httpx.Response:
    return browser.ask("POST", path, data=form, headers=OURS, follow=False)


def signs_in(archive: TestArchive, name: str, password: str) -> bool:
    try:
        return bool(archive.access.accounts.sign_in(name, password, HERE))
    except NotSignedIn:
        return False


# --- one's own ---


def test_everybody_sees_who_they_are_and_where_they_are_signed_in(archive: TestArchive, browser: Browser) -> None:
    archive.access.accounts.sign_in("zhang", PASSWORD, "203.0.113.9", "Firefox, Linux")
    page = browser.get("/account").text
    assert "zhang" in page
    assert "Doctor" in page
    assert "203.0.113.9" in page
    assert "Firefox, Linux" in page
    assert 'href="/account"' in browser.get("/people").text


def test_a_resident_has_the_page_too(archive: TestArchive) -> None:
    with pages_on(archive) as browser:
        browser_of(archive, browser, "wang", person="X1")
        assert browser.get("/account").status_code == 200


def test_nobody_else_has_it(archive: TestArchive) -> None:
    with pages_on(archive) as browser:
        assert browser.get("/account", follow=False).headers["location"].startswith("/sign-in")


def test_a_password_is_changed_with_the_old_one_and_ends_the_other_sessions(
    archive: TestArchive, browser: Browser
) -> None:
    other = archive.access.accounts.sign_in("zhang", PASSWORD, HERE).secret
    answer = post(browser, "/account/password", old=PASSWORD, new=NEW, again=NEW)
    assert answer.headers["location"] == "/account?done=password"
    assert archive.access.accounts.sessions.asker(other) is None
    assert browser.get("/account?done=password").status_code == 200
    assert signs_in(archive, "zhang", NEW)
    assert not signs_in(archive, "zhang", PASSWORD)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"old": "wrong password", "new": NEW, "again": NEW}, "present password is not right"),
        ({"old": PASSWORD, "new": NEW, "again": NEW + "x"}, "two different ways"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, f"at least {SIGN_IN.min_password}"),
        ({}, f"at least {SIGN_IN.min_password}"),
    ],
)
def test_a_password_that_cannot_be_changed_is_said_so(
    archive: TestArchive, browser: Browser, form: dict[str, str], says: str
) -> None:
    answer = post(browser, "/account/password", **form)
    assert answer.status_code == 400
    assert says in answer.text.partition('role="alert"')[2].partition("</p>")[0]
    assert signs_in(archive, "zhang", PASSWORD)


def test_who_has_taken_a_session_over_guesses_no_password(archive: TestArchive, browser: Browser) -> None:
    for _ in range(SIGN_IN.account_failures):
        assert post(browser, "/account/password", old="wrong", new=NEW, again=NEW).status_code == 400
    assert post(browser, "/account/password", old=PASSWORD, new=NEW, again=NEW).status_code == 400


def test_an_authenticator_is_enrolled_and_replaced(archive: TestArchive, browser: Browser) -> None:
    other = archive.access.accounts.sign_in("zhang", PASSWORD, HERE).secret
    keys = []
    for _ in range(2):
        assert post(browser, "/account/authenticator", old="wrong").status_code == 400
        assert post(browser, "/account/authenticator", old=PASSWORD).status_code == 303
        page = browser.get("/account").text
        keys += re.findall(r"<code>([A-Z2-7]{32})</code>", page)
        assert post(browser, "/account/authenticator/code", code="abc").status_code == 400
        assert archive.access.accounts.get(archive.access.local(), "zhang").has_totp is (len(keys) == 2)
        # The codes of one half minute are taken once, whichever key they are of.
        with archive.store.database.write() as tx:
            tx.exec_driver_sql("UPDATE account SET totp_step = 0")
        assert post(browser, "/account/authenticator/code", code=pyotp.TOTP(keys[-1]).now()).status_code == 303
    assert keys[0] != keys[1]
    assert archive.access.accounts.sessions.asker(other) is None
    assert keys[1] not in browser.get("/account").text


def test_sessions_are_ended_one_by_one_and_all_others(archive: TestArchive, browser: Browser) -> None:
    accounts = archive.access.accounts
    one, two, three = (accounts.sign_in("zhang", PASSWORD, HERE) for _ in range(3))
    strange = accounts.sessions.asker(signed_in(archive, "li", Role.DOCTOR))
    assert strange is not None
    assert post(browser, "/account/sessions", session=one.session.public_id).status_code == 303
    assert [bool(accounts.sessions.asker(each.secret)) for each in (one, two, three)] == [False, True, True]
    post(browser, "/account/sessions", session=strange.session)
    assert len(accounts.sessions_of(archive.access.local(), "li")) == 1
    post(browser, "/account/sessions")
    assert [bool(accounts.sessions.asker(each.secret)) for each in (one, two, three)] == [False, False, False]
    assert browser.get("/account", follow=False).status_code == 200


@pytest.mark.parametrize("path", ["password", "authenticator", "authenticator/code", "sessions"])
def test_another_site_changes_nothing_of_ones_own(archive: TestArchive, browser: Browser, path: str) -> None:
    form = {"old": PASSWORD, "new": NEW, "again": NEW, "code": "1", "session": ""}
    cross = {"sec-fetch-site": "cross-site"}
    assert browser.ask("POST", f"/account/{path}", data=form, headers=cross, follow=False).status_code == 403
    assert signs_in(archive, "zhang", PASSWORD)


# --- all, for admins ---


def test_an_admin_adds_an_account_whose_password_is_shown_once(archive: TestArchive, admin: Browser) -> None:
    form = {"name": " Sun ", "display": "孙主任", "institution": "YUNCHENG", "role": ["doctor", "registrar"]}
    made = post(admin, "/accounts", **form)
    password = re.findall(r'class="once">([^<]+)<', made.text)[0]
    account = archive.access.accounts.sign_in("sun", password, HERE).session.account
    assert (account.display, account.institution) == ("孙主任", "YUNCHENG")
    assert account.roles == {Role.DOCTOR, Role.REGISTRAR}
    assert password not in admin.get("/accounts/sun").text
    assert "孙主任" in admin.get("/accounts?q=孙").text
    assert "孙主任" not in admin.get("/accounts?q=zhao").text


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": "zhao", "role": "doctor"}, "There is an account"),
        ({"name": " ", "role": "doctor"}, "has a name"),
        ({"name": "sun"}, "at least one role"),
        ({"name": "sun", "role": "doctor", "institution": "NOWHERE"}, "does not know"),
    ],
)
def test_what_no_account_can_be_made_of_is_said(admin: Browser, form: dict[str, str], says: str) -> None:
    answer = post(admin, "/accounts", **form)
    assert answer.status_code == 400
    assert says in answer.text
    assert "<details open>" in answer.text


def test_an_admin_changes_roles_password_lock_and_sessions(archive: TestArchive, admin: Browser) -> None:
    accounts = archive.access.accounts
    secret = signed_in(archive, "sun", Role.DOCTOR)
    assert post(admin, "/accounts/sun", do="roles", role=["clerk"]).status_code == 303
    assert accounts.get(archive.access.local(), "sun").roles == {Role.CLERK}
    assert accounts.sessions.asker(secret) is None
    assert post(admin, "/accounts/sun", do="lock").status_code == 303
    assert not signs_in(archive, "sun", PASSWORD)
    assert "locked" in admin.get("/accounts").text
    post(admin, "/accounts/sun", do="unlock")
    assert signs_in(archive, "sun", PASSWORD)
    given = re.findall(r'class="once">([^<]+)<', post(admin, "/accounts/sun", do="password").text)[0]
    assert signs_in(archive, "sun", given)
    assert post(admin, "/accounts/sun", do="sessions").status_code == 303
    assert accounts.sessions_of(archive.access.local(), "sun") == []
    assert post(admin, "/accounts/sun", do="authenticator").status_code == 303


def test_no_admin_locks_themselves_out(archive: TestArchive, admin: Browser) -> None:
    for form in ({"do": "lock"}, {"do": "roles", "role": "doctor"}, {"do": "roles"}):
        assert post(admin, "/accounts/zhao", **form).status_code == 400
    account = archive.access.accounts.get(archive.access.local(), "zhao")
    assert account.active
    assert account.roles == {Role.ADMIN}
    assert post(admin, "/accounts/zhao", do="nonsense").status_code == 400
    assert post(admin, "/accounts/nobody", do="lock").status_code == 404
    assert admin.get("/accounts/nobody").status_code == 404


def test_many_accounts_are_shown_in_parts(archive: TestArchive, admin: Browser) -> None:
    with archive.store.database.write() as tx:
        for n in range(60):
            tx.exec_driver_sql(
                "INSERT INTO account (name, display, kind, roles, made_at_ms) "
                f"VALUES ('d{n:02}', 'D', 'staff', 'doctor', 0)"
            )
    first = admin.get("/accounts").text
    assert first.count('scope="row"') == 50
    following = re.findall(r'rel="next" href="([^"]+)"', first)[0].replace("&amp;", "&")
    second = admin.get(following).text
    assert second.count('scope="row"') == 11
    assert "d59" in second


@pytest.mark.parametrize("role", [Role.DOCTOR, Role.CLERK, Role.REGISTRAR, Role.SUPERVISOR])
def test_accounts_are_for_admins_alone(archive: TestArchive, role: Role) -> None:
    with pages_on(archive) as browser:
        browser_of(archive, browser, "sun", role)
        assert browser.get("/accounts").status_code == 403
        assert browser.get("/accounts/sun").status_code == 403
        assert post(browser, "/accounts", name="qian", role="admin").status_code == 403
        assert post(browser, "/accounts/sun", do="roles", role="admin").status_code == 403
        assert 'href="/accounts"' not in browser.get("/directory").text


def test_another_site_changes_no_account(archive: TestArchive, admin: Browser) -> None:
    for path, form in (("/accounts", {"name": "sun", "role": "admin"}), ("/accounts/zhao", {"do": "password"})):
        answer = admin.ask("POST", path, data=form, headers={"sec-fetch-site": "cross-site"}, follow=False)
        assert answer.status_code == 403
    assert signs_in(archive, "zhao", PASSWORD)


@pytest.mark.parametrize(
    ("header", "device"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/87.0 Safari/537.36", "Chrome, Windows"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/120 Safari/537.36 Edg/120.0", "Edge, Windows"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile MicroMessenger/8.0", "WeChat, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", "Safari, iPhone"),
        ("curl/8.0", ""),
    ],
)
def test_a_device_is_named_by_browser_and_system(header: str, device: str) -> None:
    assert device_of(header) == device
