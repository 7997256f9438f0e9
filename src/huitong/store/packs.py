"""Blobs in local files: append-only packs, one writer each, synced once a group.

A pack is written by one process, which holds a lock on it while it lives; nobody ever writes into a pack that
another process began. A spooled object becomes a pack of its own. Names sort by time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from huitong.base.errors import StoreDamaged, StoreFull
from huitong.store import record
from huitong.store.blobs import NewRecord, Placed, Walked
from huitong.store.files import disk_faults, free_bytes, make_folder, rename, sync_folder, write_all
from huitong.store.intake import ROOM
from huitong.store.walking import SUFFIX, head_of, id_of, new_name, walk

_OPEN_PACKS = 256


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

    def file(self, offset: int, length: int) -> tuple[int, int]:
        return self.fd, offset

    def at_hand(self, offset: int, length: int) -> bool:
        return True

    def __del__(self) -> None:
        if (fd := getattr(self, "fd", -1)) >= 0:
            os.close(fd)


class _Writing:
    """The pack this process appends to."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        # Locked before it has the name by which others find it, so that it is never taken for a dead writer's.
        hidden = path.with_suffix(".new")
        self.fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        rename(hidden, path)
        self.id = id_of(path.name)
        self.end = 0

    def close(self) -> None:
        os.close(self.fd)


class Packs:
    """The blob store in one folder; thread-safe. `Blobs` has the contract."""

    remote = False

    def __init__(self, folder: Path, *, pack_bytes: int, keep_free_bytes: int) -> None:
        self.folder = folder
        self._pack_bytes, self._keep_free = pack_bytes, keep_free_bytes
        self._appending = threading.Lock()
        self._writing: _Writing | None = None
        #: Folders of months whose entries this process has synced, whoever made them.
        self._synced: set[Path] = set()
        # Apart from the other: who reads does not wait for a sync.
        self._opening = threading.Lock()
        self._open: OrderedDict[str, OpenPack] = OrderedDict()
        make_folder(folder)

    # --- writing ---

    def append(self, records: Sequence[NewRecord]) -> list[Placed]:
        with self._appending, disk_faults():
            if free_bytes(self.folder) < self._keep_free:
                raise StoreFull
            adopted: dict[int, Placed] = {}
            try:
                for number, r in enumerate(records):
                    if r.body.spooled:
                        adopted[number] = self._adopt_spool(r)
                small = iter(self._append_small([r for r in records if not r.body.spooled]))
            except BaseException:
                self._forget(adopted)
                raise
            return [adopted.get(number) or next(small) for number in range(len(records))]

    def _append_small(self, records: Sequence[NewRecord]) -> list[Placed]:
        if not records:
            return []
        pack = self._pack_to_write()
        pieces: list[record.Buffer] = []
        placed: list[Placed] = []
        at = pack.end
        for r in records:
            head, text = head_of(r, pack.id)
            pieces += (text, r.prefix, r.body.view(), r.tail, bytes(head.end - head.tail_at - len(r.tail)))
            placed.append(Walked(at, at + head.end, head, r.envelope).placed(pack.name))
            at += head.end
        write_all(pack.fd, pieces)
        os.fdatasync(pack.fd)
        pack.end = at
        return placed

    def _pack_to_write(self) -> _Writing:
        if self._writing is not None and self._writing.end >= self._pack_bytes:
            self._close_writing()
        if self._writing is None:
            path = self._new_path()
            self._writing = _Writing(path, self._name(path))
        return self._writing

    def _adopt_spool(self, r: NewRecord) -> Placed:
        """The spool file becomes a pack: its free room takes head, envelope and prefix; the tail goes behind."""
        target = self._new_path()
        head, text = head_of(r, id_of(target.name), ROOM - len(r.prefix) - record.SIZE)
        fd = r.body.fd
        os.pwrite(fd, text + r.prefix, 0)
        os.lseek(fd, head.tail_at, os.SEEK_SET)
        write_all(fd, [r.tail, bytes(head.end - head.tail_at - len(r.tail))])
        os.fdatasync(fd)
        assert r.body.path is not None
        rename(r.body.path, target)
        r.body.taken()
        return Walked(0, head.end, head, r.envelope).placed(self._name(target))

    def _forget(self, adopted: dict[int, Placed]) -> None:
        """Nobody will be told that these are kept. The pack begun is left where it was, and not written to again."""
        for placed in adopted.values():
            self._path(placed.blob).unlink(missing_ok=True)
        if (pack := self._writing) is not None:
            # Before it is closed, and others may claim it. What stays behind its end was never whole, or never
            # acknowledged.
            with contextlib.suppress(OSError):
                if pack.end:
                    os.truncate(pack.path, pack.end)
                else:
                    pack.path.unlink()
            self._close_writing()

    def _new_path(self) -> Path:
        path = self._path(new_name())
        make_folder(path.parent)
        if path.parent not in self._synced:  # made by a process that has not come to sync it, or never will
            sync_folder(self.folder)
            self._synced.add(path.parent)
        return path

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder))

    def give_up(self) -> None:
        with self._appending:
            self._close_writing()

    def _close_writing(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    # --- reading ---

    def open(self, blob: str) -> OpenPack:
        with self._opening:
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

    def names(self, after: str = "") -> Iterator[str]:
        names = (self._name(p) for p in self.folder.glob(f"*/*{SUFFIX}"))
        yield from sorted(name for name in names if name > after)

    def walk(self, blob: str, start: int = 0, stop: int | None = None) -> Iterator[Walked]:
        return walk(OpenPack(self._path(blob)), blob, start, stop)

    @contextmanager
    def claim(self, blob: str) -> Iterator[bool]:
        try:
            fd = os.open(self._path(blob), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            yield False
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield os.fstat(fd).st_nlink > 0  # its writer may have deleted it
        finally:
            os.close(fd)

    def link(self, blob: str, expires_s: float) -> None:
        """Files are served by us."""

    def check(self) -> None:
        """Room and rights are looked at with the volume."""

    def close(self) -> None:
        self.give_up()
        with self._opening:
            self._open.clear()
