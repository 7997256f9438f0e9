"""One record of a pack: everything needed to index the object again stands beside its bytes.

    0   8  magic
    8   4  crc32 of bytes 12..128 and the envelope
    12  4  length of the envelope
    16  8  length of the payload
    24  4  length of the tail
    28  4  crc32 of the tail
    32  4  length of the payload's head
    36  4  zero
    40  32 SHA-256 of the payload's head
    72  32 SHA-256 of the payload's body: the identity of the content
    104 16 id of the pack
    120 8  zero
    128    envelope (JSON, padded with spaces), payload (as received), tail, zeros up to the next multiple of 8

The payload's head is the PS3.10 preamble and file meta information (empty if there is none), its body the data set:
the same data set sent over C-STORE and over STOW-RS has one identity, though the heads differ. The tail is what was
computed at ingest (the header as compressed JSON). All numbers little-endian.

The id of the pack is random and told to nobody: bytes inside a payload cannot pass for a record of the pack that holds
them, so reading on behind damage is safe against a sender who forges one.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import orjson

MAGIC = b"HTPACK1\n"
SIZE = 128
ALIGN = 8
_AFTER_CRC = struct.Struct("<IQIIII32s32s16s8x")
_CRC = struct.Struct("<I")
#: An envelope is a few hundred bytes; a larger one is a damaged length.
MAX_ENVELOPE = 1 << 20

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Head:
    """The fixed part of a record, and its envelope still as bytes."""

    envelope_bytes: int
    payload_bytes: int
    tail_bytes: int
    tail_crc: int
    head_bytes: int
    head_sha256: bytes
    body_sha256: bytes
    pack_id: bytes

    @property
    def payload_at(self) -> int:
        """Offset of the payload from the record's first byte."""
        return SIZE + self.envelope_bytes

    @property
    def tail_at(self) -> int:
        return self.payload_at + self.payload_bytes

    @property
    def end(self) -> int:
        """Length of the record with its padding."""
        return aligned(self.tail_at + self.tail_bytes)


def aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def envelope(fields: dict[str, object], width: int = 0) -> bytes:
    """The envelope as JSON, padded with spaces to `width` bytes or, without one, to a multiple of 8."""
    text = orjson.dumps(fields)
    return text.ljust(width or aligned(len(text)))


def pack_head(head: Head, envelope_text: bytes) -> bytes:
    """The record's bytes before the payload: fixed part and envelope."""
    fixed = _AFTER_CRC.pack(
        head.envelope_bytes,
        head.payload_bytes,
        head.tail_bytes,
        head.tail_crc,
        head.head_bytes,
        0,
        head.head_sha256,
        head.body_sha256,
        head.pack_id,
    )
    return MAGIC + _CRC.pack(zlib.crc32(envelope_text, zlib.crc32(fixed))) + fixed + envelope_text


def read_head(data: Buffer) -> tuple[Head, dict[str, object]] | None:
    """Head and envelope from the record's first bytes; None when these are not the beginning of a whole record.

    `data` should hold `SIZE` bytes and the envelope; a shorter one is None too.
    """
    if len(data) < SIZE or bytes(data[:8]) != MAGIC:
        return None
    (crc,) = _CRC.unpack_from(data, 8)
    e, p, t, tail_crc, h, _zero, head_sha, body_sha, pack_id = _AFTER_CRC.unpack_from(data, 12)
    if e > MAX_ENVELOPE or len(data) < SIZE + e:
        return None
    text = bytes(data[SIZE : SIZE + e])
    if zlib.crc32(text, zlib.crc32(data[12:SIZE])) != crc:
        return None
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return (Head(e, p, t, tail_crc, h, head_sha, body_sha, pack_id), fields) if isinstance(fields, dict) else None
