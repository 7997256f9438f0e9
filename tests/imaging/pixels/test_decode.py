"""Frames decoded: against pydicom, against the same image in other transfer syntaxes, and against nonsense."""

from __future__ import annotations

import zlib
from contextlib import suppress

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array
from tests.imaging.pixels.stored_objects import BUNDLED, bundled_images, load
from tests.shared_files import shared

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.decode import DECODERS, decode_frame
from huitong.imaging.pixels.transcode import frame_as_native

_UID = "1.2.840.10008.1.2"


def header(array: np.ndarray, photometric: str = "", **more: object) -> dict:
    """The Image Pixel module for an array, as DICOM JSON."""
    colour = array.ndim == 3
    bits = array.dtype.itemsize * 8
    plain = {
        "00280002": 3 if colour else 1,
        "00280004": photometric or ("RGB" if colour else "MONOCHROME2"),
        "00280010": array.shape[0],
        "00280011": array.shape[1],
        "00280100": bits,
        "00280101": bits,
        "00280103": int(array.dtype.kind == "i"),
    }
    plain.update(more)
    return {tag: {"vr": "US", "Value": [value]} for tag, value in plain.items()}


def noise(kind: str, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    smooth = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 2)
    rough = np.random.default_rng(5).integers(low, high, shape)
    return (rough // 4 + (smooth if len(shape) == 2 else smooth[..., None]) % (high - low) // 4).astype(kind)


GREY = {
    "signed 16": noise("i2", (48, 56), -2000, 2000),
    "unsigned 16": noise("u2", (48, 56), 0, 60000),
    "unsigned 8": noise("u1", (48, 56), 0, 250),
}
RGB = noise("u1", (48, 56, 3), 0, 250)


def unsigned(array: np.ndarray) -> np.ndarray:
    return array.view(f"u{array.dtype.itemsize}")


ENCODERS = {
    f"{_UID}.4.70": lambda a: imagecodecs.jpeg8_encode(
        unsigned(a), lossless=True, predictor=1, bitspersample=8 * a.dtype.itemsize
    ),
    f"{_UID}.4.80": lambda a: imagecodecs.jpegls_encode(unsigned(a)),
    f"{_UID}.4.90": lambda a: imagecodecs.jpeg2k_encode(a, reversible=True, codecformat="j2k"),
    f"{_UID}.4.201": lambda a: imagecodecs.htj2k_encode(a, reversible=True),
    f"{_UID}.4.202": lambda a: imagecodecs.htj2k_encode(a, reversible=True, tlm=True),
    f"{_UID}.4.110": lambda a: imagecodecs.jpegxl_encode(unsigned(a), lossless=True),
    f"{_UID}.8.1": lambda a: zlib.compress(a.tobytes(), wbits=-15),
}


@pytest.mark.parametrize("name", GREY)
@pytest.mark.parametrize("syntax", ENCODERS)
def test_what_was_encoded_without_loss_decodes_to_the_same_values(syntax, name):
    array = GREY[name]
    decoded = decode_frame(header(array), ENCODERS[syntax](array), syntax)
    assert decoded.dtype == array.dtype
    assert np.array_equal(decoded, array)


@pytest.mark.parametrize("syntax", [f"{_UID}.4.80", f"{_UID}.4.90", f"{_UID}.4.201", f"{_UID}.4.110", f"{_UID}.8.1"])
def test_colour_encoded_without_loss_decodes_to_the_same_values(syntax):
    assert np.array_equal(decode_frame(header(RGB), ENCODERS[syntax](RGB), syntax), RGB)


def test_signed_htj2k_keeps_negative_values_as_only_openjph_does():
    array = np.array([[-32768, -1, 0, 1], [32767, -1024, 5, -7]] * 8, dtype="i2")
    frame = imagecodecs.htj2k_encode(array, reversible=True)
    assert np.array_equal(decode_frame(header(array), frame, f"{_UID}.4.201"), array)


def test_signed_values_of_fewer_bits_get_their_sign_back():
    array = noise("i2", (32, 32), -2000, 2000)
    frame = imagecodecs.jpegls_encode((array & 0x0FFF).astype("u2"))
    stated = header(array, **{"00280101": 12})
    assert np.array_equal(decode_frame(stated, frame, f"{_UID}.4.80"), array)


def test_a_signed_codestream_is_believed_over_an_unsigned_header():
    array = noise("i2", (32, 32), -2000, 2000)
    frame = imagecodecs.jpeg2k_encode(array, reversible=True, codecformat="j2k")
    assert np.array_equal(decode_frame(header(array, **{"00280103": 0}), frame, f"{_UID}.4.90"), array)


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "u4"])
def test_big_endian_frames_have_the_values_of_little_endian_ones(kind):
    array = noise(kind, (9, 7), 0, 100)
    decoded = decode_frame(header(array), array.astype(array.dtype.newbyteorder(">")).tobytes(), f"{_UID}.2")
    assert np.array_equal(decoded, array)
    assert decoded.dtype.isnative


