"""The doctor's page of a person: what is shown, what would show more, and the emergency with its review."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archives import TestArchive, archive_in
from tests.askers import KnowingAccess, doctor, resident, staff, work_of
from tests.imaging.test_persons import certificate, id_of, send
from tests.web.browsing import Browser, pages_on

from huitong.access.model import Asker, Role
from huitong.base.clock import now
from huitong.directory.actions import read_directory
from huitong.people import rights
from huitong.people.adt import Effect, VisitChange
from huitong.people.visiting import change_visit

LI_MING = "11010519491231002X"
OURS = {"origin": "http://huitong.example", "sec-fetch-site": "same-origin"}
REASON = "车祸昏迷，需要既往影像"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        opened.access = KnowingAccess(opened.store, read_directory(None, demo=True))
        yield opened


@pytest.fixture
def pages(archive: TestArchive) -> Iterator[Browser]:
    with pages_on(archive) as browser:
        browser.cookies.set("i18next", "en-US")
        yield browser


@pytest.fixture
def person(archive: TestArchive) -> str:
    for institution, number, what in (("TAIYUAN", "T1", "Chest"), ("YUNCHENG", "Y1", "Head")):
        born = {"OtherPatientIDsSequence": certificate(LI_MING), "PatientName": "李^明"}
        send(archive, institution, number, StudyDescription=what, **born)
    return id_of(archive, "TAIYUAN", "T1")


def ask_as(archive: TestArchive, asker: Asker | None) -> None:
    assert isinstance(archive.access, KnowingAccess)
    archive.access.asker = asker


def test_outside_studies_are_shown_with_a_visit_and_otherwise_what_would_open_them(
    archive: TestArchive, pages: Browser, person: str
) -> None:
    ask_as(archive, doctor())
    html = pages.get(f"/person/{person}").text
    assert "Head" in html
    assert "Chest" not in html
    assert "Those of other hospitals open while a visit" in html
    change = VisitChange(Effect.OPENS, "Y1", "V1", "I", now())
    with archive.store.database.write() as tx:
        change_visit(tx, "YUNCHENG", change, now())
    html = pages.get(f"/person/{person}").text
    assert "Chest" in html
    assert "a visit of this person is open at yours" in html
    assert "Open in an emergency" not in html
    rights.object_to(work_of(archive, resident(person)), person)
    html = pages.get(f"/person/{person}").text
    assert "Chest" not in html
    assert "does not want other hospitals to see" in html


def test_an_emergency_is_opened_with_a_reason_and_reviewed(archive: TestArchive, pages: Browser, person: str) -> None:
    ask_as(archive, doctor())
    where = f"/person/{person}/break-glass"
    assert "Open in an emergency" in pages.get(f"/person/{person}").text
    assert pages.ask("POST", where, data={"reason": "short"}, headers=OURS).status_code == 400
    assert pages.ask("POST", where, data={"reason": REASON}, headers={"origin": "http://other"}).status_code == 403
    html = pages.ask("POST", where, data={"reason": REASON}, headers=OURS).text
    assert "Chest" in html
    assert "as you have opened them in an emergency" in html
    assert pages.get("/break-glass").status_code == 403
    ask_as(archive, staff(Role.SUPERVISOR, institution=None))
    html = pages.get("/break-glass").text
    assert REASON in html
    assert "Not justified" in html
    said = {"verdict": "unjustified", "note": "not on duty"}
    html = pages.ask("POST", "/break-glass/1", data=said, headers=OURS).text
    assert REASON not in html
    assert "not on duty" in pages.get("/break-glass?verdict=unjustified").text
    assert pages.ask("POST", "/break-glass/1", data=said, headers=OURS).status_code == 404
    assert pages.get(f"/person/{person}").status_code == 404
    ask_as(archive, doctor())
    assert "Chest" not in pages.get(f"/person/{person}").text


def test_long_lists_of_emergencies_have_pages(archive: TestArchive, pages: Browser, person: str) -> None:
    for number in range(52):
        rights.break_glass(work_of(archive, doctor()), person, f"emergency number {number}.")
    ask_as(archive, staff(Role.SUPERVISOR, institution=None))
    first = pages.get("/break-glass").text
    assert "emergency number 51." in first
    assert "emergency number 1." not in first
    assert "emergency number 1." in pages.get("/break-glass?before=3").text


@pytest.mark.parametrize(("role", "sees"), [(Role.CLERK, True), (Role.REGISTRAR, True), (Role.ADMIN, False)])
def test_who_sees_no_images_is_told_so(
    archive: TestArchive, pages: Browser, person: str, role: Role, sees: bool
) -> None:
    ask_as(archive, staff(role))
    answer = pages.get(f"/person/{person}")
    assert answer.status_code == (200 if sees else 404)
    assert "Chest" not in answer.text
    assert ("Images are shown to the doctors who treat this person." in answer.text) is sees
    assert "Open in an emergency" not in answer.text


def test_names_are_looked_for_among_ones_own_patients_and_numbers_among_all(
    archive: TestArchive, pages: Browser, person: str
) -> None:
    send(archive, "TAIYUAN", "OTHER-7", PatientName="李^明明")
    ask_as(archive, doctor())
    for text in ("李明", "liming", "lm"):
        html = pages.get("/people", params={"q": text}).text
        assert person in html
        assert "OTHER-7" not in html
    other = id_of(archive, "TAIYUAN", "OTHER-7")
    for text in ("OTHER-7", other):
        assert other in pages.get("/people", params={"q": text}).text
    ask_as(archive, staff(Role.REGISTRAR))
    assert other in pages.get("/people", params={"q": "liming"}).text
