"""Secrets at rest: what the database may hold of passwords that we must be able to use again."""

from __future__ import annotations

import hashlib
from typing import Protocol

REALM = "earwitness"
"""Digest realm of our registrar."""


class SecretBox(Protocol):
    """Encrypts small secrets with the key of this installation."""

    def encrypt(self, plain: bytes, context: bytes) -> bytes:
        """Sealed form; ``context`` says what it belongs to and must be the same again at ``decrypt``."""

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        """The reverse.

        :raises Exception: not sealed by this key for this context.
        """


def ha1(username: str, password: str, realm: str = REALM) -> tuple[str, str]:
    """What we keep of a phone's password: H(username:realm:password) by MD5 and by SHA-256 (RFC 7616, RFC 8760)."""
    text = f"{username}:{realm}:{password}".encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest(), hashlib.sha256(text).hexdigest()
