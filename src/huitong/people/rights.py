"""Objections, consents, guardians and emergencies: said, taken back, shown and reviewed, each with its ledger line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from huitong.access.deciding import Action, Fact, Subject, decide
from huitong.access.remembering import forget
from huitong.access.tables import BREAK_GLASS, CONSENT, GUARDIANSHIP, OBJECTION
from huitong.access.work import Work
from huitong.base.clock import milliseconds, moment
from huitong.base.errors import BadRequest, NotFound
from huitong.catalog.access import RELATIONS, SENSITIVE
from huitong.people import guardians, permitting
from huitong.people.guardians import (
    BASES,
    Guardian,
    Mother,
    NoGuardian,
    guardians_of,
    had_any,
    is_child,
    may_name,
    mothers_of,
)
from huitong.store import ledger

__all__ = [
    "BASES",
    "Emergency",
    "Guardian",
    "Mother",
    "NoGuardian",
    "Rights",
    "Said",
    "Spoken",
    "Standing",
    "break_glass",
    "consent",
    "emergencies",
    "end_guardian",
    "guardians_of",
    "had_any",
    "is_child",
    "may_name",
    "mothers_of",
    "name_guardian",
    "object_to",
    "review",
    "rights_of",
    "spoken",
    "standing",
    "withdraw_consent",
    "withdraw_objection",
]

_MOST_CHARS, _MOST_EVIDENCE = 1000, 200
VERDICTS = ("justified", "unjustified")


@dataclass(frozen=True, slots=True)
class Said:
    """Something that a person has said, and holds."""

    pk: int
    at: datetime
    by: str
    #: Of a consent: the class, and to whom (empty: to all).
    about: str = ""
    to: str = ""


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


@dataclass(frozen=True, slots=True)
class Emergency:
    """A doctor opened a person's records, with a reason."""

    pk: int
    person: str
    account: str
    display: str
    institution: str
    reason: str
    at: datetime
    until: datetime
    #: "justified", "unjustified", or empty while nobody has looked.
    verdict: str
    reviewed_by: str
    note: str


@dataclass(frozen=True, slots=True)
class Rights:
    """All that holds of a person."""

    objection: Said | None
    consents: list[Said]
    #: Who act for the person, a child under 14, at this moment.
    guardians: list[Guardian]
    #: Newest first.
    emergencies: list[Emergency]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the asker stands to a person, for a page that says what would open the records."""

    #: Whether images are shown to the asker at all; whether those of all hospitals are.
    sees_images: bool
    opened_by: str
    objected: bool
    may_break_glass: bool


def standing(work: Work, exchange_id: str) -> Standing:
    """Nothing is written down: what is shown next is."""
    asker, related = work.asker, permitting.related_to(work, exchange_id)
    outside = Subject("study", "", related.person, related.facts)
    found = decide(asker, Action.SEE_STUDY, outside)
    own = decide(asker, Action.LIST_STUDIES, Subject("list", work.institution or ""))
    return Standing(
        sees_images=found.allowed or own.allowed,
        opened_by=found.rule if found.allowed else "",
        objected=Fact.OBJECTION in related.facts,
        may_break_glass=decide(asker, Action.BREAK_GLASS, Subject("person")).allowed,
    )


# --- what a person sees and says ---


def rights_of(work: Work, exchange_id: str) -> Rights:
    """For the person or the guardian. Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.SEE_RIGHTS)
    ids, young = permitting.ids(work, exchange_id), is_child(work, exchange_id)
    with work.store.database.read() as tx:
        objections = [_said(row) for row in _holding(tx, OBJECTION, ids)]
        consents = [_said(row, row.sensitive_class, row.institution) for row in _holding(tx, CONSENT, ids)]
        named = guardians.of_child(tx, ids) if young else []
        held = [each for each in named if each.ended_at is None]
        broken = select(BREAK_GLASS).where(BREAK_GLASS.c.person.in_(ids)).order_by(BREAK_GLASS.c.pk.desc())
        return Rights(next(iter(objections), None), consents, held, list(map(_emergency, tx.execute(broken))))


def spoken(work: Work, exchange_id: str) -> list[Spoken]:
    """All objections and consents that were ever said, newest first. Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.SEE_RIGHTS)
    ids = permitting.ids(work, exchange_id)
    with work.store.database.read() as tx:
        found = [_spoken("objection", row) for row in tx.execute(select(OBJECTION).where(OBJECTION.c.person.in_(ids)))]
        consents = tx.execute(select(CONSENT).where(CONSENT.c.person.in_(ids)))
        found += [_spoken("consent", row, row.sensitive_class, row.institution) for row in consents]
    return sorted(found, key=lambda each: each.at, reverse=True)


def object_to(work: Work, exchange_id: str) -> None:
    """Other institutions do not see the person's records from now on. Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.CHANGE_RIGHTS)
    ids = permitting.ids(work, exchange_id)
    with work.store.database.write() as tx:
        _lock(work, tx, ids)
        if not _holding(tx, OBJECTION, ids):
            _add(tx, work, OBJECTION, person=exchange_id)
            _tell(tx, work, "access.objected", exchange_id)
    forget(work.store)


