"""Merkle trees over lists that only grow (RFC 9162 section 2.1, the hashes of RFC 6962): roots, and proofs about them.

Pure. A leaf is bytes; hashes are SHA-256, 32 bytes. Leaves are counted from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

EMPTY = hashlib.sha256().digest()
#: Of the whole subtrees those of so many levels are kept, and of its multiples, so that proofs read few leaves: a
#: subtree of level 8 has 256 leaves.
STEP = 8
#: Told (level, number among those of its level from 0, hash).
Ended = Callable[[int, int, bytes], None]
#: Given (level, number, count), the hashes of so many subtrees from that one on; level 0 are the leaves.
Kept = Callable[[int, int, int], Sequence[bytes]]


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """A tree of `size` leaves as the roots of its whole subtrees, the largest first: one for each bit of `size`.

    It is all that a tree needs to grow: 24 hashes for ten million leaves.
    """

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if size.bit_count() != len(self.hashes):
            raise ValueError("one hash belongs to each bit of the size")

    def add(self, leaf: bytes, ended: Ended | None = None) -> None:
        """One leaf more, by its hash; `ended` is told of the subtrees to be kept that are whole with it."""
        self.size += 1
        whole, level = self.size, 0
        while not whole & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            whole >>= 1
            level += 1
            if ended and not level % STEP:
                ended(level, whole - 1, leaf)
        self.hashes.append(leaf)

    def root(self) -> bytes:
        if not self.hashes:
            return EMPTY
        found = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            found = node_hash(left, found)
        return found


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Of leaves by their hashes."""
    grown = Frontier()
    for leaf in leaves:
        grown.add(leaf)
    return grown.root()


# --- proofs: that a leaf is in a tree, and that a tree is the beginning of another ---


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """PATH of RFC 9162 2.1.3.1, for the leaf at `index`. Raises IndexError."""
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    if len(leaves) == 1:
        return []
    middle = _middle(len(leaves))
    if index < middle:
        return [*inclusion(leaves[:middle], index), root_of(leaves[middle:])]
    return [*inclusion(leaves[middle:], index - middle), root_of(leaves[:middle])]


def consistency(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """PROOF of RFC 9162 2.1.4.1: the first `first` leaves are the beginning of `leaves`. Raises IndexError."""
    return [root_of(leaves[start:end]) for start, end in consistency_ranges(first, len(leaves))]


def consistency_ranges(first: int, size: int) -> list[tuple[int, int]]:
    """The leaves, from and until before, whose roots are that proof. Raises IndexError."""
    if not 0 < first <= size:
        raise IndexError(first)
    return _ranges(0, size, first, whole=True)


def _ranges(start: int, end: int, first: int, *, whole: bool) -> list[tuple[int, int]]:
    if first == end:
        return [] if whole else [(start, end)]
    middle = start + _middle(end - start)
    if first <= middle:
        return [*_ranges(start, middle, first, whole=whole), (middle, end)]
    return [*_ranges(middle, end, first, whole=False), (start, middle)]


def range_root(start: int, end: int, kept: Kept) -> bytes:
    """The root of the leaves from `start` until before `end`, a range of a proof.

    Raises LookupError where `kept` has not all of them.
    """
    found: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append(_subtree(level, start >> level, kept))
        start += 1 << level
    root = found.pop()
    while found:
        root = node_hash(found.pop(), root)
    return root


def _subtree(level: int, number: int, kept: Kept) -> bytes:
    above = level % STEP
    hashes = kept(level - above, number << above, 1 << above)
    if len(hashes) != 1 << above:
        raise LookupError(f"subtree {number} of level {level} is not whole")
    for _ in range(above):
        hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]


def _middle(size: int) -> int:
    """The largest power of two that is smaller than `size`, which is two at least."""
    return 1 << ((size - 1).bit_length() - 1)


def includes(root: bytes, size: int, index: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path shows that the leaf of this hash is at `index` in the tree (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for each in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(each, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, each)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def continues(first: int, first_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path shows that the first tree is the beginning of the second (RFC 9162 2.1.4.2)."""
    if first == size:
        return not path and first_root == root
    if not 0 < first < size:
        return False
    hashes = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if not hashes:
        return False
    at, last = first - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = hashes[0]
    for each in hashes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, each)
        at, last = at >> 1, last >> 1
    return last == 0 and (old, new) == (first_root, root)
