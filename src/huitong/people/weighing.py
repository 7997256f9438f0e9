"""The seam to the score: keys by which likely records are looked up, and what the score says of a pair. Pure."""

from __future__ import annotations

from huitong.people.model import Demographics
from huitong.people.rules import Weighed


def keys_of(known: Demographics) -> tuple[str, ...]:
    """Keys under which a record is looked up by another that is likely of the same person."""
    return ()


def weigh(a: Demographics, b: Demographics) -> Weighed | None:
    """What the score says of a pair; None where it says nothing."""
    return None
