"""A resident's own pages, with accounts that have signed in: what is theirs, what is said, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from tests.archives import TestArchive, archive_in, signed_in
from tests.askers import doctor, resident, staff, work_of
from tests.imaging.test_persons import certificate, id_of, send
from tests.people.cards.patients import join
from tests.web.browsing import Browser, pages_on

from huitong.access import auditing
from huitong.access.actions import SESSION_COOKIE
from huitong.access.auditing import Looked
from huitong.access.model import Asker, Role
from huitong.access.tables import GUARDIANSHIP
from huitong.base.clock import CHINA, now
from huitong.base.errors import NotFound
from huitong.imaging import actions as imaging
from huitong.people import rights
from huitong.people.adt import Effect, VisitChange
from huitong.people.cards import actions as cards
from huitong.people.cards.codes import read
from huitong.people.cards.model import Issued, Resolved, Terminal
from huitong.people.visiting import change_visit
from huitong.web import own_words

MOTHER, OTHER = "11010519491231002X", "440524188001010014"
OURS = {"origin": "http://huitong.example", "sec-fetch-site": "same-origin"}
PAGES = ("", "/studies", "/looked", "/rights")


@dataclass
class Family:
    """A mother with studies at two hospitals, her child, and a stranger; with the accounts of mother and stranger."""

    archive: TestArchive
    mother: str
    child: str
    stranger: str
    studies: dict[str, str]

    def work(self, asker: Asker, clock: Callable[[], datetime] = now) -> Any:
        return work_of(self.archive, asker, clock)

    def visit(self) -> None:
        """Of the mother, at YUNCHENG."""
        with self.archive.store.database.write() as tx:
            change_visit(tx, "YUNCHENG", VisitChange(Effect.OPENS, "Y1", "V1", "I", now()), now())

    def guard(self) -> None:
        with self.archive.store.database.write() as tx:
            tx.execute(insert(GUARDIANSHIP).values(
                person=self.child, guardian=self.mother, basis="出生医学证明", by="registrar", at_ms=0,
            ))  # fmt: skip


def born_years_ago(years: int, days: int = 0) -> str:
    """YYYYMMDD, so many days after the day that is so many years before today."""
    today = now().astimezone(CHINA) + timedelta(days=days)
    return f"{today.year - years}{today:%m%d}".replace("0229", "0228")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        yield opened


@pytest.fixture
def family(archive: TestArchive) -> Family:
    hers = {
        "OtherPatientIDsSequence": certificate(MOTHER),
        "PatientName": "Wang^Xiaolan=王^晓兰",
        "PatientBirthDate": "19491231",
    }
    studies = {
        "chest": send(archive, "TAIYUAN", "T1", StudyDescription="胸部平扫", StudyDate="20261119", Modality="CT",
                      **hers),
        "head": send(archive, "YUNCHENG", "Y1", StudyDescription="头颅", StudyDate="20250302", Modality="MR", **hers),
        "child": send(archive, "TAIYUAN", "C1", StudyDescription="左手", PatientName="李^明",
                      PatientBirthDate=born_years_ago(9)),
        "stranger": send(archive, "TAIYUAN", "S1", StudyDescription="秘密", PatientName="赵^强"),
    }  # fmt: skip
    issued = cards.issue(archive.sender(), "T1")
    assert isinstance(issued, Issued)
    ids = (id_of(archive, "TAIYUAN", number) for number in ("T1", "C1", "S1"))
    return Family(archive, *ids, studies)


@pytest.fixture
def pages(archive: TestArchive, family: Family) -> Iterator[Browser]:
    """The mother's browser, in English."""
    with pages_on(archive) as browser:
        browser.cookies.set("i18next", "en-US")
        browser.cookies.set(SESSION_COOKIE, signed_in(archive, "wang", person=family.mother))
        yield browser


def say(pages: Browser, base: str = "/me", **form: str) -> int:
    return pages.ask("POST", f"{base}/rights", data=form, headers=OURS, follow=False).status_code


def sees(family: Family, asker: Asker, study: str) -> bool:
    try:
        imaging.show_study(family.work(asker), family.studies[study])
    except NotFound:
        return False
    return True


def test_who_signs_in_as_a_resident_is_on_their_own_page(pages: Browser) -> None:
    answer = pages.get("/")
    assert answer.url.path == "/me"
    assert "王晓兰" in answer.text
    nav = re.findall(r'<a href="([^"]+)"', answer.text.split('<nav aria-label="Site">')[1].split("</nav>")[0])
    assert nav == ["/me", "/me/studies", "/me/looked", "/me/rights"]


