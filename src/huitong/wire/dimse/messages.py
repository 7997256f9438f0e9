"""Fragments put together to DIMSE messages, and messages cut into P-DATA-TF PDUs (PS3.7 section 6.3, PS3.8 annex E).

Command sets are gathered whole, they are short. Data sets are not: their pieces pass through as they come.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from huitong.wire.dimse.command import Command, decode_command, has_data_set
from huitong.wire.dimse.errors import AbortReason, RemoteProtocolError
from huitong.wire.dimse.framing import Buffer, Fragment
from huitong.wire.dimse.pdu import PduType

#: A command set longer than this is nonsense; C-GET and N-GET ones with long attribute lists reach a few KB.
LONGEST_COMMAND_BYTES = 64 << 10

_HEADS = struct.Struct(">BxIIBB")
_PDV_HEAD_BYTES = 6
#: What we send to a peer that takes any length.
_OWN_MAX_PDU_BYTES = 1 << 20
_COMMAND, _DATA, _LAST = 1, 0, 2


@dataclass(frozen=True, slots=True)
class Message:
    """A command set has come; when `data_follows`, its data set comes next, as `Data`."""

    context_id: int
    command: Command
    data_follows: bool


@dataclass(slots=True)
class Data:
    """A piece of the data set that belongs to the message before."""

    context_id: int
    #: A view of the bytes that were fed, valid until the next event is asked for.
    chunk: memoryview
    last: bool


class MessageReader:
    """Takes fragments, gives messages and pieces of data sets; watches their order."""

    def __init__(self) -> None:
        self._command = bytearray()
        #: The context of the message that is being received, None between messages.
        self._context_id: int | None = None
        self._in_data = False

    @property
    def between_messages(self) -> bool:
        return self._context_id is None

    def take(self, fragment: Fragment) -> Message | Data | None:
        """What `fragment` completes; None for a part of a command set. Raises RemoteProtocolError."""
        if self._context_id is None:
            self._context_id = fragment.context_id
        if fragment.context_id != self._context_id or fragment.is_command == self._in_data:
            raise RemoteProtocolError("fragment out of turn", AbortReason.UNEXPECTED_PDU_PARAMETER)
        if self._in_data:
            return self._take_data(fragment)
        return self._take_command(fragment)

    def _take_data(self, fragment: Fragment) -> Data:
        if fragment.last:
            self._in_data, self._context_id = False, None
        return Data(fragment.context_id, fragment.data, fragment.last)

    def _take_command(self, fragment: Fragment) -> Message | None:
        self._command += fragment.data
        if len(self._command) > LONGEST_COMMAND_BYTES:
            raise RemoteProtocolError(f"command set longer than {LONGEST_COMMAND_BYTES} bytes")
        if not fragment.last:
            return None
        command = decode_command(bytes(self._command))
        self._command.clear()
        self._in_data = has_data_set(command)
        if not self._in_data:
            self._context_id = None
        return Message(fragment.context_id, command, self._in_data)


def _fragments(
    context_id: int, kind: int, data: Buffer, last: bool, max_pdu_bytes: int
) -> Iterator[tuple[bytes, memoryview]]:
    """(headers, slice of `data`) for each P-DATA-TF, one value in each; fragments have even lengths (PS3.8 annex E)."""
    view = memoryview(data)
    room = max(2, (max_pdu_bytes or _OWN_MAX_PDU_BYTES) - _PDV_HEAD_BYTES & ~1)
    for start in range(0, max(1, len(view)), room):
        piece = view[start : start + room]
        control = kind | (_LAST if last and start + room >= len(view) else 0)
        length = len(piece)
        yield _HEADS.pack(PduType.P_DATA_TF, length + _PDV_HEAD_BYTES, length + 2, context_id, control), piece


def command_pdus(context_id: int, encoded: bytes, max_pdu_bytes: int) -> bytes:
    """The P-DATA-TF PDUs of a command set, joined: they are short, and one write is what latency wants."""
    return b"".join(part for pair in _fragments(context_id, _COMMAND, encoded, True, max_pdu_bytes) for part in pair)


def data_pdus(context_id: int, data: Buffer, last: bool, max_pdu_bytes: int) -> list[bytes | memoryview]:
    """The P-DATA-TF PDUs of a piece of a data set as buffers for `writelines`; `data` is not copied."""
    return [part for pair in _fragments(context_id, _DATA, data, last, max_pdu_bytes) for part in pair]
