"""Searches below study level: nothing is cut off in silence, and one loss does not hide the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests import homes
from tests.archives import TestArchive, archive_in
from tests.objects import part10

from huitong.base.errors import MissingIdentity
from huitong.imaging import actions, search
from huitong.imaging.attributes import identity
from huitong.wire.qido import parse_qido
from huitong.wire.query import Found, Level

LARGE = 5100


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestArchive]:
    """Three old studies of three series with two instances each, and a new one of 5,101 series."""
    with archive_in(tmp_path_factory.mktemp("finding")) as archive:
        for study in range(3):
            archive.keep_now(
                *(
                    part10(
                        PatientName=f"Old^One{study}", StudyDate=f"2000010{study + 1}", StudyInstanceUID=f"1.{study}",
                        SeriesInstanceUID=f"1.{study}.{series}", SOPInstanceUID=f"1.{study}.{series}.{n}",
                        SeriesNumber=series, InstanceNumber=n, SeriesDescription="needle", Modality="MR",
                    )
                    for series in range(1, 4)
                    for n in range(1, 3)
                )
            )  # fmt: skip
        archive.keep_now(part10(StudyDate="20260101", StudyInstanceUID="2.1", SeriesDescription="hay"))
        with archive.store.database.write() as tx:
            tx.execute(text(_MANY_SERIES), {"count": LARGE})
            tx.execute(text("UPDATE study SET series_count = :n WHERE study_uid = '2.1'"), {"n": LARGE + 1})
        yield archive


_MANY_SERIES = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO series(study_pk, series_uid, modality, description, instance_count, size_bytes, revision, attributes)
    SELECT study_pk, '9.' || i, 'CT', 'hay', 0, 0, 1, attributes FROM n, series
    WHERE series_uid = (SELECT series_uid FROM series JOIN study ON study.pk = study_pk WHERE study_uid = '2.1')
"""


def ask(archive: TestArchive, query: str, level: Level = Level.SERIES, *, exact: bool = False) -> Found:
    return actions.find(archive.reader, parse_qido(query, level, prefer="count=exact" if exact else ""))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("PatientName=*old*", 9),
        ("PatientName=Old^One1", 3),
        ("SeriesDescription=*needle*", 9),
        ("SeriesDescription=needle", 9),
        ("Modality=MR", 9),
        ("Modality=ZZ", 0),
        ("SeriesInstanceUID=1.1.2", 1),
        ("SeriesInstanceUID=1.1.2,9.17", 2),
        ("PatientID=P0001&SeriesNumber=2", 3),
    ],
)
def test_series_are_found_behind_thousands_of_newer_ones(
    archive: TestArchive, query: str, total: int, exact: bool
) -> None:
    found = ask(archive, query, exact=exact)
    assert (len(found.rows), found.total, found.next) == (total, total, None)


def test_more_series_than_a_page_are_all_counted(archive: TestArchive) -> None:
    assert ask(archive, "SeriesDescription=*hay*", exact=True).total == LARGE + 1
    found = ask(archive, "")
    assert found.total == LARGE + 1 + 9
    assert found.next is not None


def uids(found: Found, tag: str) -> list[str]:
    return [row[tag]["Value"][0] for row in found.rows]  # type: ignore[index]


SERIES = [f"1.{study}.{series}" for study in (2, 1, 0) for series in (1, 2, 3)]
INSTANCES = [f"{series}.{n}" for series in SERIES for n in (1, 2)]


