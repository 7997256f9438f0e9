"""The SQL of records: who has which number, what is known of them, by what they are found."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    BindParameter,
    Connection,
    TextClause,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)

from huitong.base.clock import moment
from huitong.people.identifiers import exchange_id, normal
from huitong.people.model import Certificate, Demographics, Person, Record, RecordKey
from huitong.people.tables import PATIENT, PATIENT_IDENTIFIER, PATIENT_KEY, PERSON
from huitong.store.tables import sorted_json

_INTO = PATIENT.alias("into")
_RECORDS = select(PATIENT, _INTO.c.number.label("into_number")).outerjoin(_INTO, _INTO.c.pk == PATIENT.c.merged_into_pk)
#: Names of one statement's lists.
_AT_ONCE = 500


# --- reading ---

# Made once: SQLAlchemy takes longer to build such a statement than the database to answer it.
_LIST: BindParameter[Any] = bindparam("some", expanding=True)
_BY_PK = _RECORDS.where(PATIENT.c.pk.in_(_LIST))
_TOLD = ("pk", "names", "sex", "birth_date", "phones", "address", "mother_name", "birth_order")
_SAID = select(*(PATIENT.c[name] for name in _TOLD)).where(PATIENT.c.pk.in_(_LIST))
_BY_NUMBER = _RECORDS.where(PATIENT.c.issuer == bindparam("issuer"), PATIENT.c.number == bindparam("number"))
_USED = (
    select(_INTO.c.number)
    .join(PATIENT, _INTO.c.pk == PATIENT.c.merged_into_pk)
    .where(PATIENT.c.issuer == bindparam("issuer"), PATIENT.c.number == bindparam("number"))
)
_OF_PERSONS = _RECORDS.where(PATIENT.c.person_pk.in_(_LIST)).order_by(PATIENT.c.pk)
_CERTIFICATES = (
    select(PATIENT_IDENTIFIER)
    .where(PATIENT_IDENTIFIER.c.patient_pk.in_(_LIST))
    .order_by(PATIENT_IDENTIFIER.c.kind, PATIENT_IDENTIFIER.c.value)
)


def _read(tx: Connection, query: Any, **named: Any) -> list[Record]:
    """The records of a query over `_RECORDS`."""
    rows = tx.execute(query, named).all()
    certificates = _certificates(tx, [row.pk for row in rows])
    return [_record(row, certificates.get(row.pk, {})) for row in rows]


def by_pk(tx: Connection, pks: Iterable[int]) -> dict[int, Record]:
    wanted, found = sorted(set(pks)), dict[int, Record]()
    for at in range(0, len(wanted), _AT_ONCE):
        found |= {record.pk: record for record in _read(tx, _BY_PK, some=wanted[at : at + _AT_ONCE])}
    return found


def said_of(tx: Connection, pks: Iterable[int]) -> Iterator[tuple[int, Demographics]]:
    """What these records say of their patients, without the mother's certificates."""
    wanted = sorted(pks)
    for at in range(0, len(wanted), _AT_ONCE):
        some = wanted[at : at + _AT_ONCE]
        certificates = _certificates(tx, some)
        for row in tx.execute(_SAID, {"some": some}):
            yield row.pk, _known(row, certificates.get(row.pk, {}).get("own", ()), ())


def by_number(tx: Connection, issuer: str, number: str) -> Record | None:
    return next(iter(_read(tx, _BY_NUMBER, issuer=issuer, number=number)), None)


def in_use(tx: Connection, issuer: str, number: str) -> str:
    """The number that the institution uses instead of this one, where it has merged it into another."""
    seen = {number}
    while (into := tx.execute(_USED, {"issuer": issuer, "number": number}).scalar()) is not None and into not in seen:
        number = into
        seen.add(number)
    return number


def of_persons(tx: Connection, person_pks: Iterable[int]) -> list[Record]:
    return _read(tx, _OF_PERSONS, some=list(person_pks))


