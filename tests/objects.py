"""Small DICOM objects to send, written by pydicom: not by the code under test."""

from __future__ import annotations

import io
from typing import Any

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"


def dataset(**attributes: Any) -> Dataset:
    """A CT slice of 4 x 4 pixels; `attributes` are keywords and their values, None to leave one out."""
    ds = Dataset()
    defaults: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": CT,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "PatientName": "Wang^XiaoDong=王^小东",
        "PatientID": "P0001",
        "PatientBirthDate": "19800101",
        "PatientSex": "M",
        "StudyDate": "20260301",
        "StudyTime": "083000",
        "AccessionNumber": "A1",
        "StudyID": "1",
        "StudyDescription": "胸部平扫 Chest CT",
        "Modality": "CT",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "Rows": 4,
        "Columns": 4,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelData": bytes(range(32)),
    }
    for keyword, value in (defaults | attributes).items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds


def part10(ds: Dataset | None = None, **attributes: Any) -> bytes:
    """The object as a PS3.10 file, Explicit VR Little Endian."""
    ds = ds if ds is not None else dataset(**attributes)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(ds.get("SOPClassUID", CT))
    meta.MediaStorageSOPInstanceUID = UID(ds.get("SOPInstanceUID", "1.2.3"))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    FileDataset(None, ds, file_meta=meta, preamble=b"\0" * 128).save_as(out, enforce_file_format=True)
    return out.getvalue()
