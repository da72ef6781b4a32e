"""Reading a sealed recording: any byte range, decrypting only the chunks it touches."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any

from earwitness.archive.vault.errors import IntegrityError
from earwitness.archive.vault.manifest import ItemManifest, Manifest
from earwitness.archive.vault.objects import Objects
from earwitness.archive.vault.seal import CHUNK, SEALED_CHUNK, unseal

WINDOW = 16
"""Chunks that are fetched at once: 1 MiB."""


class SealedItem:
    """One file of a recording."""

    def __init__(self, objects: Objects, key: bytes, manifest: Manifest, name: str) -> None:
        self.manifest: ItemManifest = manifest.item(name)
        self._objects, self._key, self._binding = objects, key, manifest.binding(name)

    @property
    def size(self) -> int:
        """Plain bytes."""
        return self.manifest.size

    @property
    def media_type(self) -> str:
        """As given when it was sealed."""
        return self.manifest.media_type

    @property
    def etag(self) -> str:
        """The SHA-256 of the plain bytes, hex."""
        return self.manifest.sha256

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """Bytes [start, end), cut to the size.

        :raises IntegrityError: what is stored is not what was sealed.
        """
        return b"".join(self.stream(start, end))

    def stream(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes [start, end) in pieces of up to 64 KiB; each is authenticated before it is handed out."""
        end = self.size if end is None else min(end, self.size)
        start = max(0, start)
        if start >= end:
            return
        first, final = start // CHUNK, (end - 1) // CHUNK
        for window in range(first, final + 1, WINDOW):
            until = min(window + WINDOW, final + 1)
            sealed = self._objects.get_range(self.manifest.object, window * SEALED_CHUNK, until * SEALED_CHUNK)
            if sealed is None:
                raise IntegrityError(f"object {self.manifest.object} is missing")
            for chunk in range(window, until):
                at = (chunk - window) * SEALED_CHUNK
                plain = unseal(self._key, self._binding, chunk, sealed[at : at + SEALED_CHUNK])
                yield plain[max(0, start - chunk * CHUNK) : end - chunk * CHUNK]

    def verify(self) -> None:
        """Reads everything and holds it against the manifest.

        :raises IntegrityError: it differs.
        """
        whole = hashlib.sha256()
        for chunk, plain in enumerate(self.stream()):
            whole.update(plain)
            if hashlib.sha256(plain).hexdigest() != self.manifest.chunks[chunk].plain:
                raise IntegrityError(f"chunk {chunk} of {self.manifest.object} is not that of the manifest")
        if whole.hexdigest() != self.manifest.sha256:
            raise IntegrityError(f"{self.manifest.object} is not that of the manifest")

    def file(self) -> io.BufferedReader:
        """A seekable file to read from, for libraries that want one."""
        return io.BufferedReader(_RawItem(self), CHUNK)


class _RawItem(io.RawIOBase):
    def __init__(self, item: SealedItem) -> None:
        self._item, self._at = item, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._item.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._item.read(self._at, self._at + len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class SealedRecording:
    """A recording whose manifest has been checked and whose key has been unwrapped."""

    def __init__(self, objects: Objects, key: bytes, manifest: Manifest) -> None:
        self._objects, self._key, self.manifest = objects, key, manifest

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its items."""
        return tuple(item.name for item in self.manifest.items)

    def item(self, name: str) -> SealedItem:
        """An item.

        :raises KeyError: there is none of this name.
        """
        return SealedItem(self._objects, self._key, self.manifest, name)
