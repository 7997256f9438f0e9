"""Frame positions, by table, by counting and by the marks of code streams, as pydicom cuts them or better."""

from __future__ import annotations

import struct
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from tests.wire.dicom.dicom_oracle import our_frames

from huitong.wire.dicom.frames import Frames
from huitong.wire.dicom.pixels import encapsulated_frames, fragments, native_frames

JPEG = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"


@st.composite
def _codestreams(draw: st.DrawFn) -> bytes:
    """Something that begins and ends as a JPEG does, of even length."""
    # JFIF's marker follows: an end of image there would be one that no encoder writes, and we cut that better.
    return b"\xff\xd8\xff\xe0" + draw(st.binary(min_size=12, max_size=12)).replace(b"\xff", b"\0") + b"\xff\xd9"


_IMAGES = st.lists(_codestreams(), min_size=1, max_size=8)


def _item(value: bytes, element: int = 0xE000) -> bytes:
    return struct.pack("<HHL", 0xFFFE, element, len(value)) + value


_END = _item(b"", 0xE0DD)


def _frames(
    data: bytes, count: int | None, uid: str = JPEG, extended: tuple[bytes, bytes] | None = None
) -> tuple[Frames | None, list[str]]:
    problems: list[str] = []
    header = {} if count is None else {"00280008": {"vr": "IS", "Value": [count]}}
    items, stop, after = fragments(data, 0, "<", problems)
    assert stop <= after <= len(data)
    return encapsulated_frames(data, header, items, "<", uid, extended, problems), problems


@settings(max_examples=80)
@given(_IMAGES, st.integers(1, 3), st.booleans())
def test_encapsulated_frames_are_cut_as_pydicom_cuts_them(images: list[bytes], pieces: int, table: bool) -> None:
    data = encapsulate(images, fragments_per_frame=pieces, has_bot=table) + _END
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = list(generate_frames(data, number_of_frames=len(images)))
    found, problems = _frames(data, len(images))
    assert found is not None
    assert our_frames(found, data) == theirs
    if len(theirs) == len(images):
        assert problems == []


@given(_IMAGES)
def test_the_extended_offset_table_is_used(images: list[bytes]) -> None:
    data, offsets, lengths = encapsulate_extended(images)
    found, problems = _frames(data + _END, len(images), extended=(offsets, lengths))
    assert found is not None
    assert our_frames(found, data) == images
    assert problems == []


@pytest.mark.parametrize("table", [b"\x04\0\0\0", b"\0\0\0\0\x05\0\0\0", b"\0\0\0\0\xff\xff\xff\xff", b"\0" * 400])
def test_a_basic_offset_table_that_does_not_fit_is_not_believed(table: bytes) -> None:
    data = _item(table) + _item(b"ab") + _item(b"cd") + _END
    found, problems = _frames(data, 2)
    assert found is not None
    assert our_frames(found, data) == [b"ab", b"cd"]
    assert problems == ["the basic offset table does not fit the fragments"]


@pytest.mark.parametrize(("offset", "length"), [(0, 2**40), (2**40, 2), (3, 2)])
def test_an_extended_offset_table_that_does_not_fit_is_not_believed(offset: int, length: int) -> None:
    data = _item(b"") + _item(b"ab") + _END
    found, problems = _frames(data, 1, extended=(struct.pack("<Q", offset), struct.pack("<Q", length)))
    assert found is not None
    assert our_frames(found, data) == [b"ab"]
    assert problems == ["the extended offset table does not fit the fragments"]


def test_frames_without_end_marks_are_told_by_their_beginnings() -> None:
    data = _item(b"") + b"".join(map(_item, (b"\xff\x4f\xff\x51aa", b"bbbb", b"\xff\x4f\xff\x51cc", b"dddd"))) + _END
    found, problems = _frames(data, 2)
    assert found is not None
    assert our_frames(found, data) == [b"\xff\x4f\xff\x51aabbbb", b"\xff\x4f\xff\x51ccdddd"]
    assert problems == []


def test_a_video_is_one_stream_whatever_the_number_of_frames() -> None:
    data = _item(b"") + _item(b"ab") + _item(b"cd") + _END
    found, _ = _frames(data, 500, uid="1.2.840.10008.1.2.4.102")
    assert found is not None
    assert our_frames(found, data) == [b"abcd"]


def test_fewer_fragments_than_frames_are_one_frame_each_and_noted() -> None:
    data = _item(b"") + _item(b"ab") + _item(b"cd") + _END
    found, problems = _frames(data, 2_000_000_000, uid=RLE)
    assert found is not None
    assert found.count == 2
    assert problems == ["2 fragments for 2000000000 frames"]


@pytest.mark.parametrize("missing", [1, 8, 9])
def test_pixel_data_that_end_early_keep_what_is_there(missing: int) -> None:
    data = (_item(b"") + _item(b"ab") + _item(b"cd") + _END)[:-missing]
    found, problems = _frames(data, 2)
    assert found is not None
    assert our_frames(found, data)[0] == b"ab"
    assert problems[0] == "encapsulated pixel data are cut off"


def test_no_fragments_are_no_frames() -> None:
    assert _frames(_item(b"") + _END, 1)[0] is None


def _native(length: int, frames: int = 1, **values: object) -> tuple[Frames | None, list[str]]:
    names = {"rows": "00280010", "columns": "00280011", "bits": "00280100", "samples": "00280002", "colour": "00280004"}
    header = {names[k]: {"vr": "US", "Value": [v]} for k, v in values.items()}
    header["00280008"] = {"vr": "IS", "Value": [frames]}
    problems: list[str] = []
    return native_frames(header, "7FE00010", 100, length, problems), problems


def test_native_frames_lie_one_after_another() -> None:
    assert _native(24, 3, rows=2, columns=2, bits=16) == (Frames(3, 100, 8, 24), [])
    assert _native(36, 3, rows=2, columns=2, bits=8, samples=3) == (Frames(3, 100, 12, 36), [])
    assert _native(8, 1, rows=2, columns=2, bits=8, samples=3, colour="YBR_FULL_422") == (Frames(1, 100, 8, 8), [])


def test_single_bit_frames_have_a_length_only_where_they_end_on_octets() -> None:
    assert _native(6, 3, rows=4, columns=4, bits=1) == (Frames(3, 100, 2, 6), [])
    assert _native(4, 3, rows=3, columns=3, bits=1) == (Frames(3, 100, 0, 4), [])
    assert _native(2, 3, rows=3, columns=3, bits=1)[0] == Frames(1, 100, 0, 2)


def test_native_pixel_data_too_short_are_noted() -> None:
    found, problems = _native(20, 3, rows=2, columns=2, bits=16)
    assert found == Frames(2, 100, 8, 20)
    assert problems == ["pixel data holds 20 octets, 3 frames need 24"]
    assert _native(5, 1, rows=2, columns=2, bits=16)[0] == Frames(1, 100, 5, 5)


def test_a_frame_of_unknown_size_is_no_frame() -> None:
    assert _native(8, 1, rows=2, bits=8) == (None, ["pixel data without Rows, Columns or BitsAllocated"])
    assert _native(8, 1, rows=2, columns="x", bits=8)[0] is None
