"""The directory's pages: found, shown in both languages, and what was refused is read there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.archives import TestArchive
from tests.web.browsing import Browser

from huitong.cli.demo_directory import FILES
from huitong.directory import actions
from huitong.web.directory import state_of


@pytest.fixture
def loaded(archive: TestArchive) -> TestArchive:
    for file, text in FILES.items():
        actions.load(archive.access.local(), file, text.encode())
    return archive


def test_an_empty_directory_says_how_to_fill_it(pages: Browser) -> None:
    text = pages.get("/directory").text
    assert "尚未导入机构" in text
    assert "huitong directory load" in text
    assert "尚未导入文件" in pages.get("/directory/loads").text


def test_the_list_is_searched_by_name_pinyin_region_and_level(loaded: TestArchive, pages: Browser) -> None:
    assert "4 家机构" in pages.get("/directory").text
    for asked in ("q=tyszxyy", "q=中心医院", "region=140107", "level=3A"):
        text = pages.get(f"/directory?{asked}").text
        assert "太原市中心医院" in text
        assert "运城市人民医院" not in text
    assert "没有符合条件的机构" in pages.get("/directory?q=nobody").text


def test_the_list_goes_on_behind_its_first_page(archive: TestArchive, pages: Browser) -> None:
    lines = "".join(f"H{number:03},医院 {number}\n" for number in range(60))
    actions.load(archive.access.local(), "many.csv", f"code,name\n{lines}".encode())
    first = pages.get("/directory").text
    assert "60 家机构" in first
    assert "H050" not in first
    assert "/directory?after=H049" in first
    second = pages.get("/directory?after=H049").text
    assert ("H050" in second, "H049<" in second) == (True, False)


def test_an_institution_is_shown_with_all_that_belongs_to_it(loaded: TestArchive, pages: Browser) -> None:
    text = pages.get("/directory/at/TAIYUAN").text
    for said in ("三级甲等", "12140100MB0000010B", "放射科", "李明远", "主任医师", "TY_PACS", "头颅 CT 平扫", "国家级"):
        assert said in text
    assert "127.0.0.0" not in text
    assert '/directory/at/YUNCHENG"' in pages.get("/directory/at/YC_XIECHI").text
    assert pages.get("/directory/at/NOBODY").status_code == 404


def test_english_is_said_to_whoever_wants_it(loaded: TestArchive, pages: Browser) -> None:
    pages.get("/language/en-US")
    text = pages.get("/directory/at/TAIYUAN").text
    for said in ("Taiyuan Central Hospital", "tertiary A", "Quality certificates", "national", "doctor"):
        assert said in text


@pytest.mark.parametrize(
    ("result", "day", "state"),
    [
        ("passed", "20251231", "later"),
        ("passed", "20260101", "valid"),
        ("passed", "20261231", "valid"),
        ("passed", "20270101", "over"),
        ("failed", "20260601", "failed"),
    ],
)
def test_a_certificate_is_worth_something_on_its_days(result: str, day: str, state: str) -> None:
    assert state_of(SimpleNamespace(result=result, valid_from="20260101", valid_until="20261231"), day) == state


def test_each_refused_line_is_read_with_its_reason(archive: TestArchive, pages: Browser) -> None:
    text = "机构代码,机构名称,等级\nA,<b>甲</b>医院,三甲\nB,乙医院,四级\n"
    report = actions.load(archive.access.local(), "机构.csv", text.encode("gb18030"))
    assert f"/directory/loads/{report.pk}" in pages.get("/directory/loads").text
    page = pages.get(f"/directory/loads/{report.pk}").text
    assert ("四级" in page, "只能是" in page) == (True, True)
    assert "&lt;b&gt;甲" in pages.get("/directory").text
    assert pages.get("/directory/loads/99").status_code == 404
    assert pages.get(f"/directory/loads/{1 << 63}").status_code == 404


def test_the_bar_leads_to_it_and_says_where_one_is(loaded: TestArchive, pages: Browser) -> None:
    assert '<a href="/directory" >机构</a>' in pages.get("/").text
    assert '<a href="/directory" aria-current="page">机构</a>' in pages.get("/directory/at/TAIYUAN").text
