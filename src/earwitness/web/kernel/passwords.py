"""Passwords and secrets: Argon2id at rest, random tokens of 256 bits."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_ONCE = threading.BoundedSemaphore(4)
"""Bounds memory and CPU that guessers can make us spend at the same time."""


def hash_password(password: str) -> str:
    """Argon2id hash of a password or client secret."""
    with _AT_ONCE:
        return _HASHER.hash(password)


_NOBODY = hash_password(secrets.token_urlsafe(32))


def verify_password(stored: str | None, password: str) -> bool:
    """Whether ``password`` is the one hashed as ``stored``; takes as long when nothing is stored."""
    with _AT_ONCE:
        try:
            return _HASHER.verify(stored or _NOBODY, password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def new_token() -> str:
    """A bearer token or client secret: 256 random bits, URL-safe text."""
    return secrets.token_urlsafe(32)
