"""Merkle trees over a list of byte strings: root and audit paths of RFC 6962, section 2.1 (the same in RFC 9162).

A leaf is SHA-256(0x00 || data), a node SHA-256(0x01 || left || right), so that no node can pass for a leaf. The left part
of a tree of n leaves holds the largest power of two below n. Trees are built leaf by leaf in memory of order log n.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf, 32 bytes."""
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two parts, 32 bytes."""
    return _sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows leaf by leaf; `wanted` are the indices (from 0) of the leaves whose audit paths are kept.

    Kept are the roots of the complete subtrees, the largest first: as many as the number of leaves has binary ones.
    """

    def __init__(self, wanted: Collection[int] = ()) -> None:
        self.n = 0
        self._paths: dict[int, list[bytes]] = {index: [] for index in wanted}
        self._parts: list[tuple[bytes, list[int]]] = []  # the hash of a subtree and which wanted leaves are in it

    def add(self, data: bytes) -> None:
        """One more leaf."""
        part = (leaf_hash(data), [self.n] if self.n in self._paths else [])
        full = self.n
        while full & 1:  # subtrees of one size join
            part = self._joined(self._parts.pop(), part)
            full >>= 1
        self._parts.append(part)
        self.n += 1

    def close(self) -> tuple[bytes, dict[int, list[bytes]]]:
        """The root of all leaves so far, and by index the audit paths, from the leaf up. No leaf can follow."""
        if not self._parts:
            return _sha256(b"").digest(), {}
        part = self._parts.pop()
        while self._parts:
            part = self._joined(self._parts.pop(), part)
        return part[0], {index: path for index, path in self._paths.items() if index < self.n}

    def _joined(self, left: tuple[bytes, list[int]], right: tuple[bytes, list[int]]) -> tuple[bytes, list[int]]:
        for index in left[1]:
            self._paths[index].append(right[0])
        for index in right[1]:
            self._paths[index].append(left[0])
        return node_hash(left[0], right[0]), left[1] + right[1]


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaves; of none SHA-256 of nothing."""
    tree = Tree()
    for data in leaves:
        tree.add(data)
    return tree.close()[0]


def root_by(data: bytes, index: int, n: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an audit path gives for leaf `index` of `n` (RFC 9162, section 2.1.3.2); None where it cannot fit."""
    if not 0 <= index < n:
        return None
    found, at, last = leaf_hash(data), index, n - 1
    for other in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            found = node_hash(other, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, other)
        at, last = at >> 1, last >> 1
    return found if last == 0 else None
