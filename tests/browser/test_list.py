"""The study list in a real browser: search, keys, paging, both widths, accessibility."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.conftest import NODE_MODULES
from tests.browser.images import bundled, written
from tests.objects import part10
from tests.serving import Server, serving

from huitong.web.search import PAGE_ROWS

PEOPLE = [
    ("Wang^XiaoDong=王^小东", "胸部平扫", "CT"),
    ("Li^Fang=李^芳", "头颅 MR 平扫", "MR"),
    ("Ouyang^XiuYing=欧阳^秀英", "腹部超声", "US"),
    ("Zhang^Wei=张^伟", "胸部正位", "DX"),
]
MANY = PAGE_ROWS + 14


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, with people in it."""
    with serving(tmp_path_factory.mktemp("people") / "data") as running:
        for number, (name, description, modality) in enumerate(PEOPLE):
            sent = [_image("CT_small.dcm" if modality == "CT" else "MR_small.dcm", name, description, modality, number)]
            running.stow(*sent, institution="TAIYUAN" if number % 2 else "YUNCHENG")
        many = (
            part10(PatientName=f"Lian^Xi=练^习{n}", StudyDate="20250101", StudyTime=f"{n // 60:02}{n % 60:02}00")
            for n in range(MANY - len(PEOPLE))
        )
        running.stow(*many)
        yield running


def _image(file: str, name: str, description: str, modality: str, number: int) -> bytes:
    ds = bundled(file)
    said: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": name,
        "PatientID": f"ZY2026{number:04}",
        "PatientSex": "FM"[number % 2],
        "PatientBirthDate": f"{1950 + 13 * number}0704",
        "StudyDescription": description,
        "Modality": modality,
        "StudyDate": f"202611{20 - number:02}",
        "StudyTime": "091500",
        "AccessionNumber": f"A{number:05}",
    }
    for keyword, value in said.items():
        setattr(ds, keyword, value)
    return written(ds)


def names(page: Page) -> list[str]:
    return page.locator("a.open").all_inner_texts()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("王小", ["王小东"]),
        ("wangxiaodong", ["王小东"]),
        ("wxd", ["王小东"]),
        ("ouyang", ["欧阳秀英"]),
        ("oyxy", ["欧阳秀英"]),
        ("秀英", ["欧阳秀英"]),
    ],
)
def test_typing_a_name_finds_it_by_characters_pinyin_and_initials(tab: Page, typed: str, found: list[str]) -> None:
    tab.goto("/")
    tab.evaluate("window.same = true")
    tab.locator("#name").press_sequentially(typed)
    expect(tab.locator("a.open")).to_have_text(found)
    assert tab.evaluate("window.same") is True  # only the list was replaced
    expect(tab).to_have_url(re.compile(r"/\?name=[^&]+$"))


def test_a_quick_choice_and_dates_exclude_each_other(tab: Page) -> None:
    tab.goto("/")
    tab.locator("label[for=days-30]").click()
    expect(tab).to_have_url(re.compile(r"/\?days=30$"))
    tab.locator("#since").fill("2026-11-19")
    expect(tab).to_have_url(re.compile(r"/\?since=2026-11-19$"))
    expect(tab.locator("a.open")).to_have_text(["王小东", "李芳"])


def test_all_conditions_work_together(tab: Page) -> None:
    tab.goto("/")
    tab.locator("#modality").select_option("US")
    expect(tab.locator("a.open")).to_have_text(["欧阳秀英"])
    tab.locator("#institution").select_option("TAIYUAN")
    tab.get_by_role("heading", name="没有符合条件的检查").wait_for()
    tab.get_by_role("link", name="显示全部检查").click()
    expect(tab.locator("a.open")).to_have_count(PAGE_ROWS)


def test_pages_are_turned_and_the_browser_goes_back(tab: Page) -> None:
    tab.goto("/")
    first = names(tab)
    assert len(first) == PAGE_ROWS
    tab.get_by_role("link", name="下一页").first.click()
    tab.get_by_text("第 2 页").wait_for()
    second = names(tab)
    assert len(second) == MANY - PAGE_ROWS
    assert not set(first) & set(second)
    tab.go_back()
    expect(tab.locator("a.open")).to_have_text(first)


