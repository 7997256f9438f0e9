"""Every real file at hand is read as pydicom reads it, but for the differences in `dicom_oracle.ACCEPTED`."""

from __future__ import annotations

import mmap
from pathlib import Path

import orjson
import pydicom
import pytest
from tests.shared_files import shared
from tests.wire.dicom.dicom_oracle import differences, inline, our_frames, read, their_frames, their_json

from huitong.base.errors import NotDicom
from huitong.wire.dicom.frames import Frames
from huitong.wire.dicom.pixels import VIDEO
from huitong.wire.dicom.scan import Scanned, inflate, scan

_DATA = Path(pydicom.__file__).parent / "data"
#: What stands beside the DICOM files in pydicom's folders.
_OTHER = {".py", ".pyc", ".txt", ".json", ".md", ".csv", ".icc", ".dump", ".gz"}
_ALL = [p for folder in ("test_files", "charset_files") for p in (_DATA / folder).rglob("*") if p.is_file()]
_IS_DICOM = {p: p.suffix not in _OTHER and not p.name.startswith("README") for p in _ALL}

#: Files whose damage pydicom takes otherwise: what it has and we have not, or the other way round, and why.
DAMAGED = {
    "no_meta.dcm": "a stray octet before the data set: pydicom makes one element of it all, we say it is no DICOM",
    "rtplan_truncated.dcm": "ends within a DS; pydicom gives the number that is left of it, which is a wrong one",
    "DICOMDIR-nooffset": "ends within an IS, likewise",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "pixel data without end: pydicom gives up the whole header",
}


SHIPPED = sorted(p for p, is_dicom in _IS_DICOM.items() if is_dicom and p.name not in DAMAGED)
NOT_DICOM = sorted(p for p, is_dicom in _IS_DICOM.items() if not is_dicom and p.suffix not in {".py", ".pyc"})
_SEVERAL = [p for p in SHIPPED if p.name in {"CT_small.dcm", "JPEG2000.dcm", "MR_small_bigendian.dcm", "rtplan.dcm"}]


def _compare(path: Path) -> list[str]:
    data = path.read_bytes()
    scanned = scan(data)
    orjson.dumps(scanned.header)
    return list(differences(inline(scanned, data), their_json(read(data))))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_a_file_that_pydicom_ships_has_the_header_pydicom_reads(path: Path) -> None:
    assert _compare(path) == []


def test_the_shipped_files_are_really_there() -> None:
    assert len(SHIPPED) > 100


@pytest.mark.parametrize("path", NOT_DICOM, ids=lambda p: p.name)
def test_a_file_that_is_no_dicom_is_refused(path: Path) -> None:
    with pytest.raises(NotDicom):
        scan(path.read_bytes())


def _shared_dicom() -> list[Path]:
    return sorted(p for p in shared("dicom").rglob("*") if p.is_file() and p.suffix not in {".tsv", ".txt", ".md"})


@pytest.mark.shared
def test_every_shared_file_has_the_header_pydicom_reads() -> None:
    wrong = {p.name: lines for p in _shared_dicom() if p.name not in DAMAGED and (lines := _compare(p))}
    assert wrong == {}


def _check_frames(path: Path) -> bool:
    data = path.read_bytes()
    scanned = scan(data)
    dataset = read(data)
    pixels = {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & set(dataset.dir())
    if scanned.frames is None:
        assert not pixels or any("without Rows" in p for p in scanned.problems), path
        return False
    octets = inflate(data, scanned.dataset_offset) if scanned.deflated else data
    theirs = their_frames(dataset)
    if scanned.transfer_syntax_uid in VIDEO:
        theirs = [b"".join(theirs)]
    assert our_frames(scanned.frames, octets) == theirs, path
    assert Frames.unpack(scanned.frames.pack()) == scanned.frames
    return True


def test_the_frames_of_every_shipped_file_are_those_of_pydicom() -> None:
    counted = sum(_check_frames(p) for p in SHIPPED if p.name not in DAMAGED)
    assert counted > 40


@pytest.mark.shared
def test_the_frames_of_every_shared_file_are_those_of_pydicom() -> None:
    counted = sum(_check_frames(p) for p in _shared_dicom() if p.name not in DAMAGED)
    assert counted > 500


@pytest.mark.shared
def test_damaged_files_keep_what_can_be_read() -> None:
    folder = shared("dicom", "malformed")
    plan = scan((folder / "rtplan_truncated.dcm").read_bytes())
    assert plan.header["00080018"]["Value"] == ["1.2.777.777.77.7.7777.7777.20030903150023"]
    assert plan.problems == ("(300A012C) goes beyond the end of the data",)
    short = scan((folder / "emri_small_jpeg_2k_lossless_too_short.dcm").read_bytes())
    assert short.header["00280008"]["Value"] == [10]
    assert short.frames is not None
    assert short.frames.count == 10
    image = scan((folder / "MR_truncated.dcm").read_bytes())
    assert image.frames == Frames(1, image.bulk["7FE00010"][0], 8130, 8130)
    with pytest.raises(NotDicom):
        scan((folder / "no_meta.dcm").read_bytes())


@pytest.mark.parametrize("name", ["CT_small.dcm", "JPEG2000.dcm", "image_dfl.dcm", "ExplVR_BigEnd.dcm", "test-SR.dcm"])
def test_every_kind_of_buffer_gives_the_same(name: str) -> None:
    path = next(p for p in SHIPPED if p.name == name)
    data = path.read_bytes()
    expected = scan(data)
    assert scan(bytearray(data)) == expected
    assert scan(memoryview(data)) == expected
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert scan(mapped) == expected


@pytest.mark.parametrize(
    "behind", [b"", b"\0" * 5, b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0"], ids=["", "rubbish", "padding"]
)
def test_a_view_of_a_mapped_file_gives_the_same_as_the_octets_it_shows(tmp_path: Path, behind: bytes) -> None:
    file = tmp_path / "file"
    for path in _ALL:
        data = path.read_bytes() + behind
        file.write_bytes(b"before it" + data + b"after")
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            to_end = _scanned(memoryview(mapped)[9:])
            within = _scanned(memoryview(mapped)[9:-5])
        assert within == _scanned(data), path.name
        assert to_end == _scanned(data + b"after"), path.name


def _scanned(data: bytes | memoryview) -> Scanned | str:
    try:
        return scan(data)
    except NotDicom as e:
        return str(e)


@pytest.mark.parametrize("path", _SEVERAL, ids=lambda p: p.name)
def test_a_bare_data_set_is_read_as_the_same_data_set_in_its_file(path: Path) -> None:
    data = path.read_bytes()
    whole = scan(data)
    bare = scan(memoryview(data)[whole.dataset_offset :], transfer_syntax=whole.transfer_syntax_uid)
    assert bare.header == whole.header
    assert bare.dataset_offset == 0
    assert bare.bulk == {k: (offset - whole.dataset_offset, length) for k, (offset, length) in whole.bulk.items()}
