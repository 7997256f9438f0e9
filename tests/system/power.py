"""What a disk holds after a power cut: replayed from the system calls of a server, as strace wrote them down.

A write is on the disk when a later fsync or fdatasync of its file has returned; a name is in its folder when a later
fsync of the folder has. Of what was under way at the cut any part may be there: whole pages of 4 KB, in any order.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TRACED = (
    "openat,close,lseek,write,writev,pwrite64,pwritev,ftruncate,truncate,fsync,fdatasync,rename,renameat,renameat2,"
    "unlink,unlinkat,mkdir,mkdirat"
)
PAGE = 4096


def strace(log: Path) -> list[str]:
    """The beginning of a command line whose rest is traced; the process started is the one that is traced."""
    return ["strace", "-D", "-f", "-qq", "-ttt", "-T", "-xx", "-s", "8000000", "-o", str(log), "-e", f"trace={TRACED}"]


@dataclass
class File:
    """Everything that was ever written to one file, and when it was synced."""

    #: (begun, done, offset, bytes); bytes None: cut off at the offset.
    writes: list[tuple[float, float, int, bytes | None]] = field(default_factory=list)
    #: (begun, done)
    syncs: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class Entry:
    """One change of a folder: `path` is `file` from now on (True: a folder, None: gone); `other` goes with it."""

    begun: float
    done: float
    path: str
    file: File | bool | None
    other: str = ""


class Trace:
    """The calls below one folder, in the order in which they ended."""

    def __init__(self, log: Path, root: Path) -> None:
        self.root = str(root)
        self.entries: list[Entry] = []
        self.folder_syncs: dict[str, list[tuple[float, float]]] = {}
        self.begun, self.ended = float("inf"), 0.0
        self._now: dict[str, File] = {}
        self._folders = {self.root}
        self._open: dict[int, tuple[str, File | None]] = {}
        self._at: dict[int, int] = {}
        for begun, done, name, arguments, result in _calls(log):
            self.begun, self.ended = min(self.begun, begun), max(self.ended, done)
            if result >= 0:
                handle = getattr(self, f"_{_KINDS.get(name, name)}")
                handle(begun, done, arguments, result)

    def _inside(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root + "/")

    def _openat(self, begun: float, done: float, arguments: str, fd: int) -> None:
        path = _texts(arguments)[0].decode()
        self._open.pop(fd, None)
        if not self._inside(path):
            return
        file = self._now.get(path)
        if path in self._folders:
            self._open[fd] = (path, None)
            return
        if file is None:
            assert "O_CREAT" in arguments, f"{path} was there before"
            file = self._now[path] = File()
            self.entries.append(Entry(begun, done, path, file))
        self._open[fd] = (path, file)
        self._at[fd] = 0

    def _close(self, _begun: float, _done: float, arguments: str, _result: int) -> None:
        self._open.pop(int(arguments), None)

    def _file(self, arguments: str) -> tuple[int, File | None]:
        fd = int(arguments.split(",", 1)[0])
        return fd, self._open.get(fd, ("", None))[1]

    def _lseek(self, _begun: float, _done: float, arguments: str, result: int) -> None:
        self._at[int(arguments.split(",", 1)[0])] = result

    def _write(self, begun: float, done: float, arguments: str, result: int) -> None:
        fd, file = self._file(arguments)
        if file is not None:
            data = b"".join(_texts(arguments))
            assert len(data) >= result, "strace was told to write down less"
            file.writes.append((begun, done, self._at[fd], data[:result]))
            self._at[fd] += result

    def _pwrite(self, begun: float, done: float, arguments: str, result: int) -> None:
        _, file = self._file(arguments)
        if file is not None:
            at = int(arguments.rsplit(",", 1)[1])
            file.writes.append((begun, done, at, b"".join(_texts(arguments))[:result]))

    def _ftruncate(self, begun: float, done: float, arguments: str, _result: int) -> None:
        _, file = self._file(arguments)
        if file is not None:
            file.writes.append((begun, done, int(arguments.rsplit(",", 1)[1]), None))

    def _truncate(self, begun: float, done: float, arguments: str, _result: int) -> None:
        file = self._now.get(_texts(arguments)[0].decode())
        if file is not None:
            file.writes.append((begun, done, int(arguments.rsplit(",", 1)[1]), None))

    def _sync(self, begun: float, done: float, arguments: str, _result: int) -> None:
        path, file = self._open.get(int(arguments), ("", None))
        if file is not None:
            file.syncs.append((begun, done))
        elif path:
            self.folder_syncs.setdefault(path, []).append((begun, done))

    def _rename(self, begun: float, done: float, arguments: str, _result: int) -> None:
        old, new = (text.decode() for text in _texts(arguments))
        if old in self._now:
            file = self._now[new] = self._now.pop(old)
            self.entries.append(Entry(begun, done, new, file, old))

    def _unlink(self, begun: float, done: float, arguments: str, _result: int) -> None:
        path = _texts(arguments)[0].decode()
        if self._now.pop(path, None) is not None:
            self.entries.append(Entry(begun, done, path, None))

    def _mkdir(self, begun: float, done: float, arguments: str, _result: int) -> None:
        path = _texts(arguments)[0].decode()
        if self._inside(path):
            self._folders.add(path)
            self.entries.append(Entry(begun, done, path, True))

    # --- the cut ---

    def after_cut(self, at: float, chance: random.Random, target: Path, *, syncs_are_kept: bool = True) -> None:
        """`target` is what the disk holds at the folder's place when the power goes at the moment `at`."""
        share = chance.choice((0.0, 0.5, 0.5, 0.9, 1.0))  # of what was under way
        names: dict[str, File | bool] = {self.root: True}
        for entry in self.entries:
            if entry.begun < at and (self._kept(entry, at, syncs_are_kept) or chance.random() < share):
                names.pop(entry.other, None)
                if entry.file is None:
                    names.pop(entry.path, None)
                else:
                    names[entry.path] = entry.file
        made = set[str]()
        for path, what in sorted(names.items(), key=lambda each: each[0]):
            if path != self.root and str(Path(path).parent) not in made:
                continue  # its folder is gone, and with it all that is below
            there = target / os.path.relpath(path, self.root)
            if not isinstance(what, File):
                there.mkdir(parents=True, exist_ok=True)
                made.add(path)
            elif not path.endswith("-shm"):  # shared memory, which no disk keeps
                there.write_bytes(_content(what, at, chance, share, syncs_are_kept))

    def _kept(self, entry: Entry, at: float, syncs_are_kept: bool) -> bool:
        folder = str(Path(entry.path).parent)
        if not self._inside(folder):
            return True
        synced = self.folder_syncs.get(folder, [])
        return syncs_are_kept and any(entry.done <= begun and done <= at for begun, done in synced)


