"""The pages of the directory and of people in both languages, wide, narrow and dark: accessible, and usable by keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.archives import TestArchive, archive_in
from tests.browser.conftest import NODE_MODULES
from tests.browser.images import bundled, written
from tests.browser.screens import LANGUAGES, SCREENS, opened
from tests.people.registry import LI_MING, OTHER, Registry, certified
from tests.serving import Server, serving

from huitong.cli.demo_directory import FILES
from huitong.directory import actions as directory
from huitong.people import actions
from huitong.people.cards import actions as cards

#: Lines that are taken and lines that are refused, for several reasons.
WRONG = """机构代码,机构名称,等级,行政区划代码,统一社会信用代码,上级机构,备注
JINZHONG,晋中市第一人民医院,三级甲等,140702,,,
DATONG,,三级甲等,140213,,,没有名称
LINFEN,临汾市人民医院,四级,141002,,,
CHANGZHI,长治市人民医院,三级甲等,999999,12140400MB0000000X,NOBODY,
"""
HOME, OTHER_HOME = "山西省运城市盐湖区解放北路8号2单元301室", "山西省运城市临猗县猗氏镇上王庄村三组31号院"


@dataclass
class Seen:
    """A running server, and what its pages are about."""

    server: Server
    person: str
    split: str
    question: int
    load: int

    @property
    def pages(self) -> dict[str, str]:
        return {
            "directory": "/directory",
            "directory-none": "/directory?q=nobody",
            "institution": "/directory/at/TAIYUAN",
            "institution-bare": "/directory/at/YC_DONGCUN",
            "loads": "/directory/loads",
            "load": f"/directory/loads/{self.load}",
            "people": "/people",
            "people-found": "/people?q=王",
            "people-none": "/people?q=nobody",
            "person": f"/person/{self.person}",
            "person-split": f"/person/{self.split}",
            "questions": "/questions",
            "question": f"/question/{self.question}",
            "card": f"/health-card/{self.person}",
            "card-static": f"/health-card/{self.person}?code=static",
            "scan": "/health-card",
        }


@pytest.fixture(scope="module")
def seen(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("registry") / "data"
    with archive_in(folder) as archive:
        for name, text in FILES.items():
            directory.load(archive.access.local(), name, text.encode())
        directory.load(archive.access.local(), "机构-补充.csv", WRONG.encode())
        load = directory.load_reports(archive.reader)[0].pk
        person, split = _people(archive)
        (question,) = actions.questions(archive.reader)
    with serving(folder, "--card-code-s", "600") as running:
        running.stow(_image("Wang^Xiaolan=王^晓岚", "P0001", "胸部 CT 平扫"))
        running.stow(_image("Wang^Xiaolan", "77", "头颅 CT 平扫"), institution="YUNCHENG")
        yield Seen(running, person, split, question.pk, load)


@pytest.fixture(scope="module")
def server(seen: Seen) -> Server:
    return seen.server


@pytest.fixture(scope="module")
def bare(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of which nobody has told anything yet."""
    with serving(tmp_path_factory.mktemp("bare") / "data") as running:
        yield running


def _people(archive: TestArchive) -> tuple[str, str]:
    """Who has records of two hospitals, a merged number, images, a card and a question; and who was split."""
    registry = Registry(archive)
    lives: dict[str, Any] = {"sex": "F", "birth_date": "19491231", "phones": ("13803511234",), "address": HOME}
    registry.register("TAIYUAN/P0001", names=("王^晓岚", "Wang^Xiaolan"), certificates=certified(LI_MING), **lives)
    registry.register("YUNCHENG/77", names=("Wang^Xiaolan",), certificates=certified(LI_MING), birth_date="19491231")
    registry.register("TAIYUAN/P0001-OLD", names=("王^晓岚",))
    actions.merge_numbers(archive.sender("TAIYUAN"), "TAIYUAN", "P0001-OLD", "P0001")
    registry.register("TAIYUAN/P0002", names=("欧阳^娜娜",), certificates=certified(OTHER), address=OTHER_HOME)
    registry.register("YUNCHENG/78", names=("欧阳^娜娜",), certificates=certified(OTHER))
    actions.split(registry.registrar, registry.events("YUNCHENG/78")[-1].pk, "电话核实：证件号抄错，是同名的两个人")
    cards.issue(archive.sender(), "P0001")
    registry.register("YUNCHENG/ZY20260019", names=("王^建华",), **lives)
    return registry.id_of("TAIYUAN/P0001"), registry.id_of("YUNCHENG/78")


