"""A remote object open for reading: the parts that were written or read last, in a nameless file of the local disk.

Fetched in steps: a viewer that asks for one frame asks for the next one soon. What several want at once is
fetched once. `blobs.OpenBlob` has the contract.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Protocol

from huitong.base.errors import StoreDamaged
from huitong.store.files import FULL, disk_faults
from huitong.store.record import Buffer

_BLOCK = 256 << 10
#: Fetched at least, where there is so much; and where what lies before was fetched, too, so that it is read through.
STEP, STEP_ON = 2 << 20, 8 << 20


class Fetcher(Protocol):
    """Where the object is."""

    name: str

    def get(self, offset: int, end: int) -> tuple[Buffer, int]:
        """The bytes from `offset` to before `end`, as far as there are any, and the object's size."""

    def size(self) -> int: ...

    def no_room(self) -> None:
        """The local disk is full: this object is remembered no more, and others less."""


class Ranges:
    """Thread-safe. The file is gone when the last reference is; where the disk has no room it is one in memory."""

    def __init__(self, fd: int, fetcher: Fetcher, size: int | None = None) -> None:
        self.fd = fd
        self._fds = [fd]
        self._fetcher = fetcher
        self._size = size
        self._whole = False
        self._have: set[int] = set()
        self._coming: dict[int, threading.Event] = {}
        self._lock = threading.Lock()

    @classmethod
    def empty(cls, folder: Path, fetcher: Fetcher) -> Ranges:
        return cls(_nameless(folder), fetcher)

    @classmethod
    def written(cls, folder: Path, data: bytes, fetcher: Fetcher) -> Ranges:
        """Of an object just put: nothing has to be fetched."""
        fd = _nameless(folder)
        try:
            _write_at(fd, data, 0)
        except OSError:
            os.close(fd)
            raise
        return cls.of_file(fd, len(data), fetcher)

    @classmethod
    def of_file(cls, fd: int, size: int, fetcher: Fetcher) -> Ranges:
        made = cls(fd, fetcher, size)
        made._whole = True
        return made

    @property
    def cached_bytes(self) -> int:
        have = len(self._have) * _BLOCK
        return (self._size or 0) if self._whole else min(have, self._size or have)

    def size(self) -> int:
        if self._size is None:
            self._size = self._fetcher.size()
        return self._size

    def at_hand(self, offset: int, length: int) -> bool:
        return self._whole or self._have.issuperset(_blocks(offset, offset + length))

    def file(self, offset: int, length: int) -> tuple[int, int]:
        return self._fetch(offset, offset + length), offset

    def read(self, offset: int, length: int) -> bytes:
        fd = self._fetch(offset, offset + length)
        data = os.pread(fd, length, offset)
        while len(data) < length:
            more = os.pread(fd, length - len(data), offset + len(data))
            if not more:
                raise StoreDamaged(f"{self._fetcher.name} ends before byte {offset + length}")
            data += more
        return data

    def _fetch(self, offset: int, end: int) -> int:
        """The file that holds all of it."""
        if self._size is not None and end > self._size:
            raise StoreDamaged(f"{self._fetcher.name} ends before byte {end}")
        while True:
            with self._lock:
                if self.at_hand(offset, end - offset):
                    return self.fd
            first, last, event = self._next(offset, end)
            if first is None:
                event.wait()  # another thread fetches it
                continue
            try:
                self._get(first, last)
            finally:
                with self._lock:
                    for block in range(first, last):
                        del self._coming[block]
                event.set()
            if self._size is not None and end > self._size:
                raise StoreDamaged(f"{self._fetcher.name} ends before byte {end}")

    def _next(self, offset: int, end: int) -> tuple[int | None, int, threading.Event]:
        """The first run of blocks that nobody fetches yet, now ours to fetch; or what to wait for."""
        with self._lock:
            wanted = [block for block in _blocks(offset, end) if block not in self._have]
            free = [block for block in wanted if block not in self._coming]
            if not free:
                done = threading.Event()
                done.set()
                return None, 0, self._coming[wanted[0]] if wanted else done
            first = last = free[0]
            step = STEP_ON if first - 1 in self._have else STEP
            most = max(end, first * _BLOCK + step)
            if self._size is not None:
                most = min(most, self._size)
            while last * _BLOCK < most and last not in self._have and last not in self._coming:
                last += 1
            event = threading.Event()
            self._coming |= dict.fromkeys(range(first, last), event)
            return first, last, event

    def _get(self, first: int, last: int) -> None:
        data, self._size = self._fetcher.get(first * _BLOCK, last * _BLOCK)
        fd, at = self.fd, first * _BLOCK
        try:
            _write_at(fd, data, at)
        except OSError as e:
            fd = self._go_on_in_memory(fd, e)
            with disk_faults():
                _write_at(fd, data, at)
        end = at + len(data)
        with self._lock:
            if fd == self.fd:
                self._have.update(range(first, -(-end // _BLOCK) if end == self._size else end // _BLOCK))

    def _go_on_in_memory(self, fd: int, error: OSError) -> int:
        """Another file, which begins empty; whoever was given the old one keeps it."""
        with disk_faults():
            if error.errno not in FULL or not hasattr(os, "memfd_create"):
                raise error
            with self._lock:
                if self.fd == fd:
                    self._fds.append(os.memfd_create("huitong"))
                    self.fd = self._fds[-1]
                    self._have.clear()
        self._fetcher.no_room()
        return self.fd

    def __del__(self) -> None:
        for fd in self._fds:
            os.close(fd)


def _write_at(fd: int, data: Buffer, at: int) -> None:
    view = memoryview(data)
    while len(view):
        done = os.pwrite(fd, view, at)
        view, at = view[done:], at + done


def _blocks(offset: int, end: int) -> range:
    return range(offset // _BLOCK, -(-end // _BLOCK))


def _nameless(folder: Path) -> int:
    """A new file without a name; OSError where there is no room or no descriptor left."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        return os.dup(file.fileno())
