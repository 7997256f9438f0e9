"""The time, as something that is handed in: rules and tests choose it, only the edge reads it here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Protocol

#: All of China keeps one time, without summer time.
CHINA = timezone(timedelta(hours=8), "UTC+8")


class Clock(Protocol):
    """Tells the time as an aware UTC datetime."""

    def __call__(self) -> datetime: ...


def now() -> datetime:
    """The time of this machine, aware, UTC, to the microsecond."""
    return datetime.now(UTC)


def milliseconds(at: datetime) -> int:
    """Since 1970-01-01 UTC, as columns keep a time."""
    return round(at.timestamp() * 1000)


def moment(at_ms: int) -> datetime:
    """The aware UTC datetime of so many milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def iso(moment: datetime) -> str:
    """RFC 3339 text of fixed width, so that it sorts as time does. `moment` must be aware."""
    if moment.tzinfo is None:
        raise ValueError("a time without zone says nothing")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