def test_the_code_on_the_page_names_the_person_at_a_door(pages: Browser, family: Family, archive: TestArchive) -> None:
    html = pages.get("/me").text
    assert f'hx-get="/health-card/{family.mother}/code"' in html
    assert 'class="qr"' in html
    card = cards.cards_of(family.work(resident(family.mother)), family.mother)[0]
    shown = cards.dynamic_code(family.work(resident(family.mother)), card)
    assert read(shown.text) is not None
    scan = family.work(staff(Role.CLERK))
    found = cards.resolve(scan, shown.text, Terminal("0101", "desk", "01"))
    assert isinstance(found, Resolved)
    assert found.card.holder.exchange_id == family.mother
    assert sees(family, doctor(), "chest")
    html = pages.get("/me/looked").text
    assert "The health card had been scanned at this hospital." in html
    assert "The code of the phone: for a day this hospital could see the studies." in html
    assert "Where the health card was shown" not in pages.get("/me/looked?whose=own").text


def test_where_a_card_was_shown_is_told_to_nobody_else(family: Family) -> None:
    for asker in (doctor("TAIYUAN"), staff(Role.CLERK), resident(family.stranger)):
        with pytest.raises(NotFound):
            cards.uses_of(family.work(asker), family.mother)
    assert cards.uses_of(family.work(resident(family.mother)), family.mother) == []


def test_studies_of_all_hospitals_stand_by_year_and_open_on_phone_and_desk(pages: Browser, family: Family) -> None:
    html = pages.get("/me/studies").text
    assert html.index("2026</h2>") < html.index("胸部平扫") < html.index("2025</h2>") < html.index("头颅")
    assert "CT scan" in html
    assert "MRI scan" in html
    assert f'data-light="/look/TAIYUAN/{family.studies["chest"]}"' in html
    assert f"/viewer?StudyInstanceUIDs={family.studies['chest']}" in html
    assert "秘密" not in html
    assert "左手" not in html
    assert "/me/share/" in html
    assert pages.get(f"/look/TAIYUAN/{family.studies['chest']}").text.count("/me/studies") == 1