def test_big_endian_bytes_sent_as_words_are_swapped_back():
    array = noise("u1", (4, 6), 0, 250)
    stated = header(array) | {"7FE00010": {"vr": "OW"}}
    assert np.array_equal(decode_frame(stated, array.tobytes(), f"{_UID}.1"), array)
    frame = array.view("<u2").astype(">u2").tobytes()
    assert np.array_equal(decode_frame(stated, frame, f"{_UID}.2"), array)


def test_planes_one_after_the_other_are_interleaved():
    frame = np.moveaxis(RGB, 2, 0).tobytes()
    assert np.array_equal(decode_frame(header(RGB, **{"00280006": 1}), frame, f"{_UID}.1"), RGB)


@pytest.mark.parametrize(("kind", "tag"), [("f4", "7FE00008"), ("f8", "7FE00009")])
def test_float_pixel_data_keeps_its_fractions(kind, tag):
    array = np.linspace(-1.5, 2.5, 30, dtype=kind).reshape(5, 6)
    stated = header(array)
    del stated["00280103"]
    assert np.array_equal(decode_frame(stated | {tag: {"vr": "OF"}}, array.tobytes(), f"{_UID}.1"), array)
    assert np.array_equal(decode_frame(stated, array.tobytes(), f"{_UID}.1"), array)


@given(rows=st.integers(1, 13), columns=st.integers(1, 13), frames=st.integers(1, 5), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_bit_packed_frames_are_cut_out_of_the_whole_value(rows, columns, frames, seed):
    bits = np.random.default_rng(seed).integers(0, 2, (frames, rows, columns), dtype="u1")
    whole = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    stated = header(bits[0], **{"00280100": 1, "00280101": 1, "00280008": frames})
    for number in range(1, frames + 1):
        decoded = decode_frame(stated, whole, f"{_UID}.1", number)
        assert np.array_equal(decoded, bits[number - 1])
        alone = frame_as_native(stated, whole, f"{_UID}.1", number)
        assert alone == np.packbits(bits[number - 1].reshape(-1), bitorder="little").tobytes()


def test_subsampled_chroma_is_spread_over_both_pixels():
    array = np.full((2, 4, 3), 128, dtype="u1")
    frame = bytes([10, 20, 128, 128, 30, 40, 128, 128] * 2)
    decoded = decode_frame(header(array, "YBR_FULL_422"), frame, f"{_UID}.1")
    assert decoded[:, :, 0].tolist() == [[10, 20, 30, 40]] * 2
    assert np.array_equal(decoded[..., 0], decoded[..., 2])


#: What pydicom ships broken on purpose, and the reason given.
BROKEN = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "JPEG 2000",
    "MR_truncated.dcm": "bytes",
}


@pytest.mark.parametrize("name", bundled_images())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bundled_files_decode_as_pydicom_decodes_them(name):
    stored = load(BUNDLED / name)
    if name in BROKEN:
        with pytest.raises(CannotRender, match=BROKEN[name]):
            decode_frame(stored.header, stored.frames[0], stored.transfer_syntax)
        return
    decoded = decode_frame(stored.header, stored.frames[0], stored.transfer_syntax)
    try:
        expected = pixel_array(stored.dataset, index=0)
    except (RuntimeError, NotImplementedError, AttributeError):
        assert decoded.std() > 0  # without a decoder here pydicom is no oracle
        return
    tolerance = 1 if "YBR" in stored.dataset.PhotometricInterpretation else 0  # rounding of the colour matrix
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype("f8") - expected.astype("f8")).max() <= tolerance


#: Same CT in other syntaxes: largest difference in stored values; None where the encoder changed the scale itself.
CT_SYNTAXES = {
    "BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2": 0,
    "DeflatedExplicitVRLittleEndianTransferSyntax_1.2.840.10008.1.2.1.99": 0,
    "JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90": 0,
    "JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91": 5,
    "JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80": 0,
    "JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81": 3,
    "JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70": 0,
    "JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57": 0,
    "LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1": 0,
    "LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2": 0,
    "RLELosslessTransferSyntax_1.2.840.10008.1.2.5": 0,
}


@pytest.mark.shared
@pytest.mark.parametrize("name", CT_SYNTAXES)
def test_one_ct_image_has_the_same_values_in_every_transfer_syntax(name):
    folder = shared("dicom", "transfer_syntaxes", "ct_one_image_all_ts")
    original, other = load(folder / "CTImage_original.dcm"), load(folder / f"CTImage_{name}.dcm")
    expected = decode_frame(original.header, original.frames[0], original.transfer_syntax)
    decoded = decode_frame(other.header, other.frames[0], other.transfer_syntax)
    assert np.abs(decoded.astype(int) - expected).max() <= CT_SYNTAXES[name]


