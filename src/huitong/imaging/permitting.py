"""Whether the asker may see a study, at the entrance of every action: facts gathered, decided, written down.

Refused is unknown: one error with one text, come about by the same statements, and both leave a line in the audit.
A `StoredInstance` and a row of a list are handed out only where this has said yes; what takes one takes it as proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from huitong.access import auditing
from huitong.access.auditing import Looked
from huitong.access.deciding import Action, Decision, Fact, Subject, decide
from huitong.access.model import FREE, Kind
from huitong.access.remembering import remembered
from huitong.access.work import Work
from huitong.base.errors import NotAllowed, NotFound
from huitong.catalog.access import sensitive_classes
from huitong.imaging.plan import RECORD, Plan, Values
from huitong.people import actions as people
from huitong.people.actions import Relations
from huitong.store.database import Session
from huitong.wire.query import Match, Query

#: Studies of one UID, of as many institutions; studies of one person that are looked at, the newest first.
_SAME_UID, _OF_PERSON = 8, 5000
_COLUMNS = "pk, institution, study_uid, patient_pk, shown, attributes"
#: Institutional department name, requested procedure, description, and the codes of the latter two.
_TOLD = ("00081040", "00321060", "00081030", "00081032", "00321064")


# --- one study ---


#: An institution, and whether its study is the one that is shown where none is named.
Permitted = tuple[str | None, bool]


def at_hand(work: Work, study_uid: str, institution: str | None) -> Permitted | None:
    """As `permit`, from memory; None where it has to be decided."""
    if work.asker.kind in FREE:
        return institution, True
    found: Permitted | None = remembered(work.store).get((work.asker, institution, study_uid))
    return found


def permit(work: Work, study_uid: str, institution: str | None, what: str = "study") -> str | None:
    """The institution whose study of this UID the asker may see: their own before the one that is shown to all.

    Raises NotFound of `what` where there is none, or none that they may see.
    """
    known = at_hand(work, study_uid, institution)
    if known is None:
        memory = remembered(work.store)
        epoch = memory.epoch
        known = _decided(work, study_uid, institution, what)
        memory.put((work.asker, institution, study_uid), known, epoch)
    return known[0]


def _decided(work: Work, study_uid: str, institution: str | None, what: str) -> Permitted:
    with work.store.database.reading() as session:
        rows = [row for row in session.rows(_BY_UID, {"uid": study_uid}) if institution in (None, row["institution"])]
        rows.sort(key=lambda row: _nearest(work, row))
        looked = [_judged(work, session, row) for row in rows[:1]] or [_unknown(work, session, study_uid, institution)]
        while not looked[-1].allowed and len(looked) < len(rows):
            looked.append(_judged(work, session, rows[len(looked)]))
    auditing.once(work, looked[-1])
    if not looked[-1].allowed:
        raise NotFound(what)
    return looked[-1].institution, bool(rows[len(looked) - 1]["shown"])


#: Ordered, so that of the same studies the same are looked at.
_BY_UID = f"SELECT {_COLUMNS} FROM study WHERE study_uid = :uid ORDER BY pk LIMIT {_SAME_UID}"


def _nearest(work: Work, row: Any) -> tuple[bool, bool, int]:
    return row["institution"] != work.institution, not row["shown"], row["pk"]


def _judged(work: Work, session: Session, row: Any) -> Looked:
    related = people.relations_of_record(session, work.asker, row["patient_pk"], work.now())
    return _looked(decided_on(work, row, related), row["study_uid"], row["institution"], related)


def _unknown(work: Work, session: Session, study_uid: str, institution: str | None) -> Looked:
    people.relations_of_record(session, work.asker, None, work.now())
    return _looked(Decision(False, "unknown"), study_uid, institution or "", Relations())


def _looked(decision: Decision, study_uid: str, institution: str, related: Relations) -> Looked:
    detail = {"visit": related.visit} if decision.rule == "open visit" and related.visit else {}
    whose = {"person": related.person, "kind": "study", "id": study_uid, "institution": institution}
    return Looked.of(Action.SEE_STUDY, decision, **whose, detail=detail)


def decided_on(work: Work, row: Any, related: Relations) -> Decision:
    """Of a row of `study`, and what is so between the asker and its person."""
    other = work.asker.kind is Kind.SHARE and work.asker.study != (row["institution"], row["study_uid"])
    facts = related.facts - {Fact.SHARED} if other else related.facts
    own = row["institution"] == work.institution
    sensitive = frozenset[str]() if own else sensitive_classes(_texts(orjson.loads(row["attributes"])))
    subject = Subject("study", row["institution"], related.person, facts, sensitive, related.consented)
    return decide(work.asker, Action.SEE_STUDY, subject)


def _texts(attributes: dict[str, Any]) -> Iterable[str]:
    for tag in _TOLD:
        for value in attributes.get(tag, {}).get("Value", ()):
            if isinstance(value, str):
                yield value
            elif isinstance(value, dict):  # an item of a code sequence: its meaning
                yield from map(str, value.get("00080104", {}).get("Value", ()))


def permit_share(work: Work, study_uid: str, institution: str) -> Looked:
    """That the asker may give links to the study away, for the audit of the one that does. Raises NotFound."""
    permit(work, study_uid, institution)
    with work.store.database.reading() as session:
        rows = [row for row in session.rows(_BY_UID, {"uid": study_uid}) if row["institution"] == institution]
        related = people.relations_of_record(session, work.asker, rows[0]["patient_pk"] if rows else None, work.now())
    decision = decide(work.asker, Action.SHARE, Subject("study", institution, related.person, related.facts))
    whose = {"person": related.person, "kind": "study", "id": study_uid, "institution": institution}
    looked = Looked.of(Action.SHARE, decision, **whose)
    if not decision.allowed or not related.person:
        auditing.once(work, looked)
        raise NotFound("study")
    return looked


# --- lists ---


@dataclass(frozen=True, slots=True)
class Seen:
    """Which studies a list may be of; with neither it is of all."""

    #: Those of this institution.
    institution: str | None = None
    #: These.
    pks: list[int] | None = None

    def narrow(self, plan: Plan) -> None:
        """The plan finds, counts and pages these alone."""
        if self.pks is None and self.institution is None:
            return
        if "shown = 1" in plan.where:  # which of the studies of one UID is meant has been decided
            plan.where.remove("shown = 1")
        if self.pks is not None:
            plan.pks = self.pks if plan.pks is None else sorted(set(self.pks).intersection(plan.pks))
        elif self.institution in plan.keys.get("institution", (self.institution,)):
            plan.keys["institution"], plan.listed = (self.institution,), f"at {self.institution}"
        else:
            plan.pks = []


def seen(session: Session, work: Work, query: Query, epoch: int, *, every_sender: bool = False) -> Seen:
    """What of the answers to the query the asker may see.

    A query that names persons by exchange id, or studies by UID, is answered with those that were each decided; one
    that names none with the own institution's; residents have their own studies, whatever they ask. `epoch` is that of
    what is remembered (`epoch_of`), before the session has read anything.
    """
    asker = work.asker
    if asker.kind in FREE:
        return Seen()
    if asker.kind is Kind.SHARE:
        institution, study_uid = asker.study
        rows = [row for row in session.rows(_BY_UID, {"uid": study_uid}) if row["institution"] == institution]
    elif asker.kind is Kind.PERSON:
        rows = _of_records(session, people.records_that_are_theirs(session, asker, work.now()))
    elif (records := _values(query, RECORD)) is not None:
        rows = _of_records(session, sorted(map(int, records)))
    elif (uids := _uids(query)) is not None:
        if not every_sender and all(_as_shown(work, uid, query.institution) for uid in uids):
            return Seen()
        pks = _allowed(work, session, rows := _of_uids(session, uids), epoch, every_sender=every_sender)
        _remember_nearest(work, rows, set(pks), epoch)
        return Seen(pks=pks)
    else:
        return _own(work)
    return Seen(pks=_allowed(work, session, rows, epoch, every_sender=every_sender))


def epoch_of(work: Work) -> int:
    """To be asked before a list reads its first row: where a right is taken away after it, nothing is remembered."""
    return remembered(work.store).epoch


def _remember_nearest(work: Work, rows: Sequence[Any], pks: set[int], epoch: int) -> None:
    """Which study of a UID the asker means who names no institution: as `permit` would find it, of all of the UID."""
    nearest: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: _nearest(work, row)):
        if row["pk"] in pks:
            nearest.setdefault(row["study_uid"], row)
    for study_uid, row in nearest.items():
        permitted = row["institution"], bool(row["shown"])
        remembered(work.store).put((work.asker, None, study_uid), permitted, epoch)


def _as_shown(work: Work, study_uid: str, institution: str | None) -> bool:
    """Whether it is known that the asker may see just the study that a search for the UID would find."""
    known = at_hand(work, study_uid, institution)
    return known is not None and (institution is not None or known[1])


def _own(work: Work) -> Seen:
    own = work.institution or ""
    decision = decide(work.asker, Action.LIST_STUDIES, Subject("list", own))
    auditing.once(work, Looked.of(Action.LIST_STUDIES, decision, kind="list", institution=own))
    return Seen(institution=own) if decision.allowed else Seen(pks=[])


def _values(query: Query, tag: str) -> tuple[str, ...] | None:
    return next((c.values for c in query.conditions if c.tag == tag and c.match is Match.EQUAL), None)


def _uids(query: Query) -> Sequence[str] | None:
    return (query.study_uid,) if query.study_uid is not None else _values(query, "0020000D")


def _of_records(session: Session, pks: Sequence[int]) -> list[Any]:
    values = Values(session.kind)
    among = values.among("patient_pk", list(pks), "bigint")
    order = "ORDER BY study_date DESC, study_time DESC, pk DESC"
    return session.rows(f"SELECT {_COLUMNS} FROM study WHERE {among} {order} LIMIT {_OF_PERSON}", values.named)


def _of_uids(session: Session, uids: Sequence[str]) -> list[Any]:
    values = Values(session.kind)
    among = values.among("study_uid", list(uids))
    return session.rows(f"SELECT {_COLUMNS} FROM study WHERE {among} ORDER BY pk LIMIT {_OF_PERSON}", values.named)


def _allowed(work: Work, session: Session, rows: Sequence[Any], epoch: int, *, every_sender: bool) -> list[int]:
    """Keys of those that the asker may see; one of each UID unless of `every_sender`."""
    memory, found = remembered(work.store), dict[str, list[int]]()
    known = {row["pk"] for row in rows if memory.get((work.asker, row["institution"], row["study_uid"]))}
    new = [row for row in rows if row["pk"] not in known]
    related = _related(work, session, new) if new or not rows else {}
    for row in sorted(rows, key=lambda row: _nearest(work, row)):
        if row["pk"] not in known:
            whose = related[row["patient_pk"]]
            decision = decided_on(work, row, whose)
            auditing.once(work, _listed(decision, whose))
            if not decision.allowed:
                continue
            permitted = row["institution"], bool(row["shown"])
            memory.put((work.asker, row["institution"], row["study_uid"]), permitted, epoch)
        found.setdefault(row["study_uid"], []).append(row["pk"])
    if not rows:
        auditing.once(work, _listed(Decision(False, "unknown"), Relations()))
    return sorted(pk for pks in found.values() for pk in (pks if every_sender else pks[:1]))


def _related(work: Work, session: Session, rows: Sequence[Any]) -> dict[int | None, Relations]:
    """By record, gathered once for each person; as many statements for nobody as for somebody."""
    records = {row["patient_pk"] for row in rows} or {None}
    persons = people.persons_of_records(session, (pk for pk in records if pk is not None))
    one_of = {persons.get(pk): pk for pk in records}
    gathered = {
        person: people.relations_of_record(session, work.asker, pk, work.now()) for person, pk in one_of.items()
    }
    return {pk: gathered[persons.get(pk)] for pk in records}


def _listed(decision: Decision, related: Relations) -> Looked:
    """One line for all studies of a person by one rule."""
    return Looked.of(Action.LIST_STUDIES, decision, person=related.person, kind="person", id=related.person)


# --- sending ---


def permit_sending(work: Work) -> None:
    """Raises NotAllowed for whoever is no institution's system."""
    subject = Subject("study", work.institution or "")
    if not work.may_send or not decide(work.asker, Action.SEND_IMAGES, subject).allowed:
        raise NotAllowed("sending is for institutions")