def test_studies_are_paged(pages: Browser, archive: TestArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huitong.web.me._STUDIES", 1)
    first = pages.get("/me/studies").text
    assert "胸部平扫" in first
    assert "头颅" not in first
    (following,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = pages.get(following.replace("&amp;", "&")).text
    assert "头颅" in second
    assert 'rel="next"' not in second


def test_each_look_is_told_with_who_where_and_why(pages: Browser, family: Family) -> None:
    family.visit()
    assert sees(family, doctor("YUNCHENG", "zhang"), "chest")
    html = pages.get("/me/looked").text
    assert "Zhang" in html
    assert "doctor · " in html
    assert "Saw the study" in html
    assert "胸部平扫" in html
    assert "Because of a visit at this hospital." in html
    assert "You yourself" not in html
    own_lines = pages.get("/me/looked?whose=own").text
    assert "You yourself" in own_lines
    assert "Zhang" not in own_lines


def test_refusals_are_told_apart(pages: Browser, family: Family) -> None:
    assert not sees(family, doctor("YUNCHENG", "zhang"), "chest")
    html = pages.get("/me/looked?whose=refused").text
    assert "Wanted to see the study" in html
    assert "Refused: no visit there, and the health card was not scanned there." in html
    assert sees(family, doctor("TAIYUAN", "li"), "chest")
    assert "Li</b>" not in pages.get("/me/looked?whose=refused").text
    assert "Li</b>" in pages.get("/me/looked").text


def test_emergencies_stand_out_with_their_reason_and_review(pages: Browser, family: Family) -> None:
    at_hand = family.work(doctor("YUNCHENG", "zhang"))
    rights.break_glass(at_hand, family.mother, "车祸昏迷，需要既往影像")
    assert sees(family, doctor("YUNCHENG", "zhang"), "chest")
    assert "In an emergency a doctor of" in pages.get("/me").text
    html = pages.get("/me/looked").text
    assert html.count("车祸昏迷，需要既往影像") == 2  # above, and at what was opened by it
    assert 'class="emergency"' in html
    assert "A supervisor has still to look at this." in html
    supervisor = family.work(staff(Role.SUPERVISOR, institution=None))
    (broken,) = rights.emergencies(supervisor)
    rights.review(supervisor, broken.pk, "unjustified", "没有急救记录")
    html = pages.get("/me/looked").text
    assert "there was no good reason." in html
    assert "没有急救记录" in html


def test_lines_are_paged(pages: Browser, family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huitong.web.me._LINES", 1)
    for name in ("alpha", "bravo"):
        assert sees(family, doctor("TAIYUAN", name), "chest")
    first = pages.get("/me/looked").text
    (following,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = pages.get(following.replace("&amp;", "&")).text
    assert ("Bravo" in first, "Alpha" in first) == (True, False)
    assert ("Bravo" in second, "Alpha" in second) == (False, True)


def test_an_objection_refuses_a_doctor_at_once_and_taken_back_allows(pages: Browser, family: Family) -> None:
    family.visit()
    assert sees(family, doctor(), "chest")
    assert say(pages, do="object") == 303
    assert not sees(family, doctor(), "chest")
    html = pages.get("/me/rights").text
    assert "Other hospitals may not see anything." in html
    assert say(pages, do="withdraw-objection") == 303
    assert sees(family, doctor(), "chest")
    html = pages.get("/me/rights").text
    assert "Hospitals where you are being treated may see the studies." in html
    assert "taken back" in html
    assert "by you" in html


def test_consent_to_one_hospital_opens_a_private_study_there_alone(pages: Browser, family: Family) -> None:
    archive = family.archive
    family.studies["private"] = send(
        archive, "TAIYUAN", "T1", InstitutionalDepartmentName="精神科", StudyDescription="脑电",
        PatientName="Wang^Xiaolan=王^晓兰", OtherPatientIDsSequence=certificate(MOTHER),
    )  # fmt: skip
    family.visit()
    assert not sees(family, doctor(), "private")
    assert say(pages, do="consent", to="YUNCHENG", **{"class": "psychiatry"}) == 303
    assert sees(family, doctor(), "private")
    html = pages.get("/me/rights").text
    (pk,) = re.findall(r'name="pk" value="(\d+)"', html)
    assert say(pages, do="withdraw-consent", pk=pk) == 303
    assert not sees(family, doctor(), "private")
    assert say(pages, do="withdraw-consent", pk=pk) == 404
    assert "Psychiatry: shown to" in pages.get("/me/rights").text


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"do": "consent", "class": "nothing", "to": ""}, 400),
        ({"do": "consent", "class": "genetics", "to": "NOWHERE"}, 400),
        ({"do": "withdraw-consent", "pk": "9" * 30}, 404),
        ({"do": "withdraw-consent", "pk": "x"}, 404),
        ({"do": "shout"}, 400),
        ({}, 400),
    ],
)
def test_what_cannot_be_said_changes_nothing(pages: Browser, family: Family, form: dict[str, str], status: int) -> None:
    assert say(pages, **form) == status
    assert rights.spoken(family.work(resident(family.mother)), family.mother) == []


def test_another_sites_form_says_nothing(pages: Browser, family: Family) -> None:
    foreign = {"origin": "http://elsewhere.example", "sec-fetch-site": "cross-site"}
    assert pages.ask("POST", "/me/rights", data={"do": "object"}, headers=foreign).status_code == 403
    assert rights.rights_of(family.work(resident(family.mother)), family.mother).objection is None


def test_nobody_elses_consent_is_taken_back_by_its_number(pages: Browser, family: Family) -> None:
    stranger = family.work(resident(family.stranger))
    rights.consent(stranger, family.stranger, "genetics")
    (held,) = rights.rights_of(stranger, family.stranger).consents
    assert say(pages, do="withdraw-consent", pk=str(held.pk)) == 404
    assert rights.rights_of(stranger, family.stranger).consents == [held]


def test_a_guardian_has_all_pages_of_a_child(pages: Browser, family: Family) -> None:
    base = f"/me/child/{family.child}"
    assert {pages.get(f"{base}{page}").status_code for page in PAGES} == {404}
    family.guard()
    for page in PAGES:
        html = pages.get(f"{base}{page}").text
        assert f'<a href="{base}{page}" aria-current="true">李明</a>' in html, page
        assert f'href="{base}/studies"' in html  # the bar stays with the child
    assert "左手" in pages.get(f"{base}/studies").text
    assert "胸部平扫" not in pages.get(f"{base}/studies").text
    assert f"{base}/studies" in pages.get(f"/look/TAIYUAN/{family.studies['child']}").text
    assert "you: since" in pages.get(f"{base}/rights").text
    assert re.search("李明: since .*1970, shown by: 出生医学证明", pages.get("/me/rights").text)
    assert say(pages, base, do="object") == 303
    child = rights.rights_of(family.work(resident(family.child)), family.child)
    assert child.objection is not None
    assert child.objection.by == "wang"
    assert rights.rights_of(family.work(resident(family.mother)), family.mother).objection is None


