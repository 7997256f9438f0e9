"""Backups as docs/how-to/backup-or-verify.md says: taken from a store at work, restored where nothing else is."""

from __future__ import annotations

import os
import re
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
from tests.archives import TestArchive, archive_in, settings_for
from tests.objects import part10
from tests.people import whole
from tests.people.registry import Registry
from tests.serving import serving
from tests.system.senders import StowSender
from tests.system.test_kill import check

from huitong.cli.servers import _pg_folder
from huitong.imaging import actions
from huitong.imaging.merging import delete_emptied
from huitong.imaging.model import Outcome
from huitong.imaging.tables import INSTANCE, PACK
from huitong.store.objects import Objects
from huitong.store.store import open_database

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


# --- people: in the index and nowhere else ---

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "backup-or-verify.md"


def guide(heading: str) -> str:
    """The commands of a part of the guide, in their order, as an operator copies them."""
    part = GUIDE.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    assert blocks, heading
    return "".join(blocks)


def bash(commands: str, **environment: str) -> None:
    if shutil.which("rsync") is None:  # as `rsync -a FROM/ TO/` does where TO is not there
        commands = 'rsync() { cp -a "$2" "$3"; }\n' + commands
    done = subprocess.run(
        ["bash", "-euc", commands], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.embedded
@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the command sqlite3 is not installed")
def test_people_questions_and_cards_survive_an_embedded_backup_by_the_commands_of_the_guide(tmp_path: Path) -> None:
    folder, backup = tmp_path / "data", tmp_path / "backup"
    backup.mkdir()
    with archive_in(folder) as archive:
        codes = whole.fill(archive)
        before, seen = whole.kept_by(archive), whole.seen(archive)
        bash(re.sub("BACKUP", str(backup), re.sub("DIR", str(folder), guide("Back up"))))
        something_more(archive)
    assert whole.kept_in(backup) == before
    with archive_in(backup) as archive:
        assert whole.seen(archive) == seen
        assert actions.verify(archive.store).problems == []
        whole.goes_on(archive, codes)


@pytest.mark.scaled
def test_people_questions_and_cards_survive_a_dump_by_the_commands_of_the_guide(tmp_path: Path) -> None:
    database, bucket = homes.new_database(), homes.s3_settings("backup-people")
    restored = homes.new_database(migrated=False)
    dump, _, restore = guide("With PostgreSQL and S3").partition("createdb")
    restore = "createdb" + restore
    assert "pg_dump" in dump
    assert "pg_restore" in restore
    with archive_in(tmp_path / "data", database=database, **bucket) as archive:
        codes = whole.fill(archive)
        before, seen = whole.kept_by(archive), whole.seen(archive)
        pg_bash(dump, tmp_path, database)
        something_more(archive)
    pg_bash(restore, tmp_path, restored)
    with closing(open_database(settings_for(tmp_path / "other", database=restored))) as opened, opened.read() as tx:
        assert whole.kept(tx) == before
    with archive_in(tmp_path / "other", database=restored, **bucket) as archive:
        assert whole.seen(archive) == seen
        assert actions.verify(archive.store).problems == []
        whole.goes_on(archive, codes)


def something_more(archive: TestArchive) -> None:
    """What the backup must not have: it is of one moment."""
    Registry(archive).register("TAIYUAN/LATE", names=("卫^迟",))


def pg_bash(commands: str, folder: Path, database: str) -> None:
    """With the programs of the server, against this database, which is there already and has a name of its own."""
    programs = _pg_folder()
    assert programs is not None
    commands = re.sub("^createdb .*$", "createdb --version", commands, flags=re.MULTILINE)
    path = f"{programs / 'bin'}:{os.environ['PATH']}"
    bash(f"cd {folder}\n{commands}", PATH=path, HUITONG_DATABASE=database)
