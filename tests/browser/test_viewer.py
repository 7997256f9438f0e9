"""OHIF, served by us, shows what was sent: the pixels on the screen are compared with the frame that was stored."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from pydicom.uid import ExplicitVRLittleEndian, HTJ2KLosslessRPCL, JPEG2000Lossless, JPEGLSLossless
from tests.browser import images
from tests.browser.images import Sent, likeness, shot_grey
from tests.serving import Server
from tests.shared_files import shared

pytestmark = pytest.mark.usefixtures("ohif")

#: r below this is another picture, or the right one turned over. Measured: 0.95 to 0.99 for the right one.
ALIKE = 0.9
CANVAS = ".cornerstone-canvas"
WAIT_S = 30.0


def opened(tab: Page, sent: Sent) -> None:
    tab.goto(f"/viewer?StudyInstanceUIDs={sent.study_uid}&institution=TAIYUAN")


def until_alike(tab: Page, frame: images.Grey) -> float:
    """The best likeness seen in the viewport, as soon as it is enough."""
    tab.wait_for_selector(CANVAS)
    best, end = -1.0, time.monotonic() + WAIT_S
    while best < ALIKE and time.monotonic() < end:
        best = max(best, likeness(shot_grey(tab.locator(CANVAS).first.screenshot()), frame))
    return best


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: images.ct_as(ExplicitVRLittleEndian), id="CT"),
        pytest.param(lambda: images.ct_as(JPEG2000Lossless), id="CT JPEG 2000"),
        pytest.param(lambda: images.ct_as(JPEGLSLossless), id="CT JPEG-LS"),
        pytest.param(lambda: images.ct_as(HTJ2KLosslessRPCL), id="CT HTJ2K"),
        pytest.param(lambda: images.with_voi_lut_function("SIGMOID"), id="VOI LUT function"),
        pytest.param(lambda: images.as_shipped("MR_small.dcm"), id="MR"),
        pytest.param(lambda: images.as_shipped("MR_small_bigendian.dcm"), id="MR big endian"),
        pytest.param(lambda: images.as_shipped("examples_ybr_color.dcm"), id="US multi-frame"),
    ],
)
def test_the_picture_on_the_screen_is_the_one_that_was_stored(
    server: Server, tab: Page, pictures: Path, request: pytest.FixtureRequest, make: Callable[[], Sent]
) -> None:
    sent = make()
    assert sent.frame is not None
    server.stow(sent.data)
    opened(tab, sent)
    found = until_alike(tab, sent.frame)
    tab.screenshot(path=pictures / f"viewer-{request.node.callspec.id.replace(' ', '-')}.png")
    assert found >= ALIKE
    assert tab.evaluate("crossOriginIsolated") is True


def test_a_name_is_shown_in_hanzi_where_there_are_any(server: Server, tab: Page) -> None:
    sent = images.ct_as(ExplicitVRLittleEndian, PatientName="Ouyang^Na=欧阳^娜")
    server.stow(sent.data)
    opened(tab, sent)
    tab.get_by_text("欧阳娜").first.wait_for()
    assert tab.get_by_text("Ouyang").count() == 0


def test_a_cine_loop_can_be_scrolled(server: Server, tab: Page) -> None:
    sent = images.as_shipped("examples_ybr_color.dcm")
    assert sent.frame is not None
    server.stow(sent.data)
    opened(tab, sent)
    assert until_alike(tab, sent.frame) >= ALIKE
    first = shot_grey(tab.locator(CANVAS).first.screenshot())
    tab.locator(CANVAS).first.hover()
    tab.mouse.wheel(0, 100)
    tab.get_by_text("(2/30)").wait_for()
    end = time.monotonic() + 10
    while np.abs(shot_grey(tab.locator(CANVAS).first.screenshot()) - first).mean() < 0.5:
        assert time.monotonic() < end, "the second frame looks like the first"


def test_a_series_of_a_real_scanner_is_read_and_scrolled(server: Server, tab: Page, pictures: Path) -> None:
    import pydicom

    files = sorted(shared("dicom/ct/head_phantom_philips/S2010_brain_5mm").glob("*.dcm"))
    slices = sorted((pydicom.dcmread(each) for each in files), key=lambda ds: int(ds.InstanceNumber))
    server.stow(*(each.read_bytes() for each in files))
    tab.goto(f"/viewer?StudyInstanceUIDs={slices[0].StudyInstanceUID}&institution=TAIYUAN")
    tab.get_by_text(f"(1/{len(slices)})").wait_for()
    tab.locator(CANVAS).first.hover()
    for position in range(2, 11):  # from the empty head rest into the phantom
        tab.mouse.wheel(0, 100)
        tab.get_by_text(f"({position}/{len(slices)})").wait_for()
    shown = re.search(r"(\d+)\s*\(10/", tab.locator("body").inner_text())
    assert shown is not None
    found = until_alike(tab, _windowed(slices[int(shown[1]) - 1]))
    tab.screenshot(path=pictures / "viewer-series.png")
    assert found >= ALIKE
    assert likeness(shot_grey(tab.locator(CANVAS).first.screenshot()), _windowed(slices[0])) < ALIKE


def _windowed(ds: object) -> images.Grey:
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    pixels = ds.pixel_array  # type: ignore[attr-defined]
    return np.asarray(apply_voi_lut(apply_modality_lut(pixels, ds), ds), dtype=np.float64)  # type: ignore[arg-type]


def test_an_ecg_is_drawn_with_all_its_leads(server: Server, tab: Page, pictures: Path) -> None:
    sent = images.ecg()
    server.stow(sent.data)
    opened(tab, sent)
    canvas = tab.locator("canvas").first
    canvas.wait_for()
    end = time.monotonic() + WAIT_S
    traced = 0
    while traced < 12 and time.monotonic() < end:
        traced = _traces(canvas.screenshot())
    tab.screenshot(path=pictures / "viewer-ecg.png")
    assert traced == 12


def _traces(png: bytes) -> int:
    """How many separate white lines cross the picture from side to side: in bands between the yellow labels' rows.

    A trace is a run of rows in which nearly every column has a near-white pixel.
    """
    import io

    from PIL import Image

    rgb = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    yellow = (rgb[..., 0] > 180) & (rgb[..., 1] > 180) & (rgb[..., 2] < 90)
    rows = np.flatnonzero(yellow[:, : rgb.shape[1] // 3].sum(axis=1) > 2)
    labels = 1 + int((np.diff(rows) > 3).sum()) if rows.size else 0
    white = rgb.min(axis=2) > 140
    crossed = white.any(axis=0).mean()
    return labels if crossed > 0.9 else 0


def test_an_encapsulated_pdf_is_shown(server: Server, tab: Page, pictures: Path) -> None:
    sent = images.pdf()
    server.stow(sent.data)
    opened(tab, sent)
    document = tab.locator("object[type='application/pdf']")
    document.wait_for()
    if not tab.evaluate("navigator.pdfViewerEnabled"):
        pytest.skip("this Chromium has no PDF viewer")
    _until_square(tab, document.screenshot)
    tab.screenshot(path=pictures / "viewer-pdf.png")


def _until_square(tab: Page, shoot: Callable[[], bytes]) -> None:
    """Until a black square is seen on white paper: of the page's light and black pixels 4/9 are black."""
    end, share = time.monotonic() + WAIT_S, 0.0
    while not 0.3 < share < 0.55:
        assert time.monotonic() < end, f"no black square on white paper: {share:.2f}"
        shot = shot_grey(shoot())
        white, black = (shot > 250).sum(), (shot < 3).sum()
        share = black / (white + black) if white > 10_000 else 0.0


