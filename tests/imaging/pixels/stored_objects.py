"""Files as the pixel functions are given them: header as DICOM JSON, frames as stored, bulk values by URI."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames
from pydicom.filebase import DicomBytesIO
from pydicom.pixels.utils import get_expected_length

BUNDLED = Path(str(get_testdata_file("CT_small.dcm"))).parent

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True)
class Loaded:
    """One object."""

    path: Path
    dataset: pydicom.Dataset
    header: dict
    frames: list[bytes]
    transfer_syntax: str
    bulks: dict[str, bytes]

    def bulk(self, uri: str) -> bytes:
        return self.bulks[uri]

    def frame(self, number: int) -> bytes:
        return self.frames[number - 1]


def load(path: Path | str) -> Loaded:
    """The file, read by pydicom; OSError or pydicom's own errors when it cannot be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True)
        return from_dataset(dataset, Path(path))


def from_bytes(part10: bytes) -> Loaded:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return from_dataset(pydicom.dcmread(DicomBytesIO(part10)), Path("memory"))


def from_dataset(dataset: pydicom.Dataset, path: Path) -> Loaded:
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "") or "") if hasattr(dataset, "file_meta") else ""
    if not syntax:
        implicit, little = dataset.original_encoding
        syntax = "1.2.840.10008.1.2" if implicit else ("1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2")
    bulks: dict[str, bytes] = {}

    def keep(element: pydicom.DataElement) -> str:
        uri = f"bulk/{len(bulks)}"
        bulks[uri] = element.value
        return uri

    frames = _frames(dataset, syntax)
    header = {}
    for element in dataset:
        if element.keyword in PIXELS:
            header[f"{element.tag:08X}"] = {"vr": element.VR, "BulkDataURI": "pixels"}
        else:
            try:
                header[f"{element.tag:08X}"] = element.to_json_dict(keep, 64)
            except Exception:
                continue
    return Loaded(path, dataset, header, frames, syntax, bulks)


def _frames(dataset: pydicom.Dataset, syntax: str) -> list[bytes]:
    for keyword in PIXELS:
        if keyword not in dataset:
            continue
        value, count = dataset[keyword].value or b"", int(dataset.get("NumberOfFrames", 1) or 1)
        if pydicom.uid.UID(syntax).is_encapsulated:
            try:
                return list(generate_frames(value, number_of_frames=count))
            except ValueError:
                return []
        if dataset.BitsAllocated == 1 or count == 1:
            return [value] * count
        length = get_expected_length(dataset) // count
        return [value[n * length : (n + 1) * length] for n in range(count)]
    return []


def bundled_images() -> list[str]:
    """Names of the files pydicom ships whose pixel data it can find."""
    return sorted(path.name for path in BUNDLED.glob("*.dcm") if _has_pixels(path))


def _has_pixels(path: Path) -> bool:
    try:
        return bool(load(path).frames)
    except (ValueError, AttributeError):
        return False
