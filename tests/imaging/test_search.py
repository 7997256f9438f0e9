"""Searches: every kind of match on both sides, names in every spelling, paging that neither skips nor repeats."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from tests.archives import TestArchive, archive_in
from tests.objects import part10

from huitong.base.errors import BadRequest
from huitong.imaging import actions, search
from huitong.store.database import Session
from huitong.store.sqlite import SqliteSession
from huitong.wire.qido import parse_qido
from huitong.wire.query import Condition, Found, Level, Match

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
    pytest.param((Condition("00080061", Match.EQUAL, ("CT", "MR")),), id="by modality"),
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


def test_an_offset_that_a_walk_has_not_used_up_goes_on_with_the_cursor(
    archive: TestArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "WALK", 2)
    condition = Condition("00100020", Match.WILDCARD, ("*?0?*",))
    whole = [r["00100020"]["Value"][0] for r in _all_pages(archive, Level.STUDY, condition)]  # type: ignore[index]
    assert len(whole) == 4
    found = [r["00100020"]["Value"][0] for r in _all_pages(archive, Level.STUDY, condition, offset=3)]  # type: ignore[index]
    assert found == whole[3:]


def _all_pages(archive: TestArchive, level: Level, *conditions: Condition, **more: Any) -> list[dict[str, object]]:
    page = archive.find(level, *conditions, **more)
    rows = list(page.rows)
    more.pop("offset", None)
    for _ in range(1000):
        if page.next is None:
            return rows
        page = archive.find(level, *conditions, after=page.next, **more)
        rows += page.rows
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("PatientWeight=70", 1),
        ("PatientWeight=70.0", 1),
        ("PatientWeight=7e1", 1),
        ("PatientWeight=71", 0),
        ("PatientWeight=heavy", 0),
        ("PatientSize=1.7", 1),
        ("PatientSize=1.70", 1),
        ("EthnicGroup=070", 1),
        ("EthnicGroup=70", 0),
    ],
)
def test_numbers_match_as_numbers_and_text_as_text(tmp_path: Path, query: str, total: int) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(PatientWeight="70.0", PatientSize="1.70", EthnicGroup="070"))
        assert actions.find(archive.reader, parse_qido(query, Level.STUDY)).total == total


def _list(*values: object) -> str:
    return ",".join(map(str, values))


@pytest.mark.parametrize(
    ("level", "query"),
    [
        pytest.param(Level.STUDY, "ModalitiesInStudy=" + _list(*range(1100)), id="too many modalities"),
        pytest.param(Level.STUDY, "PatientID=" + "%5C".join(map(str, range(1001))), id="too many values"),
        pytest.param(Level.INSTANCE, "SOPInstanceUID=" + _list(*range(1001)), id="too many UIDs"),
        pytest.param(Level.STUDY, "ModalitiesInStudy=" + "A" * 60_000, id="too long"),
        pytest.param(Level.STUDY, "after=" + search.write_cursor(["", "", 2**63 + 1, 0]), id="key beyond 63 bits"),
        pytest.param(Level.STUDY, "after=" + search.write_cursor(["", "", -5, 0]), id="negative key"),
        pytest.param(Level.STUDY, "after=" + search.write_cursor(["20240101", "", 1, -1]), id="negative skip"),
        pytest.param(Level.SERIES, "after=%C2%B2", id="superscript"),
        pytest.param(Level.SERIES, "after=" + "9" * 30, id="a long number"),
        pytest.param(Level.SERIES, "after=" + search.Cursor(("", "", 1)).text(), id="a study cursor at series level"),
        pytest.param(Level.STUDY, "after=" + search.write_cursor(["", "", 1, 0, 0, 0]), id="the other way round"),
    ],
)
def test_a_query_that_nobody_means_is_the_callers_fault(archive: TestArchive, level: Level, query: str) -> None:
    with pytest.raises(BadRequest):
        actions.find(archive.reader, parse_qido(query, level))


@pytest.mark.parametrize(("query", "found"), [("ct", 2), ("C*", 3), ("U?", 1), ("CT,US", 3), ("%25", 0), ("SR", 0)])
def test_modalities_match_with_wildcards_each_on_its_own(archive: TestArchive, query: str, found: int) -> None:
    assert actions.find(archive.reader, parse_qido(f"ModalitiesInStudy={query}", Level.STUDY)).total == found


def test_more_sets_of_modalities_than_are_told_apart_are_matched_row_by_row(
    archive: TestArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_SETS", 1)
    assert actions.find(archive.reader, parse_qido("ModalitiesInStudy=CT,US", Level.STUDY)).total == 3


# --- the statements behind ---


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestArchive]:
    """3,000 studies of one series and instance each, of two institutions, a tenth of them MR."""
    with archive_in(tmp_path_factory.mktemp("large"), page_rows=20) as archive:
        archive.keep_now(part10(PatientID="first", StudyDate="19900101"))
        with archive.store.database.write() as tx:
            multiply_studies(tx, 3000)
        yield archive


def multiply_studies(tx: Connection, number: int) -> None:
    """Copies of the first study with its series and instance: straight into the index, for its size alone."""
    changed = {
        "study_uid": "'7.' || i",
        "institution": "CASE i % 3 WHEN 0 THEN 'YUNCHENG' ELSE institution END",
        "patient_id": "'Q' || i",
        "patient_sex": "CASE i % 2 WHEN 0 THEN 'F' ELSE 'M' END",
        "study_date": {
            "sqlite": f"strftime('%Y%m%d', 2450000.5 + i * 9000 / {number})",
            "postgresql": f"to_char(DATE '1995-10-10' + i * 9000 / {number}, 'YYYYMMDD')",
        }[tx.dialect.name],
        "modalities": "CASE i % 10 WHEN 0 THEN ' MR ' ELSE ' CT ' END",
    }
    count = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})"
    _copy(tx, "study", changed, "n, study WHERE pk = 1", count)
    series = {"study_pk": "st.pk", "series_uid": "'6.' || st.pk", "modality": "trim(st.modalities)"}
    _copy(tx, "series", series, "study AS st, series AS t WHERE t.pk = 1 AND st.pk > 1")
    instance = {"series_pk": "se.pk", "sop_uid": "'5.' || se.pk"}
    _copy(tx, "instance", instance, "series AS se, instance AS t WHERE t.pk = 1 AND se.pk > 1")


def _copy(tx: Connection, table: str, changed: dict[str, str], source: str, before: str = "") -> None:
    columns = tx.execute(text(f"SELECT * FROM {table} LIMIT 0")).keys()
    names = [name for name in columns if name != "pk"]
    alias = "" if before else "t."
    values = ", ".join(changed.get(name, alias + name) for name in names)
    tx.execute(text(f"{before} INSERT INTO {table}({', '.join(names)}) SELECT {values} FROM {source}"))


@pytest.fixture
def statements(large: TestArchive, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[tuple[str, str]]]:
    """What SQLite says of how it runs each statement on `study`: statement and plan."""
    ran: list[tuple[str, Mapping[str, Any]]] = []

    def note(session: Session, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        ran.append((sql, parameters))
        return rows(session, sql, parameters)

    def plans() -> list[tuple[str, str]]:
        with large.store.database.reading() as session:
            return [
                (sql, "; ".join(r[3] for r in rows(session, "EXPLAIN QUERY PLAN " + sql, parameters)))
                for sql, parameters in ran
                if re.search(r"FROM study\b", sql)
            ]

    rows = SqliteSession.rows
    monkeypatch.setattr(SqliteSession, "rows", note)
    return plans


@pytest.mark.parametrize(
    ("query", "institution", "index"),
    [
        ("", None, "study_by_date"),
        ("offset=1500", None, "study_by_date"),
        ("after=" + search.Cursor(("20100101", "", 9)).text(), None, "study_by_date"),
        ("StudyDate=20000101-20151231", None, "study_by_date"),
        ("PatientID=Q77", None, "study_by_patient"),
        ("AccessionNumber=A1", None, "study_by_accession"),
        ("StudyID=1", None, "study_by_study_id"),
        ("PatientBirthDate=19800101", None, "study_by_birth_date"),
        ("PatientSex=F", None, "study_by_sex"),
        ("", "YUNCHENG", "study_by_institution"),
        ("StudyDate=20000101-20151231", "YUNCHENG", "study_by_institution"),
        ("ModalitiesInStudy=CT", None, "study_by_modalities"),
        ("ModalitiesInStudy=CT&StudyDate=20000101-20151231", "YUNCHENG", "study_by_institution"),
        ("PatientID=*7*", None, "study_by_date"),
    ],
)
@pytest.mark.embedded
def test_common_queries_read_an_index_in_its_order_and_whole_rows_for_the_page_alone(
    large: TestArchive,
    statements: Callable[[], list[tuple[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    institution: str | None,
    index: str,
) -> None:
    monkeypatch.setattr(search, "CANDIDATES", 0)  # as in an archive where there are always more than that
    found = actions.find(large.reader, parse_qido(query, Level.STUDY, institution=institution))
    assert found.rows
    plans = statements()
    assert any(index in plan for _, plan in plans)
    for sql, plan in plans:
        assert "TEMP B-TREE" not in plan, (sql, plan)
        assert "USING" in plan, (sql, plan)
        # Of a page the keys come from the index alone, and only then the rows.
        if "of_page" in sql or ("attributes" not in sql and "patient_id" not in sql.partition("FROM")[0]):
            assert "SCAN study USING COVERING" in plan or "COVERING INDEX" in plan, (sql, plan)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "PatientSex=F",
        "ModalitiesInStudy=MR",
        "ModalitiesInStudy=MR&PatientSex=F",
        "PatientID=Q1*&PatientSex=M",
    ],
)
@pytest.mark.parametrize("candidates", [0, 20_000])
def test_dense_and_sparse_ways_lead_to_the_same_studies(
    large: TestArchive, monkeypatch: pytest.MonkeyPatch, query: str, candidates: int
) -> None:
    monkeypatch.setattr(search, "CANDIDATES", candidates)
    monkeypatch.setattr(search, "_WINDOW", 100)
    where = [("PatientSex=F", "patient_sex = 'F'"), ("=MR", "modalities = ' MR '"), ("=Q1*", "patient_id LIKE 'Q1%'")]
    where.append(("PatientSex=M", "patient_sex = 'M'"))
    sql = " AND ".join(["shown = 1", *(condition for part, condition in where if part in query)])
    with large.store.database.read() as tx:
        by = "ORDER BY study_date DESC, study_time DESC, pk DESC"
        wanted = [r[0] for r in tx.execute(text(f"SELECT study_uid FROM study WHERE {sql} {by}"))]
    asked = parse_qido(query + "&limit=1000", Level.STUDY)
    rows = _all_pages(large, Level.STUDY, *asked.conditions, limit=1000)
    assert [r["0020000D"]["Value"][0] for r in rows] == wanted  # type: ignore[index]
    assert actions.find(large.reader, parse_qido(query, Level.STUDY, prefer="count=exact")).total == len(wanted)


MALE = Condition("00100040", Match.EQUAL, ("M",))


def test_counting_ends_at_its_limit_and_says_at_least(tmp_path: Path) -> None:
    with archive_in(tmp_path, count_limit=2) as archive:
        archive.keep_now(*(part10(PatientID=f"P{n}") for n in range(4)))
        found = archive.find(Level.STUDY, MALE, limit=3)
        assert (found.total, found.at_least) == (None, 3)
        assert archive.find(Level.STUDY, MALE, limit=3, count_exactly=True).total == 4
        assert archive.find(Level.STUDY, MALE, limit=4).total == 4  # the page itself says it
        assert archive.find(Level.STUDY, MALE, limit=3, offset=2).total == 4


@pytest.mark.parametrize("institution", [None, "TAIYUAN", "YUNCHENG", "nobody"])
@pytest.mark.parametrize("days", ["", "StudyDate=20000101-20051231", "StudyDate=-19950101", "StudyDate=19990704"])
def test_lists_have_their_number_and_any_place_in_them_by_the_days(
    large: TestArchive, monkeypatch: pytest.MonkeyPatch, institution: str | None, days: str
) -> None:
    monkeypatch.setattr(search, "_LONG_WAY", 0)

    def page(more: str) -> Found:
        return actions.find(large.reader, parse_qido(f"{days}&{more}", Level.STUDY, institution=institution))

    whole = page("limit=1000").rows
    while (last := page(f"limit=1000&offset={len(whole)}")).rows:
        whole += last.rows
    assert last.total == len(whole) == len({r["0020000D"]["Value"][0] for r in whole})  # type: ignore[index]
    for offset in {0, 1, 2, 29, 30, 31, len(whole) // 2, max(len(whole) - 1, 0), len(whole) + 5}:
        found = page(f"limit=3&offset={offset}")
        assert found.rows == whole[offset : offset + 3]
        assert found.total == len(whole)


def test_days_are_counted_whoever_writes_studies(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:

        def there() -> dict[tuple[str, str], int]:
            with archive.store.database.reading() as session:
                sql = "SELECT list, study_date, sum(studies) FROM study_day GROUP BY list, study_date"
                return {(r[0], r[1]): n for r in session.rows(sql, {}) if (n := int(r[2]))}

        def lists(day: str, studies: int, shown: int) -> dict[tuple[str, str], int]:
            names = {"shown": shown, "every": studies, "at TAIYUAN": studies}
            found = {(name, day): n for name, n in names.items()}
            return found | {(f"{name} by month", day[:6]): n for name, n in names.items()}

        days = ["20260301", "20260301", "20260402", ""]
        archive.keep_now(*(part10(PatientID=f"P{n}", StudyDate=day) for n, day in enumerate(days)))
        assert there() == lists("20260301", 2, 2) | lists("20260402", 1, 1) | lists("", 1, 1)
        with archive.store.database.write() as tx:
            tx.execute(text("UPDATE study SET shown = 0, flags = 4 WHERE study_date = '20260301'"))
            tx.execute(text("DELETE FROM instance"))
            tx.execute(text("DELETE FROM series"))
            tx.execute(text("DELETE FROM study WHERE study_date = '20260402'"))
            tx.execute(text("UPDATE study SET study_date = '20260501' WHERE study_date = ''"))
        wanted = lists("20260301", 2, 0) | lists("20260501", 1, 1)
        assert there() == {key: n for key, n in wanted.items() if n}


def test_days_add_up_while_many_write_at_once(tmp_path: Path) -> None:
    """Of several writers each begins at another day; on PostgreSQL some of them add up what all have appended."""
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(StudyDate="20260301"))
        changed = {"study_uid": ":uid", "study_date": ":day", "shown": "0"}
        columns = [name for name in search.EVERY_COLUMN if name != "pk"]
        values = ", ".join(f"CAST({changed[name]} AS {_TYPES[name]})" if name in changed else name for name in columns)
        add = f"INSERT INTO study({', '.join(columns)}) SELECT {values} FROM study WHERE pk = 1"

        def write(writer: int) -> None:
            with closing(archive.store.database.session()) as session:
                for turn in range(30):
                    with session.write():
                        for day in range(4):
                            uid = f"7.{writer}.{turn}.{day}"
                            session.run(add, {"uid": uid, "day": f"2026040{(writer + day) % 4 + 1}"})

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
        with archive.store.database.reading() as session:
            counted = session.rows(
                "SELECT study_date, sum(studies) FROM study_day WHERE list = 'every' GROUP BY study_date ORDER BY 1", {}
            )
        assert [(r[0], int(r[1])) for r in counted] == [
            ("20260301", 1), *((f"2026040{day}", 120) for day in (1, 2, 3, 4)),
        ]  # fmt: skip


_TYPES = {"study_uid": "text", "study_date": "text", "shown": "integer"}
