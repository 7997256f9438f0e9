"""The PS3.10 frame around a data set: preamble, prefix, file meta information (PS3.10 7.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from huitong.wire.dicom.vr import KNOWN_VR, LONG_LENGTH_VR

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
#: Deflated Explicit VR Little Endian, and JPIP Referenced Deflate in its two forms (PS3.5 A.5, A.6).
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

_PREAMBLE = b"\0" * 128 + b"DICM"
_EXPLICIT = struct.Struct("<HH2sH")
_IMPLICIT = struct.Struct("<HHL")
_LONG = struct.Struct("<L")
_KNOWN = frozenset(vr.encode("ascii") for vr in KNOWN_VR)
_LONG_LENGTH = frozenset(vr.encode("ascii") for vr in LONG_LENGTH_VR)


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What stands before the data set."""

    #: Where the data set begins.
    offset: int
    transfer_syntax_uid: str | None
    #: Whether the prefix "DICM" is there, or file meta without it: the mark of a DICOM file.
    marked: bool


def read_file_meta(data: Any) -> FileMeta:
    """File meta information of `data`, by its elements: the group length is often wrong and never needed.

    Takes a file without preamble, without the prefix, or without file meta.
    """
    size = len(data)
    prefixed = size >= 132 and bytes(data[128:132]) == b"DICM"
    at = 132 if prefixed else 4 if bytes(data[:4]) == b"DICM" else 0
    marked = at > 0
    transfer_syntax_uid = None
    while at + 8 <= size:
        group, element, vr, length = _EXPLICIT.unpack_from(data, at)
        if group not in (0x0000, 0x0002) or (group == 0 and element == 0 and length == 0 and vr == b"\0\0"):
            break
        start = at + 8
        if group == 0 or vr not in _KNOWN:  # a command set (PS3.7 6.3.1), or file meta wrongly in implicit VR
            length = _IMPLICIT.unpack_from(data, at)[2]
        elif vr in _LONG_LENGTH:
            if at + 12 > size:
                break
            length = _LONG.unpack_from(data, at + 8)[0]
            start = at + 12
        if start + length > size:
            break
        marked = marked or group == 2
        if group == 2 and element == 0x0010:
            transfer_syntax_uid = bytes(data[start : start + min(length, 64)]).strip(b" \0").decode("latin-1") or None
        at = start + length
    return FileMeta(at, transfer_syntax_uid, marked)


def file_prefix(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    *,
    implementation_class_uid: str,
    implementation_version_name: str = "",
    source_ae_title: str = "",
) -> bytes:
    """Preamble, prefix and file meta information that make a PS3.10 file of the data set that follows."""
    elements = [
        _element(0x0001, b"OB", b"\0\1"),
        _element(0x0002, b"UI", sop_class_uid),
        _element(0x0003, b"UI", sop_instance_uid),
        _element(0x0010, b"UI", transfer_syntax_uid),
        _element(0x0012, b"UI", implementation_class_uid),
    ]
    if implementation_version_name:
        elements.append(_element(0x0013, b"SH", implementation_version_name[:16]))
    if source_ae_title:
        elements.append(_element(0x0016, b"AE", source_ae_title[:16]))
    meta = b"".join(elements)
    return _PREAMBLE + _EXPLICIT.pack(2, 0, b"UL", 4) + _LONG.pack(len(meta)) + meta


def _element(number: int, vr: bytes, value: str | bytes) -> bytes:
    octets = value if isinstance(value, bytes) else value.encode("ascii", "replace")
    if len(octets) % 2:
        octets += b"\0" if vr == b"UI" else b" "
    if vr in _LONG_LENGTH:
        return _EXPLICIT.pack(2, number, vr, 0) + _LONG.pack(len(octets)) + octets
    return _EXPLICIT.pack(2, number, vr, len(octets)) + octets
