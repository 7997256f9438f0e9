"""What every blob store promises, held against local packs and an object store alike."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import homes

from huitong.base.errors import StoreDamaged, StoreUnavailable
from huitong.store import objects as objects_module
from huitong.store.blobs import Blobs, NewRecord, Placed, mapped
from huitong.store.intake import Intakes
from huitong.store.objects import Objects
from huitong.store.packs import Packs
from huitong.store.ranges import STEP
from huitong.store.s3 import S3

PACKS, OBJECTS = "packs", "objects"
SPOOLED_BYTES = 10_000


@dataclass
class Home:
    """One place for blobs, opened as often as there are processes."""

    kind: str
    folder: Path
    prefix: str
    cache_bytes: int = 1 << 30

    def open(self) -> Blobs:
        if self.kind == PACKS:
            return Packs(self.folder / "packs", pack_bytes=1 << 16, keep_free_bytes=0)
        return Objects(self._s3(), self.folder, cache_bytes=self.cache_bytes)

    def _s3(self) -> S3:
        given = homes.s3_settings(self.prefix)
        return S3(given["blobs"], "packs", key_id=given["s3_key_id"], secret=given["s3_secret"])

    def put(self, name: str, data: bytes | None) -> None:
        """The blob is these bytes, or gone, without anybody being told."""
        path = self.folder / "packs" / name
        if self.kind == PACKS and data is None:
            path.unlink()
        elif self.kind == PACKS and data is not None:
            path.write_bytes(data)
        elif data is None:
            self._s3().delete(name)
        else:
            self._s3().put(name, data)


@pytest.fixture(params=[PACKS, pytest.param(OBJECTS, marks=pytest.mark.scaled)])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    return Home(request.param, tmp_path, f"blobs-{os.urandom(8).hex()}")


@pytest.fixture
def blobs(home: Home) -> Iterator[Blobs]:
    opened = home.open()
    yield opened
    opened.close()


@pytest.fixture
def intakes(tmp_path: Path) -> Intakes:
    folder = tmp_path / "spool"
    folder.mkdir()
    return Intakes(folder, memory_bytes=64 << 20, spool_bytes=SPOOLED_BYTES, max_bytes=1 << 30, keep_free_bytes=0)


def new(intakes: Intakes, body: bytes, prefix: bytes = b"", tail: bytes = b"tail") -> NewRecord:
    intake = intakes.new()
    intake.write(body)
    sha = hashlib.sha256
    return NewRecord({"n": len(body)}, prefix, intake, len(prefix), sha(prefix).digest(), sha(body).digest(), tail)


def payload(blobs: Blobs, placed: Placed) -> bytes:
    return blobs.open(placed.blob).read(placed.payload_offset, placed.payload_bytes)


# --- writing and reading ---


@pytest.mark.parametrize("size", [0, 1, 4000, 9_999, 10_001, 300_000, 40_000_000], ids=lambda n: f"{n} bytes")
def test_what_is_appended_reads_back_for_this_and_every_other_process(
    home: Home, blobs: Blobs, intakes: Intakes, size: int
) -> None:
    body = os.urandom(size)
    record = new(intakes, body, b"prefix")
    assert record.body.spooled == (size > SPOOLED_BYTES)
    (placed,) = blobs.append([record])
    record.body.finish()
    for each in (blobs, home.open()):
        assert payload(each, placed) == b"prefix" + body
        assert each.open(placed.blob).read(placed.tail_offset, placed.tail_bytes) == b"tail"
        assert each.open(placed.blob).size() >= placed.end
        with mapped(each.open(placed.blob), placed.payload_offset, placed.payload_bytes) as view:
            assert view == b"prefix" + body
    assert list(intakes.folder.iterdir()) == []


def test_a_group_keeps_its_order_whatever_is_large_in_it(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    bodies = [os.urandom(size) for size in (10, 20_000, 3000, 50_000, 1, 9000)]
    placed = blobs.append([new(intakes, body) for body in bodies])
    assert [payload(home.open(), each) for each in placed] == bodies


def test_a_file_to_send_from_holds_the_bytes_where_it_says(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    body = os.urandom(3_000_000)
    (placed,) = blobs.append([new(intakes, body)])
    for each in (blobs, home.open()):
        opened = each.open(placed.blob)
        for at, length in ((0, 10), (1_000_000, 700_000), (2_999_990, 10)):
            fd, begin = opened.file(placed.payload_offset + at, length)
            assert os.pread(fd, length, begin) == body[at : at + length]
            assert opened.at_hand(placed.payload_offset + at, length)


def test_what_is_beyond_the_end_is_damage(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    (placed,) = blobs.append([new(intakes, b"abc")])
    for each in (blobs, home.open()):
        opened = each.open(placed.blob)
        size = opened.size()
        for at, length in ((size - 10, 100), (size, 1), (size + (1 << 30), 5)):
            with pytest.raises(StoreDamaged):
                opened.read(at, length)
        assert opened.read(size, 0) == b""
        assert payload(each, placed) == b"abc"


def test_a_blob_that_is_not_there_is_said_to_be_gone(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    with pytest.raises(StoreDamaged):
        blobs.open("202601/none.pack").read(0, 1)
    with pytest.raises(StoreDamaged):
        blobs.open("202601/none.pack").size()
    (placed,) = blobs.append([new(intakes, b"abc")])
    home.put(placed.blob, None)
    with pytest.raises(StoreDamaged):
        payload(home.open(), placed)


def test_readers_at_once_get_what_they_ask_for(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    body = os.urandom(9_000_000)
    (placed,) = blobs.append([new(intakes, body)])
    other = home.open()

    def look(n: int) -> bool:
        at, length = (n * 377_777) % 8_000_000, 1 + (n * 50_333) % 900_000
        return other.open(placed.blob).read(placed.payload_offset + at, length) == body[at : at + length]

    with ThreadPoolExecutor(12) as threads:
        assert all(threads.map(look, range(150)))


def test_writers_at_once_get_each_its_own_place(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    bodies = [os.urandom(500 + n * 400) for n in range(40)]
    with ThreadPoolExecutor(8) as threads:
        placed = list(threads.map(lambda body: blobs.append([new(intakes, body)])[0], bodies))
    assert [payload(home.open(), each) for each in placed] == bodies
    assert len({(each.blob, each.offset) for each in placed}) == 40


# --- walking ---


def test_walking_meets_every_record_in_order(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    placed = blobs.append([new(intakes, bytes([n]) * n) for n in range(1, 40)])
    name = placed[0].blob
    for each in (blobs, home.open()):
        walked = list(each.walk(name))
        assert [w.envelope["n"] for w in walked] == list(range(1, 40))
        assert [(w.offset, w.end) for w in walked] == [(p.offset, p.end) for p in placed]
        assert [w.envelope["n"] for w in each.walk(name, placed[9].end, placed[19].end)] == list(range(11, 21))


def test_names_are_in_the_order_of_time_and_can_be_had_from_some_point_on(blobs: Blobs, intakes: Intakes) -> None:
    names = [blobs.append([new(intakes, os.urandom(20_000 + n))])[0].blob for n in range(6)]
    assert list(blobs.names()) == names == sorted(names)
    assert list(blobs.names(names[2])) == names[3:]
    assert list(blobs.names(names[-1])) == []
    assert list(blobs.names("2000")) == names


def test_a_stretch_that_is_no_record_is_passed_over(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    placed = blobs.append([new(intakes, bytes([n]) * 3000) for n in range(3)])
    name = placed[0].blob
    opened = blobs.open(name)
    data = bytearray(opened.read(0, opened.size()))
    data[placed[1].offset : placed[1].offset + 64] = bytes(64)
    blobs.close()
    home.put(name, bytes(data))
    walked = list(home.open().walk(name))
    assert [w.head is not None for w in walked] == [True, False, True]
    assert walked[2].offset == placed[2].offset


def test_a_torn_end_is_no_record_nor_is_anything_inside_it(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    """A sender who puts the image of a record into pixel data gets it indexed neither whole nor torn."""
    forged = blobs.append([new(intakes, b"forged" * 100)])[0]
    blobs.give_up()
    image = blobs.open(forged.blob).read(0, forged.end)
    placed = blobs.append([new(intakes, b"x" * 3000), new(intakes, bytes(8 - 4) + image + b"y" * 3000)])
    name = placed[0].blob
    data = blobs.open(name).read(0, placed[1].end)
    blobs.close()
    assert [w.head is not None for w in home.open().walk(name)] == [True, True]
    home.put(name, data[: placed[1].end - 100])
    assert [w.head is not None for w in home.open().walk(name)] == [True, False]
    # The head itself lost: reading goes on inside the payload.
    home.put(name, data[: placed[1].offset] + bytes(64) + data[placed[1].offset + 64 : -100])
    assert all(w.head is None for w in home.open().walk(name, placed[1].offset))


def test_a_blob_whose_writer_is_gone_is_free_to_be_judged(home: Home, blobs: Blobs, intakes: Intakes) -> None:
    (placed,) = blobs.append([new(intakes, b"abc")])
    blobs.close()
    with home.open().claim(placed.blob) as ours:
        assert ours


def test_a_check_is_quiet_where_all_is_well(blobs: Blobs) -> None:
    blobs.check()


# --- of an object store alone ---


def parts_of(blobs: Blobs, intakes: Intakes, *bodies: bytes) -> list[Placed]:
    return [blobs.append([new(intakes, body, b"prefix")])[0] for body in bodies]


@pytest.fixture
def objects(blobs: Blobs) -> Objects:
    assert isinstance(blobs, Objects)
    return blobs


only_objects = pytest.mark.parametrize("home", [pytest.param(OBJECTS, marks=pytest.mark.scaled)], indirect=True)


@only_objects
def test_small_objects_are_brought_together_byte_for_byte(home: Home, objects: Objects, intakes: Intakes) -> None:
    bodies = [os.urandom(size) for size in (10, 30_000, 700, 6_000_000)]
    parts = parts_of(objects, intakes, *bodies)
    merged = home.open().merge(parts[::-1])  # type: ignore[attr-defined]
    assert len({each.blob for each in merged}) == 1
    for each in (objects, home.open()):
        assert [payload(each, p) for p in merged] == [b"prefix" + body for body in bodies[::-1]]
        assert [payload(each, p) for p in parts] == [b"prefix" + body for body in bodies], "the old ones stay"
    assert [w.placed(merged[0].blob).offset for w in home.open().walk(merged[0].blob)] == [p.offset for p in merged]
    for part in parts:
        objects.delete(part.blob)
        objects.delete(part.blob)  # also when it is gone already
    assert list(objects.names()) == [merged[0].blob]
    assert payload(home.open(), merged[0]) == b"prefix" + bodies[-1]


@only_objects
@pytest.mark.parametrize("at", [-1, 0, 1], ids=["payload's end", "head", "tail"])
def test_what_is_damaged_is_not_merged_and_nothing_is_left(
    home: Home, objects: Objects, intakes: Intakes, at: int
) -> None:
    parts = parts_of(objects, intakes, b"a" * 500, b"b" * 500)
    place = {-1: parts[1].tail_offset - 1, 0: parts[1].offset + 60, 1: parts[1].tail_offset + 1}[at]
    data = bytearray(objects.open(parts[1].blob).read(0, parts[1].end))
    data[place] ^= 1
    home.put(parts[1].blob, bytes(data))
    other = home.open()
    with pytest.raises(StoreDamaged):
        other.merge(parts)  # type: ignore[attr-defined]
    assert sorted(other.names()) == sorted(part.blob for part in parts)


@only_objects
def test_what_is_remembered_on_the_disk_stays_within_its_room(home: Home, objects: Objects, intakes: Intakes) -> None:
    home.cache_bytes = 4_000_000
    small = home.open()
    placed = [small.append([new(intakes, os.urandom(SPOOLED_BYTES - 1))])[0] for _ in range(20)]
    placed += [objects.append([new(intakes, os.urandom(1_500_000))])[0] for _ in range(12)]
    for _ in range(2):
        for each in placed:
            assert len(payload(small, each)) == each.payload_bytes
            cached = sum(r.cached_bytes for r in small._open.values())  # type: ignore[attr-defined]
            assert cached <= home.cache_bytes + 2 * STEP
    assert [path.name for path in home.folder.iterdir() if path.name != "spool"] == []


@only_objects
def test_a_reader_keeps_what_it_has_when_its_object_is_forgotten(
    objects: Objects, intakes: Intakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects_module, "_MOST_OPEN", 2)
    first = objects.append([new(intakes, b"first")])[0]
    held = objects.open(first.blob)
    for _ in range(4):
        objects.append([new(intakes, b"more")])
    assert first.blob not in objects._open
    assert held.read(first.payload_offset, 5) == b"first" == payload(objects, first)


@only_objects
def test_a_large_group_goes_in_objects_that_fit_into_memory(
    objects: Objects, intakes: Intakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects_module, "_AT_ONCE_BYTES", 20_000)
    bodies = [os.urandom(9000) for _ in range(7)]
    placed = objects.append([new(intakes, body) for body in bodies])
    assert [payload(objects, each) for each in placed] == bodies
    assert len({each.blob for each in placed}) == 4


@only_objects
def test_without_room_for_what_was_read_last_objects_are_kept_all_the_same(
    home: Home, objects: Objects, intakes: Intakes
) -> None:
    gone = home.folder / "gone"
    gone.mkdir()
    elsewhere = Objects(objects.s3, gone, cache_bytes=1 << 30)
    gone.rmdir()
    (placed,) = elsewhere.append([new(intakes, b"abc")])
    assert payload(home.open(), placed) == b"abc"


def in_memory(fd: int) -> bool:
    return str(Path(f"/proc/self/fd/{fd}").readlink()).startswith("/memfd:")


@only_objects
def test_on_a_full_disk_reading_goes_on_in_memory_and_then_on_the_disk_again(
    home: Home, objects: Objects, intakes: Intakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [os.urandom(3_000_000) for _ in range(4)]
    placed = [objects.append([new(intakes, body)])[0] for body in bodies]
    other = home.open()
    assert isinstance(other, Objects)
    before = [other.open(each.blob) for each in placed]
    held = before[0].file(placed[0].payload_offset, 10)
    real, room = os.pwrite, [1000]

    def nearly_full(fd: int, data: memoryview, at: int) -> int:
        if in_memory(fd):
            return real(fd, data, at)
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(fd, data[: room[0]], at)
        room[0] -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", nearly_full)
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda each: payload(other, each), placed)) == bodies
        (also,) = other.append([new(intakes, b"small")])
        assert payload(other, also) == b"small"
    assert os.pread(held[0], 10, held[1]) == bodies[0][:10], "whoever has a file keeps it"
    del before
    assert [payload(other, each) for each in placed] == bodies
    assert not any(in_memory(ranges.fd) for ranges in other._open.values())


@only_objects
def test_an_object_store_that_is_not_there_or_another_key_is_unavailable(home: Home, intakes: Intakes) -> None:
    given = homes.s3_settings(home.prefix)
    for url, secret in ((given["blobs"], "wrong"), ("s3://bucket/x?endpoint=http://127.0.0.1:1", given["s3_secret"])):
        blobs = Objects(S3(url, "packs", key_id=given["s3_key_id"], secret=secret), home.folder, cache_bytes=1 << 20)
        for use in (
            blobs.check,
            lambda blobs=blobs: blobs.append([new(intakes, b"abc")]),
            lambda blobs=blobs: blobs.open("202601/x.pack").read(0, 1),
            lambda blobs=blobs: list(blobs.names()),
        ):
            with pytest.raises(StoreUnavailable):
                use()


@only_objects
def test_what_several_want_at_once_is_fetched_once(
    home: Home, objects: Objects, intakes: Intakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (placed,) = objects.append([new(intakes, os.urandom(1_000_000))])
    other = home.open()
    assert isinstance(other, Objects)
    fetched, ready = [], threading.Barrier(8)
    real = other.s3.get

    def counted(name: str, offset: int, end: int) -> object:
        fetched.append((offset, end))
        return real(name, offset, end)

    monkeypatch.setattr(other.s3, "get", counted)

    def look(_: int) -> bytes:
        ready.wait(20)
        return payload(other, placed)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(look, range(8)))) == 1
    assert len(fetched) == 1


@only_objects
def test_a_name_that_looks_like_a_status_is_no_damage(home: Home, intakes: Intakes) -> None:
    """What is not there and what cannot be reached are told apart whatever numbers stand in an address."""
    given = homes.s3_settings(home.prefix)
    away = S3("s3://bucket/416?endpoint=http://127.0.0.1:1", "packs", key_id=given["s3_key_id"], secret="x")
    blobs = Objects(away, home.folder, cache_bytes=1 << 20)
    with pytest.raises(StoreUnavailable):
        blobs.open("202601/416.pack").read(0, 1)
