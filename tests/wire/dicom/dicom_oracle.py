"""pydicom as the oracle of the scanner: the same header read by it, and every difference that no rule here accepts.

The accepted differences are the table `ACCEPTED`; anything else fails the test.
"""

from __future__ import annotations

import base64
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames

from huitong.wire.dicom.frames import Frames
from huitong.wire.dicom.scan import Scanned, inflate

Json = Any


@dataclass(frozen=True)
class Unreadable:
    """pydicom cannot give this element as JSON."""

    error: str


@dataclass(frozen=True)
class Accepted:
    """A difference that is meant: when it applies, and why ours is right."""

    reason: str
    applies: Callable[[str, Json, Json], bool]


def _pairs(ours: Json, theirs: Json) -> list[tuple[Json, Json]]:
    """The values of one element side by side, where everything else about it is equal."""
    if not isinstance(ours, dict) or not isinstance(theirs, dict) or ours.get("vr") != theirs.get("vr"):
        return []
    a, b = ours.get("Value"), theirs.get("Value")
    return list(zip(a, b, strict=True)) if isinstance(a, list) and isinstance(b, list) and len(a) == len(b) else []


def _is_chinese_misread(ours: Json, theirs: Json) -> bool:
    """Whether `theirs` is the Latin-1 reading of octets that are `ours` in UTF-8 or GB 18030."""
    if not isinstance(theirs, str):
        return False
    octets = theirs.encode("latin-1", "replace")
    return any(octets.decode(codec, "replace").rstrip() == ours for codec in ("utf-8", "gb18030"))


_NON_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

ACCEPTED = (
    Accepted(
        "the JSON is in UTF-8 and says so (PS3.18 F.2), also where text beyond ASCII was undeclared",
        lambda tag, ours, theirs: tag == "00080005" and ours == {"vr": "CS", "Value": ["ISO_IR 192"]},
    ),
    Accepted(
        "group lengths are retired and say nothing (PS3.5 7.2); command and file meta groups are not the data set's",
        lambda tag, ours, theirs: ours is None and (tag.endswith("0000") or tag[:4] in ("0000", "0002")),
    ),
    Accepted(
        "an empty sequence has no Value (PS3.18 F.2.5)",
        lambda tag, ours, theirs: ours == {"vr": "SQ"} and theirs == {"vr": "SQ", "Value": []},
    ),
    Accepted(
        "an empty value among several is null (PS3.18 F.2.5), trailing spaces of each value are padding (PS3.5 6.2)",
        lambda tag, ours, theirs: bool(pairs := _pairs(ours, theirs))
        and all(a == b or (isinstance(b, str) and (a or "") == b.rstrip(" \0")) for a, b in pairs),
    ),
    Accepted(
        "JSON has no NaN or infinity: strings, as fo-dicom, Azure and JavaScript's Number() have them",
        lambda tag, ours, theirs: bool(pairs := _pairs(ours, theirs))
        and all(a == b or (not isfinite(b) and a == _NON_FINITE[str(b)]) for a, b in pairs),
    ),
    Accepted(
        "a character set says nothing of codes (PS3.5 6.1.2.3), but Chinese that stands in one is read as such",
        lambda tag, ours, theirs: ours["vr"] in ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI")
        and bool(pairs := _pairs(ours, theirs))
        and all(a == b or _is_chinese_misread(a, b) for a, b in pairs),
    ),
    Accepted(
        "what pydicom cannot give at all: text that is no number as text, numbers of the wrong length as octets",
        lambda tag, ours, theirs: isinstance(theirs, Unreadable)
        and (
            (ours["vr"] == "UN" and "InlineBinary" in ours)
            or any(v is None or isinstance(v, str) for v in ours.get("Value", ()))
        ),
    ),
    Accepted(
        "'US or SS or OW' is no value representation; without more knowledge octets are words (PS3.5 A.1)",
        lambda tag, ours, theirs: theirs["vr"] in ("US or SS or OW", "OB or OW")
        and ours == {**theirs, "vr": "OW"},
    ),
)  # fmt: skip


