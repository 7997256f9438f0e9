"""The supervisor's pages of who looked: found by what is given, each line whole; for nobody else; and written down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.archives import TestArchive, archive_in
from tests.askers import KnowingAccess, doctor, resident, staff, work_of
from tests.web.browsing import Browser, pages_on

from huitong.access import auditing
from huitong.access.audit_tables import AUDIT, AUDIT_HEAD
from huitong.access.auditing import Looked
from huitong.access.deciding import RULES, Action, Subject, decide
from huitong.access.model import Asker, Kind, Role
from huitong.access.sharing.model import State
from huitong.directory.actions import read_directory
from huitong.people.doors import fhir_balp
from huitong.web import audit_words


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        opened.access = KnowingAccess(opened.store, read_directory(None, demo=True))
        for number in range(60):
            what = Looked("imaging.see", number != 7, "open visit", "TREAT", f"HT{number}", "study", f"1.{number}")
            auditing.record(work_of(opened, doctor()), what)
        yield opened


@pytest.fixture
def pages(archive: TestArchive) -> Iterator[Browser]:
    ask_as(archive, staff(Role.SUPERVISOR, institution=None))
    with pages_on(archive) as browser:
        browser.cookies.set("i18next", "en-US")
        yield browser


def ask_as(archive: TestArchive, asker: Asker | None) -> None:
    assert isinstance(archive.access, KnowingAccess)
    archive.access.asker = asker


def test_lines_are_found_and_paged(pages: Browser) -> None:
    html = pages.get("/audit?action=imaging.see").text
    assert html.count('class="open"') == 50
    assert "HT59" in html
    assert "HT9<" not in html
    rest = pages.get("/audit?action=imaging.see&before=11").text
    assert "HT9<" in rest
    assert 'rel="next"' not in rest
    assert 'href="/audit?action=imaging.see&amp;before=11"' in html
    refused = pages.get("/audit?action=imaging.see&outcome=refused").text
    assert refused.count('class="open"') == 1
    assert "HT7<" in refused
    assert pages.get("/audit?since=2000-01-01&until=2000-01-02").text.count('class="open"') == 0
    assert pages.get("/audit?person=HT3&account=&object=1.3").text.count('href="/audit/4"') == 1


def test_a_line_says_everything_and_one_that_is_none_is_unknown(pages: Browser) -> None:
    html = pages.get("/audit/8").text
    for said in ("HT7", "1.7", "open visit", "TREAT", "Refused"):
        assert said in html
    assert pages.get("/audit/99999").status_code == 404
    assert pages.get(f"/audit/{1 << 63}").status_code == 404


def test_that_a_supervisor_looked_is_a_line_with_what_was_searched(archive: TestArchive, pages: Browser) -> None:
    pages.get("/audit?person=HT3&outcome=refused")
    pages.get("/audit/8")
    read, searched = auditing.lines(archive.store, limit=2)
    assert (read.looked.action, read.looked.kind, read.looked.id) == ("audit.see", "audit line", "8")
    assert (searched.looked.person, searched.looked.detail) == ("HT3", {"allowed": "false"})


@pytest.mark.parametrize("asker", [doctor(), resident("HT3"), staff(Role.ADMIN, institution=None), None])
def test_nobody_else_reads_it_and_that_they_tried_is_a_line(
    archive: TestArchive, pages: Browser, asker: Asker | None
) -> None:
    ask_as(archive, asker)
    for path in ("/audit", "/audit/8"):
        assert pages.get(path).status_code == 403
    tried = [line.looked for line in auditing.lines(archive.store) if line.looked.action == "audit.see"]
    assert [each.allowed for each in tried] == ([False, False] if asker else [])


def test_the_bar_leads_supervisors_there_and_nobody_else(archive: TestArchive, pages: Browser) -> None:
    assert 'href="/audit"' in pages.get("/about").text or 'href="/audit"' in pages.get("/audit").text
    ask_as(archive, doctor())
    assert 'href="/audit"' not in pages.get("/directory").text


def test_the_last_heads_stand_below_with_root_and_signature(archive: TestArchive, pages: Browser) -> None:
    assert "None was made yet" in pages.get("/audit").text
    head = archive.access.heads.make()
    assert head is not None
    html = pages.get("/audit").text
    for said in (head.root.hex(), f'href="/audit/heads/{head.size}"', "Signed"):
        assert said in html
    assert "Not signed" not in html
    with archive.store.database.write() as tx:
        tx.execute(update(AUDIT_HEAD).values(note=head.note.partition("\n\n")[0] + "\n\n"))
    assert "Not signed" in pages.get("/audit").text
    with archive.store.database.write() as tx:
        tx.execute(update(AUDIT_HEAD).values(note=head.note.replace(f"\n{head.size}\n", "\n7\n")))
    html = pages.get("/audit").text
    assert "Altered" in html
    assert head.root.hex() not in html
    ask_as(archive, doctor())
    assert head.root.hex() not in pages.get("/audit").text


def test_lines_that_wait_too_long_for_a_head_are_said(archive: TestArchive, pages: Browser) -> None:
    wrong = "something is wrong"
    assert wrong not in pages.get("/audit").text
    head = archive.access.heads.make()
    assert head is not None
    _an_hour_older(archive)
    assert wrong not in pages.get("/audit").text  # nothing waits but that this was looked at
    _an_hour_older(archive)
    assert wrong in pages.get("/audit").text
    archive.access.heads.make()
    assert wrong not in pages.get("/audit").text


def _an_hour_older(archive: TestArchive) -> None:
    with archive.store.database.write() as tx:
        for table in (AUDIT, AUDIT_HEAD):
            tx.execute(update(table).values(at_ms=table.c.at_ms - 3_600_000))


def test_actions_and_rules_are_told_in_words_beside_their_codes(pages: Browser) -> None:
    listed, line = pages.get("/audit?action=imaging.see").text, pages.get("/audit/1").text
    assert '<option value="imaging.see" selected>See a study</option>' in listed
    assert "Visit is open" in listed
    for word, code in (("See a study", "imaging.see"), ("Visit is open", "open visit"), ("Treatment", "TREAT")):
        assert f'<dd>{word} <code class="soft">{code}</code></dd>' in line
    assert "Doctor" in line


def test_everything_that_lines_say_has_a_word() -> None:
    rules = {rule.name for rule in RULES}
    assert not {*Action, *fhir_balp.ROWS} ^ set(audit_words.ACTIONS)
    refused = decide(staff(institution="TAIYUAN"), Action.SEE_STUDY, Subject("study", "YUNCHENG"))
    assert not {*rules, refused.rule, "unknown", "provider", *State} - {State.OPEN} - set(audit_words.RULES)
    assert not {rule.purpose for rule in RULES if rule.purpose} - set(audit_words.PURPOSES)
    assert set(audit_words.ASKERS) == set(Kind)


@pytest.mark.parametrize(
    ("roles", "home", "entries"),
    [
        ((Role.SUPERVISOR,), "/audit", ["/audit", "/break-glass", "/directory", "/about"]),
        ((Role.ADMIN,), "/accounts", ["/accounts", "/directory", "/about"]),
        ((Role.REGISTRAR,), "/people", ["/people", "/health-card", "/directory", "/about"]),
        ((Role.CLERK,), "/people", ["/people", "/health-card", "/directory", "/about"]),
        ((Role.DOCTOR,), "", ["/", "/people", "/health-card", "/directory", "/about"]),
        (
            (Role.DOCTOR, Role.SUPERVISOR), "",
            ["/", "/people", "/health-card", "/audit", "/break-glass", "/directory", "/about"],
        ),
    ],
)  # fmt: skip
def test_each_role_begins_where_it_has_something_to_see(
    archive: TestArchive, pages: Browser, roles: tuple[Role, ...], home: str, entries: list[str]
) -> None:
    ask_as(archive, staff(*roles, institution=None if Role.SUPERVISOR in roles or Role.ADMIN in roles else "TAIYUAN"))
    first = pages.get("/", follow=False)
    assert first.headers.get("location", "") == home
    bar = pages.get("/directory").text.partition("<nav")[2].partition("</nav>")[0]
    assert re.findall(r'<a href="([^"]+)"', bar) == entries
