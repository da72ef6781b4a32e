"""What can go wrong with a vault."""

from __future__ import annotations


class VaultError(RuntimeError):
    """Base of them all."""


class NotSealedError(VaultError):
    """No recording of this id was ever sealed here."""


class DestroyedError(VaultError):
    """The recording was destroyed; its tombstone says when, by whom and why."""


class IntegrityError(VaultError):
    """What is stored is not what was sealed: changed, cut short, exchanged, or signed by somebody else."""


class KeyMissingError(VaultError):
    """A key that is needed is not in the key folder; the message names it."""


class KeyServiceError(VaultError):
    """A key is kept elsewhere, and that service does not give it now; the message says which and why."""
