"""What a resident's own pages are made of: who they are, for whom they act, who looked, what was said and taken back.

Every action is decided as `rights.see`, of the person or the guardian: nobody else has these pages, doctors neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from huitong.access.auditing import Line, Whose, about
from huitong.access.deciding import Action
from huitong.access.tables import CONSENT, OBJECTION
from huitong.access.work import Work
from huitong.base.clock import moment
from huitong.base.errors import NotFound
from huitong.people import permitting, records
from huitong.people.identifiers import read_exchange_id
from huitong.people.relations import ids_of, wards_of

#: Past every line that there will be.
_NEWEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Own:
    """Whose pages they are."""

    exchange_id: str
    #: As registered, of the record that came first with one; empty where no institution has told.
    name: str
    #: Codes of the institutions that have a record of the person.
    institutions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spoken:
    """An objection or a consent, that holds or did."""

    #: "objection" or "consent".
    kind: str
    at: datetime
    #: Account or exchange id of who said it, and of who took it back.
    by: str
    ended_at: datetime | None
    ended_by: str
    #: Of a consent: the class, and to whom (empty: to all).
    about: str = ""
    to: str = ""


def own(work: Work, exchange_id: str) -> Own:
    """The person, as who they are by now. Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.SEE_RIGHTS)
    return _own(work, exchange_id)


def children(work: Work) -> list[Own]:
    """For whom the asking resident acts, as their guardian. Raises NotFound."""
    permitting.permit_person(work, work.asker.person, Action.SEE_RIGHTS)
    with work.store.database.reading() as session:
        wards = wards_of(session, work.asker, work.now())
    return [own(work, each) for each in wards]


def looked(
    work: Work, exchange_id: str, whose: Whose = Whose.OTHERS, *, before: int = _NEWEST, limit: int = 100
) -> list[Line]:
    """Who looked at the person's record or was refused, newest first. Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.SEE_RIGHTS)
    with work.store.database.reading() as session:
        ids = ids_of(session, exchange_id)
    return about(work.store, ids, whose, before=min(before, _NEWEST), limit=limit)


def spoken(work: Work, exchange_id: str) -> list[Spoken]:
    """All objections and consents that were ever said, newest first. Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.SEE_RIGHTS)
    with work.store.database.reading() as session:
        ids = ids_of(session, exchange_id)
    with work.store.database.read() as tx:
        found = [_spoken("objection", row) for row in tx.execute(select(OBJECTION).where(OBJECTION.c.person.in_(ids)))]
        consents = tx.execute(select(CONSENT).where(CONSENT.c.person.in_(ids)))
        found += [_spoken("consent", row, row.sensitive_class, row.institution) for row in consents]
    return sorted(found, key=lambda each: each.at, reverse=True)


def _own(work: Work, exchange_id: str) -> Own:
    with work.store.database.read() as tx:
        person = records.person_by_id(tx, read_exchange_id(exchange_id))
        if person is None:
            raise NotFound("person")
        found = records.of_persons(tx, [person.pk])
    names = [name for record in found for name in record.known.names]
    hanzi = [name for name in names if not name.isascii()]
    institutions = dict.fromkeys(record.issuer for record in found)
    return Own(person.exchange_id, next(iter(hanzi or names), ""), tuple(institutions))


def _spoken(kind: str, row: Any, about: str = "", to: str = "") -> Spoken:
    at, ended = moment(row.at_ms), row.ended_at_ms
    return Spoken(kind, at, row.by, moment(ended) if ended is not None else None, row.ended_by, about, to)
