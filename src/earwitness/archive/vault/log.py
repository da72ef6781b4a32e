"""The append-only log of a vault: what was sealed and destroyed, in an order nobody can change unnoticed.

``log/entry/<index>.json``
    one entry, created once and never replaced; the store's conditional create decides who comes next.
``log/tile/<n>``
    leaf hashes of entries 1024 n to 1024 n + 1023, so that a start reads a tile instead of a thousand entries.
``log/head.json``
    the last signed tree head; it can always be made again from the entries.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earwitness.archive.vault.errors import IntegrityError
from earwitness.archive.vault.keys import Keyring
from earwitness.archive.vault.merkle import MerkleTree, leaf_hash
from earwitness.archive.vault.objects import Objects

TILE = 1024


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The state of the log at one size, signed."""

    size: int
    root: bytes
    at_us: int
    key: str
    """Fingerprint of the signing key."""
    signature: bytes

    def to_document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "size": self.size,
            "root": self.root.hex(),
            "at_us": self.at_us,
            "key": self.key,
            "signature": base64.b64encode(self.signature).decode(),
        }

    def message(self) -> bytes:
        """What is signed."""
        return canonical({"size": self.size, "root": self.root.hex(), "at_us": self.at_us})


class TransparencyLog:
    """Appends entries and proves them. Safe for threads, and for several processes on one store."""

    def __init__(self, objects: Objects, keyring: Keyring) -> None:
        self._objects, self._keyring = objects, keyring
        self._lock = threading.Lock()
        self._tree = MerkleTree()
        self._index: dict[bytes, int] = {}

    def append(self, entry: Mapping[str, Any], at_us: int) -> int:
        """Adds an entry unless it is there already; gives its index. Safe to repeat.

        :param at_us: UTC µs, for the tree head.
        """
        return self.append_all([entry], at_us)[0]

    def append_all(self, entries: Sequence[Mapping[str, Any]], at_us: int) -> list[int]:
        """Adds entries, each unless it is there already; gives their indexes. Waits for the disk once.

        The head follows when the entries are safe: it may be behind them, never ahead.

        :param at_us: UTC µs, for the tree head.
        """
        with self._lock:
            self._catch_up()
            size = len(self._tree)
            indexes = [self._append(canonical(entry)) for entry in entries]
            self._objects.sync()
            if len(self._tree) > size:
                self._objects.put("log/head.json", canonical(self._head(at_us).to_document()), sync=False)
            return indexes

    def _append(self, data: bytes) -> int:
        leaf = leaf_hash(data)
        while leaf not in self._index:
            if self._objects.create(_entry_path(len(self._tree)), data, sync=False):
                self._add(leaf)
                self._write_tile()
            else:
                self._catch_up()
        return self._index[leaf]

    def find(self, entry: Mapping[str, Any]) -> int | None:
        """The index of an entry, or None."""
        with self._lock:
            self._catch_up()
            return self._index.get(leaf_hash(canonical(entry)))

    def head(self, at_us: int) -> TreeHead:
        """A signed head of the log as it stands."""
        with self._lock:
            self._catch_up()
            return self._head(at_us)

    def tree(self) -> MerkleTree:
        """The tree, for proofs; do not append to it."""
        with self._lock:
            self._catch_up()
            return self._tree

    def check(self) -> int:
        """Reads every entry again and holds it against the tiles and the last signed head; gives the number of entries.

        :raises IntegrityError: an entry was changed or removed, or the head is not ours.
        """
        tree = MerkleTree()
        while (data := self._objects.get(_entry_path(len(tree)))) is not None:
            tree.append(leaf_hash(data))
        for number in range(len(tree) // TILE):
            tile = self._objects.get(_tile_path(number))
            leaves = b"".join(tree.leaf(index) for index in range(number * TILE, (number + 1) * TILE))
            if tile is not None and tile != leaves:
                raise IntegrityError(f"log: entries {number * TILE} to {(number + 1) * TILE - 1} were changed")
        stored = self._objects.get("log/head.json")
        if stored is not None:
            head = parse_head(stored)
            self._keyring.verify("tree-head", head.message(), head.key, head.signature)
            if head.size > len(tree) or tree.root(head.size) != head.root:
                raise IntegrityError("log: the entries do not lead to the signed head")
        return len(tree)

    def _catch_up(self) -> None:
        """Reads what others appended."""
        while len(self._tree) % TILE == 0:
            tile = self._objects.get(_tile_path(len(self._tree) // TILE))
            if tile is None:
                break
            if len(tile) != 32 * TILE:
                raise IntegrityError("log: a tile is cut short")
            for at in range(0, len(tile), 32):
                self._add(tile[at : at + 32])
        while (data := self._objects.get(_entry_path(len(self._tree)))) is not None:
            self._add(leaf_hash(data))

    def _add(self, leaf: bytes) -> int:
        index = self._tree.append(leaf)
        self._index[leaf] = index
        return index

    def _write_tile(self) -> None:
        number = len(self._tree) // TILE - 1
        if number >= 0 and len(self._tree) % TILE == 0:
            start = number * TILE
            leaves = b"".join(self._tree.leaf(start + i) for i in range(TILE))
            self._objects.sync()  # a tile must not outlive its entries
            self._objects.create(_tile_path(number), leaves, sync=False)

    def _head(self, at_us: int) -> TreeHead:
        size, root = len(self._tree), self._tree.root()
        unsigned = TreeHead(size, root, at_us, "", b"")
        key, signature = self._keyring.sign("tree-head", unsigned.message())
        return TreeHead(size, root, at_us, key, signature)


def parse_head(data: bytes) -> TreeHead:
    """Reads a stored head.

    :raises IntegrityError: it is none.
    """
    try:
        record = json.loads(data)
        root, signature = bytes.fromhex(record["root"]), base64.b64decode(record["signature"], validate=True)
        return TreeHead(int(record["size"]), root, int(record["at_us"]), str(record["key"]), signature)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("log: the head cannot be read") from error


def canonical(document: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no blanks: the bytes that are hashed and signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _entry_path(index: int) -> str:
    return f"log/entry/{index:012d}.json"


def _tile_path(number: int) -> str:
    return f"log/tile/{number:08d}"
