"""Which records are whose, for searches: plain SQL on the session of a search, few statements whatever is asked."""

from __future__ import annotations

from collections.abc import Iterable

from huitong.people.identifiers import read_exchange_id
from huitong.store.database import KINDS, Session, among, listed


def exchange_ids(session: Session, record_pks: Iterable[int]) -> dict[int, str]:
    """The exchange id of the person of each record, by one statement."""
    wanted = sorted(set(record_pks))
    if not wanted:
        return {}
    return {row[0]: row[1] for row in session.rows(_IDS[session.kind], {"pks": listed(session.kind, wanted)})}


def records_of_number(session: Session, number: str) -> list[int] | None:
    """Keys of all records of the person whose exchange id this is; None for what is no exchange id at all."""
    exchange_id = read_exchange_id(number)
    if not exchange_id:
        return None
    return [row[0] for row in session.rows(_RECORDS, {"id": exchange_id})]


def persons_of_records(session: Session, record_pks: Iterable[int]) -> dict[int, int]:
    """The key of the person of each record, by one statement."""
    rows = session.rows(_PERSONS[session.kind], {"pks": listed(session.kind, sorted(set(record_pks)))})
    return {row[0]: row[1] for row in rows}


_OF = "SELECT patient.pk, person.exchange_id FROM patient JOIN person ON person.pk = patient.person_pk WHERE patient.pk"
_IDS = {database: among(database, _OF, ":pks", "bigint") for database in KINDS}
_PERSONS = {
    database: among(database, "SELECT pk, person_pk FROM patient WHERE pk", ":pks", "bigint") for database in KINDS
}
#: From the person of this id through all that it was joined into.
_RECORDS = """
    WITH RECURSIVE whose(pk, into_pk) AS (
        SELECT pk, joined_into_pk FROM person WHERE exchange_id = :id UNION
        SELECT person.pk, person.joined_into_pk FROM person JOIN whose ON person.pk = whose.into_pk
    ) SELECT patient.pk FROM patient JOIN whose ON patient.person_pk = whose.pk WHERE whose.into_pk IS NULL
    ORDER BY patient.pk
"""
