"""Places of instances are remembered within bounds; a study's page costs the same however many series there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from tests import homes
from tests.archives import TestArchive, archive_in
from tests.objects import part10

from huitong.base.errors import NotFound, StoreDamaged
from huitong.base.lru import Lru
from huitong.imaging import actions, lookups, places
from huitong.imaging.model import Kept
from huitong.wire.dicom.frames import Frames


@contextmanager
def counted(archive: TestArchive) -> Iterator[list[str]]:
    """The statements that were run, transactions apart."""
    ran: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: Any) -> None:
        if statement != "BEGIN":
            ran.append(statement)

    database = archive.store.database
    engine = getattr(database, "_reading", database._engine)
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield ran
    finally:
        event.remove(engine, "before_cursor_execute", note)


def lengthen(archive: TestArchive, count: int, frames: bytes | None = None) -> None:
    """The only series has `count` instances more, like its first."""
    sql = """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
        INSERT INTO instance(series_pk, sop_uid, instance_number, sop_class_uid, transfer_syntax_uid, variant, sha256,
            pack_pk, record_at, payload_at, payload_bytes, tail_bytes, frames, deflated, received_at_ms)
        SELECT series_pk, '8.' || i, i + 1, sop_class_uid, transfer_syntax_uid, variant, sha256,
            pack_pk, record_at, payload_at, payload_bytes, tail_bytes, coalesce(:frames, frames), deflated,
            received_at_ms
        FROM n, instance WHERE pk = 1
    """
    with archive.store.database.write() as tx:
        tx.execute(text(sql), {"count": count, "frames": frames})
        tx.execute(text("UPDATE series SET instance_count = :n"), {"n": count + 1})


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(StudyInstanceUID="1.1", SeriesInstanceUID="1.2", SOPInstanceUID="1.3"))
        yield archive


@pytest.mark.parametrize("count", [10, 20_000])
def test_an_instance_is_located_without_reading_again_however_long_its_series(archive: TestArchive, count: int) -> None:
    lengthen(archive, count)
    first = actions.locate(archive.reader, "1.1", "1.2", "8.7")
    with counted(archive) as ran:
        assert actions.locate(archive.reader, "1.1", "1.2", "8.7") == first
    assert ran == []


def test_a_long_series_is_not_read_for_one_instance(archive: TestArchive) -> None:
    lengthen(archive, 6000)
    actions.locate(archive.reader, "1.1", "1.2", "8.7")
    assert [len(known) for known, _ in places.by_uid(archive.store)._kept.values()] == [1]


def test_an_unknown_instance_does_not_make_a_known_series_be_read_again(archive: TestArchive) -> None:
    lengthen(archive, 100)
    actions.locate(archive.reader, "1.1", "1.2", "8.7")
    with counted(archive) as ran, pytest.raises(NotFound):
        actions.locate(archive.reader, "1.1", "1.2", "8.777")
    assert len(ran) == 1


def test_an_instance_that_arrives_later_is_found(archive: TestArchive) -> None:
    actions.locate(archive.reader, "1.1", "1.2", "1.3")
    archive.keep_now(part10(StudyInstanceUID="1.1", SeriesInstanceUID="1.2", SOPInstanceUID="1.4"))
    assert actions.locate(archive.reader, "1.1", "1.2", "1.4").sop_instance_uid == "1.4"


def test_what_is_unknown_is_not_remembered(archive: TestArchive) -> None:
    for n in range(20):
        with pytest.raises(NotFound):
            actions.locate(archive.reader, "1.1", f"1.{n + 10}", "1.3")
    assert not places.by_uid(archive.store)._kept


def test_a_cache_forgets_what_was_said_to_weigh_nothing() -> None:
    cache = Lru[int, int](8)
    for n in range(100):
        cache.put(n, n, 0)
    assert len(cache._kept) == 8


def test_places_are_weighed_with_their_fragments(archive: TestArchive) -> None:
    many = Frames(20_000, fragments=tuple(((n, 9),) for n in range(20_000)))
    lengthen(archive, 3, many.pack())
    found = actions.locate(archive.reader, "1.1", "1.2", "8.1")
    assert found.frames == many
    ((_, weight),) = places.by_uid(archive.store)._kept.values()
    assert weight > 3 * 20_000 * 100


def test_a_studys_page_takes_the_same_statements_for_many_series_as_for_one(archive: TestArchive) -> None:
    with counted(archive) as few:
        actions.show_study(archive.reader, "1.1")
    for n in range(12):
        uids = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": f"2.{n}"}
        four = (part10(SOPInstanceUID=f"2.{n}.{i}", SeriesNumber=n, InstanceNumber=i + 1, **uids) for i in range(4))
        archive.keep_now(*four)
    with counted(archive) as many:
        _, series = actions.show_study(archive.reader, "1.1")
    assert len(many) == len(few)
    assert {s.series_uid: s.representative_uid for s in series} == {
        "1.2": "1.3", **{f"2.{n}": f"2.{n}.1" for n in range(12)}
    }  # fmt: skip


def test_a_studys_page_shows_a_bounded_number_of_series(archive: TestArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "_SHOWN_SERIES", 3)
    archive.keep_now(*(part10(StudyInstanceUID="1.1", SeriesNumber=n) for n in range(5)))
    study, series = actions.show_study(archive.reader, "1.1")
    assert (study.series_count, [s.number for s in series]) == (6, [0, 1, 1])


def test_a_page_of_studies_takes_three_statements_for_its_pictures(archive: TestArchive) -> None:
    study = {"StudyInstanceUID": "3.1"}
    picture = {**study, "SeriesInstanceUID": "3.2"}
    archive.keep_now(*(part10(SOPInstanceUID=f"3.{n}", InstanceNumber=n, **picture) for n in (3, 4, 5)))
    archive.keep_now(*(part10(SeriesInstanceUID="3.9", Modality="SR", **study) for _ in range(9)))
    rows = archive.rows()
    with counted(archive) as ran:
        found = actions.representatives(archive.reader, rows)
    assert len(ran) == 3
    assert dict(zip([r.study_uid for r in rows], found, strict=True)) == {"1.1": ("1.2", "1.3"), "3.1": ("3.2", "3.4")}
    assert actions.representatives(archive.reader, []) == []


@pytest.mark.embedded
def test_pictures_of_a_page_are_looked_up_however_large_the_archive(archive: TestArchive) -> None:
    archive.keep_now(part10(StudyInstanceUID="3.1"), part10(StudyInstanceUID="4.1"))
    rows = archive.rows()
    plans: list[str] = []

    def explained(connection: Connection, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if not statement.startswith("EXPLAIN"):
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
            plans.extend(row[3] for row in plan)

    with archive.store.database.read() as tx:
        event.listen(tx, "before_cursor_execute", explained)
        lookups.representatives(tx, [(each.institution, each.study_uid) for each in rows])
    assert plans
    assert not [step for step in plans if re.match(r"SCAN (study|series|instance)\b", step)], plans


def test_an_object_sent_again_after_its_pack_was_lost_is_found_at_its_new_place(tmp_path: Path) -> None:
    data = part10()
    with archive_in(tmp_path) as archive:
        (kept,) = archive.keep_now(data)
        assert isinstance(kept, Kept)
        place = (kept.study_uid, kept.series_uid, kept.sop_instance_uid)
        actions.locate(archive.reader, *place)
        homes.lose_blobs(tmp_path)
        archive.store.blobs.close()
        with pytest.raises(StoreDamaged):
            actions.open_slice(archive.reader, actions.locate(archive.reader, *place)).read()
        archive.keep_now(data)
        assert actions.open_slice(archive.reader, actions.locate(archive.reader, *place)).read() == data
