"""Organization, Location, Practitioner, PractitionerRole and Endpoint over FHIR: rows -> resources.

An Organization, and a Location, is an institution or a department.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from huitong.base.errors import NotFound
from huitong.directory import finding, sources
from huitong.directory.doors import fhir_resources as made
from huitong.directory.finding import Found, Source
from huitong.directory.model import Granted
from huitong.wire.fhir.bundle import Page
from huitong.wire.fhir.interactions import ResourceType
from huitong.wire.fhir.resources import Resource
from huitong.wire.fhir.search import Search, SearchParameter

#: For each source of a type: a row, and the certificates of all institutions of the page -> its resource.
_Make = Callable[[Any, Found], Resource]


def _plain(make: Callable[[Any], Resource]) -> _Make:
    return lambda row, _found: make(row)


def _with_certificates(row: Any, found: Found) -> Resource:
    return made.organization_of_institution(row, found.certificates.get(row.code, []))


def _type(
    name: str, about: str, served: Sequence[Source], makes: Sequence[_Make], *parameters: SearchParameter
) -> ResourceType[Granted]:
    def resources(found: Found) -> list[Resource]:
        return [makes[at](row, found) for at, row in found.rows]

    def read(work: Granted, logical_id: str) -> Resource:
        for resource in resources(finding.read(work, served, logical_id)):
            return resource
        raise NotFound(f"{name}/{logical_id}")

    def search(work: Granted, asked: Search) -> Page:
        found = finding.find(work, served, asked)
        return Page(resources(found), found.total, found.next)

    return ResourceType(name, read, search, parameters, about=about)


_NAME = SearchParameter(
    "name", "string", "Beginning of a word of the name, in hanzi, pinyin or initials.", ("exact", "contains")
)
_IDENTIFIER = SearchParameter("identifier", "token", "A code, with or without its system.")
_ACTIVE = SearchParameter("active", "token", "true or false.")
_STATUS = partial(SearchParameter, "status", "token")
_ADDRESS = SearchParameter("address", "string", "Any part of the address.", ("exact", "contains"))
_REGION = SearchParameter("region", "token", "GB/T 2260 code or the beginning of one; of this server.")
_PARTOF = SearchParameter("partof", "reference", "What it is part of.", targets=("Organization",))
_ORGANIZATION = SearchParameter("organization", "reference", "Whose it is.", targets=("Organization",))

RESOURCES: tuple[ResourceType[Granted], ...] = (
    _type(
        "Organization",
        "Institutions (type prov) with their quality certificates, and departments (type dept), part of them.",
        sources.ORGANIZATION,
        (_with_certificates, _plain(made.organization_of_department)),
        _NAME,
        _IDENTIFIER,
        SearchParameter("type", "token", "prov for institutions, dept for departments."),
        _ACTIVE,
        _ADDRESS,
        _PARTOF,
        _REGION,
        SearchParameter("level", "token", "Grade of the institution, such as 3A; of this server."),
        SearchParameter("county-group", "string", "Any part of the group's name; of this server.", ("exact",)),
    ),
    _type(
        "Location",
        "Where institutions are, and those of their departments of which a place is known.",
        sources.LOCATION,
        (_plain(made.location_of_institution), _plain(made.location_of_department)),
        _NAME,
        _IDENTIFIER,
        _STATUS("active or inactive."),
        _ADDRESS,
        _REGION,
        _ORGANIZATION,
        SearchParameter("partof", "reference", "The institution's Location.", targets=("Location",)),
    ),
    _type(
        "Practitioner",
        "People who work at institutions.",
        sources.PRACTITIONERS,
        (_plain(made.practitioner),),
        _NAME,
        _IDENTIFIER,
        _ACTIVE,
        SearchParameter("gender", "token", "male, female, other or unknown."),
    ),
    _type(
        "PractitionerRole",
        "What a practitioner does at an institution or department, and when.",
        sources.ROLES,
        (_plain(made.practitioner_role),),
        SearchParameter("practitioner", "reference", "Who.", targets=("Practitioner",)),
        SearchParameter(
            "organization",
            "reference",
            "An institution, with its departments, or a department.",
            targets=("Organization",),
        ),
        SearchParameter("role", "token", "What, such as doctor."),
        SearchParameter("specialty", "string", "Any part of the specialty.", ("exact",)),
        _ACTIVE,
        SearchParameter("date", "date", "When."),
    ),
    _type(
        "Endpoint",
        "Addresses of institutions: DICOM, DICOMweb, HL7 v2, FHIR. Networks and digests are not told.",
        sources.ENDPOINTS,
        (_plain(made.endpoint),),
        _NAME,
        _IDENTIFIER,
        _ORGANIZATION,
        _STATUS("active or off."),
        SearchParameter("connection-type", "token", "Kind, such as hl7v2-mllp or dicom-dimse."),
    ),
)
