"""Finding persons by what is known of them, page by page (for FHIR searches): bounded work for every page.

One condition, the most selective that has an index, offers persons in the order of their keys; the others are looked at
in what is known. A page ends when it is full, or when so many persons were looked at; then it says where to go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, false, or_, select, true

from huitong.access.deciding import Action
from huitong.access.work import Work
from huitong.people import permitting, records
from huitong.people.identifiers import normal
from huitong.people.model import Demographics, Person, Record
from huitong.people.tables import PATIENT, PATIENT_IDENTIFIER, PATIENT_KEY, PERSON
from huitong.wire import pinyin
from huitong.wire.mending import mended
from huitong.wire.names import name_forms_of
from huitong.wire.text import fold

#: Persons that are looked at for one page.
_LOOKED_AT = 2000
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Token:
    """An identifier, or all of a realm where `value` is empty."""

    #: "person", "patient" or "certificate"; empty for a value of whatever realm.
    realm: str
    #: Institution or kind of certificate; empty for any.
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a field begins with, or is (`exact`)."""

    value: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Dates:
    """YYYYMMDD, both included; empty: open."""

    first: str
    last: str


#: What may stand in a condition, by its field: "identifier" (Token), "name", "family", "given", "address" and
#: "mother_name" (Text), "phone" and "sex" (str), "birth_date" (Dates), "active" (bool).
Value = Token | Text | Dates | str | bool


@dataclass(frozen=True, slots=True)
class Condition:
    """Of a field: one of these."""

    field: str
    values: tuple[Value, ...]


#: A person with all its records.
Found = tuple[Person, list[Record]]


@dataclass(frozen=True, slots=True)
class Page:
    """Persons in the order of their keys."""

    found: list[Found]
    #: How many there are behind the place where the page begins; None where not all could be looked at.
    total: int | None
    #: To be given as `after` for the next page; None where this was the last.
    after: int | None


def search(work: Work, conditions: Sequence[Condition], *, after: int = 0, limit: int = 20) -> Page:
    """Persons of whom every condition holds, behind the one of key `after`; with a `limit` of 0 their number alone.

    Without an identifier they are persons with a record of the asker's institution. Raises NotAllowed.
    """
    permitting.permit(work, Action.FIND_PERSONS)
    anybody = permitting.shows_strangers(work) or any(_by_identifier(each) is not None for each in conditions)
    found: list[Found] = []
    total = 0
    with work.store.database.read() as tx:
        offered = _offered(tx, conditions, after)
        for at in range(0, len(offered), _AT_ONCE):
            for each in people(tx, offered[at : at + _AT_ONCE]):
                shown = anybody or permitting.is_ours(work, each[1])
                if shown and all(holds(condition, *each) for condition in conditions):
                    total += 1
                    found += [each] if len(found) < limit else []
    whole = len(offered) < _LOOKED_AT
    if total > len(found) and found:
        return Page(found, total if whole else None, found[-1][0].pk)
    return Page(found, total if whole else None, None if whole else offered[-1])


def people(tx: Connection, pks: Sequence[int]) -> list[Found]:
    """The persons of these keys, in this order, each with all its records."""
    ids, known = records.exchange_ids(tx, pks), _by_person(records.of_persons(tx, pks))
    return [(Person(pk, ids[pk]), known.get(pk, [])) for pk in pks]


def _by_person(found: Iterable[Record]) -> dict[int, list[Record]]:
    known: dict[int, list[Record]] = {}
    for record in found:
        known.setdefault(record.person_pk, []).append(record)
    return known


# --- what the index offers ---


def _offered(tx: Connection, conditions: Sequence[Condition], after: int) -> list[int]:
    """Keys of persons that may be wanted, in their order; those joined into others are none any more."""
    where = _narrowest(conditions)
    query = select(PATIENT.c.person_pk).where(PATIENT.c.person_pk > after, where)
    return list(tx.execute(query.distinct().order_by(PATIENT.c.person_pk).limit(_LOOKED_AT)).scalars())


def _narrowest(conditions: Sequence[Condition]) -> ColumnElement[bool]:
    for narrow in (_by_identifier, _by_birth_date, _by_name):
        for condition in conditions:
            where = narrow(condition)
            if where is not None:
                return where
    return true()


def _by_identifier(condition: Condition) -> ColumnElement[bool] | None:
    tokens = [each for each in condition.values if isinstance(each, Token)]
    if not tokens or not all(each.value for each in tokens):
        return None
    return or_(false(), *(_has(each) for each in tokens))


