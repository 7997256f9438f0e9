"""What is wrong with a stored record, said the same by `verify`, recovery and reindexing."""

from __future__ import annotations

import hashlib
import zlib

from huitong.base.errors import StoreDamaged
from huitong.store.blobs import OpenBlob, Walked

HEAD = "file meta information differs from its digest"
BODY = "data set differs from its digest"
#: The object itself is whole: what was computed from it can be computed again.
TAIL = "header copy differs from its checksum"
_STEP = 4 << 20


def record_fault(blob: OpenBlob, walked: Walked) -> str | None:
    """What is wrong with a whole record's bytes; None when they are what they were."""
    head = walked.head
    assert head is not None
    at = walked.offset + head.payload_at
    try:
        if hashlib.sha256(blob.read(at, head.head_bytes)).digest() != head.head_sha256:
            return HEAD
        body = hashlib.sha256()
        for start in range(at + head.head_bytes, at + head.payload_bytes, _STEP):
            body.update(blob.read(start, min(_STEP, at + head.payload_bytes - start)))
        if body.digest() != head.body_sha256:
            return BODY
        return TAIL if zlib.crc32(blob.read(walked.offset + head.tail_at, head.tail_bytes)) != head.tail_crc else None
    except StoreDamaged as e:
        return str(e)