def test_the_way_back_leads_to_the_list_as_it_was_left(server: Server, tab: Page) -> None:
    sent = images.ct_as(ExplicitVRLittleEndian)
    server.stow(sent.data)
    tab.goto("/?name=compressed")
    tab.locator(f"a.open[href*='{sent.study_uid}']").click()
    tab.locator("a[data-huitong=back]").click()
    tab.wait_for_url("**/?name=compressed")
    assert tab.locator("#name").input_value() == "compressed"


@pytest.mark.parametrize(("language", "said"), [("zh-CN", "检查列表"), ("en-US", "Study list")])
def test_the_viewer_speaks_the_language_of_the_list(server: Server, tab: Page, language: str, said: str) -> None:
    sent = images.ct_as(ExplicitVRLittleEndian)
    server.stow(sent.data)
    tab.goto(f"/language/{language}")
    opened(tab, sent)
    tab.locator("a[data-huitong=back]").get_by_text(said).wait_for()
    assert tab.get_by_text("检查", exact=True).or_(tab.get_by_text("Studies", exact=True)).first.is_visible()


def test_ecg_and_pdf_stand_on_the_study_page_too(server: Server, tab: Page, pictures: Path) -> None:
    ecg, document = images.ecg(), images.pdf()
    server.stow(ecg.data, document.data)
    tab.goto(f"/study/TAIYUAN/{ecg.study_uid}")
    waveform = tab.locator("img.waveform")
    waveform.wait_for()
    expect(waveform).to_have_js_property("complete", True)
    assert waveform.evaluate("picture => picture.naturalWidth") > 300
    assert shot_grey(waveform.screenshot()).std() > 5
    tab.screenshot(path=pictures / "study-ecg.png", full_page=True)
    tab.goto(f"/study/TAIYUAN/{document.study_uid}")
    frame = tab.locator("iframe")
    frame.scroll_into_view_if_needed()
    if tab.evaluate("navigator.pdfViewerEnabled"):
        _until_square(tab, frame.screenshot)
    tab.screenshot(path=pictures / "study-pdf.png", full_page=True)
