"""Guardians on the person's page: found by what is shown, named by registrars, ended, and told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.archives import TestArchive, archive_in, signed_in
from tests.askers import resident, staff, work_of
from tests.people.cards.test_keys import ONE, key_file
from tests.people.cards.test_keys import OTHER as SECOND
from tests.people.registry import LI_MING, OTHER, Registry, certified
from tests.web.browsing import Browser, pages_on

from huitong.access import auditing
from huitong.access.actions import SESSION_COOKIE
from huitong.access.model import Role
from huitong.base.clock import CHINA
from huitong.people import rights
from huitong.people.cards import actions as cards
from huitong.people.cards.model import Issued
from huitong.people.rights import NoGuardian
from huitong.store.tables import LEDGER
from huitong.web.guardians import WRONG

OURS = {"origin": "http://huitong.example", "sec-fetch-site": "same-origin"}
CHILD, MOTHER, NAMESAKE = "TAIYUAN/C1", "YUNCHENG/M1", "YUNCHENG/M2"


def born(years: int) -> str:
    """YYYYMMDD, somewhat more than so many years ago."""
    day = datetime.now(CHINA) - timedelta(days=round(years * 365.25) + 40)
    return day.strftime("%Y%m%d")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        yield opened


@pytest.fixture
def registry(archive: TestArchive) -> Registry:
    """A newborn, registered with the mother's name and certificate; the mother at another hospital, and a namesake."""
    found = Registry(archive)
    hers = {"mother_name": "王^芳", "mother_certificates": certified(LI_MING)}
    found.register(CHILD, names=("王芳之子",), birth_date=born(1), **hers)
    found.register(
        MOTHER, names=("王^芳", "Wang^Fang"), certificates=certified(LI_MING), sex="F", birth_date="19491231"
    )
    found.register(NAMESAKE, names=("王^芳",), birth_date=born(30))
    return found


@pytest.fixture
def pages(archive: TestArchive, registry: Registry) -> Iterator[Browser]:
    """Of a registrar of the child's hospital, in English."""
    with pages_on(archive) as browser:
        browser.cookies.set("i18next", "en-US")
        browser.cookies.set(SESSION_COOKIE, signed_in(archive, "guo", Role.REGISTRAR, institution="TAIYUAN"))
        yield browser


def name(pages: Browser, child: str, **form: str) -> Any:
    said = {"name": "王芳", "basis": "birth-certificate", "evidence": "O140012345 太原市妇幼保健院", **form}
    return pages.ask("POST", f"/person/{child}/guardians", data=said, headers=OURS, follow=False)


def test_the_mother_is_suggested_named_shown_and_ended(
    archive: TestArchive, registry: Registry, pages: Browser
) -> None:
    child, mother = registry.id_of(CHILD), registry.id_of(MOTHER)
    html = pages.get(f"/person/{child}").text
    assert "A hospital has registered 王芳 as the mother, by her certificate." in html
    assert "Nobody is registered as the guardian" in html
    filled = pages.get(f"/person/{child}?guardian={mother}").text
    assert f'name="guardian" value="{mother}"' in filled
    assert 'name="name" value="王芳"' in filled
    assert re.search(r'value="birth-certificate" selected', filled)
    assert rights.rights_of(archive.access.local(), child).guardians == []  # nothing by itself
    assert name(pages, child, guardian=mother).headers["location"] == f"/person/{child}#guardians"
    html = pages.get(f"/person/{child}").text
    assert "Birth certificate O140012345 太原市妇幼保健院" in html
    assert "as the mother" not in html
    hers = work_of(archive, resident(mother))
    [held] = rights.rights_of(hers, child).guardians
    assert (held.name, held.by) == ("王^芳", "guo")
    ends = pages.ask("POST", f"/person/{child}/guardians", data={"ends": str(held.pk)}, headers=OURS, follow=False)
    assert ends.status_code == 303
    assert "ended" in pages.get(f"/person/{child}").text
    again = pages.ask("POST", f"/person/{child}/guardians", data={"ends": str(held.pk)}, headers=OURS, follow=False)
    assert again.status_code == 404
    for person in (child, mother):
        facts = [each.looked.detail["fact"] for each in auditing.lines(archive.store, person=person)
                 if each.looked.action == "rights.guard" and each.looked.detail]  # fmt: skip
        assert sorted(facts) == ["guardian_ended", "guardian_named"]
    with archive.store.database.read() as tx:
        told = tx.execute(select(LEDGER).where(LEDGER.c.kind.like("access.guardian%")).order_by(LEDGER.c.seq)).all()
    assert [(row.kind, row.subject) for row in told] == [
        ("access.guardian_named", child), ("access.guardian_ended", child),
    ]  # fmt: skip


