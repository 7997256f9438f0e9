"""Pictures: grey scale as PS3.3 C.11 computes it, colour, proportions, and every real file not blank."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.data import get_testdata_file
from tests.imaging.pixels.stored_objects import BUNDLED, bundled_images, load
from tests.imaging.pixels.test_decode import BROKEN, header
from tests.shared_files import shared

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.render import picture, render_frame
from huitong.imaging.pixels.thumbnail import placeholder, small_picture, thumbnail

NATIVE = "1.2.840.10008.1.2.1"


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def element(vr: str, *values: object) -> dict:
    return {"vr": vr, "Value": list(values)}


RAMP = np.arange(-100, 156, dtype="i2").reshape(16, 16)


def shades_of(array: np.ndarray, **elements: dict) -> np.ndarray:
    stated = header(array) | {tag.removeprefix("t"): value for tag, value in elements.items()}
    return opened(render_frame(stated, array.tobytes(), NATIVE, media="image/png"))


def test_a_linear_window_maps_as_the_standards_formula_does():
    shades = shades_of(RAMP, t00281050=element("DS", 40), t00281051=element("DS", 80))
    # PS3.3 C.11.2.1.2.1: y = ((x - (c - 0.5)) / (w - 1) + 0.5) * (ymax - ymin)
    expected = [round(min(max((x - 39.5) / 79 + 0.5, 0), 1) * 255) for x in RAMP.reshape(-1).tolist()]
    assert np.abs(shades.reshape(-1).astype(int) - expected).max() <= 1
    assert (shades[RAMP <= 0] == 0).all()
    assert (shades[RAMP >= 80] == 255).all()


def test_linear_exact_has_no_half_pixel_and_sigmoid_follows_the_exponential():
    window = {"t00281050": element("DS", 40), "t00281051": element("DS", 80)}
    exact = shades_of(RAMP, t00281056=element("CS", "LINEAR_EXACT"), **window)
    assert abs(int(exact[RAMP == 40][0]) - 127.5) <= 1
    assert exact[RAMP == 20][0] == round(0.25 * 255)
    sigmoid = shades_of(RAMP, t00281056=element("CS", "SIGMOID"), **window)
    for x in (-60, 0, 40, 90):
        assert abs(int(sigmoid[x == RAMP][0]) - 255 / (1 + math.exp(-4 * (x - 40) / 80))) <= 1


def test_the_window_applies_after_the_rescale():
    plain = shades_of(RAMP, t00281050=element("DS", 40), t00281051=element("DS", 80))
    rescaled = shades_of(
        RAMP,
        t00281050=element("DS", "-944"),
        t00281051=element("DS", "160"),
        t00281052=element("DS", "-1024"),
        t00281053=element("DS", "2"),
    )
    assert np.abs(plain.astype(int) - rescaled).max() <= 2


def test_the_callers_window_takes_the_place_of_the_objects_own():
    stated = header(RAMP) | {"00281050": element("DS", 1000), "00281051": element("DS", 1)}
    own = opened(render_frame(stated, RAMP.tobytes(), NATIVE, media="image/png"))
    asked = opened(render_frame(stated, RAMP.tobytes(), NATIVE, media="image/png", window=(27.5, 256)))
    assert own.max() == 0
    assert asked.min() == 0
    assert asked.max() == 255


def test_monochrome1_is_shown_inverted_and_not_twice_with_its_presentation_lut_shape():
    window = {"t00281050": element("DS", 28), "t00281051": element("DS", 256)}
    plain = shades_of(RAMP, **window)
    inverted = shades_of(RAMP, t00280004=element("CS", "MONOCHROME1"), **window)
    assert (inverted == 255 - plain).all()
    shape = element("CS", "INVERSE")
    assert (shades_of(RAMP, t00280004=element("CS", "MONOCHROME1"), t20500020=shape, **window) == inverted).all()


@pytest.mark.parametrize("scale", [1, 8])
def test_without_a_window_nearly_all_of_the_picture_is_shown_and_padding_stays_black(scale):
    array = (np.abs(RAMP) * scale).astype("i2")
    array[:4] = -2000
    shades = shades_of(array, t00280120=element("SS", -2000))
    assert (shades[:4] == 0).all()
    inside = shades[4:]
    assert inside.max() == 255
    assert inside.std() > 40


def test_each_frame_has_the_window_of_its_own_functional_group():
    array = np.full((4, 4), 100, dtype="u2")

    def voi(centre: int) -> dict:
        item = {"00281050": element("DS", centre), "00281051": element("DS", 100)}
        return {"00289132": element("SQ", item)}

    stated = header(array) | {
        "00280008": element("IS", 3),
        "52009229": element("SQ", voi(500)),
        "52009230": element("SQ", voi(100), voi(0), {}),
    }
    means = [
        opened(render_frame(stated, array.tobytes(), NATIVE, media="image/png", frame_number=n)).mean()
        for n in (1, 2, 3)
    ]
    assert abs(means[0] - 128) < 3
    assert means[1:] == [255, 0]


def test_a_voi_look_up_table_is_applied_from_its_first_value_on():
    array = np.array([[0, 10, 11, 12, 13, 200]], dtype="u1")
    table = {"00283002": element("US", 4, 10, 8), "00283006": element("US", 0, 50, 100, 255)}
    assert shades_of(array, t00283010=element("SQ", table)).tolist() == [[0, 0, 50, 100, 255, 255]]


def test_a_modality_look_up_table_with_negative_first_value_is_read_as_signed():
    array = np.array([[-2, -1, 0, 1]], dtype="i2")
    table = {"00283002": element("US", 4, 65534, 16), "00283006": element("US", 0, 100, 200, 300)}
    window = {"t00281050": element("DS", 150.5), "t00281051": element("DS", 301)}
    shades = shades_of(array, t00283000=element("SQ", table), **window)
    assert shades.tolist() == [[0, 85, 170, 255]]


def test_palette_colours_are_looked_up_discrete_and_segmented():
    index = np.array([[0, 1, 2, 3]], dtype="u1")
    stated = header(index, "PALETTE COLOR")
    for colour in ("1", "2", "3"):
        stated[f"0028110{colour}"] = element("US", 4, 0, 16)
    stated["00281201"] = {"vr": "OW", "InlineBinary": "AAAA/wD/AP8="}  # 0, 0xff00, 0xff00, 0xff00
    stated["00281202"] = {"vr": "OW", "BulkDataURI": "green"}
    # segmented: one discrete entry 0, then linear to 0xff00 in three steps (PS3.3 C.7.9.2)
    stated["00281223"] = {"vr": "OW", "BulkDataURI": "blue"}
    bulks = {
        "green": np.array([0xFF00, 0, 0, 0x8000], dtype="<u2").tobytes(),
        "blue": np.array([0, 1, 0, 1, 3, 0xFF00], dtype="<u2").tobytes(),
    }
    shown = opened(render_frame(stated, index.tobytes(), NATIVE, media="image/png", bulk=bulks.__getitem__))
    assert shown[0].tolist() == [[0, 255, 0], [255, 0, 85], [255, 0, 170], [255, 128, 255]]


@pytest.mark.parametrize(
    ("tag", "values", "size"),
    [
        ("00280034", (2, 1), (20, 20)),
        ("00280034", (1, 2), (40, 10)),
        ("00280030", (0.5, 0.25), (20, 20)),
        ("00181164", (0.25, 0.5), (40, 10)),
        ("00280030", (1, 1), (20, 10)),
        ("00280030", (0, 1), (20, 10)),
        ("00280030", (1000, 1), (20, 10)),
    ],
)
def test_pixels_that_are_not_square_are_shown_in_their_true_proportions(tag, values, size):
    array = np.arange(200, dtype="u1").reshape(10, 20)
    stated = header(array) | {tag: element("DS", *values)}
    assert Image.open(io.BytesIO(render_frame(stated, array.tobytes(), NATIVE))).size == size


@given(st.integers(1, 400), st.integers(1, 400))
def test_a_viewport_is_filled_in_one_direction_and_never_exceeded(width, height):
    array = np.arange(200, dtype="u1").reshape(10, 20)
    data = render_frame(header(array), array.tobytes(), NATIVE, viewport=(width, height))
    shown = Image.open(io.BytesIO(data)).size
    assert shown[0] <= width
    assert shown[1] <= height
    assert shown[0] == width or shown[1] == height


@pytest.mark.parametrize(
    ("media", "magic"), [("image/jpeg", b"\xff\xd8"), ("image/png", b"\x89PNG"), ("image/gif", b"GIF")]
)
def test_pictures_come_in_each_media_type(media, magic):
    assert render_frame(header(RAMP), RAMP.tobytes(), NATIVE, media=media).startswith(magic)
    with pytest.raises(CannotRender):
        render_frame(header(RAMP), RAMP.tobytes(), NATIVE, media="image/tiff")


@pytest.mark.parametrize("name", bundled_images())
def test_every_bundled_image_is_rendered_and_not_blank(name):
    stored = load(BUNDLED / name)
    if name in BROKEN:
        assert small_picture(stored.header, stored.frames[0], stored.transfer_syntax) == placeholder(stored.header)
        return
    shown = opened(render_frame(stored.header, stored.frames[0], stored.transfer_syntax, bulk=stored.bulk))
    small = thumbnail(stored.header, stored.frames[0], stored.transfer_syntax, bulk=stored.bulk)
    assert shown.std() > 0
    assert max(Image.open(io.BytesIO(small)).size) <= 256
    assert len(small) < 20_000


#: Frames of real files that are one colour by their nature: empty segments, background tiles.
BLANK = {"seg", "wsi"}


@pytest.mark.shared
def test_every_shared_image_is_rendered_and_not_blank():
    refused, blank, seen = {}, [], 0
    folder = shared("dicom")
    paths = [p for p in sorted(folder.glob("**/*.dcm")) if "multimodality" not in str(p)]
    for path in paths:
        try:
            stored = load(path)
        except (ValueError, AttributeError):
            continue
        if not stored.frames:
            continue
        seen += 1
        number = len(stored.frames) // 2 + 1
        try:
            small = thumbnail(
                stored.header, stored.frame(number), stored.transfer_syntax, frame_number=number, bulk=stored.bulk
            )
        except CannotRender as error:
            refused[path.name] = str(error)
            continue
        assert len(small) < 25_000, path
        if opened(small).std() == 0 and path.relative_to(folder).parts[0] not in BLANK:
            blank.append(path.name)
    assert seen > 150
    assert blank == []
    assert set(refused) == set(BROKEN), refused


def test_the_wide_window_of_a_real_ct_shows_air_dark_and_bone_bright():
    stored = load(get_testdata_file("CT_small.dcm"))
    shown = np.asarray(picture(stored.header, stored.frames[0], stored.transfer_syntax, window=(40, 400)))
    hounsfield = stored.dataset.pixel_array * 1.0 - 1024
    assert shown[hounsfield < -300].max() == 0
    assert shown[hounsfield > 300].min() == 255


@pytest.mark.parametrize(
    "modality", ["SR", "ECG", "DOC", "KO", "PR", "RTSTRUCT", "RTPLAN", "SEG", "", "\u5f71\u50cf", "X" * 40]
)
def test_objects_without_a_picture_get_a_tile_with_their_modality(modality):
    tile = placeholder({"00080060": element("CS", modality)})
    assert Image.open(io.BytesIO(tile)).size == (256, 256)
    assert opened(tile).max() > 150
    assert len(tile) < 12_000


def test_look_up_tables_of_a_big_endian_object_are_read_in_its_byte_order():
    index = np.array([[0, 1, 2, 3]], dtype="u1")
    stated = header(index, "PALETTE COLOR")
    entries = np.array([0, 0x8000, 0xC000, 0xFF00], dtype=">u2").tobytes()
    for colour in ("1", "2", "3"):
        stated[f"0028110{colour}"] = element("US", 4, 0, 16)
        stated[f"0028120{colour}"] = {"vr": "OW", "BulkDataURI": "table"}
    data = render_frame(stated, index.tobytes(), "1.2.840.10008.1.2.2", media="image/png", bulk=lambda uri: entries)
    assert opened(data)[0, :, 0].tolist() == [0, 128, 192, 255]


def test_ct_slices_without_a_window_share_the_soft_tissue_one_and_localizers_do_not():
    ct = {"t00080060": element("CS", "CT"), "t00281052": element("DS", -1024), "t00281053": element("DS", 1)}
    slices = [np.full((8, 8), 1064, dtype="i2"), np.full((8, 8), 1064, dtype="i2")]
    slices[0][0], slices[1][0] = 0, 3000
    first, second = (shades_of(each, **ct) for each in slices)
    assert (first[1:] == second[1:]).all()
    assert 126 <= first[1, 0] <= 129
    scout = element("CS", "ORIGINAL", "PRIMARY", "LOCALIZER")
    assert shades_of(slices[1], t00080008=scout, **ct)[1, 0] == 0
