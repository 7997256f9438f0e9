"""Zip archives read member by member, never unpacked, with limits against those made to exhaust a reader."""

from __future__ import annotations

import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO

#: Archives kept open at a time.
OPEN_ARCHIVES = 4
#: More members than a hospital's largest export, fewer than exhaust memory.
MEMBERS_LIMIT = 2_000_000
#: Up to this size an archive may expand however it likes; past it, by this ratio at most. Images reach 2 to 10.
FREE_EXPANSION_BYTES = 1 << 30
RATIO_LIMIT = 200
#: Bytes decompressed at a time.
STEP_BYTES = 1 << 18

_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, KeyError)
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800


class ZipRefused(Exception):
    """Why an archive or one of its members is not read: its fate in the summary, not an error of ours."""


class ZipShelf:
    """Open archives, a few at a time, safe for several reading threads."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, zipfile.ZipFile] = OrderedDict()
        self._lock = Lock()

    def members(self, path: Path) -> list[zipfile.ZipInfo]:
        """The archive's files in the order in which they lie in it; raises ZipRefused."""
        with _in_words():
            with self._lock:
                infos = [info for info in self._archive(path).infolist() if not info.is_dir()]
            size_bytes = path.stat().st_size
        if len(infos) > MEMBERS_LIMIT:
            raise ZipRefused(f"has {len(infos)} members; {MEMBERS_LIMIT} is the limit")
        if sum(info.compress_size for info in infos) > size_bytes:
            raise ZipRefused("has members that overlap: an archive made to expand without end")
        expanded = sum(info.file_size for info in infos)
        if expanded > max(FREE_EXPANSION_BYTES, RATIO_LIMIT * size_bytes):
            raise ZipRefused(f"would expand to {expanded} bytes, {expanded // size_bytes} times its size")
        return sorted(infos, key=lambda info: info.header_offset)

    @contextmanager
    def open(self, path: Path, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
        """The member's bytes as a stream; raises ZipRefused, also while it is read."""
        if info.flag_bits & _ENCRYPTED:
            raise ZipRefused("is encrypted")
        with _in_words():
            with self._lock:
                file = self._archive(path).open(info)
            with file:
                yield file

    @staticmethod
    def readable_name(info: zipfile.ZipInfo) -> str:
        """The member's name; names not marked UTF-8 are GBK in archives made on Chinese Windows."""
        if info.flag_bits & _UTF8_NAME:
            return info.filename
        try:
            return info.filename.encode("cp437").decode("gbk")
        except UnicodeError:
            return info.filename

    def _archive(self, path: Path) -> zipfile.ZipFile:
        """Open, and for as long as the lock is held; members being read keep the file open until they end."""
        archive = self._open.get(path)
        if archive is None:
            archive = self._open[path] = zipfile.ZipFile(path)
            if len(self._open) > OPEN_ARCHIVES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return archive


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ZipRefused(f"cannot be read: {said}") from error
