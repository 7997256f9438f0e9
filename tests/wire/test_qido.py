from __future__ import annotations

import contextlib
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.base.errors import BadRequest
from huitong.wire.qido import parse_qido, prefers_exact_count, tag_path
from huitong.wire.query import Condition, Level, Match, Query


def parse(query_string: str | bytes) -> Query:
    return parse_qido(query_string, Level.STUDY)


def one(query_string: str | bytes) -> Condition:
    (condition,) = parse(query_string).conditions
    return condition


def test_what_ohif_asks_on_opening_a_study_is_understood() -> None:
    query = parse(
        "limit=101&offset=0&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030&StudyInstanceUID=1.2.3"
    )
    assert query == Query(
        Level.STUDY,
        conditions=(Condition("0020000D", Match.EQUAL, ("1.2.3",)),),
        include=("00081030", "00080060", "00080090", "00100030", "0020000D"),
        limit=101,
        fuzzy=True,
    )


@pytest.mark.parametrize(
    ("query_string", "expected"),
    [
        ("PatientName=*wang*", Condition("00100010", Match.WILDCARD, ("*wang*",))),
        ("00100010=" + quote("*王小东*"), Condition("00100010", Match.WILDCARD, ("*王小东*",))),
        ("PatientName=" + quote("王小东"), Condition("00100010", Match.EQUAL, ("王小东",))),
        ("PatientName=" + quote("王小东".encode("gb18030")), Condition("00100010", Match.EQUAL, ("王小东",))),
        ("PatientName=Wang%5EXiao+Dong", Condition("00100010", Match.EQUAL, ("Wang^Xiao Dong",))),
        ("PatientName=Wang,Li", Condition("00100010", Match.EQUAL, ("Wang,Li",))),
        ("StudyDate=20250101-20260201", Condition("00080020", Match.RANGE, ("20250101", "20260201"))),
        ("StudyDate=-20260201", Condition("00080020", Match.RANGE, ("", "20260201"))),
        ("StudyDate=20250101-", Condition("00080020", Match.RANGE, ("20250101", ""))),
        ("StudyDate=2025.01.01 - 2025.02.01", Condition("00080020", Match.RANGE, ("20250101", "20250201"))),
        ("StudyDate=20250101", Condition("00080020", Match.EQUAL, ("20250101",))),
        ("StudyTime=10-1130", Condition("00080030", Match.RANGE, ("10", "1130"))),
        ("StudyTime=100000.5-", Condition("00080030", Match.RANGE, ("100000.5", ""))),
        (
            "AcquisitionDateTime=20250101080000%2B0800-20250102",
            Condition("0008002A", Match.RANGE, ("20250101080000+0800", "20250102")),
        ),
        ("AcquisitionDateTime=20250101-0500", Condition("0008002A", Match.EQUAL, ("20250101-0500",))),
        ("ModalitiesInStudy=CT%2CMR", Condition("00080061", Match.EQUAL, ("CT", "MR"))),
        ("ModalitiesInStudy=CT%5CMR", Condition("00080061", Match.EQUAL, ("CT", "MR"))),
        ("StudyInstanceUID=1.2,1.3\\1.4,", Condition("0020000D", Match.EQUAL, ("1.2", "1.3", "1.4"))),
        ("StudyInstanceUID=1.2&0020000d=1.3&StudyInstanceUID=1.2", Condition("0020000D", Match.EQUAL, ("1.2", "1.3"))),
        ("AccessionNumber=A1%5CA2", Condition("00080050", Match.EQUAL, ("A1", "A2"))),
        ("AccessionNumber=%22%22", Condition("00080050", Match.EMPTY, ("",))),
        (
            "RequestAttributesSequence.ScheduledProcedureStepID=7",
            Condition("00400275.00400009", Match.EQUAL, ("7",)),
        ),
        ("00400275.00400007=x?z", Condition("00400275.00400007", Match.WILDCARD, ("x?z",))),
        ("00091001=private", Condition("00091001", Match.EQUAL, ("private",))),
        ("InstanceNumber=5", Condition("00200013", Match.EQUAL, ("5",))),
    ],
)
def test_matching_keys_are_understood(query_string: str, expected: Condition) -> None:
    assert one(query_string) == expected


