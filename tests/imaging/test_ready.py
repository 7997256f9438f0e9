"""What is ready-made may be lost, damaged or not to be kept: it is made again, and readers see no error."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests import homes
from tests.archives import TestArchive, archive_in
from tests.objects import dataset, part10

from huitong.base.errors import StoreFull
from huitong.imaging import actions
from huitong.imaging.model import Kept, StoredInstance
from huitong.imaging.pixels.module import MAX_FRAME_BYTES
from huitong.imaging.pixels.thumbnail import placeholder
from huitong.imaging.ready import METADATA, THUMBNAIL, Made, Ready
from huitong.imaging.tables import READY, SERIES
from huitong.wire.dicom.frames import Frames


def kept_one(archive: TestArchive, data: bytes) -> StoredInstance:
    (kept,) = archive.keep_now(data)
    assert isinstance(kept, Kept)
    return actions.locate(archive.reader, kept.study_uid, kept.series_uid, kept.sop_instance_uid)


def read_both(archive: TestArchive, stored: StoredInstance) -> tuple[bytes, bytes]:
    """The metadata and the thumbnail as a viewer asks for them."""
    metadata = actions.metadata(archive.reader, stored.study_uid, stored.series_uid)
    return metadata.gzipped, actions.thumbnail(archive.reader, stored)[0]


def both_kept(archive: TestArchive, stored: StoredInstance) -> bool:
    """As somebody sees it who has nothing in memory."""
    with archive.store.database.read() as tx:
        series = tx.execute(select(SERIES)).one()
    fresh = Ready(archive.store)
    return fresh.has(METADATA, series.pk, series.revision) and fresh.has(THUMBNAIL, stored.pk, 0)


def settled(folder: Path) -> tuple[StoredInstance, tuple[bytes, bytes]]:
    with archive_in(folder) as archive:
        stored = kept_one(archive, part10())
        archive.settle()
        return stored, read_both(archive, stored)


def test_what_is_thrown_away_is_made_and_kept_again(tmp_path: Path) -> None:
    stored, before = settled(tmp_path)
    homes.lose_blobs(tmp_path, kind="derived")
    with archive_in(tmp_path) as archive:
        assert not both_kept(archive, stored)
        assert read_both(archive, stored) == before
        assert both_kept(archive, stored)


def test_a_damaged_byte_is_noticed_and_never_served(tmp_path: Path) -> None:
    stored, before = settled(tmp_path)
    (blob,) = homes.blob_sizes(tmp_path, "derived")
    with archive_in(tmp_path) as archive:
        with archive.store.database.read() as tx:
            places = list(tx.execute(select(READY.c.payload_at, READY.c.payload_bytes)))
        assert len(places) == 2
        for at, length in places:
            homes.change_blob(tmp_path, blob, homes.flipped(at + length // 2), "derived")
        assert not both_kept(archive, stored)
        assert read_both(archive, stored) == before
        assert both_kept(archive, stored)


def test_the_settler_makes_again_what_was_lost(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        ds = dataset()
        stored = kept_one(archive, part10(ds))
        archive.settle()
    homes.lose_blobs(tmp_path, kind="derived")
    with archive_in(tmp_path) as archive:
        ds.SOPInstanceUID, ds.InstanceNumber = "1.2.3.4", 2
        archive.keep_now(part10(ds))  # the study's middle instance stays the same, its thumbnail's row too
        archive.settle()
        assert both_kept(archive, stored)


@pytest.mark.embedded  # an object store needs no room here; tests/system/test_faults.py takes it away
def test_readers_are_answered_when_nothing_can_be_kept(tmp_path: Path) -> None:
    stored, before = settled(tmp_path)
    homes.lose_blobs(tmp_path, kind="derived")
    with archive_in(tmp_path, keep_free_bytes=1 << 60) as archive:
        assert read_both(archive, stored) == before
        assert read_both(archive, stored) == before
        assert not both_kept(archive, stored)


def test_metadata_of_a_study_that_still_arrives_is_not_kept(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        stored = kept_one(archive, part10())
        actions.metadata(archive.reader, stored.study_uid, stored.series_uid)
        with archive.store.database.read() as tx:
            assert tx.execute(select(func.count()).select_from(READY)).scalar_one() == 0


def test_a_full_disk_leaves_no_memory_taken(tmp_path: Path) -> None:
    with archive_in(tmp_path, spool_bytes=1 << 20, keep_free_bytes=1 << 60) as archive:
        ready = Ready(archive.store)
        small, large = Made("x", 1, 1, bytes(1_000_000)), Made("x", 2, 1, bytes(2_000_000))
        for _ in range(110):  # more than all intakes together may hold
            with pytest.raises(StoreFull):
                ready.keep([small, large])
        intake = archive.store.intakes.new()
        intake.write(bytes(1000))
        assert not intake.spooled
        intake.abandon()


def test_study_metadata_stays_json_whatever_the_series_uid_holds(tmp_path: Path) -> None:
    """An instance kept before such UIDs were refused, say."""
    with archive_in(tmp_path) as archive:
        stored = kept_one(archive, part10(PixelData=bytes(32)))
        with archive.store.database.write() as tx:
            tx.execute(SERIES.update().values(series_uid='1.2"\\?#%3'))
        text = actions.metadata_text(archive.reader, actions.metadata(archive.reader, stored.study_uid))
        (instance,) = json.loads(text)
        assert instance["7FE00010"]["BulkDataURI"].startswith("series/1.2%22%5C%3F%23%253/instances/")


def test_a_frame_too_large_to_be_decoded_is_not_read_for_a_thumbnail(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        stored = kept_one(archive, part10())
        # Reading so much raises StoreDamaged: the pack ends before.
        huge = replace(stored, frames=Frames(1, offset=0, length=MAX_FRAME_BYTES + 1))
        made = Ready(archive.store).make_thumbnail(huge)
        assert made.data == placeholder(actions.header(archive.reader, stored))
