"""From the bytes of one instance to everything the index and the pack need of it: read once, nothing decoded."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import Any

import imagecodecs
import orjson

from huitong.base.errors import IdentityMismatch, StoreDamaged
from huitong.imaging.attributes import Header, Identity, identity
from huitong.imaging.model import Expected
from huitong.store.record import Buffer
from huitong.wire.dicom.frames import Frames
from huitong.wire.dicom.part10 import file_prefix
from huitong.wire.dicom.scan import scan
from huitong.wire.dimse.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

#: DICOM JSON repeats itself; level 1 takes it to a third. libdeflate does it in 0.035 ms for a CT slice, zlib in 0.09.
_TAIL_LEVEL = 1


@dataclass(slots=True)
class Prepared:
    """An instance ready to be kept or indexed."""

    institution: str
    received_at_ms: int
    identity: Identity
    transfer_syntax_uid: str
    header: Header
    #: From the first byte of the file as it will be stored; of a deflated one, from that of the inflated data set.
    frames: Frames | None
    deflated: bool
    #: Generated file meta information; empty for what came as a file.
    prefix: bytes
    head_bytes: int
    head_sha256: bytes
    body_sha256: bytes
    #: The header as compressed JSON.
    tail: bytes


def prepare(
    view: memoryview, expected: Expected | None, *, institution: str, received_at_ms: int, tail: bytes | None = None
) -> Prepared:
    """Read an instance: a whole PS3.10 file or, with `expected`, the bare data set of a C-STORE.

    Raises NotDicom, MissingIdentity, or IdentityMismatch when the object is not the one that was announced.
    """
    read = scan(view, transfer_syntax=expected.transfer_syntax_uid if expected else None)
    who = identity(read.header)
    prefix = _prefix(who, expected) if expected else b""
    head: Buffer = prefix or view[: read.dataset_offset]
    frames = read.frames
    if frames is not None and prefix and not read.deflated:
        frames = frames.shifted(len(prefix))
    # Before the digest, which passes all pixels through the cache in which the header now is.
    tail = pack_header(read.header) if tail is None else tail
    return Prepared(
        institution=institution,
        received_at_ms=received_at_ms,
        identity=who,
        transfer_syntax_uid=read.transfer_syntax_uid,
        header=read.header,
        frames=frames,
        deflated=read.deflated,
        prefix=prefix,
        head_bytes=len(head),
        head_sha256=hashlib.sha256(head).digest(),
        body_sha256=hashlib.sha256(view[0 if prefix else read.dataset_offset :]).digest(),
        tail=tail,
    )


def _prefix(who: Identity, expected: Expected) -> bytes:
    if who.sop_instance_uid != expected.sop_instance_uid:
        raise IdentityMismatch(f"SOPInstanceUID is {who.sop_instance_uid}, announced {expected.sop_instance_uid}")
    if who.sop_class_uid != expected.sop_class_uid:
        raise IdentityMismatch(f"SOPClassUID is {who.sop_class_uid}, announced {expected.sop_class_uid}")
    return file_prefix(
        who.sop_class_uid,
        who.sop_instance_uid,
        expected.transfer_syntax_uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION,
        source_ae_title=expected.source_ae,
    )


def pack_header(header: Header) -> bytes:
    return bytes(imagecodecs.deflate_encode(orjson.dumps(header), level=_TAIL_LEVEL))


def unpack_header(tail: bytes) -> bytes:
    """The header's JSON text. Raises StoreDamaged where the copy is not what was packed."""
    try:
        return zlib.decompress(tail)
    except zlib.error as e:
        raise StoreDamaged(f"a kept header does not read: {e}") from e


def envelope(prepared: Prepared, door: str, host: str, source_ae: str) -> dict[str, Any]:
    """What a record says of itself, so that the index can be made again from the packs alone."""
    return {
        "kind": "instance",
        "institution": prepared.institution,
        "at_ms": prepared.received_at_ms,
        "door": door,
        "host": host,
        "ae": source_ae,
        "ts": prepared.transfer_syntax_uid,
    }
