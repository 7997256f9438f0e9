"""Roots are those that Certificate Transparency publishes for its leaves; proofs prove, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.access.merkle import (
    EMPTY,
    STEP,
    Frontier,
    consistency,
    consistency_ranges,
    continues,
    includes,
    inclusion,
    leaf_hash,
    range_root,
    root_of,
)

#: Leaves, roots and proofs of the reference tests of google/certificate-transparency (merkletree) and Trillian.
LEAVES = [
    leaf_hash(bytes.fromhex(each))
    for each in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION_0_OF_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
INCLUSION_5_OF_8 = [
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]
CONSISTENCY_2_OF_5 = [
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size]


def test_proofs_are_the_published_ones() -> None:
    assert [each.hex() for each in inclusion(LEAVES, 0)] == INCLUSION_0_OF_8
    assert [each.hex() for each in inclusion(LEAVES, 5)] == INCLUSION_5_OF_8
    assert [each.hex() for each in consistency(LEAVES[:5], 2)] == CONSISTENCY_2_OF_5
    assert [each.hex() for each in consistency(LEAVES, 1)] == INCLUSION_0_OF_8


def test_a_tree_that_is_kept_as_its_frontier_grows_as_if_it_were_whole() -> None:
    assert Frontier().root() == EMPTY
    grown = Frontier()
    for number in range(70):
        grown = Frontier(grown.size, grown.hashes)
        grown.add(_leaf(number))
        assert grown.root() == root_of([_leaf(each) for each in range(number + 1)])
    with pytest.raises(ValueError, match="each bit"):
        Frontier(3, [EMPTY])


@given(st.integers(1, 70), st.data())
def test_a_leaf_is_proved_at_its_place_and_nowhere_else(size: int, data: st.DataObject) -> None:
    leaves = [_leaf(each) for each in range(size)]
    index, other = (data.draw(st.integers(0, size - 1)) for _ in range(2))
    root, path = root_of(leaves), inclusion(leaves, index)
    assert includes(root, size, index, leaves[index], path)
    assert includes(root, size, other, leaves[index], path) == (other == index)
    assert not includes(root, size, index, _leaf(size), path)
    assert not includes(root, size, index, leaves[index], [*path, EMPTY])
    assert not includes(root, size, index, leaves[index], path[:-1]) or size == 1
    assert not includes(root, size, size, leaves[index], path)


@given(st.integers(1, 70), st.data())
def test_a_beginning_is_proved_and_no_altered_one(size: int, data: st.DataObject) -> None:
    leaves = [_leaf(each) for each in range(size)]
    first = data.draw(st.integers(1, size))
    altered = data.draw(st.integers(0, first - 1))
    root, path = root_of(leaves), consistency(leaves, first)
    assert continues(first, root_of(leaves[:first]), size, root, path)
    other = [EMPTY if number == altered else leaf for number, leaf in enumerate(leaves[:first])]
    assert not continues(first, root_of(other), size, root, path)
    assert not continues(first, root_of(leaves[:first]), size, root, [*path, EMPTY])
    assert not continues(first, root_of(leaves[:first]), size, EMPTY, path)
    assert not continues(0, EMPTY, size, root, path)


@given(st.integers(1, 1100), st.data())
def test_a_proof_is_the_same_from_few_kept_subtrees(size: int, data: st.DataObject) -> None:
    leaves, kept = [_leaf(each) for each in range(size)], dict[tuple[int, int], bytes]()
    grown = Frontier()
    for leaf in leaves:
        grown.add(leaf, lambda level, number, found: kept.__setitem__((level, number), found))
    assert sorted(kept) == [(STEP, number) for number in range(size >> STEP)]
    first = data.draw(st.integers(1, size))

    def read(level: int, number: int, count: int) -> list[bytes]:
        assert count <= 1 << STEP
        return [leaves[each] if level == 0 else kept[level, each] for each in range(number, number + count)]

    proof = [range_root(*each, read) for each in consistency_ranges(first, size)]
    assert proof == consistency(leaves, first)
    assert range_root(0, size, read) == root_of(leaves) == grown.root()


def test_a_subtree_that_is_not_there_makes_no_proof() -> None:
    with pytest.raises(LookupError):
        range_root(0, 4, lambda level, number, count: LEAVES[:3])


def test_what_is_in_no_tree_has_no_proof() -> None:
    for index in (-1, 8):
        with pytest.raises(IndexError):
            inclusion(LEAVES, index)
    for first in (0, 9):
        with pytest.raises(IndexError):
            consistency(LEAVES, first)
    assert not continues(3, root_of(LEAVES[:3]), 8, root_of(LEAVES), [])


def _leaf(number: int) -> bytes:
    return leaf_hash(number.to_bytes(4))