@pytest.mark.shared
@pytest.mark.parametrize("process", ["1", "2_4", "6_8", "10_12"])
def test_one_ct_image_in_lossy_jpeg_looks_like_the_original(process):
    folder = shared("dicom", "transfer_syntaxes", "ct_one_image_all_ts")
    original = load(folder / "CTImage_original.dcm")
    other = load(next(folder.glob(f"CTImage_JPEGProcess{process}Transfer*.dcm")))
    expected = decode_frame(original.header, original.frames[0], original.transfer_syntax)
    decoded = decode_frame(other.header, other.frames[0], other.transfer_syntax)
    assert np.corrcoef(decoded.reshape(-1), expected.reshape(-1))[0, 1] > 0.99


@pytest.mark.shared
@pytest.mark.parametrize("image", ["CT1", "MR1", "XA1"])
def test_nema_images_have_the_same_values_in_every_lossless_syntax(image):
    folder = shared("dicom", "transfer_syntaxes", "nema_wg04")
    plain = load(folder / f"{image}_UNC.dcm")
    expected = decode_frame(plain.header, plain.frames[0], plain.transfer_syntax)
    others = [p for kind in ("J2KR", "JLSL", "JPLL", "RLE") for p in folder.glob(f"{image}_{kind}.dcm")]
    assert len(others) >= 2
    for path in others:
        other = load(path)
        decoded = decode_frame(other.header, other.frames[0], other.transfer_syntax)
        assert np.array_equal(decoded, expected), path.name


COMPRESSED = sorted(uid for uid in DECODERS if ".4." in uid or uid.endswith((".5", ".8.1")))
_MAGIC = [b"", b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x02\0\0\0\x40\0\0\0"]


@given(
    st.sampled_from(COMPRESSED),
    st.sampled_from(_MAGIC),
    st.binary(max_size=400),
    st.sampled_from(["signed 16", "unsigned 8"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nonsense_in_place_of_a_compressed_frame_only_ever_cannot_be_rendered(syntax, magic, rest, name):
    array = GREY[name]
    with suppress(CannotRender):
        assert decode_frame(header(array), magic + rest, syntax).shape == array.shape


@given(st.sampled_from(sorted(ENCODERS)), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=6))
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_damaged_frame_gives_a_picture_of_the_right_size_or_cannot_be_rendered(syntax, damage):
    array = GREY["signed 16"]
    frame = bytearray(ENCODERS[syntax](array))
    for at, value in damage:
        frame[at % len(frame)] = value
    with suppress(CannotRender):
        assert decode_frame(header(array), bytes(frame), syntax).shape == array.shape


@pytest.mark.parametrize("syntax", ENCODERS)
def test_a_codestream_of_another_size_than_the_header_says_is_refused(syntax):
    frame = ENCODERS[syntax](GREY["unsigned 16"])
    with pytest.raises(CannotRender):
        decode_frame(header(noise("u2", (480, 560), 0, 4000)), frame, syntax)


def test_a_deflate_bomb_is_inflated_no_further_than_the_frame():
    array = GREY["unsigned 8"]
    bomb = zlib.compress(bytes(300_000_000), wbits=-15)
    assert decode_frame(header(array), bomb, f"{_UID}.8.1").max() == 0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"00280010": 60000, "00280011": 60000}, "larger than is decoded"),
        ({"00280010": 0}, "no Rows"),
        ({"00280100": 12}, "BitsAllocated"),
        ({"00280002": 4}, "SamplesPerPixel"),
    ],
)
def test_headers_that_describe_no_decodable_image_are_refused_with_the_reason(changed, reason):
    with pytest.raises(CannotRender, match=reason):
        decode_frame(header(GREY["signed 16"], **changed), b"\0" * 100, f"{_UID}.1")


def test_video_and_unknown_syntaxes_have_no_frames_to_decode():
    for syntax in (f"{_UID}.4.102", "1.2.3.4"):
        with pytest.raises(CannotRender, match="no decoder"):
            decode_frame(header(RGB), b"", syntax)


def test_a_frame_cut_short_is_refused():
    array = GREY["signed 16"]
    with pytest.raises(CannotRender, match="bytes"):
        decode_frame(header(array), array.tobytes()[:-1], f"{_UID}.1")


def test_jpeg_colour_is_what_the_codestream_says_before_what_the_header_says():
    stored = load(get_testdata_file("SC_rgb_jpeg_dcmtk.dcm"))
    right = decode_frame(stored.header, stored.frames[0], stored.transfer_syntax)
    mislabelled = stored.header | {"00280004": {"vr": "CS", "Value": ["RGB"]}}
    assert np.array_equal(decode_frame(mislabelled, stored.frames[0], stored.transfer_syntax), right)
