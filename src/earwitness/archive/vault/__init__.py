"""Keys, sealing, objects, byte ranges and the append-only log."""

from earwitness.archive.vault.errors import (
    DestroyedError,
    IntegrityError,
    KeyMissingError,
    KeyServiceError,
    NotSealedError,
    VaultError,
)
from earwitness.archive.vault.keys import Keyring, create_keys, load_keys, rotate_recording_key
from earwitness.archive.vault.manifest import Manifest, object_key, split_object_key
from earwitness.archive.vault.objects import Objects
from earwitness.archive.vault.reader import SealedItem, SealedRecording
from earwitness.archive.vault.receipt import Receipt
from earwitness.archive.vault.vault import Item, Sealing, Vault

__all__ = [
    "DestroyedError",
    "IntegrityError",
    "Item",
    "KeyMissingError",
    "KeyServiceError",
    "Keyring",
    "Manifest",
    "NotSealedError",
    "Objects",
    "Receipt",
    "SealedItem",
    "SealedRecording",
    "Sealing",
    "Vault",
    "VaultError",
    "create_keys",
    "load_keys",
    "object_key",
    "rotate_recording_key",
    "split_object_key",
]
