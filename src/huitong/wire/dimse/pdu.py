"""PDUs, PS3.8 section 9.3: what each says, and its bytes. P-DATA-TF, which is a stream, is in `framing`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeAlias

from huitong.wire.dimse.errors import AbortReason, AbortSource, LocalProtocolError, RemoteProtocolError
from huitong.wire.dimse.items import item, items, text, uid
from huitong.wire.dimse.user_items import UserInformation, decode_user_information, encode_user_information

#: DICOM Application Context Name, PS3.7 A.2.1.
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"


class PduType(IntEnum):
    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class ContextResult(IntEnum):
    """Result of a presentation context, PS3.8 table 9-18."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class ContextProposal:
    """Presentation context as the requestor proposes it, PS3.8 9.3.2.2."""

    #: Odd, 1 to 255.
    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextAnswer:
    """Presentation context as the acceptor answers it, PS3.8 9.3.3.2."""

    context_id: int
    result: ContextResult
    #: Means something with ACCEPTANCE only.
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ."""

    called_aet: str
    calling_aet: str
    contexts: tuple[ContextProposal, ...]
    user: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC."""

    #: Echoes of the request, PS3.8 table 9-17: sent, never tested.
    called_aet: str
    calling_aet: str
    contexts: tuple[ContextAnswer, ...]
    user: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ; the numbers are those of PS3.8 table 9-21, named in `REJECTIONS`."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ."""


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """A-RELEASE-RP."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT. Numbers that table 9-26 does not know are kept as they came."""

    source: int = AbortSource.SERVICE_USER
    reason: int = AbortReason.NOT_SPECIFIED


Pdu: TypeAlias = AssociateRequest | AssociateAccept | AssociateReject | ReleaseRequest | ReleaseReply | Abort

_PERMANENT, _TRANSIENT = 1, 2
_USER, _ACSE, _PRESENTATION = 1, 2, 3
#: The refusals we give, by the names of PS3.8 table 9-21.
REJECTIONS = {
    "no-reason-given": AssociateReject(_TRANSIENT, _USER, 1),
    "application-context-name-not-supported": AssociateReject(_PERMANENT, _USER, 2),
    "calling-AE-title-not-recognized": AssociateReject(_PERMANENT, _USER, 3),
    "called-AE-title-not-recognized": AssociateReject(_PERMANENT, _USER, 7),
    "protocol-version-not-supported": AssociateReject(_PERMANENT, _ACSE, 2),
    "temporary-congestion": AssociateReject(_TRANSIENT, _PRESENTATION, 1),
    "local-limit-exceeded": AssociateReject(_TRANSIENT, _PRESENTATION, 2),
}

_HEAD = struct.Struct(">BxI")
_ASSOCIATE = struct.Struct(">H2x16s16s32x")
_CONTEXT = struct.Struct(">BxBx")
_APPLICATION_CONTEXT, _PROPOSAL, _ANSWER, _ABSTRACT, _TRANSFER, _USER_INFORMATION = 0x10, 0x20, 0x21, 0x30, 0x40, 0x50
_MOST_CONTEXTS = 128


def _title(value: str) -> bytes:
    raw = value.encode("latin-1", "replace")
    if len(raw) > 16:
        raise LocalProtocolError(f"AE title {value!r} is longer than 16 characters")
    return raw.ljust(16)


def _encode_associate(pdu: AssociateRequest | AssociateAccept, contexts: bytes) -> bytes:
    return b"".join(
        (
            _ASSOCIATE.pack(pdu.protocol_version, _title(pdu.called_aet), _title(pdu.calling_aet)),
            item(_APPLICATION_CONTEXT, uid(pdu.application_context)),
            contexts,
            item(_USER_INFORMATION, encode_user_information(pdu.user)),
        )
    )


def _encode_request(pdu: AssociateRequest) -> bytes:
    contexts = (
        item(
            _PROPOSAL,
            _CONTEXT.pack(context.context_id, 0),
            item(_ABSTRACT, uid(context.abstract_syntax)),
            *(item(_TRANSFER, uid(syntax)) for syntax in context.transfer_syntaxes),
        )
        for context in pdu.contexts
    )
    return _encode_associate(pdu, b"".join(contexts))


def _encode_accept(pdu: AssociateAccept) -> bytes:
    contexts = (
        item(_ANSWER, _CONTEXT.pack(c.context_id, c.result), item(_TRANSFER, uid(c.transfer_syntax)))
        for c in pdu.contexts
    )
    return _encode_associate(pdu, b"".join(contexts))


def _context(raw: bytes) -> tuple[int, int, list[str], list[str]]:
    """(id, result, abstract syntaxes, transfer syntaxes) of a presentation context item."""
    if len(raw) < _CONTEXT.size:
        raise RemoteProtocolError("presentation context without an ID")
    context_id, result = _CONTEXT.unpack_from(raw)
    found: dict[int, list[str]] = {_ABSTRACT: [], _TRANSFER: []}
    for kind, value in items(raw[_CONTEXT.size :]):
        if kind in found:
            found[kind].append(text(value))
    return context_id, result, found[_ABSTRACT], found[_TRANSFER]


