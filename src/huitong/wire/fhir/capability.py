"""The CapabilityStatement (FHIR R4 5.2), made of the tables that are served, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from huitong.wire.fhir.interactions import Operation, ResourceType
from huitong.wire.fhir.resources import MEDIA_TYPE, VERSION, Resource, filled

#: Of the statement's form, not of a release: what it says follows from the software's version.
_DATE = "2026-11-26"


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
        "rest": [{"mode": "server", "resource": [_resource(each) for each in types]}],
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