def test_everything_is_done_by_keys(tab: Page) -> None:
    tab.goto("/")
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.id") == "name"
    tab.keyboard.press("Escape")
    for key, expected in (("j", "王小东"), ("j", "李芳"), ("k", "王小东"), ("k", "王小东")):
        tab.keyboard.press(key)
        assert tab.evaluate("document.activeElement.textContent") == expected
    tab.keyboard.press("d")
    tab.wait_for_url("**/study/YUNCHENG/*")
    tab.go_back()
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/viewer?*")


def test_the_language_is_switched_and_kept(tab: Page) -> None:
    tab.goto("/?name=wxd")
    tab.get_by_role("link", name="English").click()
    expect(tab.locator("html")).to_have_attribute("lang", "en-US")
    assert tab.locator("#name").input_value() == "wxd"
    expect(tab.get_by_role("status")).to_contain_text("1 study")
    tab.goto("/")
    expect(tab.get_by_role("status")).to_contain_text(f"{MANY} studies")


def test_thumbnails_are_pictures(tab: Page) -> None:
    tab.goto("/")
    picture = tab.locator(".thumb img").first
    expect(picture).to_have_js_property("complete", True)
    assert 0 < picture.evaluate("picture => picture.naturalWidth") <= 256


def test_everything_works_without_scripts(chromium: Browser, server: Server) -> None:
    context = chromium.new_context(base_url=server.base, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.locator("#name").fill("lif")
    page.get_by_role("button", name="查询").click()
    assert page.locator("a.open").all_inner_texts() == ["李芳"]
    page.get_by_role("link", name="李芳 的检查详情").click()
    page.get_by_role("link", name="在阅片器中打开").wait_for()
    context.close()


def test_a_study_appears_by_itself_while_it_arrives(tab: Page, server: Server) -> None:
    server.stow(part10(PatientName="Gang^Dao=刚^到", StudyDate="20261121"))
    tab.goto("/?name=gangdao")
    expect(tab.get_by_text("接收中")).to_be_visible()
    expect(tab.get_by_text("接收中")).to_be_hidden(timeout=30_000)  # settled meanwhile; nobody touched the page


#: Both widths and both colour schemes; colours do not depend on the width.
SCREENS = {"desk": (1366, 768, "light"), "night": (1366, 768, "dark"), "phone": (390, 844, "light")}
PAGES = {
    "list": "/",
    "none": "/?name=nobody",
    "about": "/about",
    "lost": "/nothing",
}


@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_fits_and_is_accessible(chromium: Browser, server: Server, pictures: Path, screen: str) -> None:
    axe = NODE_MODULES / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed; `make setup` does it")
    wide, high, scheme = SCREENS[screen]
    viewport: Any = {"width": wide, "height": high}
    chosen: Any = scheme
    context = chromium.new_context(
        base_url=server.base, viewport=viewport, color_scheme=chosen, is_mobile=screen == "phone"
    )
    page = context.new_page()
    page.goto("/")
    study = page.locator(".details").first.get_attribute("href")
    wrong: dict[str, Any] = {}
    for which, path in {**PAGES, "study": study or ""}.items():
        page.goto(path)
        page.screenshot(path=pictures / f"{which}-{screen}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= wide, which
        page.evaluate(axe.read_text("utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        for each in found["violations"]:
            if each["impact"] in ("serious", "critical"):
                wrong[f"{which}: {each['id']}"] = [node["html"] for node in each["nodes"]][:3]
    context.close()
    assert wrong == {}


def test_the_list_prints_as_a_table(tab: Page, pictures: Path) -> None:
    tab.goto("/")
    tab.emulate_media(media="print")
    for hidden in (".search", ".languages", ".details"):
        assert not tab.locator(hidden).first.is_visible()
    assert tab.locator("table.studies th.who").first.is_visible()
    tab.pdf(path=pictures / "list.pdf")
