"""The seam to the score: keys by which likely records are looked up, and what the score says of a pair. Pure."""

from __future__ import annotations

from functools import lru_cache

from huitong.catalog.matching import MATCHING
from huitong.people import comparing
from huitong.people.comparing import Features
from huitong.people.model import Demographics, Evidence
from huitong.people.rules import Weighed, birth_of, sex_of, sound


def keys_of(known: Demographics) -> tuple[str, ...]:
    """Keys under which a record is looked up by another that is likely of the same person."""
    return comparing.keys_of(features_of(known))


def weigh(a: Demographics, b: Demographics) -> Weighed:
    """What the score says of a pair, and the thresholds in force."""
    score = comparing.score(features_of(a), features_of(b))
    evidence = Evidence("score", score.probability, score.weight_bits, score.agreements)
    return Weighed(evidence, MATCHING.join_probability, MATCHING.ask_probability)


@lru_cache(maxsize=8192)
def features_of(known: Demographics) -> Features:
    """As the score reads it; of certificates only what proves something."""
    return Features(
        names=known.names,
        sex=sex_of(known),
        birth_date=birth_of(known),
        phones=known.phones,
        address=known.address,
        mother_name=known.mother_name,
        birth_order=known.birth_order,
        certificates=tuple(sorted(sound(known.certificates))),
    )
