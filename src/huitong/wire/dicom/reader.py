"""One pass over a data set (PS3.5 7), the hot loop of receiving; over 400 lines, as its loops must not be torn apart.

Elements become the JSON model, bulk values positions. The loops of explicit and implicit VR are nearly all of the
running time and alike but for how an element begins; sequences, limits and damage are dealt with around them.

Laws of this file. An element costs no object but its own JSON. Nothing read is believed about sizes: every length is
held against what is there, depth, elements and octets are limited (`MAX_...`), and what breaks off (`_Cut`) leaves what
was read before it. It knows no file: positions count from the beginning of `data`.
"""

from __future__ import annotations

import struct
from typing import Any

from huitong.base.errors import NotDicom
from huitong.wire.dicom.charset import Decode, decoder
from huitong.wire.dicom.entries import (
    AMBIGUOUS,
    CHARSET,
    CHARSET_LONG,
    EXPLICIT,
    IMPLICIT,
    LONG,
    LUT_DESCRIPTORS,
    OCTETS,
    ODD,
    PADDING,
    PLAIN,
    PRIVATE,
    SEQUENCE,
    SKIP,
    SKIP_LONG,
    STOP,
    STOP_SEQUENCE,
    UNDEFINED,
    UNKNOWN,
    ambiguous,
    descriptor,
    learn_explicit,
    learn_implicit,
    unknown,
)
from huitong.wire.dicom.pixels import MAX_FRAGMENTS, Buffer, Fragment, Header, fragments, number
from huitong.wire.dicom.recall import recall
from huitong.wire.dicom.values import DECODERS, Decoder, Element, un
from huitong.wire.dicom.vr import BYTES_VR, KNOWN_VR

#: Structured reports nest deepest; those seen stay under 15.
MAX_DEPTH = 64
#: Elements and items together. An enhanced object of 5 000 frames has about 100 000.
MAX_ELEMENTS = 1_000_000
#: Octets of all values that become JSON; as Python numbers they take up to 16 times that.
MAX_HEADER_BYTES = 64 << 20
#: Octets above which a binary value is given as BulkDataURI, and above which any value is.
INLINE_BYTES, INLINE_TEXT_BYTES = 1024, 1 << 20

PIXEL_DATA = frozenset({"7FE00008", "7FE00009", "7FE00010"})
EXTENDED_OFFSETS = ("7FE00001", "7FE00002")
_CHARSET_TAG = "00080005"
#: What a JSON header says of its own character set, PS3.18 F.2.
_UTF8 = ["ISO_IR 192"]


class _Cut(Exception):
    """Reading cannot go on at this level."""


class NeedWhole(Exception):
    """The data set goes on beyond the part of it that was given."""


