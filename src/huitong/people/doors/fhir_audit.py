"""The audit over FHIR: AuditEvent in the patterns of IHE BALP, found as ITI-81 (Retrieve ATNA Audit Event) asks for it.

Translates, and decides nothing. What an index can answer becomes `Wanted`; everything else is held against the resource
as it would be told, so that no parameter can find what the answer does not say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from huitong.access.auditing import Line, Wanted
from huitong.access.model import Kind
from huitong.access.work import Work
from huitong.base.errors import BadRequest, NotFound
from huitong.base.settings import Settings
from huitong.directory.kinds import parts_of
from huitong.people import overseeing
from huitong.people.doors import fhir_event as told
from huitong.people.doors.fhir_balp import BY_TOKEN, ROWS, actions_with
from huitong.people.doors.fhir_event import Here
from huitong.people.doors.fhir_systems import EXCHANGE, Systems
from huitong.people.overseeing import Sought
from huitong.wire.fhir.bundle import Page
from huitong.wire.fhir.interactions import ResourceType
from huitong.wire.fhir.resources import Resource
from huitong.wire.fhir.search import Condition, Range, Search, SearchParameter, Token

_STARTS = ("exact", "contains")
#: Those of FHIR R4 that the events have something for, and ITI-81's on identifiers.
PARAMETERS = (
    SearchParameter("date", "date", "When it was recorded."),
    SearchParameter("patient", "reference", "Whose record it is.", targets=("Patient",)),
    SearchParameter("patient.identifier", "token", "Whose record it is, by exchange id."),
    SearchParameter("entity", "reference", "Whose record it is, as `patient`.", targets=("Patient",)),
    SearchParameter("entity.identifier", "token", "What it was about: `urn:dicom:uid|urn:oid:` and a study's UID …"),
    SearchParameter("entity-type", "token", "Kind of what it was about: 1 person, 2 system object."),
    SearchParameter("entity-role", "token", "Role of what it was about: 1 patient, 3 report, 24 query …"),
    SearchParameter("agent", "reference", "On behalf of whom, or the resident who asked.",
                    targets=("Organization", "Patient")),
    SearchParameter("agent.identifier", "token", "Account, system, link or institution that asked."),
    SearchParameter("agent-name", "string", "Beginning of the name of who asked.", _STARTS),
    SearchParameter("agent-role", "token", "What they may be: doctor, supervisor …, system, person, share."),
    SearchParameter("altid", "token", "Name of the account, client or link that asked."),
    SearchParameter("address", "string", "Beginning of the address from which they asked.", _STARTS),
    SearchParameter("policy", "uri", "Access token with which they asked."),
    SearchParameter("action", "token", "C, R, U, D or E."),
    SearchParameter("outcome", "token", "0 for what was allowed, 4 and 8 for what was refused."),
    SearchParameter("type", "token", "rest, or a code of DICOM's."),
    SearchParameter("subtype", "token", "read, search-type …, or a code of DICOM's."),
)  # fmt: skip
_PATIENT = ("patient", "entity", "patient.identifier")
_DATES = ("date", "_lastUpdated")
_MOST = 1 << 63


@dataclass(frozen=True)
class AuditEvents:
    """What the handlers have to know of the installation."""

    here: Here

    def type(self) -> ResourceType[Work]:
        """The row of this room in the table of what is served."""
        names = sorted({row.pattern.profile(person=person) for row in ROWS.values() for person in (True, False)} - {""})
        return ResourceType(
            name="AuditEvent",
            read=self.read,
            search=self.search,
            parameters=PARAMETERS,
            profiles=(*names, BY_TOKEN),
            about="Who looked at whose record or was refused: a line of the audit, once for each session and record.",
        )

    def read(self, work: Work, logical_id: str) -> Resource:
        number = _number(logical_id)
        if number is None:
            raise NotFound(f"AuditEvent/{logical_id}")
        return self._told(work, overseeing.seek_one(work, number))

    def search(self, work: Work, asked: Search) -> Page:
        """Raises BadRequest, NotAllowed, NotFound."""
        before = _number(asked.after) if asked.after else None
        if asked.after and before is None:
            raise BadRequest("_after is of no page of this search")
        page = overseeing.seek(work, self._sought(work, asked.conditions), before=before, limit=asked.count)
        return Page(
            [self._told(work, line) for line in page.lines], page.total, "" if page.before is None else str(page.before)
        )

    def _told(self, work: Work, line: Line) -> Resource:
        return told.event(line, self.here, masked=work.asker.kind is Kind.PERSON)

    def _sought(self, work: Work, conditions: tuple[Condition, ...]) -> Sought:
        persons = _persons(conditions, self.here)
        numbers = [{_number(each.code or "") for each in one.tokens()} for one in conditions if one.name == "_id"]
        days = [one.dates() for one in conditions if one.name in _DATES]
        since, until = _moments(conditions)
        wanted = Wanted(
            persons=tuple(sorted(persons or ())),
            account=_account(conditions),
            institution=_institution(conditions),
            allowed=_allowed(conditions),
            object=_study(conditions),
            since=since,
            until=until,
        )
        actions = () if persons == set() else _actions(conditions)
        tests = [test for each in conditions if (test := _test(each)) is not None]

        def passes(line: Line) -> bool:
            if not all(line.seq in each for each in numbers):
                return False
            if not all(any(day.matches(line.at_ms, line.at_ms + 1) for day in each) for each in days):
                return False
            return not tests or _holds(self._told(work, line), tests)

        said = {f"{one.name}{':' if one.modifier else ''}{one.modifier}": ",".join(one.values) for one in conditions}
        return Sought(wanted, actions, passes, said)


def audit_events(settings: Settings) -> ResourceType[Work]:
    """The row of this room in the table of what is served."""
    url = settings.public_url or f"{'https' if settings.http_certificate else 'http'}://{settings.http}"
    return AuditEvents(Here(Systems(settings.identifier_base), url)).type()


def _number(text: str) -> int | None:
    """Of a line; None for what is none."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    return number if 0 < number < _MOST and str(number) == text else None


