"""Rows of the directory as FHIR R4 resources. Pure; docs/conformance/fhir.md says what goes where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huitong.directory import codes, terms
from huitong.directory.kinds import KINDS, logical_id
from huitong.wire.fhir.resources import (
    Resource,
    coding,
    concept,
    extension,
    filled,
    identifier,
    meta,
    period,
    reference,
)

_Row = Any


def institution_id(code: str) -> str:
    return logical_id(KINDS["institutions"], {"code": code})


def department_id(institution: str, code: str) -> str:
    return logical_id(KINDS["departments"], {"institution": institution, "code": code})


def organization_of_institution(r: _Row, certificates: Sequence[_Row]) -> Resource:
    said = [
        ("Code", terms.LEVEL, r.level),
        ("Code", terms.GB2260, r.region),
        ("String", terms.COUNTY_GROUP, r.county_group),
    ]
    extensions = [extension(url, kind, value) for kind, url, value in said if value]
    return filled(
        {
            **_begun("Organization", r),
            "extension": [*extensions, *map(_qualification, certificates)],
            "identifier": _identifiers((terms.INSTITUTION, r.code), (terms.GB32100, r.credit_code)),
            "active": r.active == "1",
            "type": [concept(coding(terms.ORGANIZATION_TYPE, "prov", "Healthcare Provider"))],
            "name": r.name,
            "alias": [r.name_en] if r.name_en else [],
            "telecom": _telecom(r.phone),
            "address": [_address(r)] if r.address or r.region else [],
            "partOf": reference("Organization", institution_id(r.parent)) if r.parent else {},
        }
    )


def organization_of_department(r: _Row) -> Resource:
    return filled(
        {
            **_begun("Organization", r),
            "extension": [extension(terms.DEPARTMENT, "String", r.place)] if r.place else [],
            "identifier": _identifiers((terms.DEPARTMENT, r.code)),
            "active": r.active == "1",
            "type": [concept(coding(terms.ORGANIZATION_TYPE, "dept", "Hospital Department"))],
            "name": r.name,
            "alias": [r.name_en] if r.name_en else [],
            "telecom": _telecom(r.phone),
            "partOf": reference("Organization", institution_id(r.institution)),
        }
    )


def _qualification(r: _Row) -> Resource:
    """A quality certificate, as R5 says it in Organization.qualification, with level and result beside it."""
    parts = [
        {"url": "code", "valueCodeableConcept": concept(coding(terms.ITEM, r.item), text=r.item_name)},
        {"url": "period", "valuePeriod": period(r.valid_from, r.valid_until)},
        extension(terms.SCOPE, "Code", r.level),
        extension(terms.RESULT, "Code", r.result),
    ]
    if r.number:
        parts.append({"url": "identifier", "valueIdentifier": {"value": r.number}})
    if r.issuer:
        parts.append({"url": "issuer", "valueReference": {"display": r.issuer}})
    return {"url": terms.QUALIFICATION, "extension": parts}


def location_of_institution(r: _Row) -> Resource:
    return filled(
        {
            **_begun("Location", r),
            "identifier": _identifiers((terms.INSTITUTION, r.code)),
            "status": _status(r),
            "name": r.name,
            "alias": [r.name_en] if r.name_en else [],
            "mode": "instance",
            "telecom": _telecom(r.phone),
            "address": _address(r),
            "managingOrganization": reference("Organization", r.logical_id, r.name),
        }
    )


def location_of_department(r: _Row) -> Resource:
    return filled(
        {
            **_begun("Location", r),
            "identifier": _identifiers((terms.DEPARTMENT, r.code)),
            "status": _status(r),
            "name": r.name,
            "description": r.place,
            "mode": "instance",
            "managingOrganization": reference("Organization", r.logical_id, r.name),
            "partOf": reference("Location", institution_id(r.institution)),
        }
    )


def practitioner(r: _Row) -> Resource:
    names = [{"use": "official", "text": r.name}]
    return filled(
        {
            **_begun("Practitioner", r),
            "identifier": _identifiers((terms.PRACTITIONER, r.code), (terms.LICENCE, r.licence)),
            "active": r.active == "1",
            "name": [*names, *([{"use": "usual", "text": r.name_en}] if r.name_en else [])],
            "gender": terms.GENDERS.get(r.sex, ""),
        }
    )


def practitioner_role(r: _Row) -> Resource:
    at = department_id(r.institution, r.department) if r.department else institution_id(r.institution)
    system = terms.PRACTITIONER_ROLE if r.role in terms.ROLES_OF_HL7 else terms.OUR_ROLE
    who = logical_id(KINDS["practitioners"], {"code": r.practitioner})
    return filled(
        {
            **_begun("PractitionerRole", r),
            "active": r.active == "1",
            "period": period(r.valid_from, r.valid_until),
            "practitioner": reference("Practitioner", who),
            "organization": reference("Organization", at),
            "code": [concept(coding(system, r.role, codes.ROLES[r.role].zh), text=r.title)],
            "specialty": [concept(text=r.specialty)] if r.specialty else [],
        }
    )


def endpoint(r: _Row) -> Resource:
    """Without networks and digests, which are nobody's business."""
    ours = r.kind == "dicom-dimse"
    system = terms.OUR_CONNECTION if ours else terms.CONNECTION
    return filled(
        {
            **_begun("Endpoint", r),
            "extension": [extension(terms.AE_TITLE, "String", r.ae_title)] if r.ae_title else [],
            "identifier": _identifiers((terms.ENDPOINT, r.code)),
            "status": "active" if r.active == "1" else "off",
            "connectionType": coding(system, r.kind, codes.ENDPOINTS[r.kind].en),
            "name": r.name,
            "managingOrganization": reference("Organization", institution_id(r.institution)),
            "payloadType": [concept(coding(terms.PAYLOAD, "any", "Any"))],
            "address": r.address or terms.caller(r.ae_title),
        }
    )


def _begun(kind: str, r: _Row) -> Resource:
    return {"resourceType": kind, "id": r.logical_id, "meta": meta(r.version, r.changed_at_ms)}


def _identifiers(*pairs: tuple[str, str]) -> list[Resource]:
    return [identifier(system, value) for system, value in pairs if value]


def _telecom(phone: str) -> list[Resource]:
    return [{"system": "phone", "value": phone}] if phone else []


def _address(r: _Row) -> Resource:
    coded = [extension(terms.GB2260, "Code", r.region)] if r.region else []
    return filled({"extension": coded, "text": r.address, "country": "CN"})


def _status(r: _Row) -> str:
    return "active" if r.active == "1" else "inactive"
