"""What is acknowledged was synced before: bytes, folder and index, so that a power cut takes nothing of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archives import archive_in
from tests.objects import dataset, part10

from huitong.imaging import actions
from huitong.imaging.model import Kept
from huitong.store.walking import new_name


class Disk:
    """Remembers what has been synced: of files how many bytes, of folders which entries."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.bytes: dict[int, int] = {}
        self.entries: dict[int, set[str]] = {}
        self._real = os.fsync, os.fdatasync
        patch.setattr(os, "fsync", lambda fd: self._sync(fd, self._real[0]))
        patch.setattr(os, "fdatasync", lambda fd: self._sync(fd, self._real[1]))

    def _sync(self, fd: int, real: object) -> None:
        real(fd)  # type: ignore[operator]
        status = os.fstat(fd)
        path = Path(f"/proc/self/fd/{fd}").resolve()
        if path.is_dir():
            self.entries[status.st_ino] = {entry.name for entry in path.iterdir()}
        else:
            self.bytes[status.st_ino] = status.st_size

    def survives(self, path: Path, end: int, root: Path) -> bool:
        """Whether the first `end` bytes of the file would be found again after a power cut now."""
        if self.bytes.get(path.stat().st_ino, 0) < end:
            return False
        while path != root:
            if path.name not in self.entries.get(path.parent.stat().st_ino, set()):
                return False
            path = path.parent
        return True


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    with monkeypatch.context() as patch:
        yield Disk(patch)


@pytest.mark.parametrize("spool_bytes", [1 << 20, 4096], ids=["in a pack", "as a pack of its own"])
def test_bytes_and_every_folder_above_them_are_synced_when_the_receipt_is_given(
    tmp_path: Path, disk: Disk, spool_bytes: int
) -> None:
    root = tmp_path / "data"
    with archive_in(root, spool_bytes=spool_bytes, pack_bytes=1 << 20) as archive:
        for _ in range(6):
            ds = dataset(Rows=300, Columns=400, PixelData=os.urandom(240_000))
            (kept,) = archive.keep_now(part10(ds))
            assert isinstance(kept, Kept)
            stored = actions.locate(archive.reader, kept.study_uid, kept.series_uid, kept.sop_instance_uid)
            pack = archive.store.layout.packs / stored.blob
            end = stored.blob_offset + stored.size_bytes + stored.tail_bytes
            assert disk.survives(pack, end, tmp_path)


def test_a_folder_that_another_process_has_just_made_is_synced_as_well(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "packs" / new_name()).parent.mkdir(parents=True)
    with archive_in(tmp_path) as archive:
        (kept,) = archive.keep_now(part10())
        assert isinstance(kept, Kept)
        stored = actions.locate(archive.reader, kept.study_uid, kept.series_uid, kept.sop_instance_uid)
        assert disk.survives(archive.store.layout.packs / stored.blob, stored.blob_offset + stored.size_bytes, tmp_path)


def test_the_index_is_synced_at_every_commit(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        session = archive.store.database.session()
        assert session.rows("PRAGMA journal_mode", {})[0][0] == "wal"
        assert session.rows("PRAGMA synchronous", {})[0][0] == 2  # FULL: the WAL is synced before COMMIT returns
        session.close()
        with archive.store.database.read() as tx:
            assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 2