def _image(name: str, number: str, description: str) -> bytes:
    ds = bundled("CT_small.dcm")
    ds.SpecificCharacterSet, ds.PatientName, ds.PatientID = "ISO_IR 192", name, number
    ds.PatientSex, ds.StudyDescription, ds.StudyDate, ds.StudyTime, ds.AccessionNumber = (
        "F",
        description,
        "20261119",
        "091500",
        number,
    )
    return written(ds)


#: Colours do not depend on the width, nor on the language.
def faults_of(page: Page, wide: int) -> list[tuple[str, Any]]:
    """Of a page, what keeps somebody out or does not fit."""
    page.evaluate((NODE_MODULES / "axe-core/axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    faults: list[tuple[str, Any]] = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found]
    if (width := page.evaluate("document.documentElement.scrollWidth")) > wide:
        faults.append(("wider than the screen", width))
    if cut := page.evaluate(_CUT):
        faults.append(("cut off or over the edge", cut))
    return faults


#: Texts whose box ends beyond the screen, or that do not fit into their box.
_CUT = """() => [...document.querySelectorAll('main *')].filter(each => {
  const box = each.getBoundingClientRect(), style = getComputedStyle(each);
  if (!each.textContent.trim() || box.width <= 1 || each.closest('pre, svg, .hidden, select, thead')) return false;
  return box.right > innerWidth + 1 || box.left < -1
    || (style.overflowX === 'hidden' && style.display !== 'inline' && each.scrollWidth > each.clientWidth + 1);
}).map(each => each.outerHTML.slice(0, 200)).slice(0, 3)"""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_fits_and_keeps_nobody_out(
    chromium: Browser, seen: Seen, bare: Server, pictures: Path, screen: str, language: str
) -> None:
    if not (NODE_MODULES / "axe-core/axe.min.js").is_file():
        pytest.skip("axe-core is not installed; `make setup` does it")
    empty = {"directory-empty": "/directory", "loads-empty": "/directory/loads", "questions-empty": "/questions"}
    wrong = {}
    for server, pages in ((seen.server, seen.pages), (bare, empty)):
        with closing(opened(chromium, server, screen, language)) as context:
            page = context.new_page()
            for which, path in pages.items():
                answer = page.goto(path)
                assert answer is not None
                assert answer.status == 200, which
                for summary in page.locator("summary").all():
                    summary.click()
                assert page.locator("html").get_attribute("lang") == LANGUAGES[language]
                page.screenshot(path=pictures / f"{which}-{screen}-{language}.png", full_page=True)
                if faults := faults_of(page, SCREENS[screen][0]):
                    wrong[which] = faults
    assert wrong == {}


#: What can be operated and is there to be seen, each with a number.
_NUMBERED = """() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
  .filter(each => each.checkVisibility({visibilityProperty: true}) && each.type !== 'hidden')
  .map((each, at) => { each.dataset.at = at; return at; })"""
#: The number of what has the focus, and whether that can be seen.
_FOCUSED = """() => {
  const each = document.activeElement, style = getComputedStyle(each);
  const shows = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return [Number(each.dataset.at ?? -1), shows || each.type === 'date'];  // whose parts show it themselves
}"""


def test_everything_is_reached_by_tab_and_seen_to_be(tab: Page, seen: Seen) -> None:
    for which, path in seen.pages.items():
        tab.goto(path)
        for summary in tab.locator("summary").all():
            summary.click()
        tab.evaluate("document.activeElement.blur()")
        wanted = set(tab.evaluate(_NUMBERED))
        reached, unseen = set(), []
        for _ in range(2 * len(wanted) + 8):  # a field of a date has several stops
            tab.keyboard.press("Tab")
            at, visible = tab.evaluate(_FOCUSED)
            reached.add(at)
            unseen += [] if visible or at < 0 else [tab.evaluate("document.activeElement.outerHTML")]
        assert (wanted - reached, unseen) == (set(), []), which


def test_a_question_is_answered_by_a_key(tab: Page, seen: Seen) -> None:
    tab.goto("/questions")
    tab.keyboard.press("Tab")  # the skip link
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/question/*")
    tab.get_by_label("备注").focus()
    tab.keyboard.type("123 号窗口核对")  # a figure in the note is no answer
    expect(tab).to_have_url(re.compile(r"/question/\d+$"))
    tab.keyboard.press("Escape")
    tab.keyboard.press("2")
    tab.wait_for_url("**/questions")
    expect(tab.get_by_role("heading", name="没有待核对的记录")).to_be_visible()
    tab.goto(f"/question/{seen.question}")
    expect(tab.get_by_text("123 号窗口核对")).to_be_visible()
