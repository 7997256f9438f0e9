"""Reading a DICOM JSON header (PS3.18 annex F) by keyword, forgiving what real objects get wrong."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydicom.datadict import tag_for_keyword

from huitong.base.errors import CannotRender

#: A data set in the DICOM JSON model: {"00280010": {"vr": "US", "Value": [512]}, …}.
Header = Mapping[str, Any]

#: Fetches the value behind a BulkDataURI, as it stands in the header; bytes in the byte order of the file.
BulkReader = Callable[[str], bytes]

EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"


@cache
def tag_of(keyword: str) -> str:
    """The eight hex digits under which `keyword` stands in DICOM JSON; KeyError for a keyword PS3.6 does not know."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return f"{tag:08X}"


def values(header: Header, keyword: str) -> list[Any]:
    """All values of the element; empty when absent."""
    element = header.get(tag_of(keyword))
    found = element.get("Value") if isinstance(element, Mapping) else None
    return found if isinstance(found, list) else []


def text(header: Header, keyword: str, default: str = "") -> str:
    """The first value as text without surrounding blanks."""
    found = values(header, keyword)
    return str(found[0]).strip(" \0") if found and found[0] is not None else default


def numbers(header: Header, keyword: str) -> list[float]:
    """The values that are finite numbers; DS and IS may be strings in the JSON model."""
    found = []
    for value in values(header, keyword):
        number = _as_number(value)
        if number is not None:
            found.append(number)
    return found


def number(header: Header, keyword: str, default: float) -> float:
    """The first value as a finite number."""
    found = values(header, keyword)
    first = _as_number(found[0]) if found else None
    return default if first is None else first


def integer(header: Header, keyword: str, default: int = 0) -> int:
    """The first value as an integer."""
    return int(number(header, keyword, default))


def _as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def items(header: Header, keyword: str) -> list[Header]:
    """The items of a sequence; empty when absent."""
    return [item for item in values(header, keyword) if isinstance(item, Mapping)]


def first_item(header: Header, keyword: str) -> Header | None:
    """The first item of a sequence, None when there is none."""
    found = items(header, keyword)
    return found[0] if found else None


def person_name(header: Header, keyword: str = "PatientName") -> str:
    """A person name as it is shown: hanzi where the object has them, else the alphabetic group, carets as blanks."""
    found = values(header, keyword)
    if not found:
        return ""
    groups = found[0] if isinstance(found[0], Mapping) else {"Alphabetic": str(found[0])}
    shown = groups.get("Ideographic") or groups.get("Alphabetic") or groups.get("Phonetic") or ""
    return " ".join(str(shown).replace("^", " ").split())


def binary(header: Header, keyword: str, bulk: BulkReader | None) -> bytes | None:
    """The bytes of a binary element, inline or fetched, in the byte order of the file; None when absent.

    CannotRender if they cannot be had.
    """
    element = header.get(tag_of(keyword))
    if not isinstance(element, Mapping):
        return None
    inline, uri = element.get("InlineBinary"), element.get("BulkDataURI")
    if isinstance(inline, bytes):
        return inline
    if isinstance(inline, str):
        try:
            return base64.b64decode(inline)
        except (binascii.Error, ValueError) as error:
            raise CannotRender(f"{keyword} is not base64") from error
    if isinstance(uri, str):
        if bulk is None:
            raise CannotRender(f"{keyword} is kept apart and was not given")
        return bulk(uri)
    return None
