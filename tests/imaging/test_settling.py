"""Settling: one ledger line with a manifest after the quiet time, another after a change, metadata ready-made."""

from __future__ import annotations

import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest
from pydicom.uid import generate_uid
from sqlalchemy import select
from tests import homes
from tests.archives import TestArchive, archive_in
from tests.objects import dataset, part10

from huitong.base.clock import now
from huitong.imaging import actions, due, merging, settling
from huitong.imaging.model import Kept
from huitong.imaging.tables import INSTANCE, PACK, READY, SERIES, STUDY
from huitong.store import ledger
from huitong.store.postgres import PostgresDatabase


def facts(archive: TestArchive) -> list[ledger.Fact]:
    with archive.store.database.read() as tx:
        return ledger.follow(tx, 0)


def study_pks(archive: TestArchive) -> list[int]:
    with archive.store.database.read() as tx:
        return list(tx.execute(select(STUDY.c.pk).order_by(STUDY.c.pk)).scalars())


def lying_in(archive: TestArchive, study_pk: int) -> list[int]:
    """Keys of the packs of a study's instances."""
    wanted = select(INSTANCE.c.pack_pk).join(SERIES, SERIES.c.pk == INSTANCE.c.series_pk)
    with archive.store.database.read() as tx:
        return list(tx.execute(wanted.where(SERIES.c.study_pk == study_pk)).scalars())


def test_a_study_settles_once_it_has_been_quiet(tmp_path: Path) -> None:
    with archive_in(tmp_path, settle_s=60.0) as archive:
        archive.keep_now(part10())
        assert actions.Settler(archive.store).settle_due() == 0
        assert actions.count_unsettled(archive.store) == 1
        later = actions.Settler(archive.store, lambda: now() + timedelta(seconds=61))
        assert later.settle_due() == 1
        assert later.settle_due() == 0
        assert archive.rows()[0].settled
        assert actions.count_unsettled(archive.store) == 0


@pytest.mark.embedded  # syncs of local packs are counted
def test_studies_that_are_due_together_settle_with_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(*(part10() for _ in range(12)))
        synced = []
        real = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(fd) or real(fd))
        assert actions.Settler(archive.store).settle_due() == 12
        assert len(synced) == 1
        assert len(facts(archive)) == 12


def test_the_manifest_counts_and_digests_and_names_no_patient(tmp_path: Path) -> None:
    ds = dataset()
    with archive_in(tmp_path) as archive:
        first = part10(ds)
        ds.SOPInstanceUID = generate_uid()
        second = part10(ds)
        archive.keep_now(first, second)
        archive.settle()
        (fact,) = facts(archive)
        assert (fact.kind, fact.institution, fact.subject) == (
            "imaging.study_settled", "TAIYUAN", ds.StudyInstanceUID,
        )  # fmt: skip
        assert fact.body["instances"] == 2
        assert fact.body["bytes"] == len(first) + len(second)
        assert [s["uid"] for s in fact.body["series"]] == [ds.SeriesInstanceUID]
        assert fact.body["series"][0]["digest"] == fact.body["digest"]
        assert "王" not in json.dumps(fact.body, ensure_ascii=False)
        assert "P0001" not in json.dumps(fact.body)


def test_a_study_that_changes_settles_again_with_a_line_of_its_own(tmp_path: Path) -> None:
    ds = dataset()
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(ds))
        archive.settle()
        archive.keep_now(part10(ds))
        archive.settle()
        ds.SOPInstanceUID = generate_uid()
        archive.keep_now(part10(ds))
        archive.settle()
        assert [f.body["instances"] for f in facts(archive)] == [1, 2]
        with archive.store.database.read() as tx:
            assert list(ledger.check(tx)) == []


def test_metadata_is_the_same_before_and_after_settling_and_follows_new_instances(tmp_path: Path) -> None:
    ds = dataset()
    with archive_in(tmp_path) as archive:
        (kept,) = archive.keep_now(part10(ds))
        assert isinstance(kept, Kept)
        place = (kept.study_uid, kept.series_uid)
        before = actions.metadata(archive.reader, *place)
        archive.settle()
        after = actions.metadata(archive.reader, *place)
        assert before.etag == after.etag
        assert gzip.decompress(before.gzipped) == gzip.decompress(after.gzipped)
        ds.SOPInstanceUID = generate_uid()
        archive.keep_now(part10(ds))
        newer = actions.metadata(archive.reader, *place)
        assert newer.etag != after.etag
        assert len(json.loads(gzip.decompress(newer.gzipped))) == 2
        assert actions.metadata_text(archive.reader, newer) == gzip.decompress(newer.gzipped)


def test_a_thumbnail_is_there_for_every_series_and_for_what_has_no_picture(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(), part10(Modality="SR", PixelData=None, Rows=None, Columns=None))
        archive.settle()
        for row in archive.rows():
            (stored,) = actions.locate_all(archive.reader, row.study_uid)
            data, etag = actions.thumbnail(archive.reader, stored)
            assert data[:3] == b"\xff\xd8\xff"
            assert actions.thumbnail(archive.reader, stored) == (data, etag)


def damage_header(folder: Path) -> None:
    """Of the last object in the only blob: what was computed at ingest cannot be read any more."""
    (blob,) = homes.blob_sizes(folder)
    homes.change_blob(folder, blob, lambda data: data[:-60] + b"\xff" * 20 + data[-40:])


