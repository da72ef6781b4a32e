"""Small keys in the key folder, and the box that seals secrets of the database with one of them.

Every process of an installation that reads or writes sealed secrets (web: trunk passwords in, edge: trunk passwords
out) opens the same box: ``KeyFileBox.open(keys folder)``.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
FILE_NAME = "secrets.key"


class SealedError(ValueError):
    """Not sealed with this key for this context."""


class KeyFileBox:
    """AES-256-GCM; a random nonce before the ciphertext, the context as associated data."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @staticmethod
    def open(keys_dir: Path) -> KeyFileBox:
        """The box of an installation; its key is made when there is none."""
        return KeyFileBox(key_file(keys_dir, FILE_NAME))

    def encrypt(self, plain: bytes, context: bytes) -> bytes:
        """Sealed form; ``context`` says what it belongs to."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context)

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        """The reverse.

        :raises SealedError: not sealed by this key for this context.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise SealedError("a sealed secret does not belong here, or the key folder is another one's") from error


def key_file(keys_dir: Path, name: str) -> bytes:
    """A 32-byte key of the key folder (0600); made when there is none, processes that start together agree on one.

    :raises ValueError: the file holds something else.
    """
    keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = keys_dir / name
    if not path.exists():
        draft = keys_dir / f".{name}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} does not hold a {KEY_BYTES}-byte key")
    return key
