"""What a DICOMweb client can accept, and which of the offers suits it best.

PS3.18 8.7.8 (Accept), 8.3.3.1 (`accept` query parameter), 8.7.3.5 (`transfer-syntax` parameter); RFC 9110 12.5.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from huitong.base.errors import BadRequest
from huitong.wire.media_type import MediaType, parse_list

ANY = "*/*"
#: `transfer-syntax=*`: as stored (PS3.18 8.7.3.5.2).
AS_STORED = "*"


@dataclass(frozen=True, slots=True)
class Accepted:
    """One acceptable representation."""

    #: Of the payload, lower case; `*/*` and `image/*` occur. For multipart/related its `type`, `*/*` where it has none.
    media_type: str
    #: Whether the payload is wanted in multipart/related parts. A bare `*/*` allows both and is given as single part.
    multipart: bool
    #: UID, `*` for as stored, None where the client said nothing.
    transfer_syntax: str | None = None
    quality: float = 1.0
    #: The wildcard by which anything at all was accepted (no Accept header, or `*/*`).
    anything: bool = False

    def allows(self, media_type: str) -> bool:
        """Whether this payload type is meant."""
        if self.media_type in (ANY, media_type):
            return True
        main, _, sub = self.media_type.partition("/")
        return sub == "*" and media_type.startswith(main + "/")


def parse_accept(headers: Sequence[str], parameters: Sequence[str] = ()) -> tuple[Accepted, ...]:
    """The acceptable representations, best first; the order given decides between equal q-values.

    `parameters` are the values of the query parameter `accept`, which takes precedence over the header
    (PS3.18 8.3.3.1). Nothing given means that anything will do (RFC 9110 12.5.1).
    """
    return _parse(tuple(headers), tuple(parameters))


# A viewer asks thousands of times with the same header.
@lru_cache(maxsize=256)
def _parse(headers: tuple[str, ...], parameters: tuple[str, ...]) -> tuple[Accepted, ...]:
    texts = [text for text in parameters if text.strip()] or [text for text in headers if text.strip()]
    if not texts:
        return (Accepted(ANY, multipart=False, anything=True),)
    found = [accepted for text in texts for media in parse_list(text) if (accepted := _accepted(media)).quality > 0]
    return tuple(sorted(found, key=lambda accepted: -accepted.quality))


def _accepted(media: MediaType) -> Accepted:
    syntax = media.parameters.get("transfer-syntax") or None
    quality = _quality(media.parameters.get("q"))
    if media.essence == "multipart/related":
        inner = media.parameters.get("type", ANY).strip().lower() or ANY
        return Accepted(inner, multipart=True, transfer_syntax=syntax, quality=quality)
    return Accepted(media.essence, False, syntax, quality, anything=media.essence == ANY)


def _quality(text: str | None) -> float:
    if text is None:
        return 1.0
    try:
        quality = float(text)
    except ValueError:
        raise BadRequest(f"q={text!r} is not a number") from None
    if not 0 <= quality <= 1:
        raise BadRequest(f"q={text!r} is not between 0 and 1")
    return quality


def first_of(accepted: Iterable[Accepted], offers: Sequence[str]) -> str | None:
    """The offered payload type that the client prefers, in single part; the server's order decides for wildcards."""
    for choice in accepted:
        if choice.multipart:
            continue
        for offer in offers:
            if choice.allows(offer):
                return offer
    return None
