"""What a resident's own pages are made of: who they are, for whom they act, who looked.

Every action is decided as `rights.see`, of the person or the guardian: nobody else has these pages, doctors neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from huitong.access.auditing import Line, Wanted, Whose, search
from huitong.access.deciding import Action
from huitong.access.work import Work
from huitong.base.errors import NotFound
from huitong.people import permitting, records
from huitong.people.identifiers import read_exchange_id
from huitong.people.naming import to_be_shown
from huitong.people.relations import ids_of, wards_of


@dataclass(frozen=True, slots=True)
class Own:
    """Whose pages they are."""

    exchange_id: str
    #: As registered, of the record that came first with one; empty where no institution has told.
    name: str
    #: Codes of the institutions that have a record of the person.
    institutions: tuple[str, ...]


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
    work: Work, exchange_id: str, whose: Whose = Whose.OTHERS, *, before: int | None = None, limit: int = 100
) -> list[Line]:
    """Who looked at the person's record or was refused, newest first. Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.SEE_RIGHTS)
    with work.store.database.reading() as session:
        ids = {exchange_id, *ids_of(session, exchange_id)}  # never nobody, which would be everybody
    return search(work.store, Wanted(persons=tuple(sorted(ids)), whose=whose), before=before, limit=limit)


def _own(work: Work, exchange_id: str) -> Own:
    with work.store.database.read() as tx:
        person = records.person_by_id(tx, read_exchange_id(exchange_id))
        if person is None:
            raise NotFound("person")
        found = records.of_persons(tx, [person.pk])
    names = (name for record in found for name in record.known.names)
    institutions = dict.fromkeys(record.issuer for record in found)
    return Own(person.exchange_id, to_be_shown(names), tuple(institutions))
