"""The CapabilityStatement (FHIR R4 5.2), made of the tables that are served, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from huitong.wire.fhir.interactions import Operation, ResourceType
from huitong.wire.fhir.resources import MEDIA_TYPE, VERSION, Resource, filled

#: Of the statement's form, not of a release: what it says follows from the software's version.
_DATE = "2026-11-26"


#: FHIR R4 value set restful-security-service. SMART's extension with the addresses of OAuth is of SMART 1; since 2.0
#: they are in .well-known/smart-configuration alone.
_SECURITY = {
    "cors": False,
    "service": [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "SMART-on-FHIR",
                    "display": "SMART-on-FHIR",
                }
            ]
        }
    ],
    "description": "SMART Backend Services (private_key_jwt): see .well-known/smart-configuration",
}


def capability_statement(types: Iterable[ResourceType[Any]], root: str, software_version: str) -> Resource:
    """The statement of a server whose root is at this absolute address."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _DATE,
        "kind": "instance",
        "software": {"name": "Huitong 汇通", "version": software_version},
        "implementation": {"description": "Huitong 汇通", "url": root},
        "fhirVersion": VERSION,
        "format": [MEDIA_TYPE, "json"],
        "rest": [{"mode": "server", "security": _SECURITY, "resource": [_resource(each) for each in types]}],
    }


def _resource(served: ResourceType[Any]) -> Resource:
    return filled(
        {
            "type": served.name,
            "supportedProfile": list(served.profiles),
            "documentation": served.about,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "versioning": "versioned",
            "searchParam": [
                {"name": each.name, "type": each.type, "documentation": each.about}
                for each in served.search_parameters().values()
            ],
            "operation": [_operation(each) for each in served.operations],
        }
    )


def _operation(operation: Operation[Any]) -> Resource:
    return {"name": operation.name, "definition": operation.definition, "documentation": operation.about}
