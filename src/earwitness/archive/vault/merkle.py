"""The Merkle tree of RFC 9162 §2.1: hashes, inclusion and consistency proofs. Pure.

A leaf is SHA-256(0x00 || entry), a node SHA-256(0x01 || left || right). Complete subtrees are kept, so the root and
every proof take O(log n) to O(log² n) hashes, whatever the size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash of an entry."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


class MerkleTree:
    """An append-only tree of leaf hashes."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def leaf(self, index: int) -> bytes:
        """The hash of a leaf."""
        return self._levels[0][index]

    def append(self, leaf: bytes) -> int:
        """Adds a leaf hash; gives its index."""
        index = len(self)
        self._levels[0].append(leaf)
        level, position = 0, index
        while position % 2 == 1:
            pair = self._levels[level]
            if level + 1 == len(self._levels):
                self._levels.append([])
            self._levels[level + 1].append(node_hash(pair[position - 1], pair[position]))
            level, position = level + 1, position // 2
        return index

    def root(self, size: int | None = None) -> bytes:
        """The root over the first ``size`` leaves, by default all."""
        size = len(self) if size is None else size
        if not 0 <= size <= len(self):
            raise ValueError(f"the tree has {len(self)} leaves, not {size}")
        return self._subtree(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """PATH(index, D_size) of RFC 9162 §2.1.3.1."""
        size = len(self) if size is None else size
        if not 0 <= index < size <= len(self):
            raise ValueError(f"no leaf {index} in a tree of {size}")
        path, begin, end = [], 0, size
        while end - begin > 1:
            middle = begin + _split(end - begin)
            if index < middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(begin, middle))
                begin = middle
        return path[::-1]

    def consistency_proof(self, old: int, new: int | None = None) -> list[bytes]:
        """PROOF(old, D_new) of RFC 9162 §2.1.4.1; empty for ``old`` 0 or equal to ``new``."""
        new = len(self) if new is None else new
        if not 0 <= old <= new <= len(self):
            raise ValueError(f"no tree of {old} within one of {new}")
        if old in (0, new):
            return []
        return self._subproof(old, 0, new, whole=True)

    def _subproof(self, old: int, begin: int, end: int, *, whole: bool) -> list[bytes]:
        if old == end - begin:
            return [] if whole else [self._subtree(begin, end)]
        middle = _split(end - begin)
        if old <= middle:
            return [*self._subproof(old, begin, begin + middle, whole=whole), self._subtree(begin + middle, end)]
        rest = self._subproof(old - middle, begin + middle, end, whole=False)
        return [*rest, self._subtree(begin, begin + middle)]

    def _subtree(self, begin: int, end: int) -> bytes:
        """MTH of leaves [begin, end); begin is a multiple of the power of two that holds them."""
        size = end - begin
        level = size.bit_length() - 1
        if size == 1 << level:
            return self._levels[level][begin >> level]
        middle = begin + _split(size)
        return node_hash(self._subtree(begin, middle), self._subtree(middle, end))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162 §2.1.3.2."""
    if not 0 <= index < size:
        return False
    position, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position % 2 or position == last:
            result = node_hash(sibling, result)
            while not position % 2 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 §2.1.4.2: the tree of ``new`` leaves begins with that of ``old``."""
    if not 0 <= old <= new:
        return False
    if old == new or old == 0:
        return not proof and (old_root == new_root if old == new else old_root == EMPTY_ROOT)
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    position, last = old - 1, new - 1
    while position % 2:
        position, last = position >> 1, last >> 1
    first = second = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if position % 2 or position == last:
            first, second = node_hash(node, first), node_hash(node, second)
            while not position % 2 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, node)
        position, last = position >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(size: int) -> int:
    """The largest power of two smaller than ``size``."""
    return 1 << (size - 1).bit_length() - 1
