"""DIMSE command sets, PS3.7 section 6.3 and annex E: a table of elements, and the two ways through it.

A command set is always Implicit VR Little Endian, group 0000. In memory it is a dict with the standard's keywords.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple, TypedDict, cast

from huitong.wire.dimse.errors import AbortReason, LocalProtocolError, RemoteProtocolError

#: CommandDataSetType (0000,0800) when no data set follows; any other value says that one does (PS3.7 E.1).
NO_DATA_SET = 0x0101
DATA_SET_FOLLOWS = 0x0001
#: Bit of CommandField that makes a request's code its response's.
RESPONSE = 0x8000


class CommandField(IntEnum):
    """Requests, PS3.7 table E.1-1; a response is its request | RESPONSE."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF


class Status(IntEnum):
    """The statuses that the protocol machinery itself answers, PS3.7 annex C."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    UNRECOGNIZED_OPERATION = 0x0211


class Command(TypedDict, total=False):
    """A command set; (0000,0000) CommandGroupLength is made and checked by the codec."""

    AffectedSOPClassUID: str
    RequestedSOPClassUID: str
    CommandField: int
    MessageID: int
    MessageIDBeingRespondedTo: int
    MoveDestination: str
    Priority: int
    CommandDataSetType: int
    Status: int
    OffendingElement: tuple[int, ...]
    ErrorComment: str
    ErrorID: int
    AffectedSOPInstanceUID: str
    RequestedSOPInstanceUID: str
    EventTypeID: int
    AttributeIdentifierList: tuple[int, ...]
    ActionTypeID: int
    NumberOfRemainingSuboperations: int
    NumberOfCompletedSuboperations: int
    NumberOfFailedSuboperations: int
    NumberOfWarningSuboperations: int
    MoveOriginatorApplicationEntityTitle: str
    MoveOriginatorMessageID: int


class _Codec(NamedTuple):
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _text(padding: bytes) -> _Codec:
    def encode(value: str) -> bytes:
        raw = value.encode("latin-1", "replace")
        return raw + padding if len(raw) % 2 else raw

    # Latin-1 because it takes any byte and gives it back: an odd UID or AE title is not a reason to fail.
    return _Codec(encode, lambda raw: raw.decode("latin-1").strip("\0 "))


def _number(layout: str) -> _Codec:
    packer = struct.Struct(layout)

    def decode(raw: bytes) -> int:
        if len(raw) < packer.size:
            raise RemoteProtocolError("command element with too short a value")
        return cast("int", packer.unpack_from(raw)[0])

    return _Codec(packer.pack, decode)


def _encode_tags(tags: tuple[int, ...]) -> bytes:
    return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)


def _decode_tags(raw: bytes) -> tuple[int, ...]:
    return tuple(group << 16 | element for group, element in struct.iter_unpack("<HH", raw[: len(raw) // 4 * 4]))


_VR = {
    "UI": _text(b"\0"),
    "AE": _text(b" "),
    "LO": _text(b" "),
    "US": _number("<H"),
    "AT": _Codec(_encode_tags, _decode_tags),
}

#: Element number in group 0000, keyword, VR: PS3.7 table E.1-1. Ascending, as they have to be sent.
ELEMENTS = (
    (0x0002, "AffectedSOPClassUID", "UI"),
    (0x0003, "RequestedSOPClassUID", "UI"),
    (0x0100, "CommandField", "US"),
    (0x0110, "MessageID", "US"),
    (0x0120, "MessageIDBeingRespondedTo", "US"),
    (0x0600, "MoveDestination", "AE"),
    (0x0700, "Priority", "US"),
    (0x0800, "CommandDataSetType", "US"),
    (0x0900, "Status", "US"),
    (0x0901, "OffendingElement", "AT"),
    (0x0902, "ErrorComment", "LO"),
    (0x0903, "ErrorID", "US"),
    (0x1000, "AffectedSOPInstanceUID", "UI"),
    (0x1001, "RequestedSOPInstanceUID", "UI"),
    (0x1002, "EventTypeID", "US"),
    (0x1005, "AttributeIdentifierList", "AT"),
    (0x1008, "ActionTypeID", "US"),
    (0x1020, "NumberOfRemainingSuboperations", "US"),
    (0x1021, "NumberOfCompletedSuboperations", "US"),
    (0x1022, "NumberOfFailedSuboperations", "US"),
    (0x1023, "NumberOfWarningSuboperations", "US"),
    (0x1030, "MoveOriginatorApplicationEntityTitle", "AE"),
    (0x1031, "MoveOriginatorMessageID", "US"),
)
_BY_NUMBER = {number: (keyword, _VR[vr]) for number, keyword, vr in ELEMENTS}
_IN_ORDER = [(number, keyword, _VR[vr].encode) for number, keyword, vr in ELEMENTS]
_ELEMENT = struct.Struct("<HHI")
_GROUP_LENGTH = struct.Struct("<HHII")


def encode_command(command: Command) -> bytes:
    """The command set as bytes, group length first. Raises LocalProtocolError for a value its VR cannot hold."""
    values = cast("dict[str, Any]", command)
    parts = []
    for number, keyword, encode in _IN_ORDER:
        if keyword in values:
            try:
                value = encode(values[keyword])
            except (struct.error, AttributeError, TypeError) as error:
                raise LocalProtocolError(f"{keyword}={values[keyword]!r}") from error
            parts.append(_ELEMENT.pack(0, number, len(value)))
            parts.append(value)
    body = b"".join(parts)
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def decode_command(raw: bytes) -> Command:
    """The command set in `raw`. Elements that PS3.7 does not know (retired ones among them) are passed over.

    Raises RemoteProtocolError where the bytes are not a command set. The group length is not relied on: senders
    exist that get it wrong, and the end of the message is known from the P-DATA fragments.
    """
    command: dict[str, Any] = {}
    position, end = 0, len(raw)
    while position < end:
        if end - position < _ELEMENT.size:
            raise RemoteProtocolError("command set ends inside an element")
        group, number, length = _ELEMENT.unpack_from(raw, position)
        position += _ELEMENT.size
        if group != 0 or length > end - position:
            raise RemoteProtocolError(f"({group:04x},{number:04x}) of {length} bytes in a command set")
        known = _BY_NUMBER.get(number)
        if known is not None:
            keyword, codec = known
            command[keyword] = codec.decode(raw[position : position + length])
        position += length
    if "CommandField" not in command:
        raise RemoteProtocolError("command set without CommandField", AbortReason.UNEXPECTED_PDU_PARAMETER)
    return cast("Command", command)


def has_data_set(command: Command) -> bool:
    """Whether data set fragments follow; a command that does not say so has none."""
    return command.get("CommandDataSetType", NO_DATA_SET) != NO_DATA_SET


def error_comment(text: str) -> str:
    """`text` fit for (0000,0902), LO: at most 64 characters of the default repertoire, no backslash (PS3.5 6.2)."""
    return "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)[:64].strip()


def response_to(request: Command, status: int, comment: str = "") -> Command:
    """The response message without data set, PS3.7 sections 9.3 and 10.3."""
    response: Command = {
        "CommandField": request["CommandField"] | RESPONSE,
        "MessageIDBeingRespondedTo": request.get("MessageID", 0),
        "CommandDataSetType": NO_DATA_SET,
        "Status": status,
    }
    sop_class_uid = request.get("AffectedSOPClassUID") or request.get("RequestedSOPClassUID")
    if sop_class_uid:
        response["AffectedSOPClassUID"] = sop_class_uid
    sop_instance_uid = request.get("AffectedSOPInstanceUID") or request.get("RequestedSOPInstanceUID")
    if sop_instance_uid:
        response["AffectedSOPInstanceUID"] = sop_instance_uid
    if comment:
        response["ErrorComment"] = error_comment(comment)
    return response


def c_echo_request(message_id: int, sop_class_uid: str) -> Command:
    """PS3.7 table 9.3-12."""
    return {
        "AffectedSOPClassUID": sop_class_uid,
        "CommandField": CommandField.C_ECHO,
        "MessageID": message_id,
        "CommandDataSetType": NO_DATA_SET,
    }


def c_store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> Command:
    """PS3.7 table 9.3-1, of medium priority."""
    return {
        "AffectedSOPClassUID": sop_class_uid,
        "CommandField": CommandField.C_STORE,
        "MessageID": message_id,
        "Priority": 0,
        "CommandDataSetType": DATA_SET_FOLLOWS,
        "AffectedSOPInstanceUID": sop_instance_uid,
    }
