"""Media types with parameters, one or a list, as Content-Type, Accept and part headers write them.

Knows RFC 9110 section 8.3 and the habits of DICOM clients, which leave out quotes that the grammar wants
(`type=application/dicom`). What is not a media type at all is a BadRequest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from huitong.base.errors import BadRequest

_TCHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_ESSENCE = re.compile(rf"\s*({_TCHARS})/({_TCHARS})\s*")
# Either a quoted string, or whatever stands before the next separator: wider than the grammar's token on purpose.
_PARAMETER = {
    stops: re.compile(rf';\s*(?:({_TCHARS})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^"\s{stops}]*))\s*)?')
    for stops in (";", ";,")
}
_ESCAPED = re.compile(r"\\(.)")
_EMPTY_ITEM = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class MediaType:
    """`main/sub` in lower case, and its parameters with names in lower case and values as given."""

    main: str
    sub: str
    parameters: Mapping[str, str]

    @property
    def essence(self) -> str:
        return f"{self.main}/{self.sub}"

    @classmethod
    def parse(cls, text: str) -> MediaType:
        """The media type of a header that carries exactly one."""
        media, end = _parse_at(text, 0, ";")
        if end != len(text):
            raise BadRequest(f"not a media type: {text!r}")
        return media


def parse_list(text: str) -> list[MediaType]:
    """The comma-separated media types of a header; empty items are passed over (RFC 9110 5.6.1.2)."""
    found, at = [], _skip_empty(text, 0)
    while at < len(text):
        media, at = _parse_at(text, at, ";,")
        found.append(media)
        if at < len(text) and text[at] != ",":
            raise BadRequest(f"not a list of media types: {text!r}")
        at = _skip_empty(text, at)
    return found


def _skip_empty(text: str, at: int) -> int:
    matched = _EMPTY_ITEM.match(text, at)
    return matched.end() if matched else at


def _parse_at(text: str, at: int, stops: str) -> tuple[MediaType, int]:
    essence = _ESSENCE.match(text, at)
    if essence is None:
        raise BadRequest(f"not a media type: {text[at:]!r}")
    at = essence.end()
    parameters: dict[str, str] = {}
    while (given := _PARAMETER[stops].match(text, at)) is not None:
        at = given.end()
        name, quoted, plain = given.groups()
        if name is not None:
            # The first of a name given twice counts, so that nothing appended can change it.
            parameters.setdefault(name.lower(), plain if quoted is None else _ESCAPED.sub(r"\1", quoted))
    return MediaType(essence[1].lower(), essence[2].lower(), parameters), at
