"""The manifest: what a sealed recording consists of, signed.

Stored as ``recordings/<id>/manifest.json``: ``{"manifest": {...}, "key": fingerprint, "signature": base64}``. The
signature is over the canonical JSON of ``manifest``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earwitness.archive.vault.errors import IntegrityError
from earwitness.archive.vault.keys import Keyring
from earwitness.archive.vault.log import canonical
from earwitness.archive.vault.seal import CHUNK, Binding, ChunkHashes

FORMAT = "earwitness/manifest/1"


@dataclass(frozen=True, slots=True)
class ItemManifest:
    """One file of a recording."""

    name: str
    media_type: str
    size: int
    """Plain bytes."""
    sha256: str
    """Of the plain bytes, hex."""
    object: str
    """Path of the sealed bytes in the store."""
    chunks: tuple[ChunkHashes, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """One sealing of a recording."""

    recording_id: str
    sealing_id: str
    sealed_at_us: int
    key_object: str
    """Path of the wrapped data key in the store of data keys."""
    items: tuple[ItemManifest, ...]
    facts: Mapping[str, Any]
    """What the caller wants sealed with it: conversation, tape, length, channels, …"""

    def item(self, name: str) -> ItemManifest:
        """An item by name.

        :raises KeyError: there is none.
        """
        return self.items[self.number(name)]

    def number(self, name: str) -> int:
        """Its position, which its chunks are bound to."""
        for number, item in enumerate(self.items):
            if item.name == name:
                return number
        raise KeyError(f"recording {self.recording_id} has no item {name!r}")

    def binding(self, name: str) -> Binding:
        """What the chunks of an item are bound to."""
        return Binding(self.recording_id, self.sealing_id, self.number(name), self.item(name).size)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "format": FORMAT,
            "cipher": "AES-256-GCM",
            "chunk_size": CHUNK,
            "recording_id": self.recording_id,
            "sealing_id": self.sealing_id,
            "sealed_at_us": self.sealed_at_us,
            "key_object": self.key_object,
            "facts": dict(self.facts),
            "items": [
                {
                    "name": item.name,
                    "media_type": item.media_type,
                    "size": item.size,
                    "sha256": item.sha256,
                    "object": item.object,
                    "chunks": [[chunk.plain, chunk.cipher] for chunk in item.chunks],
                }
                for item in self.items
            ],
        }

    @property
    def sha256(self) -> str:
        """Of the canonical JSON, hex: what the log holds."""
        return hashlib.sha256(canonical(self.to_document())).hexdigest()

    def log_entry(self) -> dict[str, Any]:
        """Its entry in the log."""
        return {
            "kind": "sealed",
            "recording_id": self.recording_id,
            "manifest_sha256": self.sha256,
            "at_us": self.sealed_at_us,
        }


def object_key(vault_id: str, item: str) -> str:
    """How databases name an item of the vault: ``<id it was sealed under>/<name of the item>``."""
    return f"{vault_id}/{item}"


def split_object_key(key: str) -> tuple[str, str]:
    """The reverse: (id, name). Ids have no slash."""
    vault_id, _, item = key.partition("/")
    return vault_id, item


def sign(manifest: Manifest, keyring: Keyring) -> bytes:
    """The stored form."""
    document = manifest.to_document()
    key, signature = keyring.sign("manifest", canonical(document))
    return canonical({"manifest": document, "key": key, "signature": base64.b64encode(signature).decode()})


def parse(data: bytes, recording_id: str, keyring: Keyring) -> Manifest:
    """Reads and checks the stored form.

    :raises IntegrityError: not signed by this installation, not of this recording, or damaged.
    """
    try:
        envelope = json.loads(data)
        record = envelope["manifest"]
        signature = base64.b64decode(envelope["signature"], validate=True)
        keyring.verify("manifest", canonical(record), str(envelope["key"]), signature)
        if record["format"] != FORMAT or record["recording_id"] != recording_id or record["chunk_size"] != CHUNK:
            raise IntegrityError(f"the manifest is not one of recording {recording_id}")
        items = tuple(
            ItemManifest(
                name=item["name"],
                media_type=item["media_type"],
                size=item["size"],
                sha256=item["sha256"],
                object=item["object"],
                chunks=tuple(ChunkHashes(plain, cipher) for plain, cipher in item["chunks"]),
            )
            for item in record["items"]
        )
        return Manifest(
            recording_id=record["recording_id"],
            sealing_id=record["sealing_id"],
            sealed_at_us=record["sealed_at_us"],
            key_object=record["key_object"],
            items=items,
            facts=record["facts"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"the manifest of recording {recording_id} cannot be read") from error