def _content(file: File, at: float, chance: random.Random, share: float, syncs_are_kept: bool) -> bytes:
    synced = max((begun for begun, done in file.syncs if done <= at), default=0.0) if syncs_are_kept else 0.0
    data = bytearray()
    for begun, done, offset, written in file.writes:
        if begun >= at:
            continue
        kept = done <= synced
        if written is None:
            if kept or chance.random() < share:
                data[offset:] = bytes(max(0, offset - len(data)))
            continue
        for first, last in _pages(offset, len(written)):
            if kept or chance.random() < share:
                data.extend(bytes(max(0, offset + last - len(data))))
                data[offset + first : offset + last] = written[first:last]
    return bytes(data)


def _pages(offset: int, length: int) -> Iterator[tuple[int, int]]:
    """The parts of a write that a disk writes together."""
    first = 0
    while first < length:
        last = min(length, (offset + first) // PAGE * PAGE + PAGE - offset)
        yield first, last
        first = last


#: Calls that are taken alike.
_KINDS = {
    "writev": "write", "pwrite64": "pwrite", "pwritev": "pwrite", "fsync": "sync", "fdatasync": "sync",
    "renameat": "rename", "renameat2": "rename", "unlinkat": "unlink", "mkdirat": "mkdir",
}  # fmt: skip
_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_WHOLE = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?: \w+ \([^)]*\))? <([\d.]+)>", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_UNFINISHED = " <unfinished ...>"


def _calls(log: Path) -> Iterator[tuple[float, float, str, str, int]]:
    """(begun, done, name, arguments, result) in the order in which they ended."""
    waiting: dict[str, tuple[float, str]] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            met = _LINE.match(line)
            if met is None:
                continue
            thread, time, said = met[1], float(met[2]), met[3]
            if said.endswith(_UNFINISHED):
                waiting[thread] = (time, said.removesuffix(_UNFINISHED))
                continue
            begun, done = time, None
            if resumed := _RESUMED.match(said):
                begun, first = waiting.pop(thread)
                said, done = first + said[resumed.end() :], time
            if call := _WHOLE.fullmatch(said.rstrip()):
                yield begun, done if done is not None else begun + float(call[4]), call[1], call[2], int(call[3])


def _texts(arguments: str) -> list[bytes]:
    return [bytes.fromhex(text.replace("\\x", "")) for text in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)]
