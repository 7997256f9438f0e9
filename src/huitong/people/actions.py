"""What the people room does for whoever holds a `Work`: register, find, match, ask, join and split.

Whoever needs more in one transaction (a message that also opens a visit) uses `registering` within the room.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection

from huitong.access.deciding import Action
from huitong.access.remembering import forget
from huitong.access.work import Work
from huitong.base.errors import BadRequest, NotFound
from huitong.people import linking, links, matching, permitting, records, registering
from huitong.people.arriving import register_arrival
from huitong.people.following import Matcher
from huitong.people.identifiers import read_exchange_id
from huitong.people.identities import exchange_ids, persons_of_records, records_of_number
from huitong.people.model import (
    Candidate,
    Demographics,
    Evidence,
    LinkEvent,
    Person,
    PersonPage,
    Question,
    Record,
    RecordKey,
    Registered,
    Registration,
)
from huitong.people.receiving import EVENTS, take_message
from huitong.people.relations import Relations, ids_of, records_that_are_theirs
from huitong.people.relations import of_record as relations_of_record
from huitong.people.searching import people, search
from huitong.people.tables import NUMBERED, TABLES
from huitong.people.visiting import Visit, visits_of
from huitong.wire.text import fold

__all__ = [
    "EVENTS",
    "NUMBERED",
    "TABLES",
    "Matcher",
    "Relations",
    "answer",
    "deactivate",
    "exchange_ids",
    "find_people",
    "history",
    "ids_of",
    "join",
    "match",
    "merge_numbers",
    "open_questions",
    "person_by_exchange_id",
    "person_of",
    "person_page",
    "persons_of",
    "persons_of_records",
    "question",
    "questions",
    "records_of",
    "records_of_number",
    "records_that_are_theirs",
    "register",
    "register_arrival",
    "relations_of_record",
    "search",
    "split",
    "take_message",
    "visits",
]

_MOST_FOUND = 200
_ANSWERS = ("joined", "apart")


# --- registering ---


def register(work: Work, registration: Registration) -> Registered:
    """The record says this, durably, and is matched with all others when this returns.

    Raises NotAllowed for another institution's number, BadRequest, StoreFull, StoreUnavailable.
    """
    with work.store.database.write() as tx:
        return registering.register(tx, work, registration)


def merge_numbers(work: Work, issuer: str, goes: str, stays: str) -> None:
    """The institution uses the number `stays` instead of `goes`. Raises NotAllowed, BadRequest."""
    with work.store.database.write() as tx:
        registering.merge_numbers(tx, work, issuer, goes, stays)


def deactivate(work: Work, issuer: str, number: str) -> None:
    """The institution does not use the number any more. Raises NotAllowed, NotFound."""
    with work.store.database.write() as tx:
        registering.deactivate(tx, work, issuer, number)


# --- persons ---


def person_by_exchange_id(work: Work, exchange_id: str) -> Person:
    """Who this id leads to, through all joins. Raises NotFound. A `Person` is proof of having asked."""
    permitting.permit_person(work, exchange_id, Action.SEE_PERSON)
    with work.store.database.read() as tx:
        found = records.person_by_id(tx, read_exchange_id(exchange_id))
    if found is None:
        raise NotFound("person")
    return found


def person_of(work: Work, issuer: str, number: str) -> Person | None:
    """Whose number this is; for other rooms, which decide for themselves."""
    return persons_of(work, [(issuer, number)]).get((issuer, number))


def persons_of(work: Work, keys: Iterable[RecordKey]) -> dict[RecordKey, Person]:
    """The same for many; unknown numbers are left out."""
    with work.store.database.read() as tx:
        return records.persons_of(tx, keys)


def records_of(work: Work, person: Person) -> list[Record]:
    """All records of the person, in the order in which they came."""
    with work.store.database.read() as tx:
        return records.of_persons(tx, [person.pk])


def find_people(work: Work, text: str, *, birth_date: str = "", limit: int = 50) -> list[tuple[Person, list[Record]]]:
    """Persons by exchange id, patient number, certificate, or the beginning of a name: hanzi, pinyin, initials.

    `birth_date` (YYYYMMDD) narrows. Without a text nobody is found. Names are of persons with a record of the asker's
    institution; a number finds anybody. Raises NotAllowed.
    """
    permitting.permit(work, Action.FIND_PERSONS)
    form = fold(text).replace(" ", "")
    if not form:
        return []
    issuer = None if permitting.shows_strangers(work) else work.institution or ""
    with work.store.database.read() as tx:
        by_id = records.person_by_id(tx, read_exchange_id(text))
        pks = [*records.with_number(tx, text.strip(), _MOST_FOUND), *records.with_form(tx, form, _MOST_FOUND, issuer)]
        found = [r for r in records.by_pk(tx, pks).values() if not birth_date or r.known.birth_date == birth_date]
        persons = dict.fromkeys([*([by_id.pk] if by_id else []), *(record.person_pk for record in found)])
        return people(tx, list(persons)[:limit])


def match(work: Work, known: Demographics, *, limit: int = 10) -> list[Candidate]:
    """Records that may be of somebody of whom this is known, likeliest first; nothing is written.

    Those that are only like it are of persons with a record of the asker's institution. Raises NotAllowed.
    """
    permitting.permit(work, Action.FIND_PERSONS)
    with work.store.database.read() as tx:
        found = [each for each in matching.compared(tx, known) if _is_shown(tx, work, each)][:limit]
        ids = records.exchange_ids(tx, [each.record.person_pk for each in found])
    return [Candidate(e.record, ids[e.record.person_pk], e.verdict.decision.value, e.verdict.evidence) for e in found]


def _is_shown(tx: Connection, work: Work, found: matching.Compared) -> bool:
    certain = found.verdict.decision.value == "join"
    if certain or permitting.shows_strangers(work):
        return True
    return permitting.is_ours(work, records.of_persons(tx, [found.record.person_pk]))


def person_page(work: Work, exchange_id: str) -> PersonPage:
    """All that is known of a person. Raises NotFound."""
    person = person_by_exchange_id(work, exchange_id)
    with work.store.database.read() as tx:
        found = records.of_persons(tx, [person.pk])
        pks = linking.pks_of(found)
        events = links.events_of(tx, pks)
        # Whoever does not decide is not told of others who are, or were taken for, the person.
        decides = permitting.shows_strangers(work)
        asked = links.shown(tx, links.touching(tx, pks, "open")) if decides else []
        told = [row for state in _ANSWERS for row in links.touching(tx, pks, state)] if decides else []
        answers = sorted(links.shown(tx, told), key=lambda each: each.answered_at or each.asked_at)
        return PersonPage(person, found, events, asked, answers)


def history(work: Work, person: Person) -> list[LinkEvent]:
    """Joins and splits of the person's records, oldest first."""
    with work.store.database.read() as tx:
        return links.events_of(tx, linking.pks_of(records.of_persons(tx, [person.pk])))


