"""Blobs in an S3-compatible object store: one object a group, read by range through a cache on the local disk.

An object is written whole and never again: what is acknowledged was put before, in the same format as a local pack.
What was written or read last lies in nameless files of the local disk (`ranges`), which end with the process: the
kernel sends from these as it does from packs, and what this process kept it need not fetch again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from huitong.base.errors import StoreDamaged
from huitong.store import record
from huitong.store.blobs import NewRecord, Placed, Walked
from huitong.store.files import disk_faults, write_all
from huitong.store.intake import ROOM
from huitong.store.ranges import Ranges
from huitong.store.record import Buffer
from huitong.store.s3 import S3
from huitong.store.walking import head_of, id_of, new_name, read_head, walk

#: Objects whose cached parts are kept open at most: each has a descriptor.
_MOST_OPEN = 2048
_COPY_STEP = 4 << 20
#: Small records of a group go together into objects up to about this size, each made in memory.
_AT_ONCE_BYTES = 8 << 20


class Objects:
    """The blob store in a bucket; thread-safe. `Blobs` has the contract."""

    remote = True

    def __init__(self, s3: S3, cache: Path, *, cache_bytes: int) -> None:
        self.s3 = s3
        self.cache, self._cache_bytes = cache, cache_bytes
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Ranges] = OrderedDict()
        #: Bytes cached since all of them were counted last.
        self._grown_bytes = 0

    # --- writing ---

    def append(self, records: Sequence[NewRecord]) -> list[Placed]:
        """What was put before a fault stays: it may be deleted by nobody who cannot know who has met it since.

        A recovery elsewhere, say, may have indexed it, and a sender been told that it is there. `imaging.recovering`
        finds it, and what of it is spare.
        """
        placed: dict[int, Placed] = {}
        for number, r in enumerate(records):
            if r.body.spooled:
                placed[number] = self._put_spool(r)
        small = [number for number, r in enumerate(records) if not r.body.spooled]
        for some in _in_turn(small, records):
            placed |= zip(some, self._put_small([records[number] for number in some]), strict=True)
        return [placed[number] for number in range(len(records))]

    def _put_small(self, records: Sequence[NewRecord]) -> list[Placed]:
        name = new_name()
        pack_id = id_of(name)
        pieces: list[Buffer] = []
        placed: list[Placed] = []
        at = 0
        for r in records:
            head, text = head_of(r, pack_id)
            pieces += (text, r.prefix, r.body.view(), r.tail, bytes(head.end - head.tail_at - len(r.tail)))
            placed.append(replace(Walked(at, at + head.end, head, r.envelope).placed(name), whole=True))
            at += head.end
        data = b"".join(pieces)
        self._put(name, data)
        return placed

    def _put(self, name: str, data: bytes) -> None:
        self.s3.put(name, data)
        with suppress(OSError):  # no room for the cache: it will be fetched
            self._remember(Ranges.written(self.cache, data, self._fetcher(name)), name)

    def _put_spool(self, r: NewRecord) -> Placed:
        """The spool file as an object: its free room takes head, envelope and prefix; the tail goes behind."""
        name = new_name()
        head, text = head_of(r, id_of(name), ROOM - len(r.prefix) - record.SIZE)
        assert r.body.path is not None
        with disk_faults():
            os.pwrite(r.body.fd, text + r.prefix, 0)
            os.lseek(r.body.fd, head.tail_at, os.SEEK_SET)
            write_all(r.body.fd, [r.tail, bytes(head.end - head.tail_at - len(r.tail))])
        self.s3.put_file(name, r.body.path, head.end)
        return replace(Walked(0, head.end, head, r.envelope).placed(name), whole=True)

    def adopt(self, name: str, path: Path, size: int) -> None:
        """This file, a pack from elsewhere, is the object of that name. Raises StoreUnavailable."""
        with self._lock:
            self._open.pop(name, None)
        self.s3.put_file(name, path, size)

    def give_up(self) -> None:
        """Nothing is ever written behind an object."""

    # --- fewer and larger ---

    def merge(self, parts: Sequence[Placed]) -> list[Placed]:
        """One object that holds these records, in this order; durable when this returns, the old ones stay.

        Every byte is held against its digest on the way. Raises StoreDamaged, naming blob and offset, where it
        differs; then nothing was written.
        """
        name = new_name()
        placed: list[Placed] = []
        with tempfile.NamedTemporaryFile(dir=self.cache, prefix="merge-") as file, disk_faults():
            at = 0
            for part in parts:
                head, envelope = self._copied(part, id_of(name), file.fileno())
                placed.append(replace(Walked(at, at + head.end, head, envelope).placed(name), whole=True))
                at += head.end
            self.s3.put_file(name, Path(file.name), at)
            self._remember(Ranges.of_file(os.dup(file.fileno()), at, self._fetcher(name)), name)
        return placed

    def _copied(self, part: Placed, pack_id: bytes, to: int) -> tuple[record.Head, dict[str, object]]:
        blob = self.open(part.blob)
        read = read_head(blob, part.offset, part.end)
        if read is None:
            raise StoreDamaged(f"{part.blob}:{part.offset}: no record")
        head = replace(read[0], pack_id=pack_id)
        text = record.envelope(read[1], head.envelope_bytes)
        write_all(to, [record.pack_head(head, text)])
        at = part.payload_offset
        first = blob.read(at, head.head_bytes)
        body = hashlib.sha256()
        write_all(to, [first])
        for start in range(at + head.head_bytes, at + head.payload_bytes, _COPY_STEP):
            step = blob.read(start, min(_COPY_STEP, at + head.payload_bytes - start))
            body.update(step)
            write_all(to, [step])
        tail = blob.read(part.tail_offset, head.tail_bytes)
        write_all(to, [tail, bytes(head.end - head.tail_at - len(tail))])
        whole = (
            hashlib.sha256(first).digest() == head.head_sha256
            and body.digest() == head.body_sha256
            and zlib.crc32(tail) == head.tail_crc
        )
        if not whole:
            raise StoreDamaged(f"{part.blob}:{part.offset}: differs from its digest")
        return head, read[1]

    def delete(self, name: str) -> None:
        """For an object that is nowhere in the index. Raises StoreUnavailable."""
        with self._lock:
            self._open.pop(name, None)
        self.s3.delete(name)

    def check(self) -> None:
        self.s3.check()

    # --- reading ---

    def open(self, blob: str) -> Ranges:
        with self._lock:
            found = self._open.get(blob)
            if found is not None:
                self._open.move_to_end(blob)
                return found
        with disk_faults():
            return self._remember(Ranges.empty(self.cache, self._fetcher(blob)), blob)

    def _fetcher(self, name: str) -> _Fetcher:
        return _Fetcher(self.s3, name, self._grew, self._no_room)

    def _no_room(self, name: str) -> None:
        """`name` goes on in memory as long as somebody reads it; of the others those used longest ago give room."""
        with self._lock:
            self._open.pop(name, None)
            for _ in range(-(-len(self._open) // 2)):
                self._open.popitem(last=False)

    def _remember(self, ranges: Ranges, name: str) -> Ranges:
        with self._lock:
            kept = self._open.setdefault(name, ranges)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        self._grew(ranges.cached_bytes)
        return kept

    def _grew(self, size: int) -> None:
        """What was used longest ago is forgotten; its file goes when nobody reads it any more."""
        with self._lock:
            self._grown_bytes += size
            if self._grown_bytes * 16 < self._cache_bytes:
                return
            self._grown_bytes = 0
            total = sum(each.cached_bytes for each in self._open.values())
            while len(self._open) > 1 and total > self._cache_bytes:
                total -= self._open.popitem(last=False)[1].cached_bytes

    def names(self, after: str = "") -> Iterator[str]:
        for name, _ in self.s3.names(after):
            yield name

    def walk(self, blob: str, start: int = 0, stop: int | None = None) -> Iterator[Walked]:
        return walk(self.open(blob), blob, start, stop)

    @contextmanager
    def claim(self, blob: str) -> Iterator[bool]:
        """An object is whole when it is there. Its writer may still index it: then both find it indexed once."""
        yield True

    def link(self, blob: str, expires_s: float) -> str:
        return self.s3.link(blob, expires_s)

    def close(self) -> None:
        with self._lock:
            self._open.clear()


def _in_turn(small: Sequence[int], records: Sequence[NewRecord]) -> Iterator[list[int]]:
    """The numbers of the records, those together that go into one object."""
    some: list[int] = []
    size = 0
    for number in small:
        if some and size + records[number].body.size > _AT_ONCE_BYTES:
            yield some
            some, size = [], 0
        some.append(number)
        size += records[number].body.size
    if some:
        yield some


class _Fetcher:
    """Gets parts of one object, and says how much that was."""

    def __init__(self, s3: S3, name: str, grew: Callable[[int], None], no_room: Callable[[str], None]) -> None:
        self.name = name
        self._s3, self._grew, self._no_room = s3, grew, no_room

    def get(self, offset: int, end: int) -> tuple[Buffer, int]:
        data, size = self._s3.get(self.name, offset, end)
        self._grew(len(data))
        return data, size

    def size(self) -> int:
        return self._s3.size(self.name)

    def no_room(self) -> None:
        self._no_room(self.name)
