"""Folders and files that survive a power cut: creating, renaming and writing, each synced to the disk.

POSIX makes a new or renamed file durable only when its folder is synced too; every function here does both.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huitong.base.errors import OurFault, StoreFull, StoreUnavailable

#: What the system says where there is no room.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def sync_folder(folder: Path) -> None:
    """The folder's entries are on the disk when this returns."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """The folder and all above it exist, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def rename(source: Path, target: Path) -> None:
    """`source` is called `target`, durably; the target's folder must exist."""
    source.rename(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def write_all(fd: int, pieces: list[bytes | bytearray | memoryview]) -> None:
    """All pieces are appended to `fd`, however often the kernel takes only a part."""
    views = [memoryview(p) for p in pieces if len(p)]
    while views:
        done = os.writev(fd, views[:1000])
        while views and done >= views[0].nbytes:
            done -= views.pop(0).nbytes
        if done:
            views[0] = views[0][done:]


def free_bytes(folder: Path) -> int:
    """Bytes that an unprivileged process may still write below `folder`."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


@contextmanager
def disk_faults() -> Iterator[None]:
    """Turns what the disk says into what the senders are told: full, or not writable now."""
    try:
        yield
    except OSError as e:
        raise fault_of(e) from e


def fault_of(error: OSError) -> OurFault:
    """The archive's own word for an error of the disk."""
    return (StoreFull if error.errno in FULL else StoreUnavailable)(os.strerror(error.errno or 0))
