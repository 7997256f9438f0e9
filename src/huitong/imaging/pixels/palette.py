"""PALETTE COLOR images to RGB (PS3.3 C.7.6.3.1.5, C.7.9)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.elements import (
    EXPLICIT_BIG_ENDIAN,
    BulkReader,
    Header,
    binary,
    numbers,
    tag_of,
)

_COLOURS = ("Red", "Green", "Blue")


def palette_rgb(
    header: Header, index: NDArray[np.generic], bulk: BulkReader | None, transfer_syntax_uid: str
) -> NDArray[np.uint8]:
    """(rows, columns, 3) shades of palette indices; CannotRender when the palette is missing or of an unknown kind."""
    big_endian = transfer_syntax_uid == EXPLICIT_BIG_ENDIAN
    rgb = np.empty((*index.shape, 3), dtype=np.uint8)
    for channel, colour in enumerate(_COLOURS):
        first, table = _channel(header, colour, bulk, big_endian)
        at = np.clip(index.astype(np.int64) - first, 0, table.size - 1)
        rgb[..., channel] = table[at]
    return rgb


def _channel(header: Header, colour: str, bulk: BulkReader | None, big_endian: bool) -> tuple[int, NDArray[np.uint8]]:
    """(first index mapped, 8-bit entries) of one colour."""
    descriptor = [int(value) for value in numbers(header, f"{colour}PaletteColorLookupTableDescriptor")]
    if len(descriptor) < 3:
        raise CannotRender("the palette has no descriptor")
    count, first, bits = (descriptor[0] & 0xFFFF) or 65536, descriptor[1], descriptor[2]
    plain = f"{colour}PaletteColorLookupTableData"
    if tag_of(plain) in header:
        return first, _eight_bits(_words(header, plain, bulk, big_endian, count), bits, count)
    segmented = f"Segmented{colour}PaletteColorLookupTableData"
    words = _words(header, segmented, bulk, big_endian, count)
    return first, _eight_bits(_expanded(words.tolist(), count), bits, count)


def _words(header: Header, keyword: str, bulk: BulkReader | None, big_endian: bool, count: int) -> NDArray[np.uint16]:
    """Entries as 16-bit words; a table with one byte an entry is widened."""
    data = binary(header, keyword, bulk) or b""
    if not data:
        raise CannotRender("the palette has no data")
    kind = ">u2" if big_endian else "<u2"
    if len(data) < 2 * count and not keyword.startswith("Segmented"):
        if big_endian:  # pairs of bytes were swapped as words
            data = np.frombuffer(data[: len(data) // 2 * 2], dtype=kind).astype("<u2").tobytes()
        return np.frombuffer(data, dtype=np.uint8).astype(np.uint16)
    return np.frombuffer(data, dtype=kind, count=len(data) // 2).astype(np.uint16)


def _eight_bits(words: NDArray[np.uint16], bits: int, count: int) -> NDArray[np.uint8]:
    """Shades; many writers give 16 bits in the descriptor and fill only the low byte, or the reverse."""
    words = words[:count]
    if words.size == 0:
        raise CannotRender("the palette is empty")
    wide = int(words.max()) > 255 if bits != 8 else bool((words > 255).any())
    return ((words >> 8) if wide else words).astype(np.uint8)


def _expanded(words: list[int], count: int) -> NDArray[np.uint16]:
    """A segmented palette written out: discrete, linear and indirect segments (PS3.3 C.7.9.2)."""
    entries: list[int] = []
    _walk(words, 0, len(words), entries, count)
    return np.asarray(entries[:count], dtype=np.uint16)


def _walk(words: list[int], at: int, end: int, entries: list[int], count: int, repeats: int | None = None) -> None:
    while at + 1 < end and len(entries) < count and repeats != 0:
        opcode, length = words[at], words[at + 1]
        if opcode == 0:  # discrete
            entries += words[at + 2 : at + 2 + length]
            at += 2 + length
        elif opcode == 1 and entries and at + 2 < end:  # linear, from the last entry
            entries += np.linspace(entries[-1], words[at + 2], length + 1)[1:].round().astype(int).tolist()
            at += 3
        elif opcode == 2 and repeats is None and at + 3 < end:  # indirect: `length` segments from an offset
            _walk(words, words[at + 2] | words[at + 3] << 16, end, entries, count, length)
            at += 4
        else:
            raise CannotRender("the segmented palette is broken")
        repeats = None if repeats is None else repeats - 1