def _certificates(tx: Connection, pks: Sequence[int]) -> dict[int, dict[str, list[tuple[str, str]]]]:
    found: dict[int, dict[str, list[tuple[str, str]]]] = {}
    for at in range(0, len(pks), _AT_ONCE):
        for row in tx.execute(_CERTIFICATES, {"some": list(pks[at : at + _AT_ONCE])}):
            found.setdefault(row.patient_pk, {}).setdefault(row.whose, []).append((row.kind, row.value))
    return found


def _known(row: Any, own: Sequence[Certificate], mothers: Sequence[Certificate]) -> Demographics:
    return Demographics(
        names=tuple(row.names.splitlines()),
        sex=row.sex,
        birth_date=row.birth_date,
        phones=tuple(row.phones.splitlines()),
        address=row.address,
        mother_name=row.mother_name,
        mother_certificates=tuple(mothers),
        birth_order=row.birth_order,
        certificates=tuple(own),
    )


def _record(row: Any, certificates: Mapping[str, Sequence[tuple[str, str]]]) -> Record:
    newest = max(orjson.loads(row.said).values(), default=0)
    known = _known(row, certificates.get("own", ()), certificates.get("mother", ()))
    return Record(
        pk=row.pk,
        issuer=row.issuer,
        number=row.number,
        known=known,
        effective_at=moment(newest),
        revision=row.revision,
        merged_into=row.into_number or "",
        active=bool(row.active),
        person_pk=row.person_pk,
        first_person_pk=row.first_person_pk,
    )


def said_at(tx: Connection, pk: int) -> dict[str, int]:
    """When each field was said last, in milliseconds."""
    text = tx.execute(select(PATIENT.c.said).where(PATIENT.c.pk == pk)).scalar_one()
    said: dict[str, int] = orjson.loads(text)
    return said


def unmatched(tx: Connection, limit: int) -> list[int]:
    wanted = select(PATIENT.c.pk).where(PATIENT.c.matched_revision < PATIENT.c.revision)
    return list(tx.execute(wanted.order_by(PATIENT.c.pk).limit(limit)).scalars())


# --- persons ---


def person(tx: Connection, pk: int) -> Person:
    """The person that this one is now: itself, or who it was joined into."""
    while True:
        row = tx.execute(select(PERSON).where(PERSON.c.pk == pk)).one()
        if row.joined_into_pk is None:
            return Person(row.pk, row.exchange_id)
        pk = row.joined_into_pk


def person_by_id(tx: Connection, text: str) -> Person | None:
    pk = tx.execute(select(PERSON.c.pk).where(PERSON.c.exchange_id == text)).scalar()
    return person(tx, pk) if pk is not None else None


def exchange_ids(tx: Connection, pks: Iterable[int]) -> dict[int, str]:
    """Of each person its own, whether it was joined or not."""
    wanted = select(PERSON.c.pk, PERSON.c.exchange_id).where(PERSON.c.pk.in_(sorted(set(pks))))
    return {row.pk: row.exchange_id for row in tx.execute(wanted)}


def persons_of(tx: Connection, keys: Iterable[RecordKey]) -> dict[RecordKey, Person]:
    found, wanted = dict[RecordKey, Person](), sorted(set(keys))
    for at in range(0, len(wanted), _AT_ONCE):
        query = select(PATIENT.c.issuer, PATIENT.c.number, PERSON.c.pk, PERSON.c.exchange_id).join(
            PERSON, PERSON.c.pk == PATIENT.c.person_pk
        )
        some = query.where(tuple_(PATIENT.c.issuer, PATIENT.c.number).in_(wanted[at : at + _AT_ONCE]))
        found |= {(r.issuer, r.number): Person(r.pk, r.exchange_id) for r in tx.execute(some)}
    return found


