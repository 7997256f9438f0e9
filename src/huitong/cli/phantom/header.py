"""Data sets from plain tables, with UIDs that are the same for the same seed, as Part 10 bytes."""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

#: Written into every phantom; (0002,0012). Names the program by a UUID of its own (PS3.5 B.2).
IMPLEMENTATION_UID = "2.25.221583209107284923174058120364415826013"
CHARSET = "GB18030"
PRIVATE_CREATOR = "HUITONG PHANTOM 1.0"
_NAMESPACE = uuid.UUID("5f0e4a0b-6d2c-4a57-9a0e-8f1f6a3b7c11")


@dataclass(frozen=True, slots=True)
class Patient:
    """An invented person. Names as a PN value: alphabetic group, then hanzi."""

    name: str
    number: str
    birth_date: str
    sex: str
    age: str
    size_m: str
    weight_kg: str
    #: An invented citizen number (GB 11643), empty where the hospital has none.
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Hospital:
    """Where a phantom says it was made."""

    code: str
    name: str
    address: str


TAIYUAN = Hospital("TAIYUAN", "太原市中心医院", "山西省太原市")
YUNCHENG = Hospital("YUNCHENG", "运城市人民医院", "山西省运城市")


def uid(*parts: object) -> str:
    """A UID derived from a UUID (PS3.5 B.2) that depends on `parts` alone."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, parts))).int}"


def dataset(**elements: Any) -> Dataset:
    """A data set from keywords; dicts and lists of dicts become sequences. None is an empty value."""
    made = Dataset()
    for keyword, value in elements.items():
        if isinstance(value, dict):
            value = [value]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = [dataset(**item) for item in value]
        setattr(made, keyword, value)
    return made


def code(value: str, scheme: str, meaning: str) -> dict[str, str]:
    """A coded concept (PS3.3 table 8.8-1)."""
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


def patient_module(patient: Patient, hospital: Hospital) -> dict[str, Any]:
    """PS3.3 C.7.1.1 and what C.7.2.2 says of the patient at the time of the study."""
    return {
        "SpecificCharacterSet": CHARSET,
        "PatientName": patient.name,
        "PatientID": patient.number,
        "IssuerOfPatientID": hospital.code,
        "OtherPatientIDsSequence": _other_numbers(patient),
        "PatientBirthDate": patient.birth_date,
        "PatientSex": patient.sex,
        "PatientAge": patient.age,
        "PatientSize": patient.size_m,
        "PatientWeight": patient.weight_kg,
        "PatientComments": "模体数据，非真实患者",
    }


def _other_numbers(patient: Patient) -> list[dict[str, Any]]:
    """The insurance's, and the citizen number where the hospital has it, by its type (HL7 table 0203)."""
    insured = {"PatientID": f"Y{patient.number}", "IssuerOfPatientID": "医保", "TypeOfPatientID": "TEXT"}
    citizen = {
        "PatientID": patient.certificate,
        "TypeOfPatientID": "TEXT",
        "IssuerOfPatientIDQualifiersSequence": {"IdentifierTypeCode": "NI"},
    }
    return [insured, citizen] if patient.certificate else [insured]


def study_module(seed: int, kind: str, date: str, time: str, description: str, hospital: Hospital) -> dict[str, Any]:
    """PS3.3 C.7.2.1 and C.7.5.1: what all series of one study share."""
    number = f"{kind}{date}{seed % 1000:03d}"
    return {
        "StudyInstanceUID": uid(kind, seed, "study"),
        "StudyDate": date,
        "StudyTime": time,
        "StudyID": str(seed % 100_000),
        "AccessionNumber": number,
        "ReferringPhysicianName": "Li^Guohua=李^国华",
        "StudyDescription": description,
        "Manufacturer": "HUITONG PHANTOM",
        "InstitutionName": hospital.name,
        "InstitutionAddress": hospital.address,
        "InstitutionalDepartmentName": "医学影像科",
        "TimezoneOffsetFromUTC": "+0800",
        "SyntheticData": "YES",
    }


def part10(made: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a DICOM file (PS3.10), the same bytes for the same data set."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "HUITONG_PHANTOM"
    file = FileDataset("", made, file_meta=meta, preamble=b"\0" * 128)
    written = io.BytesIO()
    dcmwrite(written, file, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return written.getvalue()
