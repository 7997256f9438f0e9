"""Merkle trees over lists that only grow (RFC 9162 section 2.1, the hashes of RFC 6962): roots, and proofs about them.

Pure. A leaf is bytes; hashes are SHA-256, 32 bytes. Leaves are counted from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256().digest()


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

    def add(self, leaf: bytes) -> None:
        """One leaf more, by its hash."""
        self.size += 1
        whole = self.size
        while not whole & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            whole >>= 1
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
    if not 0 < first <= len(leaves):
        raise IndexError(first)
    return _consistency(leaves, first, whole=True)


def _consistency(leaves: Sequence[bytes], first: int, *, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root_of(leaves)]
    middle = _middle(len(leaves))
    if first <= middle:
        return [*_consistency(leaves[:middle], first, whole=whole), root_of(leaves[middle:])]
    return [*_consistency(leaves[middle:], first - middle, whole=False), root_of(leaves[:middle])]


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