def test_both_see_it_on_their_own_pages(archive: TestArchive, registry: Registry, pages: Browser) -> None:
    child, mother = registry.id_of(CHILD), registry.id_of(MOTHER)
    assert name(pages, child, guardian=LI_MING).status_code == 303
    wanted = {
        ("wang", mother): {
            f"/me/child/{child}/rights": "you: since",
            "/me/rights": "shown by: Birth certificate O140012345",
            "/me/looked": "Wrote down who is a child",
        },
        ("child", child): {
            "/me": "Your guardian acts for you here as well: 王芳",
            "/me/rights": "王芳: since",
        },
    }
    for (account, person), shown in wanted.items():
        pages.cookies.set(SESSION_COOKIE, signed_in(archive, account, person=person))
        for path, said in shown.items():
            assert said in pages.get(path).text, path


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"guardian": "nobody"}, NoGuardian.NOBODY),
        ({"guardian": ""}, NoGuardian.NOBODY),
        ({"guardian": LI_MING, "name": "李娜"}, NoGuardian.OTHER_NAME),
        ({"guardian": LI_MING, "name": ""}, NoGuardian.OTHER_NAME),
        ({"guardian": LI_MING, "evidence": "  "}, NoGuardian.NO_EVIDENCE),
        ({"guardian": LI_MING, "basis": "a friend said so"}, NoGuardian.NO_EVIDENCE),
    ],
)
def test_what_does_not_name_one_guardian_is_told_and_names_nobody(
    archive: TestArchive, registry: Registry, pages: Browser, form: dict[str, str], said: NoGuardian
) -> None:
    child = registry.id_of(CHILD)
    answer = name(pages, child, **form)
    assert answer.status_code == 400
    assert WRONG[said] in answer.text
    assert f'name="guardian" value="{form["guardian"]}"' in answer.text  # nothing has to be typed again
    assert rights.rights_of(archive.access.local(), child).guardians == []


def test_the_rules_of_who_has_whom_as_guardian(archive: TestArchive, registry: Registry) -> None:
    guo = work_of(archive, staff(Role.REGISTRAR, institution="TAIYUAN"))
    child, mother = registry.id_of(CHILD), registry.id_of(MOTHER)
    registry.register("TAIYUAN/C2", names=("李^红",), birth_date=born(8))
    registry.register("TAIYUAN/A1", names=("赵^强",), birth_date=born(14))
    registry.register("TAIYUAN/A2", names=("孙^丽",))
    seen = ("court", "(2026)晋01民初1号")

    def named(whose: str, shown: str, name: str) -> NoGuardian | None:
        return rights.name_guardian(guo, whose, shown, name, *seen)

    assert named(registry.id_of("TAIYUAN/C2"), "C2", "李红") is NoGuardian.ONESELF
    assert named(child, "C2", "李红") is NoGuardian.GUARDIAN_IS_CHILD
    for grown in ("TAIYUAN/A1", "TAIYUAN/A2"):  # of the second nobody knows how old
        assert named(registry.id_of(grown), mother, "王芳") is NoGuardian.NO_CHILD
    registry.register("YUNCHENG/SAME", names=("王^芳",), birth_date=born(50))
    registry.register("TAIYUAN/SAME", names=("王^芳",), birth_date=born(20))
    assert named(child, "SAME", "王芳") is NoGuardian.SEVERAL
    assert named(child, "M1", "Wang Fang") is None
    assert named(child, mother, "王芳") is NoGuardian.ALREADY


