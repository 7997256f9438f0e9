"""A search as DICOM means it (PS3.4 C.2.2.2), whether it came by QIDO-RS or by C-FIND.

Doors translate their language into a `Query`; records translate a `Query` into SQL. This module knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """Query level, PS3.4 C.6.1.1."""

    STUDY = "STUDY"
    SERIES = "SERIES"
    INSTANCE = "IMAGE"


class Match(Enum):
    """How a condition's values are compared, PS3.4 C.2.2.2."""

    #: One value or several (list of UIDs, or a comma/backslash list of codes): any may be equal.
    EQUAL = "equal"
    #: `*` and `?` as in PS3.4 C.2.2.2.4; one pattern.
    WILDCARD = "wildcard"
    #: `(from, to)`, inclusive; either may be empty for an open end. Dates, times, date-times.
    RANGE = "range"
    #: The attribute is empty or absent in the record (`""` value), PS3.18 table 8.3.4-1 `emptyvalue`.
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Condition:
    """One matching key."""

    #: Eight hexadecimal digits, upper case: "00100010". For a key inside a sequence the path: "00400275.00400007".
    tag: str
    match: Match
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A search at one level, below the study or series that the path names."""

    level: Level
    conditions: tuple[Condition, ...] = ()
    #: Tags the caller asked for beyond the required ones, upper-case hex; empty tuple with `include_all`.
    include: tuple[str, ...] = ()
    include_all: bool = False
    study_uid: str | None = None
    series_uid: str | None = None
    #: Rows wanted, at least 1; None leaves it to the server's page size.
    limit: int | None = None
    offset: int = 0
    #: Opaque cursor of the last row of the page before; overrides `offset`.
    after: str | None = None
    fuzzy: bool = False
    #: Count every match even where that is slow.
    count_exactly: bool = False
    #: Restrict to what this institution sent (its code); None for all that the caller may see.
    institution: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of answers."""

    #: DICOM JSON model (PS3.18 annex F), one object a row, tags in ascending order.
    rows: list[dict[str, object]]
    #: All matches, not only this page's; None where counting stopped at the limit (then `at_least` counts).
    total: int | None
    at_least: int
    #: Cursor for `after`; None when this page is the last.
    next: str | None