def withdraw_objection(work: Work, exchange_id: str) -> None:
    """They do again. Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.CHANGE_RIGHTS)
    _end(work, OBJECTION, exchange_id, None, "access.objection_withdrawn")


def consent(work: Work, exchange_id: str, sensitive_class: str, institution: str = "") -> None:
    """Studies of the class may be shown to this institution, or (empty) to all. Raises NotFound, BadRequest."""
    if sensitive_class not in SENSITIVE:
        raise BadRequest(f"the class is one of {', '.join(SENSITIVE)}")
    permitting.permit_person(work, exchange_id, Action.CHANGE_RIGHTS)
    ids, about = permitting.ids(work, exchange_id), {"sensitive_class": sensitive_class, "institution": institution}
    with work.store.database.write() as tx:
        _lock(work, tx, ids)
        held = {(row.sensitive_class, row.institution) for row in _holding(tx, CONSENT, ids)}
        if (sensitive_class, institution) not in held:
            _add(tx, work, CONSENT, person=exchange_id, **about)
            _tell(tx, work, "access.consented", exchange_id, about)


def withdraw_consent(work: Work, exchange_id: str, pk: int) -> None:
    """Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.CHANGE_RIGHTS)
    _end(work, CONSENT, exchange_id, pk, "access.consent_withdrawn")


# --- guardians ---


def name_guardian(work: Work, child: str, shown: str, name: str, basis: str, evidence: str) -> NoGuardian | None:
    """A registrar of where the child is registered has seen by what (`BASES`) somebody is the guardian.

    `shown` and `name` as in `guardians.find`, `evidence`: number and office of the document. It ends by itself on the
    child's 14th birthday. Answers why nobody was named. Raises NotAllowed, NotFound.
    """
    permitting.permit_guarding(work, child)
    evidence = " ".join(evidence.split())
    if basis not in BASES or not 1 <= len(evidence) <= _MOST_EVIDENCE:
        return NoGuardian.NO_EVIDENCE
    found = guardians.find(work, shown, name)
    if isinstance(found, NoGuardian):
        return found
    child, theirs, hers = (
        permitting.related_to(work, child).person,
        permitting.ids(work, child),
        permitting.ids(work, found),
    )
    if child in hers:
        return NoGuardian.ONESELF
    if not is_child(work, child):
        return NoGuardian.NO_CHILD
    if is_child(work, found):
        return NoGuardian.GUARDIAN_IS_CHILD
    with work.store.database.write() as tx:
        _lock(work, tx, theirs)
        if any(row.guardian in hers for row in _holding(tx, GUARDIANSHIP, theirs)):
            return NoGuardian.ALREADY
        _add(tx, work, GUARDIANSHIP, person=child, guardian=found, basis=basis, evidence=evidence)
        _tell(tx, work, "access.guardian_named", child, {"guardian": found, "basis": basis})
        said = {"fact": "guardian_named", "child": child, "guardian": found, "basis": basis, "evidence": evidence}
        permitting.write_down(tx, work, Action.NAME_GUARDIAN, [child, found], ("person", child), **said)
    forget(work.store)
    return None


def end_guardian(work: Work, child: str, pk: int) -> None:
    """Raises NotAllowed, NotFound."""
    permitting.permit_guarding(work, child)
    ids = permitting.ids(work, child)
    with work.store.database.write() as tx:
        _lock(work, tx, ids)
        held = next((row for row in _holding(tx, GUARDIANSHIP, ids) if row.pk == pk), None)
        if held is None:
            raise NotFound("a guardian")
        said = {"ended_by": work.who, "ended_at_ms": milliseconds(work.now())}
        tx.execute(update(GUARDIANSHIP).where(GUARDIANSHIP.c.pk == pk).values(said))
        _tell(tx, work, "access.guardian_ended", child, {"guardian": held.guardian, "ended": pk})
        about = {"fact": "guardian_ended", "child": child, "guardian": held.guardian}
        permitting.write_down(tx, work, Action.NAME_GUARDIAN, [child, held.guardian], ("person", child), **about)
    forget(work.store)


# --- emergencies ---


