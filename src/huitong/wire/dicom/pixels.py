"""Where each frame lies: native pixel data by arithmetic (PS3.5 8), encapsulated by its items and tables (PS3.5 A.4).

Knows positions, not pixels: nothing is decoded. NumberOfFrames and the offset tables are what the sender says; they are
believed as far as the octets that are there bear them out, so that a lie costs a note and no memory.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

from huitong.base.errors import NotDicom
from huitong.wire.dicom.frames import Frames

Header = dict[str, Any]
Fragment = tuple[int, int]  # offset and length of an item's value, in octets
Buffer = bytes | bytearray | memoryview | Any  # mmap has no common base with them

#: A whole-slide level of 200 000 by 200 000 pixels in tiles of 256 has 610 000.
MAX_FRAGMENTS = 1_000_000
#: Moving pictures: the fragments joined are one stream (PS3.5 8.2.5 and following).
VIDEO = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in range(100, 109)) | frozenset(
    f"1.2.840.10008.1.2.4.{n}.1" for n in range(100, 107)
)
_NATIVE_BITS = {"7FE00008": 32, "7FE00009": 64}
_START_OF_IMAGE = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")  # JPEG and JPEG-LS; JPEG 2000 and HTJ2K
_END_OF_IMAGE = b"\xff\xd9"
_ITEM, _SEQUENCE_DELIMITATION = 0xFFFEE000, 0xFFFEE0DD


def number(header: Header, tag: str, default: int = 0) -> int:
    """The first value of `tag` as an integer; `default` where there is none."""
    value = header.get(tag, {}).get("Value", (None,))[0]
    return int(value) if isinstance(value, int | float) else default


def native_frames(header: Header, tag: str, offset: int, length: int, problems: list[str]) -> Frames | None:
    """Frames of the `length` octets at `offset`; None where the header does not say how large a frame is.

    BitsAllocated 1 packs frames bit after bit (PS3.5 8.1.1); where they do not end on an octet, Frames.length is 0.
    """
    bits = _NATIVE_BITS.get(tag) or number(header, "00280100")
    samples = number(header, "00280002", 1)
    pixels = number(header, "00280010") * number(header, "00280011")
    wanted = max(number(header, "00280008", 1), 1)
    if header.get("00280004", {}).get("Value") == ["YBR_FULL_422"] and samples == 3:
        samples = 2  # two chrominance samples for every two luminance samples, PS3.3 C.7.6.3.1.2
    frame_bits = pixels * samples * bits
    if min(bits, samples, pixels) <= 0:
        problems.append("pixel data without Rows, Columns or BitsAllocated")
        return None
    if frame_bits % 8:
        count = min(wanted, length * 8 // frame_bits) or 1
        if count < wanted or length * 8 < frame_bits:
            problems.append(f"pixel data holds {length} octets, {wanted} frames need {-(-frame_bits * wanted // 8)}")
        return Frames(count, offset, 0, length)
    frame_length = frame_bits // 8
    count = min(wanted, length // frame_length)
    if count < wanted:
        problems.append(f"pixel data holds {length} octets, {wanted} frames need {frame_length * wanted}")
    if not count:
        return Frames(1, offset, length, length)
    return Frames(count, offset, frame_length, length)


def fragments(data: Buffer, start: int, order: str, problems: list[str]) -> tuple[list[Fragment], int, int]:
    """Items of encapsulated pixel data from `start` on: their values, where the last one ends, where reading goes on.

    The first is the basic offset table (PS3.5 A.4). Data that end early, or at something that is no item, are noted.
    """
    size, at = len(data), start
    found: list[Fragment] = []
    unpack = struct.Struct(order + "HHL").unpack_from
    while at + 8 <= size:
        group, element, length = unpack(data, at)
        tag = group << 16 | element
        if tag == _SEQUENCE_DELIMITATION:
            return found, at, at + 8
        if tag != _ITEM:
            problems.append(f"encapsulated pixel data: ({group:04X},{element:04X}) where an item should be")
            return found, at, size
        begin, at = at + 8, at + 8 + length
        if at > size:
            problems.append("encapsulated pixel data are cut off")
            if begin < size:
                found.append((begin, size - begin))
            return found, size, size
        found.append((begin, length))
        if len(found) > MAX_FRAGMENTS:
            raise NotDicom(f"Pixel data have more than {MAX_FRAGMENTS} fragments.")
    problems.append("encapsulated pixel data are cut off")
    return found, size, size


def encapsulated_frames(
    data: Buffer,
    header: Header,
    items: list[Fragment],
    order: str,
    transfer_syntax_uid: str,
    extended: tuple[bytes, bytes] | None,
    problems: list[str],
) -> Frames | None:
    """Frames of encapsulated pixel data whose `items` begin with the basic offset table; None when there is no item."""
    table, pieces = items[:1], items[1:]
    if not pieces:
        return None
    wanted = max(number(header, "00280008", 1), 1)
    if transfer_syntax_uid in VIDEO:
        return Frames(1, fragments=(tuple(pieces),))
    if extended is not None:
        grouped = _by_extended_table(pieces, extended, order)
        if grouped is not None:
            return Frames(len(grouped), fragments=grouped)
        problems.append("the extended offset table does not fit the fragments")
    if table and table[0][1]:
        grouped = _by_basic_table(data, pieces, table[0], order)
        if grouped is not None:
            return Frames(len(grouped), fragments=grouped)
        problems.append("the basic offset table does not fit the fragments")
    grouped = _by_counting(data, pieces, wanted, problems)
    return Frames(len(grouped), fragments=grouped)


def _by_extended_table(
    pieces: list[Fragment], tables: tuple[bytes, bytes], order: str
) -> tuple[tuple[Fragment, ...], ...] | None:
    """One fragment a frame at the offsets of (7FE0,0001) with the lengths of (7FE0,0002), PS3.3 C.7.6.3.1.8."""
    count = len(tables[0]) // 8
    if not count or count > len(pieces) or len(tables[1]) // 8 != count:
        return None
    offsets = struct.unpack_from(f"{order}{count}Q", tables[0])
    lengths = struct.unpack_from(f"{order}{count}Q", tables[1])
    sizes, first = dict(pieces), pieces[0][0]
    frames = []
    for offset, length in zip(offsets, lengths, strict=True):
        if length > sizes.get(first + offset, -1):
            return None
        frames.append(((first + offset, length),))
    return tuple(frames)


def _by_basic_table(
    data: Buffer, pieces: list[Fragment], table: Fragment, order: str
) -> tuple[tuple[Fragment, ...], ...] | None:
    """Fragments from each offset of the basic offset table up to the next; None if one begins no fragment."""
    offset, length = table
    count = length // 4
    if not count or count > len(pieces):
        return None
    first = pieces[0][0]
    starts = {begin - first: index for index, (begin, _) in enumerate(pieces)}
    cuts = [starts.get(value, -1) for value in struct.unpack_from(f"{order}{count}L", data, offset)]
    if cuts[0] != 0 or any(b <= a for a, b in pairwise(cuts)):
        return None
    cuts.append(len(pieces))
    return tuple(tuple(pieces[a:b]) for a, b in pairwise(cuts))


def _by_counting(
    data: Buffer, pieces: list[Fragment], wanted: int, problems: list[str]
) -> tuple[tuple[Fragment, ...], ...]:
    """Frames without a table: one fragment each, all one frame, or by where code streams begin and end."""
    if wanted == 1 or len(pieces) == 1:
        if wanted > 1:
            problems.append(f"one fragment for {wanted} frames")
        return (tuple(pieces),)
    if len(pieces) <= wanted:
        if len(pieces) < wanted:
            problems.append(f"{len(pieces)} fragments for {wanted} frames")
        return tuple((piece,) for piece in pieces)
    by_end = _cut(pieces, [n + 1 for n, (at, size) in enumerate(pieces) if _ends_image(data, at, size)])
    if len(by_end) == wanted:
        return by_end
    by_start = _cut(pieces, [n for n, (at, _) in enumerate(pieces) if _starts_image(data, at)])
    if len(by_start) == wanted:
        return by_start
    problems.append(f"{len(pieces)} fragments, {len(by_end)} ends of image for {wanted} frames")
    return by_end


def _starts_image(data: Buffer, at: int) -> bool:
    return bytes(data[at : at + 4]).startswith(_START_OF_IMAGE)


def _ends_image(data: Buffer, at: int, size: int) -> bool:
    return _END_OF_IMAGE in bytes(data[max(at, at + size - 10) : at + size])


def _cut(pieces: list[Fragment], cuts: list[int]) -> tuple[tuple[Fragment, ...], ...]:
    """`pieces` in groups that begin at 0 and at each of the ascending `cuts`."""
    edges = sorted({0, *cuts, len(pieces)})
    return tuple(tuple(pieces[a:b]) for a, b in pairwise(edges))
