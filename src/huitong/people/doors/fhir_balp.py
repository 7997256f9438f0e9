"""What each action of the audit is in IHE BALP (Basic Audit Log Patterns 1.1.4) and in DICOM's audit (PS3.15 A.5).

Tables. A line that came over HTTP follows a RESTful pattern, with DICOM's event as a subtype; one of another door, and
what BALP has no pattern for, is of DICOM's type. docs/conformance/audit-events.md is held against them by a test.
"""

from __future__ import annotations

from dataclasses import dataclass

from huitong.access.deciding import Action
from huitong.wire.fhir.resources import Resource, coding

DCM = "http://dicom.nema.org/resources/ontology/DCM"
EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
SECURITY_ROLE = "http://terminology.hl7.org/CodeSystem/extra-security-role-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PROFILES = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
#: The profile of what was asked with an access token.
BY_TOKEN = f"{PROFILES}OAUTHaccessTokenUse.Minimal"

REST = coding(EVENT_TYPE, "rest", "RESTful Operation")
#: DICOM's events (PS3.16 CID 400, 401) and role ids (CID 402), as far as they are used.
_DICOM = {
    "110100": "Application Activity",
    "110101": "Audit Log Used",
    "110103": "DICOM Instances Accessed",
    "110104": "DICOM Instances Transferred",
    "110106": "Export",
    "110110": "Patient Record",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
    "110122": "Login",
    "110123": "Logout",
    "110127": "Emergency Override Started",
    "110137": "User Security Attributes Changed",
    "110150": "Application",
    "110152": "Destination Role ID",
    "110153": "Source Role ID",
}


