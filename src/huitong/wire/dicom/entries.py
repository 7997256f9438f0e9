"""How each element is read: what kind it is, its VR, its decoder. Learned once for each tag, kept for all objects."""

from __future__ import annotations

import struct
from functools import lru_cache

from huitong.wire.dicom.charset import Decode
from huitong.wire.dicom.pixels import Header, number
from huitong.wire.dicom.values import DECODERS, Decoder, Element, octets, un
from huitong.wire.dicom.vr import AMBIGUOUS_VR, BYTES_VR, KNOWN_VR, SHORT_LENGTH_VR, private_vr, public_vr

UNDEFINED = 0xFFFFFFFF
LUT_DESCRIPTORS = frozenset({"00281101", "00281102", "00281103", "00283002"})

# Kinds of elements. Below LONG an explicit VR has a 16-bit length.
PLAIN, SKIP, CHARSET, STOP, STOP_SEQUENCE, PADDING, ODD = range(7)
LONG, OCTETS, SEQUENCE, UNKNOWN, SKIP_LONG, PRIVATE, AMBIGUOUS, CHARSET_LONG = range(10, 18)

#: Key in the JSON, kind, VR, decoder.
Entry = tuple[str, int, str, Decoder]
#: By byte order; keys are the octets of tag and VR, or of the tag alone. `learn_...` fill them, up to `ENTRIES_KEPT`.
EXPLICIT: dict[str, dict[bytes, Entry]] = {"<": {}, ">": {}}
IMPLICIT: dict[str, dict[bytes, Entry]] = {"<": {}, ">": {}}
#: The standard has some 5 000 tags; the rest is room for private ones, so that nobody can fill the memory with others.
ENTRIES_KEPT = 20_000
#: Octets or words by this other element: PixelData by BitsAllocated, waveforms by WaveformBitsAllocated.
_BITS_ALLOCATED = {"7FE00010": "00280100"} | dict.fromkeys(("54000110", "54000112", "5400100A", "54001010"), "54001004")
_private_vr = lru_cache(maxsize=8192)(private_vr)
_DELIMITERS = {0xE00D: STOP, 0xE0DD: STOP_SEQUENCE, 0: PADDING}


def learn_explicit(raw: bytes, order: str) -> Entry:
    """The entry of a tag and VR met for the first time; kind ODD where the VR is none."""
    group, element = struct.unpack_from(order + "HH", raw)
    tag = group << 16 | element
    vr = raw[4:].decode("latin-1")
    if group == 0xFFFE or raw == b"\0\0\0\0\0\0":
        return f"{tag:08X}", _DELIMITERS.get(element, ODD), vr, un
    if vr not in KNOWN_VR:
        return f"{tag:08X}", ODD, vr, un
    entry = entry_of(tag, vr, order)
    _keep(EXPLICIT[order], raw, entry)
    return entry


def learn_implicit(raw: bytes, order: str) -> Entry:
    """The entry of a tag met for the first time; kind ODD where no element can begin with it."""
    group, element = struct.unpack_from(order + "HH", raw)
    tag = group << 16 | element
    if group == 0xFFFE or not tag:
        return f"{tag:08X}", _DELIMITERS.get(element, ODD), "", un
    vr = public_vr(tag)
    if vr is None and group % 2:
        if not 0x10 <= element <= 0xFF:
            return f"{tag:08X}", PRIVATE if element else SKIP, "UN", un
        vr = "LO"
    entry = entry_of(tag, vr or "UN", order)
    if entry[1] == LONG:
        entry = (entry[0], PLAIN, *entry[2:])  # all lengths have 32 bits here
    _keep(IMPLICIT[order], raw, entry)
    return entry


def _keep(table: dict[bytes, Entry], raw: bytes, entry: Entry) -> None:
    if len(table) >= ENTRIES_KEPT:
        table.clear()  # the usual ones are back after one object; an odd sender must not keep them out
    table[raw] = entry


def entry_of(tag: int, vr: str, order: str) -> Entry:
    """How an element of this tag and known or ambiguous VR is to be read."""
    key = f"{tag:08X}"
    if not tag & 0xFFFF or tag >> 16 in (0x0000, 0x0002):
        return key, SKIP if vr in SHORT_LENGTH_VR else SKIP_LONG, vr, un
    if tag == 0x00080005:
        return key, CHARSET if vr in SHORT_LENGTH_VR else CHARSET_LONG, "CS", un
    if vr in AMBIGUOUS_VR:
        return key, AMBIGUOUS, vr, un
    if vr == "SQ":
        return key, SEQUENCE, vr, un
    decode = DECODERS[order][vr]
    if vr in BYTES_VR:
        return key, UNKNOWN if vr == "UN" else OCTETS, vr, decode
    return key, PLAIN if vr in SHORT_LENGTH_VR else LONG, vr, descriptor(decode) if key in LUT_DESCRIPTORS else decode


def descriptor(decode: Decoder) -> Decoder:
    """`decode` for a LUT descriptor, whose first value is unsigned whatever its VR says (PS3.3 C.11.1.1.1)."""

    def unsigned_first(raw: bytes, slow: Decode) -> Element:
        element = decode(raw, slow)
        values = element.get("Value")
        if values and isinstance(values[0], int) and values[0] < 0:
            values[0] += 0x10000
        return element

    return unsigned_first


def unknown(tag: int, kind: int, header: Header, length: int, explicit: bool, order: str) -> tuple[int, str, Decoder]:
    """Kind, VR and decoder of an element of VR UN or private, by the dictionaries (PS3.5 6.2.2)."""
    if explicit and length == UNDEFINED:
        return SEQUENCE, "SQ", un
    vr = "UN"
    if tag & 0x10000:
        block = header.get(f"{tag >> 16:04X}00{tag >> 8 & 0xFF:02X}", {}).get("Value", ("",))
        vr = _private_vr(tag, block[0] if len(block) == 1 and isinstance(block[0], str) else "")
    elif length < 0xFFFF or kind == PRIVATE:
        vr = public_vr(tag) or "UN"
    if vr == "UN":
        return UNKNOWN if length == UNDEFINED else OCTETS, vr, octets("UN")
    return entry_of(tag, vr, order)[1:]


def ambiguous(key: str, vr: str, header: Header, explicit: bool, order: str) -> tuple[int, str, Decoder]:
    """The same for "OB or OW" and the like, by what stands before (PS3.5 A.1, A.2); "US or SS" is left as it is."""
    if vr == "US or SS":
        return AMBIGUOUS, vr, un
    if vr == "US or OW" and number(header, "00283002") == 1:
        return PLAIN, "US", DECODERS[order]["US"]
    octet = explicit and key in _BITS_ALLOCATED and number(header, _BITS_ALLOCATED[key]) <= 8
    settled = "OB" if octet else "OW"
    return OCTETS, settled, DECODERS[order][settled]
