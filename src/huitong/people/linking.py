"""Joins and splits, within the transaction of whoever decides. Every join keeps its evidence and can be undone.

A person is a set of records. A join moves the records of one person to another, the older one, and its id leads there;
a split moves the same records back. Records that came later, by their likeness to one that goes back, go with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from huitong.access.work import Work
from huitong.base.clock import milliseconds
from huitong.base.errors import BadRequest, NotFound
from huitong.people import links, records
from huitong.people.model import Evidence, Record
from huitong.store import ledger


def now_ms(work: Work) -> int:
    return milliseconds(work.now())


def tell(tx: Connection, work: Work, kind: str, subject: str, body: dict[str, Any], institution: str = "") -> None:
    """A line in the ledger: numbers of rows and exchange ids, nothing of a patient."""
    ledger.append(tx, at=work.now(), kind=f"people.{kind}", institution=institution, subject=subject, body=body)


def join(tx: Connection, work: Work, one: Record, other: Record, evidence: Evidence, who: str) -> int:
    """The persons of both records are one from now on; the key of the event.

    Which one stays does not depend on who comes first: it is the older, so that joining again gives the same.
    """
    kept, gone = sorted((one, other), key=lambda record: record.person_pk)
    moved = [record.pk for record in records.of_persons(tx, [gone.person_pk])]
    links.move(tx, moved, kept.person_pk)
    links.resolve(tx, gone.person_pk, kept.person_pk)
    event = links.add_event(
        tx,
        kind="join",
        kept_pk=kept.person_pk,
        other_pk=gone.person_pk,
        kept_patient_pk=kept.pk,
        other_patient_pk=gone.pk,
        moved=moved,
        evidence=evidence,
        who=who,
        at_ms=now_ms(work),
    )
    _tell_link(tx, work, "joined", event, kept.person_pk, gone.person_pk, evidence.rule)
    return event


def split(tx: Connection, work: Work, join_pk: int, who: str, note: str) -> int:
    """The join is undone; the key of the event that undid it. Raises NotFound, and BadRequest for one undone before."""
    row = links.event(tx, join_pk)
    if row is None or row.kind != "join":
        raise NotFound("join")
    if row.undone_by_pk is not None:
        raise BadRequest("this join was undone before")
    known = records.by_pk(tx, [row.kept_patient_pk, *links.moved_by(row)])
    here = known[row.kept_patient_pk].person_pk
    going = {pk for pk in links.moved_by(row) if known[pk].person_pk == here}
    going |= _followers(tx, here, going, row)
    links.move(tx, going, row.other_pk)
    links.resolve(tx, row.other_pk, None)
    event = links.add_event(
        tx,
        kind="split",
        kept_pk=here,
        other_pk=row.other_pk,
        kept_patient_pk=row.kept_patient_pk,
        other_patient_pk=row.other_patient_pk,
        moved=sorted(going),
        evidence=Evidence("human"),
        who=who,
        at_ms=now_ms(work),
        undoes_pk=join_pk,
    )
    links.mark_undone(tx, join_pk, event)
    _remember_apart(tx, work, row, who, note)
    _tell_link(tx, work, "split", event, here, row.other_pk, "human")
    return event


def _followers(tx: Connection, here: int, going: set[int], undone: Any) -> set[int]:
    """Records of the same person that were joined for their likeness to one that goes."""
    staying = {record.pk for record in records.of_persons(tx, [here])} - going
    joins = [row for row in links.standing_joins(tx, staying | going) if row.pk != undone.pk]
    found, grown = set(going), True
    while grown:
        grown = False
        for row in joins:
            if row.kept_patient_pk in found and not found.issuperset(
                there := staying.intersection(links.moved_by(row))
            ):
                found |= there
                grown = True
    return found - going


def _remember_apart(tx: Connection, work: Work, row: Any, who: str, note: str) -> None:
    """The pair is not joined again, nor asked about, but by a human."""
    pair = links.question_row(tx, row.kept_patient_pk, row.other_patient_pk)
    pk = pair.pk if pair is not None else links.ask(
        tx, row.kept_patient_pk, row.other_patient_pk, Evidence.of(links.evidence_of(row)), now_ms(work)
    )  # fmt: skip
    links.settle(tx, pk, "apart", who, now_ms(work), note)


def _tell_link(tx: Connection, work: Work, kind: str, event: int, kept: int, other: int, rule: str) -> None:
    ids = records.exchange_ids(tx, [kept, other])
    tell(tx, work, kind, ids[kept], {"other": ids[other], "event": event, "rule": rule})


def records_of_pair(tx: Connection, pks: Sequence[int]) -> tuple[Record, Record]:
    known = records.by_pk(tx, pks)
    return known[pks[0]], known[pks[1]]


def pks_of(found: Iterable[Record]) -> list[int]:
    return [record.pk for record in found]


def persons_of(tx: Connection, pks: Sequence[int]) -> list[str]:
    """The exchange ids of the persons of these records."""
    persons = {record.person_pk for record in records.by_pk(tx, pks).values()}
    return list(records.exchange_ids(tx, sorted(persons)).values())


def persons_of_event(tx: Connection, event: int) -> list[str]:
    """The exchange ids of both persons of a join or split."""
    row = links.event(tx, event)
    return [] if row is None else list(records.exchange_ids(tx, [row.kept_pk, row.other_pk]).values())
