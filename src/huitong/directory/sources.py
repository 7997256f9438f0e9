"""Which table answers which search parameter of which FHIR type."""

from __future__ import annotations

from huitong.directory import terms
from huitong.directory.finding import (
    Source,
    beginning,
    code_of,
    coded,
    constant,
    institution_of,
    itself,
    lasting,
    named,
    written,
)
from huitong.directory.tables import DEPARTMENT, ENDPOINT, INSTITUTION, PRACTITIONER, ROLE

_I, _D, _P, _R, _E = INSTITUTION.c, DEPARTMENT.c, PRACTITIONER.c, ROLE.c, ENDPOINT.c
_TRUE = {"true": "1", "false": "0"}
_STATUS = {"active": "1", "inactive": "0"}

ORGANIZATION = (
    Source(
        INSTITUTION,
        {
            "name": named(INSTITUTION),
            "identifier": coded((_I.code, [terms.INSTITUTION]), (_I.credit_code, [terms.GB32100])),
            "active": coded((_I.active, [""]), values=_TRUE),
            "type": constant(["prov"]),
            "address": written(_I.address),
            "partof": code_of(_I.parent),
            "region": beginning(_I.region),
            "level": coded((_I.level, [terms.LEVEL])),
            "county-group": written(_I.county_group),
        },
    ),
    Source(
        DEPARTMENT,
        {
            "name": named(DEPARTMENT),
            "identifier": coded((_D.code, [terms.DEPARTMENT])),
            "active": coded((_D.active, [""]), values=_TRUE),
            "type": constant(["dept"]),
            "partof": institution_of(_D.institution),
        },
    ),
)
LOCATION = (
    Source(
        INSTITUTION,
        {
            "name": named(INSTITUTION),
            "identifier": coded((_I.code, [terms.INSTITUTION])),
            "status": coded((_I.active, [""]), values=_STATUS),
            "address": written(_I.address),
            "region": beginning(_I.region),
            "organization": itself(INSTITUTION),
        },
    ),
    Source(
        DEPARTMENT,
        {
            "name": named(DEPARTMENT),
            "identifier": coded((_D.code, [terms.DEPARTMENT])),
            "status": coded((_D.active, [""]), values=_STATUS),
            "organization": itself(DEPARTMENT),
            "partof": institution_of(_D.institution),
        },
        _D.place != "",
    ),
)
PRACTITIONERS = (
    Source(
        PRACTITIONER,
        {
            "name": named(PRACTITIONER),
            "identifier": coded((_P.code, [terms.PRACTITIONER]), (_P.licence, [terms.LICENCE])),
            "active": coded((_P.active, [""]), values=_TRUE),
            "gender": coded((_P.sex, [""]), values={word: code for code, word in terms.GENDERS.items()}),
        },
    ),
)
ROLES = (
    Source(
        ROLE,
        {
            "practitioner": code_of(_R.practitioner),
            "organization": institution_of(_R.institution, _R.department),
            "role": coded((_R.role, [terms.PRACTITIONER_ROLE, terms.OUR_ROLE])),
            "specialty": written(_R.specialty),
            "active": coded((_R.active, [""]), values=_TRUE),
            "date": lasting(_R.valid_from, _R.valid_until),
        },
    ),
)
ENDPOINTS = (
    Source(
        ENDPOINT,
        {
            "name": named(ENDPOINT),
            "identifier": coded((_E.code, [terms.ENDPOINT])),
            "organization": institution_of(_E.institution),
            "status": coded((_E.active, [""]), values={"active": "1", "off": "0"}),
            "connection-type": coded((_E.kind, [terms.CONNECTION, terms.OUR_CONNECTION])),
        },
    ),
)
