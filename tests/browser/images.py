"""Images to send, in several transfer syntaxes, with the picture that must then be on the screen."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from tests.objects import part10

Grey = NDArray[np.float64]


@dataclass(frozen=True)
class Sent:
    """A file, its study, and its first frame as grey values (height, width), None where it has none."""

    data: bytes
    study_uid: str
    frame: Grey | None = None


def bundled(name: str) -> FileDataset:
    """One of the files that pydicom ships, as a study of its own."""
    path = get_testdata_file(name)
    assert isinstance(path, str), name
    return _own_study(pydicom.dcmread(path))


def _own_study(ds: FileDataset) -> FileDataset:
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = generate_uid(), generate_uid(), generate_uid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def written(ds: Dataset) -> bytes:
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def slice_of(sent: Sent, number: int) -> bytes:
    """The same image as another slice of its series."""
    ds = pydicom.dcmread(io.BytesIO(sent.data))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.InstanceNumber = number
    x, y, z = ds.ImagePositionPatient
    ds.ImagePositionPatient = [x, y, z - number]
    return written(ds)


def as_shipped(name: str) -> Sent:
    """A bundled image as it is; its frame decoded by pydicom."""
    ds = bundled(name)
    pixels = ds.pixel_array
    frame = pixels[0] if int(ds.get("NumberOfFrames", 1)) > 1 else pixels
    return Sent(written(ds), ds.StudyInstanceUID, grey(frame))


#: Lossless encoders of one frame, none of them what OHIF decodes with.
ENCODERS: dict[str, Callable[[Any], bytes]] = {
    JPEG2000Lossless: lambda frame: imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True),
    JPEGLSLossless: lambda frame: imagecodecs.jpegls_encode(frame),
    HTJ2KLosslessRPCL: lambda frame: imagecodecs.htj2k_encode(frame, reversible=True),
}


def ct_as(transfer_syntax: str, **attributes: str) -> Sent:
    """The bundled CT in another transfer syntax, and with other attributes by their keywords."""
    ds = bundled("CT_small.dcm")
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    frame = ds.pixel_array.astype(np.uint16)  # it is signed, but has no value below zero
    ds.PixelRepresentation = 0
    ds.PixelData = frame.tobytes()
    if transfer_syntax == RLELossless:
        ds.compress(RLELossless, generate_instance_uid=False)
    elif transfer_syntax != ExplicitVRLittleEndian:
        ds.PixelData = encapsulate([ENCODERS[transfer_syntax](frame)])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = transfer_syntax
    return Sent(written(ds), ds.StudyInstanceUID, grey(frame))


def with_voi_lut_function(function: str) -> Sent:
    """The bundled CT as mammographs send theirs: with a window and the function that it means (PS3.3 C.11.2.1.3)."""
    ds = bundled("CT_small.dcm")
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = "40", "1500", function
    return Sent(written(ds), ds.StudyInstanceUID, grey(ds.pixel_array))


def ecg() -> Sent:
    """The bundled 12-lead ECG."""
    ds = bundled("waveform_ecg.dcm")
    return Sent(written(ds), ds.StudyInstanceUID)


#: One page of 300 x 300 points with a black square of 200 x 200 in its middle.
PDF = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R>> endobj
4 0 obj <</Length 28>> stream
0 0 0 rg 50 50 200 200 re f

endstream endobj
trailer <</Root 1 0 R>>
"""


def pdf() -> Sent:
    """An encapsulated PDF (PS3.3 A.45.1)."""
    study_uid = generate_uid()
    attributes = {
        "SOPClassUID": EncapsulatedPDFStorage,
        "StudyInstanceUID": study_uid,
        "PatientName": "Wen^Dang=文^档",
        "Modality": "DOC",
        "DocumentTitle": "Report",
        "MIMETypeOfEncapsulatedDocument": "application/pdf",
        "EncapsulatedDocument": PDF + b"\n" * (len(PDF) % 2),
        "PixelData": None,
        "Rows": None,
        "Columns": None,
    }
    return Sent(part10(**attributes), study_uid)


def grey(frame: Any) -> Grey:
    """(height, width) floats of a frame in grey or RGB."""
    values: Grey = np.asarray(frame, dtype=np.float64)
    return values if values.ndim == 2 else values @ np.array([0.299, 0.587, 0.114])


def shot_grey(png: bytes) -> Grey:
    """A screenshot as grey values."""
    return grey(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")))


def likeness(shot: Grey, frame: Grey) -> float:
    """Pearson's r between a viewport and the frame that it should show, scaled to fit and centred; 0 when blank.

    r does not feel brightness and contrast, which are the viewer's choice, but every shift, flip or wrong decoding.
    """
    (high, wide), (rows, columns) = shot.shape, frame.shape
    scale = min(high / rows, wide / columns)
    height, width = round(rows * scale), round(columns * scale)
    top, left = (high - height) // 2, (wide - width) // 2
    shown = shot[top : top + height, left : left + width]
    span = np.ptp(frame) or 1.0
    picture = Image.fromarray(((frame - frame.min()) / span * 255).astype(np.uint8))
    expected = np.asarray(picture.resize((shown.shape[1], shown.shape[0]), Image.Resampling.BILINEAR), dtype=np.float64)
    # Texts and the cine control stand around the middle.
    middle = (slice(height // 5, -height // 5), slice(width // 5, -width // 5))
    if shown[middle].std() < 1:
        return 0.0
    return float(np.corrcoef(shown[middle].ravel(), expected[middle].ravel())[0, 1])
