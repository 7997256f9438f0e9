"""Who is the guardian of a child, found by what was shown at the desk, and who might be: the mother, as was registered.

Reads alone; `rights` writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from huitong.access.deciding import Action
from huitong.access.tables import GUARDIANSHIP
from huitong.access.work import Work
from huitong.base.clock import moment
from huitong.people import identifiers, permitting, records
from huitong.people.cards import actions as cards
from huitong.people.forms import mother_in
from huitong.people.identifiers import read_exchange_id
from huitong.people.model import Record
from huitong.people.naming import Likeness, likeness, to_be_shown
from huitong.people.relations import is_guarded

#: By what somebody is seen to be a guardian: 出生医学证明, 户口簿, 法院判决书.
BASES = ("birth-certificate", "household-register", "court")
_MOST_FOUND = 50


class NoGuardian(StrEnum):
    """Why nobody was named."""

    #: Nobody is found by what was shown.
    NOBODY = "nobody"
    SEVERAL = "several"
    #: Somebody else is, whose name is not the one that was given.
    OTHER_NAME = "other-name"
    #: The basis is none, or what was seen of it was not said.
    NO_EVIDENCE = "no-evidence"
    #: Nobody is their own guardian.
    ONESELF = "oneself"
    #: The guardian has one, being a child.
    GUARDIAN_IS_CHILD = "guardian-is-child"
    #: The person is no child any more, or nobody has told when they were born.
    NO_CHILD = "no-child"
    ALREADY = "already"


@dataclass(frozen=True, slots=True)
class Guardian:
    """Somebody who is a guardian, or was."""

    pk: int
    exchange_id: str
    #: As registered; empty where no institution has told.
    name: str
    #: One of `BASES`, and what was seen: number and office of the document. Of those named before there were bases, the
    #: basis is a text and the evidence empty.
    basis: str
    evidence: str
    at: datetime
    by: str
    ended_at: datetime | None
    ended_by: str


@dataclass(frozen=True, slots=True)
class Mother:
    """Who is registered as the child's mother."""

    name: str
    #: Of the person with her certificate; empty where there is none.
    exchange_id: str = ""


def may_name(work: Work, child: str) -> bool:
    """Whether the asker names guardians of this child; nothing is written down."""
    return permitting.guarding(work, child).allowed


def is_child(work: Work, person: str) -> bool:
    """Whether a guardian acts for the person: under 14, as far as is known when they were born."""
    with work.store.database.reading() as session:
        return is_guarded(session, person, work.now())


def had_any(work: Work, person: str) -> bool:
    """Whether anybody is or was the guardian; nothing is written down. Raises NotFound."""
    wanted = select(GUARDIANSHIP.c.pk).where(GUARDIANSHIP.c.person.in_(permitting.ids(work, person)))
    with work.store.database.read() as tx:
        return tx.execute(wanted.limit(1)).first() is not None


def guardians_of(work: Work, child: str) -> list[Guardian]:
    """All who are or were one, newest first. Raises NotAllowed, NotFound."""
    permitting.permit_guarding(work, child)
    with work.store.database.read() as tx:
        return of_child(tx, permitting.ids(work, child))


def of_child(tx: Connection, ids: list[str]) -> list[Guardian]:
    """All who are or were one, newest first, of the child that all these ids lead to."""
    wanted = select(GUARDIANSHIP).where(GUARDIANSHIP.c.person.in_(ids)).order_by(GUARDIANSHIP.c.pk.desc())
    return [_guardian(tx, row) for row in tx.execute(wanted).all()]


def _guardian(tx: Connection, row: Any) -> Guardian:
    person = records.person_by_id(tx, row.guardian)
    name = to_be_shown(_names(records.of_persons(tx, [person.pk]))) if person else ""
    now, ended = person.exchange_id if person else row.guardian, row.ended_at_ms
    ended_at = None if ended is None else moment(ended)
    return Guardian(row.pk, now, name, row.basis, row.evidence, moment(row.at_ms), row.by, ended_at, row.ended_by)


def mothers_of(work: Work, child: str) -> list[Mother]:
    """Who may be named, as institutions have registered the child: a suggestion and no more.

    By her certificate, as ADT and FHIR tell it with a newborn; where nobody has it, or has it under quite another name,
    her name alone. Raises NotAllowed, NotFound.
    """
    permitting.permit_guarding(work, child)
    with work.store.database.read() as tx:
        person = records.person_by_id(tx, read_exchange_id(child))
        known = records.of_persons(tx, [person.pk]) if person else []
        told = list(dict.fromkeys(name for each in known for name in _mothers_names(each)))
        found = _with_certificates(tx, known)
        ids = records.exchange_ids(tx, found)
        named = {pk: _names(records.of_persons(tx, [pk])) for pk in found}
    mothers = [Mother(to_be_shown(named[pk]), ids[pk]) for pk in found if likeness(told, named[pk]) != Likeness.OTHER]
    return mothers or [Mother(name) for name in told[:1]]


def _mothers_names(record: Record) -> Iterable[str]:
    return filter(None, (record.known.mother_name, *map(mother_in, record.known.names)))


def _with_certificates(tx: Connection, children: Iterable[Record]) -> list[int]:
    """Keys of the persons whose own certificates are those of the mother."""
    found: dict[int, None] = {}
    for child in children:
        hers = identifiers.sound(child.known.mother_certificates)
        pks = records.sharing_certificates(tx, child.pk, sorted(hers), _MOST_FOUND)
        owners = (each for each in records.by_pk(tx, pks).values() if hers & identifiers.sound(each.known.certificates))
        found |= {each.person_pk: None for each in owners if each.person_pk != child.person_pk}
    return list(found)


def find(work: Work, shown: str, name: str) -> str | NoGuardian:
    """Exchange id of whoever has shown a card, or told a number, and is called so.

    `shown` is an exchange id, a card's code or id, a number of a certificate, or a patient number. Scanned here, a code
    is not used up and opens no records: that is for where people are treated. Raises NotFound of who is not the asker's
    to see.
    """
    shown = shown.strip()
    with work.store.database.read() as tx:
        person = records.person_by_id(tx, read_exchange_id(shown))
        pks = [person.pk] if person else _by_number(tx, shown) if shown else []
        called = [pk for pk in pks if likeness([name], _names(records.of_persons(tx, [pk]))) >= Likeness.SOUND]
        ids = records.exchange_ids(tx, called)
    if len(called) != 1:
        return NoGuardian.SEVERAL if called else NoGuardian.OTHER_NAME if pks else NoGuardian.NOBODY
    permitting.permit_person(work, ids[called[0]], Action.SEE_PERSON)
    return ids[called[0]]


def _by_number(tx: Connection, shown: str) -> list[int]:
    holder = cards.holder_of(tx, shown)
    if holder is not None:
        return [holder.person_pk]
    found = records.by_pk(tx, records.with_number(tx, shown, _MOST_FOUND)).values()
    return list(dict.fromkeys(each.person_pk for each in found))


def _names(known: Iterable[Record]) -> list[str]:
    return [name for each in known for name in each.known.names]