@pytest.mark.parametrize("value", ["", "*", "**", "%20"])
def test_a_universal_value_matches_everything_and_returns_the_attribute(value: str) -> None:
    query = parse(f"PatientID={value}&StudyDate={value}")
    assert query.conditions == ()
    assert query.include == ("00100020", "00080020")


def test_includefield_takes_keywords_tags_lists_repetition_and_all() -> None:
    query = parse(
        "includefield=PatientSex,00081030&includefield=RequestAttributesSequence.00400007&INCLUDEFIELD=PatientSex"
    )
    assert query.include == ("00100040", "00081030", "00400275.00400007")
    assert not query.include_all
    assert parse("includefield=PatientSex&includefield=all").include_all


def test_paging_and_institution_are_understood() -> None:
    query = parse(
        "limit=25&offset=50&after=abc%3D&institution=TAIYUAN&emptyvaluematching=true&accept=application/dicom%2Bjson"
    )
    assert (query.limit, query.offset, query.after, query.institution) == (25, 50, "abc=", "TAIYUAN")
    assert parse_qido("institution=A", Level.SERIES, study_uid="1", institution="B").institution == "B"


@pytest.mark.parametrize(
    ("query_string", "named"),
    [
        ("PatientNom=x", "PatientNom"),
        ("includefield=Nonsense", "Nonsense"),
        ("00100011=x", "00100011"),
        ("PatientName.PatientID=x", "PatientName.PatientID"),
        ("RequestAttributesSequence=x", "RequestAttributesSequence"),
        ("limit=0", "limit"),
        ("limit=ten", "limit"),
        ("limit=%D9%A3", "limit"),
        ("offset=-1", "offset"),
        ("fuzzymatching=maybe", "fuzzymatching"),
        ("StudyDate=2025-01-01", "StudyDate"),
        ("StudyDate=-", "StudyDate"),
        ("PatientID=a*&PatientID=b*", "PatientID"),
        ("ModalitiesInStudy=C*,MR", "ModalitiesInStudy"),
        ("&".join(["PatientID=1"] * 501), "500"),
        ("PatientName=%FF%FF", "UTF-8"),
    ],
)
def test_what_is_not_understood_is_named(query_string: str, named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        parse(query_string)


def test_the_prefer_header_asks_for_an_exact_count() -> None:
    assert prefers_exact_count("count=exact")
    assert prefers_exact_count('respond-async, Count="exact"; x=1')
    assert not prefers_exact_count("")
    assert not prefers_exact_count("count=estimated")
    assert parse_qido("", Level.STUDY, prefer="count=exact").count_exactly


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='\\*?"'), min_size=1).filter(str.strip)
)
def test_any_name_survives_both_ways_of_encoding(name: str) -> None:
    expected = Condition("00100010", Match.EQUAL, (name.strip(),))
    assert one("PatientName=" + quote(name)) == one("PatientName=" + quote_plus(name)) == expected


dates = st.dates().map(lambda day: f"{day.year:04}{day.month:02}{day.day:02}")


@given(dates | st.just(""), dates | st.just(""))
def test_every_date_range_is_read(start: str, end: str) -> None:
    if start or end:
        assert one(f"StudyDate={start}-{end}") == Condition("00080020", Match.RANGE, (start, end))


@given(st.binary(max_size=80))
def test_any_query_string_is_a_search_or_refused(query_string: bytes) -> None:
    with contextlib.suppress(BadRequest):
        parse(query_string)


@given(
    st.sampled_from(["PatientID", "StudyDate", "StudyInstanceUID", "Rows", "PixelData", "limit"]), st.text(max_size=30)
)
def test_any_value_is_a_condition_or_refused(name: str, value: str) -> None:
    with contextlib.suppress(BadRequest):
        parse(urlencode({name: value}, errors="surrogatepass"))


def test_paths_are_written_as_tags() -> None:
    assert tag_path("PatientName") == "00100010"
    assert tag_path("0040a730.0040A730.CodeValue") == "0040A730.0040A730.00080100"