def new_person(tx: Connection) -> int:
    row = {"exchange_id": exchange_id(secrets.randbits(80))}
    return int(tx.execute(insert(PERSON).values(row).returning(PERSON.c.pk)).scalar_one())


# --- writing ---


def add(tx: Connection, issuer: str, number: str) -> int:
    """A record of which nothing is known, with a person of its own."""
    own = new_person(tx)
    row = {"issuer": issuer, "number": number, "person_pk": own, "first_person_pk": own, "said": "{}", "revision": 0}
    empty = dict.fromkeys(("names", "sex", "birth_date", "phones", "address", "mother_name"), "")
    return int(tx.execute(insert(PATIENT).values(row | empty).returning(PATIENT.c.pk)).scalar_one())


def change(tx: Connection, pk: int, known: Demographics, said: Mapping[str, int]) -> None:
    """The record says this from now on; it is to be compared again."""
    columns = {
        "names": "\n".join(known.names),
        "sex": known.sex,
        "birth_date": known.birth_date,
        "phones": "\n".join(known.phones),
        "address": known.address,
        "mother_name": known.mother_name,
        "birth_order": known.birth_order,
    }
    tx.execute(
        update(PATIENT)
        .where(PATIENT.c.pk == pk)
        .values(**columns, said=sorted_json(dict(said)), revision=PATIENT.c.revision + 1, active=1)
    )
    tx.execute(delete(PATIENT_IDENTIFIER).where(PATIENT_IDENTIFIER.c.patient_pk == pk))
    rows = [
        {"patient_pk": pk, "whose": whose, "kind": kind, "value": normal(kind, value) or value}
        | {"sound": int(bool(normal(kind, value)))}
        for whose, certificates in (("own", known.certificates), ("mother", known.mother_certificates))
        for kind, value in certificates
    ]
    each = {(row["whose"], row["kind"], row["value"]): row for row in rows}
    if each:
        tx.execute(insert(PATIENT_IDENTIFIER), list(each.values()))


def note_said(tx: Connection, pk: int, said: Mapping[str, int]) -> None:
    """The same was said again, later."""
    tx.execute(update(PATIENT).where(PATIENT.c.pk == pk).values(said=sorted_json(dict(said))))


def put_keys(tx: Connection, pk: int, keys: Iterable[str]) -> None:
    """What the record is looked up by from now on."""
    tx.execute(_FORGET_KEYS, {"pk": pk})
    if rows := [{"key": key, "patient_pk": pk} for key in sorted(set(keys))]:
        tx.execute(_PUT_KEYS, rows)


_FORGET_KEYS = delete(PATIENT_KEY).where(PATIENT_KEY.c.patient_pk == bindparam("pk"))
_PUT_KEYS = insert(PATIENT_KEY)


def note_matched(tx: Connection, pk: int, revision: int) -> None:
    """It has been compared with others as of this revision."""
    tx.execute(_NOTE_MATCHED, {"which": pk, "compared": revision})


_NOTE_MATCHED = update(PATIENT).where(PATIENT.c.pk == bindparam("which")).values(matched_revision=bindparam("compared"))


def match_again(tx: Connection, person_pks: Iterable[int]) -> None:
    """What stood in the way of joining these may be gone."""
    tx.execute(update(PATIENT).where(PATIENT.c.person_pk.in_(list(person_pks))).values(revision=PATIENT.c.revision + 1))


def merge(tx: Connection, goes: int, stays: int) -> None:
    tx.execute(
        update(PATIENT).where(PATIENT.c.pk == goes).values(merged_into_pk=stays, revision=PATIENT.c.revision + 1)
    )


def set_active(tx: Connection, pk: int, active: bool) -> None:
    tx.execute(update(PATIENT).where(PATIENT.c.pk == pk).values(active=int(active)))


# --- looking up ---


