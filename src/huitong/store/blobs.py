"""What every keeper of bytes promises, whatever it keeps them on: the contract of the blob store.

One file per backend (`packs` for local files, `objects` for S3), one suite of tests for all. Bytes are appended, never
changed, and are addressed by the name of the blob that holds them and an offset.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from huitong.store.intake import Intake
from huitong.store.record import Head


@dataclass(slots=True)
class NewRecord:
    """A record about to be kept."""

    #: What the index needs besides the bytes: who sent it, when, how.
    envelope: dict[str, object]
    #: PS3.10 preamble and file meta information generated for a bare data set; empty if `body` is a whole file.
    prefix: bytes
    #: What arrived, in memory or spooled; it is consumed.
    body: Intake
    #: Length of the payload's head (preamble and meta, generated or received) and its digest; digest of the rest.
    head_bytes: int
    head_sha256: bytes
    body_sha256: bytes
    #: What was computed at ingest.
    tail: bytes


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a record lies."""

    blob: str
    #: Of the record's first byte.
    offset: int
    payload_offset: int
    payload_bytes: int
    tail_offset: int
    tail_bytes: int
    #: Where the next record of this blob will begin.
    end: int
    #: Nothing will ever be appended to the blob behind this group.
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Walked:
    """A record met when reading a blob from its beginning; `head` is None for a stretch that is no record."""

    offset: int
    end: int
    head: Head | None
    envelope: dict[str, object]

    def placed(self, blob: str) -> Placed:
        assert self.head is not None
        h, at = self.head, self.offset
        return Placed(blob, at, at + h.payload_at, h.payload_bytes, at + h.tail_at, h.tail_bytes, self.end)


class OpenBlob(Protocol):
    """A blob open for reading; stays readable while the reference lives, unless it is deleted elsewhere."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes; raises StoreDamaged if the blob is gone or ends before."""

    def size(self) -> int:
        """Raises StoreDamaged if the blob is gone."""

    def file(self, offset: int, length: int) -> tuple[int, int]:
        """A descriptor, valid while the reference lives, and where in it these bytes begin. Raises as `read`."""

    def at_hand(self, offset: int, length: int) -> bool:
        """Whether `file` and `read` would answer at once; otherwise they wait for the network."""


@contextmanager
def mapped(blob: OpenBlob, offset: int, length: int) -> Iterator[memoryview]:
    """These bytes as one buffer, without reading them all into memory. Raises as `OpenBlob.read`."""
    fd, at = blob.file(offset, length)
    page = at % mmap.ALLOCATIONGRANULARITY
    whole = mmap.mmap(fd, length + page, prot=mmap.PROT_READ, offset=at - page)
    with memoryview(whole)[page:] as wanted:
        yield wanted
    # Unmapped when the last view is gone: one may live on in the traceback of what was raised meanwhile.


class Blobs(Protocol):
    """A blob store."""

    #: Whether opening and reading may wait for a network.
    remote: bool

    def append(self, records: Sequence[NewRecord]) -> list[Placed]:
        """All records are durable when this returns.

        Raises StoreFull or StoreUnavailable; then none is kept, and nothing will be appended behind what was tried.
        """

    def give_up(self) -> None:
        """What was appended last may or may not have been indexed: write no more behind it."""

    def open(self, blob: str) -> OpenBlob:
        """Raises StoreDamaged if there is no such blob; a remote store may find out later, when it is read."""

    def names(self, after: str = "") -> Iterator[str]:
        """Every blob, oldest first; those behind the name (or the beginning of one) `after`."""

    def walk(self, blob: str, start: int = 0, stop: int | None = None) -> Iterator[Walked]:
        """Records from `start`, in order; reads on behind damage, stops at a record that is cut off."""

    def claim(self, blob: str) -> AbstractContextManager[bool]:
        """Whether no process will append to this blob any more; while the block runs none can begin to.

        False, too, of a file that is gone.
        """

    def link(self, blob: str, expires_s: float) -> str | None:
        """A URL by which anybody can read the blob for so long, without us; None where there is nobody else to ask."""

    def check(self) -> None:
        """Raises StoreUnavailable where nothing can be reached, within seconds."""

    def close(self) -> None: ...
