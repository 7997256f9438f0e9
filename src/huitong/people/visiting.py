"""Visits, as messages tell of them: opened or closed, whatever the order in which the messages come.

One statement each, so that two connections that tell of one visit need no lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, text

from huitong.base.clock import milliseconds, moment
from huitong.people.adt import Effect, VisitChange
from huitong.people.message_tables import VISIT


@dataclass(frozen=True, slots=True)
class Visit:
    """A stay or consultation in one institution."""

    institution: str
    patient_number: str
    #: Empty where the institution numbers none.
    number: str
    #: HL7 table 0004: I, O, E …
    patient_class: str
    #: None where only its end was told.
    opened_at: datetime | None
    #: None while it is open.
    closed_at: datetime | None


def change_visit(write: Connection, institution: str, change: VisitChange, effective_at: datetime) -> None:
    """What the message says, unless something newer is known. `effective_at`: of the message."""
    at_ms = milliseconds(change.at)
    row = {
        "institution": institution,
        "patient_number": change.patient_number,
        "number": change.number,
        "class": change.patient_class,
        "opened": None if change.effect is Effect.CLOSES else at_ms,
        "closed": at_ms if change.effect is Effect.CLOSES else None,
        "effective": milliseconds(effective_at),
        "begins": int(change.effect is Effect.OPENS),
    }
    write.execute(_CHANGE, row)


#: An older message still tells when the visit was opened.
_CHANGE = text("""
    INSERT INTO visit(institution, patient_number, number, patient_class, opened_at_ms, closed_at_ms, effective_at_ms)
    VALUES (:institution, :patient_number, :number, :class, :opened, :closed, :effective)
    ON CONFLICT (institution, patient_number, number) DO UPDATE SET
        opened_at_ms = CASE
            WHEN :begins = 1 AND (excluded.effective_at_ms >= visit.effective_at_ms
                OR excluded.opened_at_ms < visit.opened_at_ms) THEN excluded.opened_at_ms
            ELSE coalesce(visit.opened_at_ms, excluded.opened_at_ms) END,
        closed_at_ms = CASE
            WHEN excluded.effective_at_ms >= visit.effective_at_ms THEN excluded.closed_at_ms
            ELSE visit.closed_at_ms END,
        patient_class = CASE
            WHEN excluded.patient_class <> ''
                AND (excluded.effective_at_ms >= visit.effective_at_ms OR visit.patient_class = '')
            THEN excluded.patient_class ELSE visit.patient_class END,
        effective_at_ms = CASE
            WHEN excluded.effective_at_ms >= visit.effective_at_ms THEN excluded.effective_at_ms
            ELSE visit.effective_at_ms END
""")


def under(read: Connection, institution: str, numbers: Sequence[str], change: VisitChange) -> VisitChange:
    """The change, of the number among these that the visit is known under; else of the first.

    Of several numbers of one patient (PID-3) messages name now one first and now another.
    """
    known = select(VISIT.c.patient_number).where(
        VISIT.c.institution == institution, VISIT.c.number == change.number, VISIT.c.patient_number.in_(numbers)
    )
    found = read.execute(known.order_by(VISIT.c.pk).limit(1)).scalar()
    return replace(change, patient_number=numbers[0] if found is None else found)


def move_visits(write: Connection, institution: str, goes: str, stays: str) -> None:
    """The visits under one number are those of another from now on; of one that both have, the newer word counts."""
    whose = {"institution": institution, "goes": goes, "stays": stays}
    for row in write.execute(_OF_BOTH, whose).mappings().all():
        write.execute(_CHANGE, {**row, "patient_number": stays, "begins": int(row["opened"] is not None)})
        write.execute(_FORGET, {**whose, "number": row["number"]})
    write.execute(_MOVE, whose)


_OF_BOTH = text("""
    SELECT visit.institution, visit.number, visit.patient_class AS class, visit.opened_at_ms AS opened,
        visit.closed_at_ms AS closed, visit.effective_at_ms AS effective
    FROM visit JOIN visit AS other ON other.institution = visit.institution AND other.number = visit.number
    WHERE visit.institution = :institution AND visit.patient_number = :goes AND other.patient_number = :stays
""")
_FORGET = text("DELETE FROM visit WHERE institution = :institution AND patient_number = :goes AND number = :number")


_MOVE = text("UPDATE visit SET patient_number = :stays WHERE institution = :institution AND patient_number = :goes")


def visits_of(read: Connection, institution: str, patient_number: str) -> list[Visit]:
    """Newest first."""
    rows = read.execute(
        select(VISIT)
        .where(VISIT.c.institution == institution, VISIT.c.patient_number == patient_number)
        .order_by(VISIT.c.effective_at_ms.desc(), VISIT.c.pk.desc())
    )
    return [_visit(row) for row in rows]


def _visit(row: Row[Any]) -> Visit:
    opened, closed = _time(row.opened_at_ms), _time(row.closed_at_ms)
    return Visit(row.institution, row.patient_number, row.number, row.patient_class, opened, closed)


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else moment(ms)
