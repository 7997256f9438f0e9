"""A resident's pages on a phone and at a desk, in both languages: accessible, fitting, and used by fingers alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import insert
from tests.archives import PASSWORD, TestArchive, archive_in, signed_in
from tests.askers import doctor, resident, staff, system, work_of
from tests.browser.conftest import NODE_MODULES
from tests.browser.images import bundled, written
from tests.browser.screens import LANGUAGES, SCREENS, opened
from tests.browser.test_card import decoded
from tests.browser.test_people_pages import faults_of
from tests.imaging.test_persons import certificate, id_of
from tests.people.registry import LI_MING
from tests.serving import Server, serving

from huitong.access.actions import SESSION_COOKIE
from huitong.access.model import Role
from huitong.access.tables import GUARDIANSHIP
from huitong.base.clock import milliseconds, now
from huitong.base.errors import NotFound
from huitong.imaging import actions as imaging
from huitong.people import rights
from huitong.people.adt import Effect, VisitChange
from huitong.people.cards import actions as cards
from huitong.people.cards.codes import read
from huitong.people.cards.model import Terminal
from huitong.people.visiting import change_visit

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
#: For so long the server's codes of the health card are good.
CODE_S = 12


@dataclass
class Home:
    """A running server, and the residents who have accounts."""

    server: Server
    mother: str
    child: str
    #: Secrets of sessions, by account.
    sessions: dict[str, str]

    def doctor_sees(self, study_uid: str) -> bool:
        """A doctor at YUNCHENG, where a visit of the mother is open, asks for a study of TAIYUAN's."""
        cookies = {SESSION_COOKIE: self.sessions["zhang"]}
        status = httpx.get(f"{self.server.base}/look/TAIYUAN/{study_uid}", cookies=cookies).status_code
        assert status in (200, 404)
        return status == 200


