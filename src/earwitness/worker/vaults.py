"""The vault that chores work with: opened once, when first needed."""

from __future__ import annotations

from functools import lru_cache

from earwitness.archive.vault import Vault
from earwitness.worker.arguments import WorkerArguments


@lru_cache(maxsize=4)
def vault_of(arguments: WorkerArguments) -> Vault:
    """The vault of a worker.

    :raises KeyMissingError: the key folder cannot be used.
    """
    return Vault.at(arguments.vault_url, arguments.keys, arguments.data_keys_url)
