"""The rendered form of each kind of object, ECG sheets, documents, reports and transcoded instances."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array
from tests.imaging.pixels.stored_objects import BUNDLED, bundled_images, from_bytes, load
from tests.imaging.pixels.test_decode import BROKEN
from tests.shared_files import shared

from huitong.base.errors import CannotRender, NotAcceptable
from huitong.imaging.pixels.decode import decode_frame
from huitong.imaging.pixels.document import VIDEO_SYNTAXES, document_bytes, video_media_type
from huitong.imaging.pixels.ecg import ecg_png, ecg_svg
from huitong.imaging.pixels.rendered import PIXEL_DATA, rendered
from huitong.imaging.pixels.report import report_html
from huitong.imaging.pixels.thumbnail import small_picture
from huitong.imaging.pixels.transcode import frame_as_native, transcode_to_explicit_le
from huitong.imaging.pixels.waveform import STANDARD_LEADS, main_recording, recordings

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def ecg():
    stored = load(get_testdata_file("waveform_ecg.dcm"))
    stored.header["00100010"] = {
        "vr": "PN",
        "Value": [{"Alphabetic": "Wang^XiaoDong", "Ideographic": "\u738b^\u5c0f\u4e1c<&>"}],
    }
    return stored


def test_leads_have_the_values_pydicom_computes_in_millivolts(ecg):
    shown = main_recording(recordings(ecg.header, ecg.bulk, ecg.transfer_syntax))
    assert tuple(channel.name for channel in shown.channels) == STANDARD_LEADS
    expected = ecg.dataset.waveform_array(0) / 1000  # microvolts
    for number, channel in enumerate(shown.channels):
        assert channel.unit == "mV"
        assert np.allclose(channel.values, expected[:, number])
    assert shown.seconds == 10
    assert shown.frequency_hz == 1000


def test_the_sheet_is_well_formed_svg_with_hanzi_every_lead_and_the_paper_speed(ecg):
    root = ET.fromstring(ecg_svg(ecg.header, ecg.bulk, ecg.transfer_syntax))
    words = [node.text or "" for node in root.iter(f"{SVG}text")]
    assert "\u738b \u5c0f\u4e1c<&>" in words
    assert set(STANDARD_LEADS) <= set(words)
    assert words.count("II") == 2
    assert any("25 mm/s" in word and "10 mm/mV" in word for word in words)
    assert "61 bpm" in words
    # 12 leads, a rhythm strip, 4 calibration pulses, 2 marks at each of 9 joints
    assert len([p for p in root.iter(f"{SVG}path") if p.get("stroke-linejoin")]) == 13 + 4 + 18


@pytest.mark.parametrize(("age", "shown"), [("042Y", "42 Y"), ("01\u00b2Y", "01\u00b2Y"), ("4 Y", "4 Y")])
def test_an_age_is_shown_as_far_as_it_is_one(ecg, age, shown):
    header = {**ecg.header, "00101010": {"vr": "AS", "Value": [age]}}
    assert f" · {shown}" in ecg_svg(header, ecg.bulk, ecg.transfer_syntax)


def heights_mm(path: str) -> tuple[float, float]:
    """(x extent, y extent) in millimetres of a path of one stroke."""
    start, steps = path.removeprefix("M").split("l")
    points = np.cumsum(np.array([start.split(), *np.array(steps.split()).reshape(-1, 2)], dtype=float), axis=0) / 100
    return tuple(np.ptp(points, axis=0))


def test_one_second_is_25_mm_and_one_millivolt_10_mm(ecg):
    root = ET.fromstring(ecg_svg(ecg.header, ecg.bulk, ecg.transfer_syntax))
    curves = [p.get("d", "") for p in root.iter(f"{SVG}path") if p.get("stroke-linejoin")]
    sizes = [heights_mm(curve) for curve in curves]
    rhythm = max(sizes)
    lead_two = ecg.dataset.waveform_array(0)[:, 1] / 1000
    assert abs(rhythm[0] - 250) < 0.1
    assert abs(rhythm[1] - np.ptp(lead_two) * 10) < 0.1
    assert sizes.count((10.0, 10.0)) == 4  # calibration pulses, 1 mV


def test_the_png_sheet_shows_grid_and_curves(ecg):
    image = np.asarray(Image.open(io.BytesIO(ecg_png(ecg.header, ecg.bulk, ecg.transfer_syntax, width_px=1200))))
    assert image.shape == (848, 1200, 3)
    assert (image.max(axis=2) < 90).sum() > 3000  # ink
    assert ((image[..., 0] > 220) & (image[..., 1] < 200)).sum() > 10_000  # pink lines


def test_leads_one_below_the_other_are_drawn_at_half_gain_and_say_so(ecg):
    text = ecg_svg(ecg.header, ecg.bulk, ecg.transfer_syntax, layout="12x1")
    assert "5 mm/mV" in text
    assert text.count(">II<") == 1


def test_other_recordings_get_one_row_a_channel_with_their_unit():
    samples = (np.sin(np.arange(2000) / 40) * 1000).astype("<i2")
    data = np.column_stack((samples, -samples)).tobytes()
    unit = {"003A0211": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["mm[Hg]"]}}]}}
    channel = {"003A0203": {"vr": "SH", "Value": ["AO"]}, "003A0210": {"vr": "DS", "Value": [0.1]}, **unit}
    group = {
        "003A0005": {"vr": "US", "Value": [2]},
        "003A0010": {"vr": "UL", "Value": [2000]},
        "003A001A": {"vr": "DS", "Value": ["200"]},
        "003A0200": {"vr": "SQ", "Value": [channel, channel]},
        "54001006": {"vr": "CS", "Value": ["SS"]},
        "54001010": {"vr": "OW", "BulkDataURI": "w"},
    }
    stated = {"54000100": {"vr": "SQ", "Value": [group]}}
    text = ecg_svg(stated, lambda uri: data)
    assert text.count("AO [mm[Hg]]") == 2
    swapped = np.frombuffer(data, "<i2").astype(">i2").tobytes()
    assert ecg_svg(stated, lambda uri: swapped, "1.2.840.10008.1.2.2") == text


@given(st.binary(max_size=300))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_waveform_cut_short_is_drawn_as_far_as_it_goes_or_refused(ecg, data):
    try:
        ET.fromstring(ecg_svg(ecg.header, lambda uri: data, ecg.transfer_syntax))
    except CannotRender:
        assert len(data) < 2 * 2 * 12


def test_an_ecg_is_svg_by_default_and_png_on_request(ecg):
    assert rendered(ecg.header, ecg.frame, ecg.transfer_syntax, ecg.bulk).media_type == "image/svg+xml"
    shown = rendered(ecg.header, ecg.frame, ecg.transfer_syntax, ecg.bulk, accept=["image/png"], viewport=(800, 400))
    assert shown.media_type == "image/png"
    assert Image.open(io.BytesIO(shown.body)).height <= 400
    small = Image.open(io.BytesIO(small_picture(ecg.header, None, ecg.transfer_syntax, bulk=ecg.bulk)))
    assert small.width == 256


def test_an_image_is_jpeg_by_default_and_what_is_accepted_first_otherwise():
    stored = load(get_testdata_file("CT_small.dcm"))

    def ask(*accept: str) -> str:
        return rendered(stored.header, stored.frame, stored.transfer_syntax, stored.bulk, accept=accept).media_type

    assert ask() == "image/jpeg"
    assert ask("*/*") == "image/jpeg"
    assert ask("video/mp4", "image/png;q=0.5", "image/jpeg") == "image/png"
    assert ask("image/*") == "image/jpeg"
    with pytest.raises(NotAcceptable):
        ask("application/pdf")


def test_a_frame_that_is_not_there_cannot_be_rendered():
    stored = load(get_testdata_file("CT_small.dcm"))
    with pytest.raises(CannotRender, match="frame 7"):
        rendered(stored.header, stored.frame, stored.transfer_syntax, stored.bulk, frame_number=7)


def pdf_header(**document: object) -> dict:
    return {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.104.1"]},
        "00420011": {"vr": "OB", **document},
        "00420012": {"vr": "LO", "Value": ["application/pdf"]},
        "00420015": {"vr": "UL", "Value": [7]},
    }


def test_a_document_kept_apart_is_named_for_streaming_and_an_inline_one_given():
    shown = rendered(pdf_header(BulkDataURI="bulk/1"), _no_frames, "1.2.840.10008.1.2.1", None)
    assert shown == (None, "application/pdf", "bulk/1", 7)
    inline = rendered(pdf_header(InlineBinary="JVBERi0xLgA="), _no_frames, "1.2.840.10008.1.2.1", None)
    assert inline[:3] == (b"%PDF-1.", "application/pdf", None)
    assert document_bytes(pdf_header(BulkDataURI="b"), lambda uri: b"%PDF-1.\0") == b"%PDF-1."


def test_a_document_never_passes_for_a_page_of_ours():
    stated = pdf_header(BulkDataURI="b") | {
        "00080016": {"vr": "UI", "Value": ["1.2.3"]},
        "00420012": {"vr": "LO", "Value": ["text/html"]},
    }
    assert rendered(stated, _no_frames, "1.2.840.10008.1.2.1", None).media_type == "application/octet-stream"


@pytest.mark.shared
def test_a_real_encapsulated_pdf_comes_out_whole():
    stored = load(next(shared("dicom", "pdf").glob("*.dcm")))
    data = document_bytes(stored.header, stored.bulk)
    assert data.startswith(b"%PDF-")
    assert b"%%EOF" in data[-16:]


def _no_frames(number: int) -> bytes:
    raise AssertionError("the frames are not needed")


@pytest.mark.parametrize("syntax", sorted(VIDEO_SYNTAXES))
def test_video_is_streamed_from_the_pixel_data(syntax):
    shown = rendered({"00280010": {"vr": "US", "Value": [1]}}, _no_frames, syntax, None)
    assert shown.bulk_path == PIXEL_DATA
    assert shown.media_type.startswith("video/")


def test_the_bytes_of_a_stream_say_their_container():
    assert video_media_type("1.2.840.10008.1.2.4.102", b"\0\0\0\x18ftypmp42") == "video/mp4"
    assert video_media_type("1.2.840.10008.1.2.4.102", (b"\x47" + bytes(187)) * 2) == "video/mp2t"
    assert video_media_type("1.2.840.10008.1.2.1") is None


@pytest.mark.parametrize("name", ["reportsi.dcm", "test-SR.dcm"])
def test_a_report_is_told_in_its_own_words(name):
    stored = load(get_testdata_file(name))
    shown = rendered(stored.header, _no_frames, stored.transfer_syntax, None)
    page = shown.body.decode()
    assert shown.media_type == "text/html; charset=utf-8"
    for item in stored.dataset.ContentSequence:
        if item.get("TextValue"):
            assert item.TextValue.split()[0] in page


def test_markup_in_a_report_stays_text():
    item = {"0040A040": {"vr": "CS", "Value": ["TEXT"]}, "0040A160": {"vr": "UT", "Value": ["<script>1</script>"]}}
    stated = {"0040A040": {"vr": "CS", "Value": ["CONTAINER"]}, "0040A730": {"vr": "SQ", "Value": [item]}}
    assert "<script" not in report_html(stated)


def test_a_report_deeper_than_any_stack_is_cut_off():
    item: dict = {"0040A040": {"vr": "CS", "Value": ["CONTAINER"]}}
    for _ in range(500):
        item = {"0040A040": {"vr": "CS", "Value": ["CONTAINER"]}, "0040A730": {"vr": "SQ", "Value": [item]}}
    assert report_html(item).count("<section>") < 50


@pytest.mark.parametrize("name", ["rtplan.dcm", "rtstruct.dcm"])
def test_objects_that_have_no_picture_say_so(name):
    stored = load(get_testdata_file(name))
    with pytest.raises(CannotRender, match="RT"):
        rendered(stored.header, stored.frame, stored.transfer_syntax, stored.bulk)


@pytest.mark.parametrize("name", [name for name in bundled_images() if name not in BROKEN])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_transcoded_instances_keep_identity_values_and_every_other_element(name):
    stored = load(BUNDLED / name)
    other = from_bytes(transcode_to_explicit_le((BUNDLED / name).read_bytes()))
    assert other.transfer_syntax == "1.2.840.10008.1.2.1"
    assert len(other.frames) == len(stored.frames)
    for number, frame in enumerate(stored.frames, 1):
        expected = decode_frame(stored.header, frame, stored.transfer_syntax, number)
        assert np.array_equal(expected, decode_frame(other.header, other.frame(number), other.transfer_syntax, number))
        if stored.dataset.BitsAllocated > 1:
            native = frame_as_native(stored.header, frame, stored.transfer_syntax, number)
            assert other.frame(number)[: len(native)] == native
    described = {"00280004", "00280006", "00280103", "00282110", "7FE00010"}
    for tag, value in stored.header.items():
        if tag not in described and not tag.endswith("0000"):  # group lengths are retired
            assert _without_uris(other.header[tag]) == _without_uris(value), tag


def _without_uris(element: object) -> object:
    if isinstance(element, dict):
        return {key: _without_uris(value) for key, value in element.items() if key != "BulkDataURI"}
    return [_without_uris(value) for value in element] if isinstance(element, list) else element


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name", ["JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
)
def test_pydicom_reads_the_same_pixels_from_the_transcoded_instance(name):
    path = BUNDLED / name
    written = pydicom.dcmread(io.BytesIO(transcode_to_explicit_le(path.read_bytes())))
    source = pydicom.dcmread(path)
    assert written.SOPInstanceUID == source.SOPInstanceUID
    assert np.array_equal(pixel_array(written), pixel_array(source))


def test_a_lossy_source_says_so_after_transcoding():
    written = pydicom.dcmread(io.BytesIO(transcode_to_explicit_le((BUNDLED / "JPGExtended.dcm").read_bytes())))
    assert written.LossyImageCompression == "01"


def test_words_of_a_big_endian_instance_are_turned_at_every_depth():
    source = pydicom.dcmread(get_testdata_file("MR_small_bigendian.dcm"))
    item = pydicom.Dataset()
    item.add_new("LUTData", "OW", b"\x01\x02\x03\x04")
    source.add_new("ModalityLUTSequence", "SQ", [item])
    out = io.BytesIO()
    source.save_as(out)
    written = pydicom.dcmread(io.BytesIO(transcode_to_explicit_le(out.getvalue())))
    assert written.ModalityLUTSequence[0].LUTData == b"\x02\x01\x04\x03"


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.integers(0, 8000), st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_a_damaged_instance_is_transcoded_or_refused(at, value):
    data = bytearray((BUNDLED / "MR_small_RLE.dcm").read_bytes())
    data[at % len(data)] = value
    try:
        assert transcode_to_explicit_le(bytes(data))
    except CannotRender:
        return
