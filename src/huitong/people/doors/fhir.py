"""The FHIR door of the room: Patient with PDQm (IHE ITI-78), `$match` (ITI-119) and PIXm's `$ihe-pix` (ITI-83).

A Patient is a person; its logical id is the exchange id. Translates, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from huitong.access.work import Work
from huitong.base.clock import milliseconds, moment
from huitong.base.errors import BadRequest, NotFound, UnknownDomain, UnknownTarget
from huitong.base.numbers import key_of
from huitong.people import actions
from huitong.people.doors.fhir_patient import GENDERS, PROFILE, Described, described, identifier, patient
from huitong.people.doors.fhir_systems import EXCHANGE, Domain, Systems
from huitong.people.identifiers import read_exchange_id
from huitong.people.model import Candidate, Demographics, Person, Record
from huitong.people.searching import Condition, Dates, Found, Text, Token, Value
from huitong.wire.fhir.bundle import Page
from huitong.wire.fhir.interactions import Operation, OperationCall, ResourceType
from huitong.wire.fhir.resources import Resource, meta, parameter_of, parameters, parameters_of, reference
from huitong.wire.fhir.search import Condition as Asked
from huitong.wire.fhir.search import Range, Search, SearchParameter, token

_EXACT = ("exact",)
#: ITI-78 table 2:3.78.4.1.2.1, and `name` and `phone` of FHIR's Patient.
PARAMETERS = (
    SearchParameter("identifier", "token", "A patient number, certificate or exchange id; a system alone also narrows"
                    " which identifiers are answered."),
    SearchParameter("active", "token", "Whether any institution still uses a number of the person."),
    SearchParameter("name", "string", "Beginning of a name: hanzi, pinyin or initials.", _EXACT),
    SearchParameter("family", "string", "Beginning of the family name, in hanzi or pinyin.", _EXACT),
    SearchParameter("given", "string", "Beginning of the given name, in hanzi or pinyin.", _EXACT),
    SearchParameter("telecom", "token", "A telephone number."),
    SearchParameter("phone", "token", "A telephone number."),
    SearchParameter("birthdate", "date", "Date of birth, in legal time of China."),
    SearchParameter("address", "string", "Any part of the address.", _EXACT),
    SearchParameter("address-city", "string", "Any part of the address.", _EXACT),
    SearchParameter("address-state", "string", "Any part of the address.", _EXACT),
    SearchParameter("address-country", "string", "Any part of the address.", _EXACT),
    SearchParameter("address-postalcode", "string", "Any part of the address.", _EXACT),
    SearchParameter("gender", "token", "male, female, other or unknown."),
    SearchParameter("mothersMaidenName", "string", "Beginning of the mother's name.", _EXACT),
)  # fmt: skip
#: Parameter -> field of `searching`.
_STRINGS = {
    "name": "name", "family": "family", "given": "given", "mothersMaidenName": "mother_name", "address": "address",
    "address-city": "address", "address-state": "address", "address-country": "address",
    "address-postalcode": "address",
}  # fmt: skip
_SEXES = {gender: sex for sex, gender in GENDERS.items()}
_MATCHES = 20


@dataclass(frozen=True)
class Patients:
    """What the handlers have to know of the installation."""

    systems: Systems
    #: Whether an institution of this code takes part.
    known: Callable[[str], bool]

    def type(self) -> ResourceType[Work]:
        """The row of this room in the table of what is served."""
        return ResourceType(
            name="Patient",
            read=self.read,
            search=self.search,
            parameters=PARAMETERS,
            operations=(
                Operation(
                    "match", "http://hl7.org/fhir/OperationDefinition/Patient-match", self.match,
                    "Persons that may be the one who is described, likeliest first (IHE PDQm ITI-119).",
                ),
                Operation(
                    "ihe-pix", "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix", self.pix,
                    "All identifiers of the person who has this one (IHE PIXm ITI-83).", by_get=True,
                ),
            ),
            profiles=(PROFILE,),
            about="A person: what institutions registered under their numbers, as far as it is known to be one.",
        )  # fmt: skip

    # -- read and search

    def read(self, work: Work, logical_id: str) -> Resource:
        """Of a person that was joined into another, whom it leads to."""
        person = actions.person_by_exchange_id(work, logical_id)
        if read_exchange_id(logical_id) != logical_id:  # ids of FHIR are case-sensitive (R4 2.24.0.1)
            raise NotFound("person")
        if person.exchange_id != logical_id:
            link = {"type": "replaced-by", "other": reference("Patient", person.exchange_id)}
            return {"resourceType": "Patient", "id": logical_id, "active": False, "link": [link]}
        return self._resource((person, actions.records_of(work, person)))

    def search(self, work: Work, asked: Search) -> Page:
        if asked.of("_lastUpdated"):
            raise BadRequest("_lastUpdated is not kept of persons")
        only = self._wanted_systems(asked.of("identifier"))
        conditions = [self._condition(each) for each in asked.conditions]
        after = key_of(asked.after or "0")
        if after is None:
            raise BadRequest("_after is of no page of this search")
        page = actions.search(work, conditions, after=after, limit=asked.count)
        total = None if asked.after else page.total
        following = "" if page.after is None or not asked.count else str(page.after)
        return Page([self._resource(each, only) for each in page.found], total, following)

    def _wanted_systems(self, conditions: Iterable[Asked]) -> frozenset[str] | None:
        """Systems given without a value (ITI-78 2:3.78.4.1.2.3); None where there are none. Raises NotFound."""
        alone = {each.system for one in conditions for each in one.tokens() if each.system and not each.code}
        if unknown := sorted(system for system in alone if self._domain(system) is None):
            raise NotFound(f"targetSystem not found: {unknown[0]}")
        return frozenset(alone) or None

    def _condition(self, asked: Asked) -> Condition:
        name = asked.name
        if name in _STRINGS:
            exact = asked.modifier == "exact"
            return Condition(_STRINGS[name], tuple(Text(each, exact) for each in asked.texts()))
        if name == "birthdate":
            return Condition("birth_date", tuple(each for one in asked.dates() for each in _days(one)))
        values: tuple[Value, ...] = tuple(_value(name, each.code or "") for each in asked.tokens())
        if name in ("identifier", "_id"):
            values = tuple(
                Token("person", "", each.code or "") if name == "_id" else self._token(each.system, each.code or "")
                for each in asked.tokens()
            )
        return Condition(_FIELDS[name], values)

    def _token(self, system: str | None, value: str) -> Token:
        domain = self._domain(system) if system else Domain("")
        return Token(domain.realm, domain.name, value) if domain else Token("none", "", value)

    def _domain(self, system: str) -> Domain | None:
        """None for an institution that takes no part, too."""
        domain = self.systems.domain(system)
        return None if domain and domain.realm == "patient" and not self.known(domain.name) else domain

    def _resource(self, found: Found, only: frozenset[str] | None = None) -> Resource:
        person, known = found
        newest = max((each.effective_at for each in known), default=datetime.fromtimestamp(0, UTC))
        made = patient(
            person.exchange_id, _described(known), self.systems, active=any(r.active for r in known), only=only
        )
        version = meta(sum(each.revision for each in known), milliseconds(newest))
        return {**made, "meta": {**version, **made["meta"]}}

    # -- $match

    def match(self, work: Work, call: OperationCall) -> Page:
        part = parameter_of(call.parameters, "resource") or {}
        said = described(part.get("resource"), self.systems)
        certain_only = (parameter_of(call.parameters, "onlyCertainMatches") or {}).get("valueBoolean") is True
        most = (parameter_of(call.parameters, "count") or {}).get("valueInteger")
        candidates = actions.match(work, said.known, limit=100)
        graded = _graded(candidates)
        certain = [each for each in graded if each.grade == "certain"]
        if certain_only:  # more than one certain person is none (ITI-119 case 5)
            graded = certain if len(certain) == 1 else []
        graded = graded[: most if isinstance(most, int) and most > 0 else _MATCHES]
        known = [(each.person, actions.records_of(work, each.person)) for each in graded]
        return Page(
            [self._resource(each) for each in known],
            len(known),
            scores=[each.score for each in graded],
            grades=[each.grade for each in graded],
        )

    # -- $ihe-pix

    def pix(self, work: Work, call: OperationCall) -> Resource:
        domain, value = self._source(call)
        targets = [_text(part) for part in parameters_of(call.parameters, "targetSystem")]
        wanted = [self._domain(system) for system in targets]
        if None in wanted:
            raise UnknownTarget("targetSystem not found")
        person = _person_with(work, domain, value)
        if person is None:
            raise NotFound("sourceIdentifier Patient Identifier not found")
        known = _described(actions.records_of(work, person))
        every = ((EXCHANGE, person.exchange_id), *known.identifiers)
        others = [each for each in every if each != (domain, value) and (not wanted or each[0] in wanted)]
        parts: list[Resource] = [
            {"name": "targetIdentifier", "valueIdentifier": identifier(self.systems, *each)} for each in others
        ]
        if not wanted or EXCHANGE in wanted:
            parts.append({"name": "targetId", "valueReference": reference("Patient", person.exchange_id)})
        return parameters(parts)

    def _source(self, call: OperationCall) -> tuple[Domain, str]:
        """Raises BadRequest, UnknownDomain."""
        given = parameters_of(call.parameters, "sourceIdentifier")
        if len(given) != 1:
            raise BadRequest("one sourceIdentifier is wanted, as system|value")
        whole = given[0].get("valueIdentifier")
        said = token(_text(given[0]))
        system, value = (
            (str(whole.get("system", "")), str(whole.get("value", "")))
            if isinstance(whole, dict)
            else (said.system or "", said.code or "")
        )
        if not system or not value:
            raise BadRequest("sourceIdentifier is written system|value")
        domain = self._domain(system)
        if domain is None:
            raise UnknownDomain("sourceIdentifier Assigning Authority not found")
        return domain, value


def patients(identifier_base: str, takes_part: Callable[[str], bool]) -> ResourceType[Work]:
    """The row of this room in the table of what is served. `takes_part`: whether an institution of this code does."""
    return Patients(Systems(identifier_base), takes_part).type()


def _text(part: Resource) -> str:
    """The value of a parameter, whichever simple type it was given."""
    return next((str(value) for name, value in part.items() if name.startswith("value")), "")


#: Token parameter -> field of `searching`.
_FIELDS = {
    "_id": "identifier", "identifier": "identifier", "active": "active", "telecom": "phone", "phone": "phone",
    "gender": "sex",
}  # fmt: skip


def _value(name: str, code: str) -> Value:
    if name == "active":
        return code == "true"
    if name == "gender":
        if code not in _SEXES:
            raise BadRequest(f"gender is one of {', '.join(_SEXES)}")
        return _SEXES[code]
    return code


def _days(asked: Range) -> Iterator[Dates]:
    """The days of birth that the range covers, prefix and all (FHIR R4 3.1.1.4.7)."""
    first, last = _day(asked.start_ms), _day(asked.end_ms - 1)
    before, behind = _day(asked.start_ms - 1), _day(asked.end_ms)
    if asked.prefix in ("eq", "ap"):
        yield Dates(first, last)
    if asked.prefix in ("ne", "lt", "eb"):
        yield Dates("", before)
    if asked.prefix in ("ne", "gt", "sa"):
        yield Dates(behind, "")
    if asked.prefix == "ge":
        yield Dates(first, "")
    if asked.prefix == "le":
        yield Dates("", last)


_FIRST_MS, _LAST_MS = (milliseconds(datetime(*day, tzinfo=UTC)) for day in ((1, 1, 1), (9999, 12, 31)))


def _day(at_ms: int) -> str:
    """YYYYMMDD; of what lies before the year 1 or behind 9999 the first or last day there is."""
    at = moment(min(max(at_ms, _FIRST_MS), _LAST_MS))
    return f"{at.year:04}{at:%m%d}"


# --- persons as they are said ---


def _described(known: list[Record]) -> Described:
    """All names, numbers and certificates of the records; of what one has only one, the newest that is known."""
    newest = [each.known for each in sorted(known, key=_effective, reverse=True)]
    together = Demographics(
        names=tuple(dict.fromkeys(name for each in newest for name in each.names)),
        sex=next((each.sex for each in newest if each.sex), ""),
        birth_date=next((each.birth_date for each in newest if each.birth_date), ""),
        phones=tuple(dict.fromkeys(phone for each in newest for phone in each.phones)),
        address=next((each.address for each in newest if each.address), ""),
        mother_name=next((each.mother_name for each in newest if each.mother_name), ""),
        birth_order=next((each.birth_order for each in newest if each.birth_order), None),
        certificates=tuple(dict.fromkeys(held for each in known for held in each.known.certificates)),
    )
    return Described(together, tuple((Domain("patient", each.issuer), each.number) for each in known))


def _effective(record: Record) -> tuple[datetime, int]:
    return record.effective_at, record.pk


def _person_with(work: Work, domain: Domain, value: str) -> Person | None:
    found = actions.search(work, [Condition("identifier", (Token(domain.realm, domain.name, value),))], limit=1).found
    if not found and domain == EXCHANGE:
        try:
            return actions.person_by_exchange_id(work, value)
        except NotFound:
            return None
    return found[0][0] if found else None


# --- matches ---


@dataclass(frozen=True, slots=True)
class _Graded:
    person: Person
    #: 0 to 1.
    score: float
    #: FHIR R4 value set match-grade.
    grade: str


def _graded(candidates: Iterable[Candidate]) -> list[_Graded]:
    """Of each person its likeliest record, best first; those that certainly are others are left out."""
    best: dict[str, _Graded] = {}
    for each in candidates:
        if each.decision == "apart":
            continue
        certain = each.decision == "join"
        score = each.evidence.probability if each.evidence.probability is not None else (1.0 if certain else 0.5)
        grade = "certain" if certain else "probable" if score >= 0.5 else "possible"
        person = Person(each.record.person_pk, each.exchange_id)
        made = _Graded(person, score, grade)
        if each.exchange_id not in best or _rank(made) > _rank(best[each.exchange_id]):
            best[each.exchange_id] = made
    return sorted(best.values(), key=_rank, reverse=True)


def _rank(graded: _Graded) -> tuple[bool, float, str]:
    return graded.grade == "certain", graded.score, graded.person.exchange_id
