"""The receipt of a destroyed recording: what was destroyed, when, by whom and why, signed.

Anybody can check one without us: the signature (Ed25519) is over ``earwitness/receipt/1``, a line feed, and the
canonical JSON (sorted keys, no blanks, UTF-8) of ``receipt``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from earwitness.archive.vault.errors import IntegrityError
from earwitness.archive.vault.keys import Keyring, fingerprint, verify
from earwitness.archive.vault.log import canonical

PURPOSE = "receipt"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is left of a destroyed recording: the tombstone, signed."""

    recording_id: str
    destroyed_at_us: int
    by: str
    reason: str
    manifest_sha256: str | None
    """Of what was destroyed; None where no sealing had been finished."""
    objects: tuple[str, ...]
    """Paths of what was removed, keys first."""
    key: str
    """Fingerprint of the signing key."""
    signature: bytes

    def body(self) -> dict[str, Any]:
        """What is signed."""
        return {
            "format": "earwitness/receipt/1",
            "recording_id": self.recording_id,
            "destroyed_at_us": self.destroyed_at_us,
            "by": self.by,
            "reason": self.reason,
            "manifest_sha256": self.manifest_sha256,
            "objects": list(self.objects),
        }

    def to_document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"receipt": self.body(), "key": self.key, "signature": base64.b64encode(self.signature).decode()}

    def log_entry(self) -> dict[str, Any]:
        """Its entry in the log."""
        return {
            "kind": "destroyed",
            "recording_id": self.recording_id,
            "manifest_sha256": self.manifest_sha256,
            "at_us": self.destroyed_at_us,
        }


def sign(receipt: Receipt, keyring: Keyring) -> Receipt:
    """The receipt with a signature of the newest signing key."""
    key, signature = keyring.sign(PURPOSE, canonical(receipt.body()))
    return Receipt(
        receipt.recording_id,
        receipt.destroyed_at_us,
        receipt.by,
        receipt.reason,
        receipt.manifest_sha256,
        receipt.objects,
        key,
        signature,
    )


def parse(document: Mapping[str, Any]) -> Receipt:
    """Reads a receipt; its signature is not checked.

    :raises IntegrityError: it is none.
    """
    try:
        body = document["receipt"]
        receipt = Receipt(
            recording_id=str(body["recording_id"]),
            destroyed_at_us=int(body["destroyed_at_us"]),
            by=str(body["by"]),
            reason=str(body["reason"]),
            manifest_sha256=body["manifest_sha256"],
            objects=tuple(str(path) for path in body["objects"]),
            key=str(document["key"]),
            signature=base64.b64decode(document["signature"], validate=True),
        )
        if receipt.body() != body:
            raise IntegrityError("the receipt has more in it than a receipt has")
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise IntegrityError("the receipt cannot be read") from error
    return receipt


def check(document: Mapping[str, Any], public_keys: Mapping[str, str]) -> Receipt:
    """Checks a receipt with nothing but the public keys of an installation.

    :param public_keys: fingerprint -> raw Ed25519 public key in base64 (``Keyring.public_keys``).
    :raises IntegrityError: it is no receipt, was changed, or is signed by none of these keys.
    """
    receipt = parse(document)
    if receipt.key not in public_keys:
        raise IntegrityError(f"the receipt is signed with key {receipt.key}, which is not among those given")
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_keys[receipt.key], validate=True))
    except ValueError as error:
        raise IntegrityError(f"key {receipt.key} is no public key") from error
    if fingerprint(key) != receipt.key:
        raise IntegrityError(f"key {receipt.key} is not the key of that fingerprint")
    verify(key, PURPOSE, canonical(receipt.body()), receipt.signature)
    return receipt
