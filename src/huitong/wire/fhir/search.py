"""Search parameters and their values (FHIR R4 3.1.1): what a query string says -> conditions that a room can answer.

Several values of one parameter, with commas, are alternatives; a parameter that is repeated must hold each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from huitong.base.errors import BadRequest

Type = Literal["string", "token", "date", "reference", "uri"]


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One row of a resource's table."""

    name: str
    type: Type
    #: A sentence, for CapabilityStatement and documents.
    about: str
    #: Those beside the bare name that the room answers, without colon. Any other is refused (R4 3.1.1.4.9).
    modifiers: tuple[str, ...] = ()
    #: Resource types that a reference may lead to.
    targets: tuple[str, ...] = ()


#: Of every resource; a room answers them with its own.
ID_PARAMETER = SearchParameter("_id", "token", "Logical id.")
LAST_UPDATED = SearchParameter("_lastUpdated", "date", "When it was changed last.")
COMMON = (ID_PARAMETER, LAST_UPDATED)


@dataclass(frozen=True, slots=True)
class Token:
    """`[system]|[code]`: None where nothing was said, "" for what has no system."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Range:
    """A date with its prefix, as the half-open range of milliseconds since 1970 UTC that it covers."""

    prefix: str
    start_ms: int
    end_ms: int

    def matches(self, start_ms: int | None, end_ms: int | None) -> bool:
        """Whether a resource's period, None for an open end, half-open too, is one that is asked for (3.1.1.4.7)."""
        low = start_ms if start_ms is not None else _NEVER_BEFORE
        high = end_ms if end_ms is not None else _NEVER_AFTER
        within = self.start_ms <= low and high <= self.end_ms
        return {
            "eq": within,
            "ne": not within,
            "gt": high > self.end_ms,
            "lt": low < self.start_ms,
            "ge": high > self.end_ms or within,
            "le": low < self.start_ms or within,
            "sa": low >= self.end_ms,
            "eb": high <= self.start_ms,
            "ap": low < self.end_ms and high > self.start_ms,
        }[self.prefix]


_NEVER_BEFORE, _NEVER_AFTER = -(1 << 62), 1 << 62
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a reference parameter names: `Type/id`, or an id whose type the parameter says."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A parameter as asked for. `values` are alternatives, as written; read them by their kind."""

    parameter: SearchParameter
    modifier: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.parameter.name

    def texts(self) -> tuple[str, ...]:
        return tuple(_unescaped(value) for value in self.values)

    def tokens(self) -> tuple[Token, ...]:
        return tuple(map(token, self.values))

    def dates(self) -> tuple[Range, ...]:
        return tuple(map(date_range, self.values))

    def references(self) -> tuple[Reference, ...]:
        """Raises BadRequest where no type is said and several could be meant."""
        return tuple(_reference(value, self) for value in self.values)

    def wanted(self) -> bool:
        """For the modifier `missing`: whether those without a value are wanted."""
        return self.values[0] == "true"


@dataclass(frozen=True, slots=True)
class Search:
    """A search as a room is given it."""

    conditions: tuple[Condition, ...] = ()
    #: Rows of this page; 0 asks for the count alone.
    count: int = 101
    #: Where the page before ended, as the room has said it; empty for the first page.
    after: str = ""
    #: "accurate", "estimate" or "none".
    total: str = "accurate"

    def of(self, name: str) -> list[Condition]:
        return [each for each in self.conditions if each.name == name]


@dataclass(frozen=True, slots=True)
class Asked:
    """A query string understood."""

    search: Search
    #: Name and value of all that was acted upon, for the link `self`.
    used: tuple[tuple[str, str], ...]
    #: Names that mean nothing here.
    ignored: tuple[str, ...]


#: Parameters of results that are read elsewhere or may be ignored without changing what is found (3.1.1.5).
_OF_RESULTS = ("_format", "_pretty")
AFTER = "_after"