def _proposal(raw: bytes) -> ContextProposal:
    context_id, _, abstract, transfer = _context(raw)
    if context_id % 2 == 0 or len(abstract) != 1 or not transfer:
        raise RemoteProtocolError(f"presentation context {context_id} is not one")
    return ContextProposal(context_id, abstract[0], tuple(transfer))


def _answer(raw: bytes) -> ContextAnswer:
    context_id, result, _, transfer = _context(raw)
    if result not in set(ContextResult) or (result == ContextResult.ACCEPTANCE and len(transfer) != 1):
        raise RemoteProtocolError(f"answer to presentation context {context_id} is not one")
    return ContextAnswer(context_id, ContextResult(result), transfer[0] if transfer else "")


def _decode_associate(raw: bytes, context_kind: int, read_context: Callable[[bytes], Any]) -> dict[str, Any]:
    """The fields that RQ and AC have in common. Items of unknown type are ignored, PS3.8 9.3.1."""
    if len(raw) < _ASSOCIATE.size:
        raise RemoteProtocolError("A-ASSOCIATE PDU too short")
    version, called, calling = _ASSOCIATE.unpack_from(raw)
    application_context, user, contexts = "", UserInformation(), []
    for kind, value in items(raw[_ASSOCIATE.size :]):
        if kind == _APPLICATION_CONTEXT:
            application_context = text(value)
        elif kind == context_kind:
            contexts.append(read_context(value))
        elif kind == _USER_INFORMATION:
            user = decode_user_information(value)
    ids = {context.context_id for context in contexts}
    if len(ids) < len(contexts) or len(contexts) > _MOST_CONTEXTS:
        raise RemoteProtocolError("presentation context IDs are not unique")
    return {
        "called_aet": text(called),
        "calling_aet": text(calling),
        "contexts": tuple(contexts),
        "user": user,
        "application_context": application_context,
        "protocol_version": version,
    }


def _decode_reject(raw: bytes) -> AssociateReject:
    return AssociateReject(raw[1], raw[2], raw[3])


def _decode_abort(raw: bytes) -> Abort:
    return Abort(raw[2], raw[3])


_ENCODERS: dict[type[Pdu], tuple[PduType, Callable[[Any], bytes]]] = {
    AssociateRequest: (PduType.ASSOCIATE_RQ, _encode_request),
    AssociateAccept: (PduType.ASSOCIATE_AC, _encode_accept),
    AssociateReject: (PduType.ASSOCIATE_RJ, lambda pdu: bytes((0, pdu.result, pdu.source, pdu.reason))),
    ReleaseRequest: (PduType.RELEASE_RQ, lambda _: bytes(4)),
    ReleaseReply: (PduType.RELEASE_RP, lambda _: bytes(4)),
    Abort: (PduType.ABORT, lambda pdu: bytes((0, 0, pdu.source, pdu.reason))),
}

_DECODERS: dict[PduType, Callable[[bytes], Pdu]] = {
    PduType.ASSOCIATE_RQ: lambda raw: AssociateRequest(**_decode_associate(raw, _PROPOSAL, _proposal)),
    PduType.ASSOCIATE_AC: lambda raw: AssociateAccept(**_decode_associate(raw, _ANSWER, _answer)),
    PduType.ASSOCIATE_RJ: _decode_reject,
    PduType.RELEASE_RQ: lambda _: ReleaseRequest(),
    PduType.RELEASE_RP: lambda _: ReleaseReply(),
    PduType.ABORT: _decode_abort,
}

#: Shortest and longest variable field of each PDU, in bytes. An A-ASSOCIATE with 128 contexts of 64 transfer
#: syntaxes each is shorter than this; the others have one length.
LENGTHS = {
    PduType.ASSOCIATE_RQ: (68, 1 << 20),
    PduType.ASSOCIATE_AC: (68, 1 << 20),
    PduType.ASSOCIATE_RJ: (4, 4),
    PduType.RELEASE_RQ: (4, 4),
    PduType.RELEASE_RP: (4, 4),
    PduType.ABORT: (4, 4),
}


def encode_pdu(pdu: Pdu) -> bytes:
    """The whole PDU, header included. Raises LocalProtocolError for a value its field cannot hold."""
    kind, encode = _ENCODERS[type(pdu)]
    try:
        body = encode(pdu)
    except (struct.error, ValueError) as error:
        raise LocalProtocolError(repr(pdu)) from error
    return _HEAD.pack(kind, len(body)) + body


def decode_pdu(kind: PduType, raw: bytes) -> Pdu:
    """What the variable field `raw` of a PDU says. Raises RemoteProtocolError where it says nothing."""
    return _DECODERS[kind](raw)
