"""The SQL of links and questions: joins and splits as they happened, and what humans are asked and have said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import BindParameter, Connection, bindparam, func, insert, or_, select, update

from huitong.base.clock import moment
from huitong.people import records
from huitong.people.model import Evidence, LinkEvent, Question, Record
from huitong.people.tables import LINK_EVENT, PATIENT, PERSON, QUESTION
from huitong.store.tables import sorted_json

# --- joins and splits ---


def move(tx: Connection, patient_pks: Iterable[int], to: int) -> None:
    tx.execute(update(PATIENT).where(PATIENT.c.pk.in_(list(patient_pks))).values(person_pk=to))


def resolve(tx: Connection, person_pks: Iterable[int], into: int) -> None:
    """The ids of these persons lead to another one, or to one of them, whose own then leads to itself."""
    for pks, to in ((set(person_pks) - {into}, into), (set(person_pks) & {into}, None)):
        if pks:
            tx.execute(update(PERSON).where(PERSON.c.pk.in_(sorted(pks))).values(joined_into_pk=to))


def add_event(tx: Connection, *, moved: Sequence[int], evidence: Evidence, **columns: Any) -> int:
    row = {**columns, "moved": sorted_json(sorted(moved)), "evidence": sorted_json(evidence.body())}
    return int(tx.execute(insert(LINK_EVENT).values(row).returning(LINK_EVENT.c.pk)).scalar_one())


def mark_undone(tx: Connection, pk: int, by: int) -> None:
    tx.execute(update(LINK_EVENT).where(LINK_EVENT.c.pk == pk).values(undone_by_pk=by))


def event(tx: Connection, pk: int) -> Any:
    """The row, `moved` as a list; None if there is none."""
    return tx.execute(select(LINK_EVENT).where(LINK_EVENT.c.pk == pk)).first()


def moved_by(row: Any) -> list[int]:
    moved: list[int] = orjson.loads(row.moved)
    return moved


def evidence_of(row: Any) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(row.evidence)
    return body


def standing_joins(tx: Connection, patient_pks: Iterable[int]) -> list[Any]:
    """Joins that were not undone, of which one of these records is a reason, oldest first."""
    pks = list(patient_pks)
    wanted = select(LINK_EVENT).where(
        LINK_EVENT.c.kind == "join",
        LINK_EVENT.c.undone_by_pk.is_(None),
        or_(LINK_EVENT.c.kept_patient_pk.in_(pks), LINK_EVENT.c.other_patient_pk.in_(pks)),
    )
    return list(tx.execute(wanted.order_by(LINK_EVENT.c.pk)))


def events_of(tx: Connection, patient_pks: Iterable[int]) -> list[LinkEvent]:
    """All that happened to the persons of these records, oldest first."""
    pks = list(patient_pks)
    wanted = select(LINK_EVENT).where(
        or_(LINK_EVENT.c.kept_patient_pk.in_(pks), LINK_EVENT.c.other_patient_pk.in_(pks))
    )
    rows = tx.execute(wanted.order_by(LINK_EVENT.c.pk)).all()
    ids = records.exchange_ids(tx, [pk for row in rows for pk in (row.kept_pk, row.other_pk)])
    concerned = [pk for row in rows for pk in (row.kept_patient_pk, row.other_patient_pk, *moved_by(row))]
    known = records.by_pk(tx, concerned)
    return [_event(row, ids, known) for row in rows]


def _event(row: Any, ids: dict[int, str], known: dict[int, Record]) -> LinkEvent:
    return LinkEvent(
        pk=row.pk,
        kind=row.kind,
        kept=ids[row.kept_pk],
        other=ids[row.other_pk],
        kept_record=known[row.kept_patient_pk].key,
        other_record=known[row.other_patient_pk].key,
        moved=tuple(known[pk].key for pk in moved_by(row)),
        evidence=Evidence.of(orjson.loads(row.evidence)),
        by=row.who,
        at=moment(row.at_ms),
        undoes=row.undoes_pk,
        undone_by=row.undone_by_pk,
    )


# --- questions ---


def question_row(tx: Connection, one: int, other: int) -> Any:
    low, high = sorted((one, other))
    return tx.execute(select(QUESTION).where(QUESTION.c.low_pk == low, QUESTION.c.high_pk == high)).first()


def ask(tx: Connection, one: int, other: int, evidence: Evidence, at_ms: int) -> int:
    low, high = sorted((one, other))
    row = {
        "low_pk": low,
        "high_pk": high,
        "state": "open",
        "evidence": sorted_json(evidence.body()),
        "asked_at_ms": at_ms,
    }
    return int(tx.execute(insert(QUESTION).values(row).returning(QUESTION.c.pk)).scalar_one())


def settle(tx: Connection, pk: int, state: str, who: str, at_ms: int | None, note: str = "") -> None:
    """The question has this state from now on."""
    said = {"state": state, "who": who, "answered_at_ms": at_ms, "note": note}
    tx.execute(update(QUESTION).where(QUESTION.c.pk == pk).values(said))


def ask_again(tx: Connection, pk: int, evidence: Evidence, at_ms: int) -> None:
    """A question that a rule had answered is open once more."""
    settle(tx, pk, "open", "", None)
    tx.execute(
        update(QUESTION).where(QUESTION.c.pk == pk).values(evidence=sorted_json(evidence.body()), asked_at_ms=at_ms)
    )


def between(tx: Connection, some: Iterable[int], others: Iterable[int], state: str) -> bool:
    """Whether a question of this state is of a record of each side."""
    a, b = list(some), list(others)
    pair = or_(
        QUESTION.c.low_pk.in_(a) & QUESTION.c.high_pk.in_(b), QUESTION.c.low_pk.in_(b) & QUESTION.c.high_pk.in_(a)
    )
    return tx.execute(select(QUESTION.c.pk).where(pair, QUESTION.c.state == state).limit(1)).first() is not None


def touching(tx: Connection, patient_pks: Iterable[int], state: str) -> list[Any]:
    """Questions of this state about one of these records."""
    return list(tx.execute(_TOUCHING, {"some": list(patient_pks), "state": state}))


_LIST: BindParameter[Any] = bindparam("some", expanding=True)
#: Made once: building it takes longer than answering it.
_TOUCHING = (
    select(QUESTION)
    .where(or_(QUESTION.c.low_pk.in_(_LIST), QUESTION.c.high_pk.in_(_LIST)), QUESTION.c.state == bindparam("state"))
    .order_by(QUESTION.c.pk)
)


def question_by_pk(tx: Connection, pk: int) -> Any:
    return tx.execute(select(QUESTION).where(QUESTION.c.pk == pk)).first()


def page(tx: Connection, state: str, after: int, limit: int) -> list[Question]:
    """Questions of this state in the order in which they were asked, behind the key `after`."""
    wanted = select(QUESTION).where(QUESTION.c.state == state, QUESTION.c.pk > after)
    return shown(tx, list(tx.execute(wanted.order_by(QUESTION.c.pk).limit(limit))))


def count(tx: Connection, state: str) -> int:
    return int(tx.execute(select(func.count()).select_from(QUESTION).where(QUESTION.c.state == state)).scalar_one())


def shown(tx: Connection, rows: Sequence[Any]) -> list[Question]:
    known = records.by_pk(tx, [pk for row in rows for pk in (row.low_pk, row.high_pk)])
    return [
        Question(
            pk=row.pk,
            low=known[row.low_pk],
            high=known[row.high_pk],
            state=row.state,
            evidence=Evidence.of(orjson.loads(row.evidence)),
            asked_at=moment(row.asked_at_ms),
            by=row.who,
            answered_at=None if row.answered_at_ms is None else moment(row.answered_at_ms),
            note=row.note,
        )
        for row in rows
    ]
