"""Backups as docs/how-to/backup-or-verify.md says: taken from a store at work, restored where nothing else is."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from sqlalchemy import func, select
from tests import homes
from tests.archives import TestArchive, archive_in
from tests.objects import part10
from tests.serving import serving
from tests.system.senders import StowSender
from tests.system.test_kill import check

from huitong.cli.servers import _pg_folder
from huitong.imaging import actions
from huitong.imaging.merging import delete_emptied
from huitong.imaging.model import Outcome
from huitong.imaging.tables import INSTANCE, PACK
from huitong.store.objects import Objects

_LATER_MS = 9_999_999_999_999


@pytest.mark.embedded
def test_an_embedded_backup_taken_under_a_sender_has_all_that_was_acknowledged_before(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    with serving(tmp_path / "data", "--pack-bytes", "1 MiB", "--spool-bytes", "300 KiB") as server:
        sender = StowSender(1, server.http_port, "TAIYUAN")
        sender.start()
        while len(sender.acknowledged) < 12:
            time.sleep(0.05)
        before = dict(sender.acknowledged)
        with (
            closing(sqlite3.connect(tmp_path / "data" / "index.sqlite")) as index,
            closing(sqlite3.connect(backup / "index.sqlite")) as copy,
        ):
            index.backup(copy)
        shutil.copytree(tmp_path / "data" / "packs", backup / "packs", ignore=shutil.ignore_patterns("*.new"))
        server.kill()
        sender.join(30)
    with serving(backup) as server:
        check(server, before)
        server.stow(part10())
    with archive_in(backup) as archive:
        assert actions.verify(archive.store).problems == []


@pytest.mark.scaled
@pytest.mark.parametrize("merged", [False, True])
def test_an_older_dump_beside_the_bucket_as_it_is_finds_all_that_was_ever_kept(tmp_path: Path, merged: bool) -> None:
    database, restored = homes.new_database(), homes.new_database(migrated=False)
    bucket = homes.s3_settings(f"backup{int(merged)}")
    study = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    slices = [part10(InstanceNumber=number, **study) for number in range(1, 7)]
    with archive_in(tmp_path / "data", database=database, **bucket) as archive:
        keep_each(archive, slices[:4])
        dump = tmp_path / "dump"
        pg("pg_dump", "--format=custom", f"--file={dump}", database)
        keep_each(archive, slices[4:])
        if merged:
            archive.settle()
            delete_emptied(archive.store, _LATER_MS)
            assert isinstance(archive.store.blobs, Objects)
            assert len(list(archive.store.blobs.names())) == 1
    pg("pg_restore", "--no-owner", f"--dbname={restored}", str(dump))
    with archive_in(tmp_path / "other", database=restored, **bucket) as archive:
        assert actions.verify(archive.store).problems == []
        with archive.store.database.read() as tx:
            assert tx.execute(select(func.count()).select_from(INSTANCE)).scalar() == len(slices)
            assert tx.execute(select(func.count()).select_from(PACK)).scalar() == (1 if merged else len(slices))
        for each in slices:
            kept = archive.keep_now(each)[0]
            assert not isinstance(kept, BaseException)
            assert kept.outcome is Outcome.ALREADY
        uid = study["StudyInstanceUID"]
        found = actions.locate_all(archive.reader, uid)
        opened = [actions.open_slice(archive.reader, stored) for stored in found]
        assert [each.read() for each in opened] == slices
        archive.settle()
        assert actions.verify(archive.store).problems == []


def keep_each(archive: TestArchive, objects: list[bytes]) -> None:
    """Each in a group of its own."""
    for each in objects:
        assert not isinstance(archive.keep_now(each)[0], BaseException)


def pg(program: str, *arguments: str) -> None:
    folder = _pg_folder()
    assert folder is not None
    done = subprocess.run([str(folder / "bin" / program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
