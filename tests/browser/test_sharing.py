"""Sharing by phones: a person makes a link, a stranger scans its code off the screen, and it ends under their eyes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.archives import archive_in, signed_in
from tests.browser.screens import LANGUAGES, SCREENS, opened
from tests.browser.test_card import decoded
from tests.browser.test_people_pages import faults_of
from tests.imaging.test_persons import certificate, id_of
from tests.people.registry import LI_MING
from tests.serving import Server, serving

from huitong.cli.phantom.ct import ct_study
from huitong.wire.shl import encoded, read_link


@dataclass
class Home:
    """A running server and the session of a resident with a CT of 24 slices."""

    server: Server
    study: str
    session: str

    def person(self, chromium: Browser, screen: str = "phone", language: str = "zh") -> BrowserContext:
        """Signed in, on this screen."""
        return _opened(chromium, self.server, screen, language, self.session)

    def share(self, chromium: Browser, pictures: Path, *, passcode: bool) -> tuple[str, str]:
        """By fingers; the link is what another phone reads off the screen, in light of day."""
        context = self.person(chromium)
        tab = context.new_page()
        tab.goto("/me/studies")
        tab.click("text=分享 >> nth=0")
        tab.check(f"input[name=passcode][value={'yes' if passcode else 'no'}]")
        tab.fill("#label", "给张大夫")
        tab.click("main form button")
        tab.wait_for_selector(".qr")
        picture = pictures / f"shared-{'passcode' if passcode else 'plain'}.png"
        tab.screenshot(path=picture, full_page=True)
        shown = tab.input_value("#address")
        code = "".join(tab.inner_text(".passcode strong").split()) if passcode else ""
        assert decoded(picture) == shown
        context.close()
        return shown, code


@pytest.fixture(scope="module")
def home(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("sharing") / "data"
    with ThreadPoolExecutor(1) as apart:  # from the event loop that drives the browser
        study, session = apart.submit(_prepared, folder).result()
    with serving(folder, "--readers", "192.0.2.0/24", "--sign-ins-per-min", "0") as running:
        yield Home(running, study, session)


def _prepared(folder: Path) -> tuple[str, str]:
    with archive_in(folder) as archive:
        study = ""
        for data in ct_study(slices=24):
            ds = pydicom.dcmread(io.BytesIO(data))
            ds.OtherPatientIDsSequence = certificate(LI_MING)
            study = str(ds.StudyInstanceUID)
            number = str(ds.PatientID)
            out = io.BytesIO()
            ds.save_as(out)
            archive.keep_now(out.getvalue(), institution="TAIYUAN")
        archive.match()
        archive.settle()
        person = id_of(archive, "TAIYUAN", number)
        return study, signed_in(archive, "wang", person=person)


def _opened(chromium: Browser, server: Server, screen: str, language: str, session: str = "") -> BrowserContext:
    context = opened(chromium, server, screen, language, session=session, has_touch=screen == "phone")
    context.set_default_timeout(30_000)
    return context


def _secrets_sent(tab: Page) -> list[str]:
    """All addresses and bodies that the page sends from now on."""
    sent: list[str] = []
    tab.on("request", lambda request: sent.append(f"{request.url} {request.post_data or ''}"))
    return sent


def test_a_stranger_scans_the_code_and_sees_the_ct_until_it_is_ended(
    chromium: Browser, home: Home, pictures: Path
) -> None:
    link, _ = home.share(chromium, pictures, passcode=False)
    stranger = _opened(chromium, home.server, "phone", "zh")
    tab = stranger.new_page()
    sent = _secrets_sent(tab)
    tab.goto(link)
    tab.wait_for_url(re.compile(r"/look/TAIYUAN/"))
    tab.wait_for_function("() => document.querySelector('#stage').dataset.shown > 0")
    assert "*" in tab.inner_text("h1")
    tab.screenshot(path=pictures / "shared-look.png")
    said = read_link(link)
    assert not [each for each in sent if encoded(said.key) in each]
    assert not [each for each in sent if said.page in each.partition(" ")[0]]
    assert tab.goto("/me").url.find("/sign-in") > 0  # type: ignore[union-attr]
    tab.goto(f"/look/TAIYUAN/{home.study}")
    tab.wait_for_function("() => document.querySelector('#stage').dataset.shown > 0")

    person = home.person(chromium)
    own = person.new_page()
    own.goto("/me/shares")
    expect(own.locator(".shares li").first).to_contain_text("已打开 1 次")
    own.screenshot(path=pictures / "shares-phone.png", full_page=True)
    own.click("main .shares button >> nth=0")
    expect(own.locator("[role=status]")).to_be_visible()
    person.close()

    # the page that is open shows nothing that it has not got already
    status = tab.evaluate(
        "async () => (await fetch(document.querySelector('#first').src + '&quality=31', {cache: 'no-store'})).status"
    )
    assert status == 404
    # and says why, as soon as it is asked for more
    tab.select_option("#preset", index=1)
    expect(tab.locator("h1")).to_have_text("这个链接已失效")
    tab.screenshot(path=pictures / "shared-ended.png")
    assert faults_of(tab, 390) == []
    tab.goto(link)
    expect(tab.locator("#ended")).to_be_visible()
    stranger.close()


def test_a_passcode_is_typed_and_kills_the_link_at_last(chromium: Browser, home: Home, pictures: Path) -> None:
    link, passcode = home.share(chromium, pictures, passcode=True)
    stranger = _opened(chromium, home.server, "phone", "zh")
    tab = stranger.new_page()
    tab.goto(link)
    expect(tab.locator("#ask")).to_be_visible()
    assert faults_of(tab, 390) == []
    wrong = "000000" if passcode != "000000" else "000001"
    tab.fill("#passcode", wrong)
    tab.click("#ask button")
    expect(tab.locator("#wrong")).to_contain_text("9")
    tab.screenshot(path=pictures / "shared-wrong.png")
    assert faults_of(tab, 390) == []
    tab.fill("#passcode", f"{passcode[:3]} {passcode[3:]}")
    tab.click("#ask button")
    tab.wait_for_url(re.compile(r"/look/TAIYUAN/"))
    for _ in range(9):
        tab.request.post(
            "/share/open", data={"secret": _secret(link), "passcode": wrong}, headers={"Origin": _origin(home)}
        )
    tab.goto(link)
    tab.fill("#passcode", passcode)
    tab.click("#ask button")
    expect(tab.locator("#ended")).to_be_visible()
    stranger.close()


def test_on_a_desk_the_viewer_opens_with_the_name_masked(
    chromium: Browser, ohif: None, home: Home, pictures: Path
) -> None:
    link, _ = home.share(chromium, pictures, passcode=False)
    stranger = _opened(chromium, home.server, "desk", "zh")
    tab = stranger.new_page()
    refused: list[str] = []
    tab.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    tab.goto(link)
    tab.wait_for_url(re.compile(r"/viewer\?"))
    tab.wait_for_selector("canvas.cornerstone-canvas, .cornerstone-canvas", timeout=90_000)
    tab.wait_for_timeout(6000)
    tab.screenshot(path=pictures / "shared-viewer.png")
    assert [each for each in refused if "dicom-web" in each] == []
    assert "*" in tab.inner_text("body")

    own = home.person(chromium)
    shares = own.new_page()
    shares.goto("/me/shares")
    shares.click("main .shares button >> nth=0")
    expect(shares.locator("[role=status]")).to_be_visible()
    own.close()
    tab.reload()  # the viewer asks for the study anew, and its own page would say that there is none
    tab.wait_for_url(re.compile(r"/look/TAIYUAN/"))
    expect(tab.locator("h1")).to_have_text("这个链接已失效")
    stranger.close()


def test_who_is_signed_in_is_not_told_of_links_where_a_study_is_not_there(
    chromium: Browser, ohif: None, home: Home
) -> None:
    own = home.person(chromium)
    tab = own.new_page()
    tab.goto("/viewer?StudyInstanceUIDs=1.2.3&institution=TAIYUAN")
    tab.wait_for_timeout(3000)
    assert "/look/" not in tab.url
    own.close()


def _secret(link: str) -> str:
    said = read_link(link)
    return f"{said.url.rpartition('/')[2]}.{said.page}"


def _origin(home: Home) -> str:
    return home.server.base


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("screen", SCREENS)
def test_the_pages_keep_nobody_out(chromium: Browser, home: Home, pictures: Path, screen: str, language: str) -> None:
    person = home.person(chromium, screen, language)
    tab = person.new_page()
    wide = SCREENS[screen][0]
    faults = {}
    for name, path in {"form": f"/me/share/TAIYUAN/{home.study}", "list": "/me/shares", "open": "/s"}.items():
        tab.goto(path)
        faults[name] = faults_of(tab, wide)
        tab.screenshot(path=pictures / f"share-{name}-{screen}-{language}.png", full_page=True)
    tab.goto(f"/me/share/TAIYUAN/{home.study}")
    tab.click("main form button")
    tab.wait_for_selector(".qr")
    faults["made"] = faults_of(tab, wide)
    tab.screenshot(path=pictures / f"share-made-{screen}-{language}.png", full_page=True)
    person.close()
    assert {name: each for name, each in faults.items() if each} == {}
