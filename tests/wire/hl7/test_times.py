"""Times with and without zones, with and without separators; dates that are none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.wire.hl7 import date, moment
from huitong.wire.hl7.times import stamp


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("20260301", "2026-02-28T16:00:00"),
        ("2026", "2025-12-31T16:00:00"),
        ("202603010830", "2026-03-01T00:30:00"),
        ("20260301083015+0000", "2026-03-01T08:30:15"),
        ("20260301083015-0530", "2026-03-01T14:00:15"),
        ("2026-03-01 08:30:15", "2026-03-01T00:30:15"),
        ("2026-03-01T08:30:15.25Z", "2026-03-01T08:30:15.250000"),
        ("2026/03/01", "2026-02-28T16:00:00"),
    ],
)
def test_a_time_is_of_its_zone_and_else_of_china(text: str, utc: str) -> None:
    found = moment(text)
    assert found is not None
    assert found == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "20261301", "2026030125", "202603010830+9999", "20260301 +", "0000", "1"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert moment(text) is None


@pytest.mark.parametrize("text", ["0001", "0001-01-01T00:00:00Z"])
def test_the_ends_of_the_calendar_raise_nothing(text: str) -> None:
    assert moment(text) is None or moment(text) == datetime(1, 1, 1, tzinfo=UTC)


@given(st.text(st.sampled_from("0123456789-+:TZ. /"), max_size=30))
def test_any_text_is_a_time_or_none(text: str) -> None:
    assert len(date(text)) in (0, 8)
    found = moment(text)
    assert found is None or found.tzinfo is UTC


@given(st.integers(-2_000_000_000_000, 9_000_000_000_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC)))
def test_a_stamp_is_read_again_to_the_millisecond(at: datetime) -> None:
    read = moment(stamp(at))
    assert read == at.replace(microsecond=at.microsecond // 1000 * 1000)
