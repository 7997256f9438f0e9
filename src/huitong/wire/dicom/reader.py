"""One pass over a data set (PS3.5 7): elements to the JSON model, bulk values to positions. The hot loop of receiving.

Over 150 lines, because the loops of explicit and implicit VR, which are nearly all of the running time, must see the
tables, the sequence rules and the limits without calls in between.

Laws of this file. An element costs no object but its own JSON. Nothing read is believed about sizes: every length is
held against what is there, depth, elements and octets are limited (`MAX_...`), and what breaks off (`_Cut`) leaves what
was read before it. It knows no file: positions count from the beginning of `data`.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

from huitong.base.errors import NotDicom
from huitong.wire.dicom.charset import Decode, decoder
from huitong.wire.dicom.pixels import Buffer, Fragment, Header, fragments, number
from huitong.wire.dicom.values import DECODERS, Decoder, Element, octets, un
from huitong.wire.dicom.vr import (
    AMBIGUOUS_VR,
    BYTES_VR,
    KNOWN_VR,
    SHORT_LENGTH_VR,
    private_vr,
    public_vr,
)

#: Structured reports nest deepest; those seen stay under 15.
MAX_DEPTH = 64
#: Elements and items together. An enhanced object of 5 000 frames has about 100 000.
MAX_ELEMENTS = 1_000_000
#: Octets of all values that become JSON; as Python numbers they take up to 16 times that.
MAX_HEADER_BYTES = 64 << 20
#: Octets above which a binary value is given as BulkDataURI, and above which any value is.
INLINE_BYTES, INLINE_TEXT_BYTES = 1024, 1 << 20

UNDEFINED = 0xFFFFFFFF
PIXEL_DATA = frozenset({"7FE00008", "7FE00009", "7FE00010"})
EXTENDED_OFFSETS = ("7FE00001", "7FE00002")
_CHARSET_TAG = "00080005"
#: What a JSON header says of its own character set, PS3.18 F.2.
_UTF8 = ["ISO_IR 192"]
#: Octets or words by this other element: PixelData by BitsAllocated, waveforms by WaveformBitsAllocated.
_BITS_ALLOCATED = {"7FE00010": "00280100"} | dict.fromkeys(("54000110", "54000112", "5400100A", "54001010"), "54001004")
_LUT_DESCRIPTORS = frozenset({"00281101", "00281102", "00281103", "00283002"})
_NONSTANDARD_TAGS_KEPT = 20_000

# Kinds of elements. Below LONG an explicit VR has a 16-bit length.
PLAIN, SKIP, CHARSET, STOP, STOP_SEQUENCE, PADDING, ODD = range(7)
LONG, OCTETS, SEQUENCE, UNKNOWN, SKIP_LONG, PRIVATE, AMBIGUOUS, CHARSET_LONG = range(10, 18)

#: key in JSON, kind, VR, decoder
Entry = tuple[str, int, str, Decoder]
_explicit_entries: dict[str, dict[bytes, Entry]] = {"<": {}, ">": {}}
_implicit_entries: dict[str, dict[bytes, Entry]] = {"<": {}, ">": {}}
_private_vr = lru_cache(maxsize=8192)(private_vr)


class _Cut(Exception):
    """Reading cannot go on at this level."""


class NeedWhole(Exception):
    """The data set goes on beyond the part of it that was given."""


def _descriptor(decode: Decoder) -> Decoder:
    """A LUT descriptor's first value is unsigned whatever its VR says (PS3.3 C.11.1.1.1)."""

    def unsigned_first(raw: bytes, slow: Decode) -> Element:
        element = decode(raw, slow)
        values = element.get("Value")
        if values and isinstance(values[0], int) and values[0] < 0:
            values[0] += 0x10000
        return element

    return unsigned_first


def _entry(tag: int, vr: str, order: str) -> Entry:
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
    return key, PLAIN if vr in SHORT_LENGTH_VR else LONG, vr, _descriptor(decode) if key in _LUT_DESCRIPTORS else decode