def test_what_cannot_be_made_ready_does_not_hold_up_the_line(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10())
        damage_header(tmp_path)
        if homes.kind == homes.SCALED:
            archive.store.blobs.close()  # what it wrote it has at hand
        archive.keep_now(part10(), part10())
        assert actions.Settler(archive.store).settle_due() == 3
        assert len(facts(archive)) == 3
        assert actions.count_unsettled(archive.store) == 0


def test_a_full_disk_does_not_hold_up_the_line(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10())
    with archive_in(tmp_path, keep_free_bytes=1 << 60) as archive:
        archive.settle()
        assert len(facts(archive)) == 1
        assert actions.count_unsettled(archive.store) == 0


def test_a_study_that_cannot_be_settled_holds_up_no_other_and_is_tried_again(tmp_path: Path) -> None:
    at = [now() + timedelta(minutes=1)]
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10())
        with archive.store.database.write() as tx:
            good = tx.execute(select(INSTANCE.c.frames)).scalar_one()
            tx.execute(INSTANCE.update().values(frames=b"nonsense"))
        archive.keep_now(part10(), part10())
        settler = actions.Settler(archive.store, lambda: at[0])
        assert settler.settle_due() == 3
        assert len(facts(archive)) == 2
        assert settler.settle_due() == 0, "it waits before it is tried again"
        at[0] += timedelta(seconds=6)
        assert settler.settle_due() == 1
        with archive.store.database.write() as tx:
            tx.execute(INSTANCE.update().where(INSTANCE.c.frames == b"nonsense").values(frames=good))
        at[0] += timedelta(seconds=6)
        assert settler.settle_due() == 0, "twice as long after the second failure"
        at[0] += timedelta(seconds=6)
        assert settler.settle_due() == 1
        assert len(facts(archive)) == 3


def test_many_studies_that_wait_leave_room_for_the_others(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(*(part10() for _ in range(25)))
        with archive.store.database.write() as tx:
            tx.execute(INSTANCE.update().values(frames=b"nonsense"))
        settler = actions.Settler(archive.store)
        while settler.settle_due():
            pass
        archive.keep_now(part10())
        assert settler.settle_due() == 1
        assert len(facts(archive)) == 1


def test_a_settler_that_is_to_stop_leaves_the_study_to_the_next_start(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10())
        settler = actions.Settler(archive.store, lambda: now() - timedelta(days=1))  # nothing is due for its thread
        settler.start()
        settler.stop()
        settler._clock = now
        assert settler.settle_due() == 0
        with archive.store.database.read() as tx:
            assert tx.execute(select(READY)).all() == []
        assert facts(archive) == []
        assert actions.count_unsettled(archive.store) == 1


def test_studies_with_many_instances_settle_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "_MOST_INSTANCES", 3)
    with archive_in(tmp_path) as archive:
        for _ in range(3):
            ds = dataset()
            archive.keep_now(part10(ds))
            ds.SOPInstanceUID = generate_uid()
            archive.keep_now(part10(ds))
        settler = actions.Settler(archive.store)
        assert [settler.settle_due() for _ in range(4)] == [1, 1, 1, 0]
        assert all(row.settled for row in archive.rows())
        assert len(facts(archive)) == 3


@pytest.mark.scaled
@pytest.mark.skipif(homes.kind != homes.SCALED, reason="of a database of several processes (--home scaled)")
def test_a_process_settles_what_no_other_process_has_in_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_AT_ONCE", 2)
    with archive_in(tmp_path) as archive, closing(PostgresDatabase(homes.settings_of(tmp_path)["database"])) as other:
        for _ in range(5):
            archive.keep_now(part10())
        oldest = [f"settle {pk}" for pk in study_pks(archive)[:3]]
        with other.turns(oldest) as theirs:
            assert theirs == set(oldest)
            archive.settle()
            assert [fact.seq for fact in facts(archive)] == [1, 2]
            assert actions.count_unsettled(archive.store) == 3
        archive.settle()
        assert actions.count_unsettled(archive.store) == 0
        assert len({fact.subject for fact in facts(archive)}) == 5


@pytest.mark.scaled
@pytest.mark.skipif(homes.kind != homes.SCALED, reason="of an object store (--home scaled)")
def test_an_object_that_two_studies_leave_at_once_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two transactions would see the other's records still in it, and nobody would ever delete it."""
    both, real = Barrier(2), merging._move

    def together(*arguments: object) -> int:
        moved = real(*arguments)  # type: ignore[arg-type]
        with suppress(BrokenBarrierError):  # where one waits for the other
            both.wait(0.5)
        return moved

    one, other = dataset(), dataset()
    objects = []
    for _ in range(8):
        objects += [part10(one), part10(other)]
        one.SOPInstanceUID, other.SOPInstanceUID = generate_uid(), generate_uid()
    with archive_in(tmp_path) as archive:
        archive.keep_now(*objects[:8])
        archive.keep_now(*objects[8:])
        one_in, other_in = (set(lying_in(archive, pk)) for pk in study_pks(archive))
        assert one_in & other_in
        monkeypatch.setattr(merging, "_move", together)
        with ThreadPoolExecutor() as threads:
            merged = threads.map(lambda pk: merging.merge_study(archive.store, pk, 1), study_pks(archive))
            assert list(merged) == [8, 8]
        with archive.store.database.read() as tx:
            emptied = tx.execute(select(PACK.c.pk).where(PACK.c.emptied_at_ms == 1)).scalars()
            assert set(emptied) == one_in | other_in
