"""A DICOM object's header as the JSON model (PS3.18 F.2), where its bulk values and frames lie, in one pass.

Knows what surrounds a data set: PS3.10 file or not, transfer syntax declared, missing or wrong, deflated. Any input
gives a `Scanned` or raises NotDicom, in time and memory bounded by its size and the limits in `reader` and here.
Whether the object has the UIDs to be filed by is the caller's question (`text` helps).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from mmap import mmap
from typing import Any
from urllib.parse import quote

import numpy as np

from huitong.base.errors import NotDicom
from huitong.wire.dicom.frames import Frames
from huitong.wire.dicom.part10 import DEFLATED, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, read_file_meta
from huitong.wire.dicom.pixels import Header, encapsulated_frames, native_frames
from huitong.wire.dicom.reader import EXTENDED_OFFSETS, NeedWhole, Reader
from huitong.wire.dicom.vr import KNOWN_VR, public_vr

Buffer = bytes | bytearray | memoryview | mmap

#: Headers of images lie within this; more is read only where it is needed.
_HEAD_BYTES = 64 << 10
#: A deflated data set may become this large, and this plus a hundred times its size if that is less.
MAX_INFLATED_BYTES, _INFLATED_FREE_BYTES, _INFLATED_RATIO = 1 << 30, 128 << 20, 100
#: Transfer syntaxes whose pixel data are not encapsulated (PS3.5 A.1 to A.3, A.5).
_NATIVE = {IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, "1.2.840.10008.1.2.1.99"}


@dataclass(frozen=True, slots=True)
class Scanned:
    """What one pass over an object finds.

    Offsets count from the beginning of the scanned data; of a deflated object, from the beginning of the inflated data
    set, which `inflate` gives.
    """

    transfer_syntax_uid: str
    #: Where the data set begins (the deflated stream, of a deflated object).
    dataset_offset: int
    #: DICOM JSON model of the data set without groups 0000, 0002 and group lengths; keys ascending.
    header: Header
    #: Path, as in the BulkDataURI, to offset and length of the value.
    bulk: dict[str, tuple[int, int]]
    frames: Frames | None
    deflated: bool
    #: The data set was not read the plain way: big endian, deflated, encoding guessed, or damaged.
    fallback: bool
    #: What was wrong and how it was taken, in English, for the log.
    problems: tuple[str, ...]


def scan(data: Buffer, *, transfer_syntax: str | None = None) -> Scanned:
    """The header, bulk values and frames of a PS3.10 file, or of a bare data set whose `transfer_syntax` is given.

    BulkDataURIs are relative to the series: "instances/<SOPInstanceUID>/bulkdata/<path>", where the path of a nested
    value has the sequences and item numbers (from 1) that lead to it: "54000100.1.54001010".
    Raises NotDicom where no data set can be found, or one passes the limits.
    """
    buffer: Any = data if isinstance(data, bytes | mmap) else memoryview(data).cast("B")
    problems: list[str] = []
    if transfer_syntax is not None:
        start, uid, marked = 0, transfer_syntax.strip(" \0") or None, True
    else:
        meta = read_file_meta(buffer)
        start, uid, marked = meta.offset, meta.transfer_syntax_uid, meta.marked
    deflated, at = uid in DEFLATED, start
    if deflated:
        try:
            buffer, at = inflate(buffer, start), 0
        except zlib.error:
            deflated = False
            problems.append("declared as deflated, but is not")
    uid, explicit, order = _encoding(buffer, at, EXPLICIT_LE if uid in DEFLATED and not deflated else uid, problems)
    if not marked and not _plausible(buffer, at, explicit, order):
        raise NotDicom("It has no DICM prefix and does not begin with a data element.")
    unusual = deflated or order == ">" or bool(problems)
    reader = _read(buffer, at, explicit, order)
    if not marked and not reader.header:
        raise NotDicom("It holds no data elements.")
    _put_uris(reader)
    frames = _frames(buffer, reader, uid)
    problems += reader.problems
    return Scanned(
        transfer_syntax_uid=uid,
        dataset_offset=start,
        header=reader.header,
        bulk=reader.bulk,
        frames=frames,
        deflated=deflated,
        fallback=unusual or bool(problems),
        problems=tuple(problems),
    )


def text(header: Header, tag: str) -> str:
    """The first value of `tag` as text; "" where there is none."""
    values = header.get(tag, {}).get("Value")
    if not values or values[0] is None:
        return ""
    value = values[0]
    if isinstance(value, dict):
        return str(value.get("Alphabetic") or value.get("Ideographic") or value.get("Phonetic") or "")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def person_name(header: Header, tag: str) -> dict[str, str]:
    """The component groups of a person name: Alphabetic, Ideographic, Phonetic, as far as they are there."""
    values = header.get(tag, {}).get("Value")
    value = values[0] if values else None
    if isinstance(value, str):
        return {"Alphabetic": value}  # a name under another VR, in a damaged header
    return {group: str(name) for group, name in value.items() if name} if isinstance(value, dict) else {}


def inflate(data: Buffer, offset: int = 0) -> bytes:
    """The data set of a deflated object (PS3.5 A.5) whose deflated stream begins at `offset`.

    Raises NotDicom where it becomes too large; zlib.error where nothing of it can be inflated.
    """
    deflated = memoryview(data)[offset:]
    limit = min(MAX_INFLATED_BYTES, _INFLATED_FREE_BYTES + _INFLATED_RATIO * len(deflated))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = stream.decompress(deflated, limit + 1)
    if len(inflated) > limit:
        raise NotDicom(f"Its deflated data set is larger than {limit} octets.")
    return inflated


def _encoding(buffer: Any, at: int, uid: str | None, problems: list[str]) -> tuple[str, bool, str]:
    """Transfer syntax, whether explicit VR, and byte order, by what is declared and by what the first element shows."""
    head = bytes(buffer[at : at + 6])
    explicit, order = uid not in (None, IMPLICIT_LE), ">" if uid == EXPLICIT_BE else "<"
    if len(head) < 6:
        return uid or IMPLICIT_LE, explicit, order
    vr = head[4:6]
    if uid is None:
        explicit = vr.decode("latin-1") in KNOWN_VR
        order = ">" if explicit and int.from_bytes(head[:2], "little") >= 0x400 else "<"
        guessed = IMPLICIT_LE if not explicit else EXPLICIT_BE if order == ">" else EXPLICIT_LE
        problems.append(f"no transfer syntax is declared; taken for {guessed}")
        return guessed, explicit, order
    found = vr.isalpha() and vr.isupper()
    if found != explicit:
        problems.append(f"declared as {'explicit' if explicit else 'implicit'} VR, but is not")
        explicit = found
    if not explicit:
        order = "<"
    elif int.from_bytes(head[:2], "little") >= 0x400 and head[0] == 0 and order == "<":
        problems.append("declared as little endian, but is not")
        order = ">"
    elif int.from_bytes(head[:2], "big") >= 0x400 and head[1] == 0 and order == ">":
        problems.append("declared as big endian, but is not")
        order = "<"
    return uid, explicit, order


def _plausible(buffer: Any, at: int, explicit: bool, order: str) -> bool:
    """Whether a data element begins here: for files that nothing else marks as DICOM."""
    head = bytes(buffer[at : at + 8])
    if len(head) < 8:
        return False
    byte_order = "big" if order == ">" else "little"
    group = int.from_bytes(head[:2], byte_order)  # type: ignore[arg-type]
    element = int.from_bytes(head[2:4], byte_order)  # type: ignore[arg-type]
    if group > 0x0040 or (element and public_vr(group << 16 | element) is None):
        return False
    return explicit or int.from_bytes(head[4:8], "little") <= len(buffer) - at - 8


def _read(buffer: Any, at: int, explicit: bool, order: str) -> Reader:
    """Read `buffer`: at once if its slices are `bytes`, else its first part, and all of it only where needed."""
    if not isinstance(buffer, memoryview):
        reader = Reader(buffer, buffer, order)
        reader.read(at, explicit=explicit)
        return reader
    reader = Reader(bytes(buffer[: at + _HEAD_BYTES]), buffer, order)
    try:
        reader.read(at, explicit=explicit, plainly=False)
    except NeedWhole:
        whole = _viewed(buffer)
        before = len(whole) - len(buffer)
        reader = Reader(whole, whole, order)
        reader.read(before + at, explicit=explicit)
        reader.shift(-before)
    return reader


def _viewed(buffer: memoryview) -> bytes | mmap:
    """What ends with `buffer` and whose slices are `bytes`: the mmap that it is a view of, or a copy.

    A spooled or stored object is a view of an mmap, too large to be copied for what stands behind its pixel data.
    """
    whole = buffer.obj
    if isinstance(whole, mmap) and np.shares_memory(buffer[-1:], memoryview(whole)[-1:]):
        return whole
    return bytes(buffer)


def _put_uris(reader: Reader) -> None:
    if reader.uris:
        base = f"instances/{quote(text(reader.header, '00080018'), safe='')}/bulkdata/"
        for element, path in reader.uris:
            element["BulkDataURI"] = base + path


def _frames(buffer: Any, reader: Reader, uid: str) -> Frames | None:
    if reader.pixel is None:
        return None
    tag, offset, length, items = reader.pixel
    if length and (items is None) != (uid in _NATIVE):
        reader.problems.append(f"pixel data are {'native' if items is None else 'encapsulated'}, which {uid} is not")
    if items is None:
        return native_frames(reader.header, tag, offset, length, reader.problems) if length else None
    extended = None
    if len(reader.extended) == len(EXTENDED_OFFSETS):
        extended = (reader.extended[EXTENDED_OFFSETS[0]], reader.extended[EXTENDED_OFFSETS[1]])
    return encapsulated_frames(buffer, reader.header, items, reader.order, uid, extended, reader.problems)
