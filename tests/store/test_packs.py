"""The contract of the blob store, on local files."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from huitong.base.errors import StoreDamaged, StoreFull, StoreUnavailable
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


@pytest.mark.parametrize("size", [0, 1, 4000, 9_999, 10_001, 200_000], ids=lambda n: f"{n} bytes")
def test_what_is_appended_reads_back_with_its_prefix_and_tail(packs: Packs, intakes: Intakes, size: int) -> None:
    body = os.urandom(size)
    (placed,) = packs.append([new(intakes, body, b"prefix")])
    opened = packs.open(placed.blob)
    assert opened.read(placed.payload_offset, placed.payload_bytes) == b"prefix" + body
    assert opened.read(placed.tail_offset, placed.tail_bytes) == b"tail"


def test_walking_meets_every_record_in_order(packs: Packs, intakes: Intakes) -> None:
    placed = packs.append([new(intakes, bytes([n]) * n) for n in range(1, 40)])
    walked = list(packs.walk(placed[0].blob))
    assert [w.envelope["n"] for w in walked] == list(range(1, 40))
    assert [w.placed(placed[0].blob) for w in walked] == placed


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


def test_a_stretch_that_is_no_record_is_passed_over(packs: Packs, intakes: Intakes) -> None:
    placed = packs.append([new(intakes, bytes([n]) * 3000) for n in range(3)])
    path = packs.folder / placed[0].blob
    with path.open("r+b") as f:
        f.seek(placed[1].offset)
        f.write(b"\0" * 64)
    walked = list(packs.walk(placed[0].blob))
    assert [w.head is not None for w in walked] == [True, False, True]
    assert walked[2].offset == placed[2].offset


def test_a_torn_end_is_no_record_nor_is_anything_inside_it(packs: Packs, intakes: Intakes) -> None:
    """A sender who puts the image of a record into pixel data gets it indexed neither whole nor torn."""
    forged = packs.append([new(intakes, b"forged" * 100)])[0]
    packs.give_up()
    image = (packs.folder / forged.blob).read_bytes()
    placed = packs.append([new(intakes, b"x" * 3000), new(intakes, bytes(8 - 4) + image + b"y" * 3000)])
    packs.close()
    path = packs.folder / placed[0].blob
    assert [w.head is not None for w in packs.walk(placed[0].blob)] == [True, True]
    os.truncate(path, placed[1].end - 100)
    assert [w.head is not None for w in packs.walk(placed[0].blob)] == [True, False]
    with path.open("r+b") as f:  # the head itself lost: reading goes on inside the payload
        f.seek(placed[1].offset)
        f.write(b"\0" * 64)
    assert all(w.head is None for w in packs.walk(placed[0].blob, placed[1].offset))


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


def test_an_object_that_is_gone_is_said_to_be(packs: Packs, intakes: Intakes) -> None:
    with pytest.raises(StoreDamaged, match="missing"):
        packs.open("202601/none.pack")
    (placed,) = packs.append([new(intakes, b"abc")])
    with pytest.raises(StoreDamaged, match="ends before"):
        packs.open(placed.blob).read(placed.end - 10, 100)


def test_a_pack_of_a_living_writer_is_claimed_by_nobody_and_a_dead_ones_by_one(packs: Packs, intakes: Intakes) -> None:
    (placed,) = packs.append([new(intakes, b"abc")])
    with packs.claim(placed.blob) as ours:
        assert not ours
    packs.close()
    with packs.claim(placed.blob) as first, packs.claim(placed.blob) as second:
        assert (first, second) == (True, False)
