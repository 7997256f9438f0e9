from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.web.search import PAGE_ROWS, Search
from huitong.wire.query import Condition, Level, Match

TODAY = date(2026, 11, 22)


def conditions(**fields: str) -> tuple[Condition, ...]:
    return Search.read(fields).query(TODAY).conditions


def test_an_empty_form_asks_for_everything() -> None:
    query = Search().query(TODAY)
    assert (query.level, query.conditions, query.limit, query.after) == (Level.STUDY, (), PAGE_ROWS, None)
    assert not Search().asks


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "wxd"}, Condition("00100010", Match.WILDCARD, ("*wxd*",))),
        ({"name": " 王小东 "}, Condition("00100010", Match.WILDCARD, ("*王小东*",))),
        ({"name": "*wang*"}, Condition("00100010", Match.WILDCARD, ("*wang*",))),
        ({"patient": "P00"}, Condition("00100020", Match.WILDCARD, ("*P00*",))),
        ({"accession": "A1"}, Condition("00080050", Match.WILDCARD, ("*A1*",))),
        ({"modality": "CT"}, Condition("00080061", Match.EQUAL, ("CT",))),
        ({"since": "2026-01-02"}, Condition("00080020", Match.RANGE, ("20260102", ""))),
        ({"until": "2026-01-02"}, Condition("00080020", Match.RANGE, ("", "20260102"))),
        ({"days": "1"}, Condition("00080020", Match.RANGE, ("20261122", "20261122"))),
        ({"days": "7"}, Condition("00080020", Match.RANGE, ("20261116", "20261122"))),
        ({"days": "30", "since": "2025-01-01"}, Condition("00080020", Match.RANGE, ("20250101", ""))),
    ],
)
def test_each_field_becomes_its_condition(fields: dict[str, str], expected: Condition) -> None:
    assert conditions(**fields) == (expected,)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "*"},
        {"name": "   "},
        {"days": "x"},
        {"days": "0"},
        {"days": "99999999"},
        {"since": "yesterday"},
        {"since": "2026-02-31"},
    ],
)
def test_what_says_nothing_is_no_condition(fields: dict[str, str]) -> None:
    assert conditions(**fields) == ()


def test_the_institution_restricts_the_search() -> None:
    assert Search.read({"institution": "TAIYUAN"}).query(TODAY).institution == "TAIYUAN"


def test_unknown_parameters_are_left_out() -> None:
    assert Search.read({"name": "li", "utm": "x"}).path() == "/?name=li"


@given(st.lists(st.text("abcXYZ019_-", min_size=1, max_size=12), min_size=1, max_size=20))
def test_going_forth_and_back_meets_the_same_pages(cursors: list[str]) -> None:
    seen = [Search(name="wang")]
    for cursor in cursors:
        seen.append(seen[-1].next(cursor))
    assert [each.page for each in seen] == list(range(1, len(cursors) + 2))
    assert [each.query(TODAY).after for each in seen] == [None, *cursors]
    at = seen[-1]
    for expected in reversed(seen[:-1]):
        at = at.previous()
        assert at == expected


@given(st.builds(Search, name=st.text(), patient=st.text(), days=st.sampled_from(["", "7"]), after=st.text("ab1_-")))
def test_the_address_of_a_search_reads_back_as_the_search(search: Search) -> None:
    from starlette.datastructures import QueryParams

    trimmed = Search(search.name.strip(), search.patient.strip(), days=search.days, after=search.after)
    assert Search.read(QueryParams(trimmed.path().partition("?")[2])) == trimmed
