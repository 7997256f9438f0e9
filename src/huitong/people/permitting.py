"""Whether the asker may do it, at the entrance of every action of the room: gathered, decided, written down.

Refused is unknown where it is about one person; whoever may not do a thing at all is told so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from huitong.access import auditing
from huitong.access.auditing import Looked
from huitong.access.deciding import Action, Decision, Subject, decide
from huitong.access.model import FREE, Asker
from huitong.access.work import Work
from huitong.base.errors import NotAllowed, NotFound
from huitong.people.model import Record
from huitong.people.relations import Relations, ids_of, issuers_of, of_person


def permit_person(work: Work, exchange_id: str, action: Action, what: str = "person") -> None:
    """Raises NotFound of `what` where there is no such person, or where this is not the asker's to do."""
    if work.asker.kind in FREE:
        if not decide(work.asker, action, Subject("person")).allowed:
            raise NotFound(what)
        return
    related = related_to(work, exchange_id)
    decision = decide(work.asker, action, Subject("person", "", related.person, related.facts))
    if not related.person:
        decision = Decision(False, "unknown")
    whose = {"person": related.person, "kind": "person", "id": related.person or exchange_id}
    auditing.once(work, Looked.of(action, decision, **whose))
    if not decision.allowed:
        raise NotFound(what)


def may_person(work: Work, exchange_id: str, action: Action) -> bool:
    """The same as an answer, for pages that offer what may be done; nothing is written down."""
    if work.asker.kind in FREE:
        return decide(work.asker, action, Subject("person")).allowed
    related = related_to(work, exchange_id)
    return decide(work.asker, action, Subject("person", "", related.person, related.facts)).allowed


def related_to(work: Work, exchange_id: str) -> Relations:
    with work.store.database.reading() as session:
        return of_person(session, work.asker, exchange_id, work.now())


def may(asker: Asker, action: Action, institution: str = "") -> bool:
    """Whether the asker may do what is about nobody in particular."""
    return decide(asker, action, Subject("list", institution)).allowed


def permit(work: Work, action: Action) -> None:
    """For what is about nobody in particular. Raises NotAllowed."""
    decision = decide(work.asker, action, Subject("list", work.institution or ""))
    if work.asker.kind not in FREE:
        auditing.once(work, Looked.of(action, decision, kind="list", institution=work.institution or ""))
    if not decision.allowed:
        raise NotAllowed("this is not for the asker to do")


def write_down(
    tx: Connection, work: Work, action: Action, persons: Iterable[str], what: tuple[str, str], **said: Any
) -> None:
    """What was changed of these persons, a line for each, there exactly if the change is.

    `what` is kind and id of the object, `said` the detail.
    """
    if work.asker.kind in FREE:
        return
    decision, institution = decide(work.asker, action, Subject("list", work.institution or "")), work.institution or ""
    for person in sorted(set(persons)):
        whose = {"person": person, "kind": what[0], "id": what[1], "institution": institution, "detail": said}
        auditing.record_on(tx, work, Looked.of(action, decision, **whose))


def guarding(work: Work, child: str) -> Decision:
    """Whether the asker names guardians of this child: a registrar does where it is registered."""
    with work.store.database.reading() as session:
        here = work.institution if work.institution in issuers_of(session, child) else ""
    return decide(work.asker, Action.NAME_GUARDIAN, Subject("person", here or "", child))


def permit_guarding(work: Work, child: str) -> None:
    """Raises NotFound for whoever may not see who the child is, NotAllowed for whoever does not name its guardians."""
    permit_person(work, child, Action.SEE_PERSON)
    decision = guarding(work, child)
    if work.asker.kind not in FREE:
        whose = {"person": child, "kind": "person", "id": child, "institution": work.institution or ""}
        auditing.once(work, Looked.of(Action.NAME_GUARDIAN, decision, **whose))
    if not decision.allowed:
        raise NotAllowed("who is the guardian is for registrars of where the child is registered to say")


def ids(work: Work, exchange_id: str) -> list[str]:
    """All that lead to the person. Raises NotFound."""
    with work.store.database.reading() as session:
        found = ids_of(session, exchange_id)
    if not found:
        raise NotFound("person")
    return found


def permit_deciding(work: Work) -> None:
    """Who is one person is for registrars to say. Raises NotAllowed."""
    free = work.asker.kind in FREE
    decision = decide(work.asker, Action.DECIDE_PERSONS, Subject("list"))
    if not free and not decision.allowed:
        auditing.once(work, Looked.of(Action.DECIDE_PERSONS, decision, kind="list", institution=work.institution or ""))
    if not (work.may_decide if free else decision.allowed):
        raise NotAllowed("who is one person is for registrars to say (setting `registrars`)")


def permit_sending(work: Work) -> None:
    """Raises NotAllowed for whoever is no institution's system."""
    if not work.may_send or not may(work.asker, Action.SEND_PEOPLE, work.institution or ""):
        raise NotAllowed("only an institution registers its patients")


def shows_strangers(work: Work) -> bool:
    """Whether a search by name or likeness is over all persons; otherwise over those with a record of one's own."""
    return work.asker.kind in FREE or may(work.asker, Action.DECIDE_PERSONS)


def is_ours(work: Work, known: Iterable[Record]) -> bool:
    """Whether one of the records is of the asker's institution."""
    return any(record.issuer == work.institution for record in known)