def sharing_certificates(tx: Connection, pk: int, certificates: Iterable[tuple[str, str]], limit: int) -> list[int]:
    """Other records with one of these, their own or as that of the mother (for whom these are the mother's)."""
    wanted = [(value, kind) for kind, value in certificates]
    if not wanted:
        return []
    return list(tx.execute(_SHARING_CERTIFICATES, {"some": wanted, "pk": pk, "most": limit}).scalars())


_SHARING_CERTIFICATES = (
    select(PATIENT_IDENTIFIER.c.patient_pk)
    .where(
        tuple_(PATIENT_IDENTIFIER.c.value, PATIENT_IDENTIFIER.c.kind).in_(_LIST),
        PATIENT_IDENTIFIER.c.sound == 1,
        PATIENT_IDENTIFIER.c.patient_pk != bindparam("pk"),
    )
    .distinct()
    .limit(bindparam("most"))
)


def sharing_keys(tx: Connection, pk: int, keys: Iterable[str], most_of_one: int) -> list[int]:
    """Other records with one of these keys. A key that too many have tells nobody apart and is passed over."""
    wanted = sorted(set(keys))
    if not wanted:
        return []
    named = {f"key{at}": key for at, key in enumerate(wanted)}
    found: dict[int, list[int]] = {}
    for at, other in tx.execute(_sharing(len(wanted)), {**named, "pk": pk, "most": most_of_one + 1}):
        found.setdefault(at, []).append(other)
    return list(dict.fromkeys(other for rows in found.values() if len(rows) <= most_of_one for other in rows))


@cache
def _sharing(count: int) -> TextClause:
    """(place of the key, record), in one statement: a look-up has about ten keys, and each round trip its price."""
    each = (
        f"SELECT * FROM (SELECT {at} AS at, patient_pk FROM patient_key"  # noqa: S608 - constant pieces
        f" WHERE key = :key{at} AND patient_pk <> :pk LIMIT :most) AS found{at}"
        for at in range(count)
    )
    return text(" UNION ALL ".join(each))


#: Keys that are looked at for names of one institution's patients.
_LOOKED_AT = 20_000


def with_form(tx: Connection, form: str, limit: int, issuer: str | None = None) -> list[int]:
    """Records of which a name begins like this; of an `issuer`, those of its patients."""
    low = f"n:{form}"
    wanted = select(PATIENT_KEY.c.patient_pk).where(PATIENT_KEY.c.key >= low, PATIENT_KEY.c.key < low + "\U0010ffff")
    if issuer is None:
        return list(tx.execute(wanted.distinct().limit(limit)).scalars())
    looked = wanted.distinct().limit(_LOOKED_AT).subquery()
    other, own = PATIENT.alias("other"), PATIENT.alias("own")
    whose = select(other.c.pk).join(looked, looked.c.patient_pk == other.c.pk)
    ours = select(own.c.pk).where(own.c.person_pk == other.c.person_pk, own.c.issuer == issuer).exists()
    return list(tx.execute(whose.where(ours).limit(limit)).scalars())


def with_number(tx: Connection, number: str, limit: int) -> list[int]:
    """Records with this patient number, of whatever institution, or with a certificate of this number."""
    own = select(PATIENT.c.pk).where(PATIENT.c.number == number)
    wanted = sorted({number} | {value for kind in ("GB11643", "HMT", "TWT") if (value := normal(kind, number))})
    shown = select(PATIENT_IDENTIFIER.c.patient_pk).where(
        PATIENT_IDENTIFIER.c.value.in_([*wanted, number.upper()]), PATIENT_IDENTIFIER.c.whose == "own"
    )
    return list(tx.execute(own.union(shown).limit(limit)).scalars())


def counts(tx: Connection) -> dict[str, int]:
    """How many records and persons there are."""
    return {
        "records": tx.execute(select(func.count()).select_from(PATIENT)).scalar_one(),
        "persons": tx.execute(
            select(func.count()).select_from(PERSON).where(PERSON.c.joined_into_pk.is_(None))
        ).scalar_one(),
    }
