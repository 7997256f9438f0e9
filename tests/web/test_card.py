"""The card's pages as a browser without JavaScript sees them, and the code as a stranger's decoder reads it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.archives import TestArchive, signed_in
from tests.askers import resident, work_of
from tests.people.cards.patients import register
from tests.web.browsing import Browser

from huitong.access.actions import SESSION_COOKIE
from huitong.access.model import Role
from huitong.people.cards import actions, codes
from huitong.people.cards.model import Issued
from huitong.store import ledger
from huitong.web.card import REFUSED, qr

LI = "11010519491231002X"

OURS = {"origin": "http://huitong.example", "sec-fetch-site": "same-origin"}


@pytest.fixture
def person(archive: TestArchive) -> str:
    found = register(archive, "P1", "张小三", LI)
    assert isinstance(actions.issue(archive.sender(), "P1"), Issued)
    return found


def test_the_card_shows_a_masked_name_who_issued_it_and_a_code(pages: Browser, person: str) -> None:
    html = pages.get(f"/health-card/{person}").text
    assert "张*三" in html
    assert "张小三" not in html
    assert LI not in html
    assert "太原市中心医院" in html
    assert "电子健康卡" in html
    assert '<svg viewBox="' in html
    assert 'data-seconds="60"' in html


def test_the_code_of_the_moment_is_another_each_time_and_the_printed_one_is_not(pages: Browser, person: str) -> None:
    static = [pages.get(f"/health-card/{person}?code=static").text for _ in range(2)]
    assert "data-seconds" not in static[0]
    assert static[0] == static[1]
    part = pages.get(f"/health-card/{person}/code").text
    assert part.startswith('<div id="code"')
    assert pages.get(f"/health-card/{person}/code").headers["cache-control"] == "no-store"


def test_a_suspended_card_shows_no_code(archive: TestArchive, pages: Browser, person: str) -> None:
    [card] = actions.cards_of(archive.reader, person)
    actions.suspend(archive.sender(), card.card_id)
    html = pages.get(f"/health-card/{person}").text
    assert "<svg" not in html
    assert "已停用" in html


def test_in_english_too(pages: Browser, person: str) -> None:
    pages.get("/language/en-US")
    assert "Electronic health card" in pages.get(f"/health-card/{person}").text


def test_a_person_without_card_and_an_unknown_one_are_not_found(archive: TestArchive, pages: Browser) -> None:
    without = register(archive, "P2", "李梅")
    assert pages.get(f"/health-card/{without}").status_code == 404
    assert "/health-card/" not in pages.get(f"/person/{without}").text
    assert pages.get("/health-card/HT404").status_code == 404


def test_what_a_scanner_types_opens_the_person_and_records_the_use(
    archive: TestArchive, pages: Browser, person: str
) -> None:
    assert "autofocus" in pages.get("/health-card").text
    [card] = actions.cards_of(archive.reader, person)
    typed = {"code": actions.dynamic_code(archive.reader, card).text, "step": "010104"}
    opened = pages.ask("POST", "/health-card", data=typed, headers=OURS)
    assert str(opened.url).endswith(f"/person/{person}")
    assert opened.status_code == 200
    assert f'href="/health-card/{person}"' in opened.text
    again = pages.ask("POST", "/health-card", data=typed, headers=OURS)
    assert again.status_code == 409
    assert "这个码已经用过" in again.text
    assert '<option value="010104" selected>' in again.text
    assert actions.figures(archive.reader).uses_by_step == {"010104": 1}


@pytest.mark.parametrize("institution", ["YUNCHENG", "TAIYUAN"])
def test_a_scan_is_that_of_the_institution_of_whoever_is_signed_in(
    archive: TestArchive, pages: Browser, person: str, institution: str
) -> None:
    [card] = actions.cards_of(archive.reader, person)
    assert actions.uses_of(work_of(archive, resident(person)), person) == []
    pages.cookies.set(SESSION_COOKIE, signed_in(archive, "sun", Role.DOCTOR, institution=institution))
    typed = {"code": actions.dynamic_code(archive.reader, card).text, "step": "010104"}
    assert pages.ask("POST", "/health-card", data=typed, headers=OURS, follow=False).status_code == 303
    (use,) = actions.uses_of(work_of(archive, resident(person)), person)
    assert (use.institution, use.step) == (institution, "010104")
    with archive.store.database.read() as read:
        (line,) = [line for line in ledger.follow(read, 0) if line.kind == "people.card_used"]
    assert line.institution == institution


def test_a_reader_that_is_nobodys_scans_for_no_institution(archive: TestArchive, pages: Browser, person: str) -> None:
    [card] = actions.cards_of(archive.reader, person)
    typed = {"code": actions.dynamic_code(archive.reader, card).text, "step": "010104"}
    assert pages.ask("POST", "/health-card", data=typed, headers=OURS, follow=False).status_code == 303
    assert [use.institution for use in actions.uses_of(work_of(archive, resident(person)), person)] == [""]


def test_what_another_sites_page_sends_scans_no_card(archive: TestArchive, pages: Browser, person: str) -> None:
    [card] = actions.cards_of(archive.reader, person)
    typed = {"code": actions.dynamic_code(archive.reader, card).text, "step": "010104"}
    elsewhere = {"origin": "http://elsewhere.example", "sec-fetch-site": "cross-site"}
    assert pages.ask("POST", "/health-card", data=typed, headers=elsewhere).status_code == 403
    assert actions.figures(archive.reader).uses_by_step == {}


def test_every_reason_for_which_a_scan_is_refused_has_its_words() -> None:
    assert set(REFUSED) == set(actions.Reason) - {actions.Reason.TAKEN}


@pytest.mark.peer
def test_a_decoder_of_others_reads_the_code_that_the_page_shows(
    archive: TestArchive, pages: Browser, person: str, tmp_path: Path
) -> None:
    if shutil.which("zbarimg") is None:
        pytest.skip("zbar-tools is not installed")
    [card] = actions.cards_of(archive.reader, person)
    svg = re.search(r"<svg.*?</svg>", pages.get(f"/health-card/{person}?code=static").text, re.DOTALL)
    assert svg is not None
    assert svg[0] == str(qr(actions.static_code(card).text))
    import segno

    # The same symbol as pixels: SVG needs a browser, which tests/browser has.
    segno.make(actions.static_code(card).text, error="m", micro=False, boost_error=False).save(
        str(tmp_path / "code.png"), scale=4, border=4
    )
    read = subprocess.run(["zbarimg", "-q", "--raw", tmp_path / "code.png"], capture_output=True, text=True, check=True)
    assert codes.read(read.stdout) == codes.Code(card.card_id)
