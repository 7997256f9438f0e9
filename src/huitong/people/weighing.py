"""The seam to the score: keys by which likely records are looked up, and what the score says of a pair. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from huitong.catalog.matching import MATCHING
from huitong.people import comparing
from huitong.people.identifiers import sound
from huitong.people.model import Demographics, Evidence
from huitong.people.rules import Weighed, birth_of, sex_of


def keys_of(known: Demographics) -> tuple[str, ...]:
    """Keys under which a record is looked up by another that is likely of the same person."""
    return comparing.keys_of(weighed_of(known))


def weigh(a: Demographics, b: Demographics) -> Weighed:
    """What the score says of a pair, and the thresholds in force."""
    score = comparing.score(weighed_of(a), weighed_of(b))
    evidence = Evidence("score", score.probability, score.weight_bits, score.agreements)
    return Weighed(evidence, MATCHING.join_probability, MATCHING.ask_probability)


def left_over(known: Demographics, others: Iterable[tuple[int, Demographics]]) -> set[int]:
    """Keys of those who may score enough for a human to be asked, or share a certificate; all others surely do not."""
    screen = comparing.Screen(weighed_of(known), comparing.bits_of(MATCHING.ask_probability))
    return {key for key, other in others if not screen.rules_out(weighed_of(other))}


@lru_cache(maxsize=8192)
def weighed_of(known: Demographics) -> Demographics:
    """As the score reads it: sex and birth date of a citizen number, and of certificates what proves something."""
    return replace(
        known,
        sex=sex_of(known),
        birth_date=birth_of(known),
        mother_certificates=(),
        certificates=tuple(sorted(sound(known.certificates))),
    )
