"""User information of A-ASSOCIATE PDUs: maximum length (PS3.8 annex D) and the sub-items of PS3.7 annex D.3.3.

All that the standard defines is parsed; what it does not is kept as it came.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from huitong.wire.dimse.errors import RemoteProtocolError
from huitong.wire.dimse.items import counted, item, items, take_counted, text, uid


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """PS3.7 D.3.3.4."""

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """SOP class extended negotiation, PS3.7 D.3.3.5."""

    sop_class_uid: str
    application_information: bytes


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """PS3.7 D.3.3.7. What is in it is secret: it is not shown by repr."""

    #: 1 user name, 2 user name and passcode, 3 Kerberos, 4 SAML, 5 JSON web token.
    kind: int
    response_requested: bool
    primary: bytes = field(repr=False)
    secondary: bytes = field(repr=False, default=b"")


@dataclass(frozen=True, slots=True)
class UserInformation:
    """What both sides tell about themselves."""

    #: Longest P-DATA-TF variable field the sender of this PDU takes, in bytes; 0 for any.
    max_pdu_bytes: int = 0
    implementation_class_uid: str = ""
    implementation_version: str = ""
    #: Operations (invoked, performed) outstanding at once, 0 for any; None is the default of (1, 1).
    asynchronous: tuple[int, int] | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    #: Server response of a user identity negotiation (59H); None where there was none.
    identity_response: bytes | None = None
    #: Sub-items of other types (common extended negotiation among them), as (type, value).
    other: tuple[tuple[int, bytes], ...] = ()


_MAX_LENGTH, _IMPLEMENTATION_CLASS, _ASYNCHRONOUS, _ROLE, _IMPLEMENTATION_VERSION = 0x51, 0x52, 0x53, 0x54, 0x55
_EXTENDED, _USER_IDENTITY, _IDENTITY_RESPONSE = 0x56, 0x58, 0x59
_U32 = struct.Struct(">I")
_PAIR = struct.Struct(">HH")


def _fixed(packer: struct.Struct, raw: bytes) -> tuple[Any, ...]:
    if len(raw) != packer.size:
        raise RemoteProtocolError(f"user item of {len(raw)} bytes where {packer.size} are due")
    return packer.unpack(raw)


def _role(raw: bytes) -> RoleSelection:
    name, end = take_counted(raw, 0)
    if len(raw) < end + 2:
        raise RemoteProtocolError("role selection without roles")
    return RoleSelection(text(name), bool(raw[end]), bool(raw[end + 1]))


def _extended(raw: bytes) -> ExtendedNegotiation:
    name, end = take_counted(raw, 0)
    return ExtendedNegotiation(text(name), raw[end:])


def _identity(raw: bytes) -> UserIdentity:
    if len(raw) < 2:
        raise RemoteProtocolError("user identity without a type")
    primary, end = take_counted(raw, 2)
    secondary, _ = take_counted(raw, end)
    return UserIdentity(raw[0], bool(raw[1]), primary, secondary)


#: Item type -> (field, one value or many, how to read it).
_READERS: dict[int, tuple[str, bool, Callable[[bytes], Any]]] = {
    _MAX_LENGTH: ("max_pdu_bytes", False, lambda raw: _fixed(_U32, raw)[0]),
    _IMPLEMENTATION_CLASS: ("implementation_class_uid", False, text),
    _ASYNCHRONOUS: ("asynchronous", False, lambda raw: _fixed(_PAIR, raw)),
    _ROLE: ("roles", True, _role),
    _IMPLEMENTATION_VERSION: ("implementation_version", False, text),
    _EXTENDED: ("extended", True, _extended),
    _USER_IDENTITY: ("user_identity", False, _identity),
    _IDENTITY_RESPONSE: ("identity_response", False, lambda raw: take_counted(raw, 0)[0]),
}


def decode_user_information(raw: bytes) -> UserInformation:
    """Raises RemoteProtocolError where a sub-item does not have the form the standard gives it."""
    found: dict[str, Any] = {"roles": [], "extended": [], "other": []}
    for kind, value in items(raw):
        if kind not in _READERS:
            found["other"].append((kind, value))
            continue
        name, repeats, read = _READERS[kind]
        if repeats:
            found[name].append(read(value))
        else:
            found[name] = read(value)
    for name in ("roles", "extended", "other"):
        found[name] = tuple(found[name])
    return UserInformation(**found)


def encode_user_information(user: UserInformation) -> bytes:
    """Sub-items in ascending order of their types, as most implementations send them."""
    parts = [item(_MAX_LENGTH, _U32.pack(user.max_pdu_bytes))]
    if user.implementation_class_uid:
        parts.append(item(_IMPLEMENTATION_CLASS, uid(user.implementation_class_uid)))
    if user.asynchronous is not None:
        parts.append(item(_ASYNCHRONOUS, _PAIR.pack(*user.asynchronous)))
    parts += [item(_ROLE, counted(uid(r.sop_class_uid)), bytes((r.scu, r.scp))) for r in user.roles]
    if user.implementation_version:
        parts.append(item(_IMPLEMENTATION_VERSION, uid(user.implementation_version)))
    parts += [item(_EXTENDED, counted(uid(e.sop_class_uid)), e.application_information) for e in user.extended]
    if user.user_identity is not None:
        who = user.user_identity
        head = bytes((who.kind, who.response_requested))
        parts.append(item(_USER_IDENTITY, head, counted(who.primary), counted(who.secondary)))
    if user.identity_response is not None:
        parts.append(item(_IDENTITY_RESPONSE, counted(user.identity_response)))
    parts += [item(kind, value) for kind, value in user.other]
    return b"".join(parts)
