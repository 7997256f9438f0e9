from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.web import look


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("20260301", "2026-03-01"),
        ("2026.03.01", "2026-03-01"),
        ("", ""),
        ("***", "***"),
        ("20260231", "20260231"),
        ("202603010830", "202603010830"),
    ],
)
def test_a_date_is_shown_and_what_is_none_as_it_came(text: str, shown: str) -> None:
    assert look.shown_date(text) == shown


@pytest.mark.parametrize(("text", "shown"), [("083015.25", "08:30"), ("08:30:15", "08:30"), ("", ""), ("08", "")])
def test_a_time_is_shown_to_the_minute(text: str, shown: str) -> None:
    assert look.shown_time(text) == shown


@pytest.mark.parametrize(
    ("born", "at", "age"),
    [
        ("19800301", "20260301", (46, "Y")),
        ("19800302", "20260301", (45, "Y")),
        ("20240402", "20260301", (22, "M")),
        ("20260110", "20260301", (50, "D")),
        ("20260301", "20260301", (0, "D")),
        ("20260302", "20260301", None),
        ("", "20260301", None),
        ("19800301", "***", None),
    ],
)
def test_an_age_is_that_at_the_study_in_the_units_doctors_use(born: str, at: str, age: tuple[int, str] | None) -> None:
    assert look.age(born, at) == age


@given(st.dates(date(1850, 1, 1), date(2100, 1, 1)), st.dates(date(1850, 1, 1), date(2100, 1, 1)))
def test_an_age_is_never_negative(born: date, at: date) -> None:
    found = look.age(born.strftime("%Y%m%d"), at.strftime("%Y%m%d"))
    assert (found is None) == (born > at)
    assert found is None or found[0] >= 0


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (531_932, "532 kB"),
        (10_500_000, "10.5 MB"),
        (4_000_000_000_000_000, "4000 TB"),
    ],
)
def test_a_size_has_its_unit(size_bytes: int, shown: str) -> None:
    assert look.shown_size(size_bytes) == shown


@given(st.text(max_size=20))
def test_no_text_in_a_date_or_time_is_too_odd(text: str) -> None:
    look.shown_date(text)
    look.shown_time(text)
    look.age(text, text)


def test_moments_are_told_in_chinese_time() -> None:
    assert look.shown_moment(datetime(2026, 11, 21, 17, 30, tzinfo=UTC)) == "2026-11-22 01:30"


def test_addresses_are_quoted() -> None:
    assert look.viewer_url("1.2", "T&Y") == "/viewer?StudyInstanceUIDs=1.2&institution=T%26Y"
    assert look.dicomweb_url("T/Y", "studies", "1 2") == "/dicom-web/at/T%2FY/studies/1%202"
