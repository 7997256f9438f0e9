"""Searches: every kind of match on both sides, names in every spelling, paging that neither skips nor repeats."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.archives import TestArchive, archive_in
from tests.objects import part10

from huitong.base.errors import BadRequest
from huitong.imaging import search
from huitong.wire.query import Condition, Level, Match

PEOPLE = [
    # name, patient id, date, modality, description, accession
    ("Wang^XiaoDong=王^小东", "P0001", "20260301", "CT", "胸部平扫", "A100"),
    ("Zhang^Wei=张^伟", "P0002", "20260302", "MR", "Brain MRI", "A101"),
    ("=单^雄信", "Q0001", "20260303", "US", "腹部彩超", "A102"),
    ("OUYANG^NA", "Q0002", "20260304", "CT", "Chest CT", "B100"),
    ("Müller^Jürgen", "X-9", "", "CR", "Thorax", ""),
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestArchive]:
    with archive_in(tmp_path_factory.mktemp("search")) as archive:
        archive.keep_now(
            *(
                part10(
                    PatientName=name, PatientID=pid, StudyDate=date, Modality=modality, StudyDescription=description,
                    AccessionNumber=accession, InstitutionName="太原",
                )
                for name, pid, date, modality, description, accession in PEOPLE
            )
        )  # fmt: skip
        yield archive


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*wang*", ["P0001"]),
        ("wang^xiaodong", ["P0001"]),
        ("*xiaodong*", ["P0001"]),
        ("wxd", ["P0001"]),
        ("王小东", ["P0001"]),
        ("*小东*", ["P0001"]),
        ("王*", ["P0001"]),
        ("*东*", ["P0001"]),
        ("*zw*", ["P0002"]),
        ("*shan*", ["Q0001"]),
        ("单*", ["Q0001"]),
        ("Ouyang*", ["Q0002"]),
        ("*ller*", ["X-9"]),
        ("*muller*", ["X-9"]),
        ("李*", []),
        ("*q*", []),
        ("xiaodong", []),
    ],
)
def test_names_are_found_by_hanzi_pinyin_and_initials(archive: TestArchive, pattern: str, found: list[str]) -> None:
    assert [r.patient_id for r in archive.rows(Condition("00100010", Match.WILDCARD, (pattern,)))] == found


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (Condition("00100020", Match.EQUAL, ("P0001",)), ["P0001"]),
        (Condition("00100020", Match.EQUAL, ("P0001", "P0002")), ["P0002", "P0001"]),
        (Condition("00100020", Match.EQUAL, ("p0001",)), []),
        (Condition("00100020", Match.WILDCARD, ("*000*",)), ["Q0002", "Q0001", "P0002", "P0001"]),
        (Condition("00100020", Match.WILDCARD, ("P*",)), ["P0002", "P0001"]),
        (Condition("00100020", Match.WILDCARD, ("P000?",)), ["P0002", "P0001"]),
        (Condition("00080050", Match.WILDCARD, ("*10?",)), ["Q0002", "Q0001", "P0002", "P0001"]),
        (Condition("00080050", Match.EMPTY, ("",)), ["X-9"]),
        (Condition("00081030", Match.WILDCARD, ("*chest*",)), ["Q0002"]),
        (Condition("00081030", Match.WILDCARD, ("*胸部*",)), ["P0001"]),
        (Condition("00080020", Match.RANGE, ("20260302", "20260303")), ["Q0001", "P0002"]),
        (Condition("00080020", Match.RANGE, ("20260303", "")), ["Q0002", "Q0001"]),
        (Condition("00080020", Match.RANGE, ("", "20260301")), ["P0001"]),
        (Condition("00080020", Match.EQUAL, ("20260301",)), ["P0001"]),
        (Condition("00080020", Match.EMPTY, ("",)), ["X-9"]),
        (Condition("00080061", Match.EQUAL, ("CT", "MR")), ["Q0002", "P0002", "P0001"]),
        (Condition("00080060", Match.EQUAL, ("US",)), ["Q0001"]),
        (Condition("00080061", Match.EQUAL, ("C",)), []),
        (Condition("00080080", Match.WILDCARD, ("太*",)), ["Q0002", "Q0001", "P0002", "P0001", "X-9"]),
        (Condition("00080080", Match.EQUAL, ("运城",)), []),
        (Condition("00100040", Match.EQUAL, ("M",)), ["Q0002", "Q0001", "P0002", "P0001", "X-9"]),
    ],
)
def test_each_kind_of_match_finds_what_it_should_and_no_more(
    archive: TestArchive, condition: Condition, found: list[str]
) -> None:
    assert [r.patient_id for r in archive.rows(condition)] == found
    assert archive.find(Level.STUDY, condition).total == len(found)


@pytest.mark.parametrize(
    "condition",
    [
        Condition("00080018", Match.EQUAL, ("1.2.3",)),
        Condition("00080020", Match.EQUAL, ("yesterday",)),
        Condition("00100020", Match.RANGE, ("a", "b")),
    ],
)
def test_what_cannot_be_matched_is_said_to_be(archive: TestArchive, condition: Condition) -> None:
    with pytest.raises(BadRequest):
        archive.find(Level.STUDY, condition)


WAYS = [
    pytest.param((), id="by column"),
    pytest.param((Condition("00100020", Match.WILDCARD, ("*000*",)),), id="by grams"),
    pytest.param((Condition("00100020", Match.WILDCARD, ("*0*",)),), id="by walking"),
]


@pytest.mark.parametrize("conditions", WAYS)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_by_cursor_and_by_offset_are_the_whole_in_order(
    archive: TestArchive, conditions: tuple[Condition, ...], size: int
) -> None:
    whole = [r.study_uid for r in archive.rows(*conditions)]
    by_cursor, after = [], None
    while True:
        page = archive.find(Level.STUDY, *conditions, limit=size, after=after)
        by_cursor += [r["0020000D"]["Value"][0] for r in page.rows]  # type: ignore[index]
        if (after := page.next) is None:
            break
    assert by_cursor == whole
    by_offset = []
    for offset in range(0, len(whole), size):
        by_offset += [r.study_uid for r in archive.rows(*conditions, limit=size, offset=offset)]
    assert by_offset == whole


def test_candidates_too_many_to_list_are_walked_with_the_same_answer(
    archive: TestArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = Condition("00100020", Match.WILDCARD, ("*000*",))
    listed = [r.patient_id for r in archive.rows(condition)]
    monkeypatch.setattr(search, "CANDIDATES", 2)
    assert [r.patient_id for r in archive.rows(condition)] == listed
    assert archive.find(Level.STUDY, condition, count_exactly=True).total == len(listed)


def test_a_walk_without_matches_stops_and_says_where_to_go_on(
    archive: TestArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "WALK", 2)
    condition = Condition("00100020", Match.WILDCARD, ("?-?",))
    found, after, pages = [], None, 0
    while True:
        page = archive.find(Level.STUDY, condition, after=after)
        found += page.rows
        pages += 1
        if (after := page.next) is None:
            break
    assert len(found) == 1
    assert pages == 3


@pytest.mark.parametrize("cursor", ["", "x", "W10", "bnVsbA", "WzEsMiwzXQ"])
def test_a_cursor_that_is_none_of_ours_is_refused(archive: TestArchive, cursor: str) -> None:
    with pytest.raises(BadRequest):
        search.Cursor.read(cursor)


def test_rows_have_what_the_standard_requires_and_what_was_asked_for(archive: TestArchive) -> None:
    (row,) = archive.find(
        Level.STUDY, Condition("00100020", Match.EQUAL, ("P0001",)), include=("00081030", "00080060")
    ).rows
    assert list(row) == sorted(row)
    required = {"00080020", "00080030", "00080050", "00080061", "00080090", "00100010", "0020000D", "00201206"}
    assert required <= set(row)
    assert row["00081030"] == {"vr": "LO", "Value": ["胸部平扫"]}
    assert row["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert row["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}]}
    assert "00080080" not in row
    (everything,) = archive.find(Level.STUDY, Condition("00100020", Match.EQUAL, ("P0001",)), include_all=True).rows
    assert everything["00080080"] == {"vr": "LO", "Value": ["太原"]}


def test_series_and_instances_are_found_across_studies_by_their_own_and_their_studys_attributes(
    archive: TestArchive,
) -> None:
    ct = Condition("00080060", Match.EQUAL, ("CT",))
    assert archive.find(Level.SERIES, ct).total == 2
    both = archive.find(Level.SERIES, ct, Condition("00100010", Match.WILDCARD, ("*wang*",)))
    assert len(both.rows) == 1
    in_study = archive.find(Level.INSTANCE, Condition("00100020", Match.EQUAL, ("Q0002",)))
    assert [r["00280010"] for r in in_study.rows] == [{"vr": "US", "Value": [4]}]
    deep = archive.find(Level.INSTANCE, Condition("00280101", Match.EQUAL, ("12",)))
    assert deep.total == 5
    assert archive.find(Level.INSTANCE, Condition("00280101", Match.EQUAL, ("8",))).rows == []
