"""After crashes: what was whole is indexed, what was torn is cut, the index can be made again from the packs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from tests import homes
from tests.archives import TestArchive, archive_in
from tests.objects import dataset, part10

from huitong.base.clock import now
from huitong.base.errors import StoreFull, StoreUnavailable
from huitong.imaging import actions, merging
from huitong.imaging.keeping import keeper_of
from huitong.imaging.model import Kept, Outcome
from huitong.imaging.records import Known
from huitong.store.blobs import NewRecord
from huitong.wire.query import Level


def state(archive: TestArchive, *institutions: str) -> list[object]:
    """Everything a search can see, for comparison; of `institutions` as they sent it, otherwise by person."""
    rows = archive.rows()
    instances = [actions.locate_all(archive.reader, r.study_uid, institution=r.institution) for r in rows]
    variants = [actions.variants(archive.reader, r.study_uid, r.institution) for r in rows]
    places = [[(i.sop_instance_uid, i.sha256, i.blob_offset, i.frames) for i in study] for study in instances]
    kept_aside = [[(v.sop_instance_uid, v.sha256, v.variant) for v in study] for study in variants]
    searches = [{"institution": each} for each in institutions] or [{}]
    found = [archive.find(level, include_all=True, **search).rows for level in Level for search in searches]
    return [*found, places, kept_aside, [replace(row, exchange_id="") for row in rows] if institutions else rows]


def fill(archive: TestArchive) -> None:
    ds = dataset()
    first = part10(ds)
    ds.PixelData = bytes(32)
    archive.keep_now(first, *(part10() for _ in range(5)))
    archive.keep_now(part10(ds))
    ds.PatientName = "Someone^Else"
    archive.keep_now(part10(ds), institution="YUNCHENG")
    archive.keep_now(part10(PixelData=bytes(60_000), Rows=300, Columns=100))


def test_an_index_that_is_lost_is_made_again_from_the_packs(tmp_path: Path) -> None:
    with archive_in(tmp_path, spool_bytes=50_000) as archive:
        fill(archive)
        before = state(archive, "TAIYUAN", "YUNCHENG")
    for file in tmp_path.glob("index.sqlite*"):
        file.unlink()
    with archive_in(tmp_path) as archive:  # persons have new exchange ids: these live in the database alone
        assert state(archive, "TAIYUAN", "YUNCHENG") == before
        assert actions.verify(archive.store).clean


def test_reindexing_gives_the_same_index_and_settles_without_saying_so_twice(tmp_path: Path) -> None:
    with archive_in(tmp_path, spool_bytes=50_000) as archive:
        fill(archive)
        archive.settle()
        before = state(archive)
    with archive_in(tmp_path, alone=True) as archive:
        done = actions.reindex(archive.store)
        assert (done.indexed, done.clean) == (9, True)
        archive.settle()
        assert state(archive) == before
        with archive.store.database.read() as tx:
            assert tx.execute(text("SELECT count(*) FROM ledger")).scalar() == len(archive.rows())


def test_reindexing_waits_until_nobody_else_has_the_folder(tmp_path: Path) -> None:
    with archive_in(tmp_path), pytest.raises(StoreUnavailable, match="in use"), archive_in(tmp_path, alone=True):
        pass


def test_records_that_were_synced_but_not_indexed_are_taken_up(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        receipts = [*archive.keep_now(part10(), part10()), *archive.keep_now(part10(), part10())]
        with archive.store.database.write() as tx:  # as if the machine had stopped between the two syncs
            for table, kept in (("instance", "1, 2"), ("series", _SERIES_LEFT), ("study", _STUDIES_LEFT)):
                tx.execute(text(f"DELETE FROM {table} WHERE pk NOT IN ({kept})"))
            left = "SELECT max(record_at) FROM instance WHERE pack_pk = pack.pk"  # one pack or, on servers, several
            tx.execute(text(f"UPDATE pack SET sealed = 0, indexed_bytes = coalesce(({left}), 0)"))
    with archive_in(tmp_path) as archive:
        for kept in receipts:
            assert isinstance(kept, Kept)
            actions.locate(archive.reader, kept.study_uid, kept.series_uid, kept.sop_instance_uid)
        assert actions.verify(archive.store).clean


_SERIES_LEFT, _STUDIES_LEFT = "SELECT series_pk FROM instance", "SELECT study_pk FROM series"


@pytest.mark.embedded  # an object is there whole or not at all
@pytest.mark.parametrize("torn", [1, 100, 300, 700])
def test_a_torn_record_is_left_alone_and_what_was_acknowledged_stays(tmp_path: Path, torn: int) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(), part10())
    (pack,) = tmp_path.glob("packs/*/*.pack")
    whole = pack.read_bytes()
    pack.write_bytes(whole + whole[: torn - 1] + b"\0")
    for _ in range(2):
        with archive_in(tmp_path) as archive:
            assert len(archive.rows()) == 2
            assert actions.verify(archive.store).clean
    assert pack.read_bytes().startswith(whole)


@pytest.mark.embedded  # an object is there whole or not at all
def test_pages_that_reached_the_disk_out_of_order_are_no_fault(tmp_path: Path) -> None:
    """The first record of a group that was never acknowledged is lost, a later one whole: verify stays clean."""
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(), part10(), part10())
        with archive.store.database.write() as tx:
            first = tx.execute(text("SELECT record_at FROM instance WHERE pk = 2")).scalar_one()
            for table in ("instance", "series", "study"):
                tx.execute(text(f"DELETE FROM {table} WHERE pk > 1"))
            tx.execute(text("UPDATE pack SET indexed_bytes = :end"), {"end": first})
    (pack,) = tmp_path.glob("packs/*/*.pack")
    data = bytearray(pack.read_bytes())
    data[first : first + 200] = bytes(200)
    pack.write_bytes(data)
    with archive_in(tmp_path) as archive:
        assert len(archive.rows()) == 2
        assert actions.verify(archive.store).clean


@pytest.mark.parametrize("harmed", ["object", "kept header"])
@pytest.mark.parametrize("spool_bytes", [1 << 20, 500], ids=["in a pack", "as a pack"])
def test_damage_destroys_nothing_more(tmp_path: Path, harmed: str, spool_bytes: int) -> None:
    with archive_in(tmp_path, spool_bytes=spool_bytes) as archive:
        archive.keep_now(part10())
        (kept,) = archive.keep_now(part10())
    blob = max(homes.blob_sizes(tmp_path))
    at = homes.read_blob(tmp_path, blob).rindex(b"P0001") if harmed == "object" else -12
    homes.change_blob(tmp_path, blob, homes.flipped(at))
    data = homes.read_blob(tmp_path, blob)
    with archive_in(tmp_path, alone=True) as archive:
        done = actions.reindex(archive.store)
        assert homes.read_blob(tmp_path, blob) == data
        if harmed == "object":
            assert (done.indexed, len(done.problems)) == (1, 1)
        else:  # the object itself is whole: its header is read again
            assert (done.indexed, done.problems) == (2, [])
            assert isinstance(kept, Kept)
            stored = actions.locate(archive.reader, kept.study_uid, kept.series_uid, kept.sop_instance_uid)
            assert actions.header(archive.reader, stored)["00100020"]["Value"] == ["P0001"]
            assert actions.verify(archive.store).clean


def test_a_whole_record_that_reads_as_no_object_stops_no_recovery(tmp_path: Path) -> None:
    digest, data = hashlib.sha256, b"no dicom" * 100
    with archive_in(tmp_path) as archive:
        body = archive.store.intakes.new()
        body.write(data)
        envelope: dict[str, object] = {"institution": "TAIYUAN", "at_ms": 1}
        record = NewRecord(envelope, b"", body, 0, digest(b"").digest(), digest(data).digest(), b"tail")
        archive.store.blobs.append([record])
        body.finish()
        archive.keep_now(part10())
    with archive_in(tmp_path, alone=True) as archive:
        done = actions.reindex(archive.store)
        assert (done.indexed, len(done.problems)) == (1, 1)


@pytest.mark.parametrize("fault", [StoreFull, StoreUnavailable])
def test_what_cannot_be_written_again_now_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10())
    (blob,) = homes.blob_sizes(tmp_path)
    homes.change_blob(tmp_path, blob, homes.flipped(-12))

    def refused(_records: object) -> None:
        raise fault

    with archive_in(tmp_path, alone=True) as archive:
        with monkeypatch.context() as patch:
            patch.setattr(archive.store.blobs, "append", refused)
            with pytest.raises(fault):
                actions.reindex(archive.store)
        assert actions.recover(archive.store).indexed == 1
        assert len(archive.rows()) == 1


def test_recovering_twice_changes_nothing(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        fill(archive)
    with archive_in(tmp_path) as archive:
        before = state(archive)
        assert actions.recover(archive.store) == actions.Recovered()
        assert state(archive) == before


def test_a_sender_that_tries_again_after_a_crash_is_told_it_is_there(tmp_path: Path) -> None:
    data = part10()
    with archive_in(tmp_path) as archive:
        archive.keep_now(data)
        with archive.store.database.write() as tx:
            for table in ("instance", "series", "study", "pack"):
                tx.execute(text(f"DELETE FROM {table}"))
    with archive_in(tmp_path) as archive:
        (kept,) = archive.keep_now(data)
        assert isinstance(kept, Kept)
        assert kept.outcome is Outcome.ALREADY


@pytest.mark.scaled
@pytest.mark.skipif(homes.kind != homes.SCALED, reason="of an object store (--home scaled)")
def test_an_object_of_which_nothing_is_wanted_is_found_and_goes(tmp_path: Path) -> None:
    """Put, but its answer was lost: the sender sent it again."""
    data = part10()
    with archive_in(tmp_path, merged_keep_s=0.0) as archive:
        archive.keep_now(data)
        with archive.store.database.write() as tx:
            for table in ("instance", "series", "study", "pack"):
                tx.execute(text(f"DELETE FROM {table}"))
        keeper_of(archive.store)._known = Known()
        archive.keep_now(data)
        assert len(homes.blob_sizes(tmp_path)) == 2
        done = actions.recover(archive.store)
        assert (done.indexed, done.spare) == (0, 1)
        assert merging.delete_emptied(archive.store, round(now().timestamp() * 1000) + 1) == 1
        assert len(homes.blob_sizes(tmp_path)) == 1
        (row,) = archive.rows()
        (stored,) = actions.locate_all(archive.reader, row.study_uid)
        archive.store.blobs.close()
        assert actions.open_slice(archive.reader, stored).read() == data
        assert actions.verify(archive.store).clean


@pytest.mark.scaled
@pytest.mark.skipif(homes.kind != homes.SCALED, reason="of an object store (--home scaled)")
def test_an_object_that_another_process_deletes_meanwhile_stops_no_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10())
        homes.list_a_gone_blob(archive.store.blobs, monkeypatch)
        assert actions.recover(archive.store) == actions.Recovered()
