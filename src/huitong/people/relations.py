"""What is so between an asker and a person at this moment: the facts that `access.deciding` decides by.

Two statements, the same whether there is such a person or not, so that refused and unknown take equally long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from huitong.access.deciding import Fact
from huitong.access.model import Asker, Kind
from huitong.base.clock import CHINA, milliseconds
from huitong.catalog.access import RELATIONS
from huitong.people.identifiers import read_exchange_id
from huitong.store.database import KINDS, Session, among, listed


@dataclass(frozen=True, slots=True)
class Relations:
    """Facts about one person."""

    #: Exchange id of this day; empty where there is no such person.
    person: str = ""
    facts: frozenset[Fact] = frozenset()
    #: Sensitive classes that the person has consented to show to the asker's institution.
    consented: frozenset[str] = frozenset()
    #: Number of the visit that is open.
    visit: str = ""


def of_record(session: Session, asker: Asker, record_pk: int | None, now: datetime) -> Relations:
    """Between the asker and the person of a record."""
    return _gather(session, asker, _BY_RECORD, {"wanted": -1 if record_pk is None else record_pk}, now)


def of_person(session: Session, asker: Asker, exchange_id: str, now: datetime) -> Relations:
    """Between the asker and the person that the id leads to."""
    return _gather(session, asker, _BY_ID, {"wanted": read_exchange_id(exchange_id)}, now)


def _gather(session: Session, asker: Asker, sql: str, wanted: dict[str, Any], now: datetime) -> Relations:
    who = session.rows(sql, wanted)
    now_ms = milliseconds(now)
    institution = asker.institution or ""
    asked = {
        "ids": listed(session.kind, sorted({row["exchange_id"] for row in who})),
        "records": listed(session.kind, sorted({row["record"] for row in who if row["record"] is not None})),
        "numbers": listed(session.kind, sorted({row["number"] for row in who if row["issuer"] == institution})),
        "institution": institution,
        "account": asker.name if asker.kind is Kind.STAFF else "",
        "now": now_ms,
        "scanned": now_ms - round(RELATIONS.card_scan.total_seconds() * 1000),
    }
    said: dict[str, list[Any]] = {}
    for row in session.rows(_FACTS[session.kind], asked):
        said.setdefault(row["kind"], []).append(row)
    facts = {fact for kind, fact in _PLAIN.items() if kind in said}
    open_visits = [row["a"] for row in said.get("visit", ()) if is_open(row["b"], row["since"], row["until"], now_ms)]
    if open_visits:
        facts.add(Fact.OPEN_VISIT)
    if asker.kind is Kind.PERSON:
        facts |= _own(session, asker, who, said, now)
    if asker.kind is Kind.SHARE and _is_shared(session, asker, who, said):
        facts.add(Fact.SHARED)
    current = next((row["exchange_id"] for row in who if row["into_pk"] is None), "")
    consented = frozenset(row["a"] for row in said.get("consent", ()))
    return Relations(current, frozenset(facts), consented, next(iter(open_visits), ""))


_PLAIN = {"objection": Fact.OBJECTION, "glass": Fact.BREAK_GLASS, "scan": Fact.CARD_SCAN}


def is_open(patient_class: str, opened_ms: int | None, closed_ms: int | None, now_ms: int) -> bool:
    """Whether a visit with these times counts as one under which somebody is being treated."""
    if closed_ms is not None and now_ms > closed_ms + RELATIONS.visit_grace.total_seconds() * 1000:
        return False
    if opened_ms is None:
        return closed_ms is not None
    if opened_ms > now_ms + RELATIONS.visit_skew.total_seconds() * 1000:
        return False
    return closed_ms is not None or now_ms <= opened_ms + RELATIONS.longest(patient_class).total_seconds() * 1000


def _own(session: Session, asker: Asker, who: list[Any], said: dict[str, list[Any]], now: datetime) -> set[Fact]:
    """Whether the asker is the person, or a child's guardian."""
    mine = set(ids_of(session, asker.person))
    facts = {Fact.SELF} if any(row["exchange_id"] in mine for row in who) else set()
    if _is_guarded(who, now) and any(row["a"] in mine for row in said.get("guardian", ())):
        facts.add(Fact.GUARDIAN)
    return facts


def _is_shared(session: Session, asker: Asker, who: list[Any], said: dict[str, list[Any]]) -> bool:
    """Whether the record is still the person's whose study was shared, and the sharer that person or still a guardian.

    A split may have made either somebody else. A guardian's link outlives the 14th birthday, until its own end.
    """
    ids = {row["exchange_id"] for row in who}
    if asker.person not in ids or not asker.sharer or asker.sharer in ids:
        return asker.person in ids
    theirs = set(ids_of(session, asker.sharer))
    return any(row["a"] in theirs for row in said.get("guardian", ()))


def _is_guarded(who: list[Any], now: datetime) -> bool:
    births = [row["birth_date"] for row in who if row["birth_date"]]
    return bool(births) and all(RELATIONS.is_guarded(born, day_of(now)) for born in births)


