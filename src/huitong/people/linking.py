"""Joins and splits, within the transaction of whoever decides. Every join keeps its evidence and can be undone.

A person is a set of records that joins hold together, and the oldest of the persons that were made with them; the ids
of the others lead there. So who is who depends on the joins that stand, and not on the order in which they came: a
split leaves what would be, had the join never been.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    moved = records.of_persons(tx, [gone.person_pk])
    links.move(tx, pks_of(moved), kept.person_pk)
    links.resolve(tx, [record.first_person_pk for record in moved], kept.person_pk)
    event = links.add_event(
        tx,
        kind="join",
        kept_pk=kept.person_pk,
        other_pk=gone.person_pk,
        kept_patient_pk=kept.pk,
        other_patient_pk=gone.pk,
        moved=pks_of(moved),
        evidence=evidence,
        who=who,
        at_ms=now_ms(work),
    )
    _tell_link(tx, work, "joined", event, kept.person_pk, gone.person_pk, evidence.rule)
    return event


def split(tx: Connection, work: Work, join_pk: int, who: str, note: str) -> int:
    """All is as if the join had never been; the key of the event that undid it.

    Raises NotFound, and BadRequest for one undone before.
    """
    row = links.event(tx, join_pk)
    if row is None or row.kind != "join":
        raise NotFound("join")
    if row.undone_by_pk is not None:
        raise BadRequest("this join was undone before")
    here = records.by_pk(tx, [row.kept_patient_pk])[row.kept_patient_pk].person_pk
    whole = records.of_persons(tx, [here])
    joins = [each for each in links.standing_joins(tx, pks_of(whole)) if each.pk != join_pk]
    whose = parted(whole, [(each.kept_patient_pk, each.other_patient_pk) for each in joins])
    for person in sorted(set(whose.values())):
        side = [record for record in whole if whose[record.pk] == person]
        links.move(tx, pks_of(side), person)
        links.resolve(tx, [record.first_person_pk for record in side], person)
    kept, other = sorted((row.kept_patient_pk, row.other_patient_pk), key=lambda pk: whose[pk] != here)
    event = links.add_event(
        tx,
        kind="split",
        kept_pk=whose[kept],
        other_pk=whose[other],
        kept_patient_pk=kept,
        other_patient_pk=other,
        moved=sorted(pk for pk, person in whose.items() if person != here),
        evidence=Evidence("human"),
        who=who,
        at_ms=now_ms(work),
        undoes_pk=join_pk,
    )
    links.mark_undone(tx, join_pk, event)
    _remember_apart(tx, work, row, whose, who, note)
    _tell_link(tx, work, "split", event, whose[kept], whose[other], "human")
    return event


def parted(whole: Sequence[Record], joins: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Record -> person, where of one person's records only these pairs are joined.

    A person is the oldest of those that were made with its records. Pairs with a record of somebody else say nothing.
    """
    whose = {record.pk: record.first_person_pk for record in whole}
    for one, other in joins:
        if one in whose and other in whose:
            kept, gone = sorted((whose[one], whose[other]))
            whose = {pk: kept if person == gone else person for pk, person in whose.items()}
    return whose


def _remember_apart(tx: Connection, work: Work, row: Any, whose: Mapping[int, int], who: str, note: str) -> None:
    """The pair is not joined again, nor asked about, but by a human; nor is another that now is of two persons."""
    for each in links.touching(tx, list(whose), "joined"):
        persons = {whose.get(each.low_pk), whose.get(each.high_pk)}
        if len(persons) == 2 and None not in persons:
            links.settle(tx, each.pk, "apart", who, now_ms(work), note)
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


def ends_of(tx: Connection, event: int) -> list[int]:
    """The two records for which there was a join or split."""
    row = links.event(tx, event)
    return [] if row is None else [row.kept_patient_pk, row.other_patient_pk]


def persons_of_event(tx: Connection, event: int) -> list[str]:
    """The exchange ids of both persons of a join or split."""
    row = links.event(tx, event)
    return [] if row is None else list(records.exchange_ids(tx, [row.kept_pk, row.other_pk]).values())
