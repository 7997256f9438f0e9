"""What is so between an asker and a person at this moment: the facts that `access.deciding` decides by.

One statement for all, the same whether there is such a person or not, so that refused and unknown take equally long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from huitong.access.deciding import Fact
from huitong.access.model import Asker, Kind
from huitong.catalog.access import RELATIONS
from huitong.people.identifiers import read_exchange_id
from huitong.store.database import Session

#: Birthdays are days in China.
_CHINA = timezone(timedelta(hours=8), "UTC+8")


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
    now_ms = round(now.timestamp() * 1000)
    asked = {
        "institution": asker.institution or "",
        "account": asker.name if asker.kind is Kind.STAFF else "",
        "now": now_ms,
        "scanned": now_ms - round(RELATIONS.card_scan.total_seconds() * 1000),
    }
    rows = session.rows(sql, {**wanted, **asked})
    said: dict[str, list[Any]] = {}
    for row in rows:
        said.setdefault(row["kind"], []).append(row)
    facts = {fact for kind, fact in _PLAIN.items() if kind in said}
    open_visits = [row["a"] for row in said.get("visit", ()) if is_open(row["b"], row["since"], row["until"], now_ms)]
    if open_visits:
        facts.add(Fact.OPEN_VISIT)
    if asker.kind is Kind.PERSON:
        facts |= _own(session, asker, said, now)
    current = said.get("current", ())
    consented = frozenset(row["a"] for row in said.get("consent", ()))
    return Relations(current[0]["a"] if current else "", frozenset(facts), consented, next(iter(open_visits), ""))


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


def _own(session: Session, asker: Asker, said: dict[str, list[Any]], now: datetime) -> set[Fact]:
    """Whether the asker is the person, or a child's guardian."""
    mine = {row[0] for row in session.rows(_IDS, {"wanted": asker.person})}
    facts = {Fact.SELF} if any(row["a"] in mine for row in said.get("id", ())) else set()
    births = [row["a"] for row in said.get("birth", ())]
    guarded = bool(births) and all(RELATIONS.is_guarded(born, day_of(now)) for born in births)
    if guarded and any(row["a"] in mine for row in said.get("guardian", ())):
        facts.add(Fact.GUARDIAN)
    return facts


def day_of(moment: datetime) -> str:
    """YYYYMMDD in China."""
    return moment.astimezone(_CHINA).strftime("%Y%m%d")


def ids_of(session: Session, exchange_id: str) -> list[str]:
    """All exchange ids that lead to the same person as this one, itself among them; empty for one that is unknown."""
    return [row[0] for row in session.rows(_IDS, {"wanted": exchange_id})]


def records_that_are_theirs(session: Session, asker: Asker, now: datetime) -> list[int]:
    """Keys of the records of a resident, and of the children whose guardian they are."""
    found = session.rows(_THEIRS, {"wanted": asker.person})
    wards = {row["exchange_id"] for row in found if row["pk"] is None}
    pks = {row["pk"] for row in found if row["pk"] is not None}
    for ward in sorted(wards):
        if Fact.GUARDIAN in of_person(session, asker, ward, now).facts:
            pks.update(row["pk"] for row in session.rows(_THEIRS, {"wanted": ward}) if row["pk"] is not None)
    return sorted(pks)


# --- SQL ---

#: The person that a record or an id leads to, and all persons that were joined into it.
_OF_RECORD = "SELECT person_pk FROM patient WHERE patient.pk = :wanted"
_OF_ID = """
    SELECT pk FROM (
        WITH RECURSIVE up(pk, into_pk) AS (
            SELECT pk, joined_into_pk FROM person WHERE exchange_id = :wanted UNION
            SELECT person.pk, person.joined_into_pk FROM person JOIN up ON person.pk = up.into_pk
        ) SELECT pk FROM up WHERE into_pk IS NULL
    ) AS led
"""
_ALL = """
    WITH RECURSIVE ids(pk, exchange_id, into_pk) AS (
        SELECT pk, exchange_id, joined_into_pk FROM person WHERE pk = ({whose}) UNION
        SELECT person.pk, person.exchange_id, person.joined_into_pk FROM person
            JOIN ids ON person.joined_into_pk = ids.pk
    )
"""
_FACTS = """
    , mine AS (
        SELECT patient.pk, patient.issuer, patient.number, patient.birth_date
        FROM patient JOIN ids ON patient.person_pk = ids.pk
    )
    SELECT CAST('current' AS text) AS kind, exchange_id AS a, CAST('' AS text) AS b, CAST(NULL AS bigint) AS since,
        CAST(NULL AS bigint) AS until FROM ids WHERE into_pk IS NULL
    UNION ALL SELECT 'id', exchange_id, '', NULL, NULL FROM ids
    UNION ALL SELECT 'birth', birth_date, '', NULL, NULL FROM mine WHERE birth_date <> ''
    UNION ALL SELECT 'objection', '', '', objection.at_ms, NULL
        FROM objection JOIN ids ON objection.person = ids.exchange_id WHERE objection.ended_at_ms IS NULL
    UNION ALL SELECT 'consent', consent.sensitive_class, '', NULL, NULL
        FROM consent JOIN ids ON consent.person = ids.exchange_id
        WHERE consent.ended_at_ms IS NULL AND consent.institution IN ('', :institution)
    UNION ALL SELECT 'guardian', guardianship.guardian, '', NULL, NULL
        FROM guardianship JOIN ids ON guardianship.person = ids.exchange_id WHERE guardianship.ended_at_ms IS NULL
    UNION ALL SELECT 'glass', break_glass.reason, '', break_glass.at_ms, break_glass.until_ms
        FROM break_glass JOIN ids ON break_glass.person = ids.exchange_id
        WHERE break_glass.until_ms > :now AND break_glass.account = :account
            AND break_glass.institution = :institution AND break_glass.verdict <> 'unjustified'
    UNION ALL SELECT 'visit', visit.number, visit.patient_class, visit.opened_at_ms, visit.closed_at_ms
        FROM visit JOIN mine ON visit.institution = mine.issuer AND visit.patient_number = mine.number
        WHERE visit.institution = :institution
    UNION ALL SELECT 'scan', '', '', card_use.at_ms, NULL
        FROM card_use JOIN card ON card.pk = card_use.card_pk JOIN mine ON mine.pk = card.patient_pk
        WHERE card_use.institution = :institution AND card_use.institution <> '' AND card_use.dynamic = 1
            AND card_use.at_ms >= :scanned
"""
_BY_RECORD, _BY_ID = _ALL.format(whose=_OF_RECORD) + _FACTS, _ALL.format(whose=_OF_ID) + _FACTS
_IDS = _ALL.format(whose=_OF_ID) + " SELECT exchange_id FROM ids ORDER BY exchange_id"
_THEIRS = (
    _ALL.format(whose=_OF_ID)
    + """
    SELECT patient.pk, ids.exchange_id FROM patient JOIN ids ON patient.person_pk = ids.pk
    UNION ALL SELECT CAST(NULL AS bigint), guardianship.person
        FROM guardianship JOIN ids ON guardianship.guardian = ids.exchange_id WHERE guardianship.ended_at_ms IS NULL
"""
)