@pytest.mark.parametrize("size", [1, 2, 4, 6, 100])
@pytest.mark.parametrize(
    ("level", "query", "whole"),
    [
        pytest.param(Level.SERIES, "PatientName=*old*", SERIES, id="series of studies"),
        pytest.param(Level.SERIES, "Modality=MR", SERIES, id="series by column"),
        pytest.param(Level.SERIES, "SeriesDescription=*need*&PatientName=*old*", SERIES, id="series checked"),
        pytest.param(Level.INSTANCE, "StudyDate=-20101231", INSTANCES, id="instances of studies"),
        pytest.param(Level.INSTANCE, "InstanceNumber=1,2&Modality=MR", INSTANCES, id="instances by column"),
        pytest.param(Level.INSTANCE, "InstanceNumber=2", INSTANCES[1::2], id="some instances by column"),
        pytest.param(Level.INSTANCE, "Rows=4&PatientName=*old*", INSTANCES, id="instances checked"),
    ],
)
def test_pages_by_cursor_and_by_offset_are_the_whole_in_order(
    archive: TestArchive, level: Level, query: str, whole: list[str], size: int
) -> None:
    tag = "0020000E" if level is Level.SERIES else "00080018"
    found, after = list[str](), ""
    for _ in range(len(whole) + 1):
        page = ask(archive, f"{query}&limit={size}{after}", level)
        assert page.rows
        found += uids(page, tag)
        if page.next is None:
            break
        after = f"&after={page.next}"
    assert found == whole
    assert uids(ask(archive, f"{query}&limit={size}&offset=3", level), tag) == whole[3 : 3 + size]


def test_a_search_stopped_by_the_clock_goes_on_where_it_was(
    archive: TestArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "WALK_S", -1.0)
    query, pages, found, after = "SeriesDescription=*needle*&offset=2&StudyDate=-20101231", 0, list[str](), ""
    while True:
        page = ask(archive, query + after)
        found += uids(page, "0020000E")
        pages += 1
        if page.next is None:
            break
        assert page.total is None
        after = f"&after={page.next}"
        assert pages < 50
    assert found == SERIES[2:]
    assert pages > 3


def test_an_instance_whose_pack_is_gone_is_answered_from_the_index(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(SOPInstanceUID="1.2.3", InstanceNumber=7), part10(SOPInstanceUID="1.2.4"))
    homes.lose_blobs(tmp_path)
    with archive_in(tmp_path, alone=True) as archive:
        found = ask(archive, "", Level.INSTANCE)
        assert sorted(uids(found, "00080018")) == ["1.2.3", "1.2.4"]
        (row,) = ask(archive, "SOPInstanceUID=1.2.3", Level.INSTANCE).rows
        assert row["00200013"] == {"vr": "IS", "Value": [7]}
        assert ask(archive, "Rows=4", Level.INSTANCE).rows == []


def test_an_instance_whose_kept_header_is_damaged_is_answered_from_its_bytes(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(SOPInstanceUID="1.2.3"), part10(SOPInstanceUID="1.2.4", Rows=2))
    homes.change_blob(tmp_path, min(homes.blob_sizes(tmp_path)), homes.flipped(-12))
    with archive_in(tmp_path) as archive:
        assert len(actions.verify(archive.store).damaged) == 1
        rows = ask(archive, "includefield=Rows", Level.INSTANCE).rows
        assert {row["00080018"]["Value"][0]: row["00280010"]["Value"] for row in rows} == {"1.2.3": [4], "1.2.4": [2]}


def test_an_instance_that_is_damaged_with_its_header_is_answered_from_the_index(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(SOPInstanceUID="1.2.3"), part10(SOPInstanceUID="1.2.4"))
        blobs = sorted(homes.blob_sizes(tmp_path))
    for blob in blobs:
        homes.change_blob(tmp_path, blob, lambda data: data.replace(b"DICM", b"\0" * 4)[:-40] + bytes(40))
    with archive_in(tmp_path) as archive:
        assert sorted(uids(ask(archive, "", Level.INSTANCE), "00080018")) == ["1.2.3", "1.2.4"]


BROKEN = ['1.2"3', "1.2\\3", "1.2/3", "1.2?3", "1.2#3", "1.2%33", "1.2\n3", "1.2<3", "..", "1" * 129]


@pytest.mark.parametrize("uid", BROKEN)
def test_what_would_break_urls_and_json_is_no_uid(uid: str) -> None:
    with pytest.raises(MissingIdentity):
        identity(_header(uid))


@pytest.mark.parametrize("uid", ["1.2.3", "1.02.3", "abc-DEF_1", "1.2 3", "1" * 128, "1..2"])
def test_odd_uids_are_taken_as_they_are(uid: str) -> None:
    assert identity(_header(uid)).series_uid == uid


def _header(series_uid: str) -> dict[str, object]:
    uids = {"0020000D": "1.1", "0020000E": series_uid, "00080016": "1.3", "00080018": "1.4"}
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items()}