def break_glass(work: Work, exchange_id: str, reason: str) -> datetime:
    """The asking doctor sees all of the person's studies until the time given back.

    Raises NotFound, BadRequest for a reason that is none.
    """
    permitting.permit_person(work, exchange_id, Action.BREAK_GLASS)
    said, least = " ".join(reason.split()), RELATIONS.break_glass_reason_characters
    if not least <= len(said) <= _MOST_CHARS:
        raise BadRequest(f"the reason has {least} to {_MOST_CHARS} characters")
    asker, now = work.asker, work.now()
    until = now + RELATIONS.break_glass
    with work.store.database.write() as tx:
        row = {
            "person": exchange_id,
            "account": asker.name,
            "display": asker.display,
            "institution": asker.institution or "",
            "reason": said,
            "at_ms": milliseconds(now),
            "until_ms": milliseconds(until),
        }
        pk = tx.execute(insert(BREAK_GLASS).values(row).returning(BREAK_GLASS.c.pk)).scalar_one()
        _tell(tx, work, "access.glass_broken", exchange_id, {"emergency": pk, "until_ms": row["until_ms"]})
    return until


def emergencies(work: Work, verdict: str = "", *, before: int | None = None, limit: int = 50) -> list[Emergency]:
    """With this verdict ("": to be reviewed), newest first, behind the key `before`. Raises NotAllowed."""
    permitting.permit(work, Action.REVIEW)
    wanted = select(BREAK_GLASS).where(BREAK_GLASS.c.verdict == verdict)
    if before is not None:
        wanted = wanted.where(BREAK_GLASS.c.pk < before)
    with work.store.database.read() as tx:
        return list(map(_emergency, tx.execute(wanted.order_by(BREAK_GLASS.c.pk.desc()).limit(limit))))


def review(work: Work, pk: int, verdict: str, note: str = "") -> None:
    """A supervisor says whether there was a reason; where there was none, it opens nothing any more.

    Raises NotAllowed, NotFound, BadRequest.
    """
    permitting.permit(work, Action.REVIEW)
    if verdict not in VERDICTS:
        raise BadRequest(f"the verdict is one of {', '.join(VERDICTS)}")
    with work.store.database.write() as tx:
        said = {"verdict": verdict, "reviewed_by": work.who, "reviewed_at_ms": milliseconds(work.now())}
        where = (BREAK_GLASS.c.pk == pk, BREAK_GLASS.c.verdict == "")
        changed = update(BREAK_GLASS).where(*where).values(**said, note=note[:_MOST_CHARS])
        person = tx.execute(changed.returning(BREAK_GLASS.c.person)).scalar()
        if person is None:
            raise NotFound("an emergency to be reviewed")
        _tell(tx, work, "access.glass_reviewed", person, {"emergency": pk, "verdict": verdict})
    forget(work.store)


# --- what these share ---


def _lock(work: Work, tx: Connection, ids: Iterable[str]) -> None:
    work.store.database.lock(tx, [f"rights of {each}" for each in ids])


def _holding(tx: Connection, table: Table, ids: list[str]) -> list[Any]:
    wanted = select(table).where(table.c.person.in_(ids), table.c.ended_at_ms.is_(None))
    return list(tx.execute(wanted.order_by(table.c.pk)))


def _add(tx: Connection, work: Work, table: Table, **columns: str) -> None:
    tx.execute(insert(table).values(**columns, by=work.who, at_ms=milliseconds(work.now())))


def _end(work: Work, table: Table, exchange_id: str, pk: int | None, kind: str) -> None:
    """One of what holds of the person, or all. Raises NotFound for one that does not."""
    ids = permitting.ids(work, exchange_id)
    with work.store.database.write() as tx:
        _lock(work, tx, ids)
        where = [table.c.person.in_(ids), table.c.ended_at_ms.is_(None), *([] if pk is None else [table.c.pk == pk])]
        said = {"ended_by": work.who, "ended_at_ms": milliseconds(work.now())}
        if not tx.execute(update(table).where(*where).values(said)).rowcount:
            if pk is not None:
                raise NotFound("what is to be ended")
            return
        _tell(tx, work, kind, exchange_id, {} if pk is None else {"ended": pk})
    forget(work.store)


def _tell(tx: Connection, work: Work, kind: str, person: str, body: dict[str, Any] | None = None) -> None:
    said = {"by": work.who, **(body or {})}
    ledger.append(tx, at=work.now(), kind=kind, institution=work.institution or "", subject=person, body=said)


def _said(row: Any, about: str = "", to: str = "") -> Said:
    return Said(row.pk, moment(row.at_ms), row.by, about, to)


def _spoken(kind: str, row: Any, about: str = "", to: str = "") -> Spoken:
    at, ended = moment(row.at_ms), row.ended_at_ms
    return Spoken(kind, at, row.by, moment(ended) if ended is not None else None, row.ended_by, about, to)


def _emergency(row: Any) -> Emergency:
    words = (row.pk, row.person, row.account, row.display, row.institution, row.reason)
    return Emergency(*words, moment(row.at_ms), moment(row.until_ms), row.verdict, row.reviewed_by, row.note)
