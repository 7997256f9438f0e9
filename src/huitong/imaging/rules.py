"""Pure decisions: what becomes of an instance, when a study has settled, what is to be looked at twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from huitong.imaging.model import Outcome


def outcome(known: Mapping[bytes, int], sha256: bytes, *, lost: bool = False) -> tuple[Outcome, int]:
    """What to do with content `sha256` when `known` maps the digests under the same UIDs to their variant numbers.

    Gives the outcome and the variant number. Nothing is ever overwritten: other content becomes the next variant.
    `lost` says that the bytes of a known content are not there any more: they are kept again, under their number.
    """
    if sha256 not in known:
        return (Outcome.VARIANT, max(known.values()) + 1) if known else (Outcome.KEPT, 0)
    variant = known[sha256]
    if not lost:
        return Outcome.ALREADY, variant
    return (Outcome.VARIANT if variant else Outcome.KEPT), variant


def quiet_before_ms(now_ms: float, settle_s: float) -> int:
    """A study whose last instance came by this time counts as complete: its sender has been quiet for long enough."""
    return round(now_ms - settle_s * 1000)


def manifest_digest(digests: Iterable[bytes]) -> str:
    """One digest of a set of contents, whatever their order: SHA-256 over the sorted digests, hexadecimal."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


#: Objects of a store below this are brought together with others of their study; larger ones are few enough.
SMALL_BLOB_BYTES = 16 << 20


def merged_together(sizes_bytes: Sequence[int], most_bytes: int) -> list[tuple[int, int]]:
    """Ranges of what is to lie in one blob, in order: each of at most `most_bytes`, or of one thing that is larger."""
    ranges, first, total = [], 0, 0
    for at, size in enumerate(sizes_bytes):
        if total and total + size > most_bytes:
            ranges.append((first, at))
            first, total = at, 0
        total += size
    return [*ranges, (first, len(sizes_bytes))] if sizes_bytes else []