def read(data: bytes, transfer_syntax: str | None = None) -> pydicom.Dataset:
    """The data set as pydicom reads it, its complaints unheard."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    if transfer_syntax is not None:
        uid = pydicom.uid.UID(transfer_syntax)
        return pydicom.filereader.read_dataset(io.BytesIO(data), uid.is_implicit_VR, uid.is_little_endian)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(data), force=True)


def their_json(dataset: Dataset) -> dict[str, Json]:
    """The JSON model of `dataset`, element by element, so that one bad element hides no other."""
    found: dict[str, Json] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tag in list(dataset.keys()):
            key = f"{tag:08X}"
            try:
                element = dataset[tag]
                if element.VR == "SQ":
                    found[key] = {"vr": "SQ", "Value": [their_json(item) for item in element.value]}
                else:
                    found[key] = element.to_json_dict(None, 0)
            except Exception as error:
                found[key] = Unreadable(repr(error))
    return found


def inline(scanned: Scanned, data: bytes) -> dict[str, Json]:
    """Our header with each BulkDataURI replaced by the octets it stands for: this checks the positions as well."""
    octets = inflate(data, scanned.dataset_offset) if scanned.deflated else data
    uid = scanned.header.get("00080018", {}).get("Value", [""])[0]

    def expand(header: dict[str, Json]) -> dict[str, Json]:
        found = {}
        for key, element in header.items():
            copy = dict(element)
            if "BulkDataURI" in copy:
                folder, path = copy.pop("BulkDataURI").split("/bulkdata/")
                assert folder == f"instances/{uid}"
                offset, length = scanned.bulk[path]
                copy["InlineBinary"] = base64.b64encode(octets[offset : offset + length]).decode()
            elif copy["vr"] == "SQ" and "Value" in copy:
                copy["Value"] = [expand(item) for item in copy["Value"]]
            found[key] = copy
        return found

    return expand(scanned.header)


def differences(ours: dict[str, Json], theirs: dict[str, Json], path: str = "") -> Iterator[str]:
    """Every difference between two headers that `ACCEPTED` does not accept, as a line for people."""
    assert list(ours) == sorted(ours), f"{path} is not in ascending order"
    for key in sorted({*ours, *theirs}):
        a, b = ours.get(key), theirs.get(key)
        items_a, items_b = _items(a), _items(b)
        if items_a and len(items_a) == len(items_b):
            for n, (item_a, item_b) in enumerate(zip(items_a, items_b, strict=True), 1):
                yield from differences(item_a, item_b, f"{path}{key}.{n}.")
        elif a != b and not any(_applies(rule, key, a, b) for rule in ACCEPTED):
            yield f"{path}{key}: {str(a)[:200]} but pydicom has {str(b)[:200]}"


def _items(element: Json) -> list[dict[str, Json]]:
    return element.get("Value", []) if isinstance(element, dict) and element.get("vr") == "SQ" else []


def _applies(rule: Accepted, key: str, ours: Json, theirs: Json) -> bool:
    try:
        return rule.applies(key, ours, theirs)
    except (TypeError, KeyError, AttributeError):
        return False


def our_frames(frames: Frames, octets: bytes) -> list[bytes]:
    """Every frame's octets as the positions say."""
    return [b"".join(octets[at : at + size] for at, size in frames.ranges(n)) for n in range(1, frames.count + 1)]


def their_frames(dataset: Dataset) -> list[bytes]:
    """Every frame's octets as pydicom cuts them; ValueError where it cannot tell them apart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keyword = next(k for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if k in dataset)
        value = dataset[keyword].value
        try:
            count = max(int(dataset.get("NumberOfFrames") or 1), 1)
        except ValueError:  # "1A"
            count = 1
        if dataset[keyword].is_undefined_length:
            extended = None
            if "ExtendedOffsetTable" in dataset:
                extended = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
            order = "<" if dataset.original_encoding[1] else ">"
            return list(generate_frames(value, number_of_frames=count, extended_offsets=extended, endianness=order))
        bits = {"PixelData": dataset.get("BitsAllocated"), "FloatPixelData": 32, "DoubleFloatPixelData": 64}[keyword]
        frame_bits = bits * dataset.Rows * dataset.Columns * dataset.get("SamplesPerPixel", 1)
        if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
            frame_bits = frame_bits // 3 * 2
        if frame_bits % 8:
            return [value] * count
        size = frame_bits // 8
        return [value[n * size : (n + 1) * size] for n in range(count)]


def write(dataset: Dataset, transfer_syntax: str) -> bytes:
    """A PS3.10 file of `dataset`, written by pydicom."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