def read_search(
    parameters: Mapping[str, SearchParameter], pairs: Iterable[tuple[str, str]], *, rows: int, most_rows: int
) -> Asked:
    """What the pairs ask of a resource with these parameters. Raises BadRequest.

    `_count` beyond `most_rows` is cut to it, as a server may (R4 3.1.1.5.2).
    """
    conditions: list[Condition] = []
    used: list[tuple[str, str]] = []
    ignored: list[str] = []
    count, after, total = rows, "", "accurate"
    for name, value in pairs:
        bare, _, modifier = name.partition(":")
        if name in _OF_RESULTS or not value:
            continue
        if name == "_count":
            count = min(_count(value), most_rows)
        elif name == AFTER:
            after = value
        elif name == "_total":
            total = _one_of(name, value, ("accurate", "estimate", "none"))
        elif name == "_summary" and value in ("count", "false"):
            count = 0 if value == "count" else count
        elif bare in parameters:
            conditions.append(_condition(parameters[bare], modifier, value))
        else:
            ignored.append(name)
            continue
        if name != AFTER:
            used.append((name, value))
    return Asked(Search(tuple(conditions), count, after, total), tuple(used), tuple(ignored))


def _count(value: str) -> int:
    if not value.isdecimal() or not value.isascii() or len(value) > 9:
        raise BadRequest(f"_count={value} is no number of rows")
    return int(value)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BadRequest(f"{name}={value} is none of {', '.join(known)}")
    return value


def _condition(parameter: SearchParameter, modifier: str, value: str) -> Condition:
    """Its values are looked at here, so that a wrong one is refused whatever the room does with it."""
    of_type = parameter.type == "reference" and modifier in parameter.targets
    if modifier and not of_type and modifier not in parameter.modifiers:
        raise BadRequest(f"search parameter `{parameter.name}` has no modifier `{modifier}` here")
    condition = Condition(parameter, modifier, tuple(each for each in split(value) if each))
    if not condition.values:
        raise BadRequest(f"search parameter `{parameter.name}` is given without a value")
    if modifier == "missing":
        _one_of(f"{parameter.name}:missing", value, ("true", "false"))
    elif parameter.type == "date":
        condition.dates()
    elif parameter.type == "reference":
        condition.references()
    return condition


# --- values (3.1.1.4) ---


def split(value: str, mark: str = ",") -> list[str]:
    """Cut at each mark that no backslash stands before (3.1.1.5.1); the backslashes stay."""
    parts = [""]
    for piece in re.findall(r"\\.|.", value, re.DOTALL):
        if piece == mark:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _unescaped(value: str) -> str:
    return re.sub(r"\\([\\,$|])", r"\1", value)


def token(value: str) -> Token:
    parts = split(value, "|")
    if len(parts) == 1:
        return Token(None, _unescaped(parts[0]))
    system, code = parts[0], "|".join(parts[1:])
    return Token(_unescaped(system), _unescaped(code) or None)


_DATE = re.compile(
    r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(\d{4})(?:-(\d\d)(?:-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?"
)


def date_range(value: str) -> Range:
    """What the value covers: 2026 the whole year, 2026-11-26T02:15 the minute; without zone it is UTC.

    Raises BadRequest.
    """
    found = _DATE.fullmatch(value)
    if found is None:
        raise BadRequest(f"{value!r} is no date")
    prefix, year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        start = datetime.fromisoformat(
            f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}:{second or '00'}"
            f"{(zone or 'Z').replace('Z', '+00:00')}"
        )
        length = _length(start, month, day, hour, second)
        start_ms = round(start.astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError) as e:
        raise BadRequest(f"{value!r} is no date") from e
    if fraction:
        start_ms += int(float(fraction) * 1000)
        return Range(prefix or "eq", start_ms, start_ms + 1)
    return Range(prefix or "eq", start_ms, start_ms + round(length.total_seconds() * 1000))


def _length(start: datetime, *given: str | None) -> timedelta:
    month, day, hour, second = given
    if hour:
        return timedelta(seconds=1) if second else timedelta(minutes=1)
    if day:
        return timedelta(days=1)
    if month:
        return (start.replace(day=1) + timedelta(days=32)).replace(day=1) - start
    return start.replace(year=start.year + 1) - start


_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")


def _reference(value: str, condition: Condition) -> Reference:
    """`id`, `Type/id` or an absolute URL of ours or another's, of which the end counts (3.1.1.4.13)."""
    text, targets = _unescaped(value), condition.parameter.targets
    found = _REFERENCE.fullmatch(text)
    if found:
        return Reference(found[1], found[2])
    if condition.modifier in targets and condition.modifier:
        return Reference(condition.modifier, text)
    if len(targets) != 1:
        raise BadRequest(f"{condition.name}={value}: say which of {', '.join(targets)}, as in {targets[0]}/{value}")
    return Reference(targets[0], text)
