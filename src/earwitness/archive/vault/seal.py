"""Chunks: how bytes are sealed, and how any range of them is read again.

Plain bytes are cut into chunks of 64 KiB. Each becomes AES-256-GCM ciphertext with its 16-byte tag behind it, so chunk
``i`` stands at ``i * (65536 + 16)``. The data key is used for one sealing only. The nonce is the item's number (4
bytes) and the chunk's (8 bytes). The associated data names recording, item, chunk and number of chunks, so that
nothing can be moved, left out, or taken from elsewhere without being noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from earwitness.archive.vault.errors import IntegrityError

CHUNK = 65536
TAG = 16
SEALED_CHUNK = CHUNK + TAG


@dataclass(frozen=True, slots=True)
class ChunkHashes:
    """SHA-256, in hex."""

    plain: str
    cipher: str


@dataclass(frozen=True, slots=True)
class Binding:
    """What every chunk of an item is bound to."""

    recording_id: str
    sealing_id: str
    item: int
    """Number of the item in its recording."""
    size: int
    """Plain bytes in all."""

    @property
    def chunks(self) -> int:
        """How many chunks there are; an empty item has one empty chunk."""
        return max(1, -(-self.size // CHUNK))

    def nonce(self, chunk: int) -> bytes:
        """12 bytes, never the same twice under one key."""
        return self.item.to_bytes(4, "big") + chunk.to_bytes(8, "big")

    def associated(self, chunk: int) -> bytes:
        """What is authenticated beside the chunk."""
        fields = (self.recording_id, self.sealing_id, str(self.item), str(chunk), str(self.chunks), str(self.size))
        return ("earwitness/chunk/1\n" + "\n".join(fields)).encode()


class Sealer:
    """Seals one item while it is being read; afterwards ``hashes`` and ``sha256`` describe it."""

    def __init__(self, key: bytes, binding: Binding, source: BinaryIO) -> None:
        self._cipher, self._binding, self._source = AESGCM(key), binding, source
        self._whole = hashlib.sha256()
        self.hashes: list[ChunkHashes] = []

    def __iter__(self) -> Iterator[bytes]:
        """The sealed chunks.

        :raises IntegrityError: the source is shorter or longer than was announced.
        """
        binding, left = self._binding, self._binding.size
        for chunk in range(binding.chunks):
            plain = self._source.read(min(CHUNK, left))
            left -= len(plain)
            if len(plain) < CHUNK and left:
                raise IntegrityError("the source ended before its announced size")
            sealed = self._cipher.encrypt(binding.nonce(chunk), plain, binding.associated(chunk))
            self._whole.update(plain)
            self.hashes.append(ChunkHashes(hashlib.sha256(plain).hexdigest(), hashlib.sha256(sealed).hexdigest()))
            yield sealed
        if self._source.read(1):
            raise IntegrityError("the source grew while it was being sealed")

    @property
    def sha256(self) -> str:
        """Of the plain bytes, in hex."""
        return self._whole.hexdigest()


def unseal(key: bytes, binding: Binding, chunk: int, sealed: bytes) -> bytes:
    """One chunk's plain bytes.

    :raises IntegrityError: it is not the chunk that was sealed there.
    """
    expected = min(CHUNK, binding.size - chunk * CHUNK) + TAG if binding.size else TAG
    if len(sealed) != expected:
        raise IntegrityError(f"chunk {chunk} of item {binding.item} has {len(sealed)} bytes, not {expected}")
    try:
        return AESGCM(key).decrypt(binding.nonce(chunk), sealed, binding.associated(chunk))
    except InvalidTag as error:
        raise IntegrityError(f"chunk {chunk} of item {binding.item} was changed") from error
