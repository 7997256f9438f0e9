"""A made population, matched: every pair that shares a key is scored, and what the machine would do held to the truth.

All records are compared with all, as they would be if each came after the others; certificates count by their weight
alone, so that what is measured is the score and not the rules before it. As in the index the persons count beside the
pair: nobody is joined with whom a record of the same certificate holds to be perhaps a twin (`matching.match`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huitong.catalog.matching import MATCHING
from huitong.cli.simulate import Person, Record, people, records
from huitong.people.comparing import Score, keys_of, score
from huitong.people.model import Demographics
from huitong.people.rules import Pair

#: A key of more records is passed over, as the look-up passes over it.
MOST_OF_A_KEY = 50
SEED = 7
#: False joins that are told one by one.
_LISTED = 200
_TOLD_EVERY = 200_000


@dataclass
class Matched:
    """Pairs of records: `true` are of one person; `joined`, `asked` of them by the machine or for a human."""

    people: int
    records: int
    seconds: dict[str, float] = field(default_factory=dict)
    keys_each: float = 0.0
    keys_passed_over: int = 0
    candidates: int = 0
    true: int = 0
    #: Of the true pairs: those that share a key at all, are joined, are joined by way of others, are asked.
    reached: int = 0
    joined: int = 0
    joined_by_way: int = 0
    asked: int = 0
    asked_falsely: int = 0
    #: Joins of a pair that are questions, since a record of the same certificate may be a twin's: right and false ones.
    doubted: int = 0
    doubted_falsely: int = 0
    #: (what they are, record, record, weight in bits)
    false_joins: list[tuple[str, str, str, float]] = field(default_factory=list)
    false_count: int = 0
    #: Pairs of records of twins and of namesakes that were compared, and what was decided.
    hard: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def precision(self) -> float:
        return self.joined / max(self.joined + self.false_count, 1)

    @property
    def recall(self) -> float:
        return self.joined / max(self.true, 1)


def features_of(record: Record) -> Demographics:
    return Demographics(
        names=(record.name,),
        sex=record.sex,
        birth_date=record.birth_date,
        phones=(record.phone,) if record.phone else (),
        address=record.address,
        mother_name=record.mother_name,
        birth_order=record.birth_order,
        certificates=(("GB11643", record.certificate),) if record.certificate else (),
    )


def run(count: int, seed: int, say: Callable[[str], None]) -> Matched:
    started = time.perf_counter()
    known, sent = _drawn(count, seed)
    matched = Matched(len(known), len(sent))
    matched.seconds["drawing"] = time.perf_counter() - started
    say(f"population: {len(sent):,} records of {len(known):,} people drawn")
    started = time.perf_counter()
    pairs = _candidates(sent, matched)
    matched.seconds["keys"] = time.perf_counter() - started
    say(f"population: {matched.candidates:,} pairs share a key")
    started = time.perf_counter()
    _Judged(known, sent, matched).judge(pairs, say)
    matched.seconds["scoring"] = time.perf_counter() - started
    return matched


def _drawn(count: int, seed: int) -> tuple[list[Person], list[Record]]:
    known: list[Person] = []

    def noted() -> Iterator[Person]:
        for person in people(count, seed):
            known.append(person)
            yield person

    return known, list(records(noted(), seed))


def _candidates(sent: Sequence[Record], matched: Matched) -> NDArray[np.int64]:
    """Pairs (first < second) that share a key of few records; each once, as rows of two."""
    hashed, owners = [], []
    for at, record in enumerate(sent):
        for key in keys_of(features_of(record)):
            hashed.append(hash(key))
            owners.append(at)
    keys, of = np.array(hashed, np.int64), np.array(owners, np.int64)
    del hashed, owners
    matched.keys_each = len(keys) / len(sent)
    order = np.argsort(keys, kind="stable")
    keys, of = keys[order], of[order]
    begins = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    lengths = np.diff(np.r_[begins, len(keys)])
    matched.keys_passed_over = int((lengths > MOST_OF_A_KEY).sum())
    packed = []
    for length in range(2, MOST_OF_A_KEY + 1):
        runs = begins[lengths == length]
        members = of[runs[:, None] + np.arange(length)]
        first, second = np.triu_indices(length, 1)
        packed.append((members[:, first] * len(sent) + members[:, second]).ravel())
    unique = np.unique(np.concatenate(packed))
    matched.candidates = len(unique)
    return np.stack((unique // len(sent), unique % len(sent)), axis=1)


class _Judged:
    """What is decided of the pairs, held to the truth."""

    def __init__(self, known: Sequence[Person], sent: Sequence[Record], matched: Matched) -> None:
        self._known, self._sent, self._matched = known, sent, matched
        self._parent = np.arange(len(sent))
        self._hard: dict[str, Counter[str]] = {"twins": Counter(), "namesakes": Counter()}
        #: (record, record, weight in bits): joins without a common certificate.
        self._likely: list[tuple[int, int, float]] = []
        #: (record, certificate of another that may be of its twin)
        self._doubtful: set[tuple[int, str]] = set()
        sizes = Counter(record.person for record in sent)
        matched.true = sum(size * (size - 1) // 2 for size in sizes.values())

    def judge(self, pairs: NDArray[np.int64], say: Callable[[str], None]) -> None:
        for done, (one, other) in enumerate(pairs.tolist()):
            self._one(one, other)
            if done % _TOLD_EVERY == 0:
                say(f"population: {done:,} pairs scored, {self._matched.false_count} false joins")
        for one, other, bits in self._likely:
            self._count(one, other, self._of_persons(one, other), bits)
        self._matched.joined_by_way = _together(self._sent, self._parent)
        self._matched.hard = {kind: dict(counts) for kind, counts in self._hard.items()}
        del self._matched.false_joins[_LISTED:]

    def _one(self, one: int, other: int) -> None:
        pair = Pair(features_of(self._sent[one]), features_of(self._sent[other]))
        found = score(pair.a, pair.b)
        decision = decided(found)
        if decision == "ask" and pair.twin_or_misspelt:
            self._doubtful.update(self._certified(one, other))
        if decision == "join" and not pair.shared:
            self._likely.append((one, other, found.weight_bits))
        else:
            self._count(one, other, decision, found.weight_bits)

    def _certified(self, one: int, other: int) -> Iterator[tuple[int, str]]:
        for record, by in ((one, other), (other, one)):
            if self._sent[by].certificate:
                yield record, self._sent[by].certificate

    def _of_persons(self, one: int, other: int) -> str:
        doubted = not self._doubtful.isdisjoint(self._certified(one, other))
        same = self._sent[one].person == self._sent[other].person
        self._matched.doubted += doubted and same
        self._matched.doubted_falsely += doubted and not same
        return "ask" if doubted else "join"

    def _count(self, one: int, other: int, decision: str, bits: float) -> None:
        a, b, matched = self._sent[one], self._sent[other], self._matched
        kind = _relation(self._known[a.person], self._known[b.person])
        if kind in self._hard:
            self._hard[kind][decision] += 1
        if kind == "one person":
            matched.reached += 1
            matched.joined += decision == "join"
            matched.asked += decision == "ask"
        else:
            matched.asked_falsely += decision == "ask"
            if decision == "join":
                matched.false_count += 1
                matched.false_joins.append((kind, _told(a), _told(b), round(bits, 1)))
        if decision == "join":
            self._parent[_root(self._parent, one)] = _root(self._parent, other)


def decided(found: Score) -> str:
    if found.probability >= MATCHING.join_probability:
        return "join"
    return "ask" if found.probability >= MATCHING.ask_probability else "apart"


def _relation(a: Person, b: Person) -> str:
    if a.number == b.number:
        return "one person"
    if a.number in (b.twin_of, b.namesake_of) or b.number in (a.twin_of, a.namesake_of):
        return "twins" if a.number == b.twin_of or b.number == a.twin_of else "namesakes"
    if a.name == b.name and a.birth_date == b.birth_date:
        return "namesakes"
    return "household" if a.household == b.household else "strangers"


def _root(parent: NDArray[np.int64], at: int) -> int:
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = int(parent[at])
    return at


def _together(sent: Sequence[Record], parent: NDArray[np.int64]) -> int:
    """Pairs of one person's records that are joined, if only by way of others."""
    counts = Counter((record.person, _root(parent, at)) for at, record in enumerate(sent))
    return sum(size * (size - 1) // 2 for size in counts.values())


def _told(record: Record) -> str:
    """Of made people: nothing of it is anybody's."""
    shown: list[Any] = [
        record.name,
        record.sex,
        record.birth_date,
        record.phone,
        record.address,
        record.mother_name,
        record.certificate,
    ]
    return " ".join(str(one) for one in shown if one)
