"""The SQL of health cards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, text, update

from huitong.base.clock import milliseconds, moment
from huitong.people.cards import holders
from huitong.people.cards.model import Attribute, Card, State, Terminal, Use
from huitong.people.cards.tables import CARD, CARD_CODE, CARD_USE

_NEXT = CARD.alias("next")
_CARDS = select(CARD, _NEXT.c.card_id.label("replaced_by"), _NEXT.c.patient_pk.label("next_patient_pk")).select_from(
    CARD.outerjoin(_NEXT, CARD.c.replaced_by_pk == _NEXT.c.pk)
)
CardRow = Row[Any]


def by_id(read: Connection, card_id: str) -> CardRow | None:
    return read.execute(_CARDS.where(CARD.c.card_id == card_id)).first()


def by_certificate(read: Connection, certificate: tuple[str, str]) -> CardRow | None:
    kind, number = certificate
    return read.execute(_CARDS.where(CARD.c.kind == kind, CARD.c.number == number)).first()


def of_patients(read: Connection, patient_pks: list[int]) -> list[CardRow]:
    """Cards of these records: formal before temporary, the newest first."""
    order = (CARD.c.replaced_by_pk.is_not(None), CARD.c.attribute.desc(), CARD.c.pk.desc())
    return list(read.execute(_CARDS.where(CARD.c.patient_pk.in_(patient_pks)).order_by(*order)))


def card(read: Connection, row: CardRow) -> Card:
    """The row as the model has it, with its holder of this moment."""
    holder = holders.of_patient(read, row.patient_pk)
    replaced = row.replaced_by and holders.of_patient(read, row.next_patient_pk).person_pk == holder.person_pk
    return Card(
        row.card_id,
        (row.kind, row.number),
        row.key_version,
        Attribute(row.attribute),
        State(row.state),
        moment(row.issued_at_ms),
        row.institution,
        row.replaced_by if replaced else "",
        holder,
    )


def add(
    write: Connection,
    *,
    card_id: str,
    patient_pk: int,
    certificate: tuple[str, str],
    index: bytes,
    key_version: int,
    attribute: Attribute,
    at: datetime,
    institution: str,
) -> int:
    """The key of the new row."""
    kind, number = certificate
    values = {
        "card_id": card_id,
        "patient_pk": patient_pk,
        "kind": kind,
        "number": number,
        "mindex": index,
        "key_version": key_version,
        "attribute": int(attribute),
        "state": int(State.NORMAL),
        "issued_at_ms": milliseconds(at),
        "institution": institution,
    }
    return int(write.execute(insert(CARD).values(values).returning(CARD.c.pk)).scalar_one())


def replace_temporary(write: Connection, patient_pks: list[int], by_pk: int) -> list[str]:
    """Ids of the temporary cards of these records in whose place the formal one steps."""
    temporary = and_(
        CARD.c.patient_pk.in_(patient_pks),
        CARD.c.attribute == int(Attribute.TEMPORARY),
        CARD.c.replaced_by_pk.is_(None),
    )
    changed = write.execute(update(CARD).where(temporary).values(replaced_by_pk=by_pk).returning(CARD.c.card_id))
    return sorted(changed.scalars())


def set_state(write: Connection, card_pk: int, state: State) -> None:
    write.execute(update(CARD).where(CARD.c.pk == card_pk).values(state=int(state)))


def take_code(write: Connection, card_pk: int, until: datetime) -> bool:
    """Whether the dynamic code is ours: of two transactions at once, the second waits for the first and gets False."""
    values = {"card_pk": card_pk, "until_ms": milliseconds(until)}
    return write.execute(_TAKE, values).first() is not None


#: The same words on both databases; SQLAlchemy would want them in the dialect of each.
_TAKE = text(
    "INSERT INTO card_code (card_pk, until_ms) VALUES (:card_pk, :until_ms) ON CONFLICT DO NOTHING RETURNING card_pk"
)


def forget_codes(write: Connection, before: datetime) -> None:
    write.execute(delete(CARD_CODE).where(CARD_CODE.c.until_ms < milliseconds(before)))


def add_use(
    write: Connection, card_pk: int, terminal: Terminal, *, at: datetime, institution: str, dynamic: bool
) -> None:
    write.execute(
        insert(CARD_USE).values(
            card_pk=card_pk,
            step=terminal.step,
            terminal_id=terminal.terminal_id,
            terminal_type=terminal.terminal_type,
            at_ms=milliseconds(at),
            institution=institution,
            dynamic=int(dynamic),
        )
    )


def uses(read: Connection, patient_pks: list[int], limit: int) -> list[Use]:
    """Of the cards of these records, the newest first."""
    wanted = select(CARD_USE).join(CARD, CARD.c.pk == CARD_USE.c.card_pk).where(CARD.c.patient_pk.in_(patient_pks))
    found = read.execute(wanted.order_by(CARD_USE.c.at_ms.desc(), CARD_USE.c.pk.desc()).limit(limit))
    return [Use(moment(row.at_ms), row.institution, row.step, bool(row.dynamic)) for row in found]


def counts(read: Connection) -> dict[tuple[Attribute, State, bool], int]:
    """(attribute, state, replaced) -> cards."""
    replaced = CARD.c.replaced_by_pk.is_not(None)
    columns = (CARD.c.attribute, CARD.c.state, replaced)
    found = read.execute(select(*columns, func.count()).group_by(*columns))
    return {(Attribute(a), State(s), bool(r)): int(number) for a, s, r, number in found}


def uses_by_step(read: Connection, since: datetime, before: datetime) -> dict[str, int]:
    within = CARD_USE.c.at_ms >= milliseconds(since), CARD_USE.c.at_ms < milliseconds(before)
    found = read.execute(
        select(CARD_USE.c.step, func.count()).where(*within).group_by(CARD_USE.c.step).order_by(CARD_USE.c.step)
    )
    return {step: int(number) for step, number in found}
