"""The time, as something that is handed in: rules and tests choose it, only the edge reads it here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time as an aware UTC datetime."""

    def __call__(self) -> datetime: ...


def now() -> datetime:
    """The time of this machine, aware, UTC, to the microsecond."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """RFC 3339 text of fixed width, so that it sorts as time does. `moment` must be aware."""
    if moment.tzinfo is None:
        raise ValueError("a time without zone says nothing")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