class Reader:
    """Reads one data set of `data`; what it finds is in its fields.

    `data` is `bytes` or an mmap, or the first part as `bytes` of `whole`, which then is any buffer.
    """

    __slots__ = (
        "bulk", "count", "data", "explicit_table", "extended", "foreign", "header", "implicit_table", "octets_read",
        "order", "partial", "pending", "pixel", "problems", "stack", "unpack_explicit", "unpack_implicit",
        "unpack_item", "unpack_long", "uris", "whole",
    )  # fmt: skip

    def __init__(self, data: Any, whole: Buffer, order: str) -> None:
        self.data, self.whole, self.order = data, whole, order
        self.partial = len(data) < len(whole)
        self.header: Header = {}
        #: Path of a bulk value to its offset and length.
        self.bulk: dict[str, tuple[int, int]] = {}
        self.problems: list[str] = []
        #: Attribute objects that wait for their BulkDataURI, with their path.
        self.uris: list[tuple[Element, str]] = []
        #: "US or SS" elements that wait for PixelRepresentation: ancestors, key, value.
        self.pending: list[tuple[tuple[Header, ...], str, bytes]] = []
        self.stack: list[Header] = [self.header]
        self.extended: dict[str, bytes] = {}
        #: Pixel data of the image itself: tag, offset, length, and the items when encapsulated.
        self.pixel: tuple[str, int, int, list[Fragment] | None] | None = None
        #: Text beyond ASCII was met.
        self.foreign = False
        self.count = 0
        self.octets_read = 0
        self.explicit_table = _explicit_entries[order]
        self.implicit_table = _implicit_entries[order]
        self.unpack_explicit = struct.Struct(order + "6sH").unpack_from
        self.unpack_implicit = struct.Struct(order + "4sL").unpack_from
        self.unpack_item = struct.Struct(order + "HHL").unpack_from
        self.unpack_long = struct.Struct(order + "L").unpack_from

    def read(self, start: int, *, explicit: bool) -> None:
        """Read the data set that begins at `start` to its end, or as far as it can be read."""
        loop = self.explicit if explicit else self.implicit
        try:
            end = loop(start, len(self.data), self.header, 0, "", self.text(()))
        except (_Cut, struct.error) as cut:
            if self.partial:
                raise NeedWhole from cut
            self.problems.append(str(cut) if isinstance(cut, _Cut) else "the data set is cut off")
            _sort_deep(self.header)
        else:
            if end < len(self.whole):
                if self.partial:
                    raise NeedWhole
                self.problems.append("the data set ends before the data do")
        self.settle()

    def text(self, terms: tuple[str, ...]) -> Decode:
        """The decoder of text beyond ASCII under these character sets."""
        decode = decoder(terms)

        def slow(raw: bytes) -> str:
            if not raw.isascii():
                self.foreign = True
            return decode(raw)

        return slow

    def spend(self, elements: int, octets_read: int) -> None:
        """Count against the limits; NotDicom when they are passed."""
        self.count += elements
        self.octets_read += octets_read
        if self.count > MAX_ELEMENTS:
            raise NotDicom(f"It has more than {MAX_ELEMENTS} elements.")
        if self.octets_read > MAX_HEADER_BYTES:
            raise NotDicom(f"Its header is larger than {MAX_HEADER_BYTES >> 20} MiB.")

    # The two loops are alike but for how an element begins; every instruction here is paid for each element received.

    def explicit(self, pos: int, end: int, header: Header, depth: int, path: str, text: Decode) -> int:
        """Read an explicit VR data set up to `end` or its delimitation item into `header`; where reading goes on."""
        data, unpack, table = self.data, self.unpack_explicit, self.explicit_table
        last, ordered, reading = "", True, True
        while reading and pos < end:
            chunk, elsewhere, n = pos, 0, 0
            for n in range(256):  # noqa: B007 - what it came to is spent below
                if pos >= end:
                    break
                raw, length = unpack(data, pos)
                try:
                    key, kind, vr, decode = table[raw]
                except KeyError:
                    key, kind, vr, decode = self.learn_explicit(raw)
                if key <= last:
                    ordered = False
                last = key
                start = pos + 8
                if kind == PLAIN:
                    pos = start + length
                    if pos > end:
                        raise _Cut(f"({key}) goes beyond the end of the data")
                    header[key] = decode(data[start:pos], text) if length else {"vr": vr}
                    continue
                if kind >= LONG:
                    (length,) = self.unpack_long(data, start)
                    start += 4
                elif kind == ODD:
                    key, kind, vr, decode, start, length = self.odd(raw, length, pos, end)
                if kind in (CHARSET, CHARSET_LONG):
                    text = self.charset(header, start, length, end)
                    pos = start + length
                elif kind in (STOP, STOP_SEQUENCE, PADDING):
                    pos = end if kind == PADDING else start if kind == STOP else pos
                    reading = False
                    break
                else:
                    pos = self.other(key, kind, vr, decode, start, length, end, header, depth, path, text, True)
                    elsewhere += pos - start
            self.spend(n + 1, pos - chunk - elsewhere)
        if not ordered:
            _sort(header)
        return pos

    def implicit(self, pos: int, end: int, header: Header, depth: int, path: str, text: Decode) -> int:
        """The same for implicit VR."""
        data, unpack, table = self.data, self.unpack_implicit, self.implicit_table
        last, ordered, reading = "", True, True
        while reading and pos < end:
            chunk, elsewhere, n = pos, 0, 0
            for n in range(256):  # noqa: B007 - what it came to is spent below
                if pos >= end:
                    break
                raw, length = unpack(data, pos)
                try:
                    key, kind, vr, decode = table[raw]
                except KeyError:
                    key, kind, vr, decode = self.learn_implicit(raw)
                if key <= last:
                    ordered = False
                last = key
                start = pos + 8
                if kind == PLAIN and length <= INLINE_TEXT_BYTES:
                    pos = start + length
                    if pos > end:
                        raise _Cut(f"({key}) goes beyond the end of the data")
                    header[key] = decode(data[start:pos], text) if length else {"vr": vr}
                elif kind == CHARSET:
                    text = self.charset(header, start, length, end)
                    pos = start + length
                elif kind in (STOP, STOP_SEQUENCE, PADDING):
                    pos = end if kind == PADDING else start if kind == STOP else pos
                    reading = False
                    break
                else:
                    pos = self.other(key, kind, vr, decode, start, length, end, header, depth, path, text, False)
                    elsewhere += pos - start
            self.spend(n + 1, pos - chunk - elsewhere)
        if not ordered:
            _sort(header)
        return pos

    def learn_explicit(self, raw: bytes) -> Entry:
        """The entry of a tag and VR met for the first time."""
        group, element = struct.unpack_from(self.order + "HH", raw)
        tag = group << 16 | element
        vr = raw[4:].decode("latin-1")
        key = f"{tag:08X}"
        if group == 0xFFFE or raw == b"\0\0\0\0\0\0":
            kind = {0xE00D: STOP, 0xE0DD: STOP_SEQUENCE, 0: PADDING}.get(element, ODD)
            return key, kind, vr, un
        if vr not in KNOWN_VR:
            return key, ODD, vr, un
        entry = _entry(tag, vr, self.order)
        if len(self.explicit_table) < _NONSTANDARD_TAGS_KEPT:
            self.explicit_table[raw] = entry
        return entry

    def learn_implicit(self, raw: bytes) -> Entry:
        """The entry of a tag met for the first time."""
        group, element = struct.unpack_from(self.order + "HH", raw)
        tag = group << 16 | element
        if group == 0xFFFE or not tag:
            kind = {0xE00D: STOP, 0xE0DD: STOP_SEQUENCE, 0: PADDING}.get(element, ODD)
            if kind == ODD:
                raise _Cut(f"({tag:08X}) where an element should be")
            return f"{tag:08X}", kind, "", un
        vr = public_vr(tag)
        if vr is None and group % 2:
            if not 0x10 <= element <= 0xFF:
                return f"{tag:08X}", PRIVATE if element else SKIP, "UN", un
            vr = "LO"
        entry = _entry(tag, vr or "UN", self.order)
        if entry[1] == LONG:
            entry = (entry[0], PLAIN, *entry[2:])  # all lengths have 32 bits here
        if len(self.implicit_table) < _NONSTANDARD_TAGS_KEPT:
            self.implicit_table[raw] = entry
        return entry

    def odd(self, raw: bytes, length: int, pos: int, end: int) -> tuple[str, int, str, Decoder, int, int]:
        """An element of explicit VR whose VR is none: implicit in between, or a VR that came after this was written."""
        data = self.data
        group, element = struct.unpack_from(self.order + "HH", raw)
        if group == 0xFFFE:
            raise _Cut(f"({group:04X}{element:04X}) where an element should be")
        if not raw[4:].isalpha() or not raw[4:].isupper():
            key, kind, vr, decode = self.learn_implicit(raw[:4])
            (length,) = self.unpack_long(data, pos + 4)
            if kind == ODD or (length != UNDEFINED and pos + 8 + length > end):
                raise _Cut(f"({key}) has no value representation and no possible length")
            return key, kind, vr, decode, pos + 8, length
        key = f"{group:04X}{element:04X}"
        self.problems.append(f"({key}) has the unknown value representation {raw[4:].decode('latin-1')}")
        if not length and pos + 12 <= end:
            (long,) = self.unpack_long(data, pos + 8)
            after = pos + 12 + long
            if after == end or (after + 6 <= end and bytes(data[after + 4 : after + 6]).isupper()):
                return key, OCTETS, "UN", un, pos + 12, long
        return key, OCTETS, "UN", un, pos + 8, length

    def charset(self, header: Header, start: int, length: int, end: int) -> Decode:
        """Take over Specific Character Set; the header says UTF-8, which the JSON is in (PS3.18 F.2)."""
        if start + length > end:
            raise _Cut("Specific Character Set goes beyond the end of the data")
        header[_CHARSET_TAG] = {"vr": "CS", "Value": list(_UTF8)}
        declared = self.data[start : start + min(length, 256)].decode("latin-1").rstrip(" \0")
        return self.text(tuple(term.strip(" \0") for term in declared.split("\\")[:8]))

    def other(
        self,
        key: str,
        kind: int,
        vr: str,
        decode: Decoder,
        start: int,
        length: int,
        end: int,
        header: Header,
        depth: int,
        path: str,
        text: Decode,
        explicit: bool,
    ) -> int:
        """Read an element that is no short value into `header`; where reading goes on."""
        undefined = length == UNDEFINED
        if undefined and key in PIXEL_DATA:
            return self.encapsulated(key, "OB" if vr not in BYTES_VR or vr == "UN" else vr, start, header, path)
        if kind in (UNKNOWN, PRIVATE):
            kind, vr, decode = self.unknown(int(key, 16), kind, header, length, explicit)
        if kind == AMBIGUOUS:
            kind, vr, decode = self.ambiguous(key, vr, header, explicit)
        if undefined and kind in (UNKNOWN, PLAIN) and self.is_item(start):
            kind = SEQUENCE
        if kind == SEQUENCE:
            return self.sequence_element(key, start, length, end, header, depth, path, text, explicit)
        if undefined:
            return self.encapsulated(key, vr, start, header, path)
        stop = start + length
        if stop > end:
            if path or key not in PIXEL_DATA:
                raise _Cut(f"({key}) goes beyond the end of the data")
            if stop > len(self.whole):
                self.problems.append(f"({key}) is cut off: {len(self.whole) - start} of {length} octets are there")
                length, stop = len(self.whole) - start, len(self.whole)
        if kind in (SKIP, SKIP_LONG):
            return stop
        if not length:
            header[key] = {"vr": vr}
        elif kind == AMBIGUOUS and length <= INLINE_TEXT_BYTES:
            header[key] = {"vr": "US"}
            self.pending.append(((*self.stack,), key, self.data[start:stop]))
        elif key in PIXEL_DATA or length > (INLINE_BYTES if vr in BYTES_VR else INLINE_TEXT_BYTES):
            self.put_bulk(header, key, vr if vr in KNOWN_VR else "OW", path, start, length)
            if not path and key in PIXEL_DATA:
                self.pixel = key, start, length, None
        else:
            header[key] = decode(self.data[start:stop], text)
            self.spend(0, length)
        if not path and key in EXTENDED_OFFSETS:
            self.extended[key] = bytes(self.whole[start:stop])
        return stop

    def is_item(self, pos: int) -> bool:
        return pos + 8 <= len(self.data) and self.unpack_item(self.data, pos)[:2] == (0xFFFE, 0xE000)

    def put_bulk(self, header: Header, key: str, vr: str, path: str, start: int, length: int) -> None:
        element: Element = {"vr": vr, "BulkDataURI": ""}
        header[key] = element
        self.uris.append((element, path + key))
        self.bulk[path + key] = (start, length)

    def unknown(self, tag: int, kind: int, header: Header, length: int, explicit: bool) -> tuple[int, str, Decoder]:
        """What an element of VR UN, or a private one of implicit VR, is by the dictionaries (PS3.5 6.2.2)."""
        if explicit and length == UNDEFINED:
            return SEQUENCE, "SQ", un
        if tag & 0x10000:
            block = header.get(f"{tag >> 16:04X}00{tag >> 8 & 0xFF:02X}", {}).get("Value", ("",))
            creator = block[0] if len(block) == 1 and isinstance(block[0], str) else ""
            vr = _private_vr(tag, creator)
        elif length < 0xFFFF or kind == PRIVATE:
            vr = public_vr(tag) or "UN"
        else:
            vr = "UN"
        if vr == "UN":
            return UNKNOWN if length == UNDEFINED else OCTETS, vr, octets("UN")
        return _entry(tag, vr, self.order)[1:]

    def ambiguous(self, key: str, vr: str, header: Header, explicit: bool) -> tuple[int, str, Decoder]:
        """Settle "OB or OW" and the like by what stands before (PS3.5 A.1, A.2); "US or SS" stays for `settle`."""
        if vr == "US or SS":
            return AMBIGUOUS, vr, un
        if vr == "US or OW" and number({"": header.get("00283002", {})}, "") == 1:
            return PLAIN, "US", DECODERS[self.order]["US"]
        octet = explicit and key in _BITS_ALLOCATED and number(header, _BITS_ALLOCATED[key]) <= 8
        settled = "OB" if octet else "OW"
        return OCTETS, settled, DECODERS[self.order][settled]

    def encapsulated(self, key: str, vr: str, start: int, header: Header, path: str) -> int:
        """Octets of undefined length: items up to a sequence delimitation item (PS3.5 A.4)."""
        items, stop, after = fragments(self.whole, start, self.order, self.problems)
        if self.partial and after > len(self.data) and key not in PIXEL_DATA:
            raise NeedWhole
        self.put_bulk(header, key, vr if vr in BYTES_VR else "UN", path, start, stop - start)
        if not path and key in PIXEL_DATA:
            self.pixel = key, start, stop - start, items
        return after

    def sequence_element(
        self,
        key: str,
        start: int,
        length: int,
        end: int,
        header: Header,
        depth: int,
        path: str,
        text: Decode,
        explicit: bool,
    ) -> int:
        """Read a sequence; one of defined length that cannot be read to its end costs only its own remainder."""
        items: list[Header] = []
        header[key] = element = {"vr": "SQ", "Value": items}
        try:
            if length == UNDEFINED:
                return self.items(key, start, end, items, depth, path, text, explicit, delimited=True)
            stop = start + length
            if stop > end and self.partial:
                raise NeedWhole
            if stop > end:
                self.items(key, start, end, items, depth, path, text, explicit, delimited=False)
                raise _Cut(f"sequence ({key}) goes beyond the end of the data")
            level = len(self.stack)
            try:
                self.items(key, start, stop, items, depth, path, text, explicit, delimited=False)
            except (_Cut, struct.error) as cut:
                del self.stack[level:]
                for item in items:
                    _sort_deep(item)
                self.problems.append(f"sequence ({key}): {cut if isinstance(cut, _Cut) else 'cut off'}")
            return stop
        finally:
            if not items:
                del element["Value"]

    def items(
        self,
        key: str,
        pos: int,
        end: int,
        items: list[Header],
        depth: int,
        path: str,
        text: Decode,
        explicit: bool,
        *,
        delimited: bool,
    ) -> int:
        """Read items up to `end` or the sequence delimitation item (PS3.5 7.5); where reading goes on."""
        if depth >= MAX_DEPTH:
            raise NotDicom(f"Its sequences nest deeper than {MAX_DEPTH}.")
        data = self.data
        while pos < end:
            group, element, length = self.unpack_item(data, pos)
            pos += 8
            if group != 0xFFFE or pos > end:
                raise _Cut(f"({group:04X}{element:04X}) where an item of ({key}) should be")
            if element == 0xE0DD:
                return pos
            if element == 0xE00D:
                continue  # some writers delimit items of defined length as well
            self.spend(1, 0)
            item: Header = {}
            items.append(item)
            stop = end if length == UNDEFINED else pos + length
            beyond = stop > end
            # items of a sequence may be implicit VR in an explicit data set (PS3.5 6.2.2 note 2); writers do it unasked
            loop = self.explicit if explicit and _looks_explicit(data, pos) else self.implicit
            self.stack.append(item)
            after = loop(pos, end if beyond else stop, item, depth + 1, f"{path}{key}.{len(items)}.", text)
            self.stack.pop()
            if beyond:
                raise _Cut(f"item {len(items)} of ({key}) goes beyond the end of its sequence")
            pos = after if length == UNDEFINED else stop
        if delimited:
            self.problems.append(f"sequence ({key}) has no end")
        return pos

    def settle(self) -> None:
        """Decide what had to wait: "US or SS" by the nearest PixelRepresentation (PS3.3 C.7.6.3.1)."""
        for ancestors, key, raw in self.pending:
            header = ancestors[-1]
            signed = next((number(h, "00280103") for h in reversed(ancestors) if h.get("00280103", {}).get("Value")), 0)
            decode = DECODERS[self.order]["SS" if signed else "US"]
            if key in _LUT_DESCRIPTORS:
                decode = _descriptor(decode)
            header[key].clear()
            header[key].update(decode(raw, self.text(())))
        if self.foreign and _CHARSET_TAG not in self.header:
            self.header[_CHARSET_TAG] = {"vr": "CS", "Value": list(_UTF8)}
            _sort(self.header)


def _looks_explicit(data: Any, pos: int) -> bool:
    """Whether the element at `pos` has two capital letters for a VR; with nothing there, as the data set around it."""
    vr = data[pos + 4 : pos + 6]
    return len(vr) < 2 or (0x41 <= vr[0] <= 0x5A and 0x41 <= vr[1] <= 0x5A)


def _sort(header: Header) -> None:
    elements = sorted(header.items())
    header.clear()
    header.update(elements)


def _sort_deep(header: Header) -> None:
    """Put a header in order that was left in the middle, and all that are in it."""
    _sort(header)
    for element in header.values():
        if element["vr"] == "SQ":
            for item in element.get("Value", ()):
                _sort_deep(item)