@pytest.mark.parametrize(("days", "status"), [(1, 200), (0, 404)])
def test_a_guardian_has_them_until_the_14th_birthday(
    archive: TestArchive, family: Family, days: int, status: int
) -> None:
    born = born_years_ago(14, days)
    send(archive, "TAIYUAN", "C2", PatientName="李^红", PatientBirthDate=born)
    family.child = id_of(archive, "TAIYUAN", "C2")
    family.guard()
    with pages_on(archive) as pages:
        pages.cookies.set(SESSION_COOKIE, signed_in(archive, "wang", person=family.mother))
        assert {pages.get(f"/me/child/{family.child}{page}").status_code for page in PAGES} == {status}
        assert (f"/me/child/{family.child}" in pages.get("/me").text) is (status == 200)
        assert say(pages, f"/me/child/{family.child}", do="object") == (303 if status == 200 else 404)


@pytest.mark.parametrize("page", PAGES)
def test_strangers_and_unknown_persons_are_one_answer(pages: Browser, family: Family, page: str) -> None:
    answers = [pages.get(f"/me/child/{each}{page}") for each in (family.stranger, "H" * 16)]
    assert [each.status_code for each in answers] == [404, 404]
    texts = [each.text.replace(family.stranger, "ID").replace("H" * 16, "ID") for each in answers]
    assert texts[0] == texts[1]
    for each in (family.stranger, "H" * 16):
        assert say(pages, f"/me/child/{each}", do="object") == 404


@pytest.mark.parametrize("page", PAGES)
def test_staff_have_no_such_pages(archive: TestArchive, family: Family, page: str) -> None:
    with pages_on(archive) as browser:
        browser.cookies.set(
            SESSION_COOKIE, signed_in(archive, "zhang", Role.DOCTOR, Role.REGISTRAR, institution="TAIYUAN")
        )
        assert browser.get(f"/me{page}").status_code == 404
        assert browser.get(f"/me/child/{family.mother}{page}").status_code == 404
        for base in ("/me", f"/me/child/{family.mother}"):
            assert say(browser, base, do="object") == 404


def test_who_is_not_signed_in_is_asked_to(archive: TestArchive, family: Family) -> None:
    with pages_on(archive) as browser:
        answer = browser.get("/me/looked", follow=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fme%2Flooked")


def test_an_account_of_a_number_that_was_joined_is_of_the_person(archive: TestArchive, family: Family) -> None:
    send(archive, "YUNCHENG", "Y9", StudyDescription="膝", PatientName="王^小兰")
    old = id_of(archive, "YUNCHENG", "Y9")
    cookie = signed_in(archive, "old", person=old)
    joined = join(archive, ("TAIYUAN", "T1"), ("YUNCHENG", "Y9"))
    assert joined == family.mother
    with pages_on(archive) as browser:
        browser.cookies.set(SESSION_COOKIE, cookie)
        html = browser.get("/me/studies").text
        assert "胸部平扫" in html
        assert "膝" in html
        assert browser.get("/me/looked").status_code == 200


def test_without_a_card_the_page_says_where_one_is_made(archive: TestArchive, family: Family) -> None:
    with pages_on(archive) as browser:
        browser.cookies.set(SESSION_COOKIE, signed_in(archive, "zhao", person=family.stranger))
        html = browser.get("/me").text
        assert "还没有健康卡" in html
        assert 'class="qr"' not in html


def test_a_stranger_who_wanted_another_study_than_the_links_is_told_of_as_that() -> None:
    def why(kind: str, rule: str) -> str:
        return own_words.why(auditing.Line(1, 0, {"kind": kind}, Looked("imaging.see", False, rule), ""))

    assert why("share", "none") == own_words.OUTSIDE_LINK
    assert why("share", "expired") == own_words.WHY["expired"]
    assert why("staff", "none") == own_words.REFUSED
