"""Merkle trees against the definitions of RFC 6962, section 2.1, written out as they stand there."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from ingest.merkle import Tree, root_by, root_of

LEAVES = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    bytes(range(0x50, 0x58)),
    bytes(range(0x60, 0x70)),
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Roots of the first 1, 2, ... 8 of these leaves: the test vectors that the implementations of certificate transparency share."""


def hashed(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def part(n: int) -> int:
    return max(k for k in (2**i for i in range(n.bit_length())) if k < n)


def mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashed(b"")
    if len(leaves) == 1:
        return hashed(b"\x00" + leaves[0])
    k = part(len(leaves))
    return hashed(b"\x01" + mth(leaves[:k]) + mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = part(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def test_known_roots() -> None:
    assert [root_of(LEAVES[: n + 1]).hex() for n in range(8)] == ROOTS
    assert root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_every_path_of_every_small_tree() -> None:
    for n in range(1, 70):
        leaves = [b"%d" % k for k in range(n)]
        tree = Tree(range(n))
        for leaf in leaves:
            tree.add(leaf)
        root, paths = tree.close()
        assert root == mth(leaves)
        for k, leaf in enumerate(leaves):
            assert paths[k] == path(k, leaves)
            assert root_by(leaf, k, n, paths[k]) == root
            assert root_by(leaf, k, n, [*paths[k], root]) is None
            assert n == 1 or root_by(leaf, k, n, paths[k][:-1]) is None
            assert all(root_by(leaf, other, n, paths[k]) != root for other in range(-1, n + 1) if other != k)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=300, unique=True), st.data())
def test_a_path_proves_its_leaf_and_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    k = data.draw(st.integers(0, len(leaves) - 1))
    tree = Tree({k, len(leaves) + 5})
    for leaf in leaves:
        tree.add(leaf)
    root, paths = tree.close()
    assert (root, paths) == (mth(leaves), {k: path(k, leaves)})
    assert root_of(leaves) == root
    other = data.draw(st.binary(max_size=40).filter(lambda leaf: leaf != leaves[k]))
    assert root_by(other, k, len(leaves), paths[k]) != root
