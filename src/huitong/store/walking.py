"""Reading a blob record by record, whatever keeps it: what `packs` and `objects` do alike."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

from huitong.base.errors import OurFault
from huitong.store import record
from huitong.store.blobs import NewRecord, OpenBlob, Walked

SUFFIX = ".pack"
_SCAN_STEP = 1 << 20
#: Enough for most heads with their envelopes.
_HEAD_BYTES = 4096


def walk(blob: OpenBlob, name: str, start: int = 0, stop: int | None = None) -> Iterator[Walked]:
    """Records from `start`, in order; reads on behind damage, stops at a record that is cut off."""
    size = min(blob.size(), stop) if stop is not None else blob.size()
    pack_id = id_of(name)
    at = start
    while at < size:
        read = read_head(blob, at, size)
        if read is None or read[0].pack_id != pack_id:
            behind = _next_magic(blob, at + record.ALIGN, size)
            met = Walked(at, behind, None, {})
        elif at + read[0].end > size:  # torn: what follows is its payload, and whatever a sender put there
            met = Walked(at, size, None, {})
        else:
            met = Walked(at, at + read[0].end, *read)
        yield met
        at = met.end


def _next_magic(blob: OpenBlob, at: int, size: int) -> int:
    """Where the next record may begin: an aligned magic, or the end."""
    while at < size:
        block = blob.read(at, min(_SCAN_STEP, size - at))
        found = block.find(record.MAGIC)
        while found >= 0 and (at + found) % record.ALIGN:
            found = block.find(record.MAGIC, found + 1)
        if found >= 0:
            return at + found
        at += max(len(block) - len(record.MAGIC) + 1, 1) if at + len(block) < size else len(block)
    return size


def new_name() -> str:
    """Of a blob begun now: names sort by time, and nobody can guess one."""
    now = datetime.now(UTC)
    return f"{now:%Y%m}/{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(16)}{SUFFIX}"


def id_of(name: str) -> bytes:
    """The random part of a blob's name, which each of its records repeats; zeros for a name that is not ours."""
    try:
        return bytes.fromhex(name.rpartition("-")[2].removesuffix(SUFFIX))
    except ValueError:
        return bytes(16)


def read_head(blob: OpenBlob, at: int, size: int) -> tuple[record.Head, dict[str, object]] | None:
    """Head and envelope of the record at `at`; None where there is none."""
    data = blob.read(at, min(_HEAD_BYTES, size - at))
    if len(data) >= record.SIZE and data[:8] == record.MAGIC:
        wanted = record.SIZE + int.from_bytes(data[12:16], "little")
        if len(data) < wanted <= min(size - at, record.MAX_ENVELOPE):
            data = blob.read(at, wanted)
    return record.read_head(data)


def head_of(r: NewRecord, pack_id: bytes, width: int = 0) -> tuple[record.Head, bytes]:
    """The head of a record about to be kept, and its bytes before the payload."""
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
        pack_id=pack_id,
    )
    return head, record.pack_head(head, text)
