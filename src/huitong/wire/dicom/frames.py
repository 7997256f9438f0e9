"""Where the frames of an image lie inside its stored bytes, kept beside the index and read at every frame request."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEAD = struct.Struct("<BIQQ")
_NATIVE, _ENCAPSULATED = 1, 2


@dataclass(frozen=True, slots=True)
class Frames:
    """Frame positions, in bytes from the beginning of the stored Part 10 file; of a deflated one, as `Scanned` says.

    Native pixel data: frame `n` (from 1) lies at `offset + (n - 1) * length`; when `length` is 0 the frames are not
    byte-aligned (BitsAllocated 1) and have to be cut from the whole value of `offset` and `total`.
    Encapsulated: `fragments[n - 1]` is the list of (offset, length) pairs whose bytes joined are frame `n`
    (PS3.5 A.4).
    """

    count: int
    offset: int = 0
    length: int = 0
    total: int = 0
    fragments: tuple[tuple[tuple[int, int], ...], ...] | None = None

    @property
    def encapsulated(self) -> bool:
        return self.fragments is not None

    def ranges(self, number: int) -> tuple[tuple[int, int], ...]:
        """(offset, length) pairs that joined make frame `number` (from 1); IndexError if there is no such frame."""
        if not 1 <= number <= self.count:
            raise IndexError(number)
        if self.fragments is not None:
            return self.fragments[number - 1]
        if self.length == 0:
            return ((self.offset, self.total),)
        return ((self.offset + (number - 1) * self.length, self.length),)

    def shifted(self, by: int) -> Frames:
        """The same frames when `by` bytes have been put before the file."""
        if self.fragments is None:
            return Frames(self.count, self.offset + by, self.length, self.total)
        moved = tuple(tuple((offset + by, length) for offset, length in pieces) for pieces in self.fragments)
        return Frames(self.count, fragments=moved)

    def pack(self) -> bytes:
        """A compact form for the index; `unpack` gives the same value back."""
        if self.fragments is None:
            return _HEAD.pack(_NATIVE, self.count, self.offset, self.length) + struct.pack("<Q", self.total)
        flat: list[int] = []
        for pieces in self.fragments:
            flat.append(len(pieces))
            for offset, length in pieces:
                flat += (offset, length)
        return _HEAD.pack(_ENCAPSULATED, self.count, len(flat), 0) + struct.pack(f"<{len(flat)}Q", *flat)

    @classmethod
    def unpack(cls, packed: bytes) -> Frames:
        kind, count, first, second = _HEAD.unpack_from(packed)
        if kind == _NATIVE:
            (total,) = struct.unpack_from("<Q", packed, _HEAD.size)
            return cls(count, first, second, total)
        flat = struct.unpack_from(f"<{first}Q", packed, _HEAD.size)
        fragments, at = [], 0
        while at < len(flat):
            pieces = flat[at]
            pairs = tuple((flat[at + 1 + 2 * k], flat[at + 2 + 2 * k]) for k in range(pieces))
            fragments.append(pairs)
            at += 1 + 2 * pieces
        return cls(count, fragments=tuple(fragments))
