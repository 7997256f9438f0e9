"""A line of the audit as a FHIR R4 AuditEvent, in the patterns of IHE BALP. Pure; `fhir_balp` has the tables.

One line is one decision about one record in one session and day, not one request: of the images of a study there is one
event. Only what the line says is told; the raw request is not kept, so that nothing typed into a search is.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from huitong.access.auditing import Line
from huitong.access.model import Kind
from huitong.directory import terms
from huitong.directory.kinds import KINDS, logical_id
from huitong.people.doors import fhir_balp as balp
from huitong.people.doors.fhir_balp import Row, row_of
from huitong.people.doors.fhir_systems import EXCHANGE, Systems
from huitong.wire.fhir.resources import Resource, coding, concept, extension, filled, identifier, instant, reference

REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
OUTCOME = "http://terminology.hl7.org/CodeSystem/audit-event-outcome"
ACTION = "http://hl7.org/fhir/audit-event-action"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
ROLE_CLASS = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
OAUTH_AGENT = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"
SNOMED = "http://snomed.info/sct"
DICOM_UID = "urn:dicom:uid"
#: Whoever asks, what they may be, and what is not FHIR's, in systems of our own.
ACCOUNT, ROLE, ASKER, SYSTEM = (
    "urn:huitong:account",
    "urn:huitong:access-role",
    "urn:huitong:asker",
    "urn:huitong:system",
)
#: SHA-256 of the line and the one before, hexadecimal, by which the event is held against the log.
HASH = "urn:huitong:audit-hash"
JTI = "urn:ietf:params:oauth:jti:"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

#: What could be tried again at once (RFC 3881 5.1.5: 4, minor failure); all else that is refused is 8.
_AGAIN = frozenset({"unknown", "password", "code", "passcode"})
#: Kind of object -> its role (R4 value set object-role); all others are resources of the domain.
_ROLES = {
    "study": coding(balp.OBJECT_ROLE, "3", "Report"),
    "account": coding(balp.OBJECT_ROLE, "11", "Security User Entity"),
    "audit line": coding(balp.OBJECT_ROLE, "13", "Security Resource"),
}
_DOMAIN = coding(balp.OBJECT_ROLE, "4", "Domain Resource")
_PERSON, _OBJECT = coding(ENTITY_TYPE, "1", "Person"), coding(ENTITY_TYPE, "2", "System Object")


@dataclass(frozen=True, slots=True)
class Here:
    """What the events have to know of the installation."""

    systems: Systems
    #: Address of this server.
    url: str

    @property
    def who(self) -> Resource:
        """This server."""
        return {"identifier": identifier("urn:ietf:rfc:3986", self.url), "display": "Huitong 汇通"}


def outcome_of(line: Line) -> str:
    """R4 value set audit-event-outcome: 0, or 4 for what is unknown or mistyped, 8 for what is refused."""
    looked = line.looked
    return "0" if looked.allowed else "4" if looked.rule in _AGAIN else "8"


def event(line: Line, here: Here, *, masked: bool = False) -> Resource:
    """The resource. `masked`: without addresses, account names and details, for the person whose record it is."""
    looked, row = line.looked, row_of(line.looked.action, line.looked.kind)
    kind, subtypes = balp.types_of(row, restful=line.asker["door"] == "http")
    return filled(
        {
            "resourceType": "AuditEvent",
            "id": str(line.seq),
            "meta": {
                "versionId": "1",
                "lastUpdated": instant(line.at_ms),
                **filled({"profile": _profiles(line, row, kind)}),
            },
            "extension": [extension(HASH, "String", line.hash)] if line.hash else [],
            "type": kind,
            "subtype": subtypes,
            "action": row.pattern.action,
            "recorded": instant(line.at_ms),
            "outcome": outcome_of(line),
            "outcomeDesc": looked.rule,
            "purposeOfEvent": _purpose(line),
            "agent": _agents(line, row, here, masked=masked),
            "source": {
                "observer": here.who,
                "type": [coding(SOURCE_TYPE, "4", "Application Server")],
            },
            "entity": _entities(line, row, here, masked=masked),
        }
    )


def _profiles(line: Line, row: Row, kind: Resource) -> list[str]:
    """Those that the event keeps to: they are of what was allowed, and asked from an address."""
    asker, looked = line.asker, line.looked
    restful = kind == balp.REST or row.pattern is balp.DISCLOSE
    if not looked.allowed or not asker["host"] or not restful:
        return []
    profile = row.pattern.profile(person=bool(looked.person))
    whole = row.pattern.is_query or bool(looked.id)
    return [each for each in (profile if whole else "", balp.BY_TOKEN if _by_token(asker) else "") if each]


def _purpose(line: Line) -> list[Resource]:
    return [concept(coding(REASON, line.looked.purpose))] if line.looked.purpose else []


# --- who ---


def _by_token(asker: Mapping[str, Any]) -> bool:
    """Whether a system asked with an access token, whose public id then is its session."""
    return asker["kind"] == Kind.SYSTEM and bool(asker["session"])


def _agents(line: Line, row: Row, here: Here, *, masked: bool) -> list[Resource]:
    asker, pattern = line.asker, row.pattern
    client = {
        "type": concept(pattern.client),
        "who": _client(asker, masked=masked),
        "altId": asker["name"] if asker["kind"] == Kind.SYSTEM and not _by_token(asker) and not masked else "",
        "requestor": asker["kind"] == Kind.SYSTEM and not _by_token(asker),
        "network": _network(asker["host"], masked=masked),
    }
    server = {
        "type": concept(pattern.server), "who": here.who, "requestor": False,
        "network": {"address": here.url, "type": "5"},
    }  # fmt: skip
    user = (
        _token(line, masked=masked)
        if _by_token(asker)
        else {}
        if asker["kind"] == Kind.SYSTEM
        else _user(line, row, here, masked)
    )
    return [filled(each) for each in (user, client, server, _organization(asker), *_released(line, row, here)) if each]


def _user(line: Line, row: Row, here: Here, masked: bool) -> Resource:
    """Whoever asks: somebody of the staff, a resident, a link."""
    asker = line.asker
    name = str(asker["display"] or asker["name"] or asker["kind"])
    who: Resource = {"identifier": identifier(ACCOUNT, asker["name"]), "display": name} if asker["name"] else {}
    if asker["kind"] == Kind.PERSON and asker["person"]:
        who = {**_patient(asker["person"], here), "display": name}
    return {
        "type": concept(row.pattern.user),
        "role": [concept(coding(ROLE, each)) for each in asker["roles"]] + [concept(coding(ASKER, asker["kind"]))],
        "who": {"display": name} if masked or not who else who,
        "altId": "" if masked else asker["name"],
        "name": str(line.looked.detail.get("recipient", "")) or name,
        "requestor": True,
        "purposeOfUse": _purpose(line),
    }


def _token(line: Line, *, masked: bool) -> Resource:
    """The access token with which a system asked, by its public id."""
    asker = line.asker
    return {
        "type": concept(coding(OAUTH_AGENT, "UserOauthAgent", "User OAuth Agent participant")),
        "role": [concept(coding(ASKER, asker["kind"]))],
        "who": {} if masked else {"identifier": identifier(SYSTEM, asker["name"]), "display": asker["display"]},
        "altId": "" if masked else asker["name"],
        "name": asker["display"],
        "requestor": True,
        "policy": [JTI + asker["session"]],
        "purposeOfUse": _purpose(line),
    }


def _client(asker: Mapping[str, Any], *, masked: bool) -> Resource:
    """The program that asked: a system by its name, a browser by the public id of its session."""
    if asker["kind"] == Kind.SYSTEM and masked:
        return {"display": asker["display"] or asker["institution"]}
    if asker["kind"] == Kind.SYSTEM:
        system = terms.AE_TITLE if asker["door"] == "dimse" else SYSTEM
        return filled({"identifier": identifier(system, asker["name"]), "display": asker["display"]})
    if asker["session"] and not masked:
        return {"identifier": identifier("urn:huitong:session", asker["session"])}
    return {"display": asker["door"]}


def _network(host: str, *, masked: bool) -> Resource:
    if not host:
        return {}
    if masked:
        return {"_address": {"extension": [extension(_ABSENT, "Code", "masked")]}, "type": "2"}
    return {"address": host, "type": "2"}


def _organization(asker: Mapping[str, Any]) -> Resource:
    """The institution on whose behalf they ask."""
    code = asker["institution"]
    if not code:
        return {}
    kind = concept(coding(ROLE_CLASS, "PROV", "healthcare provider"))
    return {"type": kind, "who": _institution(code), "requestor": False}


def _released(line: Line, row: Row, here: Here) -> list[Resource]:
    """Of a disclosure, who keeps the record and who let it go."""
    looked = line.looked
    if row.pattern is not balp.DISCLOSE or not looked.person:
        return []
    keeper = concept(coding(SNOMED, "159541003", "Record keeping/library clerk"))
    owner = concept(coding(SNOMED, "429577009", "Patient Advocate"))
    kept = [{"type": keeper, "who": _institution(looked.institution), "requestor": False}]
    return [*(kept if looked.institution else []),
            {"type": owner, "who": _patient(looked.person, here), "requestor": False}]  # fmt: skip


def _organization_id(code: str) -> str:
    return logical_id(KINDS["institutions"], {"code": code})


def _institution(code: str) -> Resource:
    return {**reference("Organization", _organization_id(code)), "identifier": identifier(terms.INSTITUTION, code)}


def _patient(person: str, here: Here) -> Resource:
    said = identifier(here.systems.system(EXCHANGE), person)
    return {**reference("Patient", person), "type": "Patient", "identifier": said}


# --- what ---


def _entities(line: Line, row: Row, here: Here, *, masked: bool) -> list[Resource]:
    looked, found = line.looked, []
    if looked.person:
        whose = coding(balp.OBJECT_ROLE, "1", "Patient")
        found.append({"what": _patient(looked.person, here), "type": _PERSON, "role": whose})
    if row.pattern.is_query or looked.kind == "audit search":
        found.append(_query(line, row, masked=masked))
    elif looked.kind or looked.id:
        found.append(_object(line, here, masked=masked))
    return [filled(each) for each in found]


def _query(line: Line, row: Row, *, masked: bool) -> Resource:
    """What the line says of what was searched, written as a search of FHIR."""
    looked = line.looked
    said = {} if masked else {name: _text(value) for name, value in looked.detail.items()}
    person = {"patient": f"Patient/{looked.person}"} if looked.person else {}
    where = {"organization": f"Organization/{_organization_id(looked.institution)}"} if looked.institution else {}
    text = f"{row.resource or looked.action}?{urlencode({**person, **where, **said})}".rstrip("?")
    role = coding(balp.OBJECT_ROLE, "24", "Query")
    query = base64.b64encode(text.encode()).decode()
    return {"type": _OBJECT, "role": role, "description": text, "query": query}


def _object(line: Line, here: Here, *, masked: bool) -> Resource:
    looked = line.looked
    said = {} if masked else {name: _text(value) for name, value in looked.detail.items()}
    told = {"institution": looked.institution, **said}
    return {
        "what": _what(line, here),
        "type": _OBJECT,
        "role": _ROLES.get(looked.kind, _DOMAIN),
        "detail": [{"type": name, "valueString": value} for name, value in told.items() if value],
    }


def _what(line: Line, here: Here) -> Resource:
    looked = line.looked
    if not looked.id:
        return {}
    if looked.kind == "person":
        known = looked.person and looked.id == looked.person
        return (
            _patient(looked.id, here) if known else {"identifier": identifier(here.systems.system(EXCHANGE), looked.id)}
        )
    if looked.kind == "study":
        return {"type": "ImagingStudy", "identifier": identifier(DICOM_UID, f"urn:oid:{looked.id}")}
    if looked.kind == "audit line":
        return reference("AuditEvent", looked.id)
    return {"identifier": identifier(f"urn:huitong:{looked.kind.replace(' ', '-')}", looked.id)}


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
