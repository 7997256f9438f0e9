"""What becomes of an HL7 message: it is read, taken once, and all that it says is kept in one transaction."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, text

from huitong.access.remembering import forget
from huitong.access.work import Work
from huitong.base.clock import milliseconds
from huitong.base.errors import NotAllowed, NotFound
from huitong.people import adt, linking, links, matching, permitting, records, registering
from huitong.people.message_tables import HL7_MESSAGE
from huitong.people.model import Evidence
from huitong.people.visiting import change_visit, move_visits, under
from huitong.store.store import Store
from huitong.wire.hl7 import BadMessage, Message, write

EVENTS = adt.EVENTS
#: How long a message is remembered. After that its repetition is taken again, and changes nothing: whatever is newer
#: stays.
REMEMBERED = timedelta(days=7)
#: The institution says that two of its numbers are one patient's.
_BY_ISSUER = Evidence("merged-by-issuer")


def take_message(work: Work, message: Message) -> None:
    """Do what the message says; durable when this returns. One that was taken before has no effect.

    Raises BadMessage, BadRequest, NotAllowed, NotFound (a number that is unknown), StoreFull, StoreUnavailable.
    """
    permitting.permit_sending(work)
    if work.institution is None:
        raise NotAllowed("messages are for institutions")
    told = adt.read(message, work.institution, work.at, test_too=work.store.settings.demo)
    with _turn(work.store), work.store.database.write() as tx:
        work.store.database.lock(tx, registering.LOCK)
        if _is_new(tx, work.institution, message, work.at):
            _apply(tx, work, work.institution, told)
    if told.linked is not None:
        forget(work.store)


def _turn(store: Store) -> AbstractContextManager[object]:
    """Of SQLite's writers one works at a time, and those that wait look every now and then: some wait for seconds."""
    return store.once("people.receiving", threading.Lock) if store.database.kind == "sqlite" else nullcontext()


# --- once ---


def _is_new(tx: Connection, institution: str, message: Message, at: datetime) -> bool:
    """Notes the message."""
    sha256, at_ms = digest(message), milliseconds(at)
    sender = {"institution": institution, "application": message.header.value(3)}
    row = {**sender, "control_id": message.control_id, "sha256": sha256, "at_ms": at_ms}
    if tx.execute(_NOTE, row).first() is None:
        return False
    if sha256[0] == 0:  # one in 256, so that old ones go at about the pace of new ones
        before_ms = at_ms - REMEMBERED // timedelta(milliseconds=1)
        tx.execute(delete(HL7_MESSAGE).where(HL7_MESSAGE.c.at_ms < before_ms))
    return True


_NOTE = text("""
    INSERT INTO hl7_message(institution, application, control_id, sha256, at_ms)
    VALUES (:institution, :application, :control_id, :sha256, :at_ms) ON CONFLICT DO NOTHING RETURNING at_ms
""")


def digest(message: Message) -> bytes:
    """Of all that the message says but when it was sent (MSH-7): it may be sent again."""
    header = message.header
    undated = replace(header, fields=(*header.fields[:6], (), *header.fields[7:]))
    return hashlib.sha256(write(replace(message, segments=(undated, *message.segments[1:])))).digest()


# --- effects ---


def _apply(tx: Connection, work: Work, institution: str, told: adt.Told) -> None:
    for registration in told.registrations:
        registering.register(tx, work, registration)
    first, *others = (each.number for each in told.registrations) if told.registrations else ("",)
    for other in others:
        _link(tx, work, (first, other))
    if told.visit is not None:
        used = [records.in_use(tx, institution, number) for number in told.numbers]
        change_visit(tx, institution, under(tx, institution, used, told.visit), told.effective_at)
    for goes, stays in told.merges:
        registering.merge_numbers(tx, work, institution, goes, stays)
        move_visits(tx, institution, goes, stays)
    if told.linked is not None and told.event.links and not _link(tx, work, told.linked):
        raise BadMessage("the two are not linked: a human has to say first who one of them is", 206, "PID^1^3")
    if told.linked is not None and not told.event.links:
        _unlink(tx, work, told.linked)


def _link(tx: Connection, work: Work, numbers: tuple[str, str]) -> bool:
    """Whether both numbers are one person's now: not where certificates or a registrar say that they are two.

    What the rules would ask about the two, the institution has answered, and what it said before it may take back.
    """
    one, other = _pks(tx, work, numbers)
    who, row = work.who, links.question_row(tx, one, other)
    answered = row is not None and (row.state == "open" or (row.state == "apart" and row.who == who))
    if answered:
        links.settle(tx, row.pk, "joined", who, linking.now_ms(work))
        linking.tell(tx, work, "answered", str(row.pk), {"answer": "joined"})
    joined = matching.try_to_join(tx, work, one, other, _BY_ISSUER, who)
    if answered:
        matching.decide_again(tx, work, [one, other])
    return joined


def _unlink(tx: Connection, work: Work, numbers: tuple[str, str]) -> None:
    """What the institution joined it may split; what is one person for other reasons a registrar has to look at."""
    pks = _pks(tx, work, numbers)
    for row in links.standing_joins(tx, pks):
        between = {row.kept_patient_pk, row.other_patient_pk} == set(pks)
        if between and Evidence.of(links.evidence_of(row)).rule == _BY_ISSUER.rule:
            matching.split(tx, work, row.pk, work.who, "unlinked (A37)")
    one, other = linking.records_of_pair(tx, pks)
    if one.person_pk == other.person_pk:
        raise BadMessage("the two are one person for other reasons: a registrar has to split them", 206, "PID^1^3")


def _pks(tx: Connection, work: Work, numbers: Iterable[str]) -> list[int]:
    """Raises NotFound."""
    found = [records.by_number(tx, work.institution or "", number) for number in numbers]
    if None in found:
        raise NotFound("patient number")
    return [record.pk for record in found if record is not None]
