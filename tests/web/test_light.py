"""The light page as a browser without JavaScript sees it, and what it says of a series to its script."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from PIL import Image
from pydicom.uid import generate_uid
from tests.archives import TestArchive
from tests.browser.images import as_shipped, ecg
from tests.objects import part10
from tests.web.browsing import Browser

from huitong.app.asgi import application

STUDY, SERIES = "1.2.3.77", "1.2.3.77.1"


@pytest.fixture
def everything(archive: TestArchive) -> Browser:
    """Pages and DICOMweb together."""
    return Browser(application(archive.store, archive.access, lambda: 0))


def slices(archive: TestArchive, count: int = 3, **more: Any) -> list[str]:
    uids = [f"{SERIES}.{number}" for number in range(8, 8 + count)]
    common = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, **more}
    sent = [part10(SOPInstanceUID=uid, InstanceNumber=at, **common) for at, uid in enumerate(uids, 1)]
    for each in archive.keep_now(*sent):
        assert not isinstance(each, BaseException)
    archive.settle()
    return uids


def opened(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    assert found is not None
    said: dict[str, Any] = json.loads(found[1])
    return said


def test_the_page_masks_the_name_and_keeps_the_birth_date_and_number_to_itself(
    archive: TestArchive, pages: Browser
) -> None:
    slices(archive, PatientBirthDate="19800102")
    html = pages.get(f"/look/TAIYUAN/{STUDY}").text
    assert "王*东" in html
    assert not any(each in html for each in ("王小东", "Wang", "1980", "P0001"))
    assert "2026-03-01" in html
    assert "46 岁" in html


def test_the_first_picture_stands_in_the_document_and_is_what_its_script_would_ask_for(
    archive: TestArchive, everything: Browser
) -> None:
    uids = slices(archive)
    html = everything.get(f"/look/TAIYUAN/{STUDY}").text
    said = opened(html)
    first = re.search(r'<img id="first" src="([^"]+)"', html)
    assert first is not None
    address = first[1].replace("&amp;", "&")
    box = said["boxes"][0]
    asked = f"{said['base']}{said['images'][said['at']]}/rendered?viewport={box},{box}&quality={said['quality']}"
    assert address == asked
    assert uids[1] in address  # the middle one
    answer = everything.get(address, headers={"accept": "image/avif,image/*;q=0.8"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (4, 4)


def test_uids_come_without_what_all_begin_with(archive: TestArchive, pages: Browser) -> None:
    uids = slices(archive)
    said = pages.get(f"/look/TAIYUAN/{STUDY}/{SERIES}").json()
    assert said["images"] == ["8", "9", "10"]
    assert [said["base"].rpartition("/")[2] + each for each in said["images"]] == uids


def test_a_ct_has_the_windows_of_the_catalogue_behind_its_own(archive: TestArchive, pages: Browser) -> None:
    slices(
        archive,
        WindowCenter=[40, 300],
        WindowWidth=[400, 1500],
        WindowCenterWidthExplanation=["ABDOMEN", "BONES"],
    )
    said = pages.get(f"/look/TAIYUAN/{STUDY}/{SERIES}").json()
    assert said["start"] == [40, 400]
    assert said["windows"][0] == ["BONES", 300, 1500]
    assert ["肺", -600, 1500] in said["windows"]
    pages.get("/language/en-US")
    assert ["Lung", -600, 1500] in pages.get(f"/look/TAIYUAN/{STUDY}/{SERIES}").json()["windows"]


def test_another_modality_has_no_windows_but_its_own(archive: TestArchive, pages: Browser) -> None:
    slices(archive, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    said = pages.get(f"/look/TAIYUAN/{STUDY}/{SERIES}").json()
    assert said["windows"] == []
    assert said["start"] == [2047.5, 4095]  # all that 12 bits hold


def test_a_film_says_its_frames_and_how_fast_it_is(archive: TestArchive, everything: Browser) -> None:
    slices(
        archive,
        1,
        Modality="US",
        NumberOfFrames=3,
        PixelData=bytes(96),
        FrameTime="40",
    )
    html = everything.get(f"/look/TAIYUAN/{STUDY}").text
    said = opened(html)
    assert (said["images"], said["film"], said["frame_ms"], said["at"]) == ([["", 3]], True, 40, 0)
    assert "/frames/1/rendered" in html
    frame = f"{said['base']}/frames/3/rendered?viewport=4,4&quality=85"
    assert everything.get(frame, headers={"accept": "image/jpeg"}).status_code == 200


def test_pixels_that_are_not_square_have_their_true_size(archive: TestArchive, pages: Browser) -> None:
    slices(archive, PixelSpacing=[2, 1])
    said = pages.get(f"/look/TAIYUAN/{STUDY}/{SERIES}").json()
    assert (said["width"], said["height"]) == (4, 8)


def test_a_large_picture_is_offered_in_several_sizes_up_to_its_own(archive: TestArchive, pages: Browser) -> None:
    slices(archive, 1, Modality="DX", Rows=900, Columns=1100, PixelData=bytes(2 * 900 * 1100))
    html = pages.get(f"/look/TAIYUAN/{STUDY}").text
    assert opened(html)["boxes"] == [512, 768, 1024, 1100]
    assert "viewport=1100,1100&amp;quality=85 1100w" in html


def test_an_ecg_is_shown_as_on_the_studys_page(archive: TestArchive, pages: Browser) -> None:
    sent = ecg()
    archive.keep_now(sent.data)
    archive.settle()
    html = pages.get(f"/look/TAIYUAN/{sent.study_uid}").text
    [shown] = opened(html)["objects"]
    assert shown["kind"] == "waveform"
    assert shown["title"] == "波形"
    assert opened(html)["images"] == []
    assert f'src="{shown["url"]}"' in pages.get(f"/study/TAIYUAN/{sent.study_uid}").text


def test_colour_has_no_window(archive: TestArchive, pages: Browser) -> None:
    sent = as_shipped("examples_rgb_color.dcm")
    archive.keep_now(sent.data)
    archive.settle()
    said = opened(pages.get(f"/look/TAIYUAN/{sent.study_uid}").text)
    assert said["grey"] is False
    assert said["windows"] == []


def test_what_is_not_there_is_not_found(archive: TestArchive, pages: Browser) -> None:
    slices(archive)
    assert pages.get("/look/TAIYUAN/1.2.3.4").status_code == 404
    assert pages.get(f"/look/YUNCHENG/{STUDY}").status_code == 404
    assert pages.get(f"/look/TAIYUAN/{STUDY}/1.9.9").status_code == 404
    assert pages.get(f"/look/TAIYUAN/{STUDY}?series=1.9.9").status_code == 200  # another is shown


def test_a_series_can_be_opened_by_its_link(archive: TestArchive, pages: Browser) -> None:
    slices(archive, 5)
    other = generate_uid()
    archive.keep_now(part10(StudyInstanceUID=STUDY, SeriesInstanceUID=other))
    archive.settle()
    html = pages.get(f"/look/TAIYUAN/{STUDY}").text
    assert opened(html)["uid"] == SERIES
    assert f"?series={other}" in html
    assert opened(pages.get(f"/look/TAIYUAN/{STUDY}?series={other}").text)["uid"] == other


def test_the_study_page_leads_there(archive: TestArchive, pages: Browser) -> None:
    slices(archive)
    assert f'href="/look/TAIYUAN/{STUDY}"' in pages.get(f"/study/TAIYUAN/{STUDY}").text
    assert f'data-light="/look/TAIYUAN/{STUDY}"' in pages.get("/").text


def test_to_another_institutions_system_it_is_not_there(archive: TestArchive) -> None:
    slices(archive)
    closed = application(archive.store, archive.access, lambda: 0)
    answer = Browser(closed).get(f"/look/TAIYUAN/{STUDY}", headers={"authorization": "Bearer demo-YUNCHENG"})
    assert answer.status_code == 404