def test_a_scanned_card_finds_the_guardian_and_is_not_used_up(tmp_path: Path) -> None:
    with archive_in(tmp_path / "data", card_keys=key_file(tmp_path, (1, ONE, SECOND))) as archive:
        registry = Registry(archive)
        registry.register(CHILD, names=("李^红",), birth_date=born(3))
        registry.register(MOTHER, names=("王^芳",), certificates=certified(OTHER))
        issued = cards.issue(archive.sender("YUNCHENG"), "M1")
        assert isinstance(issued, Issued)
        child, mother = registry.id_of(CHILD), registry.id_of(MOTHER)
        hers = work_of(archive, resident(mother))
        code = cards.dynamic_code(hers, issued.card).text
        guo = work_of(archive, staff(Role.REGISTRAR, institution="TAIYUAN"))
        assert rights.name_guardian(guo, child, code, "王芳", "household-register", "户口簿 140100") is None
        assert [each.exchange_id for each in rights.rights_of(hers, child).guardians] == [mother]
        assert cards.uses_of(hers, mother) == []


def test_nobody_else_sees_or_names_guardians(archive: TestArchive, registry: Registry) -> None:
    child = registry.id_of(CHILD)
    for at, (role, institution) in enumerate(
        ((Role.DOCTOR, "TAIYUAN"), (Role.CLERK, "TAIYUAN"), (Role.REGISTRAR, "YUNCHENG"), (Role.ADMIN, None))
    ):
        with pages_on(archive) as browser:
            browser.cookies.set(SESSION_COOKIE, signed_in(archive, f"{role}-{at}", role, institution=institution))
            assert 'id="guardians"' not in browser.get(f"/person/{child}").text
            assert name(browser, child, guardian=LI_MING).status_code == (404 if role is Role.ADMIN else 403)
    with pages_on(archive) as browser:
        secret = signed_in(archive, "guo", Role.REGISTRAR, institution="TAIYUAN")
        browser.cookies.set(SESSION_COOKIE, secret)
        elsewhere = {"origin": "http://elsewhere.example", "sec-fetch-site": "cross-site"}
        form = {"guardian": LI_MING, "name": "王芳", "basis": "court", "evidence": "1"}
        assert browser.ask("POST", f"/person/{child}/guardians", data=form, headers=elsewhere).status_code == 403
    assert rights.rights_of(archive.access.local(), child).guardians == []


def test_a_mother_of_another_name_is_not_suggested_and_one_without_certificate_by_name(
    archive: TestArchive, registry: Registry
) -> None:
    guo = work_of(archive, staff(Role.REGISTRAR, institution="TAIYUAN"))
    told = {"mother_name": "赵^敏", "mother_certificates": certified(LI_MING)}
    registry.register("TAIYUAN/C3", names=("赵敏之女",), birth_date=born(1), **told)
    [mother] = rights.mothers_of(guo, registry.id_of("TAIYUAN/C3"))
    assert (mother.name, mother.exchange_id) == ("赵^敏", "")


def test_at_14_the_page_says_that_it_ended(archive: TestArchive, registry: Registry, pages: Browser) -> None:
    child, mother = registry.id_of(CHILD), registry.id_of(MOTHER)
    assert name(pages, child, guardian=mother).status_code == 303
    registry.register(CHILD, hours=24 * 365, birth_date=born(14))
    html = pages.get(f"/person/{child}").text
    assert "ended by age" in html
    assert 'name="guardian"' not in html
    assert rights.rights_of(archive.access.local(), child).guardians == []


def test_of_an_adult_the_page_says_nothing_unless_nobody_has_told_when_they_were_born(
    archive: TestArchive, registry: Registry
) -> None:
    unknown = "YUNCHENG/M3"
    registry.register(unknown, names=("赵敏",))
    secret = signed_in(archive, "guo", Role.REGISTRAR, institution="YUNCHENG")
    with pages_on(archive) as browser:
        browser.cookies.set(SESSION_COOKIE, secret)
        for number, shown in ((MOTHER, False), (NAMESAKE, False), (unknown, True)):
            html = browser.get(f"/person/{registry.id_of(number)}").text
            assert ('id="guardians"' in html) is shown, number
            told = [
                line.looked.person for line in auditing.lines(archive.store) if line.looked.action == "rights.guard"
            ]
            assert (registry.id_of(number) in told) is shown, number
        refused = name(browser, registry.id_of(NAMESAKE), guardian=registry.id_of(MOTHER))
        assert refused.status_code == 400
        assert 'id="guardians"' in refused.text
