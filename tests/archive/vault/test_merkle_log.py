"""The tree against the definitions of RFC 9162, and the log that stores it."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.archive.vault import IntegrityError, Objects, create_keys
from earwitness.archive.vault.log import TILE, TransparencyLog, parse_head
from earwitness.archive.vault.merkle import (
    EMPTY_ROOT,
    MerkleTree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)


def plain_root(leaves: list[bytes]) -> bytes:
    """MTH, word for word (RFC 9162 §2.1.1)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(plain_root(leaves[:k]), plain_root(leaves[k:]))


LEAVES = [leaf_hash(str(number).encode()) for number in range(70)]


def test_known_vectors() -> None:
    """The leaves and roots of the test tree that Certificate Transparency implementations share."""
    entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    tree = MerkleTree(leaf_hash(bytes.fromhex(entry)) for entry in entries)
    assert tree.root(1).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert tree.root(3).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert tree.root(0) == EMPTY_ROOT


@given(st.integers(0, 70))
def test_root_is_that_of_the_definition(size: int) -> None:
    assert MerkleTree(LEAVES).root(size) == plain_root(LEAVES[:size])


@given(st.integers(1, 70), st.data())
def test_inclusion(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = MerkleTree(LEAVES)
    proof, root = tree.inclusion_proof(index, size), tree.root(size)
    assert verify_inclusion(LEAVES[index], index, size, proof, root)
    assert not verify_inclusion(leaf_hash(b"other"), index, size, proof, root)
    assert not verify_inclusion(LEAVES[index], index, size, [*proof, root], root)
    assert not verify_inclusion(LEAVES[index], size, size, proof, root)
    if proof:
        assert not verify_inclusion(LEAVES[index], index, size, proof[:-1], root)


@given(st.integers(0, 70), st.integers(0, 70))
def test_consistency(first: int, second: int) -> None:
    old, new = sorted((first, second))
    tree = MerkleTree(LEAVES)
    proof = tree.consistency_proof(old, new)
    assert verify_consistency(old, new, tree.root(old), tree.root(new), proof)
    if 0 < old < new:
        assert not verify_consistency(old, new, leaf_hash(b"x"), tree.root(new), proof)
        assert not verify_consistency(old, new, tree.root(old), leaf_hash(b"x"), proof)
        assert not verify_consistency(old, new, tree.root(old), tree.root(new), proof[:-1])


def test_proofs_outside_the_tree_are_refused() -> None:
    tree = MerkleTree(LEAVES[:3])
    for wrong in (lambda: tree.root(4), lambda: tree.inclusion_proof(3), lambda: tree.consistency_proof(2, 4)):
        with pytest.raises(ValueError, match="tree"):
            wrong()


@pytest.fixture
def log(tmp_path: Path) -> TransparencyLog:
    return TransparencyLog(Objects.at(tmp_path / "vault"), create_keys(tmp_path / "keys"))


def test_appending_is_safe_to_repeat(log: TransparencyLog) -> None:
    assert [log.append({"n": n}, 1) for n in (0, 1, 0, 2, 1)] == [0, 1, 0, 2, 1]
    assert log.check() == 3
    assert log.find({"n": 2}) == 2
    assert log.find({"n": 3}) is None


def test_two_processes_append_to_one_log(log: TransparencyLog) -> None:
    other = TransparencyLog(log._objects, log._keyring)
    threads = [
        threading.Thread(target=lambda writer=writer, name=name: [writer.append({name: n}, n) for n in range(25)])
        for writer, name in ((log, "a"), (other, "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.check() == 50
    assert log.head(5).root == other.head(5).root


def test_a_log_starts_from_its_tiles(log: TransparencyLog, tmp_path: Path) -> None:
    leaves = [leaf_hash(str(number).encode()) for number in range(TILE)]
    for number in range(TILE):
        log._objects.create(f"log/entry/{number:012d}.json", str(number).encode())
    log._objects.create("log/tile/00000000", b"".join(leaves))
    fresh = TransparencyLog(log._objects, log._keyring)
    assert fresh.append({"n": 1}, 1) == TILE
    assert fresh.tree().root(TILE) == MerkleTree(leaves).root()
    assert fresh.check() == TILE + 1
    tile = tmp_path / "vault/log/tile/00000000"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    with pytest.raises(IntegrityError, match="entries 0 to"):
        fresh.check()


def test_a_changed_or_removed_entry_is_noticed(log: TransparencyLog, tmp_path: Path) -> None:
    for number in range(5):
        log.append({"n": number}, 1)
    path = tmp_path / "vault/log/entry/000000000002.json"
    whole = path.read_bytes()
    path.write_bytes(b'{"n":7}')
    with pytest.raises(IntegrityError):
        log.check()
    path.write_bytes(whole)
    assert log.check() == 5
    (tmp_path / "vault/log/entry/000000000004.json").unlink()
    with pytest.raises(IntegrityError):
        log.check()


def test_heads_are_signed(log: TransparencyLog) -> None:
    log.append({"n": 1}, 1)
    stored = log._objects.get("log/head.json")
    assert stored is not None
    head = parse_head(stored)
    log._keyring.verify("tree-head", head.message(), head.key, head.signature)
    log._objects.put("log/head.json", stored.replace(b'"size":1', b'"size":0'))
    with pytest.raises(IntegrityError):
        log.check()
    with pytest.raises(IntegrityError):
        parse_head(b"{}")
