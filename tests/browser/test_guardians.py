"""A registrar's part of a child's page, in both languages, wide, narrow and dark: accessible, and it fits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.archives import archive_in, signed_in
from tests.browser.conftest import NODE_MODULES
from tests.browser.screens import LANGUAGES, SCREENS, opened
from tests.browser.test_people_pages import faults_of
from tests.people.registry import LI_MING, OTHER, Registry, certified
from tests.serving import Server, serving
from tests.web.test_guardians import born

from huitong.access.model import Role
from huitong.people import rights


@dataclass
class Desk:
    """A running server, the session of a registrar at it, and children."""

    server: Server
    session: str
    mother: str
    #: Exchange ids: a newborn with nobody, one with a guardian and one from before, one who has turned 14.
    newborn: str
    guarded: str
    grown: str


@pytest.fixture(scope="module")
def desk(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("guardians") / "data"
    with ThreadPoolExecutor(1) as apart:  # from the event loop that drives the browser
        said = apart.submit(_prepared, folder).result()
    with serving(folder, "--readers", "192.0.2.0/24") as running:
        yield Desk(running, *said)


def _prepared(folder: Path) -> tuple[str, str, str, str, str]:
    with archive_in(folder) as archive:
        registry = Registry(archive)
        hers: dict[str, Any] = {"mother_name": "王^芳", "mother_certificates": certified(LI_MING)}
        registry.register("TAIYUAN/C1", names=("王芳之子",), sex="M", birth_date=born(0), **hers)
        registry.register("TAIYUAN/C2", names=("李^小红",), sex="F", birth_date=born(8))
        registry.register("TAIYUAN/C3", names=("李^大勇",), sex="M", birth_date=born(8))
        registry.register("YUNCHENG/M1", names=("王^芳",), certificates=certified(LI_MING), sex="F")
        registry.register("YUNCHENG/F1", names=("李^强",), certificates=certified(OTHER), sex="M")
        newborn, guarded, grown = (registry.id_of(f"TAIYUAN/C{each}") for each in (1, 2, 3))
        local = archive.access.local()
        for child in (guarded, grown):
            for shown, name, basis, evidence in (
                (LI_MING, "王芳", "birth-certificate", "O140012345 太原市妇幼保健院"),
                (OTHER, "李强", "household-register", "户号 140106001 太原市公安局迎泽分局"),
            ):
                assert rights.name_guardian(local, child, shown, name, basis, evidence) is None
        rights.end_guardian(local, guarded, rights.rights_of(local, guarded).guardians[0].pk)
        registry.register("TAIYUAN/C3", hours=1, birth_date=born(14))
        session = signed_in(archive, "guo", Role.REGISTRAR, institution="TAIYUAN")
        return session, registry.id_of("YUNCHENG/M1"), newborn, guarded, grown


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_fits_and_keeps_nobody_out(
    chromium: Browser, desk: Desk, pictures: Path, screen: str, language: str
) -> None:
    if not (NODE_MODULES / "axe-core/axe.min.js").is_file():
        pytest.skip("axe-core is not installed; `make setup` does it")
    wanted = {
        "none": f"/person/{desk.newborn}",
        "filled": f"/person/{desk.newborn}?guardian={desk.mother}",
        "some": f"/person/{desk.guarded}",
        "grown": f"/person/{desk.grown}",
    }
    wrong = {}
    with closing(opened(chromium, desk.server, screen, language, session=desk.session)) as context:
        page = context.new_page()
        for which, path in wanted.items():
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
            page.screenshot(path=pictures / f"guardians-{which}-{screen}-{language}.png", full_page=True)
            if faults := faults_of(page, SCREENS[screen][0]):
                wrong[which] = faults
        page.goto(f"/person/{desk.guarded}")
        page.locator("summary", has_text="登记监护人" if language == "zh" else "Name a guardian").click()
        for field, text in (("guardian", OTHER), ("guardian-name", "张三"), ("evidence", "1")):
            page.fill(f"#{field}", text)
        page.select_option("#basis", "court")
        page.locator("#evidence").press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        page.screenshot(path=pictures / f"guardians-wrong-{screen}-{language}.png", full_page=True)
        if faults := faults_of(page, SCREENS[screen][0]):
            wrong["wrong"] = faults
    assert wrong == {}


def test_a_mother_is_named_from_what_is_suggested_and_ended_again(chromium: Browser, desk: Desk) -> None:
    with closing(opened(chromium, desk.server, "desk", "zh", session=desk.session)) as context:
        page = context.new_page()
        page.goto(f"/person/{desk.newborn}")
        page.get_by_role("link", name="填入王芳").click()
        expect(page.locator("#guardian")).to_have_value(desk.mother)
        page.fill("#evidence", "O140054321 太原市妇幼保健院")
        page.get_by_role("button", name="登记为监护人").click()
        expect(page.get_by_text("出生医学证明 O140054321 太原市妇幼保健院")).to_be_visible()
        expect(page.get_by_role("link", name="填入王芳")).to_have_count(0)
        page.locator("summary", has_text="终止监护：王芳").click()
        page.get_by_role("button", name="确认终止监护").click()
        expect(page.get_by_role("link", name="填入王芳")).to_be_visible()
