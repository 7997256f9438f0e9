"""A record is compared with those that may be of the same person: joined, asked about, or left apart.

Within the transaction of whoever registers, and holding the lock of the room: of two records that come at once, the
second sees the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from huitong.access.work import Work
from huitong.people import linking, links, records, rules, weighing
from huitong.people.identifiers import sound
from huitong.people.model import Demographics, Evidence, Record
from huitong.people.rules import Decision, Pair, Verdict
from huitong.wire.mending import mended
from huitong.wire.names import name_forms_of

#: Records that share one certificate: more of them are a mistake of a system, and are not all compared.
_MOST_SHARING = 50
#: Records under one key of the score: a key that more have is passed over.
_MOST_OF_KEY = 200
#: Up to so many are read whole at once; of more, first what is quickly compared.
_FEW = 4
#: Questions about one record at a time: the likeliest.
_MOST_QUESTIONS = 5
#: Forms of a name that a record is found by.
_FORMS = 8


@dataclass(frozen=True, slots=True)
class Compared:
    """A record that may be of the same person, and what the rules say of it."""

    record: Record
    verdict: Verdict


def keys_of(known: Demographics) -> list[str]:
    """All that a record with these demographics is looked up by."""
    forms = [form.replace(" ", "") for name in known.names for form in name_forms_of(mended(name))]
    return [f"k:{key}" for key in weighing.keys_of(known)] + [f"n:{form}" for form in dict.fromkeys(forms)][:_FORMS]


def compared(
    tx: Connection, known: Demographics, *, pk: int = 0, merged_into: str = "", issuer: str = ""
) -> list[Compared]:
    """Records that are found by certificate or key, but the one of key `pk`, likeliest first.

    Without some that are surely apart, where many share a key.
    """
    found = records.by_pk(tx, _look_up(tx, known, pk))
    if merged_into and (stays := records.by_number(tx, issuer, merged_into)) is not None:
        found[stays.pk] = stays
    pairs = []
    for record in found.values():
        merged = record.issuer == issuer and record.number == merged_into
        weighed = weighing.weigh(known, record.known)
        pairs.append(Compared(record, rules.decide(Pair(known, record.known, merged, weighed))))
    return sorted((_of_persons(tx, [known], each) for each in pairs), key=_likeliest)


def _of_persons(tx: Connection, mine: Sequence[Demographics], each: Compared) -> Compared:
    """A likely join is a question where any of both sides may be twins: one twin's name was typed for the other's."""
    evidence = each.verdict.evidence
    if evidence.rule != "likely":
        return each
    theirs = [record.known for record in records.of_persons(tx, [each.record.person_pk])]
    if not any(Pair(one, other).twin_or_misspelt for one in mine for other in theirs):
        return each
    return Compared(each.record, Verdict(Decision.ASK, replace(evidence, rule="twin-or-misspelt")))


def _look_up(tx: Connection, known: Demographics, pk: int) -> list[int]:
    certificates = sound(known.certificates) | sound(known.mother_certificates)
    by_certificate = records.sharing_certificates(tx, pk, sorted(certificates), _MOST_SHARING)
    by_key = records.sharing_keys(tx, pk, (f"k:{key}" for key in weighing.keys_of(known)), _MOST_OF_KEY)
    others = set(by_key).difference(by_certificate)
    if len(others) > _FEW:
        others = weighing.left_over(known, records.said_of(tx, others))
    return [*by_certificate, *others]


_ORDER = {Decision.JOIN: 0, Decision.ASK: 1, Decision.APART: 2}


def _likeliest(each: Compared) -> tuple[int, float, int]:
    return _ORDER[each.verdict.decision], -(each.verdict.evidence.probability or 0.0), each.record.pk


def match(tx: Connection, work: Work, pk: int) -> None:
    """The record is joined with whom it has to be, and humans are asked where they have to be."""
    record = records.by_pk(tx, [pk])[pk]
    records.put_keys(tx, pk, keys_of(record.known))
    found = compared(tx, record.known, pk=pk, merged_into=record.merged_into, issuer=record.issuer)
    into_this = links.touching(tx, [pk], "joined")
    _withdraw(tx, work, record, found)
    asked = 0
    for each in found:
        verdict = _verdict_now(tx, pk, each)
        if verdict.decision is Decision.JOIN:
            try_to_join(tx, work, pk, each.record.pk, verdict.evidence, "rules")
        elif verdict.decision is Decision.ASK and asked < _MOST_QUESTIONS:
            asked += _ask(tx, work, pk, each.record.pk, verdict.evidence)
    for row in into_this:
        try_to_join(tx, work, row.low_pk, row.high_pk, Evidence("human"), row.who)
    records.note_matched(tx, pk, record.revision)


def _verdict_now(tx: Connection, pk: int, each: Compared) -> Verdict:
    """With the records in mind that the person has got by joins since it was compared."""
    if each.verdict.evidence.rule != "likely":
        return each.verdict
    mine = records.of_persons(tx, [records.by_pk(tx, [pk])[pk].person_pk])
    if each.record.pk in linking.pks_of(mine):
        return each.verdict
    return _of_persons(tx, [record.known for record in mine], each).verdict


def try_to_join(tx: Connection, work: Work, one: int, other: int, evidence: Evidence, who: str) -> bool:
    """Whether both are one person now: not while a question is open on either side, nor against a human or a fact."""
    a, b = linking.records_of_pair(tx, [one, other])
    if a.person_pk == b.person_pk:
        return True
    mine, theirs = records.of_persons(tx, [a.person_pk]), records.of_persons(tx, [b.person_pk])
    pks, others = linking.pks_of(mine), linking.pks_of(theirs)
    if links.touching(tx, [*pks, *others], "open"):
        return False
    if evidence.rule != "human" and (links.between(tx, pks, others, "apart") or _contradict(mine, theirs)):
        return False
    linking.join(tx, work, a, b, evidence, who)
    return True


def _contradict(mine: Sequence[Record], theirs: Iterable[Record]) -> bool:
    """Whether any of both sides prove to be two people."""
    return any(
        rules.contradict(a.known, b.known)
        or rules.decide(Pair(a.known, b.known)).evidence.rule in ("other-certificate", "other-birth-order")
        for b in theirs
        for a in mine
    )


def split(tx: Connection, work: Work, join_pk: int, who: str, note: str) -> int:
    """As `linking.split`; what the join had kept out is decided now."""
    undone = linking.split(tx, work, join_pk, who, note)
    decide_again(tx, work, linking.ends_of(tx, undone))
    return undone


def decide_again(tx: Connection, work: Work, pks: Iterable[int]) -> None:
    """All records of the persons of these, now that a question less is open, or a join less in the way."""
    persons = {record.person_pk for record in records.by_pk(tx, pks).values()}
    for record in records.of_persons(tx, persons):
        match(tx, work, record.pk)


def _ask(tx: Connection, work: Work, one: int, other: int, evidence: Evidence) -> bool:
    """Whether a human is asked: not of one person already, nor again what a human has answered."""
    a, b = linking.records_of_pair(tx, [one, other])
    if a.person_pk == b.person_pk:
        return False
    row = links.question_row(tx, one, other)
    if row is not None and row.state != "withdrawn":
        return False
    mine = linking.pks_of(records.of_persons(tx, [a.person_pk]))
    theirs = linking.pks_of(records.of_persons(tx, [b.person_pk]))
    if links.between(tx, mine, theirs, "apart") or links.between(tx, mine, theirs, "open"):
        return False
    if row is None:
        pk = links.ask(tx, one, other, evidence, linking.now_ms(work))
    else:
        pk = row.pk
        links.ask_again(tx, pk, evidence, linking.now_ms(work))
    linking.tell(tx, work, "asked", str(pk), {"rule": evidence.rule})
    return True


def _withdraw(tx: Connection, work: Work, record: Record, found: Sequence[Compared]) -> None:
    """Open questions that a rule answers by now (a certificate came that proves two people) are no questions."""
    decided = {each.record.pk: each.verdict.decision for each in found}
    for row in links.touching(tx, [record.pk], "open"):
        other = row.high_pk if row.low_pk == record.pk else row.low_pk
        if decided.get(other, Decision.APART) is Decision.APART:
            links.settle(tx, row.pk, "withdrawn", "rules", linking.now_ms(work))
            linking.tell(tx, work, "answered", str(row.pk), {"answer": "withdrawn"})
            again(tx, [row.low_pk, row.high_pk])


def again(tx: Connection, patient_pks: Sequence[int]) -> None:
    """What waited for an answer about these is looked at again, by whoever follows."""
    persons = {record.person_pk for record in records.by_pk(tx, patient_pks).values()}
    records.match_again(tx, persons)