def dicom(code: str) -> Resource:
    """A code of DICOM's, as Coding."""
    return coding(DCM, code, _DICOM[code])


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a kind of event has whatever it is about: its code, and in which roles client, server and user take part."""

    #: As BALP names the profile; empty where BALP has none.
    name: str
    #: C, R, U, D or E.
    action: str
    client: Resource
    server: Resource
    user: Resource
    #: FHIR's interaction; empty for what is none.
    interaction: str = ""
    #: BALP has a profile of its own, "Patient" before the name, where it is known whose record it is.
    by_patient: bool = True
    #: What it is about is told by a query and not by a reference.
    is_query: bool = False

    def profile(self, *, person: bool) -> str:
        """Canonical address; empty where there is none, which for a disclosure is so without a person."""
        if not self.name or (not person and not self.by_patient):
            return ""
        return f"{PROFILES}{'Patient' if person and self.by_patient else ''}{self.name}"


_SOURCE, _DESTINATION, _APPLICATION = dicom("110153"), dicom("110152"), dicom("110150")
_RECIPIENT = coding(PARTICIPATION, "IRCP", "information recipient")
_AUTHOR = coding(PARTICIPATION, "AUT", "author (originator)")
_HUMAN = coding(SECURITY_ROLE, "humanuser", "human user")
_CUSTODIAN = coding(PARTICIPANT, "custodian", "Custodian")

READ = Pattern("Read", "R", _DESTINATION, _SOURCE, _RECIPIENT, "read")
QUERY = Pattern("Query", "E", _SOURCE, _DESTINATION, _RECIPIENT, "search-type", is_query=True)
CREATE = Pattern("Create", "C", _SOURCE, _DESTINATION, _AUTHOR, "create")
UPDATE = Pattern("Update", "U", _SOURCE, _DESTINATION, _AUTHOR, "update")
DELETE = Pattern("Delete", "D", _APPLICATION, _CUSTODIAN, _AUTHOR, "delete")
DISCLOSE = Pattern("PrivacyDisclosure.Source", "R", _DESTINATION, _SOURCE, _RECIPIENT, by_patient=False)
#: Of DICOM alone.
EXECUTE = Pattern("", "E", _APPLICATION, _DESTINATION, _HUMAN)
CHANGE = Pattern("", "U", _APPLICATION, _DESTINATION, _HUMAN)
LOOK = Pattern("", "R", _APPLICATION, _SOURCE, _HUMAN)


@dataclass(frozen=True, slots=True)
class Row:
    """An action."""

    pattern: Pattern
    #: DICOM's event id: the subtype of a RESTful event, else the type.
    event: str
    #: What a search is of, as its query says it; empty where FHIR has no word for it.
    resource: str = ""
    #: DICOM's type code, beside the event.
    further: str = ""


ROWS: dict[str, Row] = {
    Action.SEE_STUDY: Row(READ, "110103", "ImagingStudy"),
    Action.LIST_STUDIES: Row(QUERY, "110112", "ImagingStudy"),
    Action.SEND_IMAGES: Row(CREATE, "110104", "ImagingStudy"),
    Action.SEE_PERSON: Row(READ, "110110", "Patient"),
    Action.FIND_PERSONS: Row(QUERY, "110112", "Patient"),
    Action.SEND_PEOPLE: Row(UPDATE, "110110", "Patient"),
    Action.DECIDE_PERSONS: Row(UPDATE, "110110", "Patient"),
    Action.SEE_CARD: Row(READ, "110110"),
    Action.SHOW_CODE: Row(READ, "110110"),
    Action.SCAN_CARD: Row(QUERY, "110112", "Patient"),
    Action.ISSUE_CARD: Row(CREATE, "110110"),
    Action.COUNT_CARDS: Row(QUERY, "110112"),
    Action.SEE_DIRECTORY: Row(QUERY, "110112", "Organization"),
    Action.SEE_RIGHTS: Row(READ, "110110", "Consent"),
    Action.CHANGE_RIGHTS: Row(UPDATE, "110110", "Consent"),
    Action.NAME_GUARDIAN: Row(UPDATE, "110110", "RelatedPerson"),
    Action.BREAK_GLASS: Row(EXECUTE, "110113", further="110127"),
    Action.REVIEW: Row(UPDATE, "110113"),
    Action.OWN_ACCOUNT: Row(CHANGE, "110113", further="110137"),
    Action.KEEP_ACCOUNTS: Row(CHANGE, "110113", further="110137"),
    Action.SEE_AUDIT: Row(LOOK, "110101", "AuditEvent"),
    Action.SHARE: Row(CREATE, "110106", "ImagingStudy"),
    "share.open": Row(DISCLOSE, "110106"),
    "share.end": Row(DELETE, "110106"),
    "accounts.sign-in": Row(EXECUTE, "110114", further="110122"),
    "accounts.sign-out": Row(EXECUTE, "110114", further="110123"),
}
#: Of one kind of object an action is something else.
BY_KIND: dict[tuple[str, str], Row] = {
    # The links that a person has given away are looked at.
    (Action.SHARE, "person"): Row(READ, "110110", "Consent"),
    # A line says that a system issues cards on a day, not which.
    (Action.ISSUE_CARD, "list"): ROWS[Action.ISSUE_CARD],
}
#: An action that is not in the table.
_OTHER = Row(EXECUTE, "110100")
#: What is about nobody in particular is a search, whatever is done with what was found.
_LISTED = "list"


def row_of(action: str, kind: str) -> Row:
    """How a line of this action, about this kind of object, is told."""
    if (action, kind) in BY_KIND:
        return BY_KIND[action, kind]
    row = ROWS.get(action, _OTHER)
    if kind != _LISTED or row.pattern.is_query or row is _OTHER:
        return row
    return Row(QUERY, "110112", row.resource)


def types_of(row: Row, *, restful: bool) -> tuple[Resource, list[Resource]]:
    """Type and subtypes of an event."""
    pattern = row.pattern
    further = [dicom(row.further)] if row.further else []
    if restful and pattern.interaction:
        return REST, [coding(INTERACTION, pattern.interaction, pattern.interaction), dicom(row.event), *further]
    if pattern is DISCLOSE:
        further = [coding(LIFECYCLE, "disclose", "Disclose Record Lifecycle Event"), *further]
    return dicom(row.event), further


def actions_with(codes: set[str]) -> tuple[str, ...]:
    """Actions of the table whose events can have one of these codes as type or subtype."""
    every = set(ROWS)
    if codes & {"rest", "search-type", "110112", _OTHER.event}:  # of lists, so of any action
        return tuple(sorted(every))
    rows = [*ROWS.items(), *((action, row) for (action, _), row in BY_KIND.items())]
    found = {
        action for action, row in rows
        for restful in (True, False)
        for kind, more in (types_of(row, restful=restful),)
        if codes & {each["code"] for each in (kind, *more)}
    }  # fmt: skip
    return tuple(sorted(found))