def is_guarded(session: Session, exchange_id: str, now: datetime) -> bool:
    """Whether the person is a child for whom a guardian acts, as far as is known when they were born."""
    return _is_guarded(session.rows(_BY_ID, {"wanted": exchange_id}), now)


def issuers_of(session: Session, exchange_id: str) -> frozenset[str]:
    """Codes of the institutions where the person is registered."""
    found = session.rows(_BY_ID, {"wanted": read_exchange_id(exchange_id)})
    return frozenset(row["issuer"] for row in found if row["issuer"])


def day_of(moment: datetime) -> str:
    """YYYYMMDD in China, where birthdays are days."""
    return moment.astimezone(CHINA).strftime("%Y%m%d")


def ids_of(session: Session, exchange_id: str) -> list[str]:
    """All exchange ids that lead to the same person as this one, itself among them; empty for one that is unknown."""
    return sorted({row["exchange_id"] for row in session.rows(_BY_ID, {"wanted": exchange_id})})


def records_that_are_theirs(session: Session, asker: Asker, now: datetime) -> list[int]:
    """Keys of the records of a resident, and of the children whose guardian they are."""
    theirs = [asker.person, *wards_of(session, asker, now)]
    found = [row for each in theirs for row in session.rows(_BY_ID, {"wanted": each})]
    return sorted({row["record"] for row in found if row["record"] is not None})


def wards_of(session: Session, asker: Asker, now: datetime) -> list[str]:
    """Exchange ids, of this day, of the children for whom a resident acts at this moment."""
    ids = listed(session.kind, ids_of(session, asker.person))
    named = sorted({row[0] for row in session.rows(_WARDS[session.kind], {"ids": ids})})
    found = (of_person(session, asker, each, now) for each in named)
    return list(dict.fromkeys(each.person for each in found if Fact.GUARDIAN in each.facts))


# --- SQL: two statements, so that each looks its rows up by index whatever the planner expects of the other ---

#: The person, all persons that were joined into it (`into_pk`), and its records.
_WHO = """
    WITH RECURSIVE ids(pk, exchange_id, into_pk) AS (
        SELECT pk, exchange_id, joined_into_pk FROM person WHERE pk = ({whose}) UNION
        SELECT person.pk, person.exchange_id, person.joined_into_pk FROM person
            JOIN ids ON person.joined_into_pk = ids.pk
    )
    SELECT ids.exchange_id, ids.into_pk, patient.pk AS record, patient.issuer, patient.number, patient.birth_date
    FROM ids LEFT JOIN patient ON patient.person_pk = ids.pk
"""
_BY_RECORD = _WHO.format(whose="SELECT person_pk FROM patient WHERE patient.pk = :wanted")
_BY_ID = _WHO.format(
    whose="""
    WITH RECURSIVE up(pk, into_pk) AS (
        SELECT pk, joined_into_pk FROM person WHERE exchange_id = :wanted UNION
        SELECT person.pk, person.joined_into_pk FROM person JOIN up ON person.pk = up.into_pk
    ) SELECT pk FROM up WHERE into_pk IS NULL
"""
)
_OF_THEM = """
    SELECT CAST('objection' AS text) AS kind, CAST('' AS text) AS a, CAST('' AS text) AS b, at_ms AS since,
        CAST(NULL AS bigint) AS until FROM objection WHERE {ids} AND ended_at_ms IS NULL
    UNION ALL SELECT 'consent', sensitive_class, '', NULL, NULL FROM consent
        WHERE {ids} AND ended_at_ms IS NULL AND institution IN ('', :institution)
    UNION ALL SELECT 'guardian', guardian, '', NULL, NULL FROM guardianship WHERE {ids} AND ended_at_ms IS NULL
    UNION ALL SELECT 'glass', reason, '', at_ms, until_ms FROM break_glass
        WHERE {ids} AND until_ms > :now AND account = :account AND institution = :institution
            AND verdict <> 'unjustified'
    UNION ALL SELECT 'visit', number, patient_class, opened_at_ms, closed_at_ms FROM visit
        WHERE institution = :institution AND {numbers}
    UNION ALL SELECT 'scan', '', '', card_use.at_ms, NULL FROM card CROSS JOIN card_use
        WHERE {records} AND card_use.card_pk = card.pk AND card_use.at_ms >= :scanned
            AND card_use.institution = :institution AND card_use.institution <> '' AND card_use.dynamic = 1
"""
_FACTS = {
    database: _OF_THEM.format(
        ids=among(database, "person", ":ids"),
        numbers=among(database, "patient_number", ":numbers"),
        records=among(database, "card.patient_pk", ":records", "bigint"),
    )
    for database in KINDS
}
_WARDS = {
    database: f"SELECT person FROM guardianship WHERE {among(database, 'guardian', ':ids')} AND ended_at_ms IS NULL"
    for database in KINDS
}
