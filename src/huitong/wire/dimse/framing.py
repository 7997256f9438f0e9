"""The byte stream of an association cut into PDUs, and P-DATA-TF into fragments, without copying the fragments.

Only headers, association PDUs and nothing else are ever gathered here. A data fragment is handed on as far as it has
come, as a slice of the chunk that was fed; so memory does not grow with the data set, nor with the PDU.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from huitong.wire.dimse.errors import AbortReason, RemoteProtocolError
from huitong.wire.dimse.pdu import LENGTHS, Pdu, PduType, decode_pdu

_PDU_HEAD = struct.Struct(">BxI")
_PDV_HEAD = struct.Struct(">IBB")
#: Bytes of the PDV item that its length field counts besides the fragment: context ID and control header.
_PDV_OVERHEAD = 2
#: A longer P-DATA-TF is taken for nonsense. One that is merely longer than we announced costs nothing here, and
#: senders that ignore the announced length exist.
LONGEST_P_DATA_BYTES = 16 << 20
_COMMAND_BIT, _LAST_BIT = 1, 2

Buffer: TypeAlias = bytes | bytearray | memoryview


class DataBegins:
    """A P-DATA-TF header has come."""


@dataclass(slots=True)
class Fragment:
    """A piece of a presentation data value, PS3.8 9.3.5.1 and annex E.2."""

    context_id: int
    is_command: bool
    #: Whether the message's command set or data set ends with this piece.
    last: bool
    #: A view of the chunk that was fed.
    data: memoryview


DATA_BEGINS = DataBegins()


class Framer:
    """`feed` it chunks, take what they contain from `next` until that is None.

    Chunks are not copied: they have to stay as they are until `next` has returned None.
    """

    def __init__(self) -> None:
        self._chunks: deque[memoryview] = deque()
        #: What has come of a header or association PDU that is not all here yet.
        self._partial = bytearray()
        #: Type and variable field length of the association PDU that is being gathered; None between PDUs.
        self._pdu: tuple[PduType, int] | None = None
        #: Bytes of the current P-DATA-TF that are still to come.
        self._pdu_left = 0
        #: Bytes of the current fragment that are still to come, or None between fragments.
        self._fragment_left: int | None = None
        self._context_id = 0
        self._control = 0

    def feed(self, chunk: Buffer) -> None:
        if len(chunk):
            self._chunks.append(memoryview(chunk))

    def discard(self) -> None:
        """Forget what was fed and not taken."""
        self._chunks.clear()
        self._partial.clear()

    def next(self) -> Pdu | DataBegins | Fragment | None:
        """What comes next, or None when more bytes are needed. Raises RemoteProtocolError, which ends it."""
        while True:
            if self._fragment_left is not None:
                return self._rest_of_fragment()
            if self._pdu_left:
                if not self._begin_fragment():
                    return None
            elif self._pdu is None:
                begun = self._begin_pdu()
                if not begun:
                    return None
                if self._pdu is None:
                    return DATA_BEGINS
            else:
                kind, length = self._pdu
                body = self._take(length)
                if body is None:
                    return None
                self._pdu = None
                return decode_pdu(kind, bytes(body))

    def _begin_pdu(self) -> bool:
        head = self._take(_PDU_HEAD.size)
        if head is None:
            return False
        number, length = _PDU_HEAD.unpack(head)
        if number == PduType.P_DATA_TF:
            if not _PDV_HEAD.size <= length <= LONGEST_P_DATA_BYTES:
                raise RemoteProtocolError(f"P-DATA-TF of {length} bytes")
            self._pdu_left = length
            return True
        if number not in LENGTHS:
            raise RemoteProtocolError(f"PDU of type {number:02x}H", AbortReason.UNRECOGNIZED_PDU)
        kind = PduType(number)
        shortest, longest = LENGTHS[kind]
        if not shortest <= length <= longest:
            raise RemoteProtocolError(f"{kind.name} of {length} bytes")
        self._pdu = kind, length
        return True

    def _begin_fragment(self) -> bool:
        if self._pdu_left < _PDV_HEAD.size:
            raise RemoteProtocolError("bytes left over at the end of a P-DATA-TF")
        head = self._take(_PDV_HEAD.size)
        if head is None:
            return False
        length, self._context_id, self._control = _PDV_HEAD.unpack(head)
        self._pdu_left -= _PDV_HEAD.size
        left = length - _PDV_OVERHEAD
        if not 0 <= left <= self._pdu_left:
            raise RemoteProtocolError(f"presentation data value of {length} bytes does not fit its PDU")
        self._fragment_left = left
        return True

    def _rest_of_fragment(self) -> Fragment | None:
        """As much of the current fragment as is here; None when nothing is."""
        assert self._fragment_left is not None
        left = self._fragment_left
        if left and not self._chunks:
            return None
        if left:
            chunk = self._chunks[0]
            if len(chunk) > left:
                data, self._chunks[0] = chunk[:left], chunk[left:]
            else:
                data = self._chunks.popleft()
        else:
            data = memoryview(b"")
        left -= len(data)
        self._pdu_left -= len(data)
        self._fragment_left = left or None
        last = not left and bool(self._control & _LAST_BIT)
        return Fragment(self._context_id, bool(self._control & _COMMAND_BIT), last, data)

    def _take(self, size: int) -> memoryview | bytes | None:
        """`size` bytes in one piece, or None when they are not all here; what is here is then set aside."""
        if not self._partial and self._chunks and len(self._chunks[0]) > size:
            chunk = self._chunks[0]
            self._chunks[0] = chunk[size:]
            return chunk[:size]
        while self._chunks and len(self._partial) < size:
            chunk = self._chunks.popleft()
            missing = size - len(self._partial)
            self._partial += chunk[:missing]
            if len(chunk) > missing:
                self._chunks.appendleft(chunk[missing:])
        if len(self._partial) < size:
            return None
        taken = bytes(self._partial)
        self._partial.clear()
        return taken