@pytest.fixture(scope="module")
def home(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("residents") / "data"
    with ThreadPoolExecutor(1) as apart:  # from the event loop that drives the browser
        mother, child, sessions = apart.submit(_prepared, folder).result()
    with serving(folder, "--readers", "192.0.2.0/24", "--card-code-s", str(CODE_S)) as running:
        yield Home(running, mother, child, sessions)


def _prepared(folder: Path) -> tuple[str, str, dict[str, str]]:
    # A code is known by the second at which it ends: one of the usual 60 s, taken here, is that which the server shows
    # 48 s later, and is taken once.
    with archive_in(folder, card_code_s=CODE_S) as archive:
        studies = _studies(archive)
        mother, child, nobody = (id_of(archive, "TAIYUAN", number) for number in ("T1", "C1", "N1"))
        cards.issue(archive.sender(), "T1")
        _told(archive, mother, child, studies)
        whose = {"wang": mother, "nobody": nobody}
        sessions = {name: signed_in(archive, name, person=person) for name, person in whose.items()}
        sessions["zhang"] = signed_in(archive, "zhang", Role.DOCTOR, institution="YUNCHENG")
        return mother, child, sessions


def _studies(archive: TestArchive) -> dict[str, str]:
    """By description."""
    hers = {"PatientName": "Wang^Xiaolan=王^晓兰", "PatientSex": "F", "OtherPatientIDsSequence": certificate(LI_MING)}
    his = {"PatientName": "Li^Ming=李^小明", "PatientBirthDate": "20190601"}
    said = [
        ("CT_small.dcm", "TAIYUAN", "T1", "胸部平扫+增强", "20261119", hers),
        ("MR_small.dcm", "YUNCHENG", "Y1", "头颅平扫", "20260302", hers),
        ("CT_small.dcm", "YUNCHENG", "Y1", "", "20241231", hers),
        ("CT_small.dcm", "TAIYUAN", "C1", "左手正位", "20260901", his),
        ("CT_small.dcm", "YUNCHENG", "Y1", "心身医学科会诊：头颅", "20260110", hers),
    ]  # fmt: skip
    found = {}
    for at, (file, institution, number, description, day, whose) in enumerate(said):
        ds = bundled(file)
        ds.SpecificCharacterSet, ds.PatientID, ds.StudyDescription, ds.StudyDate = (
            "ISO_IR 192",
            number,
            description,
            day,
        )
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = (
            f"1.2.3.{at}{each}" for each in ("", ".1", ".1.1")
        )
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        for keyword, value in whose.items():
            setattr(ds, keyword, value)
        archive.keep_now(written(ds), institution=institution)
        found[description] = str(ds.StudyInstanceUID)
    ds = bundled("CT_small.dcm")
    ds.PatientID, ds.PatientName = "N1", "Nobody"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.4", "1.2.4.1", "1.2.4.1.1"
    archive.keep_now(written(ds))
    archive.match()
    archive.settle()
    return found


def _told(archive: TestArchive, mother: str, child: str, studies: dict[str, str]) -> None:
    """Whatever the pages have words for has happened."""
    with archive.store.database.write() as tx:
        change_visit(tx, "YUNCHENG", VisitChange(Effect.OPENS, "Y1", "V1", "I", now()), now())
        guarding = {"person": child, "guardian": mother, "basis": "出生医学证明", "by": "registrar"}
        tx.execute(insert(GUARDIANSHIP).values(**guarding, at_ms=milliseconds(now())))
    hers = work_of(archive, resident(mother))
    code = cards.dynamic_code(hers, cards.cards_of(hers, mother)[0])
    cards.resolve(work_of(archive, staff(Role.CLERK)), code.text, Terminal("010101", "1", "01"))
    rights.object_to(hers, mother)
    rights.withdraw_objection(hers, mother)
    rights.consent(hers, mother, "genetics", "TAIYUAN")
    rights.consent(hers, mother, "reproduction")
    rights.object_to(work_of(archive, resident(mother)), child)
    zhang, li = doctor("YUNCHENG", "张建国"), doctor("TAIYUAN", "李医生")
    for asker, study in ((li, "胸部平扫+增强"), (zhang, "胸部平扫+增强"), (zhang, "头颅平扫"), (li, "头颅平扫"),
                         (li, "心身医学科会诊：头颅"), (system("YUNCHENG"), "胸部平扫+增强")):  # fmt: skip
        try:
            imaging.show_study(work_of(archive, asker), studies[study])
        except NotFound:
            assert asker is li
    night = doctor("TAIYUAN", "赵值班")
    rights.break_glass(work_of(archive, night), mother, "车祸昏迷，需要既往影像判断出血")
    imaging.show_study(work_of(archive, night), studies["头颅平扫"])
    supervisor = work_of(archive, staff(Role.SUPERVISOR, institution=None))
    rights.review(supervisor, rights.emergencies(supervisor)[0].pk, "justified", "急诊病历已核对")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_fits_and_keeps_nobody_out(
    chromium: Browser, home: Home, pictures: Path, screen: str, language: str
) -> None:
    if not (NODE_MODULES / "axe-core/axe.min.js").is_file():
        pytest.skip("axe-core is not installed; `make setup` does it")
    pages = ("", "/studies", "/looked", "/looked?whose=refused", "/looked?whose=own", "/rights")
    wanted = {
        "wang": [f"{base}{page}" for base in ("/me", f"/me/child/{home.child}") for page in pages],
        "nobody": ["/me", "/me/looked", "/me/rights"],
    }
    wrong = {}
    for account, paths in wanted.items():
        with closing(opened(chromium, home.server, screen, language, session=home.sessions[account])) as context:
            page = context.new_page()
            for path in paths:
                answer = page.goto(path)
                assert answer is not None
                assert answer.status == 200, path
                page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
                which = account + path.replace(home.child, "").replace("/", "-").replace("?whose=", "-")
                page.screenshot(path=pictures / f"{which}-{screen}-{language}.png", full_page=True)
                if faults := faults_of(page, SCREENS[screen][0]):
                    wrong[which] = faults
                small = page.evaluate(_SMALL)
                if small:
                    wrong[f"{which} small"] = small
    assert wrong == {}


#: What fingers have to hit is 44 CSS pixels high or more (WCAG 2.2, 2.5.5), what eyes have to read 15 or more.
_SMALL = """() => [...document.querySelectorAll('.mine a, .mine button, .mine select, .mine summary, .mine p')]
  .filter(each => each.checkVisibility() && !each.closest('.health-card, .own-study h3'))
  .filter(each => each.matches('p') ? parseFloat(getComputedStyle(each).fontSize) < 15
    : each.getBoundingClientRect().height < 44)
  .map(each => each.outerHTML.slice(0, 160))"""


@pytest.fixture
def hand(chromium: Browser, home: Home) -> Iterator[Page]:
    """A phone with nobody signed in; at the end no script may have failed."""
    context = chromium.new_context(base_url=home.server.base, **PHONE)
    context.set_default_timeout(30_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def sign_in(page: Page) -> None:
    page.goto("/")
    page.fill("#name", "wang")
    page.fill("#password", PASSWORD)
    page.tap("main button")
    page.wait_for_url("**/me")


def test_a_resident_signs_in_looks_at_a_study_and_comes_back(hand: Page, home: Home) -> None:
    sign_in(hand)
    expect(hand.get_by_role("heading", level=1)).to_have_text("王晓兰")
    hand.get_by_role("link", name="检查 各家医院").tap()
    hand.get_by_role("link", name="CT 检查 胸部平扫+增强").tap()
    hand.wait_for_url("**/look/TAIYUAN/*")
    hand.locator("a[href='/me/studies']").tap()
    hand.wait_for_url("**/me/studies")


def test_the_code_on_the_screen_is_taken_at_a_door_and_renewed_by_itself(
    hand: Page, home: Home, pictures: Path
) -> None:
    sign_in(hand)
    hand.locator(".qr").scroll_into_view_if_needed()
    hand.screenshot(path=pictures / "me-scanned.png")
    code = decoded(pictures / "me-scanned.png")
    assert read(code) is not None
    terminal = {"code": code, "step": "0101", "terminal_id": "desk", "terminal_type": "01"}
    door = {"authorization": "Bearer demo-TAIYUAN"}
    answer = httpx.post(f"{home.server.base}/card/resolve", json=terminal, headers=door)
    before = hand.locator(".qr path").last.get_attribute("d")
    changed = "d => [...document.querySelectorAll('.qr path')].pop().getAttribute('d') !== d"
    hand.wait_for_function(changed, arg=before)
    assert answer.status_code == 200, answer.text
    assert home.mother in answer.text
    hand.screenshot(path=pictures / "me-renewed.png")
    assert decoded(pictures / "me-renewed.png") not in ("", code)
    expect(hand.get_by_role("heading", level=1)).to_have_text("王晓兰")


def test_an_objection_is_made_and_taken_back_with_a_finger(hand: Page, home: Home) -> None:
    sign_in(hand)
    hand.get_by_role("link", name="谁能看 现在").tap()
    assert home.doctor_sees("1.2.3.0")
    hand.get_by_role("button", name="不让其他医院看").tap()
    expect(hand.get_by_text("其他医院什么都不能看。")).to_be_visible()
    assert not home.doctor_sees("1.2.3.0")
    hand.get_by_role("button", name="重新允许其他医院看").tap()
    expect(hand.get_by_role("button", name="不让其他医院看")).to_be_visible()
    assert home.doctor_sees("1.2.3.0")


def test_a_mother_goes_to_her_child_and_back(hand: Page, home: Home) -> None:
    sign_in(hand)
    hand.get_by_role("link", name="李小明").tap()
    expect(hand.get_by_role("heading", level=1)).to_have_text("李小明")
    hand.get_by_role("navigation", name="站点").get_by_role("link", name="检查").tap()
    expect(hand.get_by_text("左手正位")).to_be_visible()
    hand.get_by_role("link", name="我自己").tap()
    hand.wait_for_url("**/me/studies")
    expect(hand.get_by_text("左手正位")).to_have_count(0)