# --- what an index answers ---


def _persons(conditions: Iterable[Condition], here: Here) -> set[str] | None:
    """Exchange ids of which the record is to be; None for any."""
    found: set[str] | None = None
    for each in conditions:
        if each.name not in _PATIENT:
            continue
        if each.name == "patient.identifier":
            ours = (None, here.systems.system(EXCHANGE))
            ids = {token.code for token in each.tokens() if token.code and token.system in ours}
        else:
            ids = {one.id for one in each.references() if one.type == "Patient"}
        found = ids if found is None else found & ids
    return found


def _moments(conditions: Iterable[Condition]) -> tuple[datetime | None, datetime | None]:
    """From which moment, until before which one; None for an open end."""
    since, until = list[int](), list[int]()
    for each in conditions:
        if each.name in _DATES and len(each.values) == 1:
            asked = each.dates()[0]
            if (start := _start(asked)) is not None:
                since.append(start)
            if (end := _end(asked)) is not None:
                until.append(end)
    return _moment(max(since)) if since else None, _moment(min(until)) if until else None


def _start(asked: Range) -> int | None:
    if asked.prefix in ("eq", "ap", "ge"):
        return asked.start_ms
    return asked.end_ms if asked.prefix in ("gt", "sa") else None


def _end(asked: Range) -> int | None:
    if asked.prefix in ("eq", "ap", "le"):
        return asked.end_ms
    return asked.start_ms if asked.prefix in ("lt", "eb") else None


_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def _moment(at_ms: int) -> datetime:
    first, last = (round(each.timestamp() * 1000) for each in (_FIRST, _LAST))
    return datetime.fromtimestamp(min(max(at_ms, first), last) / 1000, UTC)


def _account(conditions: Iterable[Condition]) -> str:
    """Name of who asked, where one is asked for; empty for all others."""
    asked = [each.tokens() for each in conditions if each.name in ("altid", "agent.identifier")]
    if len(asked) != 1 or len(asked[0]) != 1:
        return ""
    (token,) = asked[0]
    named = token.system in (told.ACCOUNT, told.SYSTEM) or any(each.name == "altid" for each in conditions)
    return (token.code or "") if named else ""


def _institution(conditions: Iterable[Condition]) -> str:
    asked = [each.references() for each in conditions if each.name == "agent"]
    if len(asked) != 1 or len(asked[0]) != 1 or asked[0][0].type != "Organization":
        return ""
    parts = parts_of(asked[0][0].id)
    return parts[0] if len(parts) == 1 else ""


def _allowed(conditions: Iterable[Condition]) -> bool | None:
    said = {code == "0" for each in conditions if each.name == "outcome" for code in _codes(each)}
    return said.pop() if len(said) == 1 else None


