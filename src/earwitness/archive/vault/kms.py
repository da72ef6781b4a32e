"""Key management services: somebody else's machine that holds a master key and never gives it away.

Earwitness brings none along. A provider is a Python object with the two verbs of ``KeyManagement``; an installed
package offers it as an entry point of the group ``earwitness.kms``, named after the keys it knows (``aws`` for
``arn:aws:kms:…``, else what stands before the first colon). The entry point is called without arguments, once.
"""

from __future__ import annotations

import threading
from importlib.metadata import entry_points
from typing import Protocol

from earwitness.archive.vault.errors import KeyServiceError

GROUP = "earwitness.kms"


class KeyManagement(Protocol):
    """What a provider does. Any exception counts as: not now."""

    def encrypt(self, key_id: str, plain: bytes) -> bytes:
        """``plain`` (32 bytes) under the master key ``key_id``."""

    def decrypt(self, key_id: str, sealed: bytes) -> bytes:
        """The reverse."""


_lock = threading.Lock()
_providers: dict[str, KeyManagement] = {}


def register(name: str, provider: KeyManagement) -> None:
    """Makes a provider known to this process, under the name of the keys that it serves."""
    with _lock:
        _providers[name] = provider


def unregister(name: str) -> None:
    """Forgets it."""
    with _lock:
        _providers.pop(name, None)


def name_of(key_id: str) -> str:
    """Whose key that is: ``aws`` of ``arn:aws:kms:…``, ``vault`` of ``vault:transit/keys/recordings``."""
    parts = key_id.split(":")
    return (parts[1] if parts[0] == "arn" and len(parts) > 1 else parts[0]).strip().lower()


def provider_of(key_id: str) -> KeyManagement:
    """The provider that serves a key.

    :raises KeyServiceError: there is none here, or it cannot be started.
    """
    name = name_of(key_id)
    with _lock:
        found = _providers.get(name)
        if found is None:
            for entry in entry_points(group=GROUP, name=name):
                try:
                    found = _providers[name] = entry.load()()
                except Exception as error:
                    raise KeyServiceError(f"the KMS provider {name!r} cannot be started: {error}") from error
                break
    if found is None:
        raise KeyServiceError(
            f"no KMS provider is configured for {key_id!r}: install one with an entry point {name!r} in {GROUP!r}"
        )
    return found


def encrypt(key_id: str, plain: bytes) -> bytes:
    """Seals with a master key.

    :raises KeyServiceError: no provider, or it refused.
    """
    provider = provider_of(key_id)
    try:
        return bytes(provider.encrypt(key_id, plain))
    except Exception as error:
        raise KeyServiceError(f"the KMS refused to encrypt with {key_id}: {error}") from error


def decrypt(key_id: str, sealed: bytes) -> bytes:
    """The reverse.

    :raises KeyServiceError: no provider, or it refused.
    """
    provider = provider_of(key_id)
    try:
        return bytes(provider.decrypt(key_id, sealed))
    except Exception as error:
        raise KeyServiceError(f"the KMS refused to decrypt with {key_id}: {error}") from error
