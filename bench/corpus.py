"""What is sent and asked for: deterministic objects, and with them the right answer to every question.

Nothing from outside the clone is used: headers and pixels are the phantom's (`huitong.cli.phantom`), names and dates
are drawn from a seed. The same number gives the same bytes, so a benchmark can be repeated; no object is sent twice.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pydicom
from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element

from huitong.cli.phantom import ct_study
from huitong.cli.sending import Part10

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
#: Slices of a series, as thin-slice CT of one region has them.
SERIES_LENGTH = 100
FIRST_DAY = datetime.date(2017, 1, 1)
DAYS = 3650
_IMPLEMENTATION = "2.25.254618734510907463120875534213397118204"
_LONG = {"OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UC", "UN", "UR", "UT"}
_PIXEL_DATA = 0x7FE00010

SURNAMES = [
    ("Wang", "王"), ("Li", "李"), ("Zhang", "张"), ("Liu", "刘"), ("Chen", "陈"), ("Yang", "杨"), ("Zhao", "赵"),
    ("Huang", "黄"), ("Zhou", "周"), ("Wu", "吴"), ("Xu", "徐"), ("Sun", "孙"), ("Guo", "郭"), ("Gao", "高"),
    ("Lin", "林"), ("He", "何"), ("Ma", "马"), ("Luo", "罗"), ("Liang", "梁"), ("Ouyang", "欧阳"), ("Zhuge", "诸葛"),
]  # fmt: skip
#: Of one reading each, and none begins or ends a surname: a search by pinyin, in either order of the names, finds by
#: two of these what has them as substring, and no more.
SYLLABLES = [
    ("wei", "伟"), ("fang", "芳"), ("fei", "飞"), ("min", "敏"), ("jing", "静"), ("kai", "凯"), ("lei", "磊"),
    ("jun", "军"), ("yong", "勇"), ("han", "涵"), ("jie", "杰"), ("juan", "娟"), ("tao", "涛"), ("shi", "诗"),
    ("rui", "瑞"), ("qin", "琴"), ("yue", "悦"), ("gang", "刚"), ("xiao", "晓"), ("dong", "东"), ("jian", "建"),
    ("xue", "雪"), ("xiu", "秀"), ("peng", "鹏"), ("zi", "子"), ("xuan", "轩"), ("kun", "坤"), ("ran", "然"),
    ("bin", "斌"), ("hui", "慧"), ("lan", "兰"), ("feng", "峰"), ("dan", "丹"), ("mei", "梅"), ("ting", "婷"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Study:
    """A study as its header describes it."""

    uid: str
    series_uid: str
    patient_id: str
    #: Alphabetic and ideographic group, as in the header.
    name: str
    date: str
    accession: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A Part 10 file in two pieces, so that slices with the same pixels share them in memory."""

    study: Study
    sop_class_uid: str
    sop_instance_uid: str
    #: Everything before the value of PixelData.
    head: bytes
    pixels: bytes
    #: Where the data set begins, behind the file meta information.
    data_set_at: int

    @property
    def content(self) -> bytes:
        return self.head + self.pixels

    @property
    def size_bytes(self) -> int:
        return len(self.head) + len(self.pixels)

    def to_send(self) -> Part10:
        return Part10(self.content, self.sop_class_uid, self.sop_instance_uid, EXPLICIT_LITTLE_ENDIAN, self.data_set_at)


def uid(*parts: object) -> str:
    """The same UID for the same parts (PS3.5 B.2)."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big') | 1 << 127}"


def element(tag: int, vr: str, value: bytes) -> bytes:
    """An element in Explicit VR Little Endian (PS3.5 7.1.2), padded to even length."""
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    group, number = tag >> 16, tag & 0xFFFF
    if vr in _LONG:
        return struct.pack("<HH2sHI", group, number, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value


class Template:
    """A header that is encoded once; what differs between objects is put in by keyword."""

    def __init__(self, dataset: Any, keep: frozenset[str] | None = None) -> None:
        """`keep` names the top-level elements to keep; None for all."""
        encodings = convert_encodings(dataset.get("SpecificCharacterSet", "ISO_IR 192"))
        self.sop_class_uid = str(dataset.SOPClassUID)
        self._elements: dict[int, bytes] = {}
        for each in dataset:
            if int(each.tag) != _PIXEL_DATA and (keep is None or each.keyword in keep):
                buffer = DicomBytesIO()
                buffer.is_little_endian, buffer.is_implicit_VR = True, False
                write_data_element(buffer, each, encodings)
                self._elements[int(each.tag)] = buffer.getvalue()

    def make(self, study: Study, values: dict[str, str | int], pixels: bytes, charset: str = "GB18030") -> Instance:
        values = {
            "SpecificCharacterSet": charset,
            "StudyInstanceUID": study.uid,
            "SeriesInstanceUID": study.series_uid,
            "PatientID": study.patient_id,
            "PatientName": study.name,
            "StudyDate": study.date,
            "AccessionNumber": study.accession,
            **values,
        }
        sop_uid = uid(study.series_uid, values["InstanceNumber"])
        encoding = {"GB18030": "gb18030", "ISO_IR 192": "utf-8"}[charset]
        elements = self._elements | {
            tag: encoded
            for keyword, value in {**values, "SOPInstanceUID": sop_uid}.items()
            for tag, encoded in [_by_keyword(keyword, value, encoding)]
        }
        body = b"".join(elements[tag] for tag in sorted(elements))
        meta = _file_meta(self.sop_class_uid, sop_uid)
        head = meta + body + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, len(pixels))
        return Instance(study, self.sop_class_uid, sop_uid, head, pixels, len(meta))


def _by_keyword(keyword: str, value: str | int, encoding: str) -> tuple[int, bytes]:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    vr = str(dictionary_VR(tag))[:2]
    raw = struct.pack("<H", value) if isinstance(value, int) and vr == "US" else str(value).encode(encoding)
    return int(tag), element(int(tag), vr, raw)


def _file_meta(sop_class_uid: str, sop_uid: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1)."""
    said = [
        (0x00020001, "OB", b"\0\1"),
        (0x00020002, "UI", sop_class_uid.encode()),
        (0x00020003, "UI", sop_uid.encode()),
        (0x00020010, "UI", EXPLICIT_LITTLE_ENDIAN.encode()),
        (0x00020012, "UI", _IMPLEMENTATION.encode()),
        (0x00020013, "SH", b"HUITONG_BENCH"),
    ]
    group = b"".join(element(*each) for each in said)
    return b"\0" * 128 + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(group))) + group


