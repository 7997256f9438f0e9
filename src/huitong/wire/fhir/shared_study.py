"""A shared imaging study for programs that open a SMART Health Link: who, what, and from where with which token.

FHIR R4 Bundle with Patient, ImagingStudy and a DICOMweb Endpoint (ImagingStudy.endpoint; connection type
dicom-wado-rs). How the token is told (Endpoint.header) is our choice: docs/conformance/smart-health-links.md says why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from huitong.wire.fhir.resources import Resource, coding, filled, instant

_PATIENT, _STUDY, _ENDPOINT = (f"urn:uuid:6e7f2b3a-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_PAYLOAD = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"
_MODALITIES = "http://dicom.nema.org/resources/ontology/DCM"
_GENDERS = {"M": "male", "F": "female", "O": "other"}
_DAY = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})")


@dataclass(frozen=True, slots=True)
class SharedSeries:
    """A series of it."""

    uid: str
    modality: str
    number: int | None
    description: str
    instances: int


@dataclass(frozen=True, slots=True)
class SharedStudy:
    """What is told."""

    #: As the sharer wants it shown: masked.
    name: str
    #: DICOM: M, F, O or empty.
    sex: str
    #: YYYY, or empty.
    birth_year: str
    study_uid: str
    #: DICOM DA.
    study_date: str
    description: str
    institution: str
    modalities: Sequence[str]
    instances: int
    series: Sequence[SharedSeries]


def shared_study(study: SharedStudy, dicomweb: str, token: str, until_ms: int) -> bytes:
    """The bundle as JSON. `dicomweb` is the absolute address of the DICOMweb root, `token` good until `until_ms`."""
    entries = (
        (_PATIENT, _patient(study)),
        (_STUDY, _imaging_study(study)),
        (_ENDPOINT, _endpoint(study, dicomweb, token, until_ms)),
    )
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in entries],
    }
    return orjson.dumps(bundle)


def _patient(study: SharedStudy) -> Resource:
    name = [{"text": study.name}] if study.name else []
    gender = _GENDERS.get(study.sex, "unknown")
    return filled({"resourceType": "Patient", "name": name, "gender": gender, "birthDate": study.birth_year})


def _imaging_study(study: SharedStudy) -> Resource:
    day = _DAY.fullmatch(study.study_date.strip())
    return filled(
        {
            "resourceType": "ImagingStudy",
            # FHIR R4 ImagingStudy, "DICOM Study Instance UID": an OID as a URN.
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study.study_uid}"}],
            "status": "available",
            "modality": [coding(_MODALITIES, code) for code in study.modalities],
            "subject": {"reference": _PATIENT},
            "started": "-".join(day.groups()) if day else "",
            "endpoint": [{"reference": _ENDPOINT}],
            "numberOfSeries": len(study.series),
            "numberOfInstances": study.instances,
            "description": study.description,
            "series": [_series(each) for each in study.series],
        }
    )


def _series(series: SharedSeries) -> Resource:
    said = {
        "uid": series.uid,
        "number": series.number,
        "modality": coding(_MODALITIES, series.modality or "OT"),
        "description": series.description,
        "numberOfInstances": series.instances,
    }
    return filled(said)


def _endpoint(study: SharedStudy, dicomweb: str, token: str, until_ms: int) -> Resource:
    return filled(
        {
            "resourceType": "Endpoint",
            "status": "active",
            "connectionType": coding(_CONNECTION, "dicom-wado-rs"),
            "name": study.institution,
            "period": {"end": instant(until_ms)},
            "payloadType": [{"coding": [coding(_PAYLOAD, "none")]}],
            "payloadMimeType": ["application/dicom"],
            "address": dicomweb,
            "header": [f"Authorization: Bearer {token}"],
        }
    )