def _study(conditions: Iterable[Condition]) -> str:
    """UID, where one is asked for as DICOM's."""
    asked = [each.tokens() for each in conditions if each.name == "entity.identifier"]
    if len(asked) != 1 or len(asked[0]) != 1 or asked[0][0].system not in (None, told.DICOM_UID):
        return ""
    code = asked[0][0].code or ""
    return code.removeprefix("urn:oid:") if code.startswith("urn:oid:") else ""


def _actions(conditions: Iterable[Condition]) -> tuple[str, ...] | None:
    """Actions of the audit whose events have the types that are asked for; None for all."""
    found: set[str] | None = None
    for each in conditions:
        if each.name in ("type", "subtype"):
            can = set(actions_with(_codes(each)))
            if can != set(ROWS):  # what is of any action may be of one that no table has
                found = can if found is None else found & can
    return None if found is None else tuple(sorted(found))


def _codes(condition: Condition) -> set[str]:
    return {each.code or "" for each in condition.tokens()}


# --- what is held against the resource ---

#: A parameter that is asked for: whether the resource has one of its values.
_Test = Callable[[Resource], bool]


def _holds(resource: Resource, tests: Iterable[_Test]) -> bool:
    return all(test(resource) for test in tests)


def _test(condition: Condition) -> _Test | None:
    """None for what has been found by."""
    name = condition.name
    if name in _TOKENS:
        tokens, tokens_of = condition.tokens(), _TOKENS[name]
        return lambda resource: any(_is(token, *each) for each in tokens_of(resource) for token in tokens)
    if name in _TEXTS:
        texts, texts_of = condition.texts(), _TEXTS[name]
        return lambda resource: any(
            _says(condition.modifier, text, each) for each in texts_of(resource) for text in texts
        )
    if name == "agent":
        wanted = {f"{each.type}/{each.id}" for each in condition.references()}
        return lambda resource: any(each["who"].get("reference") in wanted for each in resource["agent"])
    return None


def _is(token: Token, system: str, code: str) -> bool:
    return token.system in (None, system) and token.code in (None, code)


def _says(modifier: str, text: str, value: str) -> bool:
    if modifier == "exact":
        return value == text
    folded, wanted = value.casefold(), text.casefold()
    return wanted in folded if modifier == "contains" else folded.startswith(wanted)


_Tokens = Callable[[Resource], Iterable[tuple[str, str]]]


def _codings(name: str) -> _Tokens:
    def found(resource: Resource) -> Iterator[tuple[str, str]]:
        value = resource.get(name, [])
        for each in value if isinstance(value, list) else [value]:
            yield each["system"], each["code"]

    return found


def _of_entities(name: str) -> _Tokens:
    return lambda resource: ((each[name]["system"], each[name]["code"]) for each in resource.get("entity", ()))


def _roles(resource: Resource) -> Iterator[tuple[str, str]]:
    for agent in resource["agent"]:
        for role in agent.get("role", ()):
            yield role["coding"][0]["system"], role["coding"][0]["code"]


def _identifiers(list_name: str, name: str) -> _Tokens:
    def found(resource: Resource) -> Iterator[tuple[str, str]]:
        for each in resource.get(list_name, ()):
            said = each.get(name, {}).get("identifier")
            if said:
                yield said["system"], said["value"]

    return found


_TOKENS: dict[str, _Tokens] = {
    "action": lambda resource: [(told.ACTION, resource["action"])],
    "outcome": lambda resource: [(told.OUTCOME, resource["outcome"])],
    "type": _codings("type"),
    "subtype": _codings("subtype"),
    "entity-type": _of_entities("type"),
    "entity-role": _of_entities("role"),
    "entity.identifier": _identifiers("entity", "what"),
    "agent.identifier": _identifiers("agent", "who"),
    "agent-role": _roles,
    "altid": lambda resource: [("", each["altId"]) for each in resource["agent"] if "altId" in each],
}
_TEXTS: dict[str, Callable[[Resource], Iterable[str]]] = {
    "agent-name": lambda resource: [each["name"] for each in resource["agent"] if "name" in each],
    "address": lambda resource: [each["network"]["address"] for each in resource["agent"]
                                 if "address" in each.get("network", {})],
    "policy": lambda resource: [each for agent in resource["agent"] for each in agent.get("policy", ())],
}  # fmt: skip
