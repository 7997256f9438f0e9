"""What there is to import below the given paths: files, folders, zip archives, media with a DICOMDIR.

Knows files and archives, not what makes a DICOM object: whatever might be one is handed on, and the archive decides.
Only what is large and begins like none is refused here, so that a film of several GB is not read first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from huitong.base.errors import NotDicom
from huitong.cli.dicomdir import is_dicomdir, referenced_files
from huitong.cli.zips import ZipRefused, ZipShelf

#: Enough to see the preamble and prefix (PS3.10 7.1) and the media storage class in the file meta information.
HEAD_BYTES = 2048
#: Files up to this size are handed on whatever they begin with: the archive reads more than a sniff can tell.
READ_ANYWAY_BYTES = 4 << 20
#: Groups with which a data set without preamble may begin: command, file meta, directory, identifying.
_FIRST_GROUPS = {0x0000, 0x0002, 0x0004, 0x0008, 0x0800}
#: A member's local header, or the end record of an empty archive.
_ZIP_BEGINS = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True)
class Member:
    """Something that may be a DICOM object."""

    #: The path, or `archive.zip!name`; printable, whatever the name holds.
    name: str
    #: As the file system or the archive says; the object may turn out longer or shorter.
    size_bytes: int
    #: Its bytes; raises ZipRefused or OSError, also while they are read.
    open: Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that is not imported, and why."""

    name: str
    reason: str


def printable(name: str) -> str:
    """The name with everything that a terminal might obey written as an escape."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def walk(paths: Iterable[Path]) -> Iterator[Member | Refused]:
    """Every file below `paths`, folders in order of name, each file once. Opens each for its first bytes."""
    shelf = ZipShelf()
    seen: set[tuple[int, int]] = set()
    for path in paths:
        yield from _folder(path, seen, shelf) if path.is_dir() else _file(path, seen, shelf, named=True)


def _folder(folder: Path, seen: set[tuple[int, int]], shelf: ZipShelf) -> Iterator[Member | Refused]:
    failures: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=failures.append):
        folders.sort()
        for name in sorted(names):
            yield from _file(Path(place, name), seen, shelf, named=False)
    for error in failures:
        yield Refused(printable(str(error.filename)), f"cannot be read: {error.strerror}")


def _file(path: Path, seen: set[tuple[int, int]], shelf: ZipShelf, *, named: bool) -> Iterator[Member | Refused]:
    """`named`: given by the operator, not met in a folder; a DICOMDIR then stands for the files that it lists."""
    name = printable(str(path))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            yield Refused(name, "is no regular file")
            return
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        yield Refused(name, f"cannot be read: {error.strerror}")
        return
    if is_dicomdir(head):
        yield from _dicomdir(path, seen, shelf, all_of_it=named)
    elif zipfile_begins(head):
        yield from _archive(path, shelf)
    elif (reason := why_not(head, status.st_size)) is not None:
        yield Refused(name, reason)
    else:
        yield Member(name, status.st_size, partial(_open, path))


def _dicomdir(
    path: Path, seen: set[tuple[int, int]], shelf: ZipShelf, *, all_of_it: bool
) -> Iterator[Member | Refused]:
    for listed, file in referenced_files(path):
        if file is None:
            yield Refused(printable(str(path)), printable(listed))
        elif all_of_it:
            yield from _file(file, seen, shelf, named=False)


def _archive(path: Path, shelf: ZipShelf) -> Iterator[Member | Refused]:
    try:
        infos = shelf.members(path)
    except ZipRefused as error:
        yield Refused(printable(str(path)), str(error))
        return
    for info in infos:
        name = f"{printable(str(path))}!{printable(shelf.readable_name(info))}"
        try:
            with shelf.open(path, info) as file:
                head = file.read(HEAD_BYTES)
        except ZipRefused as error:
            yield Refused(name, str(error))
            continue
        if is_dicomdir(head):
            continue
        if zipfile_begins(head):
            yield Refused(name, "is an archive within an archive")
        elif (reason := why_not(head, info.file_size)) is not None:
            yield Refused(name, reason)
        else:
            yield Member(name, info.file_size, partial(shelf.open, path, info))


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def zipfile_begins(head: bytes) -> bool:
    """A zip archive, also an empty one; a DICOM object whose preamble looks like one is not."""
    return head[:4] in _ZIP_BEGINS and head[128:132] != b"DICM"


def why_not(head: bytes, size_bytes: int) -> str | None:
    """Why a file of that size that begins with `head` need not be read to be refused; None if it must be."""
    if not head:
        return "is empty"
    if size_bytes <= READ_ANYWAY_BYTES or b"DICM" in (head[128:132], head[:4]):
        return None
    return None if int.from_bytes(head[:2], "little") in _FIRST_GROUPS else str(NotDicom())