def visits(work: Work, issuer: str, number: str) -> list[Visit]:
    """What messages told of the stays under a patient number, newest first. Raises NotAllowed, NotFound of others'."""
    permitting.permit(work, Action.FIND_PERSONS)
    if not permitting.shows_strangers(work) and issuer != work.institution:
        raise NotFound("visit")
    with work.store.database.read() as tx:
        return visits_of(tx, issuer, number)


# --- what humans decide ---


def questions(work: Work, state: str = "open", *, after: int = 0, limit: int = 50) -> list[Question]:
    """In the order in which they were asked, behind the key `after`. Raises NotAllowed."""
    permitting.permit(work, Action.DECIDE_PERSONS)
    with work.store.database.read() as tx:
        return links.page(tx, state, after, limit)


def open_questions(work: Work) -> int:
    """How many; none for whoever does not answer them."""
    if not permitting.shows_strangers(work):
        return 0
    with work.store.database.read() as tx:
        return links.count(tx, "open")


def question(work: Work, pk: int) -> Question:
    """Raises NotAllowed, NotFound."""
    permitting.permit(work, Action.DECIDE_PERSONS)
    with work.store.database.read() as tx:
        row = links.question_by_pk(tx, pk)
        if row is None:
            raise NotFound("question")
        return links.shown(tx, [row])[0]


def answer(work: Work, pk: int, said: str, note: str = "") -> Question:
    """A human says "joined" or "apart" of an open question; what waited for it is decided in the same transaction.

    "joined" waits where another question about one of them is open still. Raises NotAllowed, NotFound, BadRequest.
    """
    permitting.permit_deciding(work)
    if said not in _ANSWERS:
        raise BadRequest(f"the answer is one of {', '.join(_ANSWERS)}")
    with work.store.database.write() as tx:
        work.store.database.lock(tx, registering.LOCK)
        row = links.question_by_pk(tx, pk)
        if row is None:
            raise NotFound("question")
        if row.state != "open":
            raise BadRequest("the question has been answered")
        links.settle(tx, pk, said, work.who, linking.now_ms(work), note[:1000])
        linking.tell(tx, work, "answered", str(pk), {"answer": said})
        whose = linking.persons_of(tx, [row.low_pk, row.high_pk])
        permitting.write_down(tx, work, Action.DECIDE_PERSONS, whose, ("question", str(pk)), fact=said)
        if said == "joined":
            evidence = replace(Evidence.of(links.evidence_of(row)), rule="human")
            matching.try_to_join(tx, work, row.low_pk, row.high_pk, evidence, work.who)
        matching.decide_again(tx, work, [row.low_pk, row.high_pk])
    forget(work.store)
    return question(work, pk)


def join(work: Work, one: RecordKey, other: RecordKey, note: str = "") -> None:
    """A human says that two records are one person, asked or not.

    Raises NotAllowed, NotFound, BadRequest while a question about one of them is open.
    """
    permitting.permit_deciding(work)
    with work.store.database.write() as tx:
        work.store.database.lock(tx, registering.LOCK)
        a, b = records.by_number(tx, *one), records.by_number(tx, *other)
        if a is None or b is None:
            raise NotFound("patient number")
        row, evidence = links.question_row(tx, a.pk, b.pk), Evidence("human")
        pk = row.pk if row is not None else links.ask(tx, a.pk, b.pk, evidence, linking.now_ms(work))
        links.settle(tx, pk, "joined", work.who, linking.now_ms(work), note[:1000])
        if not matching.try_to_join(tx, work, a.pk, b.pk, evidence, work.who):
            raise BadRequest("a question about one of them is open: answer it first")
        matching.decide_again(tx, work, [a.pk, b.pk])
        whose = linking.persons_of(tx, [a.pk, b.pk])
        permitting.write_down(tx, work, Action.DECIDE_PERSONS, whose, ("question", str(pk)), fact="joined")
    forget(work.store)


def split(work: Work, event: int, note: str = "") -> None:
    """A human undoes a join: everything is as before it, studies included, and the machine does not join them again.

    Raises NotAllowed, NotFound, BadRequest for a join that was undone before.
    """
    permitting.permit_deciding(work)
    with work.store.database.write() as tx:
        work.store.database.lock(tx, registering.LOCK)
        whose = linking.persons_of_event(tx, matching.split(tx, work, event, work.who, note[:1000]))
        permitting.write_down(tx, work, Action.DECIDE_PERSONS, whose, ("join", str(event)), fact="split")
    forget(work.store)
