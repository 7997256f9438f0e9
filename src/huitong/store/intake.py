"""Bytes on their way in: in memory while they are few, in a spool file when they are many.

A spool file becomes a pack of its own, by a rename, without being copied: its first `ROOM` bytes are left free for the
record's head and the file meta information that may have to go before a bare data set.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
from pathlib import Path

from huitong.base.errors import StoreFull, TooLarge
from huitong.store.buffers import Buffers
from huitong.store.files import disk_faults, free_bytes, write_all
from huitong.store.record import Buffer

#: Free bytes at the beginning of a spool file, for the record's head, envelope and prefix.
ROOM = 16384
_LARGE_BYTES = 256 << 10
#: A spool file may grow by so much before the room left on the volume is looked at again.
_CHECK_EVERY_BYTES = 16 << 20


class Intake:
    """Takes what a sender sends, chunk by chunk; afterwards its bytes can be read as one buffer."""

    def __init__(self, folder: Path, buffers: Buffers, spool_bytes: int, max_bytes: int, keep_free_bytes: int) -> None:
        self.size = 0
        self.path: Path | None = None
        self._folder, self._buffers = folder, buffers
        self._spool_bytes, self._max_bytes, self._keep_free = spool_bytes, max_bytes, keep_free_bytes
        self._memory: bytearray | None = None
        self._fd = -1
        self._check_at = 0
        self._map: mmap.mmap | None = None
        self._handed_over = False

    def write(self, chunk: Buffer) -> None:
        """Take `chunk`; it may be reused by the caller afterwards.

        Raises TooLarge past the size limit, StoreFull when the spool has no room.
        """
        size = len(chunk)
        if self.size + size > self._max_bytes:
            raise TooLarge(f"more than {self._max_bytes} bytes")
        if self._fd < 0 and (self.size + size > self._spool_bytes or not self._have(self.size + size)):
            self._spill()
        if self._fd >= 0:
            self._check_room(self.size + size)
            with disk_faults():
                write_all(self._fd, [chunk])
        elif self._memory is not None:
            self._memory[self.size : self.size + size] = chunk
        self.size += size

    def _have(self, size: int) -> bool:
        """Whether there is a buffer for `size` bytes; small ones grow four times at once, large ones twice."""
        old = self._memory
        if size <= (len(old) if old else 0):
            return True
        wanted = min(size * (4 if size < _LARGE_BYTES else 2), self._spool_bytes) if old else size
        new = self._buffers.take(max(wanted, size))
        if new is None:
            return False
        if old:
            new[: self.size] = memoryview(old)[: self.size]
            self._buffers.give(old)
        self._memory = new
        return True

    def _spill(self) -> None:
        """Go on in a file."""
        self._check_room(self.size)
        path = self._folder / f"{secrets.token_hex(12)}.part"
        with disk_faults():
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            self.path = path
            fcntl.flock(self._fd, fcntl.LOCK_EX)  # says that a living process fills it: see Intakes.sweep
            os.lseek(self._fd, ROOM, os.SEEK_SET)
            write_all(self._fd, [memoryview(self._memory or b"")[: self.size]])
        self._forget_memory()

    def _forget_memory(self) -> None:
        if self._memory is not None:
            self._buffers.give(self._memory)
            self._memory = None

    def _check_room(self, size: int) -> None:
        """Before the file grows to `size`: the index must still be able to grow when it has."""
        if size < self._check_at:
            return
        if free_bytes(self._folder) < self._keep_free:
            raise StoreFull
        self._check_at = size + _CHECK_EVERY_BYTES

    @property
    def spooled(self) -> bool:
        return self._fd >= 0

    @property
    def fd(self) -> int:
        """The spool file, whose bytes begin at `ROOM`; -1 while in memory."""
        return self._fd

    def view(self) -> memoryview:
        """All bytes that came, without a copy; valid until `abandon`."""
        if self._fd < 0:
            return memoryview(self._memory or b"")[: self.size]
        if self._map is None:
            self._map = mmap.mmap(self._fd, ROOM + self.size, prot=mmap.PROT_READ)
        return memoryview(self._map)[ROOM:]

    def taken(self) -> None:
        """The spool file has become a pack: it is no longer this intake's to delete."""
        self.path = None

    def hand_over(self) -> None:
        """From now on the keeper's: a door that is cancelled meanwhile abandons nothing that is being written."""
        self._handed_over = True

    def abandon(self) -> None:
        """Forget everything; safe to call twice, and without effect once handed over."""
        if not self._handed_over:
            self.finish()

    def finish(self) -> None:
        """The keeper is done with it."""
        self._forget_memory()
        self._map = None  # unmapped when the last view of it is gone
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None


class Intakes:
    """Makes intakes that share one folder, one memory budget and the limits of the settings."""

    def __init__(
        self, folder: Path, *, memory_bytes: int, spool_bytes: int, max_bytes: int, keep_free_bytes: int
    ) -> None:
        self.folder = folder
        self._buffers = Buffers(memory_bytes)
        self._limits = (spool_bytes, max_bytes, keep_free_bytes)

    def new(self) -> Intake:
        return Intake(self.folder, self._buffers, *self._limits)

    def sweep(self) -> int:
        """Delete what dead processes left half-received (never acknowledged); how many files that were."""
        return sum(_delete_if_orphaned(path) for path in list(self.folder.glob("*.part")))


def _delete_if_orphaned(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(fd)
