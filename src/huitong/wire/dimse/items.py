"""Items of A-ASSOCIATE PDUs: type, reserved byte, 16-bit length, value (PS3.8 section 9.3.1), read and written.

Nothing here knows what an item means.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from huitong.wire.dimse.errors import LocalProtocolError, RemoteProtocolError

_HEAD = struct.Struct(">BxH")
_U16 = struct.Struct(">H")
#: More sub-items in one item than any sender has reason for; a guard of our time, not of the standard.
MOST_ITEMS = 4096


def item(kind: int, *values: bytes) -> bytes:
    value = b"".join(values)
    if len(value) > 0xFFFF:
        raise LocalProtocolError(f"item {kind:02x}H of {len(value)} bytes")
    return _HEAD.pack(kind, len(value)) + value


def items(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each item in `raw`. Raises RemoteProtocolError where the lengths do not fit."""
    position, count = 0, 0
    while position < len(raw):
        if len(raw) - position < _HEAD.size:
            raise RemoteProtocolError("bytes left over after the last item")
        kind, length = _HEAD.unpack_from(raw, position)
        position += _HEAD.size
        value = raw[position : position + length]
        count += 1
        if len(value) < length or count > MOST_ITEMS:
            raise RemoteProtocolError(f"item {kind:02x}H reaches beyond its PDU, or there are too many")
        yield kind, value
        position += length


def text(raw: bytes) -> str:
    """A UID or name; Latin-1, which takes any byte and gives it back."""
    return raw.decode("latin-1").strip("\0 ")


def uid(value: str) -> bytes:
    """A UID as it stands in an item: without padding (PS3.8 annex F)."""
    return value.encode("latin-1", "replace")


def counted(value: bytes) -> bytes:
    """`value` after its 16-bit length."""
    if len(value) > 0xFFFF:
        raise LocalProtocolError(f"field of {len(value)} bytes")
    return _U16.pack(len(value)) + value


def take_counted(raw: bytes, position: int) -> tuple[bytes, int]:
    """The value behind a 16-bit length at `position`, and the position after it."""
    if len(raw) < position + 2:
        raise RemoteProtocolError("item ends inside a length")
    (length,) = _U16.unpack_from(raw, position)
    end = position + 2 + length
    if end > len(raw):
        raise RemoteProtocolError("item ends inside a field")
    return raw[position + 2 : end], end
