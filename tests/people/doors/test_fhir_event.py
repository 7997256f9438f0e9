"""Lines of the audit as AuditEvents: worked cases, each read by fhir.resources and held against BALP's constraints."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from huitong.access.auditing import Line, Looked
from huitong.access.deciding import Action
from huitong.people.doors.fhir_audit import PARAMETERS
from huitong.people.doors.fhir_balp import PROFILES, ROWS, actions_with, types_of
from huitong.people.doors.fhir_event import Here, event, outcome_of
from huitong.people.doors.fhir_systems import Systems

HERE = Here(Systems("urn:huitong"), "https://exchange.example")
DCM, REST = "http://dicom.nema.org/resources/ontology/DCM", "http://hl7.org/fhir/restful-interaction"
UID = "1.2.840.113619.2.5"
Json = dict[str, Any]

DOCTOR = {"kind": "staff", "name": "wang", "display": "王大夫", "institution": "YC_XIECHI", "roles": ["doctor"]}
SUPERVISOR = {"kind": "staff", "name": "li", "display": "李督察", "institution": None, "roles": ["supervisor"]}
RESIDENT = {"kind": "person", "name": "p1", "display": "王晓兰", "institution": None, "roles": [], "person": "HT1"}
LINK = {"kind": "share", "name": "abc", "display": "给太原的医生", "institution": None, "roles": [], "person": "HT1"}
CLIENT = {
    "kind": "system", "name": "https://ris.example/client", "display": "RIS", "institution": "TAIYUAN", "roles": [],
    "session": "at-7",
}  # fmt: skip
PACS = {"kind": "system", "name": "TY_PACS", "display": "太原", "institution": "TAIYUAN", "roles": [], "session": ""}


def line(asker: Json, looked: Looked, **more: Any) -> Line:
    whole = {"person": "", "session": "s1", "door": "http", "host": "10.1.2.3", **asker, **more}
    return Line(7, 1_790_000_000_123, whole, looked, "ab" * 32)


def study(rule: str, purpose: str, *, allowed: bool = True, action: str = "imaging.see", **detail: Any) -> Looked:
    person = "HT1" if rule != "unknown" else ""
    return Looked(action, allowed, rule, purpose, person, "study", UID, "TAIYUAN", detail)


@dataclass(frozen=True)
class Case:
    """A line, and what must stand in its event."""

    title: str
    line: Line
    profile: str
    type: str
    subtypes: tuple[str, ...]
    action: str
    outcome: str = "0"
    #: Display or value of what asked, by the kind of agent.
    requestor: str = ""


CASES = [
    Case("a doctor opens another hospital's study under an open visit",
         line(DOCTOR, study("open visit", "TREAT", visit="V1")),
         "PatientRead", "rest", ("read", "110103"), "R", requestor="王大夫"),
    Case("in an emergency", line(DOCTOR, study("break-glass", "BTG")),
         "PatientRead", "rest", ("read", "110103"), "R", requestor="王大夫"),
    Case("is refused for an objection", line(DOCTOR, study("objection", "", allowed=False)),
         "", "rest", ("read", "110103"), "R", "8", "王大夫"),
    Case("asks for a study that there is none of", line(DOCTOR, study("unknown", "", allowed=False)),
         "", "rest", ("read", "110103"), "R", "4", "王大夫"),
    Case("a hospital's system reads its own study by access token", line(CLIENT, study("own institution", "TREAT")),
         "PatientRead", "rest", ("read", "110103"), "R", requestor="RIS"),
    Case("a PACS fetches it over DIMSE", line(PACS, study("own institution", "TREAT"), door="dimse"),
         "", "110103", (), "R", requestor="太原"),
    Case("a doctor lists the own studies",
         line(DOCTOR, Looked("imaging.list", True, "own institution", "TREAT", "", "list", "", "YC_XIECHI")),
         "Query", "rest", ("search-type", "110112"), "E", requestor="王大夫"),
    Case("a doctor lists a person's studies",
         line(DOCTOR, Looked("imaging.list", True, "open visit", "TREAT", "HT1", "person", "HT1")),
         "PatientQuery", "rest", ("search-type", "110112"), "E", requestor="王大夫"),
    Case("a doctor looks who somebody is",
         line(DOCTOR, Looked("people.see", True, "identify", "TREAT", "HT1", "person", "HT1")),
         "PatientRead", "rest", ("read", "110110"), "R", requestor="王大夫"),
    Case("of somebody unknown", line(DOCTOR, Looked("people.see", False, "unknown", "", "", "person", "HT9")),
         "", "rest", ("read", "110110"), "R", "4", "王大夫"),
    Case("a registrar joins two numbers",
         line(DOCTOR, Looked("people.decide", True, "registrar", "HOPERAT", "HT1", "question", "3", "YC_XIECHI",
                             {"fact": "joined"})),
         "PatientUpdate", "rest", ("update", "110110"), "U", requestor="王大夫"),
    Case("opens the list of questions",
         line(DOCTOR, Looked("people.decide", True, "registrar", "HOPERAT", "", "list", "", "YC_XIECHI")),
         "Query", "rest", ("search-type", "110112"), "E", requestor="王大夫"),
    Case("a resident objects", line(RESIDENT, Looked("rights.change", True, "self", "PATRQT", "HT1", "person", "HT1")),
         "PatientUpdate", "rest", ("update", "110110"), "U", requestor="王晓兰"),
    Case("shares a study", line(RESIDENT, study("self", "PATRQT", action="share.make")),
         "PatientCreate", "rest", ("create", "110106"), "C", requestor="王晓兰"),
    Case(
        "looks at the links that were given away",
        line(RESIDENT, Looked("share.make", True, "self", "PATRQT", "HT1", "person", "HT1")),
        "PatientRead", "rest", ("read", "110110"), "R", requestor="王晓兰",
    ),
    Case("a system issues cards",
         line(PACS, Looked("card.issue", True, "card issue", "HOPERAT", "", "list", "", "TAIYUAN")),
         "", "rest", ("create", "110110"), "C", requestor="太原"),
    Case("and ends the link",
         line(RESIDENT, Looked("share.end", True, "self", "PATRQT", "HT1", "share", "abc", "TAIYUAN")),
         "PatientDelete", "rest", ("delete", "110106"), "D", requestor="王晓兰"),
    Case("the link is opened",
         line(LINK, Looked("share.open", True, "share", "PATRQT", "HT1", "share", "abc", "TAIYUAN",
                           {"recipient": "山大二院"})),
         "PrivacyDisclosure.Source", "110106", ("disclose",), "R", requestor="给太原的医生"),
    Case("with a wrong passcode",
         line(LINK, Looked("share.open", False, "passcode", "", "HT1", "share", "abc", "TAIYUAN")),
         "", "110106", ("disclose",), "R", "4", "给太原的医生"),
    Case("a doctor opens in an emergency",
         line(DOCTOR, Looked("break-glass.open", True, "emergency", "BTG", "HT1", "person", "HT1")),
         "", "110113", ("110127",), "E", requestor="王大夫"),
    Case("somebody signs in",
         line(DOCTOR, Looked("accounts.sign-in", True, "authenticator", "HOPERAT", "", "account", "wang", "YC_XIECHI",
                             {"device": "Chrome"})),
         "", "110114", ("110122",), "E", requestor="王大夫"),
    Case("with a wrong password",
         line(DOCTOR, Looked("accounts.sign-in", False, "password", "", "", "account", "wang", "YC_XIECHI")),
         "", "110114", ("110122",), "E", "4", "王大夫"),
    Case("signs out", line(DOCTOR, Looked("accounts.sign-out", True, "session", "HOPERAT", "", "account", "wang")),
         "", "110114", ("110123",), "E", requestor="王大夫"),
    Case("an account gets other roles",
         line(SUPERVISOR, Looked("accounts.keep", True, "admin", "SYSADMN", "", "account", "wang", "YC_XIECHI",
                                 {"fact": "account_changed", "roles": ["doctor"]})),
         "", "110113", ("110137",), "U", requestor="李督察"),
    Case("a supervisor searches the audit",
         line(SUPERVISOR, Looked("audit.see", True, "oversight", "HOPERAT", "HT1", "audit search", "HT1", "",
                                 {"allowed": "false"})),
         "", "110101", (), "R", requestor="李督察"),
    Case("reads a line", line(SUPERVISOR, Looked("audit.see", True, "oversight", "HOPERAT", "", "audit line", "5")),
         "", "110101", (), "R", requestor="李督察"),
    Case("the operator does what no table has",
         line({"kind": "operator", "name": "", "display": "", "institution": None, "roles": []},
              Looked("audit.burn", True, "operator", "SYSADMN", "", "audit", "x"), door="local", host="", session=""),
         "", "110100", (), "E", requestor="operator"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_each_line_is_the_event_that_the_case_says(case: Case) -> None:
    made = event(case.line, HERE)
    assert made["type"]["code"] == case.type
    assert tuple(each["code"] for each in made.get("subtype", ())) == case.subtypes
    assert (made["action"], made["outcome"], made["outcomeDesc"]) == (
        case.action, case.outcome, case.line.looked.rule,
    )  # fmt: skip
    profiles = made["meta"].get("profile", [])
    assert profiles[:1] == ([f"{PROFILES}{case.profile}"] if case.profile else [])
    asked = [agent for agent in made["agent"] if agent["requestor"]]
    assert [each.get("name") or each["who"]["display"] for each in asked] in ([case.requestor], ["山大二院"])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_a_model_that_we_did_not_write_reads_each_and_gives_it_back(case: Case, masked: bool) -> None:
    made = event(case.line, HERE, masked=masked)
    given = AuditEvent.model_validate(made).model_dump_json().replace("123000Z", "123Z")  # of an instant
    assert json.loads(given) == made


def test_the_model_refuses_what_is_no_audit_event() -> None:
    """So that the test above can fail."""
    made = event(CASES[0].line, HERE)
    wrong = [{"colour": "red"}, {"recorded": "yesterday"}, {"type": {"code": 3}}, {"entity": [{"what": "study"}]}]
    missing = [
        {name: made[name] for name in made if name != absent} for absent in ("type", "recorded", "agent", "source")
    ]
    for broken in (*({**made, **each} for each in wrong), *missing):
        with pytest.raises(ValueError, match="AuditEvent"):
            AuditEvent.model_validate(broken)


# --- BALP 1.1.4 ---

#: Profile -> type, interaction or life cycle, action, and the codes of client, server and user.
_AUTHORS = ("AUT", "INF", "CST")
CONSTRAINTS: dict[str, tuple[str, str, str, str, str, tuple[str, ...]]] = {
    "Read": ("rest", "read", "R", "110152", "110153", ("IRCP",)),
    "Query": ("rest", "search-type", "E", "110153", "110152", ("IRCP",)),
    "Create": ("rest", "create", "C", "110153", "110152", _AUTHORS),
    "Update": ("rest", "update", "U", "110153", "110152", _AUTHORS),
    "Delete": ("rest", "delete", "D", "110150", "custodian", _AUTHORS),
    "PrivacyDisclosure.Source": ("110106", "disclose", "R", "110152", "110153", ("IRCP",)),
}


def agents(made: Json, *codes: str) -> list[Json]:
    return [each for each in made["agent"] if each["type"]["coding"][0]["code"] in codes]


def entities(made: Json, code: str) -> list[Json]:
    return [each for each in made.get("entity", ()) if each["type"]["code"] == code]


def faults(made: Json, name: str) -> list[str]:
    """Which constraints of the profile the event breaks: those of the StructureDefinition, one a line."""
    bare = name.removeprefix("Patient")
    kind, subtype, action, client, server, users = CONSTRAINTS[bare]
    of_client, of_server, of_user = agents(made, client), agents(made, server), agents(made, *users)
    patients, data = entities(made, "1"), entities(made, "2")
    is_query, disclosed = bare == "Query", bare.startswith("Privacy")
    holds = {
        "type": made["type"]["code"] == kind,
        "subtype 1..1": [each["code"] for each in made["subtype"]].count(subtype) == 1,
        "action": made["action"] == action,
        "outcome": made["outcome"] == "0" or disclosed,
        "agent 2..*": len(made["agent"]) >= 2,
        "client 1..1": len(of_client) == 1,
        "server 1..1": len(of_server) == 1,
        "user 0..1": len(of_user) <= 1,
        "who 1..1": all("who" in each for each in (*of_client, *of_server, *of_user)),
        "network 1..1": all("network" in each for each in (*of_client, *of_server)),
        "user.network 0..0": not any("network" in each for each in of_user) or disclosed,
        "user.requestor": all(each["requestor"] for each in of_user),
        "user.purposeOfUse MS": all(each["purposeOfUse"] for each in of_user),
        "media 0..0": not any("media" in each for each in made["agent"]),
        "source MS": "observer" in made["source"],
        "entity": len(data) == 1,
        "patient": len(patients) == 1 if name.startswith(("Patient", "Privacy")) else not patients,
        "patient.what": all(each["what"]["reference"].startswith("Patient/") for each in patients),
        "patient.role": all(each["role"]["code"] == "1" for each in patients),
        "query": not is_query or ("query" in data[0] and not {"what", "lifecycle", "detail"} & set(data[0])),
        "query.role": not is_query or data[0]["role"]["code"] == "24",
        "data.what": is_query or "what" in data[0],
        "data.role": is_query or data[0]["role"]["code"] in ("3", "4", "20"),
        "sev-1": not any({"name", "query"} <= set(each) for each in made["entity"]),
        "val-audit-source": not disclosed or of_server[0]["who"] == made["source"]["observer"],
        "purposeOfEvent MS": bool(made["purposeOfEvent"]),
    }
    return [constraint for constraint, kept in holds.items() if not kept]


PROFILED = [case for case in CASES if case.profile]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("case", PROFILED, ids=[case.title for case in PROFILED])
def test_each_event_keeps_to_the_profile_that_it_names(case: Case, masked: bool) -> None:
    assert faults(event(case.line, HERE, masked=masked), case.profile) == []


def test_every_profile_that_is_served_has_a_case() -> None:
    served = {
        row.pattern.profile(person=person).removeprefix(PROFILES) for row in ROWS.values() for person in (True, False)
    }
    by_person = {name for name in served if name.startswith(("Patient", "Privacy"))}
    assert by_person == {case.profile for case in PROFILED} - {"Query"}
    assert served - by_person - {""} == set(CONSTRAINTS) - {"PrivacyDisclosure.Source"}


def test_every_action_of_the_policy_has_a_row() -> None:
    assert {action.value for action in Action} <= set(map(str, ROWS))


def test_what_a_broken_event_breaks_is_named() -> None:
    made = event(CASES[0].line, HERE)
    assert faults({**made, "action": "E", "purposeOfEvent": []}, "PatientRead") == ["action", "purposeOfEvent MS"]
    assert "server 1..1" in faults({**made, "agent": made["agent"][:2]}, "PatientRead")


# --- parts ---


def test_who_asked_is_told_with_role_institution_and_address() -> None:
    user, client, server, hospital = event(CASES[0].line, HERE)["agent"]
    assert user["who"] == {"identifier": {"system": "urn:huitong:account", "value": "wang"}, "display": "王大夫"}
    assert (user["altId"], user["role"][0]["coding"][0]["code"]) == ("wang", "doctor")
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert (client["network"], client["requestor"]) == ({"address": "10.1.2.3", "type": "2"}, False)
    assert server["network"] == {"address": "https://exchange.example", "type": "5"}
    assert hospital["who"]["reference"] == "Organization/YC..XIECHI"
    assert hospital["type"]["coding"][0]["code"] == "PROV"


def test_a_study_is_told_by_its_uid_and_the_person_by_the_exchange_id() -> None:
    patient, data = event(CASES[0].line, HERE)["entity"]
    assert patient["what"]["reference"] == "Patient/HT1"
    assert patient["what"]["identifier"] == {"system": "urn:huitong:person", "value": "HT1"}
    assert data["what"]["identifier"] == {"system": "urn:dicom:uid", "value": f"urn:oid:{UID}"}
    assert data["detail"] == [{"type": "institution", "valueString": "TAIYUAN"}, {"type": "visit", "valueString": "V1"}]


def test_the_access_token_is_told_by_its_public_id() -> None:
    made = event(CASES[4].line, HERE)
    (token,) = agents(made, "UserOauthAgent")
    assert token["policy"] == ["urn:ietf:params:oauth:jti:at-7"]
    assert not {"network", "media"} & set(token)
    assert made["meta"]["profile"][1] == f"{PROFILES}OAUTHaccessTokenUse.Minimal"
    assert [each["requestor"] for each in made["agent"]] == [True, False, False, False]


def test_an_emergency_is_its_purpose() -> None:
    made = event(CASES[1].line, HERE)
    assert made["purposeOfEvent"][0]["coding"] == [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "BTG"}
    ]


def test_a_search_is_told_as_a_query_of_fhir() -> None:
    said = {case.title: event(case.line, HERE)["entity"][-1] for case in CASES}
    listed = said["a doctor lists a person's studies"]
    assert base64.b64decode(listed["query"]).decode() == listed["description"] == "ImagingStudy?patient=Patient%2FHT1"
    searched = said["a supervisor searches the audit"]
    assert searched["description"] == "AuditEvent?patient=Patient%2FHT1&allowed=false"
    assert (
        said["a doctor lists the own studies"]["description"] == "ImagingStudy?organization=Organization%2FYC..XIECHI"
    )


def test_a_disclosure_says_who_let_it_go_and_who_keeps_it() -> None:
    made = event(next(case.line for case in CASES if case.title == "the link is opened"), HERE)
    assert [each["who"]["reference"] for each in agents(made, "159541003", "429577009")] == [
        "Organization/TAIYUAN", "Patient/HT1",
    ]  # fmt: skip
    assert agents(made, "IRCP")[0]["name"] == "山大二院"


def test_the_event_is_held_against_the_log_by_its_hash() -> None:
    made = event(CASES[0].line, HERE)
    assert (made["id"], made["recorded"]) == ("7", "2026-09-21T14:13:20.123Z")
    assert made["extension"] == [{"url": "urn:huitong:audit-hash", "valueString": "ab" * 32}]


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_what_is_masked_has_no_address_account_session_or_detail(case: Case) -> None:
    host = case.line.asker["host"] or "nowhere"
    asker = {**case.line.asker, "session": case.line.asker["session"] and "s-secret"}
    marked = replace(case.line, asker=asker, looked=replace(case.line.looked, detail={"device": "Chrome on Mars"}))
    text = str(event(marked, HERE, masked=True))
    assert host not in text
    assert "Mars" not in text
    assert "altId" not in text
    assert "s-secret" not in text or case.line.asker["kind"] == "system"


@pytest.mark.parametrize(
    ("allowed", "rule", "outcome"),
    [(True, "self", "0"), (False, "none", "8"), (False, "locked", "8"), (False, "unknown", "4"), (False, "code", "4")],
)
def test_outcomes(allowed: bool, rule: str, outcome: str) -> None:
    assert outcome_of(line(DOCTOR, Looked("imaging.see", allowed, rule))) == outcome


def test_types_lead_to_the_actions_that_have_them() -> None:
    assert actions_with({"110122"}) == ("accounts.sign-in",)
    assert actions_with({"110103"}) == ("imaging.see",)
    assert "share.make" in actions_with({"110110"})
    assert "share.end" in actions_with({"delete"})
    assert set(actions_with({"search-type"})) == set(map(str, ROWS))
    assert actions_with({"nothing"}) == ()


# --- the page ---

PAGE = (Path(__file__).resolve().parents[3] / "docs/conformance/audit-events.md").read_text("utf-8")


def test_the_page_has_the_table_of_actions() -> None:
    lines = re.findall(r"^\| `([a-z.-]+)` \| ([^|]+) \| (\w+) \| ([^|]+) \| ([CRUDE]) \| (\d+) \|$", PAGE, re.MULTILINE)
    made = []
    for action, row in ROWS.items():
        kind, subtypes = types_of(row, restful=True)
        names = [row.pattern.profile(person=person).removeprefix(PROFILES) for person in (False, True)]
        said = ", ".join(filter(None, names)), kind["code"], ", ".join(each["code"] for each in subtypes)
        made.append((str(action), *(each or "–" for each in said), row.pattern.action, row.event))
    assert lines == made


def test_the_page_names_every_search_parameter() -> None:
    table = PAGE.partition("## Search")[2].partition("## Departures")[0]
    named = {
        each for line in re.findall(r"^\| (.+)$", table, re.MULTILINE) for each in re.findall(r"`([a-z.-]+)`", line)
    }
    assert {each.name for each in PARAMETERS} <= named