class Reader:
    """Reads one data set of `data`; what it finds is in its fields.

    `data` is `bytes` or an mmap, or the first part as `bytes` of `whole`, which then is any buffer.
    """

    __slots__ = (
        "bulk", "count", "data", "explicit_table", "extended", "foreign", "header", "implicit_table",
        "octets_read", "order", "partial", "pending", "pixel", "problems", "stack", "terms", "unpack_explicit",
        "unpack_implicit", "unpack_item", "unpack_long", "uris", "whole",
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
        #: Character sets of the data set itself.
        self.terms: tuple[str, ...] = ()
        self.count = 0
        self.octets_read = 0
        self.explicit_table = EXPLICIT[order]
        self.implicit_table = IMPLICIT[order]
        self.unpack_explicit = struct.Struct(order + "6sH").unpack_from
        self.unpack_implicit = struct.Struct(order + "4sL").unpack_from
        self.unpack_item = struct.Struct(order + "HHL").unpack_from
        self.unpack_long = struct.Struct(order + "L").unpack_from

    def read(self, start: int, *, explicit: bool, plainly: bool = True) -> None:
        """Read the data set that begins at `start` to its end, or as far as it can be read.

        Not `plainly`: with the help of `recall`. Raises NeedWhole where it has to be done plainly, with all of it.
        """
        loop = self.explicit if explicit else self.implicit
        try:
            begun = start if plainly else recall(self, start, explicit)
            end = loop(begun, len(self.data), self.header, 0, "", self.text(self.terms))
        except (_Cut, struct.error) as cut:
            if self.partial or not plainly:
                raise NeedWhole from cut
            self.problems.append(str(cut) if isinstance(cut, _Cut) else "the data set is cut off")
            _sort_deep(self.header)
        else:
            if end < len(self.whole):
                if self.partial:
                    raise NeedWhole
                self.problems.append("the data set ends before the data do")
            if begun > start and list(self.header) != sorted(self.header):
                _sort(self.header)
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

    def explicit(self, pos: int, end: int, header: Header, depth: int, path: str, text: Decode, most: int = 0) -> int:
        """Read an explicit VR data set up to `end` or its delimitation item into `header`; where reading goes on.

        With `most`, at most so many elements.
        """
        data, unpack, table = self.data, self.unpack_explicit, self.explicit_table
        last, ordered, reading = "", True, True
        while reading and pos < end:
            chunk, elsewhere, n = pos, 0, 0
            for n in range(most or 256):  # noqa: B007 - what it came to is spent below
                if pos >= end:
                    break
                raw, length = unpack(data, pos)
                try:
                    key, kind, vr, decode = table[raw]
                except KeyError:
                    key, kind, vr, decode = learn_explicit(raw, self.order)
                if key <= last:
                    ordered = False
                last = key
                start = pos + 8
                if not kind:  # PLAIN, nearly always
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
                if kind == SEQUENCE:
                    pos = self.sequence(key, start, length, end, header, depth, path, text, True)
                    elsewhere += pos - start
                elif kind in (CHARSET, CHARSET_LONG):
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
            if most:
                break
        if not ordered:
            _sort(header)
        return pos

    def implicit(self, pos: int, end: int, header: Header, depth: int, path: str, text: Decode, most: int = 0) -> int:
        """The same for implicit VR."""
        data, unpack, table = self.data, self.unpack_implicit, self.implicit_table
        last, ordered, reading = "", True, True
        while reading and pos < end:
            chunk, elsewhere, n = pos, 0, 0
            for n in range(most or 256):  # noqa: B007 - what it came to is spent below
                if pos >= end:
                    break
                raw, length = unpack(data, pos)
                try:
                    key, kind, vr, decode = table[raw]
                except KeyError:
                    key, kind, vr, decode = learn_implicit(raw, self.order)
                if key <= last:
                    ordered = False
                last = key
                start = pos + 8
                if kind == PLAIN and length <= INLINE_TEXT_BYTES:
                    pos = start + length
                    if pos > end:
                        raise _Cut(f"({key}) goes beyond the end of the data")
                    header[key] = decode(data[start:pos], text) if length else {"vr": vr}
                elif kind == SEQUENCE:
                    pos = self.sequence(key, start, length, end, header, depth, path, text, False)
                    elsewhere += pos - start
                elif kind == CHARSET:
                    text = self.charset(header, start, length, end)
                    pos = start + length
                elif kind in (STOP, STOP_SEQUENCE, PADDING):
                    pos = end if kind == PADDING else start if kind == STOP else pos
                    reading = False
                    break
                elif kind == ODD:
                    raise _Cut(f"({key}) where an element should be")
                else:
                    pos = self.other(key, kind, vr, decode, start, length, end, header, depth, path, text, False)
                    elsewhere += pos - start
            self.spend(n + 1, pos - chunk - elsewhere)
            if most:
                break
        if not ordered:
            _sort(header)
        return pos

    def odd(self, raw: bytes, length: int, pos: int, end: int) -> tuple[str, int, str, Decoder, int, int]:
        """An element of explicit VR whose VR is none: implicit in between, or a VR that came after this was written."""
        data = self.data
        group, element = struct.unpack_from(self.order + "HH", raw)
        if group == 0xFFFE:
            raise _Cut(f"({group:04X}{element:04X}) where an element should be")
        if not raw[4:].isalpha() or not raw[4:].isupper():
            key, kind, vr, decode = learn_implicit(raw[:4], self.order)
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
        terms = tuple(term.strip(" \0") for term in declared.split("\\")[:8])
        if header is self.header:
            self.terms = terms
        return self.text(terms)

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
            kind, vr, decode = unknown(int(key, 16), kind, header, length, explicit, self.order)
        if kind == AMBIGUOUS:
            kind, vr, decode = ambiguous(key, vr, header, explicit, self.order)
        if undefined and kind in (UNKNOWN, PLAIN) and self.is_item(start):
            kind = SEQUENCE
        if kind == SEQUENCE:
            return self.sequence(key, start, length, end, header, depth, path, text, explicit)
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
        if not path and key in EXTENDED_OFFSETS and length <= 8 * MAX_FRAGMENTS:
            self.extended[key] = bytes(self.whole[start:stop])
        return stop

    def is_item(self, pos: int) -> bool:
        return pos + 8 <= len(self.data) and self.unpack_item(self.data, pos)[:2] == (0xFFFE, 0xE000)

    def put_bulk(self, header: Header, key: str, vr: str, path: str, start: int, length: int) -> None:
        element: Element = {"vr": vr, "BulkDataURI": ""}
        header[key] = element
        self.uris.append((element, path + key))
        self.bulk[path + key] = (start, length)

    def encapsulated(self, key: str, vr: str, start: int, header: Header, path: str) -> int:
        """Octets of undefined length: items up to a sequence delimitation item (PS3.5 A.4)."""
        items, stop, after = fragments(self.whole, start, self.order, self.problems)
        if self.partial and after > len(self.data) and key not in PIXEL_DATA:
            raise NeedWhole
        self.put_bulk(header, key, vr if vr in BYTES_VR else "UN", path, start, stop - start)
        if not path and key in PIXEL_DATA:
            self.pixel = key, start, stop - start, items
        return after

    def sequence(
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
            if not length:
                self.spend(1, 0)  # others are counted by their elements
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

    def shift(self, by: int) -> None:
        """Count positions from elsewhere: from `by` octets before the beginning of `data`."""
        if not by:
            return
        self.bulk = {path: (start + by, length) for path, (start, length) in self.bulk.items()}
        if self.pixel is not None:
            tag, start, length, items = self.pixel
            self.pixel = tag, start + by, length, items and [(at + by, size) for at, size in items]

    def settle(self) -> None:
        """Decide what had to wait: "US or SS" by the nearest PixelRepresentation (PS3.3 C.7.6.3.1)."""
        for ancestors, key, raw in self.pending:
            header = ancestors[-1]
            signed = next((number(h, "00280103") for h in reversed(ancestors) if h.get("00280103", {}).get("Value")), 0)
            decode = DECODERS[self.order]["SS" if signed else "US"]
            if key in LUT_DESCRIPTORS:
                decode = descriptor(decode)
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
