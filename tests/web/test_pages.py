"""The pages as a browser without JavaScript sees them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from tests.archives import TestArchive
from tests.objects import part10
from tests.web.browsing import Browser, pages_on

from huitong.base.setting_kinds import Network
from huitong.web.headers import ISOLATED
from huitong.web.search import PAGE_ROWS


def names(html: str) -> list[str]:
    return re.findall(r'<a class="open"[^>]*>([^<]*)</a>', html)


def keep(archive: TestArchive, institution: str = "TAIYUAN", **attributes: Any) -> None:
    [kept] = archive.keep_now(part10(**attributes), institution=institution)
    assert not isinstance(kept, BaseException)


# --- the list ---


def test_an_empty_archive_says_how_to_send(pages: Browser) -> None:
    html = pages.get("/").text
    assert "还没有收到检查" in html
    assert "storescu -aet TAIYUAN -aec HUITONG huitong.example 11112" in html


def test_the_list_shows_what_a_doctor_looks_for(archive: TestArchive, pages: Browser) -> None:
    keep(archive)
    html = pages.get("/").text
    assert names(html) == ["王小东"]
    for shown in (
        "男 · 46 岁",
        "P0001",
        "胸部平扫 Chest CT",
        "2026-03-01",
        "08:30",
        "太原市中心医院",
        "1 幅",
        "1 个序列",
    ):
        assert shown in html
    assert "共 1 项检查" in html
    assert re.search(
        r'src="/dicom-web/at/TAIYUAN/studies/[\d.]+/series/[\d.]+/instances/[\d.]+/thumbnail" alt=""', html
    )
    assert re.search(r'href="/viewer\?StudyInstanceUIDs=[\d.]+"', html)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=王小", ["王小东"]),
        ("name=wangxiaod", ["王小东"]),
        ("name=wxd", ["王小东"]),
        ("name=lifang", ["李芳"]),
        ("patient=p0002", ["李芳"]),
        ("accession=B", ["李芳"]),
        ("modality=MR", ["李芳"]),
        ("institution=YUNCHENG", ["李芳"]),
        ("since=2026-03-02", ["李芳"]),
        ("until=2026-03-02", ["王小东"]),
        ("since=2026-03-01&until=2026-03-05", ["李芳", "王小东"]),
        ("days=1", []),
        ("name=wxd&modality=MR", []),
    ],
)
def test_searching_finds(archive: TestArchive, pages: Browser, query: str, found: list[str]) -> None:
    keep(archive)
    li = {"PatientName": "Li^Fang=李^芳", "PatientID": "P0002", "AccessionNumber": "B7", "Modality": "MR"}
    keep(archive, "YUNCHENG", StudyDate="20260303", **li)
    answer = pages.get(f"/?{query}")
    assert names(answer.text) == found
    assert ("没有符合条件的检查" in answer.text) == (not found)


def test_the_form_shows_what_was_asked(pages: Browser) -> None:
    html = pages.get('/?name=<b>"x"&modality=CT&days=7&since=').text
    assert 'value="&lt;b&gt;&#34;x&#34;"' in html
    assert '<option value="CT" selected>' in html
    assert re.search(r'id="days-7" value="7" checked', html)


def test_paging_goes_through_all_studies_once_and_back(archive: TestArchive, pages: Browser) -> None:
    many = PAGE_ROWS + 7
    archive.keep_now(*(part10(PatientName=f"N{n:03}", StudyTime=f"{n // 60:02}{n % 60:02}00") for n in range(many)))
    first = pages.get("/").text
    assert f"共 {many} 项检查" in first
    [onward] = re.findall(r'rel="next" href="([^"]+)"', first)
    second = pages.get(onward.replace("&amp;", "&")).text
    assert [*names(first), *names(second)] == [f"N{n:03}" for n in reversed(range(many))]
    assert 'rel="next"' not in second
    [back] = re.findall(r'rel="prev" href="([^"]+)"', second)
    assert names(pages.get(back.replace("&amp;", "&")).text) == names(first)


def test_a_cursor_that_is_none_is_said_so(pages: Browser) -> None:
    answer = pages.get("/?after=nonsense")
    assert answer.status_code == 400
    assert "无法识别这个地址" in answer.text


def test_a_study_that_still_arrives_is_marked(archive: TestArchive, pages: Browser) -> None:
    keep(archive)
    assert "接收中" in pages.get("/").text
    archive.settle()
    assert "接收中" not in pages.get("/").text


def test_htmx_gets_the_list_alone_and_a_clean_address(archive: TestArchive, pages: Browser) -> None:
    keep(archive)
    answer = pages.get("/?name=wxd&patient=&days=", headers={"HX-Request": "true"})
    assert answer.text.lstrip().startswith('<section id="studies"')
    assert answer.headers["hx-replace-url"] == "/?name=wxd"
    assert "HX-Request" in answer.headers["vary"]
    boosted = pages.get("/?name=wxd", headers={"HX-Request": "true", "HX-Boosted": "true"})
    assert "hx-replace-url" not in boosted.headers
    whole = pages.get("/?name=wxd", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in whole.text


def test_what_senders_wrote_is_never_markup(archive: TestArchive, pages: Browser) -> None:
    evil = '<script>alert("x")</script>'
    keep(archive, PatientName=evil, StudyDescription=evil, PatientID=evil, AccessionNumber="<b>1")
    html = pages.get("/").text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    [study] = re.findall(r'href="(/study/[^"]+)"', html)
    assert "<script>alert" not in pages.get(study).text


# --- a study ---


def study_of(pages: Browser, institution: str = "TAIYUAN") -> str:
    found = re.findall(rf'href="(/study/{institution}/[^"]+)"', pages.get("/").text)
    return str(found[0])


def test_a_study_page_shows_its_series(archive: TestArchive, pages: Browser) -> None:
    same = {"StudyInstanceUID": "1.2.3"}
    keep(archive, SeriesNumber=2, SeriesDescription="Lung", SeriesInstanceUID="1.2.3.2", **same)
    keep(archive, SeriesNumber=1, SeriesDescription="Scout", SeriesInstanceUID="1.2.3.1", **same)
    html = pages.get("/study/TAIYUAN/1.2.3").text
    assert html.index("Scout") < html.index("Lung")
    assert "2 个序列, 2 幅" in html
    assert '"/viewer?StudyInstanceUIDs=1.2.3"' in html


def test_both_versions_of_an_image_can_be_downloaded_as_they_came(archive: TestArchive, pages: Browser) -> None:
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.1", "SOPInstanceUID": "1.2.1.1"}
    first, second = part10(**uids, PixelData=bytes(32)), part10(**uids, PixelData=bytes(31) + b"\1")
    for each in (first, second):
        archive.keep_now(each)
    assert "内容不一致" in pages.get("/").text
    html = pages.get("/study/TAIYUAN/1.2").text
    links = re.findall(r'href="(/study/TAIYUAN/1\.2/version/[0-9a-f]{64})"', html)
    got = [pages.get(link) for link in links]
    assert [each.content for each in got] == [first, second]
    assert all(each.headers["content-type"] == "application/dicom" for each in got)
    assert all("attachment" in each.headers["content-disposition"] for each in got)
    assert pages.get("/study/TAIYUAN/1.2/version/" + hashlib.sha256(b"").hexdigest()).status_code == 404


def test_the_same_study_of_two_institutions_is_two_and_each_names_the_other(
    archive: TestArchive, pages: Browser
) -> None:
    keep(archive, StudyInstanceUID="1.2", PatientName="A")
    keep(archive, "YUNCHENG", StudyInstanceUID="1.2", PatientName="B")
    assert sorted(names(pages.get("/").text)) == ["A", "B"]
    html = pages.get("/study/YUNCHENG/1.2").text
    assert 'href="/study/TAIYUAN/1.2"' in html


@pytest.mark.parametrize(
    ("sop_class", "kind", "media_type"),
    [
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "waveform", "image%2Fsvg%2Bxml"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "document", "application%2Fpdf"),
        ("1.2.840.10008.5.1.4.1.1.88.33", "report", "text%2Fhtml"),
    ],
)
def test_what_is_no_picture_is_shown_on_the_page(
    archive: TestArchive, pages: Browser, sop_class: str, kind: str, media_type: str
) -> None:
    keep(archive, SOPClassUID=sop_class, StudyInstanceUID="1.2", PixelData=None)
    html = pages.get("/study/TAIYUAN/1.2").text
    assert f'class="object {kind}"' in html
    assert f"/rendered?accept={media_type}" in html


@pytest.mark.parametrize("path", ["/study/TAIYUAN/9.9", "/study/NOBODY/1.2", "/nothing", "/language/fr"])
def test_what_is_not_there_is_said_in_the_same_look(pages: Browser, path: str) -> None:
    answer = pages.get(path)
    assert answer.status_code == 404
    assert "没有这个页面或检查" in answer.text
    assert '<header class="bar">' in answer.text


# --- around ---


def test_about_says_version_licence_and_what_is_pinned(pages: Browser) -> None:
    html = pages.get("/about").text
    for said in ("Apache-2.0", "pydicom", "HUITONG", "http://huitong.example/dicom-web"):
        assert said in html


def test_the_language_is_remembered_for_pages_and_viewer(pages: Browser) -> None:
    assert '<html lang="zh-CN">' in pages.get("/").text
    switch = pages.get("/language/en-US?next=%2F%3Fname%3Dwxd", follow=False)
    assert (switch.status_code, switch.headers["location"]) == (303, "/?name=wxd")
    assert "i18next=en-US" in switch.headers["set-cookie"]
    english = pages.get("/").text
    assert '<html lang="en-US">' in english
    assert "No studies have been sent yet" in english
    assert pages.get("/about", headers={"cookie": "i18next=zh"}).text.count("关于") > 0


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_the_language_switch_leads_to_no_other_site(pages: Browser, target: str) -> None:
    answer = pages.get("/language/zh-CN", params={"next": target}, follow=False)
    assert answer.headers["location"] == "/"


def test_who_may_not_read_is_led_to_the_sign_in_and_back(archive: TestArchive) -> None:
    keep(archive)
    nobody: tuple[Network, ...] = ()
    object.__setattr__(archive.store.settings, "readers", nobody)
    with pages_on(archive) as client:
        answer = client.get("/?PatientName=wang", follow=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=%2F%3FPatientName%3Dwang"
        assert "王小东" not in client.get("/").text
        allowed = client.get("/", headers={"authorization": "Bearer demo-TAIYUAN"})
        assert names(allowed.text) == ["王小东"]


@pytest.mark.parametrize("path", ["/", "/about", "/nothing", "/static/huitong.css", "/viewer"])
def test_every_answer_isolates_the_origin(pages: Browser, path: str) -> None:
    answer = pages.get(path)
    assert {name: answer.headers.get(name) for name in ISOLATED} == ISOLATED


def test_pages_run_no_script_but_ours_and_are_kept_nowhere(pages: Browser) -> None:
    answer = pages.get("/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", answer.text)
    assert not re.search(r'(?:src|href)="https?:', answer.text)


def test_programs_get_problem_details_instead_of_a_page(pages: Browser) -> None:
    answer = pages.get("/nothing", headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


# --- the viewer ---


def fake_build(folder: Path) -> Path:
    build = folder / "@ohif" / "app" / "dist"
    build.mkdir(parents=True)
    index = (
        '<script defer src="/app.bundle.0123456789abcdef.js"></script><link href="/app.bundle.css" rel="stylesheet">'
    )
    for name, text in (
        ("index.html", index),
        ("app.bundle.0123456789abcdef.js", "1"),
        ("app.bundle.css", "a{}"),
        ("sw.js", ""),
    ):
        (build / name).write_text(text, "utf-8")
    return build


def test_the_viewer_is_the_published_build_with_our_configuration(archive: TestArchive, tmp_path: Path) -> None:
    with pages_on(archive, ohif_path=fake_build(tmp_path)) as client:
        document = client.get("/viewer?StudyInstanceUIDs=1.2")
        assert '<script defer src="/app.bundle.0123456789abcdef.js">' in document.text
        assert "default-src 'self'" in document.headers["content-security-policy"]
        assert client.get("/app.bundle.0123456789abcdef.js").text == "1"
        assert "window.config" in client.get("/app-config.js").text
        assert client.get("/segmentation?StudyInstanceUIDs=1.2").text == document.text
        assert client.get("/sw.js").status_code == 404
        assert "检查列表" in client.get("/").text


def test_another_build_than_the_pinned_one_is_told_at_start(archive: TestArchive, tmp_path: Path) -> None:
    build = fake_build(tmp_path)
    (build / "index.html").write_text("<p>other</p>", "utf-8")
    with pytest.raises(ValueError, match="index page"), pages_on(archive, ohif_path=build):
        pass


def test_without_the_build_the_viewer_says_how_to_install_it(archive: TestArchive, tmp_path: Path) -> None:
    with pages_on(archive, ohif_path=tmp_path / "a" / "b" / "c" / "dist") as client:
        answer = client.get("/viewer?StudyInstanceUIDs=1.2")
        assert answer.status_code == 503
        assert "make setup" in answer.text
        assert client.get("/").status_code == 200
