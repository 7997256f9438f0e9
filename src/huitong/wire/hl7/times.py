"""Points in time and dates of messages (data types DTM, TS, DT; v2.5 2.A.21), and as they are met with separators."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

#: Where a time names no zone it is the legal time of China (UTC+8, no summer time).
CHINA = timezone(timedelta(hours=8))
_TIME = re.compile(
    r"(\d{4})(?:[-/]?(\d\d)(?:[-/]?(\d\d)"
    r"(?:[ T]?(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6})\d*)?)?)?)?)?)?([+-]\d{4}|Z)?",
    re.ASCII,
)


def moment(text: str) -> datetime | None:
    """The point in time, aware, UTC; the beginning of what is said less precisely. None where it says none.

    >>> moment("20260301083000.5+0800"), moment("2026-03-01 08:30"), moment("soon")
    (datetime.datetime(2026, 3, 1, 0, 30, 0, 500000, tzinfo=datetime.timezone.utc), \
datetime.datetime(2026, 3, 1, 0, 30, tzinfo=datetime.timezone.utc), None)
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        local = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "0").ljust(6, "0")), tzinfo=_zone(zone),
        )  # fmt: skip
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> timezone:
    """Raises ValueError for hours that no zone has."""
    if not text:
        return CHINA
    if text == "Z":
        return UTC
    return timezone((1 if text[0] == "+" else -1) * timedelta(hours=int(text[1:3]), minutes=int(text[3:])))


def date(text: str) -> str:
    """YYYYMMDD of a date or time, as it was where it was written; empty where no whole date is said.

    >>> date("19800101"), date("1980-01-01 08:30:00"), date("198001"), date("19800231")
    ('19800101', '19800101', '', '')
    """
    found = _TIME.fullmatch(text.strip())
    if found is None or found[3] is None:
        return ""
    try:
        datetime(int(found[1]), int(found[2]), int(found[3]), tzinfo=CHINA)
    except ValueError:
        return ""
    return found[1] + found[2] + found[3]


def stamp(at: datetime) -> str:
    """`at` (aware) as a DTM to the millisecond, in the legal time of China with its zone."""
    local = at.astimezone(CHINA)
    return f"{local:%Y%m%d%H%M%S}.{local.microsecond // 1000:03d}+0800"
