"""Search parameters as FHIR R4 3.1.1 writes them, and the links of a page."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.base.errors import BadRequest
from huitong.wire.fhir.bundle import page_links
from huitong.wire.fhir.search import Asked, Reference, SearchParameter, Token, date_range, read_search, split, token

PARAMETERS = {
    each.name: each
    for each in (
        SearchParameter("name", "string", "", modifiers=("exact", "contains", "missing")),
        SearchParameter("identifier", "token", ""),
        SearchParameter("date", "date", ""),
        SearchParameter("organization", "reference", "", targets=("Organization",)),
        SearchParameter("subject", "reference", "", targets=("Patient", "Group")),
    )
}


def read(*pairs: tuple[str, str]) -> Asked:
    return read_search(PARAMETERS, pairs, rows=20, most_rows=100)


def test_alternatives_and_repetitions_are_told_apart() -> None:
    first, second = read(("name", "a,b"), ("name:exact", "c\\,d")).search.conditions
    assert (first.modifier, first.texts()) == ("", ("a", "b"))
    assert (second.modifier, second.texts()) == ("exact", ("c,d",))


@pytest.mark.parametrize(
    ("value", "understood"),
    [
        ("123", Token(None, "123")),
        ("urn:x|123", Token("urn:x", "123")),
        ("|123", Token("", "123")),
        ("urn:x|", Token("urn:x", None)),
        ("a\\|b", Token(None, "a|b")),
        ("urn:x|a|b", Token("urn:x", "a|b")),
    ],
)
def test_a_token_has_system_and_code(value: str, understood: Token) -> None:
    assert token(value) == understood


@given(st.lists(st.text(st.sampled_from("ab,\\|$"), max_size=6), min_size=1, max_size=5))
def test_what_is_escaped_and_joined_is_split_as_it_was(values: list[str]) -> None:
    joined = ",".join(re.sub(r"([\\\\,$|])", r"\\\1", value) for value in values)
    asked = read(("name", joined)) if any(values) else None
    assert split(joined) == [re.sub(r"([\\\\,$|])", r"\\\1", value) for value in values]
    assert asked is None or asked.search.conditions[0].texts() == tuple(value for value in values if value)


@pytest.mark.parametrize(
    ("value", "start", "length_s"),
    [
        ("2026", datetime(2026, 1, 1, tzinfo=UTC), 365 * 86400),
        ("2024", datetime(2024, 1, 1, tzinfo=UTC), 366 * 86400),
        ("2026-02", datetime(2026, 2, 1, tzinfo=UTC), 28 * 86400),
        ("2026-11-26", datetime(2026, 11, 26, tzinfo=UTC), 86400),
        ("2026-11-26T02:15", datetime(2026, 11, 26, 2, 15, tzinfo=UTC), 60),
        ("2026-11-26T02:15:30", datetime(2026, 11, 26, 2, 15, 30, tzinfo=UTC), 1),
        ("2026-11-26T10:15:30+08:00", datetime(2026, 11, 26, 2, 15, 30, tzinfo=UTC), 1),
    ],
)
def test_a_date_covers_what_its_precision_says(value: str, start: datetime, length_s: int) -> None:
    found = date_range(f"ge{value}")
    assert (found.prefix, found.start_ms) == ("ge", round(start.timestamp() * 1000))
    assert found.end_ms - found.start_ms == length_s * 1000


@pytest.mark.parametrize("value", ["", "2026-13", "2026-02-30", "26", "xx2026", "2026-11-26T25:00", "0000", "9999"])
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(BadRequest):
        date_range(value)


YEAR = (date_range("2026").start_ms, date_range("2026").end_ms)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("2026", True),
        ("eq2026-01", False),
        ("ne2026-01", True),
        ("ne2026", False),
        ("gt2025", True),
        ("gt2026", False),
        ("gt2026-06", True),
        ("lt2027", True),
        ("lt2026", False),
        ("ge2026", True),
        ("ge2027", False),
        ("le2026", True),
        ("le2025", False),
        ("sa2025", True),
        ("sa2026-01", False),
        ("eb2027", True),
        ("eb2026-12", False),
        ("ap2026-03", True),
        ("ap2027", False),
    ],
)
def test_a_period_of_the_year_2026_is_found_by(asked: str, found: bool) -> None:
    assert date_range(asked).matches(*YEAR) is found


def test_an_open_period_goes_on_for_ever() -> None:
    assert date_range("gt2999").matches(YEAR[0], None)
    assert not date_range("2026").matches(YEAR[0], None)
    assert date_range("lt1900").matches(None, YEAR[1])


@pytest.mark.parametrize(
    ("name", "value", "understood"),
    [
        ("organization", "A", Reference("Organization", "A")),
        ("organization", "Organization/A", Reference("Organization", "A")),
        ("organization", "http://x/fhir/Organization/A/_history/2", Reference("Organization", "A")),
        ("subject:Patient", "7", Reference("Patient", "7")),
        ("subject", "Group/7", Reference("Group", "7")),
    ],
)
def test_a_reference_may_be_written_in_these_ways(name: str, value: str, understood: Reference) -> None:
    assert read((name, value)).search.conditions[0].references() == (understood,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", "7"),
        ("name:soundex", "a"),
        ("name:missing", "perhaps"),
        ("identifier:not", "a"),
        ("name", ","),
        ("date", "tomorrow"),
        ("_count", "many"),
        ("_count", "-1"),
        ("_total", "roughly"),
    ],
)
def test_what_cannot_be_answered_as_asked_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadRequest):
        read((name, value))


def test_what_nobody_knows_is_set_aside_by_name() -> None:
    asked = read(("colour", "red"), ("name.given", "x"), ("_format", "json"), ("name", ""))
    assert asked.ignored == ("colour", "name.given")
    assert asked.search.conditions == ()


def test_a_count_is_cut_to_the_most_and_nought_asks_for_the_total_alone() -> None:
    assert read().search.count == 20
    assert read(("_count", "5000")).search.count == 100
    assert read(("_summary", "count")).search.count == 0


def test_links_say_what_was_understood_and_where_to_go_on() -> None:
    asked = read(("name", "王"), ("colour", "red"), ("_after", "here"))
    assert page_links("http://x/fhir/A", asked, "there") == [
        ("self", "http://x/fhir/A?name=%E7%8E%8B&_after=here"),
        ("next", "http://x/fhir/A?name=%E7%8E%8B&_after=there"),
    ]
    assert [relation for relation, _ in page_links("http://x/fhir/A", asked, "")] == ["self"]
