from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.base.clock import iso, now


def test_now_is_aware_and_utc() -> None:
    assert now().utcoffset() == timedelta(0)
    assert abs(now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_local_time_is_written_in_utc() -> None:
    china = timezone(timedelta(hours=8))
    assert iso(datetime(2026, 1, 1, 7, 0, 0, 5, china)) == "2025-12-31T23:00:00.000005Z"


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        iso(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


_MOMENTS = st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(9990, 1, 1), timezones=st.timezones())  # noqa: DTZ001


@given(_MOMENTS, _MOMENTS)
def test_texts_sort_as_times_do(one: datetime, other: datetime) -> None:
    one, other = one.astimezone(UTC), other.astimezone(UTC)
    assert (iso(one) < iso(other)) == (one < other)
    assert datetime.fromisoformat(iso(one)) == one
