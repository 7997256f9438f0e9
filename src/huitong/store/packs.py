"""Blobs in local files: append-only packs, one writer each, synced once a group.

A pack is written by one process, which holds a lock on it while it lives; nobody ever writes into a pack that
another process began. A spooled object becomes a pack of its own. Names sort by time.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from huitong.base.errors import OurFault, StoreDamaged, StoreFull
from huitong.store import record
from huitong.store.blobs import NewRecord, Placed, Walked
from huitong.store.files import disk_faults, free_bytes, make_folder, rename, sync_folder, write_all
from huitong.store.intake import ROOM

_SUFFIX = ".pack"
_OPEN_PACKS = 256
_SCAN_STEP = 1 << 20


class OpenPack:
    """A pack open for reading, closed when the last reference goes."""

    def __init__(self, path: Path) -> None:
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as e:
            raise StoreDamaged(f"{path.name} is missing") from e
        self.name = path.name

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self.fd, length, offset)
        while len(data) < length:
            more = os.pread(self.fd, length - len(data), offset + len(data))
            if not more:
                raise StoreDamaged(f"{self.name} ends before byte {offset + length}")
            data += more
        return data

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def __del__(self) -> None:
        if (fd := getattr(self, "fd", -1)) >= 0:
            os.close(fd)


class _Writing:
    """The pack this process appends to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        self.end = 0

    def close(self) -> None:
        os.close(self.fd)


class Packs:
    """The blob store in one folder; thread-safe. `Blobs` has the contract."""

    def __init__(self, folder: Path, *, pack_bytes: int, keep_free_bytes: int) -> None:
        self.folder = folder
        self._pack_bytes, self._keep_free = pack_bytes, keep_free_bytes
        self._lock = threading.Lock()
        self._writing: _Writing | None = None
        self._open: OrderedDict[str, OpenPack] = OrderedDict()
        make_folder(folder)

    # --- writing ---

    def append(self, records: Sequence[NewRecord]) -> list[Placed]:
        with self._lock, disk_faults():
            if free_bytes(self.folder) < self._keep_free:
                raise StoreFull
            small = [r for r in records if not r.body.spooled]
            placed = iter(self._append_small(small) if small else [])
            return [self._adopt_spool(r) if r.body.spooled else next(placed) for r in records]

    def _append_small(self, records: Sequence[NewRecord]) -> list[Placed]:
        pack = self._pack_to_write()
        pieces: list[record.Buffer] = []
        placed: list[Placed] = []
        at = pack.end
        for r in records:
            head = _head_of(r, 0)
            pieces += (head[1], r.prefix, r.body.view(), r.tail, bytes(head[0].end - head[0].tail_at - len(r.tail)))
            placed.append(Walked(at, at + head[0].end, head[0], r.envelope).placed(self._name(pack.path)))
            at += head[0].end
        try:
            write_all(pack.fd, pieces)
            os.fdatasync(pack.fd)
        except OSError:
            os.ftruncate(pack.fd, pack.end)
            os.lseek(pack.fd, pack.end, os.SEEK_SET)
            raise
        pack.end = at
        return placed

    def _pack_to_write(self) -> _Writing:
        if self._writing is not None and self._writing.end >= self._pack_bytes:
            self._close_writing()
        if self._writing is None:
            path = self._new_path()
            self._writing = _Writing(path)
            sync_folder(path.parent)
        return self._writing

    def _adopt_spool(self, r: NewRecord) -> Placed:
        """The spool file becomes a pack: its free room takes head, envelope and prefix; the tail goes behind."""
        head, text = _head_of(r, ROOM - len(r.prefix) - record.SIZE)
        fd = r.body.fd
        os.pwrite(fd, text + r.prefix, 0)
        os.lseek(fd, head.tail_at, os.SEEK_SET)
        write_all(fd, [r.tail, bytes(head.end - head.tail_at - len(r.tail))])
        os.fdatasync(fd)
        target = self._new_path()
        assert r.body.path is not None
        rename(r.body.path, target)
        r.body.taken()
        return Walked(0, head.end, head, r.envelope).placed(self._name(target))

    def _new_path(self) -> Path:
        now = datetime.now(UTC)
        folder = self.folder / now.strftime("%Y%m")
        make_folder(folder)
        return folder / f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}{_SUFFIX}"

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder))

    def give_up(self) -> None:
        with self._lock:
            self._close_writing()

    def _close_writing(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    # --- reading ---

    def open(self, blob: str) -> OpenPack:
        with self._lock:
            pack = self._open.get(blob)
            if pack is None:
                pack = self._open[blob] = OpenPack(self._path(blob))
                if len(self._open) > _OPEN_PACKS:
                    self._open.popitem(last=False)
            else:
                self._open.move_to_end(blob)
            return pack

    def _path(self, blob: str) -> Path:
        return self.folder / blob

    def names(self) -> Iterator[str]:
        yield from sorted(self._name(p) for p in self.folder.glob(f"*/*{_SUFFIX}"))

    def walk(self, blob: str, start: int = 0, stop: int | None = None) -> Iterator[Walked]:
        pack = OpenPack(self._path(blob))
        size = min(pack.size(), stop) if stop is not None else pack.size()
        at = start
        while at < size:
            met = self._record_at(pack, at, size)
            if met is None:
                behind = self._next_magic(pack, at + record.ALIGN, size)
                met = Walked(at, behind, None, {})
            yield met
            at = met.end

    @staticmethod
    def _record_at(pack: OpenPack, at: int, size: int) -> Walked | None:
        data = pack.read(at, min(4096, size - at))
        if len(data) >= record.SIZE and data[:8] == record.MAGIC:
            wanted = record.SIZE + int.from_bytes(data[12:16], "little")
            if len(data) < wanted <= min(size - at, record.MAX_ENVELOPE):
                data = pack.read(at, wanted)
        read = record.read_head(data)
        if read is None or at + read[0].end > size:
            return None
        return Walked(at, at + read[0].end, *read)

    @staticmethod
    def _next_magic(pack: OpenPack, at: int, size: int) -> int:
        """Where the next record may begin: an aligned magic, or the end."""
        while at < size:
            block = pack.read(at, min(_SCAN_STEP, size - at))
            found = block.find(record.MAGIC)
            while found >= 0 and (at + found) % record.ALIGN:
                found = block.find(record.MAGIC, found + 1)
            if found >= 0:
                return at + found
            at += max(len(block) - len(record.MAGIC) + 1, 1) if at + len(block) < size else len(block)
        return size

    def take_over(self, blob: str) -> bool:
        fd = os.open(self._path(blob), os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

    def cut(self, blob: str, size: int) -> None:
        with disk_faults():
            fd = os.open(self._path(blob), os.O_RDWR | os.O_CLOEXEC)
            try:
                os.ftruncate(fd, size)
                os.fsync(fd)
            finally:
                os.close(fd)

    def close(self) -> None:
        with self._lock:
            self._close_writing()
            self._open.clear()


def _head_of(r: NewRecord, width: int) -> tuple[record.Head, bytes]:
    text = record.envelope(r.envelope, width)
    if width and len(text) > width:
        raise OurFault("the envelope does not fit")
    head = record.Head(
        envelope_bytes=len(text),
        payload_bytes=len(r.prefix) + r.body.size,
        tail_bytes=len(r.tail),
        tail_crc=zlib.crc32(r.tail),
        head_bytes=r.head_bytes,
        head_sha256=r.head_sha256,
        body_sha256=r.body_sha256,
    )
    return head, record.pack_head(head, text)
