"""Headers read with the memory of their series are those read without: `bytes` are scanned plainly, views with it."""

from __future__ import annotations

import gc
import mmap
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.wire.dicom.dicom_oracle import write

from huitong.base.errors import NotDicom
from huitong.wire.dicom import recall
from huitong.wire.dicom.reader import Reader
from huitong.wire.dicom.scan import Scanned, scan

_FOLDER = Path(pydicom.__file__).parent / "data"
_NAMES = (
    "CT_small.dcm", "MR_small_RLE.dcm", "nested_priv_SQ.dcm", "badVR.dcm", "rtplan.dcm", "test-SR.dcm",
    "UN_sequence.dcm", "chrH32.dcm", "chrX2.dcm", "chrSQEncoding1.dcm", "liver_1frame.dcm", "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm", "image_dfl.dcm",
)  # fmt: skip
_SEEDS = {path.name: path.read_bytes() for name in _NAMES for path in _FOLDER.rglob(name)}


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    recall.forget()
    yield
    recall.forget()


def _same(data: bytes) -> Scanned | None:
    """What both ways give."""
    try:
        plain: Scanned | None = scan(data)
    except NotDicom:
        plain = None
    try:
        assert scan(memoryview(data)) == plain
    except NotDicom:
        assert plain is None
    return plain


def _slice(number: int, **more: object) -> Dataset:
    slice_ = Dataset()
    slice_.SpecificCharacterSet = "GB18030"
    slice_.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    slice_.SOPInstanceUID = f"1.2.3.{number}"
    slice_.StudyInstanceUID, slice_.SeriesInstanceUID = "1.2", "1.2.9"
    slice_.PatientName = "Wang^Xiaodong=王^小东"
    slice_.InstanceNumber = number
    slice_.ImagePositionPatient = [0, 0, number * 1.25]
    slice_.SliceLocation = number * 1.25
    procedure = Dataset()
    procedure.CodeValue, procedure.CodeMeaning = "CT1", "胸部平扫"
    slice_.ProcedureCodeSequence = [procedure]
    slice_.Rows, slice_.Columns, slice_.BitsAllocated, slice_.PixelRepresentation = 2, 2, 16, number % 2
    slice_.SmallestImagePixelValue = number
    slice_["SmallestImagePixelValue"].VR = "US"
    slice_.add_new(0x00091001, "UN", b"\0" * 2000)
    for keyword, value in more.items():
        setattr(slice_, keyword, value)
    slice_.PixelData = bytes(8)
    slice_["PixelData"].VR = "OW"
    return slice_


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_slices_of_a_series_are_read_as_without_memory(syntax: str) -> None:
    for number in range(1, 14):
        scanned = _same(write(_slice(number), syntax))
        assert scanned is not None
        assert scanned.header["00200013"] == {"vr": "IS", "Value": [number]}
        assert scanned.header["00100010"]["Value"][0]["Ideographic"] == "王^小东"


def test_what_is_alike_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    explicit = Reader.explicit

    def counting(self: Reader, pos: int, end: int, *rest: object) -> int:
        before = self.count
        after = explicit(self, pos, end, *rest)  # type: ignore[arg-type]
        read.append(self.count - before)
        return after

    monkeypatch.setattr(Reader, "explicit", counting)
    counts = []
    for number in range(1, 8):
        scan(memoryview(write(_slice(number, Modality="CT", Manufacturer="HUITONG"), ExplicitVRLittleEndian)))
        counts.append(sum(read))
        read.clear()
    assert counts[0] > 20
    assert counts[-1] < counts[0] / 1.5


@pytest.mark.parametrize(
    "odd",
    [
        {"Manufacturer": "X"},
        {"SpecificCharacterSet": "ISO_IR 192"},
        {"SpecificCharacterSet": "ISO_IR 100"},
        {"PatientName": "Li^Si=李^四"},
        {"ProcedureCodeSequence": []},
        {"AccessionNumber": "A1", "StudyID": "7"},
    ],
    ids=str,
)
def test_one_that_is_unlike_the_others_is_read_as_it_is(odd: dict[str, object]) -> None:
    for number in range(1, 20):
        _same(write(_slice(number, **(odd if number in (4, 7, 8, 9) else {})), ExplicitVRLittleEndian))


def test_series_that_come_mixed_keep_apart() -> None:
    for number in range(1, 10):
        for series in range(recall._MOST_SERIES // 8):
            _same(
                write(
                    _slice(number, SeriesInstanceUID=f"1.2.{series}", Manufacturer=str(series)), ImplicitVRLittleEndian
                )
            )


def test_a_series_of_ever_other_elements_is_no_longer_learnt() -> None:
    keywords = (
        "Manufacturer",
        "StationName",
        "StudyID",
        "Modality",
        "PatientSex",
        "ProtocolName",
        "SliceThickness",
        "KVP",
    )
    for number in range(1, 60):
        more = {keyword: "1" for at, keyword in enumerate(keywords) if number >> at & 1}
        _same(write(_slice(number, **more), ExplicitVRLittleEndian))
    key = recall._series_element(write(_slice(1), ExplicitVRLittleEndian), 0, True)
    assert recall._series(key, True).attempts > recall._MOST_ATTEMPTS


_DAMAGE = st.tuples(st.integers(130, 6000), st.binary(min_size=1, max_size=8))


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(sorted(_SEEDS)),
    st.lists(st.tuples(st.lists(_DAMAGE, max_size=2), st.none() | st.integers(200, 8000)), min_size=3, max_size=7),
)
def test_damage_is_met_as_without_memory(name: str, objects: list[tuple[list[tuple[int, bytes]], int | None]]) -> None:
    recall.forget()
    for damage, cut in objects:
        data = bytearray(_SEEDS[name])
        for at, octets in damage:
            if at < len(data):
                data[at : at + len(octets)] = octets
        _same(bytes(data[:cut]))


def test_headers_larger_than_the_memory_are_borne() -> None:
    for number in range(1, 5):
        more = Dataset()
        more.LongCodeValue = "x" * 60_000
        _same(write(_slice(number, ProcedureCodeSequence=[more] * 3), ExplicitVRLittleEndian))


def test_nothing_read_is_held_in_a_circle() -> None:
    """What is scanned may be a map of a file, which has to be closed at once and not when the collector comes by."""
    gc.disable()
    try:
        for number in range(1, 5):
            with mmap.mmap(-1, len(data := write(_slice(number), ExplicitVRLittleEndian))) as mapped:
                mapped.write(data)
                with memoryview(mapped) as view:
                    scan(view)
    finally:
        gc.enable()
