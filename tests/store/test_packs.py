"""What is of local packs alone; the contract of the blob store is in test_blobs_contract.py."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from huitong.base.errors import StoreFull, StoreUnavailable
from huitong.store import packs as packs_module
from huitong.store.blobs import NewRecord, Placed
from huitong.store.intake import Intakes
from huitong.store.packs import Packs


@pytest.fixture
def intakes(tmp_path: Path) -> Intakes:
    folder = tmp_path / "spool"
    folder.mkdir()
    return Intakes(folder, memory_bytes=64 << 20, spool_bytes=10_000, max_bytes=1 << 30, keep_free_bytes=0)


@pytest.fixture
def packs(tmp_path: Path) -> Packs:
    return Packs(tmp_path / "packs", pack_bytes=1 << 16, keep_free_bytes=0)


def new(intakes: Intakes, body: bytes, prefix: bytes = b"", tail: bytes = b"tail") -> NewRecord:
    intake = intakes.new()
    intake.write(body)
    sha = hashlib.sha256
    return NewRecord({"n": len(body)}, prefix, intake, len(prefix), sha(prefix).digest(), sha(body).digest(), tail)


def test_a_full_pack_is_followed_by_another(packs: Packs, intakes: Intakes) -> None:
    names = {packs.append([new(intakes, os.urandom(9000))])[0].blob for _ in range(20)}
    assert len(names) == 3
    assert sorted(names) == list(packs.names())


def test_a_spooled_object_becomes_a_pack_without_being_copied(packs: Packs, intakes: Intakes) -> None:
    record = new(intakes, os.urandom(50_000))
    assert record.body.path is not None
    inode = record.body.path.stat().st_ino
    (placed,) = packs.append([record])
    record.body.abandon()
    assert (packs.folder / placed.blob).stat().st_ino == inode
    assert list(intakes.folder.iterdir()) == []


def test_a_disk_that_fills_in_the_middle_keeps_nothing_and_nothing_is_written_behind_it(
    packs: Packs, intakes: Intakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = packs.append([new(intakes, b"first")])

    def half_then_full(fd: int, pieces: list[bytes]) -> None:
        os.write(fd, b"".join(bytes(p) for p in pieces)[:77])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(packs_module, "write_all", half_then_full)
        with pytest.raises(StoreFull):
            packs.append([new(intakes, b"second" * 100)])
    assert (packs.folder / before.blob).stat().st_size == before.end
    (after,) = packs.append([new(intakes, b"third")])
    assert after.blob != before.blob
    assert packs.open(after.blob).read(after.payload_offset, 5) == b"third"


def test_a_group_of_large_and_small_is_kept_whole_or_not_at_all(
    packs: Packs, intakes: Intakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = packs.append([new(intakes, b"first")])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda fd: _fail_on(before, packs, fd))
        with pytest.raises(StoreUnavailable):
            packs.append([new(intakes, b"small"), new(intakes, os.urandom(20_000))])
    assert list(packs.names()) == [before.blob]
    assert (packs.folder / before.blob).stat().st_size == before.end


@pytest.mark.parametrize("begun", [True, False])
def test_what_was_not_kept_is_gone_before_another_process_may_claim_the_pack(
    packs: Packs, intakes: Intakes, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    end = packs.append([new(intakes, b"first")])[0].end if begun else 0
    left: list[list[int]] = []
    real = os.close

    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def close(fd: int) -> None:
        left.append([(packs.folder / name).stat().st_size for name in packs.names()])
        real(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        patch.setattr(os, "close", close)
        with pytest.raises(StoreUnavailable):
            packs.append([new(intakes, b"second")])
    assert left[-1] == ([end] if begun else [])


def _fail_on(placed: Placed, packs: Packs, fd: int) -> None:
    if os.fstat(fd).st_ino == (packs.folder / placed.blob).stat().st_ino:
        raise OSError(errno.EIO, "Input/output error")


def test_readers_do_not_wait_for_a_sync(packs: Packs, intakes: Intakes, monkeypatch: pytest.MonkeyPatch) -> None:
    (placed,) = packs.append([new(intakes, b"first")])
    syncing, go_on = threading.Event(), threading.Event()

    def slow(_fd: int) -> None:
        syncing.set()
        go_on.wait(20)

    monkeypatch.setattr(os, "fdatasync", slow)
    writer = threading.Thread(target=packs.append, args=([new(intakes, b"second")],))
    writer.start()
    assert syncing.wait(20)
    assert packs.open(placed.blob).read(placed.payload_offset, 5) == b"first"
    assert writer.is_alive()
    go_on.set()
    writer.join()


def test_a_pack_of_a_living_writer_is_claimed_by_nobody_and_a_dead_ones_by_one(packs: Packs, intakes: Intakes) -> None:
    (placed,) = packs.append([new(intakes, b"abc")])
    with packs.claim(placed.blob) as ours:
        assert not ours
    packs.close()
    with packs.claim(placed.blob) as first, packs.claim(placed.blob) as second:
        assert (first, second) == (True, False)


def test_a_pack_that_is_gone_is_claimed_by_nobody(packs: Packs, intakes: Intakes) -> None:
    (placed,) = packs.append([new(intakes, b"abc")])
    packs.close()
    (packs.folder / placed.blob).unlink()
    with packs.claim(placed.blob) as ours:
        assert not ours
