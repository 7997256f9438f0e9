"""The scanner on made-up objects: what pydicom writes is read back; lies, damage and bombs are borne."""

from __future__ import annotations

import mmap
import os
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import orjson
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from tests.wire.dicom.dicom_oracle import differences, inline, read, their_json, write

from huitong.base.errors import NotDicom
from huitong.wire.dicom.entries import ENTRIES_KEPT, EXPLICIT
from huitong.wire.dicom.part10 import EXPLICIT_LE
from huitong.wire.dicom.pixels import MAX_FRAGMENTS
from huitong.wire.dicom.reader import MAX_DEPTH
from huitong.wire.dicom.scan import Scanned, inflate, person_name, scan, text

_FOLDER = Path(pydicom.__file__).parent / "data"
_NAMES = (
    "CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "nested_priv_SQ.dcm", "badVR.dcm", "image_dfl.dcm",
    "rtplan.dcm", "test-SR.dcm", "MR_small_bigendian.dcm", "UN_sequence.dcm", "ExplVR_BigEndNoMeta.dcm",
    "no_meta_group_length.dcm", "chrH32.dcm", "chrX2.dcm", "chrSQEncoding1.dcm", "SC_rgb_jpeg_app14_dcmd.dcm",
    "liver_1frame.dcm",
)  # fmt: skip
_SEEDS = {path.name: path.read_bytes() for name in _NAMES for path in _FOLDER.rglob(name)}


# What pydicom writes -------------------------------------------------------------------------------------------------