def _has(token: Token) -> ColumnElement[bool]:
    ways: list[ColumnElement[bool]] = []
    if "\0" in token.value:  # PostgreSQL takes none, and nothing that is kept has one
        return false()
    if token.realm in ("person", ""):
        into = select(PERSON.c.pk).where(PERSON.c.exchange_id == token.value)
        ways.append(PATIENT.c.person_pk.in_(into))
    if token.realm in ("patient", ""):
        number = PATIENT.c.number == token.value
        ways.append(and_(number, PATIENT.c.issuer == token.name) if token.name else number)
    if token.realm in ("certificate", ""):
        table = PATIENT_IDENTIFIER
        value = table.c.value.in_(sorted({token.value, normal(token.name, token.value) or token.value}))
        kind = table.c.kind == token.name if token.name else true()
        ways.append(PATIENT.c.pk.in_(select(table.c.patient_pk).where(value, kind, table.c.whose == "own")))
    return or_(false(), *ways)


def _by_birth_date(condition: Condition) -> ColumnElement[bool] | None:
    dates = [each for each in condition.values if isinstance(each, Dates)]
    if not dates:
        return None
    column = PATIENT.c.birth_date
    return or_(*(and_(column >= (each.first or "1"), column <= (each.last or "9")) for each in dates))


def _by_name(condition: Condition) -> ColumnElement[bool] | None:
    """By the forms that a name begins with; a given name stands first in the other order of the name."""
    texts = [form for each in condition.values if isinstance(each, Text) if (form := _form(each.value))]
    if condition.field not in ("name", "family", "given") or len(texts) < len(condition.values):
        return None
    key = PATIENT_KEY.c.key
    begins = (and_(key >= f"n:{form}", key < f"n:{form}\U0010ffff") for form in texts)
    return PATIENT.c.pk.in_(select(PATIENT_KEY.c.patient_pk).where(or_(*begins)))


def _form(text: str) -> str:
    return fold(text).replace(" ", "")


# --- what is looked at ---


def holds(condition: Condition, person: Person, known: Sequence[Record]) -> bool:
    """Whether one of the values is that of one of the person's records."""
    return any(_holds(condition.field, value, person, known) for value in condition.values)


def _holds(field: str, value: Value, person: Person, known: Sequence[Record]) -> bool:
    if isinstance(value, Token):
        return _is_identified(value, person, known)
    if isinstance(value, bool):  # a person stands here because it is one
        return value is any(record.active for record in known)
    every = [record.known for record in known]
    if isinstance(value, Dates):
        return any((value.first or "1") <= each.birth_date <= (value.last or "9") for each in every if each.birth_date)
    if isinstance(value, Text):
        return any(_says(field, value, text) for each in every for text in _written(field, each))
    if field == "phone":
        return any(_digits(value) == _digits(phone) for each in every for phone in each.phones)
    return any(each.sex == value for each in every)


def _is_identified(token: Token, person: Person, known: Sequence[Record]) -> bool:
    every = [("person", "", person.exchange_id)]
    for record in known:
        every.append(("patient", record.issuer, record.number))
        every += (("certificate", kind, value) for kind, value in record.known.certificates)
    wanted = {token.value, normal(token.name, token.value)} - {""}
    return any(
        token.realm in (realm, "") and token.name in (name, "") and (not wanted or value in wanted)
        for realm, name, value in every
    )


def _written(field: str, known: Demographics) -> list[str]:
    """The texts that are asked for by this field."""
    if field == "address":
        return [known.address]
    if field == "mother_name":
        return [known.mother_name]
    if field == "name":
        return list(known.names)
    return [_part(mended(name), field) for name in known.names]


def _part(name: str, field: str) -> str:
    """The "family" or "given" name; where both were written as one, the surname is told by the table."""
    family, separator, given = name.partition("^")
    if not separator:
        cut = len(name.split()[0]) if name.isascii() and name.split() else pinyin.surname_length(name)
        family, given = name[:cut], name[cut:]
    return (family if field == "family" else given.replace("^", " ")).strip()


def _forms(field: str, text: str) -> Iterable[str]:
    """The text as it is begun: an address anywhere, a name also in pinyin."""
    if field == "address":
        return (text[at:] for at in range(len(text)))
    return (text, *name_forms_of(mended(text)))


def _says(field: str, wanted: Text, text: str) -> bool:
    """As FHIR compares strings: from the beginning, without case, accents and separators; `exact` as it stands."""
    if wanted.exact:
        return wanted.value in (text, text.replace("^", ""))
    form = _form(wanted.value)
    return bool(form) and any(_form(each).startswith(form) for each in _forms(field, text))


def _digits(phone: str) -> str:
    return "".join(each for each in phone if each.isdigit())[-11:]
