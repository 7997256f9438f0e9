"""QIDO-RS search parameters to a `Query` (PS3.18 8.3.4, matching as PS3.4 C.2.2.2).

Knows names, tags and value
representations; not which attributes the archive has indexed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword

from huitong.base.errors import BadRequest
from huitong.wire.query import Condition, Level, Match, Query

#: PS3.4 C.2.2.2.4: the only value representations in which `*` and `?` are wildcards.
_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
#: Value representations in which a comma is never content, so that it separates (PS3.18 8.3.4.1: UI; OHIF: CS).
_COMMA_VRS = frozenset(["UI", "CS", "DA", "TM", "DS", "IS", "US", "UL", "SS", "SL", "FL", "FD", "UV", "SV", "AT"])
#: Free text, in which a backslash is content.
_TEXT_VRS = frozenset({"ST", "LT", "UT", "UR"})
#: One bound of a range; `:` in times and `.` in dates are ACR-NEMA's, PS3.5 6.2.
_BOUND = {
    "DA": r"\d{4}\.?\d{2}\.?\d{2}",
    "TM": r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?",
    "DT": r"\d{4}(?:\d{2}){0,5}(?:\.\d{1,6})?(?:[+-]\d{4})?",
}
_SINGLE = {vr: re.compile(bound) for vr, bound in _BOUND.items()}
_RANGE = {vr: re.compile(rf"({bound})?\s*-\s*({bound})?") for vr, bound in _BOUND.items()}
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
#: PS3.4 C.2.2.2.7, Empty Value Matching: two quotation marks.
_EMPTY_VALUE = '""'
#: A request line of more parameters is no search.
_MAX_PARAMETERS = 500
_BOOLEANS = {"true": True, "false": False}


def parse_qido(
    query_string: str | bytes,
    level: Level,
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
    institution: str | None = None,
    prefer: str = "",
) -> Query:
    """The search that the query string asks for, below the study and series that the path names.

    `institution` of the path wins over the parameter. `prefer` is the Prefer header: `count=exact` counts every match.
    BadRequest names the parameter that is not understood.
    """
    search = _Search()
    for name, value in _parameters(query_string):
        read = _CONTROLS.get(name.lower())
        if read is not None:
            read(search, value)
        else:
            search.match(name, value)
    return Query(
        level=level,
        conditions=tuple(search.conditions.values()),
        include=() if search.include_all else tuple(search.include),
        include_all=search.include_all,
        study_uid=study_uid,
        series_uid=series_uid,
        limit=search.limit,
        offset=search.offset,
        after=search.after,
        fuzzy=search.fuzzy,
        count_exactly=prefers_exact_count(prefer),
        institution=institution or search.institution,
    )


def prefers_exact_count(prefer: str) -> bool:
    """Whether the Prefer header (RFC 7240) asks for `count=exact`."""
    preferences = (part.split(";")[0].replace(" ", "").replace('"', "").lower() for part in prefer.split(","))
    return "count=exact" in preferences


@lru_cache(maxsize=1024)
def tag_path(name: str) -> str:
    """Keyword, tag or path of them to upper-case tags joined by dots; BadRequest names what is unknown."""
    parts = [_tag(part, name) for part in name.split(".")]
    for part in parts[:-1]:
        if _vr(part) != "SQ":
            raise BadRequest(f"{name!r} leads through an attribute that is no sequence")
    return ".".join(parts)


def _tag(part: str, name: str) -> str:
    if _TAG.fullmatch(part):
        tag = part.upper()
        # Odd groups are private: the standard's dictionary cannot know them.
        if int(tag[:4], 16) % 2 or dictionary_has_tag(int(tag, 16)):
            return tag
    else:
        number = tag_for_keyword(part)
        if number is not None:
            return f"{number:08X}"
    raise BadRequest(f"unknown attribute {name!r}")


@lru_cache(maxsize=1024)
def _vr(tag: str) -> str:
    number = int(tag, 16)
    # "US or SS" and its like count as their first.
    return str(dictionary_VR(number))[:2] if dictionary_has_tag(number) else "UN"


def _parameters(query_string: str | bytes) -> list[tuple[str, str]]:
    raw = query_string if isinstance(query_string, bytes) else query_string.encode()
    fields = [field for field in raw.split(b"&") if field]
    if len(fields) > _MAX_PARAMETERS:
        raise BadRequest(f"more than {_MAX_PARAMETERS} parameters")
    pairs = (field.partition(b"=") for field in fields)
    return [(_text(name).strip(), _text(value)) for name, _, value in pairs]


def _text(raw: bytes) -> str:
    """Percent-decoded UTF-8; GB 18030 where it is not, for hospital systems that encode addresses so."""
    plain = unquote_to_bytes(raw.replace(b"+", b" "))
    for encoding in ("utf-8", "gb18030"):
        try:
            return plain.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadRequest(f"the parameter {raw[:80]!r} is not UTF-8")


class _Search:
    """What the parameters read so far add up to."""

    def __init__(self) -> None:
        self.conditions: dict[str, Condition] = {}
        self.include: dict[str, None] = {}
        self.include_all = False
        self.limit: int | None = None
        self.offset = 0
        self.after: str | None = None
        self.fuzzy = False
        self.institution: str | None = None

    def match(self, name: str, value: str) -> None:
        """Adds a matching key. Its attribute is also returned (PS3.18 8.3.4.3)."""
        path = tag_path(name)
        self.include[path] = None
        vr = _vr(path[-8:])
        condition = _condition(path, vr, value, name)
        if condition is None:
            return
        before = self.conditions.get(path)
        if before is not None:
            if before.match is not Match.EQUAL or condition.match is not Match.EQUAL:
                raise BadRequest(f"{name!r} is given twice")
            condition = Condition(path, Match.EQUAL, tuple(dict.fromkeys(before.values + condition.values)))
        self.conditions[path] = condition

    def read_include(self, value: str) -> None:
        for name in filter(None, (part.strip() for part in value.split(","))):
            if name.lower() == "all":
                self.include_all = True
            else:
                self.include[tag_path(name)] = None

    def read_limit(self, value: str) -> None:
        self.limit = _number("limit", value, 1)

    def read_offset(self, value: str) -> None:
        self.offset = _number("offset", value, 0)

    def read_after(self, value: str) -> None:
        self.after = value or None

    def read_fuzzy(self, value: str) -> None:
        self.fuzzy = _boolean("fuzzymatching", value)

    def read_institution(self, value: str) -> None:
        self.institution = value or None

    def read_switch(self, value: str) -> None:
        """`emptyvaluematching` and `multiplevaluematching` only announce what is always understood here."""
        _boolean("this switch", value)

    def ignore(self, value: str) -> None:
        """Read elsewhere (`accept`) or without meaning for a search (`charset`: answers are always UTF-8)."""


_CONTROLS: dict[str, Callable[[_Search, str], None]] = {
    "includefield": _Search.read_include,
    "limit": _Search.read_limit,
    "offset": _Search.read_offset,
    "after": _Search.read_after,
    "fuzzymatching": _Search.read_fuzzy,
    "emptyvaluematching": _Search.read_switch,
    "multiplevaluematching": _Search.read_switch,
    "institution": _Search.read_institution,
    "accept": _Search.ignore,
    "charset": _Search.ignore,
}


def _number(name: str, value: str, least: int) -> int:
    text = value.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 12) or int(text) < least:
        raise BadRequest(f"{name}={value[:40]!r} is not a whole number from {least}")
    return int(text)


def _boolean(name: str, value: str) -> bool:
    try:
        return _BOOLEANS[value.strip().lower()]
    except KeyError:
        raise BadRequest(f"{name}={value[:40]!r} is neither true nor false") from None


def _condition(path: str, vr: str, value: str, name: str) -> Condition | None:
    """The matching key, or None where the value matches everything (PS3.4 C.2.2.2.3)."""
    value = value.strip()
    if value == _EMPTY_VALUE:
        return Condition(path, Match.EMPTY, ("",))
    if not value.strip("*"):
        return None
    if vr == "SQ":
        raise BadRequest(f"{name!r} is a sequence: name an attribute inside it")
    if vr in _RANGE and "-" in value and not _SINGLE[vr].fullmatch(value):
        return Condition(path, Match.RANGE, _range(vr, value, name))
    values = _several(vr, value)
    if vr in _WILDCARD_VRS and ("*" in value or "?" in value):
        if len(values) > 1:
            raise BadRequest(f"{name!r} has a list of values with wildcards in it")
        return Condition(path, Match.WILDCARD, values)
    return Condition(path, Match.EQUAL, values)


def _several(vr: str, value: str) -> tuple[str, ...]:
    if vr in _TEXT_VRS:
        return (value,)
    pieces = re.split(r"[\\,]" if vr in _COMMA_VRS else r"\\", value)
    return tuple(dict.fromkeys(piece for raw in pieces if (piece := raw.strip())))


def _range(vr: str, value: str, name: str) -> tuple[str, str]:
    matched = _RANGE[vr].fullmatch(value)
    if matched is None or not any(matched.groups()):
        raise BadRequest(f"{name}={value[:80]!r} is not a {vr} range")
    return _plain(vr, matched[1] or ""), _plain(vr, matched[2] or "")


def _plain(vr: str, bound: str) -> str:
    return bound.replace(".", "") if vr == "DA" else bound.replace(":", "") if vr == "TM" else bound