_HANZI = st.text("张三李四王五太原市中心医院胸部平扫CT abcXYZ-^123", max_size=12).map(str.strip)
_VALUES: dict[str, st.SearchStrategy[object]] = {
    "AE": st.text("ABC 123_", max_size=16),
    "AS": st.from_regex(r"[0-9]{3}[DWMY]", fullmatch=True),
    "AT": st.integers(0, 2**32 - 1),
    "CS": st.text("ABC_ 123", max_size=16).map(str.strip),
    "DA": st.dates().map(lambda d: d.strftime("%Y%m%d").zfill(8)),
    "DS": st.floats(-1e6, 1e6).map(lambda x: f"{x:.6g}") | st.sampled_from(["", "1e5", "-.5", "+3"]),
    "DT": st.sampled_from(["20260101101112.123456+0800", "2026", ""]),
    "FD": st.floats(),
    "FL": st.floats(width=32),
    "IS": st.integers(-(2**31), 2**31 - 1).map(str) | st.sampled_from(["", "+7", "007"]),
    "LO": _HANZI,
    "LT": st.text("张三胸部 abc\\\r\n", max_size=40),
    "OB": st.binary(max_size=3000),
    "OD": st.binary(max_size=200).map(lambda b: b[: len(b) // 8 * 8]),
    "OW": st.binary(max_size=3000).map(lambda b: b[: len(b) // 2 * 2]),
    "PN": st.tuples(_HANZI, _HANZI, _HANZI).map("=".join),
    "SH": _HANZI,
    "SL": st.integers(-(2**31), 2**31 - 1),
    "SS": st.integers(-(2**15), 2**15 - 1),
    "ST": st.text("张三胸部 abc\\", max_size=40),
    "SV": st.integers(-(2**63), 2**63 - 1),
    "TM": st.sampled_from(["101112", "101112.123456", "10", ""]),
    "UC": _HANZI,
    "UI": st.from_regex(r"1\.2(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True),
    "UL": st.integers(0, 2**32 - 1),
    "UR": st.sampled_from(["http://a.b/c?d=e", ""]),
    "US": st.integers(0, 2**16 - 1),
    "UT": st.text("张三胸部 abc\\", max_size=200),
    "UV": st.integers(0, 2**64 - 1),
}
_SINGLE = {"LT", "ST", "UT", "UR", "OB", "OD", "OW"}


def _tags_of(vr: str) -> list[int]:
    return [
        tag
        for tag, entry in pydicom.datadict.DicomDictionary.items()
        if entry[0] == vr and 0x00080006 < tag < 0x7FE00000 and tag not in (0x00080018, 0x00281101, 0x00283002)
    ]


_TAGS = {vr: _tags_of(vr) for vr in _VALUES}
_SEQUENCES = _tags_of("SQ")


_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


@st.composite
def datasets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    """A data set of random elements, nested ones and private ones among them."""
    dataset = Dataset()
    for vr in draw(st.lists(st.sampled_from([v for v in _VALUES if _TAGS[v]]), max_size=12)):
        values = draw(st.lists(_VALUES[vr], min_size=1, max_size=1 if vr in _SINGLE else 3))
        dataset.add_new(draw(st.sampled_from(_TAGS[vr])), vr, values if len(values) > 1 else values[0])
    if draw(st.booleans()):
        block = dataset.private_block(
            0x0019, draw(st.sampled_from(["SIEMENS CT VA0  COAD", "GEMS_ACQU_01", "HUITONG"])), create=True
        )
        block.add_new(draw(st.integers(1, 0xFE)), "LO", draw(_HANZI))
        block.add_new(0xFF, "OB", draw(_VALUES["OB"]))
    if depth:
        for tag in draw(st.lists(st.sampled_from(_SEQUENCES), max_size=2)):
            items = draw(st.lists(datasets(depth=depth - 1), max_size=3))
            for item in items:
                item.is_undefined_length_sequence_item = draw(st.booleans())
            dataset.add_new(tag, "SQ", items)
            dataset[tag].is_undefined_length = draw(st.booleans())
    return dataset


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    datasets(),
    st.sampled_from(
        [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
    ),
    st.sampled_from(["ISO_IR 192", "GB18030", "GBK"]),
)
@pytest.mark.filterwarnings("ignore")
def test_what_pydicom_writes_is_read_as_pydicom_reads_it(dataset: Dataset, transfer_syntax: str, charset: str) -> None:
    dataset.SpecificCharacterSet = charset
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = "1.2.3.4"
    data = write(dataset, transfer_syntax)
    scanned = scan(data)
    orjson.dumps(scanned.header)
    assert list(differences(inline(scanned, data), their_json(read(data)))) == []
    assert scanned.problems == ()


# Values --------------------------------------------------------------------------------------------------------------


def _element(tag: int, vr: str, value: bytes) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in ("OB", "OW", "UN", "SQ", "UT"):
        return head + b"\0\0" + struct.pack("<L", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def _scan(*elements: tuple[int, str, bytes]) -> Scanned:
    data = b"".join(_element(*element) for element in elements)
    return scan(data, transfer_syntax=EXPLICIT_LE)


@pytest.mark.parametrize(
    ("vr", "raw", "expected"),
    [
        ("DS", b"***", {"vr": "DS", "Value": ["***"]}),
        ("DS", b"1.5\\\\abc ", {"vr": "DS", "Value": [1.5, None, "abc"]}),
        ("DS", b"NaN ", {"vr": "DS", "Value": ["NaN"]}),
        ("DS", b"1e999 ", {"vr": "DS", "Value": ["1e999"]}),
        ("DS", b"1_0 ", {"vr": "DS", "Value": ["1_0"]}),
        ("DS", b"1\0", {"vr": "DS", "Value": [1.0]}),
        ("DS", b"  ", {"vr": "DS"}),
        ("IS", b"12\0\0", {"vr": "IS", "Value": [12]}),
        ("IS", b"1.0 ", {"vr": "IS", "Value": [1]}),
        ("IS", b"1.5 ", {"vr": "IS", "Value": [1.5]}),
        ("IS", b"9" * 30, {"vr": "IS", "Value": ["9" * 30]}),
        ("IS", b"9" * 6000, {"vr": "IS", "Value": ["9" * 6000]}),
        ("DA", b"****", {"vr": "DA", "Value": ["****"]}),
        ("US", b"\1\0\2", {"vr": "UN", "InlineBinary": "AQAC"}),
        ("AT", b"\x10\x00\x20\x00", {"vr": "AT", "Value": ["00100020"]}),
        ("FD", struct.pack("<d", float("nan")), {"vr": "FD", "Value": ["NaN"]}),
        ("FL", struct.pack("<3f", 1, float("inf"), float("-inf")), {"vr": "FL", "Value": [1, "Infinity", "-Infinity"]}),
        ("PN", "A^B=张^三=".encode(), {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Ideographic": "张^三"}]}),
        ("PN", b"A\\\\B ", {"vr": "PN", "Value": [{"Alphabetic": "A"}, None, {"Alphabetic": "B"}]}),
        ("UI", b"1.2.3\0", {"vr": "UI", "Value": ["1.2.3"]}),
        ("LT", b"a\\b ", {"vr": "LT", "Value": ["a\\b"]}),
        ("OB", b"\0\1\2\3", {"vr": "OB", "InlineBinary": "AAECAw=="}),
        ("CS", "胸部".encode("gbk"), {"vr": "CS", "Value": ["胸部"]}),
    ],
)  # fmt: skip
def test_a_value_is_given_so(vr: str, raw: bytes, expected: dict[str, object]) -> None:
    assert _scan((0x00200020, vr, raw)).header["00200020"] == expected


def test_the_json_says_utf_8_once_there_is_text_beyond_ascii() -> None:
    assert "00080005" not in _scan((0x00100010, "PN", b"A^B ")).header
    header = _scan((0x00100010, "PN", "张三".encode())).header
    assert list(header) == ["00080005", "00100010"]
    assert _scan((0x00080005, "CS", b"GB18030 ")).header["00080005"]["Value"] == ["ISO_IR 192"]


def test_helpers_give_text_and_names() -> None:
    header = _scan(
        (0x00100010, "PN", b"Wang^Wu"), (0x00100020, "LO", b"P1"), (0x00200013, "IS", b"7 "), (0x00281050, "DS", b"40")
    ).header
    assert text(header, "00100020") == "P1"
    assert text(header, "00200013") == "7"
    assert text(header, "00281050") == "40"
    assert text(header, "00100010") == "Wang^Wu"
    assert text(header, "00100040") == ""
    assert person_name(header, "00100010") == {"Alphabetic": "Wang^Wu"}
    assert person_name(header, "00080090") == {}


def test_large_values_become_bulk_with_a_path_and_a_relative_uri() -> None:
    waveform = _element(0x54001010, "OW", b"\1\2" * 2000)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(waveform)) + waveform
    scanned = _scan(
        (0x00080018, "UI", b"1.2.3/?\0"),
        (0x00091001, "OB", b"\0" * 1024),
        (0x00091002, "OB", b"\0" * 1026),
        (0x54000100, "SQ", item * 2),
    )
    base = "instances/1.2.3%2F%3F/bulkdata/"
    assert "InlineBinary" in scanned.header["00091001"]
    assert scanned.header["00091002"]["BulkDataURI"] == base + "00091002"
    paths = ["54000100.1.54001010", "54000100.2.54001010"]
    assert [i["54001010"]["BulkDataURI"] for i in scanned.header["54000100"]["Value"]] == [base + p for p in paths]
    assert [scanned.bulk[path][1] for path in paths] == [4000, 4000]


def test_text_too_long_for_a_header_becomes_bulk_as_well() -> None:
    scanned = _scan((0x00080018, "UI", b"1.2\0"), (0x0040A160, "UT", b"x" * ((1 << 20) + 2)))
    assert scanned.header["0040A160"] == {"vr": "UT", "BulkDataURI": "instances/1.2/bulkdata/0040A160"}


def test_elements_out_of_order_are_put_in_order_and_the_last_of_two_stays() -> None:
    header = _scan((0x00100020, "LO", b"A "), (0x00080060, "CS", b"CT"), (0x00100020, "LO", b"B ")).header
    assert list(header) == ["00080060", "00100020"]
    assert header["00100020"]["Value"] == ["B"]


@pytest.mark.parametrize("signed", [0, 1])
def test_us_or_ss_goes_by_the_nearest_pixel_representation(signed: int) -> None:
    dataset = Dataset()
    inner = Dataset()
    inner.LUTDescriptor = [65535, 0, 16]
    inner.LUTData = b"\1\0"
    inner["LUTData"].VR = "OW"
    dataset.ModalityLUTSequence = [inner]
    dataset.PixelRepresentation = signed
    dataset.SmallestImagePixelValue = 5
    dataset.SOPInstanceUID, dataset.SOPClassUID = "1.2", "1.3"
    header = scan(write(dataset, ImplicitVRLittleEndian)).header
    assert header["00280106"] == {"vr": "SS" if signed else "US", "Value": [5]}
    assert header["00283000"]["Value"][0]["00283002"] == {"vr": "SS" if signed else "US", "Value": [65535, 0, 16]}


# Lies and bombs ------------------------------------------------------------------------------------------------------


def _check(data: bytes, transfer_syntax: str | None = None) -> Scanned | None:
    """Scan anything: NotDicom, or a result whose every position lies within the data; within two seconds."""
    begin = time.perf_counter()
    try:
        scanned = scan(data, transfer_syntax=transfer_syntax)
    except NotDicom:
        return None
    finally:
        assert time.perf_counter() - begin < 2
    orjson.dumps(scanned.header)
    assert list(scanned.header) == sorted(scanned.header)
    size = len(inflate(data, scanned.dataset_offset)) if scanned.deflated else len(data)
    positions = list(scanned.bulk.values())
    if scanned.frames is not None:
        count = scanned.frames.count
        positions += [p for n in {1, count // 2 or 1, count} for p in scanned.frames.ranges(n)]
    assert all(at >= 0 and length >= 0 and at + length <= size for at, length in positions)
    return scanned


_TRAPS = [b"\xff" * 4, b"\xfe\xff\x0d\xe0", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"SQ", b"UN", b"\0\0\0\0"]
_DAMAGE = st.tuples(st.integers(0, 8000), st.binary(min_size=1, max_size=8) | st.sampled_from(_TRAPS))


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(_NAMES), st.lists(_DAMAGE, max_size=6), st.none() | st.integers(0, 40_000))
def test_damaged_real_files_never_raise_anything_but_not_dicom(
    name: str, damage: list[tuple[int, bytes]], cut: int | None
) -> None:
    data = bytearray(_SEEDS[name][:cut])
    for at, octets in damage:
        data[at : at + len(octets)] = octets
    _check(bytes(data))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([None, *map(str, _SYNTAXES), "9.9"]))
def test_any_octets_are_borne(data: bytes, transfer_syntax: str | None) -> None:
    _check(data, transfer_syntax)
    _check(b"\0" * 128 + b"DICM" + data)
    _check(b"\x08\0\x18\0UI\x04\x001.2\0" + data, EXPLICIT_LE)


def test_a_cut_anywhere_keeps_what_stood_before() -> None:
    data = _SEEDS["CT_small.dcm"]
    whole = scan(data).header
    for cut in range(400, 7000, 97):
        scanned = _check(data[:cut])
        assert scanned is not None
        for key in list(scanned.header)[:-1]:
            assert scanned.header[key] == whole[key] or whole[key]["vr"] == "SQ"


_ITEM_FOREVER = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
_SEQUENCE_FOREVER = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)


def test_sequences_may_nest_so_deep_and_no_deeper() -> None:
    start = _element(0x00080018, "UI", b"1.2\0")
    deep = scan(start + (_SEQUENCE_FOREVER + _ITEM_FOREVER) * MAX_DEPTH, transfer_syntax=EXPLICIT_LE)
    assert text(deep.header, "00080018") == "1.2"
    with pytest.raises(NotDicom, match="nest deeper"):
        scan(start + (_SEQUENCE_FOREVER + _ITEM_FOREVER) * 100_000, transfer_syntax=EXPLICIT_LE)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(_element(0x00100010, "PN", b"") * 1_200_000, id="elements"),
        pytest.param(_SEQUENCE_FOREVER + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 1_200_000, id="items"),
        pytest.param(_element(0x00200032, "DS", b"1.0000000000000\\" * 4_000) * 1_100, id="numbers"),
    ],
)
def test_more_than_the_limits_is_refused_soon(octets: bytes) -> None:
    begin = time.perf_counter()
    with pytest.raises(NotDicom, match=r"more than|larger than"):
        scan(octets, transfer_syntax=EXPLICIT_LE)
    assert time.perf_counter() - begin < 15


def test_more_fragments_than_the_limit_are_refused_soon() -> None:
    head = _element(0x00080018, "UI", b"1.2\0") + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    begin = time.perf_counter()
    with pytest.raises(NotDicom, match="fragments"):
        scan(head + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * (MAX_FRAGMENTS + 2), transfer_syntax=EXPLICIT_LE)
    assert time.perf_counter() - begin < 15


def test_a_deflate_bomb_is_refused() -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = stream.compress(_element(0x00080018, "UI", b"1.2\0") + b"\0" * (300 << 20)) + stream.flush()
    assert len(bomb) < 1 << 20
    with pytest.raises(NotDicom, match="deflated"):
        scan(bomb, transfer_syntax="1.2.840.10008.1.2.1.99")


@pytest.mark.parametrize(
    ("header_bytes", "element"),
    [
        pytest.param(100, 0x7FE00010, id="what stands behind them"),
        pytest.param(100_000, 0x7FE00010, id="a long header"),
        pytest.param(100, 0x7FE00001, id="a false table of offsets"),
    ],
)
def test_large_values_of_a_mapped_file_are_not_copied(tmp_path: Path, header_bytes: int, element: int) -> None:
    before, size = b"not of the object", 256 << 20
    head = before + _element(0x00080018, "UI", b"1.2\0") + _element(0x00204000, "UT", b"a" * header_bytes)
    head += struct.pack("<HH2sHL", element >> 16, element & 0xFFFF, b"OW", 0, size)
    with (tmp_path / "file").open("w+b") as file:
        file.write(head)
        file.seek(size, os.SEEK_CUR)
        file.write(_element(0xFFFCFFFC, "OB", bytes(10)))
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    tracemalloc.start()
    try:
        scanned = scan(memoryview(mapped)[len(before) :], transfer_syntax=EXPLICIT_LE)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert scanned.bulk == {f"{element:08X}": (len(head) - len(before), size)}


def test_odd_tags_do_not_fill_the_memory() -> None:
    tags = [group << 16 | 0x1000 | n for group in range(0x0009, 0x0015, 2) for n in range(4000)]
    odd = b"".join(_element(tag, "US", b"\1\0") for tag in tags)
    assert len(scan(_element(0x00080060, "CS", b"CT") + odd, transfer_syntax=EXPLICIT_LE).header) == 24_001
    assert len(EXPLICIT["<"]) <= ENTRIES_KEPT
    assert _scan((0x00080060, "CS", b"CT")).header == {"00080060": {"vr": "CS", "Value": ["CT"]}}


def test_pixel_data_that_are_not_as_declared_are_noted() -> None:
    native = _element(0x7FE00010, "OB", b"\0\0")
    assert scan(native, transfer_syntax="1.2.840.10008.1.2.4.50").problems[0].startswith("pixel data are native")
    encapsulated = struct.pack("<HH2sHLHHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0)
    encapsulated += struct.pack("<HHL2sHHL", 0xFFFE, 0xE000, 2, b"ab", 0xFFFE, 0xE0DD, 0)
    scanned = scan(encapsulated, transfer_syntax=EXPLICIT_LE)
    assert scanned.problems == (f"pixel data are encapsulated, which {EXPLICIT_LE} is not",)
    assert scanned.frames is not None
    assert scanned.header["7FE00010"]["BulkDataURI"] == "instances//bulkdata/7FE00010"


def test_a_lying_number_of_frames_costs_nothing() -> None:
    scanned = _scan(
        (0x00280008, "IS", b"2147483646"),
        (0x00280010, "US", b"\2\0"),
        (0x00280011, "US", b"\2\0"),
        (0x00280100, "US", b"\x08\0"),
        (0x7FE00010, "OB", bytes(12)),
    )
    assert scanned.frames is not None
    assert (scanned.frames.count, scanned.frames.length) == (3, 4)
    assert any("frames need" in problem for problem in scanned.problems)


@pytest.mark.parametrize("vr", ["OB", "UT", "SQ", "UN"])
def test_a_length_beyond_the_end_keeps_what_stood_before(vr: str) -> None:
    data = _element(0x00080018, "UI", b"1.2\0") + struct.pack("<HH2sHL", 0x0040, 0xA730, vr.encode(), 0, 0xFFFFFF00)
    scanned = scan(data, transfer_syntax=EXPLICIT_LE)
    assert text(scanned.header, "00080018") == "1.2"
    assert scanned.problems != ()
    assert scanned.fallback


def test_a_broken_sequence_of_known_length_costs_only_itself() -> None:
    scanned = _scan(
        (0x00080018, "UI", b"1.2\0"), (0x00081140, "SQ", b"rubbish that is no item "), (0x00100020, "LO", b"P1")
    )
    assert text(scanned.header, "00100020") == "P1"
    assert "00081140" in scanned.header
    assert scanned.problems == ("sequence (00081140): (75726262) where an item of (00081140) should be",)
