"""A made population, matched: every pair that shares a key is scored, and what the machine would do held to the truth.

All records are compared with all, as they would be if each came after the others; certificates count by their weight
alone, so that what is measured is the score and not the rules before it.
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
    _judge(known, sent, pairs, matched, say)
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


def _judge(
    known: Sequence[Person],
    sent: Sequence[Record],
    pairs: NDArray[np.int64],
    matched: Matched,
    say: Callable[[str], None],
) -> None:
    sizes = Counter(record.person for record in sent)
    matched.true = sum(size * (size - 1) // 2 for size in sizes.values())
    parent = np.arange(len(sent))
    hard: dict[str, Counter[str]] = {"twins": Counter(), "namesakes": Counter()}
    for done, (one, other) in enumerate(pairs.tolist()):
        a, b = sent[one], sent[other]
        found = score(features_of(a), features_of(b))
        decision = decided(found)
        kind = _relation(known[a.person], known[b.person])
        if kind in hard:
            hard[kind][decision] += 1
        if kind == "one person":
            matched.reached += 1
            matched.joined += decision == "join"
            matched.asked += decision == "ask"
        else:
            matched.asked_falsely += decision == "ask"
            if decision == "join":
                matched.false_count += 1
                matched.false_joins.append((kind, _told(a), _told(b), round(found.weight_bits, 1)))
        if decision == "join":
            parent[_root(parent, one)] = _root(parent, other)
        if done % _TOLD_EVERY == 0:
            say(f"population: {done:,} pairs scored, {matched.false_count} false joins")
    matched.joined_by_way = _together(sent, parent)
    matched.hard = {kind: dict(counts) for kind, counts in hard.items()}
    del matched.false_joins[_LISTED:]


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