def study_of(kind: str, number: int, seed: int = 1) -> Study:
    """Study `number` of a kind; of three studies two are the first of their patient."""
    rng = random.Random(f"{seed}/{kind}/study/{number}")
    patient = number if number % 3 else rng.randrange(number + 1)
    who = random.Random(f"{seed}/{kind}/patient/{patient}")
    surname, given = who.choice(SURNAMES), who.sample(SYLLABLES, 2)
    romanised = f"{surname[0]}^{given[0][0].capitalize()}{given[1][0]}"
    return Study(
        uid=uid(seed, kind, number),
        series_uid=uid(seed, kind, number, "series"),
        patient_id=f"B{patient:08d}",
        name=f"{romanised}={surname[1]}^{given[0][1]}{given[1][1]}",
        date=(FIRST_DAY + datetime.timedelta(days=rng.randrange(DAYS))).strftime("%Y%m%d"),
        accession=f"{kind[:2].upper()}{number:08d}",
    )


#: What the tiny objects of the search corpus keep of a CT header: what a search answer shows, and what PS3.3 asks for.
_TINY_HEADER = frozenset([
    "SOPClassUID", "StudyTime", "SeriesDate", "Modality", "Manufacturer", "InstitutionName",
    "ReferringPhysicianName", "StudyDescription", "SeriesDescription", "PatientBirthDate", "PatientSex",
    "BodyPartExamined", "FrameOfReferenceUID", "ImageOrientationPatient", "ImagePositionPatient", "ImageType",
    "KVP", "SliceThickness", "StudyID", "SeriesNumber", "PixelSpacing", "SamplesPerPixel",
    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "RescaleIntercept", "RescaleSlope",
])  # fmt: skip
_TINY_SIZE = 8


class Corpus:
    """Everything that is made from the phantom's `base_slices` slices (rendered once, a fraction of a second each)."""

    def __init__(self, base_slices: int = 20, seed: int = 1) -> None:
        self.base_slices, self.seed = base_slices, seed

    @cached_property
    def _slices(self) -> list[tuple[Template, bytes]]:
        out = []
        for file in ct_study(self.seed, self.base_slices, 512):
            dataset = pydicom.dcmread(io.BytesIO(file))
            out.append((Template(dataset), bytes(dataset.PixelData)))
        return out

    def series(self, number: int, length: int = SERIES_LENGTH, kind: str = "ct") -> list[Instance]:
        """A CT series of 512 x 512 slices of 16 bits, about 530 KB each."""
        return self.slices_of(study_of(kind, number, self.seed), length)

    def slices_of(self, study: Study, length: int) -> list[Instance]:
        """The series of a study that came from elsewhere."""
        made = []
        for index in range(length):
            template, pixels = self._slices[index % len(self._slices)]
            made.append(template.make(study, self._place(index), pixels))
        return made

    def small(self, number: int, length: int = SERIES_LENGTH) -> list[Instance]:
        """A series whose objects have 10 to 39 KB: the slices made smaller, each to another size."""
        study = study_of("small", number, self.seed)
        rng = random.Random(f"{self.seed}/small/{number}")
        made = []
        for index in range(length):
            template, pixels = self._slices[index % len(self._slices)]
            size = rng.randrange(56, 128, 2)
            step = 512 // size
            whole = np.frombuffer(pixels, "<i2").reshape(512, 512)
            fewer = whole[::step, ::step][:size, :size].tobytes()
            spacing = f"{380 / 512 * step:.6f}"
            place = self._place(index) | {"Rows": size, "Columns": size, "PixelSpacing": f"{spacing}\\{spacing}"}
            made.append(template.make(study, place, fewer))
        return made

    def index_studies(self, count: int) -> list[Study]:
        return [study_of("index", number, self.seed) for number in range(count)]

    def tiny(self, studies: Sequence[Study], **values: str) -> Iterator[Instance]:
        """One object for each study, about 1 KB: all that a search sees of a study; `values` by keyword are theirs."""
        dataset = pydicom.dcmread(io.BytesIO(next(iter(ct_study(self.seed, 1, 64)))))
        template = Template(dataset, _TINY_HEADER)
        pixels = bytes(range(_TINY_SIZE * _TINY_SIZE * 2))
        shape: dict[str, str | int] = {"Rows": _TINY_SIZE, "Columns": _TINY_SIZE, "InstanceNumber": 1, **values}
        for number, study in enumerate(studies):
            # Hospitals send both; half of what is searched has names in each.
            yield template.make(study, shape, pixels, ("GB18030", "ISO_IR 192")[number % 2])

    def _place(self, index: int) -> dict[str, str | int]:
        z = f"{-612.5 - 1.25 * index:.2f}"
        return {
            "InstanceNumber": index + 1,
            "ImagePositionPatient": f"-189.628906\\-202.128906\\{z}",
            "SliceLocation": z,
        }
