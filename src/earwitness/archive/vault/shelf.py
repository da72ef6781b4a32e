"""The archive: sealed bytes of recordings that nobody plays for now.

They lie below ``archive/`` of the same store, under the path that they had. So a bucket can have a rule that keeps
``archive/`` on cheaper disks. Manifest, log and data key stay where they are: an archived recording is as sealed, as
provable and as easily destroyed as any. Each step may be repeated, and one may follow the other at any point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earwitness.archive.vault.errors import IntegrityError

if TYPE_CHECKING:
    from earwitness.archive.vault.vault import Vault

ARCHIVE = "archive"


def archived(path: str) -> str:
    """Where an object lies in the archive."""
    return f"{ARCHIVE}/{path}"


def put_away(vault: Vault, recording_id: str) -> None:
    """Moves the sealed bytes of a recording into the archive.

    :raises NotSealedError, DestroyedError, IntegrityError: see there.
    """
    paths = [item.object for item in vault.manifest(recording_id).items]
    for path in paths:
        if not vault.objects.exists(archived(path)):
            _copy(vault, path, archived(path))
    vault.objects.sync()
    for path in paths:
        vault.objects.delete(path, sync=False)
    vault.objects.sync()


def bring_back(vault: Vault, recording_id: str) -> None:
    """Copies the sealed bytes of a recording out of the archive; they stay in there, too.

    :raises NotSealedError, DestroyedError, IntegrityError: see there.
    """
    for item in vault.manifest(recording_id).items:
        if not vault.objects.exists(item.object):
            _copy(vault, archived(item.object), item.object)
    vault.objects.sync()


def _copy(vault: Vault, path: str, target: str) -> None:
    if not vault.objects.copy(path, target):
        raise IntegrityError(f"object {path} is missing")
